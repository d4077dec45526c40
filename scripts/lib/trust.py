#!/usr/bin/env python3
"""trust.py FOLDER LOG_URL LOG_KEY [TSA_URL TSA_CHAIN]: writes trusted_root.json and signing_config.json for an
Ed25519 log and an authority, as somebody else would who has their keys."""
import base64, hashlib, json, re, sys
from urllib.parse import urlsplit

folder, url, key = sys.argv[1:4]
START = "2020-01-01T00:00:00Z"


def pem(path):
    blocks = re.findall("-----BEGIN [^-]+-----([^-]+)-----END", open(path).read())
    return [base64.b64decode("".join(block.split())) for block in blocks]


def b64(data):
    return base64.b64encode(data).decode()


def write(name, value):
    with open(f"{folder}/{name}", "w") as file:
        json.dump(value, file, indent=2)


def service(url, version, operator):
    return {"url": url, "majorApiVersion": version, "validFor": {"start": START}, "operator": operator}


spki = pem(key)[0]
# C2SP signed-note: name, newline, algorithm, key; the whole hash is the log's id.
log_id = hashlib.sha256(urlsplit(url).hostname.encode() + b"\n\x01" + spki[-32:]).digest()
root = {
    "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "tlogs": [{
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(spki), "keyDetails": "PKIX_ED25519", "validFor": {"start": START}},
        "logId": {"keyId": b64(log_id)},
    }],
    "certificateAuthorities": [],
    "ctlogs": [],
    "timestampAuthorities": [],
}
config = {
    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    "caUrls": [],
    "oidcUrls": [],
    "rekorTlogUrls": [service(url, 2, "local")],
    "rekorTlogConfig": {"selector": "ANY"},
    "tsaUrls": [],
    "tsaConfig": {"selector": "ANY"},
}
if len(sys.argv) > 4:
    tsa, chain = sys.argv[4:6]
    root["timestampAuthorities"].append({
        "subject": {"organization": "example.org", "commonName": "local TSA"},
        "uri": tsa,
        "certChain": {"certificates": [{"rawBytes": b64(der)} for der in pem(chain)]},
        "validFor": {"start": START},
    })
    config["tsaUrls"].append(service(tsa, 1, "local"))
write("trusted_root.json", root)
write("signing_config.json", config)

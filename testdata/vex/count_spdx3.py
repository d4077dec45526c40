#!/usr/bin/env python3
"""Counts claims of SPDX 3 documents and in-toto attestations, and makes observation ids, without provex.

Run it in this folder. It knows only what these files need: one creation info by reference, no inline elements.
"""
import base64
import hashlib
import json
import re

PREFIX = "security_Vex"
STATUS = {"Affected": "affected", "NotAffected": "not_affected", "Fixed": "fixed",
          "UnderInvestigation": "under_investigation"}
RELATION = {"affects": "affected", "doesNotAffect": "not_affected", "fixedIn": "fixed",
            "underInvestigationFor": "under_investigation"}
WORST = ["affected", "under_investigation", "fixed", "not_affected"]
JUSTIFICATION = {"vulnerableCodeNotInExecutePath": "vulnerable_code_not_in_execute_path"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def nine_digits(time):
    """UTC with nine digits; the times of these files have Z or -06:00."""
    body, fraction, zone = re.fullmatch(r"(.*T.*?)(?:\.(\d+))?(Z|-06:00)", time).groups()
    if zone != "Z":
        import datetime
        moment = datetime.datetime.fromisoformat(body) + datetime.timedelta(hours=6)
        body = moment.isoformat()
    return f"{body}.{(fraction or '').ljust(9, '0')}Z"


def identity(body):
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "vex:obs:sha256:" + sha256(text.encode())


def component(node):
    found = []
    if "software_packageUrl" in node:
        found.append(("purl", node["software_packageUrl"]))
    for external in node.get("externalIdentifier", []):
        kind = {"packageUrl": "purl", "cpe23": "cpe23"}[external["externalIdentifierType"]]
        found.append((kind, external["identifier"]))
    for method in node.get("verifiedUsing", []):
        found.append(("hash:" + method["algorithm"], method["hashValue"]))
    found.append(("iri", node["spdxId"]))
    kinds = dict(reversed(found))
    if "hash:sha256" in kinds:
        kind, key = "digest", "digest:sha256:" + kinds["hash:sha256"]
    elif "purl" in kinds:
        kind, key = "purl", "purl:" + kinds["purl"]
    elif "cpe23" in kinds:
        kind, key = "cpe23", "cpe23:" + kinds["cpe23"]
    else:
        kind, key = "iri", "iri:" + kinds["iri"]
    identifiers = sorted({json.dumps({"type": t, "value": v}, separators=(",", ":")) for t, v in found})
    return {"key": key, "kind": kind, "name": node.get("name"),
            "identifiers": [json.loads(one) for one in identifiers]}


def spdx3(path):
    received = open(path, "rb").read()
    graph = json.loads(received)["@graph"]
    by_id = {node.get("spdxId", node.get("@id")): node for node in graph}
    document = next(node for node in graph if node["type"] == "SpdxDocument")
    creation = by_id[document["creationInfo"]]
    bodies = []
    for n, node in enumerate(graph):
        if not node["type"].startswith(PREFIX) or "security_withdrawnTime" in node:
            continue
        said = [(STATUS[node["type"][len(PREFIX):-len("VulnAssessmentRelationship")]], node["type"]),
                (RELATION[node["relationshipType"]], node["relationshipType"])]
        status, native = min(said, key=lambda pair: WORST.index(pair[0]))
        if said[0][0] == status:
            native = said[0][1]
        vulnerability = by_id[node["from"]]
        names = [(e["externalIdentifierType"], e["identifier"]) for e in vulnerability["externalIdentifier"]]
        cve = next(name for kind, name in names if kind == "cve")
        reason = node.get("security_justificationType")
        published, modified = node.get("security_publishedTime"), node.get("security_modifiedTime")
        own = by_id[node["creationInfo"]]
        assessed = node.get("security_assessedElement")
        for m, to in enumerate(node["to"]):
            bodies.append({
                "schema": "provex.observation/v1", "canon": "purl-canon/1",
                "issuer": {"scheme": "spdx3", "id": own["createdBy"][0]},
                "document": {"format": "spdx3", "specVersion": creation["specVersion"], "revision": None,
                             "id": document["spdxId"], "digest": sha256(received)},
                "locator": {"pointer": f"/@graph/{n}/to/{m}", "index": 0},
                "vulnerability": {"id": cve, "aliases": sorted(v for k, v in names if k == "securityOther")},
                "product": component(by_id[to]), "versionScope": None,
                "subcomponent": component(by_id[assessed]) if assessed else None,
                "status": status, "nativeStatus": native,
                "justification": reason and {"native": reason, "mapping": "exact", "label": JUSTIFICATION[reason]},
                "impact": node.get("security_impactStatement"), "notes": node.get("security_statusNotes"),
                "action": {"text": node.get("security_actionStatement"), "responses": [], "url": None},
                "assertedAt": nine_digits(published or own["created"]),
                "assertedAtSource": "statement" if published else "created_info",
                "lastUpdated": modified and nine_digits(modified),
            })
    return bodies


def purl_component(purl):
    plain = purl.replace("%3A", ":")
    digest = re.fullmatch(r"pkg:oci/.*@sha256:([0-9a-f]{64})", plain)
    kind, key = ("digest", "digest:sha256:" + digest[1]) if digest else ("purl", "purl:" + plain)
    return {"key": key, "kind": kind, "name": None, "identifiers": [{"type": "purl", "value": purl}]}


def subject_component(subject):
    identifiers = [{"type": "hash:sha256", "value": subject["digest"]["sha256"]}]
    is_purl = subject["name"].startswith("pkg:")
    if is_purl:
        identifiers.append({"type": "purl", "value": subject["name"]})
    return {"key": "digest:sha256:" + subject["digest"]["sha256"], "kind": "digest",
            "name": None if is_purl else subject["name"], "identifiers": identifiers}


def openvex(received, document, subjects):
    bodies = []
    for n, statement in enumerate(document["statements"]):
        places = []
        for m, product in enumerate(statement.get("products", [])):
            keyed = purl_component(product["@id"])
            if subjects is not None and keyed["key"] not in {"digest:sha256:" + s["digest"]["sha256"] for s in subjects}:
                continue
            for k, part in enumerate(product["subcomponents"]):
                pointer = f"/statements/{n}/products/{m}/subcomponents/{k}"
                places.append((pointer, 0, keyed, purl_component(part["@id"])))
        if "products" not in statement:
            for k, subject in enumerate(subjects):
                places.append((f"/statements/{n}", k, subject_component(subject), None))
        own = statement.get("timestamp")
        reason = statement.get("justification")
        for pointer, index, product, part in places:
            bodies.append({
                "schema": "provex.observation/v1", "canon": "purl-canon/1",
                "issuer": {"scheme": "openvex", "id": document["author"]},
                "document": {"format": "openvex", "specVersion": "0.2.0", "revision": str(document["version"]),
                             "id": document["@id"], "digest": sha256(received)},
                "locator": {"pointer": pointer, "index": index},
                "vulnerability": {"id": statement["vulnerability"]["name"], "aliases": []},
                "product": product, "subcomponent": part, "versionScope": None,
                "status": statement["status"], "nativeStatus": statement["status"],
                "justification": reason and {"native": reason, "mapping": "exact", "label": reason},
                "impact": None, "notes": None, "action": {"text": None, "responses": [], "url": None},
                "assertedAt": nine_digits(own or document["timestamp"]),
                "assertedAtSource": "statement" if own else "document", "lastUpdated": None,
            })
    return bodies


def attestation(path):
    received = open(path, "rb").read()
    outer = json.loads(received)
    text = base64.b64decode(outer["payload"]) if "payload" in outer else received
    statement = json.loads(text)
    if "predicate" not in statement:
        return None, openvex(received, statement, None)
    # These files' predicates come last but for brackets, so their source text is found from its two ends.
    source = text[text.index(b'"predicate":') + len(b'"predicate":'):].strip()
    source = source[:source.rindex(b"}")].rstrip()
    assert json.loads(source) == statement["predicate"]
    return sha256(source), openvex(received, statement["predicate"], statement["subject"])


def report(path, bodies, payload=None):
    counts = [sum(body["status"] == status for body in bodies)
              for status in ["affected", "not_affected", "fixed", "under_investigation"]]
    print(path, counts, *(["payload", payload] if payload else []))
    for body in bodies:
        print("   ", identity(body))


for name in ["spdx3/tools-java_double.jsonld", "hand/spdx3-accept-all-four.json",
             "hand/spdx3-reject-missing-justification-and-action.json",
             "hand/spdx3-reject-wrong-relationship-type.json"]:
    report(name, spdx3(name))
for name in ["intoto/alpine-cves.openvex.json", "intoto/alpine-cves.openvex.dsse.json",
             "hand/intoto-accept-inherited-products.json"]:
    payload, bodies = attestation(name)
    report(name, bodies, payload)

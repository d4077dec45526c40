#!/usr/bin/env python3
"""Counts what is wrong with the published documents, apart from provex.

Only the faults that these documents have are looked for, each as plainly as can be; the numbers are the table FINDINGS of
`crates/cli/tests/corpus.rs`. For each folder, a line a kind of fault with how often it occurs:

    python3 testdata/vex/count_findings.py testdata/vex/{openvex,csaf20,csaf21,cyclonedx,intoto}
"""
import base64
import collections
import json
import os
import re
import sys
import xml.etree.ElementTree as ET

BOM_LINK = re.compile(r"urn:cdx:[0-9a-f-]{36}/[1-9]\d*(#.+)?$")
IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$")
ZONE = re.compile(r"(Z|z|[+-]\d\d:\d\d)$")
STATEMENT = {"@id", "version", "vulnerability", "timestamp", "last_updated", "products", "status", "supplier",
             "status_notes", "justification", "impact_statement", "action_statement", "action_statement_timestamp"}
OPENVEX = {
    "document": {"@context", "@id", "author", "role", "timestamp", "last_updated", "version", "tooling", "statements"},
    "vulnerability": {"@id", "name", "description", "aliases"},
    "product": {"@id", "identifiers", "hashes", "subcomponents"},
}


def openvex(document, subjects=None):
    new = isinstance(document["statements"][0]["vulnerability"], dict)
    for key, code in [("@id", "missing_id"), ("author", "missing_issuer"), ("timestamp", "missing_timestamp"),
                      ("version", "missing_version")]:
        if key not in document:
            yield code
    version = document.get("version")
    if version is not None and isinstance(version, str) == new:
        yield "bad_version"
    if document["@context"].endswith("/v0.2.0") != new:
        yield "spec_version_mismatch"
    objects = [(document, "document")]
    for statement in document["statements"]:
        objects.append((statement, None))
        if new:
            objects.append((statement["vulnerability"], "vulnerability"))
        for product in statement.get("products", []) if new else ():
            objects += [(part, "product") for part in [product, *product.get("subcomponents", [])]]
        if statement["status"] == "affected" and not statement.get("action_statement"):
            yield "missing_action"
        if statement["status"] == "not_affected" and not (
            statement.get("justification") or statement.get("impact_statement")
        ):
            yield "unjustified"
        for product in statement.get("products", []):
            if subjects is not None and not any(digest in product["@id"] for digest in subjects):
                yield "not_a_subject"
    for value, kind in objects:
        known = OPENVEX.get(kind, STATEMENT)
        for key in value.keys() - known if new else ():
            yield "unknown_member"
        for key in ("timestamp", "last_updated", "action_statement_timestamp"):
            if key in value and isinstance(value[key], str) and not ZONE.search(value[key]):
                yield "assumed_utc"
        if not IRI.match(value.get("@id", "urn:none")):
            yield "bad_id"


def products_of(branches):
    for branch in branches:
        if "product" in branch:
            yield branch["product"]["product_id"]
        yield from products_of(branch.get("branches", []))


def csaf(document):
    meta, tree = document["document"], document.get("product_tree", {})
    if meta["tracking"].get("status") == "deleted":
        meta = {**meta, "deleted": True}
        yield "unknown_term"
    tracking = meta["tracking"]
    if meta.get("csaf_version") == "2.1":
        for _ in [1 for key, parent in [("$schema", document), ("distribution", meta)] if key not in parent]:
            yield "missing_member"
    if "namespace" not in meta.get("publisher", {}):
        yield "missing_issuer"
    if "current_release_date" not in tracking:
        yield "missing_timestamp"
    if "version" not in tracking:
        yield "missing_version"
    elif tracking["status"] != "draft":
        numbers = [revision["number"] for revision in tracking["revision_history"]]
        newest = max(numbers, key=lambda number: [int(part) for part in number.split("-")[0].split(".")])
        if newest != tracking["version"]:
            yield "version_not_latest"
    compositions = tree.get("relationships", []) + tree.get("product_paths", [])
    defined = list(products_of(tree.get("branches", [])))
    defined += [product["product_id"] for product in tree.get("full_product_names", [])]
    defined += [composition["full_product_name"]["product_id"] for composition in compositions]
    for _ in range(len(defined) - len(set(defined))):
        yield "ambiguous_product"
    groups = {group["group_id"]: group["product_ids"] for group in tree.get("product_groups", [])}
    undefined = set()
    if meta.get("deleted") or meta["category"] in ("csaf_withdrawn", "csaf_superseded"):
        return
    for part in compositions:
        undefined |= {part[key] for key in ("product_reference", "relates_to_product_reference") if key in part}
    for item in document.get("vulnerabilities", []):
        def about(key, **wanted):
            found = set()
            for entry in item.get(key, []):
                if all(entry.get(name) == value for name, value in wanted.items()):
                    found |= set(entry.get("product_ids", []))
                    found |= {id for group in entry.get("group_ids", []) for id in groups[group]}
            return found

        if "cve" in item and not re.fullmatch(r"CVE-\d{4}-\d{4,}", item["cve"]):
            yield "bad_id"
        status = item.get("product_status", {})
        for ids in status.values():
            undefined |= set(ids)
        undefined |= about("remediations") | about("threats") | about("flags")
        for score in item.get("scores", []) + item.get("metrics", []):
            undefined |= set(score.get("products", []))
        if status and "cve" not in item and "ids" not in item:
            yield "missing_vulnerability"
        for entry in item.get("remediations", []):
            fixed = set(status.get("fixed", [])) | set(status.get("first_fixed", []))
            spared = set(status.get("known_not_affected", []))
            category, ids = entry["category"], set(entry.get("product_ids", []))
            ids |= {id for group in entry.get("group_ids", []) for id in groups[group]}
            misplaced = {"fix_planned": fixed, "no_fix_planned": fixed, "mitigation": fixed | spared,
                         "none_available": fixed | spared, "vendor_fix": fixed | spared,
                         "workaround": fixed | spared}.get(category, set())
            if meta["csaf_version"] == "2.1" and ids & misplaced:
                yield "misplaced_remediation"
        # Each product of a VEX document has an answer; of others, one that has none stands for all.
        for code, ids, answered in [
            ("unjustified", status.get("known_not_affected", []), about("flags") | about("threats", category="impact")),
            ("missing_action", status.get("known_affected", []), about("remediations")),
        ]:
            bare = [id for id in ids if id not in answered]
            for _ in bare if meta["category"] == "csaf_vex" else bare[:1]:
                yield code
    for _ in undefined - set(defined):
        yield "undefined_product"


def plain(element):
    """XML as the JSON that says the same, as far as it is looked at here."""
    value = {key: text for key, text in element.attrib.items()}
    for child in element:
        name = child.tag.split("}")[1]
        if name in ("components", "vulnerabilities", "authors", "affects", "versions", "responses"):
            key = {"responses": "response"}.get(name, name)
            value[key] = [plain(grandchild) for grandchild in child]
        elif len(child) or child.attrib:
            value[name] = plain(child)
        else:
            value[name] = child.text
    return value


def refs_of(components):
    for component in components:
        yield component.get("bom-ref")
        yield from refs_of(component.get("components", []))


def cyclonedx(bom):
    metadata = bom.get("metadata", {})
    if "serialNumber" not in bom:
        yield "missing_id"
    if not any(metadata.get(key) for key in ("authors", "supplier", "manufacturer", "manufacture")):
        yield "missing_issuer"
    if "timestamp" not in metadata:
        yield "missing_timestamp"
    refs = set(refs_of(bom.get("components", []) + bom.get("services", []) + [metadata.get("component", {})]))
    names = collections.Counter(item["bom-ref"] for item in bom["vulnerabilities"] if "bom-ref" in item)
    for _ in range(sum(names.values()) - len(names)):
        yield "duplicate_ref"
    for item in bom["vulnerabilities"]:
        analysis = item.get("analysis", {})
        if "state" not in analysis:
            continue
        if "rejected" in item:
            yield "rejected_vulnerability"
        if analysis["state"] == "exploitable" and not any(
            [analysis.get("response"), item.get("recommendation"), item.get("workaround")]
        ):
            yield "missing_action"
        if analysis["state"] == "not_affected" and not (analysis.get("justification") or analysis.get("detail")):
            yield "unjustified"
        for target in item.get("affects", []):
            if target["ref"] not in refs and not BOM_LINK.match(target["ref"]):
                yield "dangling_ref"
            if not isinstance(target.get("versions", []), list):
                yield "wrong_type"


for folder in sys.argv[1:]:
    counts = collections.Counter()
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".xml"):
            counts.update(cyclonedx(plain(ET.parse(path).getroot())))
        if not name.endswith(".json"):
            continue
        document, subjects = json.load(open(path, encoding="utf-8-sig")), None
        if "payload" in document:
            document = json.loads(base64.b64decode(document["payload"]))
        if "predicate" in document:
            subjects = [subject["digest"]["sha256"] for subject in document["subject"]]
            document = document["predicate"]
        if "statements" in document:
            counts.update(openvex(document, subjects))
        elif "document" in document:
            counts.update(csaf(document))
        elif document.get("bomFormat") == "CycloneDX":
            counts.update(cyclonedx(document))
    print(os.path.basename(folder), dict(sorted(counts.items())))

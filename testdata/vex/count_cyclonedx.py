#!/usr/bin/env python3
"""Counts the claims of CycloneDX documents, apart from provex.

For each file: the claims that are affected, not affected, fixed, under investigation and unknown. JSON is read by
`json`, XML by `xml.etree`. The table of `crates/formats/tests/cyclonedx.rs` is made of its output:

    python3 testdata/vex/count_cyclonedx.py testdata/vex/cyclonedx/* testdata/vex/hand/cyclonedx*
"""
import json
import os
import sys
import xml.etree.ElementTree as ET

STATES = {
    "exploitable": "affected",
    "not_affected": "not_affected",
    "false_positive": "not_affected",
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "in_triage": "under_investigation",
}
ORDER = ["affected", "not_affected", "fixed", "under_investigation", "unknown"]


def version_status(entry, status):
    return {"affected": status, "unaffected": "not_affected", "unknown": "unknown"}[entry or "affected"]


def from_json(path):
    for vulnerability in json.load(open(path, encoding="utf-8-sig")).get("vulnerabilities", []):
        state = vulnerability.get("analysis", {}).get("state")
        targets = []
        for target in vulnerability.get("affects") or [{}]:
            versions = target.get("versions") or []
            versions = versions if isinstance(versions, list) else [versions]
            targets.append([version.get("status") for version in versions])
        yield state, targets


def from_xml(path):
    root = ET.parse(path).getroot()
    space = root.tag[: root.tag.index("}") + 1]
    for vulnerability in root.iterfind(f"{space}vulnerabilities/{space}vulnerability"):
        state = vulnerability.findtext(f"{space}analysis/{space}state")
        targets = []
        for target in vulnerability.iterfind(f"{space}affects/{space}target"):
            versions = target.iterfind(f"{space}versions/{space}version")
            targets.append([version.findtext(f"{space}status") for version in versions])
        yield state, targets or [[]]


def count(path):
    counts = dict.fromkeys(ORDER, 0)
    for state, targets in from_xml(path) if path.endswith(".xml") else from_json(path):
        if state not in STATES:
            continue
        for versions in targets:
            for entry in versions or ["affected"]:
                counts[version_status(entry, STATES[state])] += 1
    return [counts[status] for status in ORDER]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(os.path.basename(path), count(path))

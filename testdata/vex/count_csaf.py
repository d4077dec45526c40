#!/usr/bin/env python3
"""Counts what CSAF documents say, without provex.

For each file: the entries of the status lists of vulnerabilities that have a name, by canonical status (affected,
not_affected, fixed, under_investigation, unknown), and how many of them are about a composed
product. A document that is withdrawn, superseded or deleted states nothing.

Usage: count_csaf.py FILE...
"""

import json
import sys

STATUS = {
    "known_affected": "affected",
    "first_affected": "affected",
    "last_affected": "affected",
    "known_not_affected": "not_affected",
    "fixed": "fixed",
    "first_fixed": "fixed",
    "under_investigation": "under_investigation",
    "unknown": "unknown",
}
ORDER = ["affected", "not_affected", "fixed", "under_investigation", "unknown"]


def composed(tree):
    parts = tree.get("relationships", []) + tree.get("product_paths", [])
    return {part["full_product_name"]["product_id"] for part in parts}


def count(document):
    counts = dict.fromkeys(ORDER, 0)
    composite = 0
    meta = document["document"]
    if meta.get("category") in ("csaf_withdrawn", "csaf_superseded") or meta["tracking"].get("status") == "deleted":
        return counts, 0
    compositions = composed(document.get("product_tree", {}))
    for vulnerability in document.get("vulnerabilities", []):
        if not vulnerability.get("cve") and not vulnerability.get("ids"):
            continue
        for name, ids in vulnerability.get("product_status", {}).items():
            if name in STATUS:
                counts[STATUS[name]] += len(ids)
                composite += sum(product in compositions for product in ids)
    return counts, composite


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        counts, composite = count(json.load(file))
    name = "/".join(path.split("/")[-2:])
    print(f'    ("{name}", {[counts[status] for status in ORDER]}, {composite}, ""),')

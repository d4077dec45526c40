//! Documents without fault, for tests that put one in.

#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "shared by tests that use a part each")]

use provex_core::vex::Observation;
use provex_formats::{Code, ParseLimits, Parsed, Rejection, parse};
use serde_json::{Value, json};

/// The bytes of a document of the corpus.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/vex/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn parsed(document: &Value) -> Parsed {
    parse(document.to_string().as_bytes(), &ParseLimits::default()).unwrap()
}

pub(crate) fn rejected(document: &Value) -> Rejection {
    parse(document.to_string().as_bytes(), &ParseLimits::default()).unwrap_err()
}

/// Codes and pointers of the findings, whatever became of the document.
pub(crate) fn findings(document: &Value) -> Vec<(Code, String)> {
    let found = match parse(document.to_string().as_bytes(), &ParseLimits::default()) {
        Ok(parsed) => parsed.findings,
        Err(rejection) => rejection.findings,
    };
    found.into_iter().map(|finding| (finding.code, finding.pointer)).collect()
}

/// The claim that comes from `pointer`.
pub(crate) fn get<'p>(parsed: &'p Parsed, pointer: &str) -> &'p Observation {
    let found = parsed.observations.iter().find(|o| o.observation.locator.pointer == pointer);
    &found.unwrap_or_else(|| panic!("no claim at {pointer}")).observation
}

/// The document with another value at `pointer`, whose parent exists.
pub(crate) fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}")) {
        Value::Object(object) => {
            object.insert(key.replace("~1", "/"), value);
        }
        Value::Array(array) if key == "-" => array.push(value),
        Value::Array(array) => array[key.parse::<usize>().unwrap()] = value,
        other => panic!("{parent} is {other}"),
    }
    document
}

/// The document without what is at `pointer`.
pub(crate) fn without(mut document: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    parent.as_object_mut().unwrap().remove(key).unwrap_or_else(|| panic!("nothing at {pointer}"));
    document
}

fn branch(category: &str, name: &str, below: Value) -> Value {
    let mut branch = json!({"category": category, "name": name});
    let key = if below.is_array() { "branches" } else { "product" };
    branch[key] = below;
    branch
}

/// A 2.0 VEX document without fault: `APP` is affected, and `LIB` on `OS` (`OS:LIB`) is not.
pub(crate) fn vex20() -> Value {
    let product = |id: &str, helper: Value| json!({"product_id": id, "name": id, "product_identification_helper": helper});
    json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "publisher": {"category": "vendor", "name": "ACME", "namespace": "https://acme.example"},
            "title": "A document without fault",
            "tracking": {
                "current_release_date": "2026-02-01T10:00:00.5+01:00",
                "id": "ACME-1",
                "initial_release_date": "2026-01-01T10:00:00Z",
                "revision_history": [
                    {"date": "2026-01-01T10:00:00Z", "number": "1", "summary": "first"},
                    {"date": "2026-02-01T10:00:00Z", "number": "2", "summary": "second"}
                ],
                "status": "final",
                "version": "2"
            }
        },
        "product_tree": {
            "branches": [branch("vendor", "ACME", json!([
                branch("product_name", "OS", product("OS", json!({"cpe": "cpe:/o:acme:os:9"}))),
                branch("product_name", "Lib", json!([
                    branch("product_version", "1.0", product("LIB", json!({"purl": "pkg:rpm/acme/lib@1.0"})))
                ])),
                branch("product_name", "App", json!([
                    branch("product_version_range", "vers:generic/<2", json!({"product_id": "APP", "name": "App before 2"}))
                ])),
            ]))],
            "relationships": [{
                "category": "default_component_of",
                "full_product_name": {"product_id": "OS:LIB", "name": "Lib in OS"},
                "product_reference": "LIB",
                "relates_to_product_reference": "OS"
            }],
            "product_groups": [{"group_id": "ALL", "product_ids": ["APP", "OS:LIB"]}]
        },
        "vulnerabilities": [{
            "cve": "CVE-2026-0001",
            "notes": [{"category": "description", "text": "What it is."}],
            "product_status": {"known_affected": ["APP"], "known_not_affected": ["OS:LIB"]},
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["OS:LIB"]}],
            "remediations": [{"category": "vendor_fix", "details": "Update.", "product_ids": ["APP"]}]
        }]
    })
}

/// The same in 2.1.
pub(crate) fn vex21() -> Value {
    let document = with(vex20(), "/document/csaf_version", json!("2.1"));
    let schema = "https://docs.oasis-open.org/csaf/csaf/v2.1/schema/csaf.json";
    let document = with(document, "/$schema", json!(schema));
    let document = with(document, "/document/distribution", json!({"tlp": {"label": "CLEAR"}}));
    let lib = "/product_tree/branches/0/branches/1/branches/0/product/product_identification_helper";
    let document = with(document, lib, json!({"purls": ["pkg:rpm/acme/lib@1.0"]}));
    let document = without(document, "/product_tree/relationships");
    let path = json!([{
        "beginning_product_reference": "LIB",
        "full_product_name": {"product_id": "OS:LIB", "name": "Lib in OS"},
        "subpaths": [{"category": "default_component_of", "next_product_reference": "OS"}]
    }]);
    with(document, "/product_tree/product_paths", path)
}

/// A document that is withdrawn or superseded, without fault.
pub(crate) fn retired(category: &str) -> Value {
    let document = without(without(vex21(), "/product_tree"), "/vulnerabilities");
    let document = with(document, "/document/category", json!(category));
    let title = match category {
        "csaf_withdrawn" => "Reasoning for Withdrawal",
        _ => "Reasoning for Supersession",
    };
    let notes = json!([{"category": "description", "title": title, "text": "It was wrong."}]);
    let references = json!([{"summary": "Superseding Document", "url": "https://acme.example/2.json"}]);
    with(with(document, "/document/notes", notes), "/document/references", references)
}

//! RFC 8785 against the vectors of its authors (`testdata/jcs`).

#![allow(clippy::unwrap_used, reason = "the allowance for tests does not reach the helpers of this file")]

use std::fs;
use std::path::{Path, PathBuf};

use provex_core::jcs;
use provex_core::json::{self, Limits};
use serde_json::Value;

const NAMES: [&str; 6] = ["arrays", "french", "structures", "unicode", "values", "weird"];

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/jcs")
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    fs::read(vectors().join(folder).join(name)).unwrap()
}

fn canonicalize(bytes: &[u8]) -> Vec<u8> {
    let text = json::check(bytes, &Limits::document()).unwrap();
    let mut value = serde_json::from_str(text).unwrap();
    read_doubles_exactly(text, "", &mut value);
    jcs::canonicalize(&value).unwrap()
}

/// `serde_json` without `float_roundtrip` reads 333333333.33333329 one digit off; the standard library does not.
fn read_doubles_exactly(text: &str, pointer: &str, value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            *value = json::raw_at(text, pointer).unwrap().parse::<f64>().unwrap().into();
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                read_doubles_exactly(text, &format!("{pointer}/{index}"), item);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let token = key.replace('~', "~0").replace('/', "~1");
                read_doubles_exactly(text, &format!("{pointer}/{token}"), item);
            }
        }
        _ => {}
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn every_file_is_a_vector() {
    let mut files: Vec<String> = fs::read_dir(vectors().join("input"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, NAMES.map(|name| format!("{name}.json")));
}

#[test]
fn input_becomes_output_byte_for_byte() {
    for name in NAMES {
        let output = canonicalize(&read("input", &format!("{name}.json")));
        assert_eq!(output, read("output", &format!("{name}.json")), "{name}");
        let hex = String::from_utf8(read("outhex", &format!("{name}.txt"))).unwrap();
        assert_eq!(output, from_hex(&hex), "{name}");
    }
}

#[test]
fn canonical_output_is_its_own_canonical_form() {
    for name in NAMES {
        let output = read("output", &format!("{name}.json"));
        assert_eq!(canonicalize(&output), output, "{name}");
    }
}

/// The twin of each vector: one more member or element, which must change the bytes, and only at their end.
#[test]
fn added_value_changes_the_output() {
    for name in NAMES {
        let input = read("input", &format!("{name}.json"));
        let mut value: Value = serde_json::from_slice(&input).unwrap();
        let before = jcs::canonicalize(&value).unwrap();
        match &mut value {
            Value::Array(items) => items.push(Value::Null),
            Value::Object(members) => drop(members.insert("\u{ffff}".to_owned(), Value::Null)),
            _ => unreachable!("every vector is a container"),
        }
        let after = jcs::canonicalize(&value).unwrap();
        assert_eq!(after[..before.len() - 1], before[..before.len() - 1], "{name}");
        assert_ne!(after, before, "{name}");
    }
}

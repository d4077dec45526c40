//! The strict pass: what it lets through, serde_json reads, and its pointers lead where they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provex_core::json::{Content, Limits, Node, check, index, locate, raw_at};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = check(bytes, &Limits::document()) {
        assert!(error.offset <= bytes.len());
        assert!(error.line > 0 && error.column > 0);
    }
    let Ok(text) = check(bytes, &Limits::own()) else { return };
    let value: Value = serde_json::from_str(text).expect("strict JSON is JSON");
    let indexed = index(bytes, &Limits::own()).expect("it is the same pass");
    assert_eq!((indexed.text(), tree(indexed.root())), (text, value.clone()));
    let rewritten = serde_json::to_vec(&value).expect("a value is written");
    check(&rewritten, &Limits::own()).expect("what is written again is strict too");
    assert_eq!(raw_at(text, ""), Some(text.trim_matches([' ', '\t', '\n', '\r'])));
    for pointer in pointers(&value) {
        let raw = raw_at(text, &pointer).expect("a value has its source text");
        let found: Value = serde_json::from_str(raw).expect("it is a value");
        assert_eq!(Some(&found), value.pointer(&pointer));
        let place = locate(text, &[&pointer])[0].expect("it has a place");
        assert!(text[place.offset..].starts_with(raw));
    }
});

/// The value that an index leads through.
fn tree(node: Node<'_>) -> Value {
    match node.content() {
        Content::Null => Value::Null,
        Content::Bool(value) => value.into(),
        Content::Number(text) => serde_json::from_str(text).expect("a number is read"),
        Content::String(text) => text.into(),
        Content::Array(elements) => elements.map(tree).collect(),
        Content::Object(members) => {
            Value::Object(members.map(|(key, value)| (key.into_owned(), tree(value))).collect())
        }
    }
}

/// Pointers to the values of the outermost container.
fn pointers(value: &Value) -> Vec<String> {
    match value {
        Value::Array(array) => (0..array.len().min(32)).map(|n| format!("/{n}")).collect(),
        Value::Object(object) => {
            let escaped = |key: &String| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            object.keys().take(32).map(escaped).collect()
        }
        _ => Vec::new(),
    }
}

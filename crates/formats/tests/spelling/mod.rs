//! One JSON value, written in many ways.

use std::fmt::Write as _;

use serde_json::Value;

/// The choices that a spelling is made of, over and over.
type Choices<'a> = std::iter::Cycle<std::slice::Iter<'a, u8>>;

/// Writes a value in one of its many spellings: order of keys, white space and escapes.
fn respell(choices: &mut Choices<'_>, value: &Value, out: &mut String) {
    let mut choice = |of: usize| usize::from(*choices.next().unwrap()) % of;
    out.push_str(["", " ", "\n", "\r\n", "\t"][choice(5)]);
    match value {
        Value::String(text) => {
            out.push('"');
            for character in text.chars() {
                if choice(8) == 0 || character < ' ' || "\"\\".contains(character) {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").unwrap();
                    }
                } else {
                    out.push(character);
                }
            }
            out.push('"');
        }
        Value::Array(array) => {
            out.push('[');
            for (n, element) in array.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                respell(choices, element, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            out.push('{');
            while !members.is_empty() {
                let at = usize::from(*choices.next().unwrap()) % members.len();
                let (key, value) = members.swap_remove(at);
                respell(choices, &Value::from(key.as_str()), out);
                out.push(':');
                respell(choices, value, out);
                out.push_str(if members.is_empty() { "" } else { "," });
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Writes a value in the spelling that these choices make.
pub(crate) fn respelled(choices: &[u8], value: &Value) -> String {
    let mut out = String::new();
    respell(&mut choices.iter().cycle(), value, &mut out);
    out
}

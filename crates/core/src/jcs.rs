//! The JSON Canonicalization Scheme (RFC 8785): one sequence of bytes for one JSON value.
//!
//! [`canonicalize`] writes any value and [`to_vec`] anything that serde can; [`ObjectWriter`] writes a closed
//! object, whose members are known when the code is written, straight into bytes and several times faster.
//! Both give the same bytes.
//!
//! RFC 8785 takes numbers as doubles and would round a larger integer. Here an integer beyond ±(2^53 - 1) is an
//! error instead: two numbers must never share a hash. Strings are written as they are; Unicode normalization is
//! nobody's business (section 3.2.2.2).

use serde::Serialize;
use serde_json::{Number, Value};

use crate::digest::Digest;
use crate::json::{MAX_SAFE_INTEGER, skip_plain};

/// Deepest value that is written, as for reading ([`crate::json::Limits::document`]).
const MAX_DEPTH: usize = 128;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum JcsError {
    /// An integer that not every reader holds exactly.
    #[error("integer {value} is beyond ±(2^53 - 1)")]
    UnsafeInteger {
        /// The integer.
        value: i128,
    },
    /// A number that is no finite double.
    #[error("number that no double holds")]
    NotFinite,
    /// More than 128 containers inside one another.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A type that serde cannot turn into JSON.
    #[error("value cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
}

/// The canonical bytes of a JSON value.
///
/// A double is written exactly as the [`Value`] holds it. To read one exactly from text is not promised by
/// `serde_json` as built here, so only values without fractions, as all of ours are, may be read and hashed.
///
/// # Errors
/// [`JcsError`]: an unsafe integer, or too deep.
pub fn canonicalize(value: &Value) -> Result<Vec<u8>, JcsError> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value, 0)?;
    Ok(out)
}

/// The canonical bytes of anything that serde can write as JSON.
///
/// Goes through [`Value`], so an infinite or undefined float becomes null, as everywhere in `serde_json`.
///
/// # Errors
/// [`JcsError`]: not serializable, an unsafe integer, or too deep.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JcsError> {
    canonicalize(&serde_json::to_value(value).map_err(JcsError::Serialize)?)
}

/// SHA-256 of the canonical bytes.
///
/// # Errors
/// As [`to_vec`].
pub fn hash<T: Serialize + ?Sized>(value: &T) -> Result<Digest, JcsError> {
    to_vec(value).map(|bytes| Digest::of(&bytes))
}

fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), JcsError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => write_bool(out, *value),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_str(out, text),
        Value::Array(_) | Value::Object(_) if depth == MAX_DEPTH => return Err(JcsError::TooDeep),
        Value::Array(items) => write_array(out, items, depth + 1)?,
        Value::Object(members) => write_object(out, members, depth + 1)?,
    }
    Ok(())
}

fn write_array(out: &mut Vec<u8>, items: &[Value], depth: usize) -> Result<(), JcsError> {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, item, depth)?;
    }
    out.push(b']');
    Ok(())
}

/// Section 3.2.3: members in the order of their keys as arrays of UTF-16 code units.
fn write_object(
    out: &mut Vec<u8>,
    members: &serde_json::Map<String, Value>,
    depth: usize,
) -> Result<(), JcsError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_str(out, key);
        out.push(b':');
        write_value(out, value, depth)?;
    }
    out.push(b'}');
    Ok(())
}

/// Section 3.2.2.3: a number as ECMAScript writes a double, which for safe integers is their digits.
fn write_number(out: &mut Vec<u8>, number: &Number) -> Result<(), JcsError> {
    if let Some(value) = number.as_u64() {
        return write_u64(out, value);
    }
    if let Some(value) = number.as_i64() {
        out.push(b'-');
        return write_u64(out, value.unsigned_abs())
            .map_err(|_| JcsError::UnsafeInteger { value: value.into() });
    }
    let value = number.as_f64().filter(|value| value.is_finite()).ok_or(JcsError::NotFinite)?;
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

/// Appends an integer in decimal digits.
///
/// # Errors
/// [`JcsError::UnsafeInteger`] beyond 2^53 - 1.
pub fn write_u64(out: &mut Vec<u8>, value: u64) -> Result<(), JcsError> {
    if value > MAX_SAFE_INTEGER {
        return Err(JcsError::UnsafeInteger { value: value.into() });
    }
    let mut digits = [b'0'; 16];
    let mut rest = value;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
    Ok(())
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a string between quotes, with the fewest escapes (section 3.2.2.2): the short forms of `\b \t \n \f
/// \r \" \\`, `\u00xx` in lower case for other characters below U+0020, all else as it is.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut start = 0;
    loop {
        let end = skip_plain(bytes, start);
        out.extend_from_slice(bytes.get(start..end).unwrap_or_default());
        let Some(special) = bytes.get(end) else { break };
        write_escape(out, *special);
        start = end + 1;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(crate::digest::hex(&[byte]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes a closed object in canonical form, member by member in canonical order.
///
/// Keys are plain ASCII, so byte order is the order of section 3.2.3; a debug build asserts both. An integer
/// that may not be written is remembered and comes out of [`ObjectWriter::finish`].
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    last_key: Option<&'static str>,
    refused: Option<JcsError>,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, last_key: None, refused: None }
    }

    /// A string.
    pub fn str(&mut self, key: &'static str, value: &str) {
        self.key(key);
        write_str(self.out, value);
    }

    /// A string or null.
    pub fn opt_str(&mut self, key: &'static str, value: Option<&str>) {
        match value {
            Some(value) => self.str(key, value),
            None => self.null(key),
        }
    }

    /// A value that is canonical JSON already.
    pub fn raw(&mut self, key: &'static str, value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    /// An integer.
    pub fn u64(&mut self, key: &'static str, value: u64) {
        self.key(key);
        let written = write_u64(self.out, value);
        self.note(written);
    }

    /// An integer or null.
    pub fn opt_u64(&mut self, key: &'static str, value: Option<u64>) {
        match value {
            Some(value) => self.u64(key, value),
            None => self.null(key),
        }
    }

    /// True or false.
    pub fn bool(&mut self, key: &'static str, value: bool) {
        self.key(key);
        write_bool(self.out, value);
    }

    /// Null.
    pub fn null(&mut self, key: &'static str) {
        self.raw(key, b"null");
    }

    /// An array, whose elements `write` writes.
    pub fn array(&mut self, key: &'static str, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.key(key);
        let written = ArrayWriter::within(self.out, write);
        self.note(written);
    }

    /// An object, whose members `write` writes.
    pub fn object(&mut self, key: &'static str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.key(key);
        let written = ObjectWriter::within(self.out, write);
        self.note(written);
    }

    /// Ends the object.
    ///
    /// # Errors
    /// [`JcsError::UnsafeInteger`] for the first integer that may not be written, at any depth; what was
    /// appended is then not canonical JSON and must not be used.
    pub fn finish(self) -> Result<(), JcsError> {
        self.out.push(b'}');
        self.refused.map_or(Ok(()), Err)
    }

    fn within(out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) -> Result<(), JcsError> {
        let mut object = ObjectWriter::new(out);
        write(&mut object);
        object.finish()
    }

    fn key(&mut self, key: &'static str) {
        debug_assert!(key.is_ascii() && skip_plain(key.as_bytes(), 0) == key.len(), "{key} needs escapes");
        debug_assert!(self.last_key < Some(key), "{key} must not follow {:?}", self.last_key);
        if self.last_key.replace(key).is_some() {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn note(&mut self, written: Result<(), JcsError>) {
        self.refused = self.refused.take().or(written.err());
    }
}

/// Writes an array inside an [`ObjectWriter`]. Its elements stand in the order written; a set is sorted by the
/// caller.
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    refused: Option<JcsError>,
}

impl ArrayWriter<'_> {
    /// A string.
    pub fn str(&mut self, value: &str) {
        self.element();
        write_str(self.out, value);
    }

    /// A value that is canonical JSON already.
    pub fn raw(&mut self, value: &[u8]) {
        self.element();
        self.out.extend_from_slice(value);
    }

    /// An integer.
    pub fn u64(&mut self, value: u64) {
        self.element();
        let written = write_u64(self.out, value);
        self.note(written);
    }

    /// An array, whose elements `write` writes.
    pub fn array(&mut self, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        self.element();
        let written = ArrayWriter::within(self.out, write);
        self.note(written);
    }

    /// An object, whose members `write` writes.
    pub fn object(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.element();
        let written = ObjectWriter::within(self.out, write);
        self.note(written);
    }

    fn within(out: &mut Vec<u8>, write: impl FnOnce(&mut ArrayWriter<'_>)) -> Result<(), JcsError> {
        out.push(b'[');
        let mut array = ArrayWriter { out, empty: true, refused: None };
        write(&mut array);
        array.out.push(b']');
        array.refused.map_or(Ok(()), Err)
    }

    fn element(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }

    fn note(&mut self, written: Result<(), JcsError>) {
        self.refused = self.refused.take().or(written.err());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        String::from_utf8(canonicalize(value).unwrap()).unwrap()
    }

    /// RFC 8785 appendix B, all of its finite samples.
    #[test]
    fn doubles_are_written_as_ecmascript_does() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(canonical(&json!(f64::from_bits(bits))), expected);
        }
    }

    #[test]
    fn integers_are_exact_or_refused() {
        for good in [0_i64, 7, 10, 999, 1_000_000_007, 9_007_199_254_740_991] {
            assert_eq!(canonical(&json!(good)), good.to_string());
            assert_eq!(canonical(&json!(-good)), (-good).to_string());
        }
        for bad in [json!(9_007_199_254_740_992_u64), json!(u64::MAX)] {
            assert!(matches!(canonicalize(&bad), Err(JcsError::UnsafeInteger { .. })), "{bad}");
        }
        let error = canonicalize(&json!([i64::MIN])).unwrap_err();
        assert_eq!(error.to_string(), "integer -9223372036854775808 is beyond ±(2^53 - 1)");
    }

    #[test]
    fn strings_have_the_fewest_escapes() {
        let all: String = ('\0'..='\u{a0}').chain("€/\u{2028}\u{ffff}😀".chars()).collect();
        let mut out = Vec::new();
        write_str(&mut out, &all);
        // serde_json has the same rule.
        assert_eq!(out, serde_json::to_vec(&all).unwrap());
        write_str(&mut out, "");
        assert!(out.ends_with(b"\"\""));
    }

    #[test]
    fn keys_are_sorted_by_utf_16_code_units() {
        // U+1F600 begins with the unit D83D, before U+FB33, though its UTF-8 and its code point come after.
        let value = json!({"\u{fb33}": 1, "😀": 2, "a": 3, "": 4, "aa": 5, "A": 6});
        assert_eq!(canonical(&value), "{\"\":4,\"A\":6,\"a\":3,\"aa\":5,\"😀\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(canonicalize(&nested(128)).is_ok());
        assert!(matches!(canonicalize(&nested(129)), Err(JcsError::TooDeep)));
    }

    #[test]
    fn hash_is_of_the_canonical_bytes() {
        let expected = Digest::of(br#"{"a":null,"b":[1,true]}"#);
        assert_eq!(hash(&json!({"b": [1, true], "a": null})).unwrap(), expected);
    }

    #[test]
    fn unsafe_integer_at_any_depth_comes_out_of_finish() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.array("a", |a| {
            a.object(|o| o.u64("deep", 1 << 53));
        });
        object.u64("b", u64::MAX);
        let error = object.finish().unwrap_err();
        assert!(matches!(error, JcsError::UnsafeInteger { value: 9_007_199_254_740_992 }));
    }

    #[test]
    #[should_panic(expected = "must not follow")]
    fn keys_out_of_order_are_caught_in_debug_builds() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.null("b");
        object.null("a");
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["[\"\\\\\u{0}-\u{20}é\u{e000}\u{fb33}😀a-c]{0,20}", "\\PC{0,40}"]
    }

    /// Numbers that survive reading: doubles that print as large integers, or that serde_json reads one digit
    /// off, are left out.
    fn any_number() -> impl Strategy<Value = Value> {
        let safe = MAX_SAFE_INTEGER as i64;
        prop_oneof![
            (-safe..=safe).prop_map(Value::from),
            any::<f64>().prop_map(Value::from).prop_filter("reads back", |number| {
                let text = canonicalize(number).unwrap();
                number.is_null()
                    || serde_json::from_slice::<Value>(&text).is_ok_and(|back| same(&back, number))
                        && canonicalize(&serde_json::from_slice(&text).unwrap()).is_ok()
            }),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any_number(),
            any_text().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any_text(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Equal as JSON, where 1 and 1.0 are one number.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
            }
            _ => a == b,
        }
    }

    proptest! {
        #[test]
        fn canonical_form_keeps_the_value_and_is_stable(value in any_value()) {
            let bytes = canonicalize(&value).unwrap();
            let back: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert!(same(&back, &value));
            prop_assert_eq!(canonicalize(&back).unwrap(), bytes);
        }

        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in any_text()) {
            let mut out = Vec::new();
            write_str(&mut out, &text);
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn object_writer_gives_the_canonical_form(
            text in any_text(), maybe in prop::option::of(any_text()), number in 0..=MAX_SAFE_INTEGER,
            flag: bool, items in prop::collection::vec(any_text(), 0..4), inner in any_value(),
        ) {
            let mut out = Vec::new();
            let mut object = ObjectWriter::new(&mut out);
            object.array("array", |array| {
                for item in &items {
                    array.str(item);
                    array.object(|o| o.str("item", item));
                    array.array(|a| a.u64(number));
                }
            });
            object.bool("bool", flag);
            object.null("null");
            object.u64("number", number);
            object.object("object", |o| {
                o.raw("inner", &canonicalize(&inner).unwrap());
                o.opt_u64("number", flag.then_some(number));
            });
            object.object("objectEmpty", |_| {});
            object.opt_str("optional", maybe.as_deref());
            object.str("text", &text);
            object.finish().unwrap();
            let array: Vec<Value> =
                items.iter().flat_map(|item| [json!(item), json!({"item": item}), json!([number])]).collect();
            let same = json!({
                "text": text, "optional": maybe, "objectEmpty": {}, "number": number, "null": null,
                "object": {"inner": inner, "number": flag.then_some(number)}, "bool": flag, "array": array,
            });
            prop_assert_eq!(out, canonicalize(&same).unwrap());
        }
    }
}

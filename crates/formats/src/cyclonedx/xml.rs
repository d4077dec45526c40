//! CycloneDX in XML, told again as CycloneDX in JSON.
//!
//! The members that the reader knows are written in JSON, each on the line that it stands on in XML, so the strict
//! pass, the typed read, the pointers and the lines of findings are those of any JSON document: an element that
//! stands twice becomes a key that stands twice, and is refused as such.
//!
//! Refused besides what is not well-formed: a document type declaration and every entity but XML's own five (a
//! kilobyte of them can ask for gigabytes), XML 1.1, other encodings than UTF-8, elements of two CycloneDX versions
//! in one document, and text where only elements may stand. Elements of other namespaces are extensions and are
//! passed over. Of an element that is not read only the name is written, so that the typed read can tell a member that
//! no claim is made of from one that CycloneDX does not have. White space around names, labels and references is not
//! part of them; around the terms of closed lists the reader tells it, and in texts it is part of them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use provex_core::jcs;
use provex_core::json::{self, Indexed, JsonError, JsonErrorKind, Limits};
use provex_core::vex::Format;
use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::escape::{EscapeError, resolve_xml_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::schema::{Kind, ROOT, Shape};
use super::wellformed::{check_declaration, check_names, check_target, check_text};
use crate::report::{Code, Rejection, hint, quoted, too_large};

/// How the namespace of every version begins.
const NAMESPACE: &str = "http://cyclonedx.org/schema/bom/";
/// Most attributes of an element, and most namespaces in force at once: both are compared pair by pair.
const MAX_ATTRIBUTES: usize = 128;

/// Whether a document is XML: no JSON document begins so.
pub(crate) fn is_xml(bytes: &[u8]) -> bool {
    without_mark(bytes).trim_ascii_start().starts_with(b"<")
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The document in JSON, on the same lines.
///
/// # Errors
/// [`Rejection`] if it is no CycloneDX, or XML that is refused.
pub(crate) fn to_json(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Rejection> {
    let text = characters(bytes, max_bytes)?;
    let mut converter = Converter { text, ..Converter::default() };
    converter.document().map_err(|rejection| at_line(rejection, converter.line))?;
    Ok(converter.json)
}

/// The strict pass over the document in JSON.
///
/// # Errors
/// [`Rejection`] for what is refused there, in words of XML.
pub(crate) fn index(json: &[u8]) -> Result<Indexed<'_>, Rejection> {
    // Longer than its XML only by quotes and keys of elements that are there.
    let limits = Limits { max_bytes: usize::MAX, ..Limits::document() };
    json::index(json, &limits).map_err(|error| at_line(refused(&error), error.line))
}

fn at_line(rejection: Rejection, line: usize) -> Rejection {
    Rejection { line: Some(line as u64), ..rejection }
}

/// The document's characters (XML 1.0 section 2.2).
fn characters(bytes: &[u8], max_bytes: usize) -> Result<&str, Rejection> {
    if bytes.len() > max_bytes {
        return Err(rejection(Code::TooLarge, &too_large(Some(bytes.len() as u64), max_bytes)));
    }
    let Ok(text) = str::from_utf8(without_mark(bytes)) else {
        return Err(rejection(Code::NotUtf8, "The document is not UTF-8; write it in UTF-8."));
    };
    let found = text.find(|c: char| !is_character(c));
    found.map_or(Ok(text), |at| {
        let line = 1 + newlines(&text[..at]);
        Err(Rejection { line: Some(line as u64), ..bad_character(&text[at..]) })
    })
}

const fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn bad_character(rest: &str) -> Rejection {
    match rest.chars().next() {
        Some('\0') => rejection(Code::NulCharacter, "The document has the character U+0000; remove it."),
        _ => rejection(
            Code::ControlCharacter,
            "The document has a character that XML does not permit; remove it.",
        ),
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

pub(super) fn rejection(code: Code, message: &str) -> Rejection {
    Rejection::new(code, Some(Format::CycloneDx), "", message)
}

pub(super) fn bad_xml(what: &str) -> Rejection {
    rejection(Code::BadXml, &format!("The document is not well-formed XML: {what}; mend it there."))
}

/// What the strict pass says of the JSON, in words for XML.
fn refused(error: &JsonError) -> Rejection {
    let message = match error.kind {
        JsonErrorKind::DuplicateKey => {
            "This element or attribute stands twice where one may stand; keep one.".to_owned()
        }
        kind => format!("The document was refused: {kind}; {}.", hint(kind)),
    };
    Rejection::new(error.kind.into(), Some(Format::CycloneDx), error.pointer.clone(), message)
}

/// An element that is open.
enum Open {
    /// Becomes an object; `text` is what stands in it.
    Object { shape: &'static Shape, first: bool, text: String, unread: BTreeSet<String> },
    /// Becomes an array.
    List { element: &'static str, kind: &'static Kind, first: bool },
    /// Becomes a string, or an object if it has elements.
    Text { kind: &'static Kind, text: String, mixed: bool },
    /// Is passed over.
    Skipped,
}

#[derive(Default)]
struct Converter<'t> {
    text: &'t str,
    /// How far the text's lines are counted.
    counted: usize,
    /// The line that is being read, less one.
    line: usize,
    json: Vec<u8>,
    /// How many lines of JSON are complete.
    written: usize,
    /// The namespace of the root.
    namespace: Option<String>,
    open: Vec<Open>,
}

impl<'t> Converter<'t> {
    fn document(&mut self) -> Result<(), Rejection> {
        let mut reader = NsReader::from_str(self.text);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        reader.resolver_mut().set_max_namespace_bindings(MAX_ATTRIBUTES);
        loop {
            let begin = usize::try_from(reader.buffer_position()).unwrap_or(self.text.len());
            self.line = 1 + self.lines_before(begin);
            match reader.read_resolved_event().map_err(|error| bad_xml(&error.to_string()))? {
                (namespace, Event::Start(tag)) => {
                    self.start(&namespace, &tag)?;
                    check_names(&tag, reader.resolver())?;
                }
                (_, Event::End(_)) => self.end(),
                (_, Event::Text(text)) => {
                    check_text(&text)?;
                    self.characters(&text.xml10_content())?;
                }
                (_, Event::CData(text)) if self.open.is_empty() => {
                    return Err(bad_xml(&format!("{} stands outside the root", quoted(&text))));
                }
                (_, Event::CData(text)) => self.characters(&text.xml10_content())?,
                (_, Event::GeneralRef(reference)) => {
                    let character = resolve(&reference)?;
                    self.characters(character.encode_utf8(&mut [0; 4]))?;
                }
                (_, Event::Decl(declaration)) => check_declaration(&declaration, begin)?,
                (_, Event::DocType(_)) => {
                    let message = "The document has a document type declaration, which can make a small document a \
                                   huge one; remove it.";
                    return Err(rejection(Code::XmlDoctype, message));
                }
                (_, Event::PI(instruction)) => check_target(instruction.target())?,
                (_, Event::Comment(_) | Event::Empty(_)) => {}
                (_, Event::Eof) => break,
            }
        }
        if !self.open.is_empty() {
            return Err(rejection(
                Code::Unterminated,
                "The document ends inside an element; it was cut off.",
            ));
        }
        if self.namespace.is_none() {
            return Err(rejection(Code::BadXml, "The document has no element; give a CycloneDX document."));
        }
        Ok(())
    }

    /// How many lines end before `position`, which never goes back.
    fn lines_before(&mut self, position: usize) -> usize {
        let passed = self.text.get(self.counted..position).unwrap_or_default();
        let lines = self.line.saturating_sub(1) + newlines(passed);
        self.counted = position.max(self.counted);
        lines
    }

    fn start(&mut self, namespace: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Result<(), Rejection> {
        let limit = Limits::document().max_depth;
        if self.open.len() >= limit {
            let message = format!("The document nests its elements deeper than {limit}; flatten it.");
            return Err(rejection(Code::TooDeep, &message));
        }
        let attributes = attributes(tag)?;
        let own = self.is_own(namespace, tag)?;
        let name = tag.local_name().into_inner();
        let kind = if self.open.is_empty() {
            self.root(namespace)?;
            Some(&ROOT)
        } else {
            self.child(name, own)
        };
        self.enter(kind, &attributes);
        Ok(())
    }

    /// Whether an element is in the namespace of the root. One in that of another CycloneDX version is refused:
    /// some readers would take it and some not.
    fn is_own(&self, namespace: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Result<bool, Rejection> {
        let name = || quoted(tag.name().into_inner());
        match (namespace, &self.namespace) {
            (ResolveResult::Unknown(_), _) => {
                Err(bad_xml(&format!("the prefix of {} is not declared", name())))
            }
            (ResolveResult::Bound(Namespace(found)), Some(own)) if found == own => Ok(true),
            (ResolveResult::Bound(Namespace(found)), Some(_)) if found.starts_with(NAMESPACE) => {
                let message = format!("The element {} is of another CycloneDX version; use one.", name());
                Err(rejection(Code::AmbiguousFormat, &message))
            }
            _ => Ok(false),
        }
    }

    /// The root's namespace names the format and its version.
    fn root(&mut self, namespace: &ResolveResult<'_>) -> Result<(), Rejection> {
        if self.namespace.is_some() {
            return Err(rejection(Code::TrailingData, "The document has a second root element; keep one."));
        }
        let found = match namespace {
            ResolveResult::Bound(Namespace(found)) => *found,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        let Some(version) = found.strip_prefix(NAMESPACE) else {
            let message = "The document is XML but no CycloneDX, and is not read; convert it to the JSON form of its \
                           format.";
            return Err(Rejection::new(Code::UnsupportedFormat, None, "", message));
        };
        let version = version.to_owned();
        self.namespace = Some(found.to_owned());
        self.break_lines();
        self.json.extend_from_slice(br#"{"bomFormat":"CycloneDX","specVersion":"#);
        self.string(&version);
        Ok(())
    }

    /// What a child of the innermost open element becomes, its key or comma written.
    fn child(&mut self, name: &str, own: bool) -> Option<&'static Kind> {
        match self.open.last_mut() {
            Some(Open::Object { shape, first, unread, .. }) if own => {
                let member = shape.children.iter().find(|member| member.name == name);
                let kind = match member.map(|member| &member.kind) {
                    Some(Kind::Unread) => return None,
                    None if !unread.insert(name.to_owned()) => return None,
                    kind => kind,
                };
                let comma = !std::mem::take(first);
                self.key(member.map_or(name, |member| member.key), comma);
                if kind.is_none() {
                    self.json.extend_from_slice(b"null");
                }
                kind
            }
            Some(Open::List { element, kind, first }) if own => {
                let kind = (*element == name).then_some(*kind);
                if !std::mem::take(first) {
                    self.json.push(b',');
                }
                self.break_lines();
                if kind.is_none() {
                    // So that a list with wrong elements only is not taken for an empty one.
                    self.json.extend_from_slice(b"null");
                }
                kind
            }
            Some(Open::Text { mixed, .. }) => {
                *mixed |= own;
                None
            }
            _ => None,
        }
    }

    /// Opens an element that becomes a value of this kind, or is passed over.
    fn enter(&mut self, kind: Option<&'static Kind>, attributes: &[(&str, Cow<'_, str>)]) {
        let open = match kind {
            None | Some(Kind::Unread) => Open::Skipped,
            Some(Kind::List(element, kind)) => {
                self.json.push(b'[');
                Open::List { element, kind, first: true }
            }
            Some(Kind::Object(shape)) => {
                // The root has begun with its format.
                let mut first = !self.open.is_empty();
                if first {
                    self.json.push(b'{');
                }
                for member in shape.attributes {
                    for (_, value) in attributes.iter().filter(|(name, _)| *name == member.name) {
                        self.key(member.key, !std::mem::take(&mut first));
                        self.value(&member.kind, value);
                    }
                }
                Open::Object { shape, first, text: String::new(), unread: BTreeSet::new() }
            }
            Some(kind @ (Kind::Label | Kind::Term | Kind::Text | Kind::Integer)) => {
                Open::Text { kind, text: String::new(), mixed: false }
            }
        };
        self.open.push(open);
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Object { shape, first, text, .. }) => {
                if let Some(key) = shape.text {
                    self.key(key, !first);
                    self.value(&Kind::Label, &text);
                }
                self.json.push(b'}');
            }
            Some(Open::List { .. }) => self.json.push(b']'),
            Some(Open::Text { mixed: true, .. }) => self.json.extend_from_slice(b"{}"),
            Some(Open::Text { kind, text, .. }) => self.value(kind, &text),
            Some(Open::Skipped) | None => {}
        }
    }

    fn characters(&mut self, found: &str) -> Result<(), Rejection> {
        if let Some(at) = found.find(|c| !is_character(c)) {
            return Err(bad_character(&found[at..]));
        }
        match self.open.last_mut() {
            Some(Open::Object { shape: Shape { text: Some(_), .. }, text, .. } | Open::Text { text, .. }) => {
                text.push_str(found);
            }
            Some(Open::Skipped) => {}
            Some(Open::Object { .. } | Open::List { .. }) | None if trimmed(found).is_empty() => {}
            Some(Open::Object { .. } | Open::List { .. }) | None => {
                let message =
                    format!("The text {} stands where only elements may; remove it.", quoted(trimmed(found)));
                return Err(rejection(Code::BadXml, &message));
            }
        }
        Ok(())
    }

    fn key(&mut self, key: &str, comma: bool) {
        if comma {
            self.json.push(b',');
        }
        self.break_lines();
        self.string(key);
        self.json.push(b':');
    }

    fn value(&mut self, kind: &Kind, text: &str) {
        match kind {
            Kind::Term | Kind::Text => self.string(text),
            Kind::Integer if is_integer(trimmed(text)) => {
                self.json.extend_from_slice(trimmed(text).as_bytes())
            }
            _ => self.string(trimmed(text)),
        }
    }

    fn string(&mut self, text: &str) {
        jcs::write_str(&mut self.json, text);
    }

    /// Breaks lines until the JSON is on the line that is being read.
    fn break_lines(&mut self) {
        while self.written + 1 < self.line {
            self.json.push(b'\n');
            self.written += 1;
        }
    }
}

/// Without XML's white space at its ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// Whether JSON has this integer too.
fn is_integer(text: &str) -> bool {
    text.len() < 16 && !text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The attributes without a prefix, but for namespace declarations.
fn attributes<'s>(tag: &'s BytesStart<'_>) -> Result<Vec<(&'s str, Cow<'s, str>)>, Rejection> {
    let mut found = Vec::new();
    for (n, attribute) in tag.attributes().enumerate() {
        let attribute = attribute.map_err(|error| bad_xml(&error.to_string()))?;
        if n >= MAX_ATTRIBUTES {
            return Err(bad_xml(&format!("an element has more than {MAX_ATTRIBUTES} attributes")));
        }
        if attribute.value.contains('<') {
            return Err(bad_xml("an attribute has an unescaped `<`"));
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| match error {
            quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => unknown_entity(&name),
            error => bad_xml(&error.to_string()),
        })?;
        if let Some(at) = value.find(|c| !is_character(c)) {
            return Err(bad_character(&value[at..]));
        }
        let (name, prefix) = attribute.key.decompose();
        if prefix.is_none() && name.into_inner() != "xmlns" {
            found.push((name.into_inner(), value));
        }
    }
    Ok(found)
}

/// The character that a reference stands for.
fn resolve(reference: &BytesRef<'_>) -> Result<char, Rejection> {
    if let Some(digits) = reference.strip_prefix('#') {
        return match reference.resolve_char_ref() {
            Ok(Some(character)) => Ok(character),
            _ if digits.ends_with('0') && digits.trim_start_matches('x').trim_matches('0').is_empty() => {
                Err(bad_character("\0"))
            }
            _ => Err(bad_xml(&format!("{} is no character", quoted(reference)))),
        };
    }
    let text = resolve_xml_entity(reference).ok_or_else(|| unknown_entity(reference))?;
    text.chars().next().ok_or_else(|| unknown_entity(reference))
}

fn unknown_entity(name: &str) -> Rejection {
    let message =
        format!("The entity {} is not one of XML's own five; write its text instead.", quoted(name));
    rejection(Code::XmlEntity, &message)
}

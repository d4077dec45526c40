//! What makes XML well-formed and the parser leaves to its caller: names, what stands between attributes, and the XML
//! declaration (XML 1.0, fifth edition, sections 2.3, 2.4, 2.6, 2.8 and 3.1; Namespaces in XML 1.0, section 7).

use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesDecl, BytesStart};
use quick_xml::name::{NamespaceResolver, ResolveResult};

use super::xml::bad_xml;
use crate::report::{Code, Rejection, quoted};

/// Checks the name of an element and those of its attributes.
pub(super) fn check_names(tag: &BytesStart<'_>, namespaces: &NamespaceResolver) -> Result<(), Rejection> {
    check_name(tag.name().into_inner())?;
    let mut known = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| bad_xml(&error.to_string()))?;
        let name = attribute.key.into_inner();
        check_name(name)?;
        check_space_before(tag, name)?;
        match namespaces.resolve_attribute(attribute.key) {
            (ResolveResult::Unknown(_), _) => {
                return Err(bad_xml(&format!("the prefix of {} is not declared", quoted(name))));
            }
            (ResolveResult::Bound(namespace), local) => {
                let name = (namespace.into_inner(), local.into_inner());
                if known.contains(&name) {
                    return Err(bad_xml(&format!("the attribute {} stands twice", quoted(name.1))));
                }
                known.push(name);
            }
            (ResolveResult::Unbound, _) => {}
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Rejection> {
    let (prefix, local) = name.split_once(':').unwrap_or(("_", name));
    if is_name(prefix) && is_name(local) {
        return Ok(());
    }
    Err(bad_xml(&format!("{} is no name", quoted(name))))
}

/// White space sets off attributes. `name` is a part of `tag`.
fn check_space_before(tag: &str, name: &str) -> Result<(), Rejection> {
    let before = name.as_ptr().addr().wrapping_sub(tag.as_ptr().addr()).checked_sub(1);
    if before.and_then(|at| tag.as_bytes().get(at)).is_some_and(u8::is_ascii_whitespace) {
        return Ok(());
    }
    Err(bad_xml(&format!("there is no space before the attribute {}", quoted(name))))
}

/// Checks what a processing instruction is for.
pub(super) fn check_target(target: &str) -> Result<(), Rejection> {
    if is_name(target) && !target.eq_ignore_ascii_case("xml") {
        return Ok(());
    }
    Err(bad_xml(&format!("{} is no target of a processing instruction", quoted(target))))
}

/// Checks text as it is written.
pub(super) fn check_text(text: &str) -> Result<(), Rejection> {
    if text.contains("]]>") {
        return Err(bad_xml("`]]>` stands in a text"));
    }
    Ok(())
}

/// Checks the XML declaration, which begins at a byte.
pub(super) fn check_declaration(declaration: &BytesDecl<'_>, begin: usize) -> Result<(), Rejection> {
    const TARGET: &str = "xml";
    if begin > 0 {
        return Err(bad_xml("the XML declaration does not come first"));
    }
    let mut known = ["version", "encoding", "standalone"].iter();
    for attribute in Attributes::new(declaration, TARGET.len()) {
        let attribute = attribute.map_err(|error| bad_xml(&error.to_string()))?;
        let name = attribute.key.into_inner();
        check_space_before(declaration, name)?;
        let is_bad_answer = name == "standalone" && !matches!(&*attribute.value, "yes" | "no");
        if !known.any(|known| *known == name) || is_bad_answer {
            return Err(bad_xml(&format!("the XML declaration may not have this {} there", quoted(name))));
        }
    }
    let version = declaration.version().map_err(|error| bad_xml(&error.to_string()))?;
    if version != "1.0" {
        return Err(bad_xml(&format!("version {} is not read; use 1.0", quoted(&version))));
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(_) => Err(super::xml::rejection(
            Code::NotUtf8,
            "The document declares an encoding that is not UTF-8; write it in UTF-8.",
        )),
    }
}

/// Whether this is a name without a colon.
fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(begins_name) && characters.all(|c| begins_name(c) || continues_name(c))
}

const fn begins_name(c: char) -> bool {
    matches!(
        c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
        | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}'
    )
}

const fn continues_name(c: char) -> bool {
    matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

//! Package URLs: parsing, and the canonical form that keys are made of.
//!
//! Implements the purl specification (ECMA-427, clause 5) and its registered type definitions, in the order of
//! the specification's "How to parse a PURL". The result is the rule set [`RULE_SET`]: keys derived from a
//! canonical purl name it, so the rules here change only together with that name. A purl that the specification
//! refuses is an error, never a guess; its key is then its text.
//!
//! Where the specification leaves a choice, the choice is:
//!
//! - Scheme, type and qualifier keys are read in any case (the specification's parse procedure lower-cases them).
//! - Characters that a canonical purl must encode may come unencoded (`+`, `,`, a space, a second `@`).
//! - A percent sign that encodes nothing, bytes that are not UTF-8, and a key given twice are refused.
//! - `golang` keeps its case, as its definition says since May 2026, although its note still says otherwise:
//!   [`Purl::folded`] is the second form to index.
//! - `git` keeps its case too, but on GitHub, where names are not case sensitive, it is folded as in `github`.
//!
//! Not here: version ranges, matching of one purl against another, a limit on length.

mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use types::{Presence, TypeRules};

/// The name of the rules by which [`Purl::canonical`] writes.
pub const RULE_SET: &str = "purl-canon/1";

/// A part of a purl, to say where an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The package type, such as `npm`.
    Type,
    /// The name's prefix: a group, vendor, owner or host.
    Namespace,
    /// The package name.
    Name,
    /// The package version.
    Version,
    /// Key and value pairs after `?`.
    Qualifiers,
    /// The path inside the package after `#`.
    Subpath,
}

/// Why a text is not a purl.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurlError {
    /// The text does not begin with `pkg:`.
    #[error("the scheme is not `pkg`")]
    Scheme,
    /// The type is empty, does not begin with a letter, or has characters other than letters, digits, `.` and `-`.
    #[error("`{type_}` is not a purl type")]
    Type {
        /// What stands in its place.
        type_: String,
    },
    /// There is no name.
    #[error("the name is missing")]
    MissingName,
    /// The type requires a namespace.
    #[error("a purl of type {type_} needs a namespace")]
    NamespaceRequired {
        /// The type.
        type_: String,
    },
    /// The type prohibits a namespace.
    #[error("a purl of type {type_} has no namespace")]
    NamespaceProhibited {
        /// The type.
        type_: String,
    },
    /// A namespace or subpath segment has an encoded slash.
    #[error("a segment of the {component:?} contains a slash")]
    SlashInSegment {
        /// Where.
        component: Component,
    },
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("the percent-encoding of the {component:?} is broken")]
    PercentEncoding {
        /// Where.
        component: Component,
    },
    /// The decoded bytes are not UTF-8.
    #[error("the {component:?} is not UTF-8")]
    Utf8 {
        /// Where.
        component: Component,
    },
    /// The definition of the type does not permit this namespace, name or version.
    #[error("type {type_} does not permit this {component:?}")]
    NotPermitted {
        /// The type.
        type_: String,
        /// Where.
        component: Component,
    },
    /// A qualifier has no `=`.
    #[error("the qualifier `{key}` has no value")]
    QualifierWithoutValue {
        /// The key.
        key: String,
    },
    /// A qualifier key does not begin with a letter, or has characters other than letters, digits, `.`, `-`, `_`.
    #[error("`{key}` is not a qualifier key")]
    QualifierKey {
        /// What stands in its place.
        key: String,
    },
    /// A qualifier is given twice.
    #[error("the qualifier `{key}` is given twice")]
    DuplicateQualifier {
        /// The key.
        key: String,
    },
    /// The type requires a qualifier that is absent.
    #[error("a purl of type {type_} needs the qualifier `{key}`")]
    QualifierRequired {
        /// The type.
        type_: String,
        /// The key.
        key: &'static str,
    },
}

/// Key and value of a qualifier.
pub type Qualifier<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The components of a purl, decoded, before any rule is applied: what [`Purl::try_from`] builds from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Components<'a> {
    /// The type, in any case.
    pub type_: Cow<'a, str>,
    /// The namespace, its segments joined by `/`.
    pub namespace: Option<Cow<'a, str>>,
    /// The name.
    pub name: Cow<'a, str>,
    /// The version.
    pub version: Option<Cow<'a, str>>,
    /// The qualifiers, in any order.
    pub qualifiers: Vec<Qualifier<'a>>,
    /// The subpath, its segments joined by `/`.
    pub subpath: Option<Cow<'a, str>>,
}

/// A valid purl, its components decoded and normalized: two of them are equal when their canonical forms are.
///
/// Components that are canonical as they stand in the text, as most are, are borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl<'a> {
    type_: Cow<'a, str>,
    namespace: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
    version: Option<Cow<'a, str>>,
    qualifiers: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    subpath: Option<Cow<'a, str>>,
}

impl<'a> Purl<'a> {
    /// Reads a purl, canonical or not.
    ///
    /// # Errors
    /// When the specification refuses the text, or the definition of its type does.
    pub fn parse(text: &'a str) -> Result<Self, PurlError> {
        let (rest, subpath) = split_last(text, '#');
        let (rest, qualifiers) = split_last(rest, '?');
        let (scheme, rest) = rest.split_once(':').ok_or(PurlError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return Err(PurlError::Scheme);
        }
        let rest = rest.trim_start_matches('/');
        let (type_, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, version) = split_version(path);
        if version.is_some() && path.ends_with('/') {
            return Err(PurlError::MissingName);
        }
        let path = path.trim_matches('/');
        let (namespace, name) = match path.rsplit_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, path),
        };
        Self::try_from(Components {
            type_: type_.into(),
            namespace: namespace.map(|text| decode_segments(text, Component::Namespace)).transpose()?,
            name: decode(name, Component::Name)?,
            version: version.map(|text| decode(text, Component::Version)).transpose()?,
            qualifiers: decode_qualifiers(qualifiers.unwrap_or_default())?,
            subpath: subpath.map(|text| decode_segments(text, Component::Subpath)).transpose()?,
        })
    }

    /// The canonical text: equal for all spellings of one purl, and what keys are made of.
    pub fn canonical(&self) -> String {
        let mut text = String::with_capacity(128);
        for part in ["pkg:", &self.type_, "/"] {
            text.push_str(part);
        }
        if let Some(namespace) = &self.namespace {
            encode_segments(&mut text, namespace);
            text.push('/');
        }
        if self.type_ == GIT {
            encode_segments(&mut text, &self.name);
        } else {
            encode(&mut text, &self.name);
        }
        if let Some(version) = &self.version {
            text.push('@');
            encode(&mut text, version);
        }
        for (at, (key, value)) in self.qualifiers.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            encode(&mut text, value);
        }
        if let Some(subpath) = &self.subpath {
            text.push('#');
            encode_segments(&mut text, subpath);
        }
        text
    }

    /// The canonical text without regard to case where the specification is unsettled about it: for `golang`,
    /// namespace and name in lower case; for all other types, the same as [`canonical`](Self::canonical).
    ///
    /// For an index only. Go modules that differ in case are different modules.
    pub fn folded(&self) -> String {
        if self.type_ != GOLANG {
            return self.canonical();
        }
        let mut purl = self.clone();
        fold(purl.namespace.as_mut());
        fold(Some(&mut purl.name));
        purl.canonical()
    }

    /// The package itself, whatever its version.
    pub fn without_version(&self) -> Self {
        Self { version: None, ..self.clone() }
    }

    /// The package type, in lower case.
    pub fn type_(&self) -> &str {
        &self.type_
    }

    /// The namespace, its segments joined by `/`.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The package name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The package version.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The qualifiers, by key.
    pub fn qualifiers(&self) -> &BTreeMap<Cow<'a, str>, Cow<'a, str>> {
        &self.qualifiers
    }

    /// The path inside the package, its segments joined by `/`.
    pub fn subpath(&self) -> Option<&str> {
        self.subpath.as_deref()
    }

    /// Whether the type is in the specification's register; if not, only the general rules were applied.
    pub fn is_registered(&self) -> bool {
        types::rules(&self.type_).is_some()
    }

    /// Applies the definition of a registered type: first the table, then what definitions say in words or patterns.
    fn apply_type(&mut self, rules: &TypeRules) -> Result<(), PurlError> {
        for component in rules.folded {
            match component {
                Component::Namespace => fold(self.namespace.as_mut()),
                Component::Name => fold(Some(&mut self.name)),
                Component::Version => fold(self.version.as_mut()),
                Component::Subpath => fold(self.subpath.as_mut()),
                Component::Type | Component::Qualifiers => {}
            }
        }
        match rules.type_ {
            "chrome-extension" => self.check_chrome_extension()?,
            "cocoapods" => self.permit_name(|name| {
                !name.starts_with('.') && !name.contains(|c: char| c == '+' || c.is_whitespace())
            })?,
            "cpan" => {
                self.permit_name(|name| !name.contains("::"))?;
                if let Some(author) = &mut self.namespace {
                    author.to_mut().make_ascii_uppercase();
                }
            }
            GIT => self.split_at_host(),
            "hackage" | "pypi" if self.name.contains('_') => self.name = self.name.replace('_', "-").into(),
            "mlflow" if self.is_on_databricks() => fold(Some(&mut self.name)),
            "pub" => {
                let permitted = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                self.name = self.name.chars().map(|c| if permitted(c) { c } else { '_' }).collect();
            }
            "swid" => self.fold_guid(),
            _ => {}
        }
        match (rules.namespace, &self.namespace) {
            (Presence::Required, None) => {
                return Err(PurlError::NamespaceRequired { type_: self.type_.to_string() });
            }
            (Presence::Prohibited, Some(_)) => {
                return Err(PurlError::NamespaceProhibited { type_: self.type_.to_string() });
            }
            _ => {}
        }
        match rules.qualifiers.iter().find(|key| !self.qualifiers.contains_key(**key)) {
            Some(key) => Err(PurlError::QualifierRequired { type_: self.type_.to_string(), key }),
            None => Ok(()),
        }
    }

    fn permit_name(&self, permitted: impl Fn(&str) -> bool) -> Result<(), PurlError> {
        if permitted(&self.name) { Ok(()) } else { Err(self.not_permitted(Component::Name)) }
    }

    fn not_permitted(&self, component: Component) -> PurlError {
        PurlError::NotPermitted { type_: self.type_.to_string(), component }
    }

    /// `^[a-p]{32}$` and `^\d+(\.\d+){0,3}$`.
    fn check_chrome_extension(&self) -> Result<(), PurlError> {
        self.permit_name(|name| name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'a'..=b'p')))?;
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match &self.version {
            Some(version) if version.split('.').count() > 4 || !version.split('.').all(number) => {
                Err(self.not_permitted(Component::Version))
            }
            _ => Ok(()),
        }
    }

    /// The namespace of a git purl is the host alone; its name is the whole path there, slashes and all.
    fn split_at_host(&mut self) {
        let path = format!("{}/{}", self.namespace.take().unwrap_or_default(), self.name);
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let first = segments.next().unwrap_or_default().to_owned();
        let name = segments.collect::<Vec<_>>().join("/");
        if name.is_empty() {
            self.name = first.into();
            return;
        }
        self.name = name.into();
        let host = first.to_lowercase();
        if matches!(host.as_str(), "github" | "github.com") {
            fold(Some(&mut self.name));
            self.namespace = Some(host.into());
        } else {
            self.namespace = Some(first.into());
        }
    }

    /// Databricks servers do not distinguish case in model names; others do.
    fn is_on_databricks(&self) -> bool {
        let Some(url) = self.qualifiers.get("repository_url") else { return false };
        let authority = url.split_once("://").map_or(url.as_ref(), |(_, rest)| rest);
        let host = authority.split(['/', ':', '?', '#']).next().unwrap_or_default().to_lowercase();
        host.ends_with(".azuredatabricks.net") || host.ends_with(".databricks.com")
    }

    /// A `tag_id` is lower case if it is a GUID, and kept as it is otherwise.
    fn fold_guid(&mut self) {
        let Some(tag) = self.qualifiers.get_mut("tag_id") else { return };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lengths = [8, 4, 4, 4, 12];
        if tag.split('-').map(str::len).eq(lengths) && tag.split('-').all(digits) {
            tag.to_mut().make_ascii_lowercase();
        }
    }
}

impl<'a> TryFrom<Components<'a>> for Purl<'a> {
    type Error = PurlError;

    /// Applies the rules of every component, then those of the type.
    fn try_from(components: Components<'a>) -> Result<Self, PurlError> {
        if !is_type(&components.type_) {
            return Err(PurlError::Type { type_: components.type_.into_owned() });
        }
        let name = match components.name {
            Cow::Borrowed(name) => Cow::Borrowed(name.trim_matches('/')),
            Cow::Owned(name) => Cow::Owned(name.trim_matches('/').to_owned()),
        };
        if name.is_empty() {
            return Err(PurlError::MissingName);
        }
        let mut purl = Self {
            type_: lower_case(components.type_),
            namespace: components.namespace.and_then(|text| join(text, |segment| !segment.is_empty())),
            name,
            version: components.version.filter(|version| !version.is_empty()),
            qualifiers: collect_qualifiers(components.qualifiers)?,
            subpath: components
                .subpath
                .and_then(|text| join(text, |segment| !matches!(segment, "" | "." | ".."))),
        };
        if let Some(rules) = types::rules(&purl.type_) {
            purl.apply_type(rules)?;
        }
        Ok(purl)
    }
}

const GIT: &str = "git";
const GOLANG: &str = "golang";

/// What is told of a purl by one look at each of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain<'a> {
    pub(crate) type_: &'a str,
    pub(crate) version: Option<&'a str>,
}

/// A text that is plainly a canonical purl: [`Purl::parse`] takes it, and [`Purl::canonical`] gives it back as it is.
///
/// Most purls of published documents are. Nothing is said of others: those with an escape or a subpath, with a type
/// that has rules in words, or with upper case where a type folds it.
pub(crate) fn plain(text: &str) -> Option<Plain<'_>> {
    let (type_, rest) = split_once(text.strip_prefix("pkg:")?, b'/');
    let rest = rest?;
    let rules = types::rules(type_).filter(|rules| rules.qualifiers.is_empty())?;
    if matches!(
        rules.type_,
        "chrome-extension" | "cocoapods" | "cpan" | GIT | "hackage" | "mlflow" | "pub" | "pypi" | "swid"
    ) {
        return None;
    }
    let (rest, qualifiers) = split_once(rest, b'?');
    let (path, version) = split_once(rest, b'@');
    let (namespace, name) =
        path.rsplit_once('/').map_or((None, path), |(namespace, name)| (Some(namespace), name));
    let folds = |component| rules.folded.contains(&component);
    let is_plain = |text: &str, component| {
        !text.is_empty()
            && text.bytes().all(stays)
            && !(folds(component) && text.bytes().any(|byte| byte.is_ascii_uppercase()))
    };
    let has_namespace = match namespace {
        None => rules.namespace != Presence::Required,
        Some(namespace) => {
            let mut segments = namespace.as_bytes().split(|byte| *byte == b'/');
            rules.namespace != Presence::Prohibited
                && segments.all(|segment| !segment.is_empty() && segment.iter().copied().all(stays))
                && !(folds(Component::Namespace) && namespace.bytes().any(|byte| byte.is_ascii_uppercase()))
        }
    };
    let is_plain = has_namespace
        && is_plain(name, Component::Name)
        && version.is_none_or(|version| is_plain(version, Component::Version))
        && qualifiers.is_none_or(are_plain_qualifiers);
    is_plain.then_some(Plain { type_, version })
}

/// Whether qualifiers are in order, each with a key in lower case and a value that needs no escapes.
fn are_plain_qualifiers(text: &str) -> bool {
    let mut last = "";
    text.split('&').all(|pair| {
        let (key, value) = split_once(pair, b'=');
        let is_plain = is_key(key)
            && key > last
            && !key.bytes().any(|byte| byte.is_ascii_uppercase())
            && value.is_some_and(|value| !value.is_empty() && value.bytes().all(stays));
        last = key;
        is_plain
    })
}

/// As [`str::split_once`]; for texts as short as these, faster.
pub(crate) fn split_once(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

fn split_last(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.rsplit_once(separator) {
        Some((rest, last)) => (rest, Some(last)),
        None => (text, None),
    }
}

/// Splits at the last `@`, unless it opens a segment before the last one: the unencoded scope of an npm package.
fn split_version(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once('@') {
        Some((before, after)) if (before.is_empty() || before.ends_with('/')) && after.contains('/') => {
            (path, None)
        }
        Some((before, after)) => (before, Some(after)),
        None => (path, None),
    }
}

fn is_type(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn collect_qualifiers<'a>(
    pairs: Vec<Qualifier<'a>>,
) -> Result<BTreeMap<Cow<'a, str>, Cow<'a, str>>, PurlError> {
    let mut qualifiers = BTreeMap::new();
    for (key, value) in pairs {
        if !is_key(&key) {
            return Err(PurlError::QualifierKey { key: key.into_owned() });
        }
        let key = lower_case(key);
        if value.is_empty() {
            continue;
        }
        if qualifiers.insert(key.clone(), value).is_some() {
            return Err(PurlError::DuplicateQualifier { key: key.into_owned() });
        }
    }
    Ok(qualifiers)
}

fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => text.to_ascii_lowercase().into(),
        false => text,
    }
}

fn fold(text: Option<&mut Cow<'_, str>>) {
    let may_change = |byte: u8| !byte.is_ascii() || byte.is_ascii_uppercase();
    if let Some(text) = text.filter(|text| text.bytes().any(may_change)) {
        *text = text.to_lowercase().into();
    }
}

fn join(text: Cow<'_, str>, keep: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    if text.split('/').all(&keep) {
        return Some(text);
    }
    let segments: Vec<_> = text.split('/').filter(|segment| keep(segment)).collect();
    if segments.is_empty() { None } else { Some(segments.join("/").into()) }
}

fn decode_segments(text: &str, component: Component) -> Result<Cow<'_, str>, PurlError> {
    if !has_escapes(text) {
        return Ok(text.into());
    }
    let mut decoded = String::with_capacity(text.len());
    for segment in text.split('/') {
        let segment = decode(segment, component)?;
        if segment.contains('/') {
            return Err(PurlError::SlashInSegment { component });
        }
        decoded.push_str(&segment);
        decoded.push('/');
    }
    Ok(decoded.into())
}

/// Empty pairs are passed over, as a stray `&` means nothing.
fn decode_qualifiers(text: &str) -> Result<Vec<Qualifier<'_>>, PurlError> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| PurlError::QualifierWithoutValue { key: pair.to_owned() })?;
            Ok((key.into(), decode(value, Component::Qualifiers)?))
        })
        .collect()
}

/// What a text stands for in which bytes may be percent-encoded; nothing if that is no UTF-8, or broken.
pub(crate) fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    decode(text, Component::Name).ok()
}

/// Whether there is something to decode; for texts as short as these, faster than [`str::contains`].
fn has_escapes(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'%')
}

fn decode(text: &str, component: Component) -> Result<Cow<'_, str>, PurlError> {
    if !has_escapes(text) {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(PurlError::PercentEncoding { component }) };
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
            return Err(PurlError::PercentEncoding { component });
        };
        bytes.push(high << 4 | low);
        rest = tail;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| PurlError::Utf8 { component })
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn encode_segments(out: &mut String, text: &str) {
    for (at, segment) in text.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        encode(out, segment);
    }
}

/// Clause 5.4: everything but letters, digits, `.`, `-`, `_`, `~` and the colon is encoded.
fn encode(out: &mut String, text: &str) {
    if text.bytes().all(stays) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        match stays(byte) {
            true => out.push(char::from(byte)),
            false => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
}

const fn stays(byte: u8) -> bool {
    STAYS[byte as usize]
}

static STAYS: [bool; 256] = {
    let mut stays = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        stays[byte] =
            character.is_ascii_alphanumeric() || matches!(character, b'.' | b'-' | b'_' | b'~' | b':');
        byte += 1;
    }
    stays
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Result<String, PurlError> {
        Purl::parse(text).map(|purl| purl.canonical())
    }

    #[test]
    fn golang_keeps_its_case_and_has_a_folded_form() {
        let purl = Purl::parse("pkg:golang/github.com/Masterminds/Squirrel@V1.5.4#Sub/Dir").unwrap();
        assert_eq!(purl.canonical(), "pkg:golang/github.com/Masterminds/Squirrel@V1.5.4#Sub/Dir");
        assert_eq!(purl.folded(), "pkg:golang/github.com/masterminds/squirrel@V1.5.4#Sub/Dir");
        let other = Purl::parse("pkg:maven/HTTPClient/HTTPClient").unwrap();
        assert_eq!(other.folded(), other.canonical());
    }

    fn is_rightly_plain(text: &str) -> bool {
        let Some(plain) = plain(text) else { return true };
        let Ok(purl) = Purl::parse(text) else { return false };
        purl.canonical() == text && (plain.type_, plain.version) == (purl.type_(), purl.version())
    }

    #[test]
    fn a_plain_purl_is_told_without_parsing_it() {
        for text in [
            "pkg:golang/sigs.k8s.io/cluster-api",
            "pkg:golang/github.com/Masterminds/Squirrel@v1.5.4",
            "pkg:rpm/redhat/kernel-doc@5.14.0-284.69.1.el9_2?arch=noarch&epoch=1",
            "pkg:oci/nginx@sha256:13d2?tag=1.0",
            "pkg:generic/a",
        ] {
            assert!(plain(text).is_some() && is_rightly_plain(text), "{text}");
        }
        for text in [
            "pkg:rpm/kernel",
            "pkg:rpm/RedHat/kernel",
            "pkg:oci/a/b",
            "pkg:oci/Nginx",
            "pkg:npm/a//b",
            "pkg:npm/a/",
            "pkg:npm//a",
            "pkg:npm/a@",
            "pkg:npm/a@1@2",
            "pkg:npm/@a/b",
            "pkg:npm/a@1/2",
            "pkg:npm/a%20b",
            "pkg:npm/a#b",
            "pkg:npm/a?",
            "pkg:npm/a?b",
            "pkg:npm/a?b=",
            "pkg:npm/a?b=1&a=1",
            "pkg:npm/a?b=1&b=1",
            "pkg:npm/a?B=1",
            "pkg:npm/a?b=/",
            "pkg:pypi/a_b",
            "pkg:julia/a",
            "pkg:unknown/a",
            "PKG:npm/a",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn golang_needs_no_namespace() {
        assert_eq!(canonical("pkg:golang/stdlib@v1.25.9").unwrap(), "pkg:golang/stdlib@v1.25.9");
    }

    #[test]
    fn git_folds_case_on_github_only() {
        assert_eq!(canonical("pkg:git/GitHub.com/Foo/Bar").unwrap(), "pkg:git/github.com/foo/bar");
        assert_eq!(
            canonical("pkg:git/gitlab.gnome.org/GNOME/adwaita-fonts").unwrap(),
            "pkg:git/gitlab.gnome.org/GNOME/adwaita-fonts"
        );
    }

    #[test]
    fn both_spellings_of_an_image_digest_are_one_purl() {
        let spelt =
            ["pkg:oci/nginx@sha256%3a13D2", "pkg:oci/nginx@sha256:13d2", "PKG://OCI/Nginx@sha256:13d2?tag="];
        for text in spelt {
            assert_eq!(canonical(text).unwrap(), "pkg:oci/nginx@sha256:13d2", "{text}");
        }
    }

    #[test]
    fn encodes_separators_that_are_data() {
        assert_eq!(
            canonical("pkg:npm/@scope/a@b@1/2+3?K=v,w=x@y#a@b").unwrap(),
            "pkg:npm/%40scope/a%40b@1%2F2%2B3?k=v%2Cw%3Dx%40y#a%40b"
        );
        assert_eq!(canonical("pkg:generic/a%2Fb").unwrap(), "pkg:generic/a%2Fb");
    }

    #[test]
    fn subpath_loses_segments_that_mean_nothing() {
        assert_eq!(canonical("pkg:npm/a#/./b//%2E%2E/c/").unwrap(), "pkg:npm/a#b/c");
    }

    #[test]
    fn without_version_keeps_the_rest() {
        let purl = Purl::parse("pkg:deb/debian/bash@5.2?arch=amd64").unwrap();
        assert_eq!(purl.without_version().canonical(), "pkg:deb/debian/bash?arch=amd64");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let type_ = |type_: &str| type_.to_owned();
        let cases = [
            ("npm/left-pad", PurlError::Scheme),
            ("pkg:a+b/c", PurlError::Type { type_: type_("a+b") }),
            ("pkg:npm/", PurlError::MissingName),
            ("pkg:npm/@1.0", PurlError::MissingName),
            ("pkg:npm/@scope", PurlError::MissingName),
            ("pkg:rpm/bash", PurlError::NamespaceRequired { type_: type_("rpm") }),
            ("pkg:oci/openshift3/ose", PurlError::NamespaceProhibited { type_: type_("oci") }),
            ("pkg:npm/a%2fb/c", PurlError::SlashInSegment { component: Component::Namespace }),
            ("pkg:npm/a#b%2Fc", PurlError::SlashInSegment { component: Component::Subpath }),
            ("pkg:npm/100%", PurlError::PercentEncoding { component: Component::Name }),
            ("pkg:npm/a@%g0", PurlError::PercentEncoding { component: Component::Version }),
            ("pkg:npm/a?k=%ff", PurlError::Utf8 { component: Component::Qualifiers }),
            ("pkg:cpan/A::B", PurlError::NotPermitted { type_: type_("cpan"), component: Component::Name }),
            (
                "pkg:cocoapods/.a",
                PurlError::NotPermitted { type_: type_("cocoapods"), component: Component::Name },
            ),
            ("pkg:npm/a?arch", PurlError::QualifierWithoutValue { key: type_("arch") }),
            ("pkg:npm/a?1=x", PurlError::QualifierKey { key: type_("1") }),
            ("pkg:npm/a?K=x&k=y", PurlError::DuplicateQualifier { key: type_("k") }),
            ("pkg:swid/a", PurlError::QualifierRequired { type_: type_("swid"), key: "tag_id" }),
        ];
        for (text, error) in cases {
            assert_eq!(Purl::parse(text), Err(error), "{text}");
        }
    }

    /// Texts near enough to a purl that many of them parse.
    fn near_purl() -> impl Strategy<Value = String> {
        let type_ = prop_oneof![
            proptest::sample::select(vec![
                "npm", "git", "golang", "pypi", "pub", "cpan", "oci", "otp", "generic", "swid", "mlflow",
                "hackage",
            ])
            .prop_map(str::to_owned),
            "[a-zA-Z][a-zA-Z0-9.-]{0,6}",
        ];
        (type_, "[a-zA-Zİß_./@%2540-9:+~ Σς-]{0,24}", "([?#&=]([a-zA-Z]{0,3}=)?[%2Fa-z./@ Ä]{0,8}){0,4}")
            .prop_map(|(type_, path, tail)| format!("pkg:{type_}/{path}{tail}"))
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), tail in any::<String>()) {
            let _ = Purl::parse(&text);
            let _ = Purl::parse(&format!("pkg:generic/{tail}"));
        }

        #[test]
        fn canonical_is_idempotent(text in near_purl()) {
            prop_assert!(is_rightly_plain(&text));
            if let Ok(purl) = Purl::parse(&text) {
                let canonical = purl.canonical();
                prop_assert!(is_rightly_plain(&canonical));
                prop_assert_eq!(&Purl::parse(&canonical).unwrap(), &purl, "{}", canonical);
                let folded = purl.folded();
                prop_assert_eq!(Purl::parse(&folded).unwrap().folded(), folded);
            }
        }

        #[test]
        fn components_survive_the_canonical_form(
            name in "\\PC{1,8}", namespace in "\\PC{0,8}", version in "\\PC{0,8}", value in "\\PC{0,8}",
            subpath in "\\PC{0,8}",
        ) {
            let built = Purl::try_from(Components {
                type_: "Generic".into(),
                namespace: Some(namespace.into()),
                name: name.into(),
                version: Some(version.into()),
                qualifiers: vec![("Key".into(), value.into())],
                subpath: Some(subpath.into()),
            });
            if let Ok(purl) = built {
                let canonical = purl.canonical();
                prop_assert_eq!(Purl::parse(&canonical).unwrap(), purl);
            }
        }
    }
}

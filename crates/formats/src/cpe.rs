//! CPE names: both bindings in, the canonical formatted string out.
//!
//! Implements NISTIR 7695 (CPE Naming 2.3): unbinding of a 2.2 URI (section 6.1.3, with the packed edition),
//! unbinding of a 2.3 formatted string (section 6.2.3, with the syntax of figure 6-3) and binding to a formatted
//! string (section 6.2.2). The canonical form is in lower case, as names are compared, and quotes only what must be.
//!
//! Not here: binding to a URI, matching of names (NISTIR 7696), and the dictionary.

use std::fmt::{self, Write as _};

/// An attribute of a name, in the order of the formatted string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `a`, `h` or `o`.
    Part,
    /// Who makes it.
    Vendor,
    /// What it is called.
    Product,
    /// Its version.
    Version,
    /// Its update, service pack or point release.
    Update,
    /// The edition of CPE 2.2.
    Edition,
    /// The language of its user interface.
    Language,
    /// The edition for a market or class of users.
    SwEdition,
    /// The software it runs on.
    TargetSw,
    /// The hardware it runs on.
    TargetHw,
    /// Anything else.
    Other,
}

use Attribute::{
    Edition, Language, Other, Part, Product, SwEdition, TargetHw, TargetSw, Update, Vendor, Version,
};

const ATTRIBUTES: [Attribute; 11] =
    [Part, Vendor, Product, Version, Update, Edition, Language, SwEdition, TargetSw, TargetHw, Other];

/// Why a text is not a CPE name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpeError {
    /// The text begins with neither `cpe:/` nor `cpe:2.3:`.
    #[error("a CPE name begins with `cpe:/` or `cpe:2.3:`")]
    Prefix,
    /// A formatted string has eleven attributes, a URI at most seven components.
    #[error("{found} components")]
    ComponentCount {
        /// How many there are.
        found: usize,
    },
    /// A packed edition is not `~` and five values with `~` between them.
    #[error("the packed edition does not hold five values")]
    PackedEdition,
    /// An attribute of a formatted string is empty.
    #[error("the {attribute:?} is empty")]
    Empty {
        /// Which.
        attribute: Attribute,
    },
    /// A character that must be quoted is not, or one that cannot be is.
    #[error("{character:?} cannot stand so in the {attribute:?}")]
    Character {
        /// Where.
        attribute: Attribute,
        /// The character.
        character: char,
    },
    /// A percent-encoded form that the specification does not list, or a broken one.
    #[error("the {attribute:?} has an illegal percent-encoded form")]
    PercentEncoding {
        /// Where.
        attribute: Attribute,
    },
    /// A wildcard is inside a value, or a value is nothing but wildcards.
    #[error("a wildcard of the {attribute:?} is neither before nor after a value")]
    Wildcard {
        /// Where.
        attribute: Attribute,
    },
    /// A quoted hyphen stands alone, and would be bound as the logical value NA.
    #[error("the {attribute:?} is a quoted hyphen")]
    QuotedHyphen {
        /// Where.
        attribute: Attribute,
    },
    /// The part is none of `a`, `h`, `o`, ANY and NA.
    #[error("unknown part")]
    Part,
    /// The language is not a tag of language and region.
    #[error("not a language tag")]
    Language,
}

/// A valid CPE name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpe {
    bound: String,
}

impl Cpe {
    /// Reads a 2.2 URI or a 2.3 formatted string.
    ///
    /// # Errors
    /// When NISTIR 7695 refuses the text.
    pub fn parse(text: &str) -> Result<Self, CpeError> {
        let values = if let Some(rest) = strip_prefix(text, "cpe:2.3:") {
            unbind_formatted_string(rest)?
        } else if let Some(rest) = strip_prefix(text, "cpe:/") {
            unbind_uri(rest)?
        } else {
            return Err(CpeError::Prefix);
        };
        let mut bound = "cpe:2.3".to_owned();
        for (attribute, value) in ATTRIBUTES.into_iter().zip(values) {
            value.check(attribute)?;
            write!(bound, ":{value}").expect("a string takes all that is written");
        }
        Ok(Self { bound })
    }

    /// The formatted string, canonical: `cpe:2.3:` and eleven attributes.
    pub fn bound(&self) -> &str {
        &self.bound
    }
}

/// The value of an attribute in a well-formed name (section 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Any,
    NotApplicable,
    Text(Vec<Unit>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Literal(char),
    /// `*`: any number of characters.
    Many,
    /// `?`: one character, or none.
    One,
}

impl Value {
    /// Figure 6-3, as far as reading a value has not seen to it.
    fn check(&self, attribute: Attribute) -> Result<(), CpeError> {
        let Self::Text(units) = self else { return Ok(()) };
        if units.is_empty() {
            return Err(CpeError::Empty { attribute });
        }
        if units == &[Unit::Literal('-')] {
            return Err(CpeError::QuotedHyphen { attribute });
        }
        let literal = |unit: &Unit| matches!(unit, Unit::Literal(_));
        let (Some(first), Some(last)) = (units.iter().position(literal), units.iter().rposition(literal))
        else {
            return Err(CpeError::Wildcard { attribute });
        };
        let wildcards = |run: &[Unit]| run == [Unit::Many] || run.iter().all(|unit| *unit == Unit::One);
        let (before, rest) = units.split_at(first);
        let (text, after) = rest.split_at(last + 1 - first);
        if !wildcards(before) || !wildcards(after) || !text.iter().all(literal) {
            return Err(CpeError::Wildcard { attribute });
        }
        match attribute {
            Part if !matches!(units.as_slice(), [Unit::Literal('a' | 'h' | 'o')]) => Err(CpeError::Part),
            Language if !is_language_tag(&self.to_string()) => Err(CpeError::Language),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Value {
    /// Section 6.2.2.2, `bind_value_for_fs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::NotApplicable => f.write_str("-"),
            Self::Text(units) => units.iter().try_for_each(|unit| match unit {
                Unit::Literal(c) if is_unreserved(*c) => write!(f, "{c}"),
                Unit::Literal(c) => write!(f, "\\{c}"),
                Unit::Many => f.write_str("*"),
                Unit::One => f.write_str("?"),
            }),
        }
    }
}

/// Section 6.1.3.2, `unbind_URI`.
fn unbind_uri(text: &str) -> Result<Vec<Value>, CpeError> {
    let components: Vec<_> = text.split(':').collect();
    if components.len() > 7 {
        return Err(CpeError::ComponentCount { found: components.len() });
    }
    let component = |at: usize| components.get(at).copied().unwrap_or_default();
    let [edition, sw_edition, target_sw, target_hw, other] = unpack(component(5))?;
    let texts = [
        component(0),
        component(1),
        component(2),
        component(3),
        component(4),
        edition,
        component(6),
        sw_edition,
        target_sw,
        target_hw,
        other,
    ];
    texts.into_iter().zip(ATTRIBUTES).map(|(text, attribute)| decode(text, attribute)).collect()
}

/// The five values of a packed edition, or the edition and four blanks. As in the specification's procedure, a
/// further tilde belongs to the last value.
fn unpack(edition: &str) -> Result<[&str; 5], CpeError> {
    let Some(packed) = edition.strip_prefix('~') else { return Ok([edition, "", "", "", ""]) };
    let values: Vec<_> = packed.splitn(5, '~').collect();
    values.try_into().map_err(|_| CpeError::PackedEdition)
}

/// Section 6.1.3.2, `decode`; and refuses what the grammar of the URI does not let stand unencoded.
fn decode(text: &str, attribute: Attribute) -> Result<Value, CpeError> {
    match text {
        "" => return Ok(Value::Any),
        "-" => return Ok(Value::NotApplicable),
        _ => {}
    }
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '%' {
            let form = rest.get(1..3).ok_or(CpeError::PercentEncoding { attribute })?;
            units.push(percent_form(form).ok_or(CpeError::PercentEncoding { attribute })?);
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        if !is_unreserved(character) && character != '~' {
            return Err(CpeError::Character { attribute, character });
        }
        units.push(Unit::Literal(character.to_ascii_lowercase()));
        rest = rest.get(1..).unwrap_or_default();
    }
    Ok(Value::Text(units))
}

/// The encoded forms of section 6.1.3.2: two for the wildcards, and one for each character that is punctuation.
fn percent_form(digits: &str) -> Option<Unit> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match u8::from_str_radix(digits, 16).ok()? {
        0x01 => Some(Unit::One),
        0x02 => Some(Unit::Many),
        byte if byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'.' | b'_') => {
            Some(Unit::Literal(char::from(byte)))
        }
        _ => None,
    }
}

/// Section 6.2.3.2, `unbind_fs`.
fn unbind_formatted_string(text: &str) -> Result<Vec<Value>, CpeError> {
    let components = split_unquoted(text);
    if components.len() != ATTRIBUTES.len() {
        return Err(CpeError::ComponentCount { found: components.len() });
    }
    components.into_iter().zip(ATTRIBUTES).map(|(text, attribute)| unquote(text, attribute)).collect()
}

/// Splits at the colons that no backslash quotes.
fn split_unquoted(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let separator = |character: char| {
        let separates = character == ':' && !quoted;
        quoted = character == '\\' && !quoted;
        separates
    };
    text.split(separator).collect()
}

/// Section 6.2.3.2, `unbind_value_fs`; and refuses what figure 6-3 does not let stand unquoted. Hyphen, period and
/// underscore need no quoting, but often have it.
fn unquote(text: &str, attribute: Attribute) -> Result<Value, CpeError> {
    match text {
        "*" => return Ok(Value::Any),
        "-" => return Ok(Value::NotApplicable),
        _ => {}
    }
    let mut units = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        units.push(match character {
            '\\' => match characters.next() {
                Some(quoted) if quoted.is_ascii_punctuation() => Unit::Literal(quoted),
                other => return Err(CpeError::Character { attribute, character: other.unwrap_or('\\') }),
            },
            '*' => Unit::Many,
            '?' => Unit::One,
            _ if is_unreserved(character) => Unit::Literal(character.to_ascii_lowercase()),
            _ => return Err(CpeError::Character { attribute, character }),
        });
    }
    Ok(Value::Text(units))
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn is_unreserved(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_')
}

/// Two or three letters, and a region of two letters or three digits.
fn is_language_tag(text: &str) -> bool {
    let (language, region) = text.split_once('-').unwrap_or((text, "us"));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(language.len(), 2 | 3)
        && letters(language)
        && (region.len() == 2 && letters(region) || region.len() == 3 && digits(region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bound(text: &str) -> String {
        Cpe::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).bound().to_owned()
    }

    /// The names that sections 6.1.2.4, 6.1.3.3, 6.2.2.3 and 6.2.3.3 give in more than one form.
    #[test]
    fn examples_of_the_specification() {
        let cases = [
            (
                "cpe:/a:microsoft:internet_explorer:8.0.6001:beta",
                r"cpe:2.3:a:microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*",
            ),
            (
                "cpe:/a:microsoft:internet_explorer:8.%02:sp%01",
                r"cpe:2.3:a:microsoft:internet_explorer:8.*:sp?:*:*:*:*:*:*",
            ),
            (
                "cpe:/a:microsoft:internet_explorer:8.%2a:sp%3f",
                r"cpe:2.3:a:microsoft:internet_explorer:8.\*:sp\?:*:*:*:*:*:*",
            ),
            (
                "cpe:/a:hp:insight_diagnostics:7.4.0.1570:-:~~online~win2003~x64~",
                r"cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*",
            ),
            (
                "cpe:/a:hp:insight_diagnostics:7.4.0.1570::~~online~win2003~x64~",
                r"cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:*:*:*:online:win2003:x64:*",
            ),
            (
                "cpe:/a:hp:openview_network_manager:7.51::~~~linux~~",
                r"cpe:2.3:a:hp:openview_network_manager:7.51:*:*:*:*:linux:*:*",
            ),
            (
                "cpe:/a:hp:openview_network_manager:7.51:-:~~~linux~~",
                r"cpe:2.3:a:hp:openview_network_manager:7.51:-:*:*:*:linux:*:*",
            ),
            (
                "cpe:/a:foo%5cbar:big%24money_manager_2010:::~~special~ipod_touch~80gb~",
                r"cpe:2.3:a:foo\\bar:big\$money_manager_2010:*:*:*:*:special:ipod_touch:80gb:*",
            ),
            ("cpe:/a:foo~bar:big%7emoney_2010", r"cpe:2.3:a:foo\~bar:big\~money_2010:*:*:*:*:*:*:*:*"),
            (
                r"cpe:2.3:a:foo\\bar:big\$money:2010:*:*:*:special:ipod_touch:80gb:*",
                r"cpe:2.3:a:foo\\bar:big\$money:2010:*:*:*:special:ipod_touch:80gb:*",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(bound(text), expected, "{text}");
            assert_eq!(bound(expected), expected);
        }
    }

    #[test]
    fn errors_of_the_specification() {
        let percent = CpeError::PercentEncoding { attribute: Product };
        let wildcard = CpeError::Wildcard { attribute: Version };
        let cases = [
            ("cpe:/a:foo%5cbar:big%24money_2010%07:::~~special~ipod_touch~80gb~", percent),
            ("cpe:/a:foo:bar:12.%02.1234", wildcard.clone()),
            ("cpe:2.3:a:hp:insight_diagnostics:7.4.*.1570:*:*:*:*:*:*:*", wildcard),
        ];
        for (text, error) in cases {
            assert_eq!(Cpe::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn names_of_real_documents() {
        let cases = [
            (
                "cpe:/a:redhat:enterprise_linux:8::appstream",
                "a:redhat:enterprise_linux:8:*:appstream:*:*:*:*:*",
            ),
            ("cpe:/a:redhat:ceph_storage:7::el9", "a:redhat:ceph_storage:7:*:el9:*:*:*:*:*"),
            ("cpe:/o:redhat:enterprise_linux:7", "o:redhat:enterprise_linux:7:*:*:*:*:*:*:*"),
            ("cpe:/a:redhat:openshift:4", "a:redhat:openshift:4:*:*:*:*:*:*:*"),
            (
                "cpe:/a:csaf-tools:cvrf-csaf-converter:1.0.0-rc2",
                "a:csaf-tools:cvrf-csaf-converter:1.0.0-rc2:*:*:*:*:*:*:*",
            ),
            ("cpe:2.3:a:so:vex_comp_2:2.0.0:*:*:*:*:*:*:*", "a:so:vex_comp_2:2.0.0:*:*:*:*:*:*:*"),
            (
                "cpe:2.3:o:ciq:rocky_linux_from_ciq_lts:9.2:*:*:*:*:*:*:*",
                "o:ciq:rocky_linux_from_ciq_lts:9.2:*:*:*:*:*:*:*",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(bound(text), format!("cpe:2.3:{expected}"));
        }
    }

    #[test]
    fn one_name_has_one_canonical_form() {
        let expected = r"cpe:2.3:a:vendor:pro-duct:1.0\+x:-:*:en-us:*:*:*:*";
        for text in [
            r"CPE:2.3:A:Vendor:Pro\-Duct:1\.0\+X:-:*:en-US:*:*:*:*",
            "CPE:/A:VENDOR:Pro-Duct:1.0%2BX:-::EN-us",
            "cpe:/a:vendor:pro-duct:1.0%2bx:-:~~~~~:en-us",
        ] {
            assert_eq!(bound(text), expected, "{text}");
        }
        assert_eq!(bound("cpe:/"), "cpe:2.3:*:*:*:*:*:*:*:*:*:*:*");
        assert_eq!(bound("cpe:/a:v:p:::"), bound("cpe:/a:v:p"));
    }

    #[test]
    fn quoted_colon_does_not_separate() {
        let text = r"cpe:2.3:a:v\:w:x\\:1:*:*:*:*:*:*:*";
        assert_eq!(bound(text), text);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let fs = |vendor: &str| format!("cpe:2.3:a:{vendor}:p:*:*:*:*:*:*:*:*");
        let cases = [
            ("pkg:npm/a".to_owned(), CpeError::Prefix),
            ("cpe:2.3:a:v:p".to_owned(), CpeError::ComponentCount { found: 3 }),
            ("cpe:/a:v:p:1:2:3:en:8".to_owned(), CpeError::ComponentCount { found: 8 }),
            ("cpe:/a:v:p:1::~ed~sw".to_owned(), CpeError::PackedEdition),
            ("cpe:/x:v:p".to_owned(), CpeError::Part),
            ("cpe:/a:v:p::::english".to_owned(), CpeError::Language),
            ("cpe:/a:v:p%2".to_owned(), CpeError::PercentEncoding { attribute: Product }),
            ("cpe:/a:v:p%+1".to_owned(), CpeError::PercentEncoding { attribute: Product }),
            ("cpe:/a:v:p%é".to_owned(), CpeError::PercentEncoding { attribute: Product }),
            ("cpe:/a:v:p+".to_owned(), CpeError::Character { attribute: Product, character: '+' }),
            (fs(""), CpeError::Empty { attribute: Vendor }),
            (fs("a b"), CpeError::Character { attribute: Vendor, character: ' ' }),
            (fs("a+"), CpeError::Character { attribute: Vendor, character: '+' }),
            (fs(r"\a"), CpeError::Character { attribute: Vendor, character: 'a' }),
            (fs(r"\-"), CpeError::QuotedHyphen { attribute: Vendor }),
            (fs("??"), CpeError::Wildcard { attribute: Vendor }),
            (fs("**a"), CpeError::Wildcard { attribute: Vendor }),
            (fs("a*?"), CpeError::Wildcard { attribute: Vendor }),
            (fs("a?b"), CpeError::Wildcard { attribute: Vendor }),
        ];
        for (text, error) in cases {
            assert_eq!(Cpe::parse(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Cpe::parse(&text);
            let _ = Cpe::parse(&format!("cpe:/{text}"));
            let _ = Cpe::parse(&format!("cpe:2.3:{text}"));
        }

        #[test]
        fn bound_is_idempotent(
            uri in "[aho]?(:[a-zA-Z0-9._~%12abF-]{0,6}){0,4}(:~a~~b~~c%21)?",
            value in r"[*?]{0,2}([a-z._-]|\\[!-/:-@]){1,4}[*?]{0,2}",
        ) {
            for text in [format!("cpe:/{uri}"), format!("cpe:2.3:a:{value}:-:*:*:*:*:*:*:*:*")] {
                if let Ok(cpe) = Cpe::parse(&text) {
                    prop_assert_eq!(Cpe::parse(cpe.bound()).unwrap(), cpe);
                }
            }
        }
    }
}

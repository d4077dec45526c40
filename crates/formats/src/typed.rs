//! Typed reading that keeps a document whose members have unexpected types.
//!
//! A derived serde struct refuses the whole document for one member of another JSON type. Here every member is a
//! [`Member`]: absent, a value of the wanted shape, or of another type, which the reader turns into a finding.
//! Text is borrowed from the document where it has no escapes, lists are read as they are walked, and what no reader
//! asks for is stepped over: the strict pass has left the places of all values.

use std::borrow::Cow;
use std::marker::PhantomData;

use provex_core::json::{Content, Elements, Members, Node};

use crate::report::{Code, Findings};

/// A member of an object, or an element of an array.
#[derive(Debug, Default)]
pub(crate) enum Member<T> {
    /// Not there.
    #[default]
    Absent,
    /// There, in a shape that the reader takes.
    Value(T),
    /// There, but of this JSON type.
    Wrong(Type),
}

/// A JSON type, for those who expect another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    const fn label(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<T> Member<T> {
    /// The value, if it has one; another JSON type is a finding.
    pub(crate) fn take(
        self,
        findings: &mut Findings,
        pointer: impl FnOnce() -> String,
        wanted: &str,
    ) -> Option<T> {
        self.check(findings, pointer, wanted);
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Wrong(_) => None,
        }
    }

    /// Another JSON type is a finding.
    pub(crate) fn check(&self, findings: &mut Findings, pointer: impl FnOnce() -> String, wanted: &str) {
        if let Self::Wrong(found) = self {
            let found = found.label();
            let message =
                || format!("This member is {found} and was not read; make it {wanted} or leave it out.");
            findings.add(Code::WrongType, pointer, message);
        }
    }

    /// Whether it is not there at all.
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it is there and not null: many tools write null for what they leave out.
    pub(crate) fn is_stated(&self) -> bool {
        !matches!(self, Self::Absent | Self::Wrong(Type::Null))
    }

    /// The value, if it has one.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Wrong(_) => None,
        }
    }
}

/// What a value can be read from: each method for one JSON type, by default refusing it.
pub(crate) trait Shape<'a>: Sized {
    /// From a string.
    fn text(_: Cow<'a, str>) -> Option<Self> {
        None
    }

    /// From a number.
    fn number(_: Number) -> Option<Self> {
        None
    }

    /// From an array.
    fn array(_: Elements<'a>) -> Option<Self> {
        None
    }

    /// From an object.
    fn object(_: Members<'a>) -> Option<Self> {
        None
    }
}

impl<'a, T: Shape<'a>> Member<T> {
    /// Reads a value.
    pub(crate) fn of(value: Node<'a>) -> Self {
        let (found, value) = match value.content() {
            Content::Null => (Type::Null, None),
            Content::Bool(_) => (Type::Boolean, None),
            Content::Number(text) => (Type::Number, T::number(Number::of(text))),
            Content::String(text) => (Type::String, T::text(text)),
            Content::Array(elements) => (Type::Array, T::array(elements)),
            Content::Object(members) => (Type::Object, T::object(members)),
        };
        value.map_or(Self::Wrong(found), Self::Value)
    }
}

/// A JSON number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// Zero or more.
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    /// With a fraction or exponent, or beyond 64 bits.
    Float(f64),
}

impl Number {
    /// Reads a number as the strict pass took it.
    fn of(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self::Unsigned(number);
        }
        match text.parse() {
            Ok(number) if number < 0 => Self::Negative(number),
            _ => Self::Float(text.parse().unwrap_or_default()),
        }
    }
}

impl<'a> Shape<'a> for Cow<'a, str> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(text)
    }
}

/// A list that is read as it is walked, again each time.
#[derive(Debug)]
pub(crate) struct List<'a, T> {
    elements: Elements<'a>,
    shape: PhantomData<T>,
}

impl<'a, T: Shape<'a>> List<'a, T> {
    /// Whether there are no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.clone().next().is_none()
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.elements.clone().count()
    }

    /// The elements that have the wanted shape.
    pub(crate) fn values(&self) -> impl Iterator<Item = T> {
        self.clone().filter_map(|element| match element {
            Member::Value(value) => Some(value),
            Member::Absent | Member::Wrong(_) => None,
        })
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        Self { elements: self.elements.clone(), shape: PhantomData }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self { elements: Elements::default(), shape: PhantomData }
    }
}

impl<'a, T: Shape<'a>> Iterator for List<'a, T> {
    type Item = Member<T>;

    fn next(&mut self) -> Option<Member<T>> {
        self.elements.next().map(Member::of)
    }
}

impl<'a, T: Shape<'a>> Shape<'a> for List<'a, T> {
    fn array(elements: Elements<'a>) -> Option<Self> {
        Some(Self { elements, shape: PhantomData })
    }
}

impl<'a, T: Shape<'a>> Shape<'a> for Vec<Member<T>> {
    fn array(elements: Elements<'a>) -> Option<Self> {
        Some(elements.map(Member::of).collect())
    }
}

/// A large object that is seldom there.
impl<'a, T: Shape<'a>> Shape<'a> for Box<T> {
    fn object(members: Members<'a>) -> Option<Self> {
        T::object(members).map(Self::new)
    }
}

/// An object that is read later.
#[derive(Debug, Clone)]
pub(crate) struct Unread<'a>(pub(crate) Members<'a>);

impl Unread<'_> {
    /// The number of its [`Node`]: whoever keeps that can read the object again.
    pub(crate) const fn number(&self) -> u32 {
        self.0.node().number()
    }
}

impl<'a> Shape<'a> for Unread<'a> {
    fn object(members: Members<'a>) -> Option<Self> {
        Some(Self(members))
    }
}

/// An object with keys of its author's choice, sorted by key.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a>(pub(crate) Vec<(Cow<'a, str>, Member<Cow<'a, str>>)>);

impl<'a> Shape<'a> for Entries<'a> {
    fn object(members: Members<'a>) -> Option<Self> {
        let mut entries: Vec<_> = members.map(|(key, value)| (key, Member::of(value))).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Some(Self(entries))
    }
}

/// Declares an object: a struct with a [`Member`] for each key that is read, and a list of the keys that its
/// format does not have. Keys after `unread` belong to the format too.
macro_rules! object {
    (
        $(#[$doc:meta])*
        $name:ident<$a:lifetime> { $($(#[$fdoc:meta])* $field:ident: $type:ty = $key:literal,)* }
        $(unread $($unread:literal),+)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $name<$a> {
            $($(#[$fdoc])* $field: $crate::typed::Member<$type>,)*
            /// Keys that the format does not have.
            unknown: Vec<::std::borrow::Cow<$a, str>>,
        }

        impl<$a> $crate::typed::Shape<$a> for $name<$a> {
            fn object(members: ::provex_core::json::Members<$a>) -> Option<Self> {
                let mut object = Self::default();
                for (key, value) in members {
                    match key.as_ref() {
                        $($key => object.$field = $crate::typed::Member::of(value),)*
                        other => {
                            const UNREAD: &[&str] = &[$($($unread),+)?];
                            if !UNREAD.contains(&other) {
                                object.unknown.push(key);
                            }
                        }
                    }
                }
                Some(object)
            }
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;
    use provex_core::json::{self, Indexed, Limits};

    object! {
        Sample<'a> { name: Cow<'a, str> = "name", list: Vec<Member<Cow<'a, str>>> = "list", }
        unread "note"
    }

    fn index(text: &str) -> Indexed<'_> {
        json::index(text.as_bytes(), &Limits::document()).unwrap()
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let indexed = index(r#"{"name": "plain", "list": ["a\n"]}"#);
        let sample = Member::<Sample<'_>>::of(indexed.root());
        let sample = sample.value().unwrap();
        assert!(matches!(sample.name.value(), Some(Cow::Borrowed("plain"))));
        assert!(matches!(&sample.list.value().unwrap()[0], Member::Value(Cow::Owned(text)) if text == "a\n"));
    }

    #[test]
    fn numbers_are_of_the_type_that_holds_them() {
        for (text, expected) in [
            ("0", Number::Unsigned(0)),
            ("18446744073709551615", Number::Unsigned(u64::MAX)),
            ("-1", Number::Negative(-1)),
            ("-0", Number::Float(-0.0)),
            ("18446744073709551616", Number::Float(18_446_744_073_709_551_616.0)),
            ("1.5e3", Number::Float(1_500.0)),
        ] {
            assert_eq!(Number::of(text), expected, "{text}");
        }
    }

    #[test]
    fn other_types_and_other_keys_are_told() {
        let indexed = index(r#"{"name": {"deep": [[1e3]]}, "list": [1, null], "note": [], "x\u0079": 1}"#);
        let sample = Member::<Sample<'_>>::of(indexed.root());
        let sample = sample.value().unwrap();
        assert!(matches!(sample.name, Member::Wrong(Type::Object)));
        assert!(matches!(
            sample.list.value().unwrap()[..],
            [Member::Wrong(Type::Number), Member::Wrong(Type::Null)]
        ));
        assert_eq!(sample.unknown, ["xy"]);
        for (text, found) in [("[1]", Type::Array), ("true", Type::Boolean), ("null", Type::Null)] {
            let indexed = index(text);
            let read = Member::<Sample<'_>>::of(indexed.root());
            assert!(matches!(read, Member::Wrong(wrong) if wrong == found), "{text}");
        }
    }
}

//! Typed reading that keeps a document whose members have unexpected types.
//!
//! A derived serde struct refuses the whole document for one member of another JSON type. Here every member is a
//! [`Member`]: absent, a value of the wanted shape, or of another type, which the reader turns into a finding.
//! Text is borrowed from the document where it has no escapes. For text that passed the strict pass only:
//! of two equal keys the last one counts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
    Wrong(&'static str),
}

impl<T> Member<T> {
    /// The value, if it has one; another JSON type is a finding.
    pub(crate) fn take(
        self,
        findings: &mut Findings,
        pointer: impl FnOnce() -> String,
        wanted: &str,
    ) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Value(value) => Some(value),
            Self::Wrong(found) => {
                let message =
                    || format!("This member is {found} and was not read; make it {wanted} or leave it out.");
                findings.add(Code::WrongType, pointer, message);
                None
            }
        }
    }

    /// Whether it is there and not null: many tools write null for what they leave out.
    pub(crate) fn is_stated(&self) -> bool {
        !matches!(self, Self::Absent | Self::Wrong(NULL))
    }

    /// The value, if it has one.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Wrong(_) => None,
        }
    }
}

const NULL: &str = "null";

/// What a value can be read from: each method for one JSON type, by default refusing it.
pub(crate) trait Shape<'de>: Sized {
    /// From a string.
    fn text(_: Cow<'de, str>) -> Option<Self> {
        None
    }

    /// From a number.
    fn number(_: Number) -> Option<Self> {
        None
    }

    /// From an array.
    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Option<Self>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From an object.
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
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

impl<'de> Shape<'de> for Cow<'de, str> {
    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Vec<Member<T>> {
    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Option<Self>, A::Error> {
        let mut elements = Self::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Some(elements))
    }
}

/// A large object that is seldom there.
impl<'de, T: Shape<'de>> Shape<'de> for Box<T> {
    fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Ok(T::object(object)?.map(Self::new))
    }
}

/// An object with keys of its author's choice, sorted by key.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a>(pub(crate) Vec<(Cow<'a, str>, Member<Cow<'a, str>>)>);

impl<'de> Shape<'de> for Entries<'de> {
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), value)) = object.next_entry()? {
            entries.push((key, value));
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Some(Self(entries)))
    }
}

/// An object's key, borrowed where it has no escapes.
#[derive(Debug)]
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor(PhantomData))
    }
}

struct MemberVisitor<T>(PhantomData<T>);

impl<T> MemberVisitor<T> {
    fn member<E>(value: Option<T>, found: &'static str) -> Result<Member<T>, E> {
        Ok(value.map_or(Member::Wrong(found), Member::Value))
    }
}

impl<'de, T: Shape<'de>> Visitor<'de> for MemberVisitor<T> {
    type Value = Member<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Self::member(None, NULL)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Self::member(None, "a boolean")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Self::member(T::number(Number::Unsigned(number)), "a number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Self::member(T::number(Number::Negative(number)), "a number")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Self::member(T::number(Number::Float(number)), "a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Self::member(T::text(Cow::Borrowed(text)), "a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Self::member(T::text(Cow::Owned(text.to_owned())), "a string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        Self::member(T::array(array)?, "an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Self::member(T::object(object)?, "an object")
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
            fn object<A: ::serde::de::MapAccess<$a>>(mut map: A) -> Result<Option<Self>, A::Error> {
                let mut object = Self::default();
                while let Some($crate::typed::Key(key)) = map.next_key()? {
                    match key.as_ref() {
                        $($key => object.$field = map.next_value()?,)*
                        other => {
                            const UNREAD: &[&str] = &[$($($unread),+)?];
                            map.next_value::<::serde::de::IgnoredAny>()?;
                            if !UNREAD.contains(&other) {
                                object.unknown.push(key);
                            }
                        }
                    }
                }
                Ok(Some(object))
            }
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;

    object! {
        Sample<'a> { name: Cow<'a, str> = "name", list: Vec<Member<Cow<'a, str>>> = "list", }
        unread "note"
    }

    fn read(text: &str) -> Member<Sample<'_>> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let sample = read(r#"{"name": "plain", "list": ["a\n"]}"#);
        let sample = sample.value().unwrap();
        assert!(matches!(sample.name.value(), Some(Cow::Borrowed("plain"))));
        assert!(matches!(&sample.list.value().unwrap()[0], Member::Value(Cow::Owned(text)) if text == "a\n"));
    }

    #[test]
    fn other_types_and_other_keys_are_told() {
        let sample = read(r#"{"name": {"deep": [[1e3]]}, "list": [1, null], "note": [], "x\u0079": 1}"#);
        let sample = sample.value().unwrap();
        assert!(matches!(sample.name, Member::Wrong("an object")));
        assert!(matches!(
            sample.list.value().unwrap()[..],
            [Member::Wrong("a number"), Member::Wrong("null")]
        ));
        assert_eq!(sample.unknown, ["xy"]);
        assert!(matches!(read("[1]"), Member::Wrong("an array")));
        assert!(matches!(read("true"), Member::Wrong("a boolean")));
    }
}

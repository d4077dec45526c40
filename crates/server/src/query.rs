//! The query of a request: every parameter known, none twice, each with a value of its kind.

use std::collections::BTreeMap;
use std::str::FromStr;

use percent_encoding::percent_decode;
use provex_core::time::Timestamp;

use crate::problem::Problem;

/// The most bytes that a value may have: as many as a key column.
const MAX_VALUE_BYTES: usize = 1_024;

/// Parameters by name, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query {
    values: BTreeMap<&'static str, String>,
}

impl Query {
    /// Reads a query as forms write it (`+` is a blank), which may have these parameters.
    pub(crate) fn parse(text: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| Problem::bad("query", "a name is no UTF-8"))?;
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad(&shown, format!("there is no such parameter; there are: {known}")));
            };
            let value = decode(value).ok_or_else(|| Problem::bad(name, "it is no UTF-8, or has a NUL"))?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(Problem::bad(name, format!("at most {MAX_VALUE_BYTES} bytes")));
            }
            if values.insert(name, value).is_some() {
                return Err(Problem::bad(name, "it is there twice"));
            }
        }
        Ok(Self { values })
    }

    /// The value as it is; an empty one is refused.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.values.get(name) {
            Some(value) if value.is_empty() => Err(Problem::bad(name, "it is empty")),
            value => Ok(value.cloned()),
        }
    }

    /// A value of a closed kind; `expected` says which ones there are.
    pub(crate) fn read<T>(
        &self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let value = self.values.get(name);
        value.map(|value| read(value).ok_or_else(|| Problem::bad(name, expected))).transpose()
    }

    /// A value that is parsed by its type.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        self.read(name, expected, |text| text.parse().ok())
    }

    /// A number without sign or leading zeros.
    pub(crate) fn number(&self, name: &'static str, expected: &str) -> Result<Option<u64>, Problem> {
        self.read(name, expected, |text| {
            let number: u64 = text.parse().ok()?;
            (number.to_string() == text).then_some(number)
        })
    }

    /// A UUID in its one canonical spelling (RFC 9562 section 4).
    pub(crate) fn uuid(&self, name: &'static str) -> Result<Option<uuid::Uuid>, Problem> {
        self.read(name, "a UUID in lower case with hyphens", |text| {
            let id: uuid::Uuid = text.parse().ok()?;
            (id.to_string() == text).then_some(id)
        })
    }

    /// A time (RFC 3339).
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let expected =
            "an RFC 3339 time with `Z` or an offset, as 2026-01-31T12:00:00.000000Z (`+` is written %2B)";
        self.read(name, expected, |text| Timestamp::parse(text).ok())
    }

    /// How many rows a page has.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        const EXPECTED: &str = "a number from 1 to 1000";
        let limit = self.number("limit", EXPECTED)?.unwrap_or(200);
        match usize::try_from(limit) {
            Ok(limit) if (1..=1_000).contains(&limit) => Ok(limit),
            _ => Err(Problem::bad("limit", EXPECTED)),
        }
    }
}

/// Refuses a query where none is taken.
pub(crate) fn none(text: Option<&str>) -> Result<(), Problem> {
    Query::parse(text, &[]).map(|_| ())
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode(text.as_bytes()).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(refused: Result<Query, Problem>) -> String {
        match refused {
            Err(Problem::BadRequest { parameter, .. }) => parameter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parameters_are_decoded_as_forms_write_them() {
        let query = Query::parse(Some("a=x+y%2B%C3%A9&b="), &["a", "b"]).unwrap();
        assert_eq!(query.text("a").unwrap().as_deref(), Some("x y+é"));
        assert!(query.text("b").is_err());
        assert_eq!(Query::parse(None, &[]).unwrap().values.len(), 0);
    }

    #[test]
    fn unknown_doubled_and_undecodable_parameters_are_named() {
        assert_eq!(parameter(Query::parse(Some("c=1"), &["a"])), "c");
        assert_eq!(parameter(Query::parse(Some("a=1&a=1"), &["a"])), "a");
        assert_eq!(parameter(Query::parse(Some("a=%ff"), &["a"])), "a");
        assert_eq!(parameter(Query::parse(Some("a=%00"), &["a"])), "a");
        assert_eq!(parameter(Query::parse(Some(&format!("a={}", "x".repeat(1_025))), &["a"])), "a");
    }

    #[test]
    fn numbers_and_uuids_have_one_spelling() {
        for (text, limit) in [("limit=1", 1), ("limit=1000", 1_000), ("", 200)] {
            assert_eq!(Query::parse(Some(text), &["limit"]).unwrap().limit().unwrap(), limit);
        }
        for text in ["0", "1001", "-1", "+5", "05", "5.0", "", "18446744073709551616"] {
            let text = format!("limit={text}");
            assert!(Query::parse(Some(&text), &["limit"]).unwrap().limit().is_err(), "{text}");
        }
        let id = "0190d1c4-0000-7000-8000-000000000000";
        for (text, right) in [(id.to_owned(), true), (id.to_uppercase(), false), (id.replace('-', ""), false)]
        {
            let text = format!("id={text}");
            assert_eq!(Query::parse(Some(&text), &["id"]).unwrap().uuid("id").is_ok(), right);
        }
    }
}

//! What documents of every format state: times, integers and texts.

use std::borrow::Cow;

use provex_core::time::{StatedTime, Zone};

use crate::report::{Code, Findings, quoted};
use crate::typed::{Member, Number};

/// A time that a document may state.
pub(crate) enum Time {
    /// It does not.
    Absent,
    /// It states something else, which is a finding.
    Unreadable,
    /// UTC, nine digits.
    At(String),
}

impl Time {
    /// Reads it; a zone left out and a time that cannot be read are findings.
    pub(crate) fn read(
        member: Member<Cow<'_, str>>,
        findings: &mut Findings,
        pointer: impl Fn() -> String,
    ) -> Self {
        let stated = member.is_stated();
        match member.take(findings, &pointer, "an RFC 3339 time") {
            None if stated => Self::Unreadable,
            None => Self::Absent,
            Some(text) => match StatedTime::parse(&text) {
                Ok((time, zone)) => {
                    if zone == Zone::AssumedUtc {
                        findings.add(Code::AssumedUtc, pointer, || {
                            format!(
                                "{} has no time zone and was read as UTC; append `Z` or an offset.",
                                quoted(&text)
                            )
                        });
                    }
                    Self::At(time.to_rfc3339())
                }
                Err(error) => {
                    findings.add(Code::BadTimestamp, pointer, || {
                        let text = quoted(&text);
                        format!("{text} was not read as a time: {error}; write it as `2026-11-23T06:13:23Z`.")
                    });
                    Self::Unreadable
                }
            },
        }
    }

    /// The time, if there is one.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::At(text) => Some(text),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// An integer's text. `1.0` is 1, as in JSON Schema; from 2^53 on, floats are no longer exact.
pub(crate) fn integer(number: Number) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    match number {
        Number::Unsigned(value) => Some(value.to_string()),
        Number::Negative(value) => Some(value.to_string()),
        Number::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
            Some((value as i64).to_string())
        }
        Number::Float(_) => None,
    }
}

/// Whether a text says nothing.
pub(crate) fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

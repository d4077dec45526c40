//! What documents of every format state: times, integers and texts.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use provex_core::time::{StatedTime, Zone};
use provex_core::vex::{Canonical, Part, Shared};

use crate::report::{Code, Findings, quoted};
use crate::typed::{Member, Number};

/// A time that a document may state.
pub(crate) enum Time {
    /// It does not.
    Absent,
    /// It states something else, which is a finding.
    Unreadable,
    /// UTC, nine digits.
    At(Arc<str>),
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
                        findings.add(Code::AssumedUtc, &pointer, || {
                            format!(
                                "{} has no time zone and was read as UTC; append `Z` or an offset.",
                                quoted(&text)
                            )
                        });
                    }
                    if text.contains(' ') {
                        findings.add(Code::TimeForm, pointer, || {
                            format!("{} has a space after the date; write a `T`.", quoted(&text))
                        });
                    }
                    Self::At(time.to_rfc3339().into())
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
    pub(crate) fn text(self) -> Option<Arc<str>> {
        match self {
            Self::At(text) => Some(text),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// The last few of something that claims in a row tend to share.
#[derive(Debug)]
pub(crate) struct Recent<T: ?Sized> {
    list: [Option<Arc<T>>; 4],
    oldest: usize,
}

impl<T: ?Sized> Recent<T> {
    fn find(&self, is: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        self.list.iter().flatten().find(|known| is(known)).map(Arc::clone)
    }

    fn keep(&mut self, new: Arc<T>) -> Arc<T> {
        self.list[self.oldest] = Some(Arc::clone(&new));
        self.oldest = (self.oldest + 1) % self.list.len();
        new
    }
}

impl<T: ?Sized> Default for Recent<T> {
    fn default() -> Self {
        Self { list: [const { None }; 4], oldest: 0 }
    }
}

/// Shares texts that recur.
#[derive(Debug, Default)]
pub(crate) struct Texts(Recent<str>);

impl Texts {
    /// A text, shared with the claims before if they have it too.
    pub(crate) fn share(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        text.map(|text| self.0.find(|known| known == text).unwrap_or_else(|| self.0.keep(text.into())))
    }

    /// Texts as [`paragraphs`], shared likewise.
    pub(crate) fn joined<'a>(&mut self, mut texts: impl Iterator<Item = &'a str>) -> Option<Arc<str>> {
        let first = texts.next()?;
        match texts.next() {
            None => self.share(Some(first)),
            Some(second) => self.share(paragraphs([first, second].into_iter().chain(texts)).as_deref()),
        }
    }
}

/// Shares parts of claims that recur.
pub(crate) type Parts<T> = Recent<Canonical<T>>;

impl<T: Part + PartialEq> Parts<T> {
    /// A part, shared with the claims before if they have it too.
    pub(crate) fn share(&mut self, part: T) -> Shared<T> {
        self.find(|known| **known == part).unwrap_or_else(|| self.keep(Canonical::shared(part)))
    }
}

/// Reads times, of which many statements have the same.
#[derive(Debug, Default)]
pub(crate) struct Times<'a>(HashMap<Cow<'a, str>, Arc<str>>);

impl<'a> Times<'a> {
    /// As [`Time::read`].
    pub(crate) fn read(
        &mut self,
        member: Member<Cow<'a, str>>,
        findings: &mut Findings,
        pointer: impl Fn() -> String,
    ) -> Time {
        let Member::Value(text) = &member else { return Time::read(member, findings, pointer) };
        if let Some(known) = self.0.get(text) {
            return Time::At(Arc::clone(known));
        }
        // A time with a finding is not kept: each statement that has it gets its own.
        let faultless = (text.ends_with('Z') && !text.contains(' ')).then(|| text.clone());
        let time = Time::read(member, findings, pointer);
        if let (Some(text), Time::At(time)) = (faultless, &time) {
            self.0.insert(text, Arc::clone(time));
        }
        time
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

/// Texts with a blank line between, or nothing if there are none.
pub(crate) fn paragraphs<'a>(mut texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut text = texts.next()?.to_owned();
    for more in texts {
        text.push_str("\n\n");
        text.push_str(more);
    }
    Some(text)
}

/// Whether a text has a scheme, something after it, and no white space (RFC 3986 section 3, and RFC 3987).
pub(crate) fn is_iri(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    let parts = text.split_once(':');
    parts.is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
        && !text.contains(char::is_whitespace)
}

/// Whether a text says nothing.
pub(crate) fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.chars().all(char::is_whitespace))
}

//! The revision history: whether versions are one unbroken line (tests 6.1.14, 6.1.16 to 6.1.22 and 6.1.30).
//!
//! A version is an integer or a semantic version, and one document has one kind of them. Which version of a lineage
//! counts is decided from `tracking.version` alone when claims are merged; here only what contradicts it is found.

use std::cmp::Ordering;
use std::sync::Arc;

use super::header::time;
use super::{Edition, List, Revision, Text, report_unknown, tell};
use crate::report::{Code, Findings, quoted};
use crate::stated::Time;

/// A version of a document (`version_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version<'t> {
    Integer(&'t str),
    Semantic { numbers: [&'t str; 3], prerelease: Option<&'t str> },
}

impl<'t> Version<'t> {
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        if is_number(text) {
            return Some(Self::Integer(text));
        }
        let (text, build) = split(text, '+');
        let (text, prerelease) = split(text, '-');
        let mut numbers = text.split('.');
        let three = [numbers.next()?, numbers.next()?, numbers.next()?];
        let parts = |text: Option<&str>, good: fn(&str) -> bool| text.is_none_or(|t| t.split('.').all(good));
        let good = three.iter().all(|number| is_number(number))
            && numbers.next().is_none()
            && parts(prerelease, |part| is_identifier(part) && (!is_digits(part) || is_number(part)))
            && parts(build, is_identifier);
        good.then_some(Self::Semantic { numbers: three, prerelease })
    }

    /// The integer, or the major version.
    fn major(self) -> &'t str {
        match self {
            Self::Integer(number) => number,
            Self::Semantic { numbers, .. } => numbers[0],
        }
    }

    const fn prerelease(self) -> Option<&'t str> {
        match self {
            Self::Integer(_) => None,
            Self::Semantic { prerelease, .. } => prerelease,
        }
    }

    fn without_prerelease(self) -> Self {
        match self {
            Self::Integer(_) => self,
            Self::Semantic { numbers, .. } => Self::Semantic { numbers, prerelease: None },
        }
    }

    /// Whether it stands before the first release: `0` or `0.y.z`.
    fn is_initial(self) -> bool {
        self.major() == "0"
    }

    const fn same_kind(self, other: Self) -> bool {
        matches!(self, Self::Integer(_)) == matches!(other, Self::Integer(_))
    }

    /// Precedence (semver.org 2.0.0 section 11). An integer stands before every semantic version.
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => compare_numbers(one, other),
            (Self::Integer(_), Self::Semantic { .. }) => Ordering::Less,
            (Self::Semantic { .. }, Self::Integer(_)) => Ordering::Greater,
            (
                Self::Semantic { numbers: one, prerelease: before },
                Self::Semantic { numbers: other, prerelease: after },
            ) => {
                let numbers = one.iter().zip(other).map(|(one, other)| compare_numbers(one, other));
                let numbers = numbers.fold(Ordering::Equal, Ordering::then);
                numbers.then_with(|| compare_prereleases(before, after))
            }
        }
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(text, rest)| (text, Some(rest)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    is_digits(text) && (text == "0" || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Without leading zeros the longer number is the larger: numbers have no bound.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn compare_prereleases(one: Option<&str>, other: Option<&str>) -> Ordering {
    let (Some(one), Some(other)) = (one, other) else { return one.is_none().cmp(&other.is_none()) };
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        let order = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (is_digits(one), is_digits(other)) {
                (true, true) => compare_numbers(one, other),
                (digits, other_digits) => other_digits.cmp(&digits).then_with(|| one.cmp(other)),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The revisions, in the order of the document.
pub(super) struct History<'a> {
    /// Place, time and number of each revision that has both.
    revisions: Vec<(usize, Arc<str>, Text<'a>)>,
    /// Whether some revision has not.
    incomplete: bool,
}

impl<'a> History<'a> {
    pub(super) fn read(list: List<'a, Revision<'a>>, edition: Edition, findings: &mut Findings) -> Self {
        let mut history = Self { revisions: Vec::new(), incomplete: false };
        for (n, revision) in list.into_iter().enumerate() {
            let at = || format!("/document/tracking/revision_history/{n}");
            let Some(revision) = revision.take(findings, at, "an object") else {
                history.incomplete = true;
                continue;
            };
            report_unknown(edition, &revision.unknown, at, findings);
            let date = time(edition, revision.date, findings, || format!("{}/date", at()));
            let number = revision.number.take(findings, || format!("{}/number", at()), "a string");
            match (date, number) {
                (Time::At(date), Some(number)) => history.revisions.push((n, date, number)),
                _ => history.incomplete = true,
            }
        }
        history
    }

    pub(super) fn check(&self, version: Option<&str>, status: Option<&str>, findings: &mut Findings) {
        let current =
            version.and_then(|text| parsed(text, || "/document/tracking/version".to_owned(), findings));
        let mut numbers = Vec::with_capacity(self.revisions.len());
        for (n, date, number) in &self.revisions {
            let version = parsed(number, at_number(*n), findings);
            numbers.extend(version.map(|version| (*n, date.as_ref(), version)));
        }
        check_kinds(&numbers, current, findings);
        check_status(&numbers, current, status, findings);
        let complete = !self.incomplete && numbers.len() == self.revisions.len();
        check_repeats(&numbers, findings);
        if complete && !numbers.is_empty() {
            check_order(numbers, current, status, findings);
        }
    }
}

/// A revision's place in the list, its time and its number.
type Numbered<'t> = (usize, &'t str, Version<'t>);

fn parsed<'t>(
    text: &'t str,
    pointer: impl FnOnce() -> String,
    findings: &mut Findings,
) -> Option<Version<'t>> {
    let version = Version::parse(text);
    if version.is_none() {
        findings.add(Code::BadVersion, pointer, || {
            format!(
                "{} is no version of CSAF; write an integer, or a semantic version such as `1.0.0`.",
                quoted(text)
            )
        });
    }
    version
}

fn at_number(n: usize) -> impl FnOnce() -> String {
    move || format!("/document/tracking/revision_history/{n}/number")
}

/// 6.1.30
fn check_kinds(numbers: &[Numbered<'_>], current: Option<Version<'_>>, findings: &mut Findings) {
    let mut all = numbers.iter().map(|(.., version)| *version).chain(current);
    if let Some(first) = all.next()
        && !all.all(|version| version.same_kind(first))
    {
        let message = "The document has integers and semantic versions; use one kind.";
        tell(findings, Code::MixedVersioning, || "/document/tracking/revision_history".to_owned(), message);
    }
}

/// 6.1.17 to 6.1.20
fn check_status(
    numbers: &[Numbered<'_>],
    current: Option<Version<'_>>,
    status: Option<&str>,
    findings: &mut Findings,
) {
    let at_version = || "/document/tracking/version".to_owned();
    let at_status = || "/document/tracking/status".to_owned();
    let released = matches!(status, Some("final" | "interim"));
    if let Some(version) = current {
        if status != Some("draft") && (version.is_initial() || version.prerelease().is_some()) {
            let message = "A version before the first release is a draft; set the status to `draft`.";
            tell(findings, Code::NotMarkedDraft, at_status, message);
        }
        if released && version.prerelease().is_some() {
            let message = "A released document has no pre-release version; take the part after `-` away.";
            tell(findings, Code::PrereleaseVersion, at_version, message);
        }
    }
    for (n, _, version) in numbers {
        if released && version.is_initial() {
            let message =
                "The history of a released document has no version before the first release; leave it out.";
            tell(findings, Code::UnreleasedRevision, at_number(*n), message);
        }
        if version.prerelease().is_some() {
            let message = "The revision history has no pre-release versions; leave it out.";
            tell(findings, Code::PrereleaseRevision, at_number(*n), message);
        }
    }
}

/// 6.1.22
fn check_repeats(numbers: &[Numbered<'_>], findings: &mut Findings) {
    let mut sorted: Vec<_> = numbers.iter().map(|(n, _, version)| (*version, *n)).collect();
    sorted.sort_by(|(one, n), (other, m)| one.compare(*other).then(n.cmp(m)));
    for pair in sorted.windows(2) {
        if pair[0].0.compare(pair[1].0) == Ordering::Equal {
            let message = "The revision history has this version twice; give each revision its own.";
            tell(findings, Code::RepeatedRevision, at_number(pair[1].1), message);
        }
    }
}

/// 6.1.14, 6.1.16 and 6.1.21. Revisions of one instant are ordered by their versions.
fn check_order(
    mut numbers: Vec<Numbered<'_>>,
    current: Option<Version<'_>>,
    status: Option<&str>,
    findings: &mut Findings,
) {
    numbers.sort_by(|(_, date, one), (_, other_date, other)| {
        date.cmp(other_date).then_with(|| one.compare(*other))
    });
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0].2.compare(pair[1].2) == Ordering::Greater) {
        let message =
            "This version has an older revision after it; give them dates in the order of their versions.";
        tell(findings, Code::UnsortedRevisions, at_number(pair[0].0), message);
    }
    let differ = |one: Version<'_>, other: Version<'_>| match status {
        Some("draft") => one.without_prerelease().compare(other.without_prerelease()) != Ordering::Equal,
        _ => one.compare(other) != Ordering::Equal,
    };
    if let (Some(current), Some((.., last))) = (current, numbers.last())
        && differ(current, *last)
    {
        let message = "The version is not that of the newest revision; make them equal.";
        tell(findings, Code::VersionNotLatest, || "/document/tracking/version".to_owned(), message);
    }
    numbers.sort_by(|(.., one), (.., other)| one.compare(*other));
    let follows = |one: Version<'_>, next: Version<'_>| one.major() == next.major() || is_next(one, next);
    let gap = numbers.windows(2).any(|pair| !follows(pair[0].2, pair[1].2));
    if gap || !matches!(numbers[0].2.major(), "0" | "1") {
        let message = "The revision history leaves out a version; add it, beginning with 1.";
        tell(findings, Code::MissingRevision, || "/document/tracking/revision_history".to_owned(), message);
    }
}

/// Whether the second major version is the first plus one. Beyond 64 bits nobody counts.
fn is_next(one: Version<'_>, next: Version<'_>) -> bool {
    let number = |version: Version<'_>| version.major().parse::<u64>().ok();
    number(one).and_then(|one| one.checked_add(1)) == number(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_precedence_and_not_as_strings() {
        let order = ["9", "10", "123456789012345678901234567890"];
        assert!(order.windows(2).all(|pair| compare(pair[0], pair[1]) == Ordering::Less));
        // semver.org 2.0.0 section 11
        let order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0",
        ];
        assert!(order.windows(2).all(|pair| compare(pair[0], pair[1]) == Ordering::Less));
        assert_eq!(compare("1.0.0+a", "1.0.0+b"), Ordering::Equal);
        assert_eq!(compare("3", "3"), Ordering::Equal);
    }

    fn compare(one: &str, other: &str) -> Ordering {
        Version::parse(one).unwrap().compare(Version::parse(other).unwrap())
    }

    #[test]
    fn only_integers_and_semantic_versions_are_versions() {
        for text in ["0", "12", "1.0.0", "1.0.0-0a.-", "1.0.0-a+007", "0.9.5"] {
            assert!(Version::parse(text).is_some(), "{text}");
        }
        for text in ["", "01", "1.0", "1.0.0.0", "v1", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.00", "1 ", "-1"] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}

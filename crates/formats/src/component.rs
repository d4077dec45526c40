//! Products and subcomponents: what identifies them, and the key they are grouped by.
//!
//! The key is made by the first rule that applies, in the order of [`ComponentKind`]: the artifact's SHA-256 (a
//! hash, or the version of an `oci` purl), a canonical purl, a CPE 2.3 bound form, a SWID tag, a stock keeping
//! unit, a model, a BOM-Link, any other identifier, and last what the format itself offers. All identifiers stay
//! as written; the key only groups. A purl or CPE name that its specification refuses is keyed by its text, and so
//! is a component that has no identifier but hashes by other algorithms.

use std::borrow::Cow;

use provex_core::vex::{self, Canonical, Component, ComponentKind, Identifier, Shared};

use crate::cpe::Cpe;
use crate::document::MAX_KEY_BYTES;
use crate::memo::Memo;
use crate::purl::{self, Purl};
use crate::report::{Code, Findings, quoted};
use crate::stated::is_blank;

/// What kind of identifier a value is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierType<'a> {
    /// A package URL.
    Purl,
    /// A CPE 2.2 URI.
    Cpe22,
    /// A CPE 2.3 formatted string.
    Cpe23,
    /// A hash by the algorithm of this name, as written.
    Hash(Cow<'a, str>),
    /// A SWID tag id.
    Swid,
    /// A stock keeping unit.
    Sku,
    /// A model number.
    Model,
    /// Any other name: an IRI, a BOM-Link, a name that means something to its author.
    Iri,
    /// One that is kept but gives no key, such as a serial number; by its label.
    Other(&'static str),
}

impl IdentifierType<'_> {
    /// What the name of a component is: also a purl or CPE name where one is written as an IRI.
    pub fn of_iri(value: &str) -> Self {
        let begins = |prefix: &str| value.get(..prefix.len()).is_some_and(|v| v.eq_ignore_ascii_case(prefix));
        if begins("pkg:") {
            Self::Purl
        } else if begins("cpe:2.3:") {
            Self::Cpe23
        } else if begins("cpe:/") {
            Self::Cpe22
        } else {
            Self::Iri
        }
    }

    fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Purl => "purl".into(),
            Self::Cpe22 => "cpe22".into(),
            Self::Cpe23 => "cpe23".into(),
            Self::Hash(algorithm) => format!("hash:{}", algorithm.to_ascii_lowercase()).into(),
            Self::Swid => "swid".into(),
            Self::Sku => "sku".into(),
            Self::Model => "model".into(),
            Self::Iri => "iri".into(),
            Self::Other(label) => (*label).into(),
        }
    }
}

/// How a document describes a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Described<'a> {
    /// Its identifiers; of several that a rule applies to, the first gives the key. Their order must not come
    /// from the order of keys in a JSON object.
    pub identifiers: Vec<(IdentifierType<'a>, Cow<'a, str>)>,
    /// Identifiers that are kept and that find it, but give no key: they name a part of it or say more than it is.
    pub also: Vec<(IdentifierType<'a>, Cow<'a, str>)>,
    /// Whose model numbers and stock keeping units these are; without it they give no key.
    pub vendor: Option<Cow<'a, str>>,
    /// A name for people.
    pub name: Option<Cow<'a, str>>,
    /// The key where no identifier gives one.
    pub fallback: Option<(ComponentKind, String)>,
}

impl<'a> Described<'a> {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        const EACH: usize = 64;
        let identifiers = self.identifiers.iter().chain(&self.also);
        let identifiers: usize = identifiers.map(|(_, value)| EACH + value.len()).sum();
        let texts = [&self.vendor, &self.name].map(|text| text.as_ref().map_or(0, |text| text.len()));
        let fallback = self.fallback.as_ref().map_or(0, |(_, key)| key.len());
        EACH + identifiers + texts.iter().sum::<usize>() + fallback
    }

    /// Describes nothing any more, and keeps its memory for the next component.
    pub(crate) fn clear(&mut self) {
        self.identifiers.clear();
        self.also.clear();
        (self.vendor, self.name, self.fallback) = (None, None, None);
    }

    /// Adds an identifier, if there is one and it is not blank.
    pub(crate) fn add(&mut self, kind: Option<IdentifierType<'a>>, value: Option<Cow<'a, str>>) {
        let value = value.filter(|value| !is_blank(Some(value)));
        if let Some(identifier) = kind.zip(value) {
            // Most have one, and a document has many components.
            self.identifiers.reserve_exact(1);
            self.identifiers.push(identifier);
        }
    }
}

/// A component and all that can find it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The component, as observations have it.
    pub component: Shared<Component>,
    /// Whether one of its forms, or the key, is longer than [`MAX_KEY_BYTES`].
    pub too_long: bool,
}

impl Keyed {
    fn new(component: Component, longest_form: usize) -> Self {
        let too_long = longest_form.max(component.key.len()) > MAX_KEY_BYTES;
        Self { component: Canonical::shared(component), too_long }
    }

    /// Its [`forms`].
    pub fn forms(&self) -> Vec<String> {
        forms(&self.component)
    }
}

/// A component's identifiers as written and in every canonical form; sorted, without doubles.
pub fn forms(component: &Component) -> Vec<String> {
    let mut forms = Vec::with_capacity(5 * component.identifiers.len());
    for Identifier { kind, value } in &component.identifiers {
        forms.push(value.clone());
        match kind.as_ref() {
            "purl" => forms.extend(Purl::parse(value).into_iter().flat_map(purl_forms)),
            "cpe22" | "cpe23" => forms.extend(Cpe::parse(value).map(|cpe| cpe.bound().to_owned())),
            kind => forms.extend(kind.strip_prefix("hash:").and_then(|name| sha256_key(name, value))),
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn purl_forms(purl: Purl<'_>) -> impl Iterator<Item = String> {
    let unversioned = purl.without_version();
    let spellings = [purl.canonical(), purl.folded(), unversioned.canonical(), unversioned.folded()];
    spellings.into_iter().chain(oci_key(purl.type_(), purl.version()))
}

/// The components of one document: equal descriptions that follow one another are resolved once and share memory.
#[derive(Debug, Default)]
pub struct Components<'a> {
    known: Memo<Described<'a>, Option<Keyed>>,
}

impl<'a> Components<'a> {
    /// The component so described, or nothing if no rule gives a key. What is wrong with its identifiers is a
    /// finding where it occurs first.
    pub(crate) fn resolve(
        &mut self,
        described: &Described<'a>,
        findings: &mut Findings,
        pointer: impl Fn() -> String,
    ) -> Option<Keyed> {
        if let Some(known) = self.known.get(described) {
            return known.clone();
        }
        let mut untold = Findings::default();
        let findings = if self.known.is_told(described) { &mut untold } else { findings };
        let before = findings.total();
        let keyed = resolve(described, findings, pointer);
        self.known.insert(described.clone(), keyed.clone(), findings.total() > before);
        keyed
    }
}

/// The component so described, whether or not it was resolved before.
pub(crate) fn resolve(
    described: &Described<'_>,
    findings: &mut Findings,
    pointer: impl Fn() -> String,
) -> Option<Keyed> {
    let mut resolution = Resolution::default();
    resolution.identifiers.reserve_exact(described.identifiers.len() + described.also.len());
    for (kind, value) in &described.identifiers {
        resolution.identifier(kind, value, described.vendor.as_deref());
    }
    for (kind, value) in &described.also {
        resolution.without_key(kind, value);
    }
    for (code, message) in std::mem::take(&mut resolution.faults) {
        findings.add(code, &pointer, || message);
    }
    if let Some([used, other]) = resolution.ambiguity() {
        findings.add(Code::AmbiguousProduct, &pointer, || {
            let (used, other) = (quoted(used), quoted(other));
            format!(
                "Identifiers of this component disagree, and it is keyed as {used}, not {other}; give one."
            )
        });
    }
    resolution.finish(described)
}

/// A key that some identifier gives.
struct Candidate {
    kind: ComponentKind,
    /// Whether it gives way to others of its kind: a digest inside a purl to a hash of the component, a hash by
    /// another algorithm to a name.
    yields: bool,
    key: String,
}

impl Candidate {
    /// Less is better.
    const fn rank(&self) -> (ComponentKind, bool) {
        (self.kind, self.yields)
    }
}

#[derive(Default)]
struct Resolution {
    identifiers: Vec<Identifier>,
    candidates: Candidates,
    faults: Vec<(Code, String)>,
    /// Length of the longest of [`forms`].
    longest_form: usize,
}

/// Candidates in the order of their identifiers. Most components have one, which needs no list.
#[derive(Default)]
struct Candidates {
    first: Option<Candidate>,
    others: Vec<Candidate>,
}

impl Candidates {
    fn push(&mut self, candidate: Candidate) {
        match &self.first {
            None => self.first = Some(candidate),
            Some(_) => self.others.push(candidate),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.first.iter().chain(&self.others)
    }

    /// The one that gives the key: of equal ones the first.
    fn best(self) -> Option<Candidate> {
        self.first.into_iter().chain(self.others).min_by_key(Candidate::rank)
    }
}

impl Resolution {
    fn identifier(&mut self, kind: &IdentifierType<'_>, value: &str, vendor: Option<&str>) {
        self.identifiers.push(Identifier { kind: kind.label(), value: value.to_owned() });
        self.form(value);
        let of_vendor = |prefix: &str| Some(format!("{prefix}:{}/{value}", vendor?));
        match kind {
            IdentifierType::Purl => self.purl(value),
            IdentifierType::Cpe22 | IdentifierType::Cpe23 => self.cpe(value),
            IdentifierType::Hash(algorithm) => self.hash(algorithm, value),
            IdentifierType::Swid => self.candidate(ComponentKind::Swid, format!("swid:{value}")),
            IdentifierType::Sku => self.of_vendor(ComponentKind::Sku, of_vendor("sku")),
            IdentifierType::Model => self.of_vendor(ComponentKind::Model, of_vendor("model")),
            IdentifierType::Iri if value.starts_with("urn:cdx:") => {
                self.candidate(ComponentKind::BomLink, format!("bomlink:{value}"));
            }
            IdentifierType::Iri => self.candidate(ComponentKind::Iri, format!("iri:{value}")),
            IdentifierType::Other(_) => {}
        }
    }

    fn without_key(&mut self, kind: &IdentifierType<'_>, value: &str) {
        let candidates = std::mem::take(&mut self.candidates);
        self.identifier(kind, value, None);
        self.candidates = candidates;
    }

    fn purl(&mut self, value: &str) {
        if let Some(plain) = purl::plain(value) {
            self.oci(plain.type_, plain.version);
            return self.candidate(ComponentKind::Purl, ["purl:", value].concat());
        }
        let purl = match Purl::parse(value) {
            Ok(purl) => purl,
            Err(error) => {
                let shown = quoted(value);
                let message =
                    format!("{shown} is no purl: {error}. It is matched by its text only; correct it.");
                self.faults.push((Code::BadPurl, message));
                return self.candidate(ComponentKind::Iri, format!("iri:{value}"));
            }
        };
        self.oci(purl.type_(), purl.version());
        let canonical = purl.canonical();
        self.form(&canonical);
        // The other forms are shorter, but for lower case, which takes at most half as many bytes more.
        if canonical.len() > MAX_KEY_BYTES / 2 {
            self.form(&purl.folded());
        }
        self.candidate(ComponentKind::Purl, ["purl:", &canonical].concat());
    }

    fn oci(&mut self, type_: &str, version: Option<&str>) {
        if let Some(key) = oci_key(type_, version) {
            self.candidates.push(Candidate { kind: ComponentKind::Digest, yields: true, key });
        }
    }

    fn form(&mut self, form: &str) {
        self.longest_form = self.longest_form.max(form.len());
    }

    fn cpe(&mut self, value: &str) {
        match Cpe::parse(value) {
            Ok(cpe) => {
                self.form(cpe.bound());
                self.candidate(ComponentKind::Cpe23, ["cpe23:", cpe.bound()].concat());
            }
            Err(error) => {
                let shown = quoted(value);
                let message =
                    format!("{shown} is no CPE name: {error}. It is matched by its text only; correct it.");
                self.faults.push((Code::BadCpe, message));
                self.candidate(ComponentKind::Iri, format!("iri:{value}"));
            }
        }
    }

    fn hash(&mut self, algorithm: &str, value: &str) {
        // Hexadecimal digits mean the same in either case.
        let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = if is_hex { value.to_ascii_lowercase().into() } else { Cow::Borrowed(value) };
        let text = format!("iri:hash:{}:{digits}", algorithm.to_ascii_lowercase());
        self.candidates.push(Candidate { kind: ComponentKind::Iri, yields: true, key: text });
        match sha256_key(algorithm, value) {
            Some(key) => self.candidate(ComponentKind::Digest, key),
            None if !is_sha256(algorithm) => {}
            None => {
                let message = format!(
                    "{} is no SHA-256 digest and does not identify the component; write 64 hexadecimal digits.",
                    quoted(value)
                );
                self.faults.push((Code::BadHash, message));
            }
        }
    }

    /// A number means something together with whose it is, and gives no key without.
    fn of_vendor(&mut self, kind: ComponentKind, key: Option<String>) {
        if let Some(key) = key {
            self.candidate(kind, key);
        }
    }

    fn candidate(&mut self, kind: ComponentKind, key: String) {
        self.candidates.push(Candidate { kind, yields: false, key });
    }

    /// The key used and another one of its kind, where identifiers of that kind must name one thing.
    fn ambiguity(&self) -> Option<[&str; 2]> {
        let best = self.candidates.iter().min_by_key(|candidate| candidate.rank())?;
        let exact = matches!(best.kind, ComponentKind::Digest | ComponentKind::Purl | ComponentKind::Cpe23);
        let mut others =
            self.candidates.iter().filter(|other| other.kind == best.kind && other.key != best.key);
        others.next().filter(|_| exact).map(|other| [best.key.as_str(), other.key.as_str()])
    }

    fn finish(mut self, described: &Described<'_>) -> Option<Keyed> {
        let (kind, key) = match self.candidates.best() {
            Some(Candidate { kind, key, .. }) => (kind, key),
            None => described.fallback.clone()?,
        };
        vex::sort_identifiers(&mut self.identifiers);
        let name = described.name.as_deref().map(str::to_owned);
        let component = Component { key, kind, identifiers: self.identifiers, name };
        Some(Keyed::new(component, self.longest_form))
    }
}

/// The key of an OCI purl whose version is `sha256:` and a digest.
fn oci_key(type_: &str, version: Option<&str>) -> Option<String> {
    let version = version.filter(|_| type_ == "oci")?;
    sha256_key("sha256", version.strip_prefix("sha256:")?)
}

/// The key that a SHA-256 digest gives.
fn sha256_key(algorithm: &str, hex: &str) -> Option<String> {
    let is_digest = is_sha256(algorithm) && hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| format!("digest:sha256:{}", hex.to_ascii_lowercase()))
}

fn is_sha256(algorithm: &str) -> bool {
    let letters = algorithm.bytes().filter(|b| !matches!(b, b'-' | b'_')).map(|b| b.to_ascii_lowercase());
    letters.eq(*b"sha256")
}

//! What can stand around a VEX document: a DSSE envelope, an in-toto Statement, a Sigstore bundle.
//!
//! Specifications: secure-systems-lab/dsse `envelope.md`, in-toto/attestation `spec/v1/statement.md`, OpenVEX
//! `ATTESTING.md`, protobuf-specs `sigstore_bundle.proto`. One envelope or bundle, one Statement in it, one VEX
//! document as its predicate: anything deeper is refused. What is decoded goes through the strict pass again.
//!
//! The document's digest is that of the received bytes; that of the predicate's exact bytes stands beside it.
//! Pointers are from the root of the predicate. Lines count in the file; where the predicate is in a payload, which has
//! lines of its own, messages name those.
//!
//! Nothing is verified here, so several signatures are as good as one. In-toto Statements state no time, so only
//! products come from the wrapper, and only to OpenVEX.

use std::borrow::Cow;
use std::collections::BTreeSet;

use provex_core::digest::{Digest, from_base64};
use provex_core::dsse::IN_TOTO_PAYLOAD_TYPE;
use provex_core::ids::DocumentDigest;
use provex_core::intoto::{STATEMENT_V0_1, STATEMENT_V1};
use provex_core::json::{self, Limits, Location, Node};
use provex_core::vex::{Component, ComponentKind};

use crate::Context;
use crate::component::{Components, Described, IdentifierType, Keyed};
use crate::cpe::Cpe;
use crate::detect::{self, Carrier, OPENVEX_CONTEXT, is_below};
use crate::document::{Accepted, Claims};
use crate::purl::Purl;
use crate::report::{Code, Finding, Findings, Rejection, hint, quoted};
use crate::typed::{Entries, Member, Shape, object};

/// A wrapper that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapper {
    /// A Sigstore bundle with an envelope in it.
    Bundle,
    /// A DSSE envelope.
    Envelope,
    /// An in-toto Statement.
    Statement,
}

impl Wrapper {
    /// The wrapper that a carrier is, if it is one.
    pub(crate) const fn of(carrier: Carrier) -> Option<Self> {
        match carrier {
            Carrier::Bundle => Some(Self::Bundle),
            Carrier::Dsse => Some(Self::Envelope),
            Carrier::InToto => Some(Self::Statement),
            Carrier::OpenVex | Carrier::Csaf | Carrier::CycloneDx | Carrier::Spdx3 | Carrier::Spdx2 => None,
        }
    }

    /// Reads the document inside; a rejection has its line already.
    pub(crate) fn read(
        self,
        text: &str,
        root: Node<'_>,
        context: &Context<'_>,
        claims: Claims<'_>,
    ) -> Result<Accepted, Rejection> {
        let mut findings = Findings::default();
        let envelope = match self {
            Self::Statement => return statement(text, root, context, claims, findings),
            Self::Envelope => typed(root).unwrap_or_default(),
            Self::Bundle => match typed::<Bundle<'_>>(root).unwrap_or_default().envelope {
                Member::Value(envelope) => envelope,
                Member::Absent | Member::Wrong(_) => {
                    let message =
                        "The Sigstore bundle holds no DSSE envelope; give one made by attesting a document.";
                    return Err(unsupported("/dsseEnvelope", message).located(text));
                }
            },
        };
        let payload = payload(&envelope, &mut findings).map_err(|rejection| rejection.located(text))?;
        let limits = Limits { byte_order_mark: false, ..Limits::document() };
        let payload = json::index(&payload, &limits).map_err(|error| {
            let (kind, hint) = (error.kind, hint(error.kind));
            let message = format!("The payload of the envelope is not strict JSON: {kind}; {hint}.");
            in_payload(Rejection { message, ..Rejection::from(error) })
        })?;
        let (text, root) = (payload.text(), payload.root());
        only_a_statement(root).map_err(|rejection| rejection.located(text)).map_err(in_payload)?;
        let read = statement(text, root, context, claims, findings).map_err(in_payload);
        read.map(|accepted| Accepted { findings: said_in_payload(accepted.findings), ..accepted })
    }
}

object! {
    Bundle<'a> { envelope: Envelope<'a> = "dsseEnvelope", }
}

object! {
    Envelope<'a> {
        payload: Cow<'a, str> = "payload",
        payload_type: Cow<'a, str> = "payloadType",
        signatures: Vec<Member<Signature<'a>>> = "signatures",
    }
}

object! {
    Signature<'a> { sig: Cow<'a, str> = "sig", }
}

object! {
    Statement<'a> {
        statement_type: Cow<'a, str> = "_type",
        subject: Vec<Member<Subject<'a>>> = "subject",
        predicate_type: Cow<'a, str> = "predicateType",
    }
}

object! {
    /// A subject: in version 1 a resource descriptor, which may have a `uri`.
    Subject<'a> {
        name: Cow<'a, str> = "name",
        uri: Cow<'a, str> = "uri",
        digest: Entries<'a> = "digest",
    }
}

fn typed<'a, T: Shape<'a>>(root: Node<'a>) -> Option<T> {
    match Member::of(root) {
        Member::Value(value) => Some(value),
        Member::Absent | Member::Wrong(_) => None,
    }
}

/// The payload's bytes.
fn payload(envelope: &Envelope<'_>, findings: &mut Findings) -> Result<Vec<u8>, Rejection> {
    let payload_type = envelope.payload_type.value().map_or("", Cow::as_ref);
    if payload_type != IN_TOTO_PAYLOAD_TYPE {
        let found = quoted(payload_type);
        let message =
            format!("The envelope's payload type is {found}; only `{IN_TOTO_PAYLOAD_TYPE}` is read.");
        return Err(unsupported("/payloadType", &message));
    }
    let signatures = envelope.signatures.value().into_iter().flatten().filter_map(Member::value);
    if !signatures.filter_map(|signature| signature.sig.value()).any(|sig| !sig.is_empty()) {
        let message = "The envelope has no signature; sign it, so that its readers can verify it.";
        findings.add(Code::MissingSignature, String::new, || message.to_owned());
    }
    let text = envelope.payload.value().map_or("", Cow::as_ref);
    if let Ok(payload) = from_base64(text) {
        return Ok(payload);
    }
    match from_base64(&standard(text)) {
        Ok(payload) => {
            let message = "The payload is in URL-safe or unpadded base64 and was read so; write it in padded \
                           standard base64, which every reader takes.";
            findings.add(Code::LooseBase64, String::new, || message.to_owned());
            Ok(payload)
        }
        Err(_) => {
            let message = "The payload of the envelope is no base64; write it in padded standard base64.";
            Err(Rejection::new(Code::BadBase64, None, "/payload", message))
        }
    }
}

/// URL-safe base64 in the standard alphabet and padded. What mixes both alphabets stays unreadable.
fn standard(text: &str) -> String {
    if text.contains(['+', '/']) && text.contains(['-', '_']) {
        return "?".to_owned();
    }
    let mut standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    standard.extend(std::iter::repeat_n('=', (4 - standard.len() % 4) % 4));
    standard
}

/// Refuses a payload that is anything but a Statement: a second envelope above all.
fn only_a_statement(payload: Node<'_>) -> Result<(), Rejection> {
    let found = match detect::detect(payload) {
        Ok(Carrier::InToto) => return Ok(()),
        Ok(other) => other.name(),
        Err(rejection) if rejection.code == Code::AmbiguousFormat => return Err(rejection),
        Err(_) => "something else",
    };
    let message = format!("The envelope should hold an in-toto Statement, but holds {found}; wrap it once.");
    Err(unsupported("", &message))
}

/// Reads the predicate of a Statement.
fn statement(
    text: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
    mut findings: Findings,
) -> Result<Accepted, Rejection> {
    let statement: Statement<'_> = typed(root).unwrap_or_default();
    let expected = expected(&statement).map_err(|rejection| rejection.located(text))?;
    let missing = || {
        let message = "The in-toto Statement has no predicate; put the VEX document there.";
        Rejection::new(Code::UnknownFormat, expected.format(), "/predicate", message).located(text)
    };
    let root = root.member("predicate").ok_or_else(missing)?;
    let predicate = root.raw();
    let place = json::locate(text, &["/predicate"]).into_iter().next().flatten().ok_or_else(missing)?;
    let subjects = Subjects::read(statement.subject, context.digest, &mut findings);
    let context = Context { subjects: Some(&subjects), ..*context };
    let read = read_as(expected, predicate, root, &context, claims);
    if let (Ok(accepted), Some(predicate_type)) = (&read, statement.predicate_type.value()) {
        report_version(predicate_type, accepted.document.spec_version.as_deref(), &mut findings);
    }
    // Those on the wrapper come first.
    let mut all = findings.located(predicate, root);
    match read {
        Ok(mut accepted) => {
            accepted.document.payload_digest = Some(Digest::of(predicate.as_bytes()));
            all.append(&mut accepted.findings);
            accepted.findings = moved(all, place);
            Ok(accepted)
        }
        Err(rejection) => {
            let mut rejection = moved_rejection(rejection.located(predicate), place);
            all.append(&mut rejection.findings);
            rejection.findings = moved(all, place);
            Err(rejection)
        }
    }
}

/// Reads a predicate that says itself that it is what the predicate type says.
fn read_as(
    expected: Carrier,
    predicate: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    match detect::detect(root)? {
        found if found == expected => crate::read(found, predicate, root, context, claims),
        Carrier::Spdx2 => Err(detect::unsupported(Carrier::Spdx2)),
        found => {
            let message = format!(
                "The predicate type says {}, but the predicate is {}; make them agree.",
                expected.name(),
                found.name()
            );
            Err(Rejection::new(Code::PredicateMismatch, None, "", message))
        }
    }
}

/// Lines of the predicate as lines of the text that the predicate stands in.
fn moved(mut findings: Vec<Finding>, place: Location) -> Vec<Finding> {
    for finding in &mut findings {
        finding.line = finding.line.map(|line| line + place.line as u64 - 1);
    }
    findings
}

fn moved_rejection(rejection: Rejection, place: Location) -> Rejection {
    let column = rejection.column.map(|column| match rejection.line {
        Some(1) => column + place.column as u64 - 1,
        _ => column,
    });
    Rejection { line: rejection.line.map(|line| line + place.line as u64 - 1), column, ..rejection }
}

/// Lines of the payload are none of the file, so they are told in words.
fn said_in_payload(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        if let Some(line) = finding.line.take() {
            finding.message.push_str(&format!(" (In the payload, line {line}.)"));
        }
    }
    findings
}

fn in_payload(mut rejection: Rejection) -> Rejection {
    rejection.column = None;
    if let Some(line) = rejection.line.take() {
        rejection.message.push_str(&format!(" (In the payload, line {line}.)"));
    }
    rejection.findings = said_in_payload(rejection.findings);
    rejection
}

/// What the types of a Statement say that its predicate is.
fn expected(statement: &Statement<'_>) -> Result<Carrier, Rejection> {
    let statement_type = statement.statement_type.value().map_or("", Cow::as_ref);
    if ![STATEMENT_V0_1, STATEMENT_V1].contains(&statement_type) {
        let found = quoted(statement_type);
        let message = format!("in-toto Statements of type {found} are not read; use `{STATEMENT_V1}`.");
        return Err(unsupported("/_type", &message));
    }
    let Some(predicate_type) = statement.predicate_type.value() else {
        let message =
            "The in-toto Statement has no predicate type; add `https://openvex.dev/ns`, for example.";
        return Err(Rejection::new(Code::UnknownFormat, None, "/predicateType", message));
    };
    predicate_carrier(predicate_type).ok_or_else(|| refused(predicate_type))
}

/// The predicate types of VEX documents. CSAF has none.
fn predicate_carrier(predicate_type: &str) -> Option<Carrier> {
    const SPDX: &str = "https://spdx.dev/Document";
    let spdx3 = || predicate_type.strip_prefix(SPDX)?.strip_prefix("/v3");
    if is_below(predicate_type, OPENVEX_CONTEXT) {
        Some(Carrier::OpenVex)
    } else if is_below(predicate_type, "https://cyclonedx.org/bom") {
        Some(Carrier::CycloneDx)
    } else if predicate_type == SPDX || spdx3().is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        // Tools write the type without a version for SPDX 2 and 3 alike; the predicate itself tells.
        Some(Carrier::Spdx3)
    } else {
        None
    }
}

/// Says so where the predicate type names another version than the predicate. Most types name none.
fn report_version(predicate_type: &str, found: Option<&str>, findings: &mut Findings) {
    let Some((_, stated)) = predicate_type.rsplit_once("/v") else { return };
    let rest = found.and_then(|found| found.strip_prefix(stated));
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        findings.add(Code::SpecVersionMismatch, String::new, || {
            let found = found.map_or_else(|| "no version".to_owned(), quoted);
            format!(
                "The predicate type {} is of another version than the predicate, which is of {found} and was read so; \
                 make them agree.",
                quoted(predicate_type)
            )
        });
    }
}

/// Predicate types that are known but not read, and what they are.
const REFUSED: [(&str, &str); 6] = [
    ("text/vex", "only an example in OpenVEX's ATTESTING.md; use `https://openvex.dev/ns`"),
    (
        "https://spdx.dev/Document",
        "SPDX 2, which has no VEX statements; use SPDX 3 with its security profile",
    ),
    (
        "https://in-toto.io/attestation/vulns",
        "a scan result, which says what a scanner matched and not whether the product is affected; attest VEX",
    ),
    (
        "https://cosign.sigstore.dev/attestation/vuln",
        "a scan result, which says what a scanner matched and not whether the product is affected; attest VEX",
    ),
    (
        "https://in-toto.io/attestation/reference",
        "only a pointer to other documents; fetch the VEX document itself",
    ),
    ("https://in-toto.io/attestation/svr", "a verdict on an artifact and no VEX document; attest VEX"),
];

fn refused(predicate_type: &str) -> Rejection {
    let shown = quoted(predicate_type);
    match REFUSED.iter().find(|(known, _)| is_below(predicate_type, known)) {
        Some((_, what)) => unsupported("/predicateType", &format!("The predicate type {shown} is {what}.")),
        None => {
            let message = format!(
                "The predicate type {shown} is no VEX document's; use that of OpenVEX (`https://openvex.dev/ns`), \
                 CycloneDX (`https://cyclonedx.org/bom`) or SPDX 3 (`https://spdx.dev/Document/v3`)."
            );
            Rejection::new(Code::UnknownFormat, None, "/predicateType", message)
        }
    }
}

fn unsupported(pointer: &str, message: &str) -> Rejection {
    Rejection::new(Code::UnsupportedFormat, None, pointer, message)
}

/// What a Statement is about: the products of OpenVEX statements that have none, and the only ones that those
/// which have some are heard about (OpenVEX `ATTESTING.md`).
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    components: Vec<Keyed>,
    /// SHA-256 of the subjects, as the forms of a component have them.
    digests: BTreeSet<String>,
    /// Names of the subjects.
    names: BTreeSet<String>,
    /// Names of those subjects that have no SHA-256.
    names_without_digest: BTreeSet<String>,
}

impl Subjects {
    fn read(
        member: Member<Vec<Member<Subject<'_>>>>,
        document: DocumentDigest,
        findings: &mut Findings,
    ) -> Self {
        let list = member.take(findings, String::new, "a list of subjects").unwrap_or_default();
        let mut subjects = Self::default();
        let mut components = Components::default();
        if list.is_empty() {
            let message = "The in-toto Statement has no subject; name the products that it is about.";
            findings.add(Code::BadSubject, String::new, || message.to_owned());
        }
        for (n, subject) in list.iter().enumerate() {
            let name = subject.value().and_then(|subject| subject.name.value()).map(ToString::to_string);
            let described = subject.value().map(|subject| describe(subject, document)).unwrap_or_default();
            let has_digest = subject.value().is_some_and(has_digest);
            if subject.value().is_some_and(|subject| matches!(subject.name, Member::Wrong(_))) {
                let message = || {
                    format!(
                        "The name of subject {n} of the in-toto Statement is no string and was not read; make it one."
                    )
                };
                findings.add(Code::BadSubject, String::new, message);
            }
            match components.resolve(&described, findings, String::new) {
                Some(keyed) if !keyed.too_long => {
                    if !has_digest {
                        let message = || {
                            format!(
                                "Subject {n} of the in-toto Statement has no digest, which in-toto requires; add its SHA-256."
                            )
                        };
                        findings.add(Code::BadSubject, String::new, message);
                    }
                    subjects.add(keyed, name);
                }
                found => {
                    let why = if found.is_some() {
                        "has a name or digest over 1,024 bytes; shorten it"
                    } else {
                        "has neither name nor digest; add its SHA-256"
                    };
                    let message = || format!("Subject {n} of the in-toto Statement {why}. It was left out.");
                    findings.add(Code::BadSubject, String::new, message);
                }
            }
        }
        subjects
    }

    fn add(&mut self, keyed: Keyed, name: Option<String>) {
        let mut names: Vec<String> = names(&keyed.component).collect();
        names.extend(name);
        let digests: Vec<String> = digests(&keyed).collect();
        if digests.is_empty() {
            self.names_without_digest.extend(names.iter().cloned());
        }
        self.names.extend(names);
        self.digests.extend(digests);
        self.components.push(keyed);
    }

    /// The subjects as products.
    pub(crate) fn components(&self) -> &[Keyed] {
        &self.components
    }

    /// Whether a product is one of the subjects: by SHA-256 where both have one, else by any name.
    pub(crate) fn include(&self, product: &Keyed) -> bool {
        let mut digests = digests(product).peekable();
        let named = if digests.peek().is_some() { &self.names_without_digest } else { &self.names };
        digests.any(|digest| self.digests.contains(&digest))
            || names(&product.component).any(|name| named.contains(&name))
    }
}

fn has_digest(subject: &Subject<'_>) -> bool {
    let mut values = subject.digest.value().into_iter().flat_map(|digest| &digest.0);
    values.any(|(_, value)| value.value().is_some_and(|value| !value.trim().is_empty()))
}

/// A subject as a component. Without digest or identifier its name means something in this document only.
fn describe<'a>(subject: &'a Subject<'_>, document: DocumentDigest) -> Described<'a> {
    let mut described = Described::default();
    let name = subject.name.value().map(Cow::as_ref).filter(|name| !name.trim().is_empty());
    let borrowed = |text: &'a str| Some(Cow::Borrowed(text));
    if let Some(name) = name {
        match IdentifierType::of_iri(name) {
            // In-toto names mean something to the Statement's author only, so they are no identifiers.
            IdentifierType::Iri => {
                described.name = borrowed(name);
                let key = format!("inherited:sha256:{}|{name}", document.to_text());
                described.fallback = Some((ComponentKind::Inherited, key));
            }
            kind => described.add(Some(kind), borrowed(name)),
        }
    }
    if let Some(uri) = subject.uri.value() {
        described.add(Some(IdentifierType::of_iri(uri)), borrowed(uri));
    }
    for (algorithm, value) in subject.digest.value().into_iter().flat_map(|digest| &digest.0) {
        let value = value.value().and_then(|value| borrowed(value));
        described.add(Some(IdentifierType::Hash(Cow::Borrowed(algorithm))), value);
    }
    described
}

/// A component's SHA-256 digests: of its hashes and of OCI purls.
fn digests(keyed: &Keyed) -> impl Iterator<Item = String> {
    keyed.forms().into_iter().filter(|form| form.starts_with("digest:sha256:"))
}

/// What names a component exactly. Its forms are not taken: among them are purls without their version.
fn names(component: &Component) -> impl Iterator<Item = String> {
    component.identifiers.iter().map(|identifier| {
        let value = &identifier.value;
        let canonical = match identifier.kind.as_ref() {
            "purl" => Purl::parse(value).ok().map(|purl| purl.canonical()),
            "cpe22" | "cpe23" => Cpe::parse(value).ok().map(|cpe| cpe.bound().to_owned()),
            kind => kind.strip_prefix("hash:").map(|algorithm| {
                let algorithm: String = algorithm.chars().filter(|c| !matches!(c, '-' | '_')).collect();
                format!("hash:{algorithm}:{}", value.to_ascii_lowercase())
            }),
        };
        canonical.unwrap_or_else(|| value.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicate_types_are_read_by_their_table() {
        for (predicate_type, expected) in [
            ("https://openvex.dev/ns", Some(Carrier::OpenVex)),
            ("https://openvex.dev/ns/v0.2.0", Some(Carrier::OpenVex)),
            ("https://openvex.dev/nsx", None),
            ("https://cyclonedx.org/bom", Some(Carrier::CycloneDx)),
            ("https://cyclonedx.org/bom/v1.6", Some(Carrier::CycloneDx)),
            ("https://spdx.dev/Document", Some(Carrier::Spdx3)),
            ("https://spdx.dev/Document/v3", Some(Carrier::Spdx3)),
            ("https://spdx.dev/Document/v3.0.1", Some(Carrier::Spdx3)),
            ("https://spdx.dev/Document/v2.3", None),
            ("https://spdx.dev/Document/v30", None),
            ("text/vex", None),
        ] {
            assert_eq!(predicate_carrier(predicate_type), expected, "{predicate_type}");
        }
    }

    #[test]
    fn url_safe_base64_is_one_spelling_of_the_standard_one() {
        for (written, expected) in [("-_8", "+/8="), ("YQ", "YQ=="), ("YQ=", "YQ=="), ("", ""), ("-/", "?")] {
            assert_eq!(standard(written), expected, "{written}");
        }
    }
}

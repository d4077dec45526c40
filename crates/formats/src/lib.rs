//! VEX documents to observations: bytes in, claims and findings out.
//!
//! [`parse`] takes the bytes of a document in any format that is read and gives back its claims, each named by
//! its content, or a [`Rejection`] that says why there are none. First one strict pass over the bytes refuses
//! what JSON readers understand differently, then the format is detected by content, then its reader takes the
//! members it knows and reports the rest.
//!
//! A reader is a module with one entry point, `read(text, root, context, claims)`; it leans on `typed` (members of any JSON
//! type without losing the document), `component` and `vulnerability` (keys), `terms` (the mapping tables) and
//! `document` (claims and their digests). To add one, name its marks in `detect` and call it in `read`. What a
//! document comes wrapped in (`wrapper`) is opened first.
//!
//! Everything here is pure: no files, sockets, clock, threads or randomness. Merging is not done here.

pub mod component;
mod conflicts;
pub mod cpe;
mod csaf;
mod cyclonedx;
mod detect;
mod document;
mod memo;
mod misspelling;
mod openvex;
pub mod purl;
mod repeats;
mod report;
mod spdx3;
mod stated;
pub mod terms;
mod typed;
mod vulnerability;
mod wrapper;

use provex_core::digest::Digest;
use provex_core::ids::DocumentDigest;
use provex_core::json::{self, Limits, Node};

use crate::detect::Carrier;
use crate::document::Claims;
pub use crate::document::{
    Accepted, Claim, DocumentFacts, KeyKind, LookupKey, MAX_KEY_BYTES, Parsed, ParsedObservation, Retirement,
};
pub use crate::report::{Code, Finding, Rejection, too_large};
use crate::wrapper::{Subjects, Wrapper};

/// What [`parse`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseLimits {
    /// Most bytes of a document.
    pub max_bytes: usize,
    /// Most bytes that the bodies of one document's claims may have together.
    ///
    /// A body repeats what its claims share, so a few kilobytes of document can ask for terabytes of bodies: one
    /// long text over many products, or in OpenVEX 0.0.1 many products times many subcomponents.
    pub max_body_bytes: usize,
}

impl Default for ParseLimits {
    /// Documents of 150 MiB, from the size appendix of CSAF 2.1; bodies of 512 MiB, some 300,000 claims.
    fn default() -> Self {
        Self { max_bytes: Limits::document().max_bytes, max_body_bytes: 512 << 20 }
    }
}

/// What a reader is told besides the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// SHA-256 of the received bytes.
    pub(crate) digest: DocumentDigest,
    /// What the wrapper that the document came in is about.
    pub(crate) subjects: Option<&'a Subjects>,
}

/// Reads a document of any format, with all its claims.
///
/// # Errors
/// [`Rejection`] if the document gives no observation: it is not strict JSON, its format is not read, or no
/// statement in it makes a claim.
pub fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Parsed, Rejection> {
    let mut observations = Vec::new();
    let accepted = parse_each(bytes, limits, |Claim { observation, id, .. }| {
        observations.push(ParsedObservation { observation: observation.clone(), id });
    })?;
    Ok(Parsed { document: accepted.document, observations, findings: accepted.findings })
}

/// Reads a document of any format and lends out each of its claims as soon as it is read: what is held is not more for
/// more claims. The same bytes give the same claims in the same order.
///
/// # Errors
/// As [`parse`]. Claims that were lent out before are void.
pub fn parse_each(
    bytes: &[u8],
    limits: &ParseLimits,
    mut each: impl FnMut(Claim<'_>),
) -> Result<Accepted, Rejection> {
    let digest = || DocumentDigest::new(Digest::of(bytes));
    read_received(bytes, digest, limits, Claims::new(limits, &mut each))
}

/// As [`parse_each`], for those who know the SHA-256 of `bytes` already.
///
/// # Errors
/// As [`parse`]. Claims that were lent out before are void.
pub fn parse_digested(
    bytes: &[u8],
    digest: DocumentDigest,
    limits: &ParseLimits,
    mut each: impl FnMut(Claim<'_>),
) -> Result<Accepted, Rejection> {
    debug_assert_eq!(digest.digest(), &Digest::of(bytes), "claims must name the document that they stand in");
    read_received(bytes, || digest, limits, Claims::new(limits, &mut each))
}

/// Reads a document as received.
fn read_received(
    bytes: &[u8],
    digest: impl FnOnce() -> DocumentDigest,
    limits: &ParseLimits,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    if cyclonedx::is_xml(bytes) {
        return cyclonedx::read_xml(bytes, digest, limits, claims);
    }
    let indexed = json::index(bytes, &Limits { max_bytes: limits.max_bytes, ..Limits::document() })?;
    let (text, root) = (indexed.text(), indexed.root());
    let carrier = detect::detect(root).map_err(|rejection| rejection.located(text))?;
    let context = Context { digest: digest(), subjects: None };
    match Wrapper::of(carrier) {
        Some(wrapper) => wrapper.read(text, root, &context, claims),
        None => read(carrier, text, root, &context, claims).map_err(|rejection| rejection.located(text)),
    }
}

/// Reads a VEX document, as received or as a wrapper held it.
pub(crate) fn read(
    carrier: Carrier,
    text: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    match carrier {
        Carrier::OpenVex => openvex::read(text, root, context, claims),
        Carrier::Csaf => csaf::read(text, root, context, claims),
        Carrier::CycloneDx => cyclonedx::read(text, root, context, claims),
        Carrier::Spdx3 => spdx3::read(text, root, context, claims),
        other => Err(detect::unsupported(other)),
    }
}

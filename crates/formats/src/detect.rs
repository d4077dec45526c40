//! Which format a document is in, by what stands in it and never by its file name.
//!
//! One cheap look at the top-level members finds the marks of every carrier. A document with the marks of two is
//! refused: which one is read would depend on the reader, and they may say opposite things.

use std::borrow::Cow;

use provex_core::json::{Elements, Members, Node};
use provex_core::vex::Format;

use crate::report::{Code, Rejection};
use crate::typed::{Member, Shape, object};

/// What a document's outermost JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// OpenVEX.
    OpenVex,
    /// CSAF.
    Csaf,
    /// CycloneDX in JSON.
    CycloneDx,
    /// SPDX 3 in JSON-LD.
    Spdx3,
    /// SPDX 2, which says nothing of vulnerabilities.
    Spdx2,
    /// A DSSE envelope.
    Dsse,
    /// A Sigstore bundle.
    Bundle,
    /// An in-toto Statement without an envelope.
    InToto,
}

/// How every OpenVEX `@context` begins.
pub(crate) const OPENVEX_CONTEXT: &str = "https://openvex.dev/ns";
const SPDX3_CONTEXT: &str = "https://spdx.org/rdf/3";
const IN_TOTO_STATEMENT: &str = "https://in-toto.io/Statement/";
const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Whether `url` is `base` or goes on with a path below it.
pub(crate) fn is_below(url: &str, base: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the document is.
pub(crate) fn detect(root: Node<'_>) -> Result<Carrier, Rejection> {
    let unknown = |message: &str| Rejection::new(Code::UnknownFormat, None, "", message);
    let Member::Value(top) = Member::<Top<'_>>::of(root) else {
        return Err(unknown("The document is no JSON object; give an OpenVEX document."));
    };
    let mut carriers = top.carriers();
    match (carriers.next(), carriers.next()) {
        (Some(carrier), None) => Ok(carrier),
        (None, _) if top.bom_format.is_stated() => {
            let message = "The `bomFormat` is not `CycloneDX`; correct it, if this is CycloneDX.";
            Err(Rejection::new(Code::UnknownFormat, Some(Format::CycloneDx), "/bomFormat", message))
        }
        (None, _) => Err(unknown(
            "The document is in no format that is known; an OpenVEX document has an `@context` that begins \
             with `https://openvex.dev/ns`.",
        )),
        (Some(one), Some(other)) => {
            let message = format!(
                "The document has the marks of both {} and {}; make it one.",
                one.name(),
                other.name()
            );
            Err(Rejection::new(Code::AmbiguousFormat, None, "", message))
        }
    }
}

/// The rejection of a carrier that has no reader.
pub(crate) fn unsupported(carrier: Carrier) -> Rejection {
    let message = format!(
        "The document is {}, which is not read; give OpenVEX, CSAF, CycloneDX or SPDX 3.",
        carrier.name()
    );
    Rejection::new(Code::UnsupportedFormat, carrier.format(), "", message)
}

impl Carrier {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenVex => "OpenVEX",
            Self::Csaf => "CSAF",
            Self::CycloneDx => "CycloneDX",
            Self::Spdx3 => "SPDX 3",
            Self::Spdx2 => "SPDX 2",
            Self::Dsse => "a DSSE envelope",
            Self::Bundle => "a Sigstore bundle",
            Self::InToto => "an in-toto Statement",
        }
    }

    pub(crate) const fn format(self) -> Option<Format> {
        match self {
            Self::OpenVex => Some(Format::OpenVex),
            Self::Csaf => Some(Format::Csaf),
            Self::CycloneDx => Some(Format::CycloneDx),
            Self::Spdx3 => Some(Format::Spdx3),
            Self::Spdx2 | Self::Dsse | Self::Bundle | Self::InToto => None,
        }
    }
}

object! {
    /// The marks of all carriers.
    Top<'a> {
        context: Contexts<'a> = "@context",
        bom_format: Cow<'a, str> = "bomFormat",
        document: CsafDocument<'a> = "document",
        spdx_version: Cow<'a, str> = "spdxVersion",
        payload: Cow<'a, str> = "payload",
        payload_type: Cow<'a, str> = "payloadType",
        media_type: Cow<'a, str> = "mediaType",
        statement_type: Cow<'a, str> = "_type",
    }
}

object! {
    /// CSAF's `document`. A tombstone has no `csaf_version`.
    CsafDocument<'a> {
        csaf_version: Cow<'a, str> = "csaf_version",
        tracking: Present = "tracking",
    }
}

/// An object, whatever is in it.
#[derive(Debug)]
struct Present;

impl<'a> Shape<'a> for Present {
    fn object(_: Members<'a>) -> Option<Self> {
        Some(Self)
    }
}

/// A JSON-LD `@context`: a URL, or a list with URLs in it.
#[derive(Debug)]
struct Contexts<'a>(Vec<Member<Cow<'a, str>>>);

impl<'a> Shape<'a> for Contexts<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self(vec![Member::Value(text)]))
    }

    fn array(elements: Elements<'a>) -> Option<Self> {
        Vec::array(elements).map(Self)
    }
}

impl Top<'_> {
    fn carriers(&self) -> impl Iterator<Item = Carrier> {
        let context = |test: fn(&str) -> bool| {
            let contexts = self.context.value().into_iter().flat_map(|contexts| &contexts.0);
            contexts.filter_map(Member::value).any(|url| test(url))
        };
        let csaf = self.document.value().is_some_and(|document| {
            document.csaf_version.value().is_some() || document.tracking.value().is_some()
        });
        let statement = self.statement_type.value();
        let media_type = self.media_type.value();
        [
            (context(|url| is_below(url, OPENVEX_CONTEXT)), Carrier::OpenVex),
            (csaf, Carrier::Csaf),
            (self.bom_format.value().is_some_and(|name| name == "CycloneDX"), Carrier::CycloneDx),
            (context(|url| url.starts_with(SPDX3_CONTEXT)), Carrier::Spdx3),
            (self.spdx_version.value().is_some(), Carrier::Spdx2),
            (self.payload.value().is_some() && self.payload_type.value().is_some(), Carrier::Dsse),
            (media_type.is_some_and(|kind| kind.starts_with(SIGSTORE_BUNDLE)), Carrier::Bundle),
            (statement.is_some_and(|kind| kind.starts_with(IN_TOTO_STATEMENT)), Carrier::InToto),
        ]
        .into_iter()
        .filter_map(|(marked, carrier)| marked.then_some(carrier))
    }
}

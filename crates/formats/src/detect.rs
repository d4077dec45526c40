//! Which format a document is in, by what stands in it and never by its file name.
//!
//! The marks of every carrier are among the top-level members, which the strict pass has found. A document with the
//! marks of two is refused: which one is read would depend on the reader, and they may say opposite things.

use std::borrow::Cow;

use provex_core::json::Members;
use provex_core::vex::Format;
use serde::Deserialize as _;

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
pub(crate) fn detect(text: &str, members: &Members<'_>) -> Result<Carrier, Rejection> {
    let unknown = |message: &str| Rejection::new(Code::UnknownFormat, None, "", message);
    if !text.trim_start().starts_with('{') {
        return Err(unknown("The document is no JSON object; give an OpenVEX document."));
    }
    let top = Top::of(members);
    let mut carriers = top.carriers();
    match (carriers.next(), carriers.next()) {
        (Some(carrier), None) => Ok(carrier),
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
    let message = format!("The document is {}, which is not read.", carrier.name());
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

/// The marks of all carriers.
#[derive(Debug, Default)]
struct Top<'a> {
    context: Member<Contexts<'a>>,
    bom_format: Member<Cow<'a, str>>,
    document: Member<CsafDocument<'a>>,
    spdx_version: Member<Cow<'a, str>>,
    payload: Member<Cow<'a, str>>,
    payload_type: Member<Cow<'a, str>>,
    media_type: Member<Cow<'a, str>>,
    statement_type: Member<Cow<'a, str>>,
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

impl<'de> Shape<'de> for Present {
    fn object<A: serde::de::MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}

/// A JSON-LD `@context`: a URL, or a list with URLs in it.
#[derive(Debug)]
struct Contexts<'a>(Vec<Member<Cow<'a, str>>>);

impl<'de> Shape<'de> for Contexts<'de> {
    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(vec![Member::Value(text)]))
    }

    fn array<A: serde::de::SeqAccess<'de>>(array: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::array(array)?.map(Self))
    }
}

impl<'a> Top<'a> {
    fn of(members: &Members<'a>) -> Self {
        let mut top = Self::default();
        for (key, value) in members.iter() {
            match key.as_ref() {
                "@context" => top.context = read(value),
                "bomFormat" => top.bom_format = read(value),
                "document" => top.document = read(value),
                "spdxVersion" => top.spdx_version = read(value),
                "payload" => top.payload = read(value),
                "payloadType" => top.payload_type = read(value),
                "mediaType" => top.media_type = read(value),
                "_type" => top.statement_type = read(value),
                _ => {}
            }
        }
        top
    }

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

/// The value that a text begins with.
fn read<'a, T: Shape<'a>>(text: &'a str) -> Member<T> {
    Member::deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap_or_default()
}

//! The documents to measure with: a folder's, and more of them made by changing their ids.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use provex_core::vex::Format;
use provex_formats::ParseLimits;
use provex_pipeline::Content;

use super::scratch;
use crate::inputs::Inputs;

/// From this size on a document counts as large.
const LARGE: usize = 100_000;

/// A document that is accepted and makes claims.
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
    pub(super) observations: usize,
    /// Its own id.
    id: Option<String>,
}

/// The documents of a folder, in the order of their paths.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Document>> {
    ensure!(folder.is_dir(), "{} is no folder: give --corpus DIR", folder.display());
    let documents: Vec<_> = Inputs::new(vec![folder.to_owned()], ParseLimits::default())
        .filter_map(|input| if let Content::File(path) = input.content { Some(path) } else { None })
        .filter_map(|path| Some((std::fs::read(&path).ok()?, path)))
        .filter_map(|(bytes, path)| {
            let parsed = provex_formats::parse(&bytes, &ParseLimits::default()).ok()?;
            let (format, observations) = (parsed.document.format, parsed.observations.len());
            Some(Document { path, bytes, format, observations, id: parsed.document.id })
        })
        .filter(|document| document.observations > 0)
        .collect();
    ensure!(!documents.is_empty(), "{} holds no VEX document", folder.display());
    Ok(documents)
}

/// The large documents of one format; if there are none, all of it.
pub(super) fn large(documents: &[Document], format: Format) -> Vec<&Document> {
    let of_format = || documents.iter().filter(|document| document.format == format);
    let large: Vec<_> = of_format().filter(|document| document.bytes.len() >= LARGE).collect();
    if large.is_empty() { of_format().collect() } else { large }
}

/// When enough documents are written.
#[derive(Clone, Copy)]
pub(super) enum Until {
    Documents(usize),
    Observations(usize),
}

/// How much was written.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Written {
    pub(super) documents: usize,
    pub(super) observations: usize,
    pub(super) bytes: usize,
}

/// Writes the documents into a folder, again and again under changed ids, until there are enough.
pub(super) fn repeat(documents: &[Document], folder: &Path, until: Until) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let again = (0..).flat_map(|round| documents.iter().map(move |document| (round, document)));
    for (round, document) in again {
        let enough = match until {
            Until::Documents(enough) => written.documents >= enough,
            Until::Observations(enough) => written.observations >= enough,
        };
        if enough {
            break;
        }
        let bytes = under_another_id(document, round);
        let ending = document.path.extension().unwrap_or_default().to_string_lossy();
        scratch::write(&folder.join(format!("{:06}.{ending}", written.documents)), &bytes)?;
        written.documents += 1;
        written.observations += document.observations;
        written.bytes += bytes.len();
    }
    Ok(written)
}

/// The document under another id; one that has none, or has it inside a signed payload, gets blanks at its end.
fn under_another_id(document: &Document, round: usize) -> Cow<'_, [u8]> {
    if round == 0 {
        return Cow::Borrowed(&document.bytes);
    }
    let bytes = &document.bytes;
    let quoted = document.id.as_ref().map(|id| format!("\"{id}\""));
    let found = quoted.as_deref().and_then(|quoted| {
        let at = bytes.windows(quoted.len()).position(|window| window == quoted.as_bytes())?;
        Some(at + quoted.len() - 1)
    });
    let (before, after) = bytes.split_at(found.unwrap_or(bytes.len()));
    let change = if found.is_some() { format!("-{round}") } else { " ".repeat(round) };
    Cow::Owned([before, change.as_bytes(), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_document_has_another_id_or_at_least_other_bytes() {
        let document = |id: Option<&str>| Document {
            path: "a.json".into(),
            bytes: br#"{"x": "a b", "@id": "a"}"#.to_vec(),
            format: Format::OpenVex,
            observations: 1,
            id: id.map(str::to_owned),
        };
        assert_eq!(*under_another_id(&document(Some("a")), 7), *br#"{"x": "a b", "@id": "a-7"}"#);
        assert_eq!(*under_another_id(&document(None), 2), *br#"{"x": "a b", "@id": "a"}  "#);
        assert_eq!(*under_another_id(&document(Some("a")), 0), *document(None).bytes);
    }
}

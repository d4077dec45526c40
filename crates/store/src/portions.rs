//! The observations of documents in portions, so that what a backend holds and sends at once has a bound.

use provex_core::ids::{DocumentDigest, ObservationId};
use provex_core::intoto::SetCommitment;

use crate::ledger::observations_commitment;
use crate::{Error, NewDocument, NewObservation, ObservationParts};

/// The observations of documents that are recorded together: first those in memory, of all documents at once, then
/// the others, document by document.
pub struct Portions<'a> {
    documents: &'a [&'a NewDocument],
    /// What each document's observations so far are.
    ids: Vec<Vec<ObservationId>>,
    /// Whether those in memory were given.
    begun: bool,
    /// The number of the document whose others are next.
    at: usize,
    parts: Option<Box<dyn ObservationParts>>,
    /// The part that was given last.
    held: Vec<NewObservation>,
}

impl<'a> Portions<'a> {
    /// Nothing is given yet.
    pub fn new(documents: &'a [&'a NewDocument]) -> Self {
        let ids = documents.iter().map(|document| document.observations.iter().map(|o| o.id).collect());
        Self { documents, ids: ids.collect(), begun: false, at: 0, parts: None, held: Vec::new() }
    }

    /// The next portion, each observation with its document, sorted by id; it may be empty. `None` after the last.
    ///
    /// # Errors
    /// [`Error::Observations`]: then nothing of the documents may be recorded.
    pub async fn next(&mut self) -> Result<Option<Vec<(DocumentDigest, &NewObservation)>>, Error> {
        if !std::mem::replace(&mut self.begun, true) {
            let of = |document: &&'a NewDocument| document.facts.digest;
            let all = self.documents.iter().flat_map(|d| d.observations.iter().map(move |o| (of(d), o)));
            return Ok(Some(sorted(all)));
        }
        while let Some(document) = self.documents.get(self.at) {
            let open = || document.more.as_ref().map(|more| more.source.parts());
            let part = match self.parts.take().or_else(open) {
                Some(mut parts) => {
                    let part = parts.next().await;
                    self.parts = Some(parts);
                    part
                }
                None => None,
            };
            if let Some(part) = part {
                self.ids[self.at].extend(part.iter().map(|observation| observation.id));
                self.held = part;
                return Ok(Some(sorted(self.held.iter().map(|o| (document.facts.digest, o)))));
            }
            let (expected, found) = (document.observation_count(), self.ids[self.at].len() as u64);
            if expected != found {
                return Err(Error::Observations { document: document.facts.digest, expected, found });
            }
            self.parts = None;
            self.at += 1;
        }
        Ok(None)
    }

    /// What the observations of each document come to, after the last portion.
    pub fn finish(self) -> Vec<SetCommitment> {
        self.ids.into_iter().map(observations_commitment).collect()
    }
}

fn sorted<'o>(
    observations: impl Iterator<Item = (DocumentDigest, &'o NewObservation)>,
) -> Vec<(DocumentDigest, &'o NewObservation)> {
    let mut sorted: Vec<_> = observations.collect();
    sorted.sort_unstable_by_key(|(_, observation)| observation.id);
    sorted
}

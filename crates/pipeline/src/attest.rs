//! Attest: documents to signed statements. The envelope is recorded before anything is sent, and only its stored
//! bytes are ever sent: no retry can log a second signature.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::ids::{DocumentDigest, ObservationId};
use provex_core::intoto::{
    AttestedDocument, ObservationSet, ObservationsPredicate, SaltKey, VEX_OBSERVATIONS,
};
use provex_core::keys::Signer;
use provex_store::{AttestableDocument, LeaseToken, NewEnvelope, Stage, Submission, SubmissionSubject};

use crate::{Error, Pipeline, STAGE_BATCH};

/// What one statement is about. In all of them an observation's linkage is the log entry and its path in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One document with all its observations.
    Document,
    /// One observation; a document without any is a statement of its own.
    Observation,
    /// Up to so many documents with all their observations.
    Batch(NonZeroUsize),
}

/// Documents whose observations are in memory at a time, where a statement is about one of them.
const DOCUMENTS: usize = 16;
/// A transaction records envelopes of whole documents until they have so many members.
const MEMBERS: usize = 2_000;

impl Pipeline {
    /// Signs statements of all documents that wait for one. How many envelopes that made.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays.
    pub async fn attest(&self, signer: &dyn Signer, salt_key: &SaltKey, unit: Unit) -> Result<u64, Error> {
        let mut made = 0;
        while let Some(some) = self.attest_some(signer, salt_key, unit).await? {
            made += some;
        }
        Ok(made)
    }

    /// Does as much of [`Pipeline::attest`] as one lease takes; `None` if nothing is due.
    pub(crate) async fn attest_some(
        &self,
        signer: &dyn Signer,
        salt_key: &SaltKey,
        unit: Unit,
    ) -> Result<Option<u64>, Error> {
        let limit = if let Unit::Batch(size) = unit { size.get() } else { STAGE_BATCH };
        let lease = self.lease()?;
        let leased = self.store.acquire_submissions(&self.tenant, Stage::Attest, lease, limit).await?;
        if leased.is_empty() {
            return Ok(None);
        }
        let digests: Vec<_> = leased.iter().filter_map(document_of).collect();
        let ids: BTreeMap<_, _> = leased.iter().filter_map(|s| Some((document_of(s)?, s.id))).collect();
        let mut batch = Batch::default();
        let mut made = 0;
        // However many large documents there are, little of them is in memory at a time.
        let some = if let Unit::Batch(size) = unit { size.get() } else { DOCUMENTS };
        for digests in digests.chunks(some) {
            let documents = self.store.attestable_documents(&self.tenant, digests).await?;
            for group in groups(&documents, unit) {
                for statement in statements(group, unit) {
                    batch.push(self.sign_envelope(&statement, signer, salt_key)?);
                }
                batch.replaced.extend(group.iter().filter_map(|document| ids.get(&document.digest)));
                if batch.members >= MEMBERS {
                    made += self.record_envelopes(std::mem::take(&mut batch), lease.token).await?;
                }
            }
        }
        made += self.record_envelopes(batch, lease.token).await?;
        Ok(Some(made))
    }

    async fn record_envelopes(&self, batch: Batch, token: LeaseToken) -> Result<u64, Error> {
        if batch.replaced.is_empty() {
            return Ok(0);
        }
        let now = self.environment.now();
        self.store.record_envelopes(&self.tenant, now, token, &batch.replaced, &batch.envelopes).await?;
        Ok(batch.envelopes.len() as u64)
    }

    fn sign_envelope(
        &self,
        documents: &[AttestableDocument],
        signer: &dyn Signer,
        salt_key: &SaltKey,
    ) -> Result<NewEnvelope, Error> {
        let ids = documents.iter().flat_map(|document| &document.observations);
        let set = ObservationSet::new(ids.map(|id| *id.digest()).collect());
        let predicate = ObservationsPredicate { documents: attested(documents), set: set.commitment() };
        let payload = predicate.to_payload(salt_key, &self.tenant);
        let envelope = Envelope::sign(payload, signer)?;
        let bytes = envelope.to_jcs();
        Ok(NewEnvelope {
            digest: provex_core::ids::EnvelopeDigest::new(Digest::of(&bytes)),
            bytes,
            predicate_type: VEX_OBSERVATIONS.to_owned(),
            key_fingerprint: signer.public_key().fingerprint(),
            set: predicate.set,
            submission: self.environment.uuid(),
            documents: predicate.documents.iter().map(|document| document.digest).collect(),
            observations: set.members().iter().copied().map(ObservationId::new).collect(),
        })
    }
}

/// Envelopes to be recorded together, and the submissions that they replace.
#[derive(Default)]
struct Batch {
    replaced: Vec<uuid::Uuid>,
    envelopes: Vec<NewEnvelope>,
    /// Observations of the envelopes, and those that have none.
    members: usize,
}

impl Batch {
    fn push(&mut self, envelope: NewEnvelope) {
        self.members += envelope.observations.len().max(1);
        self.envelopes.push(envelope);
    }
}

/// Documents whose submissions are replaced together.
fn groups(documents: &[AttestableDocument], unit: Unit) -> impl Iterator<Item = &[AttestableDocument]> {
    match unit {
        Unit::Document | Unit::Observation => documents.chunks(1),
        Unit::Batch(size) => documents.chunks(size.get()),
    }
}

/// What each statement of a group is about.
fn statements(group: &[AttestableDocument], unit: Unit) -> Vec<Cow<'_, [AttestableDocument]>> {
    match unit {
        Unit::Document | Unit::Batch(_) => vec![Cow::Borrowed(group)],
        Unit::Observation => group.iter().flat_map(one_each).collect(),
    }
}

/// A document as often as it has observations, each time with one of them.
fn one_each(document: &AttestableDocument) -> Vec<Cow<'_, [AttestableDocument]>> {
    if document.observations.is_empty() {
        return vec![Cow::Borrowed(std::slice::from_ref(document))];
    }
    let (digest, format) = (document.digest, document.format);
    let one = |id: &ObservationId| AttestableDocument { digest, format, observations: vec![*id] };
    document.observations.iter().map(|id| Cow::Owned(vec![one(id)])).collect()
}

/// The predicate's documents: by digest, without doubles.
fn attested(documents: &[AttestableDocument]) -> Vec<AttestedDocument> {
    let by_digest: BTreeMap<DocumentDigest, AttestedDocument> = documents
        .iter()
        .map(|document| {
            let observations = document.observations.len() as u64;
            let attested =
                AttestedDocument { digest: document.digest, format: document.format, observations };
            (document.digest, attested)
        })
        .collect();
    by_digest.into_values().collect()
}

fn document_of(submission: &Submission) -> Option<DocumentDigest> {
    match submission.subject {
        SubmissionSubject::Document(digest) => Some(digest),
        SubmissionSubject::Envelope(_) | SubmissionSubject::Answer { .. } => None,
    }
}

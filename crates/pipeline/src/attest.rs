//! Attest: documents to signed statements. The envelope is recorded before anything is sent, and only its stored
//! bytes are ever sent: no retry can log a second signature.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::ids::{DocumentDigest, ObservationId};
use provex_core::intoto::{
    AttestedDocument, ObservationSet, ObservationsPredicate, SaltKey, VEX_OBSERVATIONS,
};
use provex_core::keys::Signer;
use provex_store::{AttestableDocument, NewEnvelope, Stage, Submission, SubmissionSubject};

use crate::{Error, Pipeline, STAGE_BATCH};

/// What one statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One document with all its observations.
    Document,
}

impl Pipeline {
    /// Signs statements of all documents that wait for one. How many envelopes that made.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then stays.
    pub async fn attest(&self, signer: &dyn Signer, salt_key: &SaltKey, unit: Unit) -> Result<u64, Error> {
        let mut made = 0;
        loop {
            let lease = self.lease()?;
            let leased =
                self.store.acquire_submissions(&self.tenant, Stage::Attest, lease, STAGE_BATCH).await?;
            if leased.is_empty() {
                return Ok(made);
            }
            let digests: Vec<_> = leased.iter().filter_map(document_of).collect();
            let documents = self.store.attestable_documents(&self.tenant, &digests).await?;
            let envelopes = groups(&documents, unit)
                .map(|group| self.envelope(group, signer, salt_key))
                .collect::<Result<Vec<_>, _>>()?;
            let replaced: Vec<_> = leased.iter().map(|submission| submission.id).collect();
            let now = self.environment.now();
            self.store.record_envelopes(&self.tenant, now, lease.token, &replaced, &envelopes).await?;
            made += envelopes.len() as u64;
        }
    }

    fn envelope(
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

/// The documents of each statement.
fn groups(documents: &[AttestableDocument], unit: Unit) -> impl Iterator<Item = &[AttestableDocument]> {
    match unit {
        Unit::Document => documents.chunks(1),
    }
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

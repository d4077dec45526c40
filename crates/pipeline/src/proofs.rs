//! Proofs out of the store: a bundle, an observation's body and its path, as an auditor gets them.

use provex_core::bundle::Bundle;
use provex_core::ids::ObservationId;
use provex_core::intoto::ObservationsPredicate;
use provex_core::merkle;
use provex_core::proof::Proof;

use crate::stored::check_observation;
use crate::{Error, Pipeline};

/// What there is to export for an observation.
#[derive(Debug)]
pub enum Exported {
    /// The JCS bytes.
    Bytes(Vec<u8>),
    /// It is recorded and not linked yet.
    Pending,
    /// It is not recorded.
    Missing,
}

impl Pipeline {
    /// The proof of a linked observation.
    ///
    /// # Errors
    /// [`Error`] of the store, or [`Error::Stored`] for stored parts that were changed: nothing is handed out that does not fit
    /// together.
    pub async fn proof(&self, id: &ObservationId) -> Result<Exported, Error> {
        let Some(row) = self.store.observation(&self.tenant, id).await? else { return Ok(Exported::Missing) };
        check_observation(&row)?;
        let Some(linkage) = row.linkage else { return Ok(Exported::Pending) };
        let (_, bundle) = self.bundle_of_envelope(&linkage.fields.entry.envelope_digest).await?;
        let stored = |reason: String| Error::Stored { what: "bundle of", id: id.to_text(), reason };
        let bundle = Bundle::parse(&bundle).map_err(|e| stored(e.to_string()))?;
        let predicate = ObservationsPredicate::from_payload(bundle.envelope.payload())
            .map_err(|e| stored(e.to_string()))?;
        let leaf = merkle::leaf_hash(id.digest().as_bytes());
        let (set, fields) = (&predicate.set, &linkage.fields);
        merkle::verify_inclusion(fields.set_index, set.size, &leaf, &fields.set_path, &set.root).map_err(
            |error| Error::Stored {
                what: "linkage of",
                id: id.to_text(),
                reason: format!("it was changed: {error}. Bring back a copy of the database"),
            },
        )?;
        let proof = Proof {
            bundle,
            body: row.body,
            set_index: linkage.fields.set_index,
            set_size: predicate.set.size,
            set_path: linkage.fields.set_path,
            set_root: predicate.set.root,
            document_digest: row.document_digest,
        };
        proof.to_jcs().map(Exported::Bytes).map_err(|e| stored(e.to_string()))
    }

    /// The bundle of a linked observation, byte for byte as it is kept.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn bundle_of(&self, id: &ObservationId) -> Result<Exported, Error> {
        let Some(row) = self.store.observation(&self.tenant, id).await? else { return Ok(Exported::Missing) };
        let Some(linkage) = row.linkage else { return Ok(Exported::Pending) };
        let (_, bundle) = self.bundle_of_envelope(&linkage.fields.entry.envelope_digest).await?;
        Ok(Exported::Bytes(bundle))
    }
}

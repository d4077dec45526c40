//! What has its own digest for a name, read back. A damaged disk, or a hand in the database, may have changed the bytes
//! under it: they are used only while they still have their name.

use provex_core::digest::Digest;
use provex_core::dsse::Envelope;
use provex_core::ids::{BundleDigest, EnvelopeDigest, ObservationId};
use provex_store::{ObservationRow, StoredEnvelope};

use crate::{Error, Pipeline};

const CHANGED: &str = "its bytes were changed: SHA-256 gives another name. Bring back a copy of the database";

/// How many bodies are read at a time.
const BODIES: usize = 1_000;

impl Pipeline {
    /// An envelope.
    ///
    /// # Errors
    /// [`Error::Stored`] for one that was changed, besides those of the store.
    pub async fn envelope(&self, digest: &EnvelopeDigest) -> Result<Option<StoredEnvelope>, Error> {
        let Some(stored) = self.store.envelope(&self.tenant, digest).await? else { return Ok(None) };
        let sound = Digest::of(&stored.bytes) == *digest.digest();
        if sound { Ok(Some(stored)) } else { Err(changed("envelope", digest.to_text())) }
    }

    /// A bundle's bytes.
    ///
    /// # Errors
    /// [`Error::Stored`] for one that was changed, besides those of the store.
    pub async fn bundle(&self, digest: &BundleDigest) -> Result<Option<Vec<u8>>, Error> {
        let Some(bytes) = self.store.bundle(&self.tenant, digest).await? else { return Ok(None) };
        check_bundle(digest, bytes).map(Some)
    }

    /// The bundle that holds an envelope, with its bytes.
    ///
    /// # Errors
    /// [`Error::Stored`] for one that was changed or is missing, besides those of the store.
    pub async fn bundle_of_envelope(
        &self,
        envelope: &EnvelopeDigest,
    ) -> Result<(BundleDigest, Vec<u8>), Error> {
        match self.store.bundle_of_envelope(&self.tenant, envelope).await? {
            Some((digest, bytes)) => Ok((digest, check_bundle(&digest, bytes)?)),
            None => Err(Error::Stored {
                what: "bundle of envelope",
                id: envelope.to_text(),
                reason: "it is missing".to_owned(),
            }),
        }
    }

    /// Hashes the kept bodies of observations. Those that are not recorded are left to whoever links them.
    ///
    /// # Errors
    /// [`Error::Stored`] for the first that was changed, besides those of the store.
    pub(crate) async fn check_bodies(&self, ids: &[ObservationId]) -> Result<(), Error> {
        for ids in ids.chunks(BODIES) {
            for (id, body) in self.store.observation_bodies(&self.tenant, ids).await? {
                check_body(&id, &body)?;
            }
        }
        Ok(())
    }
}

/// An envelope's bytes, read.
///
/// # Errors
/// [`Error::Stored`] for those that were changed, or are no envelope.
pub(crate) fn parse_envelope(digest: &EnvelopeDigest, bytes: &[u8]) -> Result<Envelope, Error> {
    if Digest::of(bytes) != *digest.digest() {
        return Err(changed("envelope", digest.to_text()));
    }
    let unreadable = |reason: String| Error::Stored { what: "envelope", id: digest.to_text(), reason };
    Envelope::parse(bytes).map_err(|error| unreadable(error.to_string()))
}

/// # Errors
/// [`Error::Stored`] if the row's body was changed.
pub(crate) fn check_observation(row: &ObservationRow) -> Result<(), Error> {
    check_body(&row.id, &row.body)
}

fn check_body(id: &ObservationId, body: &[u8]) -> Result<(), Error> {
    let sound = Digest::of(body) == *id.digest();
    if sound { Ok(()) } else { Err(changed("observation", id.to_text())) }
}

fn check_bundle(digest: &BundleDigest, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let sound = Digest::of(&bytes) == *digest.digest();
    if sound { Ok(bytes) } else { Err(changed("bundle", digest.to_text())) }
}

fn changed(what: &'static str, id: String) -> Error {
    Error::Stored { what, id, reason: CHANGED.to_owned() }
}

//! Documents of one claim each, and what takes them through the stages.

use std::sync::Arc;

use provex_core::ids::TenantId;
use provex_core::intoto::SaltKey;
use provex_core::keys::{LocalSigner, PublicKey, Signer as _};
use provex_core::trusted_root::TrustedRoot;
use provex_core::verify::Verifier;
use provex_pipeline::environment::Environment as _;
use provex_pipeline::{Content, Drain, Input, LogLine, Pipeline, Unit};
use provex_store::Store;
use provex_tlog::TransparencyLog;

use crate::data::operator;
use crate::environment::System;
use crate::signatures::{AwsLc, Tokens};

/// A fresh document with one claim.
pub(super) fn document(number: usize) -> Input {
    let document = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://example.org/vex/{}", System.uuid()),
        "author": "Example",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [{
            "vulnerability": {"name": format!("CVE-2026-{}", 1_000 + number)},
            "products": [{"@id": "pkg:generic/app@1.0"}],
            "status": "fixed",
        }],
    });
    let content = Content::Bytes(document.to_string().into_bytes());
    Input { name: number.to_string(), content, found: false }
}

/// The default tenant's pipeline on a store.
pub(super) fn pipeline(store: Arc<dyn Store>) -> Pipeline {
    let tenant = TenantId::default_tenant();
    Pipeline { store, environment: Arc::new(System), tenant, actor: operator(), run: None }
}

pub(super) fn drawn() -> [u8; 32] {
    let mut bytes = [0; 32];
    System.random(&mut bytes);
    bytes
}

/// A key, and the one log that its statements go to.
pub(super) struct Prover {
    pub(super) signer: LocalSigner,
    keys: [PublicKey; 1],
    salt_key: SaltKey,
    lines: [LogLine; 1],
    known: [Arc<dyn TransparencyLog>; 1],
    trusted_root: TrustedRoot,
}

impl Prover {
    pub(super) fn new(log: Arc<dyn TransparencyLog>, trusted_root: TrustedRoot) -> anyhow::Result<Self> {
        let signer = LocalSigner::p256_from_random(&drawn())?;
        let keys = [signer.public_key().clone()];
        let lines = [LogLine::new(Arc::clone(&log))];
        Ok(Self { signer, keys, salt_key: SaltKey::new(drawn()), lines, known: [log], trusted_root })
    }

    /// Signs statements of all documents that wait for one. How many.
    pub(super) async fn attest(&self, pipeline: &Pipeline, unit: Unit) -> anyhow::Result<u64> {
        Ok(pipeline.attest(&self.signer, &self.salt_key, unit).await?)
    }

    pub(super) fn drain<'a>(&'a self, tenants: &'a [Pipeline], unit: Unit) -> Drain<'a> {
        Drain {
            tenants,
            signer: &self.signer,
            salt_key: &self.salt_key,
            unit,
            lines: Ok(&self.lines),
            known: &self.known,
            authority: Ok(None),
            verifier: Verifier {
                trusted_root: &self.trusted_root,
                keys: &self.keys,
                signatures: &AwsLc,
                timestamps: &Tokens,
            },
        }
    }
}

-- The attestations of the ledger: what `GET /v1/ledger/attestations` answers, a row an attestation.
--
-- A projection of findings_ledger_events: rows are written in the transaction of their event and nowhere else, and
-- `provex ledger replay` makes them again from the events. A later verification with another outcome replaces all of
-- a row, which moves to the end of the pages. There is no foreign key: the events prove it. The table and all its
-- indexes come here together.

-- Attestations as the ledger's events leave them: a projection, written by events alone.
CREATE TABLE IF NOT EXISTS findings_ledger_attestations (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT findings_ledger_attestations_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- UUIDv8 of the envelope and the observation or verdict that it attests.
    attestation_id TEXT NOT NULL,
    -- What it is about: an OCI digest or BOM id where the product has one, else the product's key.
    artifact_id TEXT NOT NULL
        CONSTRAINT findings_ledger_attestations_artifact_id_check CHECK (length(CAST(artifact_id AS BLOB)) <= 1024),
    -- The canonical vulnerability id; null for what is about none.
    finding_id TEXT CONSTRAINT findings_ledger_attestations_finding_id_check CHECK (
        length(CAST(finding_id AS BLOB)) <= 1024),
    -- `verified`, `failed` or `unknown`.
    verification_status TEXT NOT NULL CONSTRAINT findings_ledger_attestations_verification_status_check CHECK (
        verification_status IN ('verified', 'failed', 'unknown')),
    -- When it was verified.
    verification_time INTEGER NOT NULL,
    -- The envelope.
    dsse_digest TEXT NOT NULL
        CONSTRAINT findings_ledger_attestations_dsse_digest_check CHECK (
        length(dsse_digest) = 64 AND dsse_digest NOT GLOB '*[^0-9a-f]*'),
    -- The leaf hash of its log entry; null where no log has it.
    rekor_entry_id TEXT
        CONSTRAINT findings_ledger_attestations_rekor_entry_id_check CHECK (
        length(rekor_entry_id) = 64 AND rekor_entry_id NOT GLOB '*[^0-9a-f]*'),
    -- `sha256:<hex>` of the kept bundle; null where there is none.
    evidence_bundle_ref TEXT CONSTRAINT findings_ledger_attestations_evidence_bundle_ref_check CHECK (
        length(evidence_bundle_ref) = 71 AND evidence_bundle_ref GLOB 'sha256:*'
        AND substr(evidence_bundle_ref, 8) NOT GLOB '*[^0-9a-f]*'),
    -- The event that wrote the row.
    ledger_event_id TEXT NOT NULL,
    -- That event's `recorded_at`.
    recorded_at INTEGER NOT NULL,
    -- That event's leaf hash.
    merkle_leaf_hash TEXT NOT NULL
        CONSTRAINT findings_ledger_attestations_merkle_leaf_hash_check CHECK (
        length(merkle_leaf_hash) = 64 AND merkle_leaf_hash NOT GLOB '*[^0-9a-f]*'),
    -- The root of the chain up to and including that event.
    root_hash TEXT NOT NULL
        CONSTRAINT findings_ledger_attestations_root_hash_check CHECK (
        length(root_hash) = 64 AND root_hash NOT GLOB '*[^0-9a-f]*'),
    -- The cycle hash of that event.
    cycle_hash TEXT NOT NULL
        CONSTRAINT findings_ledger_attestations_cycle_hash_check CHECK (
        length(cycle_hash) = 64 AND cycle_hash NOT GLOB '*[^0-9a-f]*'),
    -- The rules by which the row was made.
    projection_version TEXT NOT NULL,
    CONSTRAINT findings_ledger_attestations_pkey PRIMARY KEY (tenant_id, attestation_id)
) STRICT;

-- Pages over all attestations.
CREATE INDEX IF NOT EXISTS ledger_attestations_paging_idx
    ON findings_ledger_attestations (tenant_id, recorded_at, attestation_id);
-- Pages over one artifact's.
CREATE INDEX IF NOT EXISTS ledger_attestations_artifact_idx
    ON findings_ledger_attestations (tenant_id, artifact_id, recorded_at DESC, attestation_id DESC);
-- Pages over one vulnerability's.
CREATE INDEX IF NOT EXISTS ledger_attestations_finding_idx
    ON findings_ledger_attestations (tenant_id, finding_id, recorded_at DESC, attestation_id DESC);
-- Pages over those of one status.
CREATE INDEX IF NOT EXISTS ledger_attestations_status_idx
    ON findings_ledger_attestations (tenant_id, verification_status, recorded_at DESC, attestation_id DESC);

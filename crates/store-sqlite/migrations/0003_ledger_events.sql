-- The ledger: events, the full tiles of their trees, and the roots that were signed.
--
-- An event commits to the one before it, to its body and to the attestation rows that its transaction wrote; nothing
-- here is ever changed but the two references of a root, each set once.

-- Since when all that was recorded before there were events has its events; null: until then nothing else is recorded.
ALTER TABLE findings_ledger_chains ADD COLUMN backfilled_at INTEGER;

-- The ledger: one chain of events a tenant, numbered without gaps, each committing to the one before it.
CREATE TABLE IF NOT EXISTS findings_ledger_events (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT findings_ledger_events_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- Its chain.
    chain_id TEXT NOT NULL,
    -- The event's number, from 1.
    sequence_no INTEGER NOT NULL CONSTRAINT findings_ledger_events_sequence_no_check CHECK (sequence_no >= 1),
    -- UUIDv7.
    event_id TEXT NOT NULL,
    -- What it records.
    event_type TEXT NOT NULL CONSTRAINT findings_ledger_events_event_type_check CHECK (event_type IN (
        'document.recorded', 'attestation.verified', 'attestation.failed', 'attestation.unknown',
        'verdict.published', 'delta.published', 'standing.changed', 'policy.changed', 'ledger.anchored',
        'admin.changed')),
    -- The policy that applied; null where none did.
    policy_version TEXT,
    -- The vulnerability that all its rows share; null where they share none.
    finding_id TEXT CONSTRAINT findings_ledger_events_finding_id_check CHECK (
        length(CAST(finding_id AS BLOB)) <= 1024),
    -- The artifact that all its rows share; null where they share none.
    artifact_id TEXT CONSTRAINT findings_ledger_events_artifact_id_check CHECK (
        length(CAST(artifact_id AS BLOB)) <= 1024),
    -- The run of provex that caused it; null where nobody said.
    source_run_id TEXT,
    -- Who caused it.
    actor_id TEXT NOT NULL,
    -- `system`, `operator` or `integration`.
    actor_type TEXT NOT NULL
        CONSTRAINT findings_ledger_events_actor_type_check CHECK (
        actor_type IN ('system', 'operator', 'integration')),
    -- When what it records happened.
    occurred_at INTEGER NOT NULL,
    -- When it was recorded: strictly larger than that of the event before.
    recorded_at INTEGER NOT NULL,
    -- JCS bytes: all that the transaction recorded, by digest, and the facts of its attestation rows.
    event_body BLOB NOT NULL,
    -- How many attestation rows it wrote.
    row_count INTEGER NOT NULL CONSTRAINT findings_ledger_events_row_count_check CHECK (row_count BETWEEN 0 AND 1000),
    -- The RFC 6962 root over their facts.
    rows_root TEXT NOT NULL CONSTRAINT findings_ledger_events_rows_root_check CHECK (
        length(rows_root) = 64 AND rows_root NOT GLOB '*[^0-9a-f]*'),
    -- SHA-256 of the event.
    event_hash TEXT NOT NULL CONSTRAINT findings_ledger_events_event_hash_check CHECK (
        length(event_hash) = 64 AND event_hash NOT GLOB '*[^0-9a-f]*'),
    -- The hash of the event before; 64 zeros for the first.
    previous_hash TEXT NOT NULL
        CONSTRAINT findings_ledger_events_previous_hash_check CHECK (
        length(previous_hash) = 64 AND previous_hash NOT GLOB '*[^0-9a-f]*'),
    -- The RFC 6962 leaf hash of the event.
    merkle_leaf_hash TEXT NOT NULL
        CONSTRAINT findings_ledger_events_merkle_leaf_hash_check CHECK (
        length(merkle_leaf_hash) = 64 AND merkle_leaf_hash NOT GLOB '*[^0-9a-f]*'),
    CONSTRAINT findings_ledger_events_pkey PRIMARY KEY (tenant_id, chain_id, sequence_no),
    CONSTRAINT findings_ledger_events_event_id_key UNIQUE (tenant_id, event_id),
    CONSTRAINT findings_ledger_events_chain_fkey FOREIGN KEY (tenant_id, chain_id)
        REFERENCES findings_ledger_chains (tenant_id, chain_id)
) STRICT;

-- The full tiles of a chain's tree (C2SP tlog-tiles), each written by the append that filled it.
CREATE TABLE IF NOT EXISTS findings_ledger_tiles (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT findings_ledger_tiles_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- Its chain.
    chain_id TEXT NOT NULL,
    -- 0: leaf hashes; above: each hash is the root of a full tile one level below.
    level INTEGER NOT NULL CONSTRAINT findings_ledger_tiles_level_check CHECK (level BETWEEN 0 AND 7),
    -- Its place among the tiles of its level, from 0.
    tile_index INTEGER NOT NULL CONSTRAINT findings_ledger_tiles_tile_index_check CHECK (tile_index >= 0),
    -- 256 hashes, 32 bytes each.
    hashes BLOB NOT NULL CONSTRAINT findings_ledger_tiles_hashes_check CHECK (length(hashes) = 8192),
    CONSTRAINT findings_ledger_tiles_pkey PRIMARY KEY (tenant_id, chain_id, level, tile_index),
    CONSTRAINT findings_ledger_tiles_chain_fkey FOREIGN KEY (tenant_id, chain_id)
        REFERENCES findings_ledger_chains (tenant_id, chain_id)
) STRICT;

-- The signed roots of a chain.
CREATE TABLE IF NOT EXISTS findings_ledger_merkle_roots (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT findings_ledger_merkle_roots_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- Its chain.
    chain_id TEXT NOT NULL,
    -- How many events it is over.
    tree_size INTEGER NOT NULL CONSTRAINT findings_ledger_merkle_roots_tree_size_check CHECK (tree_size >= 1),
    -- The RFC 6962 root over them.
    root_hash TEXT NOT NULL CONSTRAINT findings_ledger_merkle_roots_root_hash_check CHECK (
        length(root_hash) = 64 AND root_hash NOT GLOB '*[^0-9a-f]*'),
    -- The signed note, verbatim.
    checkpoint BLOB NOT NULL,
    -- When it was signed.
    created_at INTEGER NOT NULL,
    -- `rekor:<log id>:<index>` once it was logged; set once.
    anchor_reference TEXT,
    -- `airgap:<bundle digest>` once it was handed out in a file; set once.
    export_reference TEXT,
    CONSTRAINT findings_ledger_merkle_roots_pkey PRIMARY KEY (tenant_id, chain_id, tree_size),
    CONSTRAINT findings_ledger_merkle_roots_chain_fkey FOREIGN KEY (tenant_id, chain_id)
        REFERENCES findings_ledger_chains (tenant_id, chain_id)
) STRICT;

CREATE TRIGGER IF NOT EXISTS findings_ledger_events_no_update BEFORE UPDATE ON findings_ledger_events
BEGIN SELECT RAISE(ABORT, 'findings_ledger_events is only added to'); END;
CREATE TRIGGER IF NOT EXISTS findings_ledger_events_no_delete BEFORE DELETE ON findings_ledger_events
BEGIN SELECT RAISE(ABORT, 'findings_ledger_events is only added to'); END;

CREATE TRIGGER IF NOT EXISTS findings_ledger_tiles_no_update BEFORE UPDATE ON findings_ledger_tiles
BEGIN SELECT RAISE(ABORT, 'findings_ledger_tiles is only added to'); END;
CREATE TRIGGER IF NOT EXISTS findings_ledger_tiles_no_delete BEFORE DELETE ON findings_ledger_tiles
BEGIN SELECT RAISE(ABORT, 'findings_ledger_tiles is only added to'); END;

CREATE TRIGGER IF NOT EXISTS findings_ledger_merkle_roots_no_update BEFORE UPDATE OF
    tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at
ON findings_ledger_merkle_roots
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots is only added to'); END;
CREATE TRIGGER IF NOT EXISTS findings_ledger_merkle_roots_no_delete BEFORE DELETE ON findings_ledger_merkle_roots
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots is only added to'); END;

CREATE TRIGGER IF NOT EXISTS findings_ledger_merkle_roots_anchor_once
BEFORE UPDATE OF anchor_reference ON findings_ledger_merkle_roots
WHEN OLD.anchor_reference IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots: a reference is set once'); END;
CREATE TRIGGER IF NOT EXISTS findings_ledger_merkle_roots_export_once
BEFORE UPDATE OF export_reference ON findings_ledger_merkle_roots
WHEN OLD.export_reference IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots: a reference is set once'); END;

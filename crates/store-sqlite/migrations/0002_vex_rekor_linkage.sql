-- The linkage of observations and statements to their log entries, and the verification of log entries.
--
-- A linkage is null until an entry was verified, is set once, and never changes; a second entry is kept in
-- attestor_log_entries only. SQLite has no ADD COLUMN IF NOT EXISTS, so the migrator runs each statement of this file
-- whose column, index or trigger is missing, leaves alone what is there, and stops naming any that is there with
-- another definition. Rows that are linked already keep what they have.

-- vex_observations: the linkage.

-- The leaf hash of the log entry; null until the row is linked.
ALTER TABLE vex_observations ADD COLUMN rekor_uuid TEXT CONSTRAINT vex_observations_rekor_uuid_check
    CHECK (length(rekor_uuid) = 64 AND rekor_uuid NOT GLOB '*[^0-9a-f]*');
-- The log's untruncated key id.
ALTER TABLE vex_observations ADD COLUMN rekor_log_id TEXT CONSTRAINT vex_observations_rekor_log_id_check
    CHECK (length(rekor_log_id) = 64 AND rekor_log_id NOT GLOB '*[^0-9a-f]*');
-- The entry's index; v1: the global one.
ALTER TABLE vex_observations ADD COLUMN rekor_log_index INTEGER CONSTRAINT vex_observations_rekor_log_index_check
    CHECK (rekor_log_index >= 0);
-- The log's base URL in the trusted root.
ALTER TABLE vex_observations ADD COLUMN rekor_log_url TEXT;
-- The size of the tree that the inclusion proof is for.
ALTER TABLE vex_observations ADD COLUMN rekor_tree_size INTEGER CONSTRAINT vex_observations_rekor_tree_size_check
    CHECK (rekor_tree_size >= 0);
-- That tree's root.
ALTER TABLE vex_observations ADD COLUMN rekor_tree_root TEXT CONSTRAINT vex_observations_rekor_tree_root_check
    CHECK (length(rekor_tree_root) = 64 AND rekor_tree_root NOT GLOB '*[^0-9a-f]*');
-- When Rekor v1 says it integrated the entry; null for every other log.
ALTER TABLE vex_observations ADD COLUMN rekor_integrated_time INTEGER;
-- When a timestamp authority (RFC 3161) saw the signature; null without one.
ALTER TABLE vex_observations ADD COLUMN rekor_timestamp_time INTEGER;
-- The entry's kind.
ALTER TABLE vex_observations ADD COLUMN rekor_entry_kind TEXT;
-- The kind's version.
ALTER TABLE vex_observations ADD COLUMN rekor_entry_version TEXT;
-- SHA-256 of the entry's canonicalized body.
ALTER TABLE vex_observations ADD COLUMN rekor_entry_body_hash TEXT CONSTRAINT vex_observations_rekor_entry_body_hash_check
    CHECK (length(rekor_entry_body_hash) = 64 AND rekor_entry_body_hash NOT GLOB '*[^0-9a-f]*');
-- JCS of {"hashes": [hex, ...], "logIndex": n}: leaf to root, and the tree's own index.
ALTER TABLE vex_observations ADD COLUMN rekor_inclusion_proof TEXT CONSTRAINT vex_observations_rekor_inclusion_proof_check
    CHECK (json_valid(rekor_inclusion_proof));
-- The envelope that was logged.
ALTER TABLE vex_observations ADD COLUMN rekor_envelope_digest TEXT CONSTRAINT vex_observations_rekor_envelope_digest_check
    CHECK (length(rekor_envelope_digest) = 64 AND rekor_envelope_digest NOT GLOB '*[^0-9a-f]*');
-- The row's index in the envelope's signed set.
ALTER TABLE vex_observations ADD COLUMN rekor_set_index INTEGER CONSTRAINT vex_observations_rekor_set_index_check
    CHECK (rekor_set_index >= 0);
-- Its inclusion path to the set's root, leaf to root: 32 bytes a level.
ALTER TABLE vex_observations ADD COLUMN rekor_set_path BLOB CONSTRAINT vex_observations_rekor_set_path_check
    CHECK (length(rekor_set_path) % 32 = 0);
-- When the linkage was stored. The check: all columns are set together, but the two times may stay null.
ALTER TABLE vex_observations ADD COLUMN rekor_linked_at INTEGER CONSTRAINT vex_observations_linkage_check CHECK (
        (rekor_uuid IS NULL) = (rekor_linked_at IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_id IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_index IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_url IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_tree_size IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_tree_root IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_kind IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_version IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_body_hash IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_inclusion_proof IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_envelope_digest IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_set_index IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_set_path IS NULL)
        AND (rekor_uuid IS NOT NULL OR rekor_integrated_time IS NULL)
        AND (rekor_uuid IS NOT NULL OR rekor_timestamp_time IS NULL));

-- Look-ups by leaf hash.
CREATE INDEX observations_rekor_uuid_idx ON vex_observations (tenant_id, rekor_uuid);
-- Look-ups by log position.
CREATE INDEX observations_rekor_position_idx ON vex_observations (tenant_id, rekor_log_id, rekor_log_index);
-- The pending queue: recorded and not linked, in its order.
CREATE INDEX observations_rekor_pending_idx ON vex_observations (tenant_id, created_at, observation_id) WHERE rekor_uuid IS NULL;

-- A linkage is set once, and whole.
CREATE TRIGGER vex_observations_linkage_once BEFORE UPDATE OF
    rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
    rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
ON vex_observations WHEN OLD.rekor_uuid IS NOT NULL OR NEW.rekor_uuid IS NULL
BEGIN SELECT RAISE(ABORT, 'vex_observations: a linkage is set once'); END;

-- vexhub_statements: the linkage, as on vex_observations.

-- The leaf hash of the log entry; null until the row is linked.
ALTER TABLE vexhub_statements ADD COLUMN rekor_uuid TEXT CONSTRAINT vexhub_statements_rekor_uuid_check
    CHECK (length(rekor_uuid) = 64 AND rekor_uuid NOT GLOB '*[^0-9a-f]*');
-- The log's untruncated key id.
ALTER TABLE vexhub_statements ADD COLUMN rekor_log_id TEXT CONSTRAINT vexhub_statements_rekor_log_id_check
    CHECK (length(rekor_log_id) = 64 AND rekor_log_id NOT GLOB '*[^0-9a-f]*');
-- The entry's index; v1: the global one.
ALTER TABLE vexhub_statements ADD COLUMN rekor_log_index INTEGER CONSTRAINT vexhub_statements_rekor_log_index_check
    CHECK (rekor_log_index >= 0);
-- The log's base URL in the trusted root.
ALTER TABLE vexhub_statements ADD COLUMN rekor_log_url TEXT;
-- The size of the tree that the inclusion proof is for.
ALTER TABLE vexhub_statements ADD COLUMN rekor_tree_size INTEGER CONSTRAINT vexhub_statements_rekor_tree_size_check
    CHECK (rekor_tree_size >= 0);
-- That tree's root.
ALTER TABLE vexhub_statements ADD COLUMN rekor_tree_root TEXT CONSTRAINT vexhub_statements_rekor_tree_root_check
    CHECK (length(rekor_tree_root) = 64 AND rekor_tree_root NOT GLOB '*[^0-9a-f]*');
-- When Rekor v1 says it integrated the entry; null for every other log.
ALTER TABLE vexhub_statements ADD COLUMN rekor_integrated_time INTEGER;
-- When a timestamp authority (RFC 3161) saw the signature; null without one.
ALTER TABLE vexhub_statements ADD COLUMN rekor_timestamp_time INTEGER;
-- The entry's kind.
ALTER TABLE vexhub_statements ADD COLUMN rekor_entry_kind TEXT;
-- The kind's version.
ALTER TABLE vexhub_statements ADD COLUMN rekor_entry_version TEXT;
-- SHA-256 of the entry's canonicalized body.
ALTER TABLE vexhub_statements ADD COLUMN rekor_entry_body_hash TEXT CONSTRAINT vexhub_statements_rekor_entry_body_hash_check
    CHECK (length(rekor_entry_body_hash) = 64 AND rekor_entry_body_hash NOT GLOB '*[^0-9a-f]*');
-- JCS of {"hashes": [hex, ...], "logIndex": n}: leaf to root, and the tree's own index.
ALTER TABLE vexhub_statements ADD COLUMN rekor_inclusion_proof TEXT CONSTRAINT vexhub_statements_rekor_inclusion_proof_check
    CHECK (json_valid(rekor_inclusion_proof));
-- The envelope that was logged.
ALTER TABLE vexhub_statements ADD COLUMN rekor_envelope_digest TEXT CONSTRAINT vexhub_statements_rekor_envelope_digest_check
    CHECK (length(rekor_envelope_digest) = 64 AND rekor_envelope_digest NOT GLOB '*[^0-9a-f]*');
-- The row's index in the envelope's signed set.
ALTER TABLE vexhub_statements ADD COLUMN rekor_set_index INTEGER CONSTRAINT vexhub_statements_rekor_set_index_check
    CHECK (rekor_set_index >= 0);
-- Its inclusion path to the set's root, leaf to root: 32 bytes a level.
ALTER TABLE vexhub_statements ADD COLUMN rekor_set_path BLOB CONSTRAINT vexhub_statements_rekor_set_path_check
    CHECK (length(rekor_set_path) % 32 = 0);
-- When the linkage was stored. The check: all columns are set together, but the two times may stay null.
ALTER TABLE vexhub_statements ADD COLUMN rekor_linked_at INTEGER CONSTRAINT vexhub_statements_linkage_check CHECK (
        (rekor_uuid IS NULL) = (rekor_linked_at IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_id IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_index IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_log_url IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_tree_size IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_tree_root IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_kind IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_version IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_entry_body_hash IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_inclusion_proof IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_envelope_digest IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_set_index IS NULL)
        AND (rekor_uuid IS NULL) = (rekor_set_path IS NULL)
        AND (rekor_uuid IS NOT NULL OR rekor_integrated_time IS NULL)
        AND (rekor_uuid IS NOT NULL OR rekor_timestamp_time IS NULL));

-- Look-ups by leaf hash.
CREATE INDEX statements_rekor_uuid_idx ON vexhub_statements (tenant_id, rekor_uuid);
-- Look-ups by log position.
CREATE INDEX statements_rekor_position_idx ON vexhub_statements (tenant_id, rekor_log_id, rekor_log_index);
-- The pending queue: recorded and not linked, in its order.
CREATE INDEX statements_rekor_pending_idx ON vexhub_statements (tenant_id, created_at, statement_id) WHERE rekor_uuid IS NULL;

-- A linkage is set once, and whole.
CREATE TRIGGER vexhub_statements_linkage_once BEFORE UPDATE OF
    rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
    rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
ON vexhub_statements WHEN OLD.rekor_uuid IS NOT NULL OR NEW.rekor_uuid IS NULL
BEGIN SELECT RAISE(ABORT, 'vexhub_statements: a linkage is set once'); END;

-- attestor_log_entries: the verification. It may change: trust in a log or key can be withdrawn.

-- `verified` (every check held), `failed` (a check gave a definite no) or `unknown` (it held, but trust was withdrawn);
-- null for an entry that an older release kept and nobody has verified since.
ALTER TABLE attestor_log_entries ADD COLUMN verification_status TEXT CONSTRAINT attestor_log_entries_verification_status_check
    CHECK (verification_status IN ('verified', 'failed', 'unknown'));
-- When it was verified last.
ALTER TABLE attestor_log_entries ADD COLUMN verified_at INTEGER CONSTRAINT attestor_log_entries_verified_at_check
    CHECK ((verified_at IS NULL) = (verification_status IS NULL));
-- Which check failed, in a sentence for people; null where none did.
ALTER TABLE attestor_log_entries ADD COLUMN verification_error TEXT;
-- The release that verified.
ALTER TABLE attestor_log_entries ADD COLUMN verifier_version TEXT;

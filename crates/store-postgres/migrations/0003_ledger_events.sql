-- The ledger: events, the full tiles of their trees, and the roots that were signed.
--
-- An event commits to the one before it, to its body and to the attestation rows that its transaction wrote; nothing
-- here is ever changed but the two references of a root, each set once. Events lie as vex.observations lies: in 16
-- partitions by hash of the tenant, or flat. Applying it again changes nothing.
--
-- One DO block: Citus takes no file of several statements on distributed tables.
DO $m$
DECLARE
    partitioned boolean := (SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('vex.observations'));
    tab record;
    part regclass;
    policy name;
    events text := $t$
CREATE TABLE findings.ledger_events (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    chain_id uuid NOT NULL,
    sequence_no bigint NOT NULL
        CONSTRAINT ledger_events_sequence_no_check CHECK (sequence_no >= 1),
    event_id uuid NOT NULL,
    event_type text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_event_type_check CHECK (event_type IN (
            'document.recorded', 'attestation.verified', 'attestation.failed', 'attestation.unknown',
            'verdict.published', 'delta.published', 'standing.changed', 'policy.changed', 'ledger.anchored',
            'admin.changed')),
    policy_version text COLLATE "C",
    finding_id text COLLATE "C"
        CONSTRAINT ledger_events_finding_id_check CHECK (octet_length(finding_id) <= 1024),
    artifact_id text COLLATE "C"
        CONSTRAINT ledger_events_artifact_id_check CHECK (octet_length(artifact_id) <= 1024),
    source_run_id uuid,
    actor_id text COLLATE "C" NOT NULL,
    actor_type text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_actor_type_check CHECK (actor_type IN ('system', 'operator', 'integration')),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_body bytea NOT NULL,
    row_count bigint NOT NULL
        CONSTRAINT ledger_events_row_count_check CHECK (row_count BETWEEN 0 AND 1000),
    rows_root text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_rows_root_check CHECK (rows_root ~ '^[0-9a-f]{64}$'),
    event_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_event_hash_check CHECK (event_hash ~ '^[0-9a-f]{64}$'),
    previous_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_previous_hash_check CHECK (previous_hash ~ '^[0-9a-f]{64}$'),
    merkle_leaf_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_events_merkle_leaf_hash_check CHECK (merkle_leaf_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ledger_events_pkey PRIMARY KEY (tenant_id, chain_id, sequence_no),
    CONSTRAINT ledger_events_event_id_key UNIQUE (tenant_id, event_id),
    CONSTRAINT ledger_events_chain_fkey FOREIGN KEY (tenant_id, chain_id)
        REFERENCES findings.ledger_chains (tenant_id, chain_id)
)$t$;
BEGIN
    ALTER TABLE findings.ledger_chains ADD COLUMN IF NOT EXISTS backfilled_at timestamptz;
    COMMENT ON COLUMN findings.ledger_chains.backfilled_at IS
        'Since when all that was recorded before there were events has its events; null: until then nothing else is
        recorded.';

    IF to_regclass('findings.ledger_events') IS NULL THEN
        IF partitioned THEN
            EXECUTE events || ' PARTITION BY HASH (tenant_id)';
            FOR number IN 0..15 LOOP
                EXECUTE format(
                    'CREATE TABLE findings.%I PARTITION OF findings.ledger_events
                    FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                    'ledger_events_p' || to_char(number, 'FM00'), number);
            END LOOP;
        ELSE
            EXECUTE events;
        END IF;
    END IF;
    COMMENT ON TABLE findings.ledger_events IS
        'The ledger: one chain of events a tenant, numbered without gaps, each committing to the one before it.';
    COMMENT ON COLUMN findings.ledger_events.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN findings.ledger_events.chain_id IS 'Its chain.';
    COMMENT ON COLUMN findings.ledger_events.sequence_no IS 'The event''s number, from 1.';
    COMMENT ON COLUMN findings.ledger_events.event_id IS 'UUIDv7.';
    COMMENT ON COLUMN findings.ledger_events.event_type IS 'What it records.';
    COMMENT ON COLUMN findings.ledger_events.policy_version IS 'The policy that applied; null where none did.';
    COMMENT ON COLUMN findings.ledger_events.finding_id IS
        'The vulnerability that all its rows share; null where they share none.';
    COMMENT ON COLUMN findings.ledger_events.artifact_id IS
        'The artifact that all its rows share; null where they share none.';
    COMMENT ON COLUMN findings.ledger_events.source_run_id IS
        'The run of provex that caused it; null where nobody said.';
    COMMENT ON COLUMN findings.ledger_events.actor_id IS 'Who caused it.';
    COMMENT ON COLUMN findings.ledger_events.actor_type IS '`system`, `operator` or `integration`.';
    COMMENT ON COLUMN findings.ledger_events.occurred_at IS 'When what it records happened.';
    COMMENT ON COLUMN findings.ledger_events.recorded_at IS
        'When it was recorded: strictly larger than that of the event before.';
    COMMENT ON COLUMN findings.ledger_events.event_body IS
        'JCS bytes: all that the transaction recorded, by digest, and the facts of its attestation rows.';
    COMMENT ON COLUMN findings.ledger_events.row_count IS 'How many attestation rows it wrote.';
    COMMENT ON COLUMN findings.ledger_events.rows_root IS 'The RFC 6962 root over their facts.';
    COMMENT ON COLUMN findings.ledger_events.event_hash IS 'SHA-256 of the event.';
    COMMENT ON COLUMN findings.ledger_events.previous_hash IS 'The hash of the event before; 64 zeros for the first.';
    COMMENT ON COLUMN findings.ledger_events.merkle_leaf_hash IS 'The RFC 6962 leaf hash of the event.';

    CREATE TABLE IF NOT EXISTS findings.ledger_tiles (
        tenant_id text COLLATE "C" NOT NULL
            CONSTRAINT ledger_tiles_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
        chain_id uuid NOT NULL,
        level integer NOT NULL
            CONSTRAINT ledger_tiles_level_check CHECK (level BETWEEN 0 AND 7),
        tile_index bigint NOT NULL
            CONSTRAINT ledger_tiles_tile_index_check CHECK (tile_index >= 0),
        hashes bytea NOT NULL
            CONSTRAINT ledger_tiles_hashes_check CHECK (octet_length(hashes) = 8192),
        CONSTRAINT ledger_tiles_pkey PRIMARY KEY (tenant_id, chain_id, level, tile_index),
        CONSTRAINT ledger_tiles_chain_fkey FOREIGN KEY (tenant_id, chain_id)
            REFERENCES findings.ledger_chains (tenant_id, chain_id)
    );
    -- Hashes do not compress.
    ALTER TABLE findings.ledger_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
    COMMENT ON TABLE findings.ledger_tiles IS
        'The full tiles of a chain''s tree (C2SP tlog-tiles), each written by the append that filled it.';
    COMMENT ON COLUMN findings.ledger_tiles.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN findings.ledger_tiles.chain_id IS 'Its chain.';
    COMMENT ON COLUMN findings.ledger_tiles.level IS
        '0: leaf hashes; above: each hash is the root of a full tile one level below.';
    COMMENT ON COLUMN findings.ledger_tiles.tile_index IS 'Its place among the tiles of its level, from 0.';
    COMMENT ON COLUMN findings.ledger_tiles.hashes IS '256 hashes, 32 bytes each.';

    CREATE TABLE IF NOT EXISTS findings.ledger_merkle_roots (
        tenant_id text COLLATE "C" NOT NULL
            CONSTRAINT ledger_merkle_roots_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
        chain_id uuid NOT NULL,
        tree_size bigint NOT NULL
            CONSTRAINT ledger_merkle_roots_tree_size_check CHECK (tree_size >= 1),
        root_hash text COLLATE "C" NOT NULL
            CONSTRAINT ledger_merkle_roots_root_hash_check CHECK (root_hash ~ '^[0-9a-f]{64}$'),
        checkpoint bytea NOT NULL,
        created_at timestamptz NOT NULL,
        anchor_reference text COLLATE "C",
        export_reference text COLLATE "C",
        CONSTRAINT ledger_merkle_roots_pkey PRIMARY KEY (tenant_id, chain_id, tree_size),
        CONSTRAINT ledger_merkle_roots_chain_fkey FOREIGN KEY (tenant_id, chain_id)
            REFERENCES findings.ledger_chains (tenant_id, chain_id)
    );
    COMMENT ON TABLE findings.ledger_merkle_roots IS 'The signed roots of a chain.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.chain_id IS 'Its chain.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.tree_size IS 'How many events it is over.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.root_hash IS 'The RFC 6962 root over them.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.checkpoint IS 'The signed note, verbatim.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.created_at IS 'When it was signed.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.anchor_reference IS
        '`rekor:<log id>:<index>` once it was logged; set once.';
    COMMENT ON COLUMN findings.ledger_merkle_roots.export_reference IS
        '`airgap:<bundle digest>` once it was handed out in a file; set once.';

    -- Rights, row-level security and guards, as in the first migration.
    SET LOCAL citus.enable_unsafe_triggers = on;
    FOR tab IN SELECT t.*, split_part(t.name, '.', 2) AS short FROM (VALUES
        ('findings.ledger_events', 'SELECT, INSERT', ''),
        ('findings.ledger_tiles', 'SELECT, INSERT', ''),
        ('findings.ledger_merkle_roots', 'SELECT, INSERT, UPDATE (anchor_reference, export_reference)',
            'OF tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at')
    ) AS t (name, rights, columns) LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, provex_app', tab.name);
        EXECUTE format('GRANT %s ON %s TO provex_app', tab.rights, tab.name);
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I BEFORE UPDATE %s ON %s FOR EACH ROW EXECUTE FUNCTION vex.refuse_change(%L)',
            tab.short || '_no_update', tab.columns, tab.name, tab.name || ' is only added to');
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION vex.refuse_change(%L)',
            tab.short || '_no_delete', tab.name, tab.name || ' is only added to');
        policy := tab.short || '_tenant_policy';
        FOR part IN SELECT relid FROM pg_partition_tree(tab.name) UNION SELECT tab.name::regclass ORDER BY 1 LOOP
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
            IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = part AND polname = policy) THEN
                EXECUTE format(
                    'CREATE POLICY %I ON %s USING (tenant_id = vex.current_tenant())
                    WITH CHECK (tenant_id = vex.current_tenant())',
                    policy, part);
            END IF;
            IF part <> tab.name::regclass THEN
                EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, provex_app', part);
            END IF;
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT
                EXECUTE FUNCTION vex.refuse_change(%L)',
                tab.short || '_no_truncate', part, tab.name || ' is only added to');
        END LOOP;
    END LOOP;
    CREATE OR REPLACE TRIGGER ledger_merkle_roots_anchor_once
        BEFORE UPDATE OF anchor_reference ON findings.ledger_merkle_roots FOR EACH ROW
        WHEN (OLD.anchor_reference IS NOT NULL)
        EXECUTE FUNCTION vex.refuse_change('findings.ledger_merkle_roots: a reference is set once');
    CREATE OR REPLACE TRIGGER ledger_merkle_roots_export_once
        BEFORE UPDATE OF export_reference ON findings.ledger_merkle_roots FOR EACH ROW
        WHEN (OLD.export_reference IS NOT NULL)
        EXECUTE FUNCTION vex.refuse_change('findings.ledger_merkle_roots: a reference is set once');
END
$m$;

-- The attestations of the ledger: what `GET /v1/ledger/attestations` answers, a row an attestation.
--
-- A projection of findings.ledger_events: rows are written in the transaction of their event and nowhere else, and
-- `provex ledger replay` makes them again from the events. A later verification with another outcome replaces all of
-- a row, which moves to the end of the pages. There is no foreign key: the events prove it. The table and all its
-- indexes come here together. It lies as vex.observations lies. Applying it again changes nothing.
--
-- One DO block: Citus takes no file of several statements on distributed tables.
DO $m$
DECLARE
    partitioned boolean := (SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('vex.observations'));
    part regclass;
    options text := ' WITH (autovacuum_vacuum_scale_factor = 0.01)';
    definition text := $t$
CREATE TABLE findings.ledger_attestations (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    attestation_id uuid NOT NULL,
    artifact_id text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_artifact_id_check CHECK (octet_length(artifact_id) <= 1024),
    finding_id text COLLATE "C"
        CONSTRAINT ledger_attestations_finding_id_check CHECK (octet_length(finding_id) <= 1024),
    verification_status text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_verification_status_check CHECK (
            verification_status IN ('verified', 'failed', 'unknown')),
    verification_time timestamptz NOT NULL,
    dsse_digest text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_dsse_digest_check CHECK (dsse_digest ~ '^[0-9a-f]{64}$'),
    rekor_entry_id text COLLATE "C"
        CONSTRAINT ledger_attestations_rekor_entry_id_check CHECK (rekor_entry_id ~ '^[0-9a-f]{64}$'),
    evidence_bundle_ref text COLLATE "C"
        CONSTRAINT ledger_attestations_evidence_bundle_ref_check CHECK (evidence_bundle_ref ~ '^sha256:[0-9a-f]{64}$'),
    ledger_event_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    merkle_leaf_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_merkle_leaf_hash_check CHECK (merkle_leaf_hash ~ '^[0-9a-f]{64}$'),
    root_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_root_hash_check CHECK (root_hash ~ '^[0-9a-f]{64}$'),
    cycle_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_attestations_cycle_hash_check CHECK (cycle_hash ~ '^[0-9a-f]{64}$'),
    projection_version text COLLATE "C" NOT NULL,
    CONSTRAINT ledger_attestations_pkey PRIMARY KEY (tenant_id, attestation_id)
)$t$;
BEGIN
    IF to_regclass('findings.ledger_attestations') IS NULL THEN
        IF partitioned THEN
            EXECUTE definition || ' PARTITION BY HASH (tenant_id)';
            FOR number IN 0..15 LOOP
                EXECUTE format(
                    'CREATE TABLE findings.%I PARTITION OF findings.ledger_attestations
                    FOR VALUES WITH (MODULUS 16, REMAINDER %s)%s',
                    'ledger_attestations_p' || to_char(number, 'FM00'), number, options);
            END LOOP;
        ELSE
            EXECUTE definition || options;
        END IF;
    END IF;
    COMMENT ON TABLE findings.ledger_attestations IS
        'Attestations as the ledger''s events leave them: a projection, written by events alone.';
    COMMENT ON COLUMN findings.ledger_attestations.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN findings.ledger_attestations.attestation_id IS
        'UUIDv8 of the envelope and the observation or verdict that it attests.';
    COMMENT ON COLUMN findings.ledger_attestations.artifact_id IS
        'What it is about: an OCI digest or BOM id where the product has one, else the product''s key.';
    COMMENT ON COLUMN findings.ledger_attestations.finding_id IS
        'The canonical vulnerability id; null for what is about none.';
    COMMENT ON COLUMN findings.ledger_attestations.verification_status IS '`verified`, `failed` or `unknown`.';
    COMMENT ON COLUMN findings.ledger_attestations.verification_time IS 'When it was verified.';
    COMMENT ON COLUMN findings.ledger_attestations.dsse_digest IS 'The envelope.';
    COMMENT ON COLUMN findings.ledger_attestations.rekor_entry_id IS
        'The leaf hash of its log entry; null where no log has it.';
    COMMENT ON COLUMN findings.ledger_attestations.evidence_bundle_ref IS
        '`sha256:<hex>` of the kept bundle; null where there is none.';
    COMMENT ON COLUMN findings.ledger_attestations.ledger_event_id IS 'The event that wrote the row.';
    COMMENT ON COLUMN findings.ledger_attestations.recorded_at IS 'That event''s `recorded_at`.';
    COMMENT ON COLUMN findings.ledger_attestations.merkle_leaf_hash IS 'That event''s leaf hash.';
    COMMENT ON COLUMN findings.ledger_attestations.root_hash IS
        'The root of the chain up to and including that event.';
    COMMENT ON COLUMN findings.ledger_attestations.cycle_hash IS 'The cycle hash of that event.';
    COMMENT ON COLUMN findings.ledger_attestations.projection_version IS 'The rules by which the row was made.';

    CREATE INDEX IF NOT EXISTS ledger_attestations_paging_idx
        ON findings.ledger_attestations (tenant_id, recorded_at, attestation_id);
    COMMENT ON INDEX findings.ledger_attestations_paging_idx IS 'Pages over all attestations.';
    CREATE INDEX IF NOT EXISTS ledger_attestations_artifact_idx
        ON findings.ledger_attestations (tenant_id, artifact_id, recorded_at DESC, attestation_id DESC);
    COMMENT ON INDEX findings.ledger_attestations_artifact_idx IS 'Pages over one artifact''s.';
    CREATE INDEX IF NOT EXISTS ledger_attestations_finding_idx
        ON findings.ledger_attestations (tenant_id, finding_id, recorded_at DESC, attestation_id DESC);
    COMMENT ON INDEX findings.ledger_attestations_finding_idx IS 'Pages over one vulnerability''s.';
    CREATE INDEX IF NOT EXISTS ledger_attestations_status_idx
        ON findings.ledger_attestations (tenant_id, verification_status, recorded_at DESC, attestation_id DESC);
    COMMENT ON INDEX findings.ledger_attestations_status_idx IS 'Pages over those of one status.';

    -- Rights, row-level security and guards, as in the first migration; rows are replaced, and never deleted.
    SET LOCAL citus.enable_unsafe_triggers = on;
    REVOKE ALL ON findings.ledger_attestations FROM PUBLIC, provex_app;
    GRANT SELECT, INSERT, UPDATE ON findings.ledger_attestations TO provex_app;
    FOR part IN SELECT relid FROM pg_partition_tree('findings.ledger_attestations')
        UNION SELECT 'findings.ledger_attestations'::regclass ORDER BY 1
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
        IF NOT EXISTS (
            SELECT FROM pg_policy WHERE polrelid = part AND polname = 'ledger_attestations_tenant_policy')
        THEN
            EXECUTE format(
                'CREATE POLICY ledger_attestations_tenant_policy ON %s USING (tenant_id = vex.current_tenant())
                WITH CHECK (tenant_id = vex.current_tenant())',
                part);
        END IF;
        IF part <> 'findings.ledger_attestations'::regclass THEN
            EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, provex_app', part);
        END IF;
    END LOOP;
END
$m$;

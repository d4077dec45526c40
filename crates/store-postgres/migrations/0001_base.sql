-- The tables of the first release: documents, observations, envelopes, log entries, the queue, the heads of chains.
--
-- Why the tables look alike: every key of vex, vexhub, attestor and findings begins with `tenant_id`, so that no row can
-- be reached without naming a tenant, and a table can be distributed by it; `control` is what all tenants share. Digests
-- are SHA-256 as 64 lower-case hex digits. Signed or hashed bytes are bytea and come back as they went in. Text is
-- compared by its bytes (COLLATE "C"), as Rust does. Key columns hold at most 1,024 bytes.
--
-- Four guards, one behind the other: the application is `provex_app`, which has no right to change or delete what is only
-- added to; triggers refuse it to everybody else; row-level security shows `provex_app` the tenant that the transaction
-- entered and no other; and it has rights on tables by name, none on partitions.
--
-- vex.observations is partitioned by hash of the tenant, 16 ways, unless `provex.layout` is `flat`. It,
-- vexhub.statements and attestor.log_entries get their linkage and verification columns from 0002_vex_rekor_linkage.
--
-- Applying it again changes nothing. It needs the role `provex_app`, which belongs to all databases of a server and is
-- made by the migrator.

CREATE SCHEMA IF NOT EXISTS control;
COMMENT ON SCHEMA control IS 'provex: what all tenants share.';
CREATE SCHEMA IF NOT EXISTS findings;
COMMENT ON SCHEMA findings IS 'provex: the ledger.';
CREATE SCHEMA IF NOT EXISTS vex;
COMMENT ON SCHEMA vex IS 'provex: what was received.';
CREATE SCHEMA IF NOT EXISTS vexhub;
COMMENT ON SCHEMA vexhub IS 'provex: what is published.';
CREATE SCHEMA IF NOT EXISTS attestor;
COMMENT ON SCHEMA attestor IS 'provex: what was signed and logged.';

-- tenants: who may see what ------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION vex.no_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $f$
BEGIN
    RAISE EXCEPTION 'no tenant was entered' USING ERRCODE = 'insufficient_privilege',
        HINT = 'Begin the transaction with: select vex.enter_tenant(''...'')';
END
$f$;
COMMENT ON FUNCTION vex.no_tenant() IS 'Raises: a forgotten tenant is an error, never an empty list.';

-- In SQL, so that the planner reads through it and a policy costs no call a row.
CREATE OR REPLACE FUNCTION vex.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
AS $f$ SELECT coalesce(nullif(pg_catalog.current_setting('provex.tenant_id', true), ''), vex.no_tenant()) $f$;
COMMENT ON FUNCTION vex.current_tenant() IS
    'The tenant that this transaction entered. Raises where none was: every policy asks it.';

-- SET LOCAL and not set_config(): Citus forwards only the first to its workers.
CREATE OR REPLACE FUNCTION vex.enter_tenant(tenant text) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    EXECUTE pg_catalog.format('SET LOCAL provex.tenant_id = %L', tenant);
END
$f$;
COMMENT ON FUNCTION vex.enter_tenant(text) IS 'Enters a tenant until the end of the transaction.';

-- What a trigger calls that guards a table; the argument is the message. It never asks for the relation's name, which is
-- another one on a shard.
CREATE OR REPLACE FUNCTION vex.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
END
$f$;
COMMENT ON FUNCTION vex.refuse_change() IS 'Refuses what the trigger is for.';

REVOKE ALL ON FUNCTION vex.no_tenant(), vex.current_tenant(), vex.enter_tenant(text), vex.refuse_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vex.no_tenant(), vex.current_tenant(), vex.enter_tenant(text) TO provex_app;
GRANT USAGE ON SCHEMA control, findings, vex, vexhub, attestor TO provex_app;

-- control: what all tenants share -------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS control.migrations (
    version bigint NOT NULL CONSTRAINT migrations_pkey PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    checksum text COLLATE "C" NOT NULL
        CONSTRAINT migrations_checksum_check CHECK (checksum ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz
);
COMMENT ON TABLE control.migrations IS 'Which migrations this database has seen.';
COMMENT ON COLUMN control.migrations.version IS 'The migration''s number.';
COMMENT ON COLUMN control.migrations.name IS 'Its name, without number and ending.';
COMMENT ON COLUMN control.migrations.checksum IS 'SHA-256 of its text, as it was applied.';
COMMENT ON COLUMN control.migrations.applied_at IS 'When it was applied; null where nobody said.';

CREATE TABLE IF NOT EXISTS control.tenants (
    tenant_id text COLLATE "C" NOT NULL CONSTRAINT tenants_pkey PRIMARY KEY
        CONSTRAINT tenants_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE control.tenants IS 'The tenants.';
COMMENT ON COLUMN control.tenants.tenant_id IS 'Its name: `[a-z0-9][a-z0-9._-]{0,62}`.';
COMMENT ON COLUMN control.tenants.created_at IS 'When it was added.';

CREATE TABLE IF NOT EXISTS control.logs (
    log_id text COLLATE "C" NOT NULL CONSTRAINT logs_pkey PRIMARY KEY
        CONSTRAINT logs_log_id_check CHECK (log_id ~ '^[0-9a-f]{64}$'),
    origin text COLLATE "C" NOT NULL,
    tree_size bigint NOT NULL
        CONSTRAINT logs_tree_size_check CHECK (tree_size >= 0),
    tree_root text COLLATE "C" NOT NULL
        CONSTRAINT logs_tree_root_check CHECK (tree_root ~ '^[0-9a-f]{64}$'),
    checkpoint bytea NOT NULL,
    seen_at timestamptz NOT NULL
);
COMMENT ON TABLE control.logs IS
    'The newest checkpoint of each log, verified or published by our own embedded log: one truth for all tenants.';
COMMENT ON COLUMN control.logs.log_id IS 'The log''s untruncated key id.';
COMMENT ON COLUMN control.logs.origin IS 'The log''s name for itself.';
COMMENT ON COLUMN control.logs.tree_size IS 'The checkpoint''s tree size.';
COMMENT ON COLUMN control.logs.tree_root IS 'The checkpoint''s root.';
COMMENT ON COLUMN control.logs.checkpoint IS 'The signed note, verbatim.';
COMMENT ON COLUMN control.logs.seen_at IS 'When it was verified or published.';

CREATE TABLE IF NOT EXISTS control.log_forks (
    log_id text COLLATE "C" NOT NULL
        CONSTRAINT log_forks_log_id_check CHECK (log_id ~ '^[0-9a-f]{64}$'),
    checkpoint_digest text COLLATE "C" NOT NULL
        CONSTRAINT log_forks_checkpoint_digest_check CHECK (checkpoint_digest ~ '^[0-9a-f]{64}$'),
    known_checkpoint bytea NOT NULL,
    checkpoint bytea NOT NULL,
    tiles bytea,
    found_at timestamptz NOT NULL,
    CONSTRAINT log_forks_pkey PRIMARY KEY (log_id, checkpoint_digest)
);
COMMENT ON TABLE control.log_forks IS
    'Evidence of forks: two signed checkpoints of one log that cannot both be true.';
COMMENT ON COLUMN control.log_forks.log_id IS 'The log''s untruncated key id.';
COMMENT ON COLUMN control.log_forks.checkpoint_digest IS 'SHA-256 of the note that contradicts what was known.';
COMMENT ON COLUMN control.log_forks.known_checkpoint IS 'The signed note that was known, verbatim.';
COMMENT ON COLUMN control.log_forks.checkpoint IS 'The signed note that contradicts it, verbatim.';
COMMENT ON COLUMN control.log_forks.tiles IS
    'The tiles that show it, where sizes differ; null where the sizes are equal.';
COMMENT ON COLUMN control.log_forks.found_at IS 'When it was found.';

CREATE TABLE IF NOT EXISTS control.audit_events (
    audit_event_id uuid NOT NULL CONSTRAINT audit_events_pkey PRIMARY KEY,
    tenant_id text COLLATE "C",
    actor_id text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    detail bytea NOT NULL,
    occurred_at timestamptz NOT NULL
);
COMMENT ON TABLE control.audit_events IS 'What administrators did.';
COMMENT ON COLUMN control.audit_events.audit_event_id IS 'UUIDv7.';
COMMENT ON COLUMN control.audit_events.tenant_id IS 'The tenant it concerns, if it concerns one.';
COMMENT ON COLUMN control.audit_events.actor_id IS 'Who did it.';
COMMENT ON COLUMN control.audit_events.action IS 'What was done: a stable word.';
COMMENT ON COLUMN control.audit_events.detail IS 'JCS bytes with the details; no secrets.';
COMMENT ON COLUMN control.audit_events.occurred_at IS 'When.';

CREATE TABLE IF NOT EXISTS control.api_tokens (
    token_id uuid NOT NULL CONSTRAINT api_tokens_pkey PRIMARY KEY,
    token_digest text COLLATE "C" NOT NULL CONSTRAINT api_tokens_token_digest_key UNIQUE
        CONSTRAINT api_tokens_token_digest_check CHECK (token_digest ~ '^[0-9a-f]{64}$'),
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT api_tokens_tenant_fkey REFERENCES control.tenants (tenant_id),
    scopes text COLLATE "C" NOT NULL,
    label text COLLATE "C",
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE control.api_tokens IS 'API tokens: shown once, kept as hashes.';
COMMENT ON COLUMN control.api_tokens.token_id IS 'UUIDv7.';
COMMENT ON COLUMN control.api_tokens.token_digest IS 'SHA-256 of the token.';
COMMENT ON COLUMN control.api_tokens.tenant_id IS 'The tenant that it holds for.';
COMMENT ON COLUMN control.api_tokens.scopes IS 'Its scopes, separated by single blanks, sorted.';
COMMENT ON COLUMN control.api_tokens.label IS 'A name for people.';
COMMENT ON COLUMN control.api_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN control.api_tokens.expires_at IS 'Until when it holds; null: until revoked.';
COMMENT ON COLUMN control.api_tokens.revoked_at IS 'When it was revoked; null: it was not.';

CREATE TABLE IF NOT EXISTS control.idempotency_keys (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT idempotency_keys_tenant_fkey REFERENCES control.tenants (tenant_id),
    idempotency_key text COLLATE "C" NOT NULL
        CONSTRAINT idempotency_keys_idempotency_key_check CHECK (octet_length(idempotency_key) BETWEEN 1 AND 1024),
    request_digest text COLLATE "C" NOT NULL
        CONSTRAINT idempotency_keys_request_digest_check CHECK (request_digest ~ '^[0-9a-f]{64}$'),
    response_status integer,
    response_body bytea,
    expires_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, idempotency_key)
);
COMMENT ON TABLE control.idempotency_keys IS 'Answers to writes that can be repeated by their Idempotency-Key.';
COMMENT ON COLUMN control.idempotency_keys.tenant_id IS 'The tenant that wrote.';
COMMENT ON COLUMN control.idempotency_keys.idempotency_key IS 'The key that the client chose.';
COMMENT ON COLUMN control.idempotency_keys.request_digest IS
    'SHA-256 of the request: the same key with another request is refused.';
COMMENT ON COLUMN control.idempotency_keys.response_status IS
    'HTTP status of the answer; null while it is being made.';
COMMENT ON COLUMN control.idempotency_keys.response_body IS 'The answer''s body; null while it is being made.';
COMMENT ON COLUMN control.idempotency_keys.expires_at IS 'When it may be forgotten.';


-- findings: the ledger ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS findings.ledger_chains (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT ledger_chains_tenant_fkey REFERENCES control.tenants (tenant_id)
        CONSTRAINT ledger_chains_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    chain_id uuid NOT NULL,
    sequence_no bigint NOT NULL
        CONSTRAINT ledger_chains_sequence_no_check CHECK (sequence_no >= 0),
    event_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_chains_event_hash_check CHECK (event_hash ~ '^[0-9a-f]{64}$'),
    cycle_hash text COLLATE "C" NOT NULL
        CONSTRAINT ledger_chains_cycle_hash_check CHECK (cycle_hash ~ '^[0-9a-f]{64}$'),
    frontier bytea NOT NULL
        CONSTRAINT ledger_chains_frontier_check CHECK (octet_length(frontier) % 32 = 0),
    last_at timestamptz NOT NULL,
    CONSTRAINT ledger_chains_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT ledger_chains_chain_id_key UNIQUE (tenant_id, chain_id)
);
COMMENT ON TABLE findings.ledger_chains IS
    'The head of each tenant''s ledger chain. Every transaction that records takes its row first: writers queue here.';
COMMENT ON COLUMN findings.ledger_chains.tenant_id IS 'The tenant.';
COMMENT ON COLUMN findings.ledger_chains.chain_id IS 'Its random UUID, in the chain''s checkpoint origin.';
COMMENT ON COLUMN findings.ledger_chains.sequence_no IS 'The newest event''s number; 0 before the first.';
COMMENT ON COLUMN findings.ledger_chains.event_hash IS 'The newest event''s hash; 64 zeros before the first.';
COMMENT ON COLUMN findings.ledger_chains.cycle_hash IS 'The newest cycle''s hash; 64 zeros before the first.';
COMMENT ON COLUMN findings.ledger_chains.frontier IS
    'Roots of the full subtrees of [0, sequence_no), left to right, 32 bytes each.';
COMMENT ON COLUMN findings.ledger_chains.last_at IS
    'The newest time given to anything recorded: every later one is larger. The epoch before the first.';


-- vex: what was received ----------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS vex.documents (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT documents_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    document_digest text COLLATE "C" NOT NULL
        CONSTRAINT documents_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    payload_digest text COLLATE "C"
        CONSTRAINT documents_payload_digest_check CHECK (payload_digest ~ '^[0-9a-f]{64}$'),
    format text COLLATE "C" NOT NULL
        CONSTRAINT documents_format_check CHECK (format IN ('openvex', 'csaf', 'cyclonedx', 'spdx3')),
    spec_version text COLLATE "C",
    document_id text COLLATE "C",
    revision text COLLATE "C",
    issuer_scheme text COLLATE "C",
    issuer_id text COLLATE "C",
    stated_at text COLLATE "C",
    retires text COLLATE "C"
        CONSTRAINT documents_retires_check CHECK (retires IN ('withdrawn', 'superseded', 'deleted')),
    source text COLLATE "C" NOT NULL,
    authentication text COLLATE "C" NOT NULL
        CONSTRAINT documents_authentication_check CHECK (authentication IN ('none', 'operator')),
    observation_count bigint NOT NULL
        CONSTRAINT documents_observation_count_check CHECK (observation_count >= 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT documents_issuer_check CHECK ((issuer_scheme IS NULL) = (issuer_id IS NULL)),
    CONSTRAINT documents_pkey PRIMARY KEY (tenant_id, document_digest),
    CONSTRAINT documents_tenant_fkey FOREIGN KEY (tenant_id)
        REFERENCES findings.ledger_chains (tenant_id)
);
COMMENT ON TABLE vex.documents IS 'Documents: facts that do not change.';
COMMENT ON COLUMN vex.documents.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.documents.document_digest IS 'SHA-256 of the received bytes.';
COMMENT ON COLUMN vex.documents.payload_digest IS 'SHA-256 of the VEX document inside a wrapper; null without one.';
COMMENT ON COLUMN vex.documents.format IS '`openvex`, `csaf`, `cyclonedx` or `spdx3`.';
COMMENT ON COLUMN vex.documents.spec_version IS
    'The version of the format''s specification, as far as the document says.';
COMMENT ON COLUMN vex.documents.document_id IS 'The document''s own id: a grouping key, not an identity.';
COMMENT ON COLUMN vex.documents.revision IS 'The document''s own revision.';
COMMENT ON COLUMN vex.documents.issuer_scheme IS
    'What kind of name `issuer_id` is; null where the document names no issuer.';
COMMENT ON COLUMN vex.documents.issuer_id IS 'The issuer as the document names it: not authenticated.';
COMMENT ON COLUMN vex.documents.stated_at IS 'The document''s own time: RFC 3339, UTC, nine digits.';
COMMENT ON COLUMN vex.documents.retires IS
    'Why the document retires its lineage: `withdrawn`, `superseded` or `deleted`; null where it does not.';
COMMENT ON COLUMN vex.documents.source IS 'Where it came from: a path or URL.';
COMMENT ON COLUMN vex.documents.authentication IS
    'Who vouches for its arrival: `none` (fetched from somewhere unsigned) or `operator` (brought by hand or upload).';
COMMENT ON COLUMN vex.documents.observation_count IS 'How many observations it gave.';
COMMENT ON COLUMN vex.documents.created_at IS
    'When it was recorded: strictly larger than that of every earlier transaction of the tenant.';

CREATE TABLE IF NOT EXISTS vex.document_bodies (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT document_bodies_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    document_digest text COLLATE "C" NOT NULL
        CONSTRAINT document_bodies_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    body bytea NOT NULL,
    CONSTRAINT document_bodies_pkey PRIMARY KEY (tenant_id, document_digest),
    CONSTRAINT document_bodies_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex.documents (tenant_id, document_digest)
);
COMMENT ON TABLE vex.document_bodies IS
    'The received bytes, in a table of their own so that they can be erased by law one day.';
COMMENT ON COLUMN vex.document_bodies.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.document_bodies.document_digest IS 'The document.';
COMMENT ON COLUMN vex.document_bodies.body IS 'The bytes, verbatim.';

-- Flat, or in 16 partitions. A table that is there stays as it is.
DO $m$
DECLARE
    flat boolean := coalesce(current_setting('provex.layout', true), '') = 'flat';
    definition text := $t$
CREATE TABLE vex.observations (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT observations_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    observation_id text COLLATE "C" NOT NULL
        CONSTRAINT observations_observation_id_check CHECK (observation_id ~ '^[0-9a-f]{64}$'),
    document_digest text COLLATE "C" NOT NULL
        CONSTRAINT observations_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    claim_digest text COLLATE "C" NOT NULL
        CONSTRAINT observations_claim_digest_check CHECK (claim_digest ~ '^[0-9a-f]{64}$'),
    body bytea NOT NULL,
    status text COLLATE "C" NOT NULL
        CONSTRAINT observations_status_check CHECK (
            status IN ('not_affected', 'affected', 'fixed', 'under_investigation', 'unknown')),
    vulnerability_id text COLLATE "C" NOT NULL
        CONSTRAINT observations_vulnerability_id_check CHECK (octet_length(vulnerability_id) <= 1024),
    product_key text COLLATE "C" NOT NULL
        CONSTRAINT observations_product_key_check CHECK (octet_length(product_key) <= 1024),
    subcomponent_key text COLLATE "C"
        CONSTRAINT observations_subcomponent_key_check CHECK (octet_length(subcomponent_key) <= 1024),
    created_at timestamptz NOT NULL,
    CONSTRAINT observations_pkey PRIMARY KEY (tenant_id, observation_id),
    CONSTRAINT observations_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex.documents (tenant_id, document_digest)
)$t$;
BEGIN
    IF to_regclass('vex.observations') IS NOT NULL THEN
        RETURN;
    END IF;
    IF flat THEN
        EXECUTE definition || ' WITH (autovacuum_vacuum_scale_factor = 0.01)';
        RETURN;
    END IF;
    EXECUTE definition || ' PARTITION BY HASH (tenant_id)';
    FOR part IN 0..15 LOOP
        EXECUTE format(
            'CREATE TABLE vex.%I PARTITION OF vex.observations FOR VALUES WITH (MODULUS 16, REMAINDER %s)
            WITH (autovacuum_vacuum_scale_factor = 0.01)',
            'observations_p' || to_char(part, 'FM00'), part);
    END LOOP;
END
$m$;
COMMENT ON TABLE vex.observations IS
    'Observations: one claim as stated. The linkage columns come with 0002_vex_rekor_linkage.';
COMMENT ON COLUMN vex.observations.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.observations.observation_id IS 'SHA-256 of `body`, without the prefix `vex:obs:sha256:`.';
COMMENT ON COLUMN vex.observations.document_digest IS 'The document that it stands in.';
COMMENT ON COLUMN vex.observations.claim_digest IS
    'SHA-256 of the claim: equal for the same claim in re-issued documents.';
COMMENT ON COLUMN vex.observations.body IS 'JCS bytes of the observation.';
COMMENT ON COLUMN vex.observations.status IS
    '`not_affected`, `affected`, `fixed`, `under_investigation` or `unknown`.';
COMMENT ON COLUMN vex.observations.vulnerability_id IS 'The vulnerability''s id.';
COMMENT ON COLUMN vex.observations.product_key IS 'The product''s key.';
COMMENT ON COLUMN vex.observations.subcomponent_key IS
    'The subcomponent''s key; null where the claim is about the whole product.';
COMMENT ON COLUMN vex.observations.created_at IS 'When it was recorded: its document''s `created_at`.';

CREATE INDEX IF NOT EXISTS observations_created_idx ON vex.observations (tenant_id, created_at, observation_id);
COMMENT ON INDEX vex.observations_created_idx IS 'Pages over all observations.';
CREATE INDEX IF NOT EXISTS observations_document_idx
    ON vex.observations (tenant_id, document_digest, created_at, observation_id);
COMMENT ON INDEX vex.observations_document_idx IS 'Pages over one document''s observations.';

CREATE TABLE IF NOT EXISTS vex.observation_keys (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT observation_keys_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    kind text COLLATE "C" NOT NULL
        CONSTRAINT observation_keys_kind_check CHECK (
            kind IN ('alias', 'identifier', 'product', 'subcomponent', 'vulnerability')),
    key text COLLATE "C" NOT NULL
        CONSTRAINT observation_keys_key_check CHECK (octet_length(key) <= 1024),
    observation_id text COLLATE "C" NOT NULL
        CONSTRAINT observation_keys_observation_id_check CHECK (observation_id ~ '^[0-9a-f]{64}$'),
    CONSTRAINT observation_keys_pkey PRIMARY KEY (tenant_id, kind, "key", observation_id),
    CONSTRAINT observation_keys_observation_fkey FOREIGN KEY (tenant_id, observation_id)
        REFERENCES vex.observations (tenant_id, observation_id)
);
COMMENT ON TABLE vex.observation_keys IS
    'What an observation can be found by: equality on these keys is the only search there is.';
COMMENT ON COLUMN vex.observation_keys.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.observation_keys.kind IS
    '`vulnerability` (its id), `alias` (another name of it), `product`, `subcomponent` (their keys) or `identifier`.';
COMMENT ON COLUMN vex.observation_keys.key IS 'The key.';
COMMENT ON COLUMN vex.observation_keys.observation_id IS 'The observation.';

CREATE TABLE IF NOT EXISTS vex.standings (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT standings_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    document_digest text COLLATE "C" NOT NULL
        CONSTRAINT standings_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL,
    standing text COLLATE "C" NOT NULL
        CONSTRAINT standings_standing_check CHECK (standing IN ('live', 'quarantined', 'expired', 'withdrawn')),
    cause text COLLATE "C" NOT NULL,
    CONSTRAINT standings_pkey PRIMARY KEY (tenant_id, document_digest, created_at),
    CONSTRAINT standings_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex.documents (tenant_id, document_digest)
);
COMMENT ON TABLE vex.standings IS 'Changes of a document''s standing. A document without a row is live.';
COMMENT ON COLUMN vex.standings.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.standings.document_digest IS 'The document.';
COMMENT ON COLUMN vex.standings.created_at IS 'Since when it stands so.';
COMMENT ON COLUMN vex.standings.standing IS
    '`live`, `quarantined` (stated in the future), `expired` (policy) or `withdrawn` (by its source).';
COMMENT ON COLUMN vex.standings.cause IS 'Why, in a sentence for people.';

CREATE TABLE IF NOT EXISTS vex.parse_findings (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT parse_findings_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    document_digest text COLLATE "C" NOT NULL
        CONSTRAINT parse_findings_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    position bigint NOT NULL
        CONSTRAINT parse_findings_position_check CHECK (position >= 0),
    code text COLLATE "C" NOT NULL,
    pointer text COLLATE "C" NOT NULL,
    line bigint,
    message text COLLATE "C" NOT NULL,
    CONSTRAINT parse_findings_pkey PRIMARY KEY (tenant_id, document_digest, position),
    CONSTRAINT parse_findings_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex.documents (tenant_id, document_digest)
);
COMMENT ON TABLE vex.parse_findings IS 'What parsing found in documents that were accepted.';
COMMENT ON COLUMN vex.parse_findings.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vex.parse_findings.document_digest IS 'The document.';
COMMENT ON COLUMN vex.parse_findings.position IS 'Its place in the document''s report, from 0.';
COMMENT ON COLUMN vex.parse_findings.code IS 'The finding''s stable code.';
COMMENT ON COLUMN vex.parse_findings.pointer IS 'JSON pointer into the VEX document.';
COMMENT ON COLUMN vex.parse_findings.line IS 'Line, from 1; null where no line can be named.';
COMMENT ON COLUMN vex.parse_findings.message IS 'A sentence for people.';


-- vexhub: what is published -------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS vexhub.statements (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT statements_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    statement_id uuid NOT NULL,
    subject_digest text COLLATE "C" NOT NULL
        CONSTRAINT statements_subject_digest_check CHECK (subject_digest ~ '^[0-9a-f]{64}$'),
    revision bigint NOT NULL
        CONSTRAINT statements_revision_check CHECK (revision >= 1),
    verdict_id text COLLATE "C" NOT NULL
        CONSTRAINT statements_verdict_id_check CHECK (verdict_id ~ '^[0-9a-f]{64}$'),
    trace_digest text COLLATE "C" NOT NULL
        CONSTRAINT statements_trace_digest_check CHECK (trace_digest ~ '^[0-9a-f]{64}$'),
    body bytea NOT NULL,
    supersedes uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT statements_supersedes_check CHECK ((supersedes IS NULL) = (revision = 1)),
    CONSTRAINT statements_pkey PRIMARY KEY (tenant_id, statement_id),
    CONSTRAINT statements_revision_key UNIQUE (tenant_id, subject_digest, revision),
    CONSTRAINT statements_tenant_fkey FOREIGN KEY (tenant_id)
        REFERENCES findings.ledger_chains (tenant_id),
    CONSTRAINT statements_supersedes_fkey FOREIGN KEY (tenant_id, supersedes)
        REFERENCES vexhub.statements (tenant_id, statement_id)
);
COMMENT ON TABLE vexhub.statements IS
    'Published verdicts; empty until verdicts are made. The linkage columns come with 0002_vex_rekor_linkage.';
COMMENT ON COLUMN vexhub.statements.tenant_id IS 'The tenant.';
COMMENT ON COLUMN vexhub.statements.statement_id IS 'UUIDv7.';
COMMENT ON COLUMN vexhub.statements.subject_digest IS 'SHA-256 of the verdict''s subject.';
COMMENT ON COLUMN vexhub.statements.revision IS 'The subject''s verdicts are counted from 1.';
COMMENT ON COLUMN vexhub.statements.verdict_id IS
    'SHA-256 of `body`, without the prefix `vex:verdict:sha256:`; a verdict may recur.';
COMMENT ON COLUMN vexhub.statements.trace_digest IS 'SHA-256 of the merge trace.';
COMMENT ON COLUMN vexhub.statements.body IS 'JCS bytes of the verdict.';
COMMENT ON COLUMN vexhub.statements.supersedes IS
    'The statement that this one takes the place of; null for a subject''s first.';
COMMENT ON COLUMN vexhub.statements.created_at IS 'When it was published.';


-- attestor: what was signed and logged --------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS attestor.envelopes (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT envelopes_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    dsse_digest text COLLATE "C" NOT NULL
        CONSTRAINT envelopes_dsse_digest_check CHECK (dsse_digest ~ '^[0-9a-f]{64}$'),
    envelope bytea NOT NULL,
    predicate_type text COLLATE "C" NOT NULL,
    key_fingerprint text COLLATE "C" NOT NULL
        CONSTRAINT envelopes_key_fingerprint_check CHECK (key_fingerprint ~ '^[0-9a-f]{64}$'),
    set_root text COLLATE "C" NOT NULL
        CONSTRAINT envelopes_set_root_check CHECK (set_root ~ '^[0-9a-f]{64}$'),
    set_size bigint NOT NULL
        CONSTRAINT envelopes_set_size_check CHECK (set_size >= 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT envelopes_pkey PRIMARY KEY (tenant_id, dsse_digest),
    CONSTRAINT envelopes_tenant_fkey FOREIGN KEY (tenant_id)
        REFERENCES findings.ledger_chains (tenant_id)
);
COMMENT ON TABLE attestor.envelopes IS 'Signed envelopes, recorded before they are sent anywhere.';
COMMENT ON COLUMN attestor.envelopes.tenant_id IS 'The tenant.';
COMMENT ON COLUMN attestor.envelopes.dsse_digest IS 'SHA-256 of `envelope`.';
COMMENT ON COLUMN attestor.envelopes.envelope IS 'The JCS bytes of {payload, payloadType, signatures: [{sig}]}.';
COMMENT ON COLUMN attestor.envelopes.predicate_type IS 'The signed predicate''s type.';
COMMENT ON COLUMN attestor.envelopes.key_fingerprint IS 'SHA-256 of the signer''s DER SubjectPublicKeyInfo.';
COMMENT ON COLUMN attestor.envelopes.set_root IS 'Root of the signed set.';
COMMENT ON COLUMN attestor.envelopes.set_size IS 'Size of the signed set.';
COMMENT ON COLUMN attestor.envelopes.created_at IS 'When it was recorded.';

CREATE TABLE IF NOT EXISTS attestor.envelope_members (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT envelope_members_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    dsse_digest text COLLATE "C" NOT NULL
        CONSTRAINT envelope_members_dsse_digest_check CHECK (dsse_digest ~ '^[0-9a-f]{64}$'),
    kind text COLLATE "C" NOT NULL
        CONSTRAINT envelope_members_kind_check CHECK (kind IN ('document', 'observation')),
    position bigint NOT NULL
        CONSTRAINT envelope_members_position_check CHECK (position >= 0),
    member text COLLATE "C" NOT NULL
        CONSTRAINT envelope_members_member_check CHECK (member ~ '^[0-9a-f]{64}$'),
    CONSTRAINT envelope_members_pkey PRIMARY KEY (tenant_id, dsse_digest, kind, position),
    CONSTRAINT envelope_members_member_key UNIQUE (tenant_id, kind, member, dsse_digest),
    CONSTRAINT envelope_members_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor.envelopes (tenant_id, dsse_digest)
);
COMMENT ON TABLE attestor.envelope_members IS 'What an envelope attests.';
COMMENT ON COLUMN attestor.envelope_members.tenant_id IS 'The tenant.';
COMMENT ON COLUMN attestor.envelope_members.dsse_digest IS 'The envelope.';
COMMENT ON COLUMN attestor.envelope_members.kind IS '`document` or `observation`.';
COMMENT ON COLUMN attestor.envelope_members.position IS 'From 0; an observation''s is its index in the signed set.';
COMMENT ON COLUMN attestor.envelope_members.member IS 'The document''s digest or the observation''s id.';

CREATE TABLE IF NOT EXISTS attestor.bundles (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT bundles_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    bundle_digest text COLLATE "C" NOT NULL
        CONSTRAINT bundles_bundle_digest_check CHECK (bundle_digest ~ '^[0-9a-f]{64}$'),
    bundle bytea NOT NULL,
    CONSTRAINT bundles_pkey PRIMARY KEY (tenant_id, bundle_digest),
    CONSTRAINT bundles_tenant_fkey FOREIGN KEY (tenant_id)
        REFERENCES findings.ledger_chains (tenant_id)
);
COMMENT ON TABLE attestor.bundles IS 'Sigstore bundles, made once when their entry was verified.';
COMMENT ON COLUMN attestor.bundles.tenant_id IS 'The tenant.';
COMMENT ON COLUMN attestor.bundles.bundle_digest IS 'SHA-256 of `bundle`, without the prefix `sha256:`.';
COMMENT ON COLUMN attestor.bundles.bundle IS 'JCS bytes of the bundle.';

CREATE TABLE IF NOT EXISTS attestor.log_entries (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    rekor_log_id text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_rekor_log_id_check CHECK (rekor_log_id ~ '^[0-9a-f]{64}$'),
    rekor_log_index bigint NOT NULL
        CONSTRAINT log_entries_rekor_log_index_check CHECK (rekor_log_index >= 0),
    rekor_uuid text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_rekor_uuid_check CHECK (rekor_uuid ~ '^[0-9a-f]{64}$'),
    dsse_digest text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_dsse_digest_check CHECK (dsse_digest ~ '^[0-9a-f]{64}$'),
    entry bytea NOT NULL,
    time_source text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_time_source_check CHECK (time_source IN ('tsa', 'set', 'none')),
    bundle_digest text COLLATE "C" NOT NULL
        CONSTRAINT log_entries_bundle_digest_check CHECK (bundle_digest ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL,
    CONSTRAINT log_entries_pkey PRIMARY KEY (tenant_id, rekor_log_id, rekor_log_index),
    CONSTRAINT log_entries_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor.envelopes (tenant_id, dsse_digest),
    CONSTRAINT log_entries_bundle_fkey FOREIGN KEY (tenant_id, bundle_digest)
        REFERENCES attestor.bundles (tenant_id, bundle_digest)
);
COMMENT ON TABLE attestor.log_entries IS
    'Log entries of our envelopes, each kept once. The verification columns come with 0002_vex_rekor_linkage.';
COMMENT ON COLUMN attestor.log_entries.tenant_id IS 'The tenant.';
COMMENT ON COLUMN attestor.log_entries.rekor_log_id IS 'The log''s untruncated key id.';
COMMENT ON COLUMN attestor.log_entries.rekor_log_index IS 'The entry''s index; v1: the global one.';
COMMENT ON COLUMN attestor.log_entries.rekor_uuid IS 'The leaf hash.';
COMMENT ON COLUMN attestor.log_entries.dsse_digest IS 'The envelope that was logged.';
COMMENT ON COLUMN attestor.log_entries.entry IS
    'JCS bytes of the log''s whole answer: canonicalized body, inclusion proof, checkpoint, signed entry timestamp.';
COMMENT ON COLUMN attestor.log_entries.time_source IS
    'Who says when: `tsa` (an RFC 3161 timestamp), `set` (Rekor v1''s signed entry timestamp) or `none`.';
COMMENT ON COLUMN attestor.log_entries.bundle_digest IS 'The bundle made of it.';
COMMENT ON COLUMN attestor.log_entries.created_at IS 'When it was kept.';

CREATE INDEX IF NOT EXISTS log_entries_envelope_idx ON attestor.log_entries (tenant_id, dsse_digest, created_at);
COMMENT ON INDEX attestor.log_entries_envelope_idx IS 'An envelope''s entries, oldest first.';
CREATE INDEX IF NOT EXISTS log_entries_index_idx ON attestor.log_entries (tenant_id, rekor_log_index, rekor_log_id);
COMMENT ON INDEX attestor.log_entries_index_idx IS 'Which logs have an entry at an index.';

CREATE TABLE IF NOT EXISTS attestor.submissions (
    tenant_id text COLLATE "C" NOT NULL
        CONSTRAINT submissions_tenant_id_check CHECK (tenant_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    submission_id uuid NOT NULL,
    stage text COLLATE "C" NOT NULL
        CONSTRAINT submissions_stage_check CHECK (stage IN ('attest', 'submit', 'link')),
    document_digest text COLLATE "C"
        CONSTRAINT submissions_document_digest_check CHECK (document_digest ~ '^[0-9a-f]{64}$'),
    dsse_digest text COLLATE "C"
        CONSTRAINT submissions_dsse_digest_check CHECK (dsse_digest ~ '^[0-9a-f]{64}$'),
    log_id text COLLATE "C"
        CONSTRAINT submissions_log_id_check CHECK (log_id ~ '^[0-9a-f]{64}$'),
    entry bytea,
    state text COLLATE "C" NOT NULL
        CONSTRAINT submissions_state_check CHECK (state IN ('queued', 'dead')),
    reason text COLLATE "C",
    attempts integer NOT NULL
        CONSTRAINT submissions_attempts_check CHECK (attempts >= 0),
    available_at timestamptz NOT NULL,
    lease_token uuid,
    lease_until timestamptz,
    CONSTRAINT submissions_subject_check CHECK (CASE stage
        WHEN 'attest' THEN document_digest IS NOT NULL AND dsse_digest IS NULL AND log_id IS NULL AND entry IS NULL
        WHEN 'submit' THEN document_digest IS NULL AND dsse_digest IS NOT NULL AND log_id IS NULL AND entry IS NULL
        ELSE document_digest IS NULL AND dsse_digest IS NOT NULL AND log_id IS NOT NULL AND entry IS NOT NULL END),
    CONSTRAINT submissions_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CONSTRAINT submissions_dead_check CHECK (state <> 'dead' OR (reason IS NOT NULL AND lease_token IS NULL)),
    CONSTRAINT submissions_pkey PRIMARY KEY (tenant_id, submission_id),
    CONSTRAINT submissions_document_key UNIQUE (tenant_id, document_digest),
    CONSTRAINT submissions_envelope_key UNIQUE (tenant_id, dsse_digest),
    CONSTRAINT submissions_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex.documents (tenant_id, document_digest),
    CONSTRAINT submissions_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor.envelopes (tenant_id, dsse_digest)
) WITH (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 70);
COMMENT ON TABLE attestor.submissions IS
    'The leased queue: a row for each document from its recording on, then one for each envelope. Done rows are deleted.';
COMMENT ON COLUMN attestor.submissions.tenant_id IS 'The tenant.';
COMMENT ON COLUMN attestor.submissions.submission_id IS 'UUIDv7.';
COMMENT ON COLUMN attestor.submissions.stage IS
    'What is next: `attest` a document, `submit` an envelope, or `link` a log''s answer.';
COMMENT ON COLUMN attestor.submissions.document_digest IS 'Stage attest: the document.';
COMMENT ON COLUMN attestor.submissions.dsse_digest IS 'Stages submit and link: the envelope.';
COMMENT ON COLUMN attestor.submissions.log_id IS 'Stage link: the log that answered.';
COMMENT ON COLUMN attestor.submissions.entry IS 'Stage link: JCS bytes of the log''s answer, not verified yet.';
COMMENT ON COLUMN attestor.submissions.state IS '`queued`, or `dead`: never again by itself.';
COMMENT ON COLUMN attestor.submissions.reason IS
    'Why the last attempt did not finish it, in a sentence for people; null before the first.';
COMMENT ON COLUMN attestor.submissions.attempts IS 'How often it was leased.';
COMMENT ON COLUMN attestor.submissions.available_at IS 'When it is due.';
COMMENT ON COLUMN attestor.submissions.lease_token IS 'The lease''s token; null while nobody holds it.';
COMMENT ON COLUMN attestor.submissions.lease_until IS 'When others may take it; null while nobody holds it.';

CREATE INDEX IF NOT EXISTS submissions_due_idx ON attestor.submissions (tenant_id, stage, available_at, submission_id)
    WHERE state = 'queued';
COMMENT ON INDEX attestor.submissions_due_idx IS 'What a worker takes next.';
CREATE INDEX IF NOT EXISTS submissions_dead_idx ON attestor.submissions (tenant_id, submission_id) WHERE state = 'dead';
COMMENT ON INDEX attestor.submissions_dead_idx IS 'What was given up.';

-- guards --------------------------------------------------------------------------------------------------------------

-- Rights on parents by name, and none on a partition; then row-level security, on partitions too. What a later migration
-- has granted on columns stays.
DO $m$
DECLARE
    tab record;
    part regclass;
    policy name;
BEGIN
    FOR tab IN SELECT * FROM (VALUES
        ('control.migrations', 'SELECT', false),
        ('control.tenants', 'SELECT, INSERT', false),
        ('control.logs', 'SELECT, INSERT, UPDATE', false),
        ('control.log_forks', 'SELECT, INSERT', false),
        ('control.audit_events', 'SELECT, INSERT', false),
        ('control.api_tokens', 'SELECT, INSERT, UPDATE', false),
        ('control.idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE', false),
        ('findings.ledger_chains', 'SELECT, INSERT, UPDATE', true),
        ('vex.documents', 'SELECT, INSERT', true),
        ('vex.document_bodies', 'SELECT, INSERT', true),
        ('vex.observations', 'SELECT, INSERT', true),
        ('vex.observation_keys', 'SELECT, INSERT', true),
        ('vex.standings', 'SELECT, INSERT', true),
        ('vex.parse_findings', 'SELECT, INSERT', true),
        ('vexhub.statements', 'SELECT, INSERT', true),
        ('attestor.envelopes', 'SELECT, INSERT', true),
        ('attestor.envelope_members', 'SELECT, INSERT', true),
        ('attestor.bundles', 'SELECT, INSERT', true),
        ('attestor.log_entries', 'SELECT, INSERT', true),
        ('attestor.submissions', 'SELECT, INSERT, UPDATE, DELETE', true)
    ) AS t (name, rights, of_tenant) LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', tab.name);
        -- What default privileges may have given too much.
        IF tab.rights NOT LIKE '%UPDATE%' AND has_table_privilege('provex_app', tab.name, 'UPDATE') THEN
            EXECUTE format('REVOKE UPDATE ON %s FROM provex_app', tab.name);
        END IF;
        IF tab.rights NOT LIKE '%DELETE%' THEN
            EXECUTE format('REVOKE DELETE ON %s FROM provex_app', tab.name);
        END IF;
        EXECUTE format('REVOKE TRUNCATE, REFERENCES, TRIGGER ON %s FROM provex_app', tab.name);
        EXECUTE format('GRANT %s ON %s TO provex_app', tab.rights, tab.name);
        IF tab.of_tenant THEN
            FOR part IN SELECT relid FROM pg_partition_tree(tab.name)
                UNION SELECT tab.name::regclass ORDER BY 1
            LOOP
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
                policy := split_part(tab.name, '.', 2) || '_tenant_policy';
                IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = part AND polname = policy) THEN
                    EXECUTE format(
                        'CREATE POLICY %I ON %s USING (tenant_id = vex.current_tenant())
                        WITH CHECK (tenant_id = vex.current_tenant())',
                        policy, part);
                END IF;
                IF part <> tab.name::regclass THEN
                    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, provex_app', part);
                END IF;
            END LOOP;
        END IF;
    END LOOP;
END
$m$;

-- What is only added to is neither changed nor deleted, whoever asks. Row triggers of a partitioned table hold for its
-- partitions; a trigger against TRUNCATE does not, so each has its own. Citus takes triggers only where this
-- block's setting says so; elsewhere the setting means nothing.
DO $m$
DECLARE
    tab record;
    part regclass;
BEGIN
    SET LOCAL citus.enable_unsafe_triggers = on;
    FOR tab IN SELECT t.*, split_part(t.name, '.', 2) AS short FROM (VALUES
        ('control.migrations', ''),
        ('control.log_forks', ''),
        ('control.audit_events', ''),
        ('vex.documents', ''),
        ('vex.observations', 'tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id,
            product_key, subcomponent_key, created_at'),
        ('vex.observation_keys', ''),
        ('vex.standings', ''),
        ('vex.parse_findings', ''),
        ('vexhub.statements', 'tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body,
            supersedes, created_at'),
        ('attestor.envelopes', ''),
        ('attestor.envelope_members', ''),
        ('attestor.bundles', ''),
        ('attestor.log_entries', 'tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source,
            bundle_digest, created_at')
    ) AS t (name, columns) LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I BEFORE UPDATE %s ON %s FOR EACH ROW EXECUTE FUNCTION vex.refuse_change(%L)',
            tab.short || '_no_update', CASE tab.columns WHEN '' THEN '' ELSE 'OF ' || tab.columns END, tab.name,
            tab.name || ' is only added to');
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION vex.refuse_change(%L)',
            tab.short || '_no_delete', tab.name, tab.name || ' is only added to');
        FOR part IN SELECT relid FROM pg_partition_tree(tab.name) UNION SELECT tab.name::regclass ORDER BY 1 LOOP
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT
                EXECUTE FUNCTION vex.refuse_change(%L)',
                tab.short || '_no_truncate', part, tab.name || ' is only added to');
        END LOOP;
    END LOOP;
END
$m$;

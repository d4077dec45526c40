-- What the migrations come to. Made by a test, never edited.

CREATE TABLE attestor_bundles (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT attestor_bundles_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- SHA-256 of `bundle`, without the prefix `sha256:`.
    bundle_digest TEXT NOT NULL CONSTRAINT attestor_bundles_bundle_digest_check CHECK (
        length(bundle_digest) = 64 AND bundle_digest NOT GLOB '*[^0-9a-f]*'),
    -- JCS bytes of the bundle.
    bundle BLOB NOT NULL,
    CONSTRAINT attestor_bundles_pkey PRIMARY KEY (tenant_id, bundle_digest),
    CONSTRAINT attestor_bundles_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES control_tenants (tenant_id)
) STRICT;

CREATE TABLE attestor_envelope_members (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT attestor_envelope_members_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- The envelope.
    dsse_digest TEXT NOT NULL CONSTRAINT attestor_envelope_members_dsse_digest_check CHECK (
        length(dsse_digest) = 64 AND dsse_digest NOT GLOB '*[^0-9a-f]*'),
    -- `document` or `observation`.
    kind TEXT NOT NULL CONSTRAINT attestor_envelope_members_kind_check CHECK (kind IN ('document', 'observation')),
    -- From 0; an observation's is its index in the signed set.
    position INTEGER NOT NULL CONSTRAINT attestor_envelope_members_position_check CHECK (position >= 0),
    -- The document's digest or the observation's id.
    member TEXT NOT NULL CONSTRAINT attestor_envelope_members_member_check CHECK (
        length(member) = 64 AND member NOT GLOB '*[^0-9a-f]*'),
    CONSTRAINT attestor_envelope_members_pkey PRIMARY KEY (tenant_id, dsse_digest, kind, position),
    CONSTRAINT attestor_envelope_members_member_key UNIQUE (tenant_id, kind, member, dsse_digest),
    CONSTRAINT attestor_envelope_members_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor_envelopes (tenant_id, dsse_digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE attestor_envelopes (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT attestor_envelopes_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- SHA-256 of `envelope`.
    dsse_digest TEXT NOT NULL CONSTRAINT attestor_envelopes_dsse_digest_check CHECK (
        length(dsse_digest) = 64 AND dsse_digest NOT GLOB '*[^0-9a-f]*'),
    -- The JCS bytes of {payload, payloadType, signatures: [{sig}]}.
    envelope BLOB NOT NULL,
    -- The signed predicate's type.
    predicate_type TEXT NOT NULL,
    -- SHA-256 of the signer's DER SubjectPublicKeyInfo.
    key_fingerprint TEXT NOT NULL CONSTRAINT attestor_envelopes_key_fingerprint_check CHECK (
        length(key_fingerprint) = 64 AND key_fingerprint NOT GLOB '*[^0-9a-f]*'),
    -- Root of the signed set.
    set_root TEXT NOT NULL CONSTRAINT attestor_envelopes_set_root_check CHECK (
        length(set_root) = 64 AND set_root NOT GLOB '*[^0-9a-f]*'),
    -- Size of the signed set.
    set_size INTEGER NOT NULL CONSTRAINT attestor_envelopes_set_size_check CHECK (set_size >= 0),
    -- When it was recorded.
    created_at INTEGER NOT NULL,
    CONSTRAINT attestor_envelopes_pkey PRIMARY KEY (tenant_id, dsse_digest),
    CONSTRAINT attestor_envelopes_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES control_tenants (tenant_id)
) STRICT;

CREATE TABLE attestor_log_entries (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT attestor_log_entries_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- The log's untruncated key id.
    rekor_log_id TEXT NOT NULL CONSTRAINT attestor_log_entries_rekor_log_id_check CHECK (
        length(rekor_log_id) = 64 AND rekor_log_id NOT GLOB '*[^0-9a-f]*'),
    -- The entry's index; v1: the global one.
    rekor_log_index INTEGER NOT NULL
        CONSTRAINT attestor_log_entries_rekor_log_index_check CHECK (rekor_log_index >= 0),
    -- The leaf hash.
    rekor_uuid TEXT NOT NULL CONSTRAINT attestor_log_entries_rekor_uuid_check CHECK (
        length(rekor_uuid) = 64 AND rekor_uuid NOT GLOB '*[^0-9a-f]*'),
    -- The envelope that was logged.
    dsse_digest TEXT NOT NULL CONSTRAINT attestor_log_entries_dsse_digest_check CHECK (
        length(dsse_digest) = 64 AND dsse_digest NOT GLOB '*[^0-9a-f]*'),
    -- JCS bytes of the log's whole answer: canonicalized body, inclusion proof, checkpoint, signed entry timestamp.
    entry BLOB NOT NULL,
    -- Who says when: `tsa` (an RFC 3161 timestamp), `set` (Rekor v1's signed entry timestamp) or `none`.
    time_source TEXT NOT NULL
        CONSTRAINT attestor_log_entries_time_source_check CHECK (time_source IN ('tsa', 'set', 'none')),
    -- The bundle made of it.
    bundle_digest TEXT NOT NULL CONSTRAINT attestor_log_entries_bundle_digest_check CHECK (
        length(bundle_digest) = 64 AND bundle_digest NOT GLOB '*[^0-9a-f]*'),
    -- When it was kept.
    created_at INTEGER NOT NULL, verification_status TEXT CONSTRAINT attestor_log_entries_verification_status_check
    CHECK (verification_status IN ('verified', 'failed', 'unknown')), verified_at INTEGER CONSTRAINT attestor_log_entries_verified_at_check
    CHECK ((verified_at IS NULL) = (verification_status IS NULL)), verification_error TEXT, verifier_version TEXT,
    CONSTRAINT attestor_log_entries_pkey PRIMARY KEY (tenant_id, rekor_log_id, rekor_log_index),
    CONSTRAINT attestor_log_entries_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor_envelopes (tenant_id, dsse_digest),
    CONSTRAINT attestor_log_entries_bundle_fkey FOREIGN KEY (tenant_id, bundle_digest)
        REFERENCES attestor_bundles (tenant_id, bundle_digest)
) STRICT;

CREATE TABLE attestor_submissions (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT attestor_submissions_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- UUIDv7.
    submission_id TEXT NOT NULL CONSTRAINT attestor_submissions_submission_id_check CHECK (length(submission_id) = 36),
    -- What is next: `attest` a document, `submit` an envelope, or `link` a log's answer.
    stage TEXT NOT NULL CONSTRAINT attestor_submissions_stage_check CHECK (stage IN ('attest', 'submit', 'link')),
    -- Stage attest: the document.
    document_digest TEXT CONSTRAINT attestor_submissions_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- Stages submit and link: the envelope.
    dsse_digest TEXT CONSTRAINT attestor_submissions_dsse_digest_check CHECK (
        length(dsse_digest) = 64 AND dsse_digest NOT GLOB '*[^0-9a-f]*'),
    -- Stage link: the log that answered.
    log_id TEXT CONSTRAINT attestor_submissions_log_id_check CHECK (
        length(log_id) = 64 AND log_id NOT GLOB '*[^0-9a-f]*'),
    -- Stage link: JCS bytes of the log's answer, not verified yet.
    entry BLOB,
    -- `queued`, or `dead`: never again by itself.
    state TEXT NOT NULL CONSTRAINT attestor_submissions_state_check CHECK (state IN ('queued', 'dead')),
    -- Why the last attempt did not finish it, in a sentence for people; null before the first.
    reason TEXT,
    -- How often it was leased.
    attempts INTEGER NOT NULL CONSTRAINT attestor_submissions_attempts_check CHECK (attempts >= 0),
    -- When it is due.
    available_at INTEGER NOT NULL,
    -- The lease's token; null while nobody holds it.
    lease_token TEXT CONSTRAINT attestor_submissions_lease_token_check CHECK (length(lease_token) = 36),
    -- When others may take it; null while nobody holds it.
    lease_until INTEGER,
    CONSTRAINT attestor_submissions_subject_check CHECK (CASE stage
        WHEN 'attest' THEN document_digest IS NOT NULL AND dsse_digest IS NULL AND log_id IS NULL AND entry IS NULL
        WHEN 'submit' THEN document_digest IS NULL AND dsse_digest IS NOT NULL AND log_id IS NULL AND entry IS NULL
        ELSE document_digest IS NULL AND dsse_digest IS NOT NULL AND log_id IS NOT NULL AND entry IS NOT NULL END),
    CONSTRAINT attestor_submissions_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CONSTRAINT attestor_submissions_dead_check CHECK (
        state <> 'dead' OR (reason IS NOT NULL AND lease_token IS NULL)),
    CONSTRAINT attestor_submissions_pkey PRIMARY KEY (tenant_id, submission_id),
    CONSTRAINT attestor_submissions_document_key UNIQUE (tenant_id, document_digest),
    CONSTRAINT attestor_submissions_envelope_key UNIQUE (tenant_id, dsse_digest),
    CONSTRAINT attestor_submissions_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex_documents (tenant_id, document_digest),
    CONSTRAINT attestor_submissions_envelope_fkey FOREIGN KEY (tenant_id, dsse_digest)
        REFERENCES attestor_envelopes (tenant_id, dsse_digest)
) STRICT;

CREATE TABLE control_api_tokens (
    -- UUIDv7.
    token_id TEXT NOT NULL CONSTRAINT control_api_tokens_pkey PRIMARY KEY
        CONSTRAINT control_api_tokens_token_id_check CHECK (length(token_id) = 36),
    -- SHA-256 of the token.
    token_digest TEXT NOT NULL CONSTRAINT control_api_tokens_token_digest_key UNIQUE
        CONSTRAINT control_api_tokens_token_digest_check CHECK (
            length(token_digest) = 64 AND token_digest NOT GLOB '*[^0-9a-f]*'),
    -- The tenant that it holds for.
    tenant_id TEXT NOT NULL
        CONSTRAINT control_api_tokens_tenant_fkey REFERENCES control_tenants (tenant_id),
    -- Its scopes, separated by single blanks, sorted.
    scopes TEXT NOT NULL,
    -- A name for people.
    label TEXT,
    -- When it was made.
    created_at INTEGER NOT NULL,
    -- Until when it holds; null: until revoked.
    expires_at INTEGER,
    -- When it was revoked; null: it was not.
    revoked_at INTEGER
) STRICT;

CREATE TABLE control_audit_events (
    -- UUIDv7.
    audit_event_id TEXT NOT NULL CONSTRAINT control_audit_events_pkey PRIMARY KEY
        CONSTRAINT control_audit_events_audit_event_id_check CHECK (length(audit_event_id) = 36),
    -- The tenant it concerns, if it concerns one.
    tenant_id TEXT,
    -- Who did it.
    actor_id TEXT NOT NULL,
    -- What was done: a stable word.
    action TEXT NOT NULL,
    -- JCS bytes with the details; no secrets.
    detail BLOB NOT NULL,
    -- When.
    occurred_at INTEGER NOT NULL
) STRICT;

CREATE TABLE control_idempotency_keys (
    -- The tenant that wrote.
    tenant_id TEXT NOT NULL
        CONSTRAINT control_idempotency_keys_tenant_fkey REFERENCES control_tenants (tenant_id),
    -- The key that the client chose.
    idempotency_key TEXT NOT NULL CONSTRAINT control_idempotency_keys_idempotency_key_check CHECK (
        length(CAST(idempotency_key AS BLOB)) BETWEEN 1 AND 1024),
    -- SHA-256 of the request: the same key with another request is refused.
    request_digest TEXT NOT NULL CONSTRAINT control_idempotency_keys_request_digest_check CHECK (
        length(request_digest) = 64 AND request_digest NOT GLOB '*[^0-9a-f]*'),
    -- HTTP status of the answer; null while it is being made.
    response_status INTEGER,
    -- The answer's body; null while it is being made.
    response_body BLOB,
    -- When it may be forgotten.
    expires_at INTEGER NOT NULL,
    CONSTRAINT control_idempotency_keys_pkey PRIMARY KEY (tenant_id, idempotency_key)
) STRICT;

CREATE TABLE control_log_forks (
    -- The log's untruncated key id.
    log_id TEXT NOT NULL
        CONSTRAINT control_log_forks_log_id_check CHECK (length(log_id) = 64 AND log_id NOT GLOB '*[^0-9a-f]*'),
    -- SHA-256 of the note that contradicts what was known.
    checkpoint_digest TEXT NOT NULL CONSTRAINT control_log_forks_checkpoint_digest_check CHECK (
        length(checkpoint_digest) = 64 AND checkpoint_digest NOT GLOB '*[^0-9a-f]*'),
    -- The signed note that was known, verbatim.
    known_checkpoint BLOB NOT NULL,
    -- The signed note that contradicts it, verbatim.
    checkpoint BLOB NOT NULL,
    -- The tiles that show it, where sizes differ; null where the sizes are equal.
    tiles BLOB,
    -- When it was found.
    found_at INTEGER NOT NULL,
    CONSTRAINT control_log_forks_pkey PRIMARY KEY (log_id, checkpoint_digest)
) STRICT;

CREATE TABLE control_logs (
    -- The log's untruncated key id.
    log_id TEXT NOT NULL CONSTRAINT control_logs_pkey PRIMARY KEY
        CONSTRAINT control_logs_log_id_check CHECK (length(log_id) = 64 AND log_id NOT GLOB '*[^0-9a-f]*'),
    -- The log's name for itself.
    origin TEXT NOT NULL,
    -- The checkpoint's tree size.
    tree_size INTEGER NOT NULL CONSTRAINT control_logs_tree_size_check CHECK (tree_size >= 0),
    -- The checkpoint's root.
    tree_root TEXT NOT NULL
        CONSTRAINT control_logs_tree_root_check CHECK (length(tree_root) = 64 AND tree_root NOT GLOB '*[^0-9a-f]*'),
    -- The signed note, verbatim.
    checkpoint BLOB NOT NULL,
    -- When it was verified or published.
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE control_migrations (
    -- The migration's number.
    version INTEGER NOT NULL CONSTRAINT control_migrations_pkey PRIMARY KEY,
    -- Its name, without number and ending.
    name TEXT NOT NULL,
    -- SHA-256 of its text, as it was applied.
    checksum TEXT NOT NULL
        CONSTRAINT control_migrations_checksum_check CHECK (length(checksum) = 64 AND checksum NOT GLOB '*[^0-9a-f]*'),
    -- When it was applied; null where nobody said.
    applied_at INTEGER
) STRICT;

CREATE TABLE control_tenants (
    -- Its name: `[a-z0-9][a-z0-9._-]{0,62}`.
    tenant_id TEXT NOT NULL CONSTRAINT control_tenants_pkey PRIMARY KEY
        CONSTRAINT control_tenants_tenant_id_check CHECK (
            length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
            AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- When it was added.
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE findings_ledger_attestations (
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

CREATE TABLE findings_ledger_chains (
    -- The tenant.
    tenant_id TEXT NOT NULL
        CONSTRAINT findings_ledger_chains_tenant_fkey REFERENCES control_tenants (tenant_id),
    -- Its random UUID, in the chain's checkpoint origin.
    chain_id TEXT NOT NULL CONSTRAINT findings_ledger_chains_chain_id_check CHECK (length(chain_id) = 36),
    -- The newest event's number; 0 before the first.
    sequence_no INTEGER NOT NULL CONSTRAINT findings_ledger_chains_sequence_no_check CHECK (sequence_no >= 0),
    -- The newest event's hash; 64 zeros before the first.
    event_hash TEXT NOT NULL CONSTRAINT findings_ledger_chains_event_hash_check CHECK (
        length(event_hash) = 64 AND event_hash NOT GLOB '*[^0-9a-f]*'),
    -- The newest cycle's hash; 64 zeros before the first.
    cycle_hash TEXT NOT NULL CONSTRAINT findings_ledger_chains_cycle_hash_check CHECK (
        length(cycle_hash) = 64 AND cycle_hash NOT GLOB '*[^0-9a-f]*'),
    -- Roots of the full subtrees of [0, sequence_no), left to right, 32 bytes each.
    frontier BLOB NOT NULL CONSTRAINT findings_ledger_chains_frontier_check CHECK (length(frontier) % 32 = 0),
    -- The newest time given to anything recorded: every later one is larger. 0 before the first.
    last_at INTEGER NOT NULL, backfilled_at INTEGER,
    CONSTRAINT findings_ledger_chains_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT findings_ledger_chains_chain_id_key UNIQUE (tenant_id, chain_id)
) STRICT;

CREATE TABLE findings_ledger_events (
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

CREATE TABLE findings_ledger_merkle_roots (
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

CREATE TABLE findings_ledger_tiles (
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

CREATE TABLE vex_document_bodies (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_document_bodies_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- The document.
    document_digest TEXT NOT NULL CONSTRAINT vex_document_bodies_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- The bytes, verbatim.
    body BLOB NOT NULL,
    CONSTRAINT vex_document_bodies_pkey PRIMARY KEY (tenant_id, document_digest),
    CONSTRAINT vex_document_bodies_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex_documents (tenant_id, document_digest)
) STRICT;

CREATE TABLE vex_documents (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_documents_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- SHA-256 of the received bytes.
    document_digest TEXT NOT NULL CONSTRAINT vex_documents_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- SHA-256 of the VEX document inside a wrapper; null without one.
    payload_digest TEXT CONSTRAINT vex_documents_payload_digest_check CHECK (
        length(payload_digest) = 64 AND payload_digest NOT GLOB '*[^0-9a-f]*'),
    -- `openvex`, `csaf`, `cyclonedx` or `spdx3`.
    format TEXT NOT NULL
        CONSTRAINT vex_documents_format_check CHECK (format IN ('openvex', 'csaf', 'cyclonedx', 'spdx3')),
    -- The version of the format's specification, as far as the document says.
    spec_version TEXT,
    -- The document's own id: a grouping key, not an identity.
    document_id TEXT,
    -- The document's own revision.
    revision TEXT,
    -- What kind of name `issuer_id` is; null where the document names no issuer.
    issuer_scheme TEXT,
    -- The issuer as the document names it: not authenticated.
    issuer_id TEXT,
    -- The document's own time: RFC 3339, UTC, nine digits.
    stated_at TEXT,
    -- Why the document retires its lineage: `withdrawn`, `superseded` or `deleted`; null where it does not.
    retires TEXT
        CONSTRAINT vex_documents_retires_check CHECK (retires IN ('withdrawn', 'superseded', 'deleted')),
    -- Where it came from: a path or URL.
    source TEXT NOT NULL,
    -- Who vouches for its arrival: `none` (fetched from somewhere unsigned) or `operator` (brought by hand or upload).
    authentication TEXT NOT NULL
        CONSTRAINT vex_documents_authentication_check CHECK (authentication IN ('none', 'operator')),
    -- How many observations it gave.
    observation_count INTEGER NOT NULL
        CONSTRAINT vex_documents_observation_count_check CHECK (observation_count >= 0),
    -- When it was recorded: strictly larger than that of every earlier transaction of the tenant.
    created_at INTEGER NOT NULL,
    CONSTRAINT vex_documents_issuer_check CHECK ((issuer_scheme IS NULL) = (issuer_id IS NULL)),
    CONSTRAINT vex_documents_pkey PRIMARY KEY (tenant_id, document_digest),
    CONSTRAINT vex_documents_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES control_tenants (tenant_id)
) STRICT;

CREATE TABLE vex_observation_keys (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_observation_keys_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- `alias` (another name of the vulnerability), `identifier` (of product or subcomponent, as written or canonical),
    -- `product`, `subcomponent` (their keys) or `vulnerability` (its id).
    kind TEXT NOT NULL CONSTRAINT vex_observation_keys_kind_check CHECK (
        kind IN ('alias', 'identifier', 'product', 'subcomponent', 'vulnerability')),
    -- The key.
    "key" TEXT NOT NULL CONSTRAINT vex_observation_keys_key_check CHECK (length(CAST("key" AS BLOB)) <= 1024),
    -- The observation.
    observation_id TEXT NOT NULL CONSTRAINT vex_observation_keys_observation_id_check CHECK (
        length(observation_id) = 64 AND observation_id NOT GLOB '*[^0-9a-f]*'),
    CONSTRAINT vex_observation_keys_pkey PRIMARY KEY (tenant_id, kind, "key", observation_id),
    CONSTRAINT vex_observation_keys_observation_fkey FOREIGN KEY (tenant_id, observation_id)
        REFERENCES vex_observations (tenant_id, observation_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE vex_observations (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_observations_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- SHA-256 of `body`, without the prefix `vex:obs:sha256:`.
    observation_id TEXT NOT NULL CONSTRAINT vex_observations_observation_id_check CHECK (
        length(observation_id) = 64 AND observation_id NOT GLOB '*[^0-9a-f]*'),
    -- The document that it stands in.
    document_digest TEXT NOT NULL CONSTRAINT vex_observations_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- SHA-256 of the claim: equal for the same claim in re-issued documents.
    claim_digest TEXT NOT NULL CONSTRAINT vex_observations_claim_digest_check CHECK (
        length(claim_digest) = 64 AND claim_digest NOT GLOB '*[^0-9a-f]*'),
    -- JCS bytes of the observation.
    body BLOB NOT NULL,
    -- `not_affected`, `affected`, `fixed`, `under_investigation` or `unknown`.
    status TEXT NOT NULL CONSTRAINT vex_observations_status_check CHECK (
        status IN ('not_affected', 'affected', 'fixed', 'under_investigation', 'unknown')),
    -- The vulnerability's id.
    vulnerability_id TEXT NOT NULL CONSTRAINT vex_observations_vulnerability_id_check CHECK (
        length(CAST(vulnerability_id AS BLOB)) <= 1024),
    -- The product's key.
    product_key TEXT NOT NULL CONSTRAINT vex_observations_product_key_check CHECK (
        length(CAST(product_key AS BLOB)) <= 1024),
    -- The subcomponent's key; null where the claim is about the whole product.
    subcomponent_key TEXT CONSTRAINT vex_observations_subcomponent_key_check CHECK (
        length(CAST(subcomponent_key AS BLOB)) <= 1024),
    -- When it was recorded: its document's `created_at`.
    created_at INTEGER NOT NULL, rekor_uuid TEXT CONSTRAINT vex_observations_rekor_uuid_check
    CHECK (length(rekor_uuid) = 64 AND rekor_uuid NOT GLOB '*[^0-9a-f]*'), rekor_log_id TEXT CONSTRAINT vex_observations_rekor_log_id_check
    CHECK (length(rekor_log_id) = 64 AND rekor_log_id NOT GLOB '*[^0-9a-f]*'), rekor_log_index INTEGER CONSTRAINT vex_observations_rekor_log_index_check
    CHECK (rekor_log_index >= 0), rekor_log_url TEXT, rekor_tree_size INTEGER CONSTRAINT vex_observations_rekor_tree_size_check
    CHECK (rekor_tree_size >= 0), rekor_tree_root TEXT CONSTRAINT vex_observations_rekor_tree_root_check
    CHECK (length(rekor_tree_root) = 64 AND rekor_tree_root NOT GLOB '*[^0-9a-f]*'), rekor_integrated_time INTEGER, rekor_timestamp_time INTEGER, rekor_entry_kind TEXT, rekor_entry_version TEXT, rekor_entry_body_hash TEXT CONSTRAINT vex_observations_rekor_entry_body_hash_check
    CHECK (length(rekor_entry_body_hash) = 64 AND rekor_entry_body_hash NOT GLOB '*[^0-9a-f]*'), rekor_inclusion_proof TEXT CONSTRAINT vex_observations_rekor_inclusion_proof_check
    CHECK (json_valid(rekor_inclusion_proof)), rekor_envelope_digest TEXT CONSTRAINT vex_observations_rekor_envelope_digest_check
    CHECK (length(rekor_envelope_digest) = 64 AND rekor_envelope_digest NOT GLOB '*[^0-9a-f]*'), rekor_set_index INTEGER CONSTRAINT vex_observations_rekor_set_index_check
    CHECK (rekor_set_index >= 0), rekor_set_path BLOB CONSTRAINT vex_observations_rekor_set_path_check
    CHECK (length(rekor_set_path) % 32 = 0), rekor_linked_at INTEGER CONSTRAINT vex_observations_linkage_check CHECK (
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
        AND (rekor_uuid IS NOT NULL OR rekor_timestamp_time IS NULL)),
    CONSTRAINT vex_observations_pkey PRIMARY KEY (tenant_id, observation_id),
    CONSTRAINT vex_observations_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex_documents (tenant_id, document_digest)
) STRICT;

CREATE TABLE vex_parse_findings (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_parse_findings_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- The document.
    document_digest TEXT NOT NULL CONSTRAINT vex_parse_findings_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- Its place in the document's report, from 0.
    position INTEGER NOT NULL CONSTRAINT vex_parse_findings_position_check CHECK (position >= 0),
    -- The finding's stable code.
    code TEXT NOT NULL,
    -- JSON pointer into the VEX document.
    pointer TEXT NOT NULL,
    -- Line, from 1; null where no line can be named.
    line INTEGER,
    -- A sentence for people.
    message TEXT NOT NULL,
    CONSTRAINT vex_parse_findings_pkey PRIMARY KEY (tenant_id, document_digest, position),
    CONSTRAINT vex_parse_findings_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex_documents (tenant_id, document_digest)
) STRICT;

CREATE TABLE vex_standings (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vex_standings_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- The document.
    document_digest TEXT NOT NULL CONSTRAINT vex_standings_document_digest_check CHECK (
        length(document_digest) = 64 AND document_digest NOT GLOB '*[^0-9a-f]*'),
    -- Since when it stands so.
    created_at INTEGER NOT NULL,
    -- `live`, `quarantined` (stated in the future), `expired` (policy) or `withdrawn` (by its source).
    standing TEXT NOT NULL CONSTRAINT vex_standings_standing_check CHECK (
        standing IN ('live', 'quarantined', 'expired', 'withdrawn')),
    -- Why, in a sentence for people.
    cause TEXT NOT NULL,
    CONSTRAINT vex_standings_pkey PRIMARY KEY (tenant_id, document_digest, created_at),
    CONSTRAINT vex_standings_document_fkey FOREIGN KEY (tenant_id, document_digest)
        REFERENCES vex_documents (tenant_id, document_digest)
) STRICT;

CREATE TABLE vexhub_statements (
    -- The tenant.
    tenant_id TEXT NOT NULL CONSTRAINT vexhub_statements_tenant_id_check CHECK (
        length(CAST(tenant_id AS BLOB)) BETWEEN 1 AND 63
        AND tenant_id GLOB '[a-z0-9]*' AND tenant_id NOT GLOB '*[^a-z0-9._-]*'),
    -- UUIDv7.
    statement_id TEXT NOT NULL CONSTRAINT vexhub_statements_statement_id_check CHECK (length(statement_id) = 36),
    -- SHA-256 of the verdict's subject.
    subject_digest TEXT NOT NULL CONSTRAINT vexhub_statements_subject_digest_check CHECK (
        length(subject_digest) = 64 AND subject_digest NOT GLOB '*[^0-9a-f]*'),
    -- The subject's verdicts are counted from 1.
    revision INTEGER NOT NULL CONSTRAINT vexhub_statements_revision_check CHECK (revision >= 1),
    -- SHA-256 of `body`, without the prefix `vex:verdict:sha256:`; a verdict may recur.
    verdict_id TEXT NOT NULL CONSTRAINT vexhub_statements_verdict_id_check CHECK (
        length(verdict_id) = 64 AND verdict_id NOT GLOB '*[^0-9a-f]*'),
    -- SHA-256 of the merge trace.
    trace_digest TEXT NOT NULL CONSTRAINT vexhub_statements_trace_digest_check CHECK (
        length(trace_digest) = 64 AND trace_digest NOT GLOB '*[^0-9a-f]*'),
    -- JCS bytes of the verdict.
    body BLOB NOT NULL,
    -- The statement that this one takes the place of; null for a subject's first.
    supersedes TEXT,
    -- When it was published.
    created_at INTEGER NOT NULL, rekor_uuid TEXT CONSTRAINT vexhub_statements_rekor_uuid_check
    CHECK (length(rekor_uuid) = 64 AND rekor_uuid NOT GLOB '*[^0-9a-f]*'), rekor_log_id TEXT CONSTRAINT vexhub_statements_rekor_log_id_check
    CHECK (length(rekor_log_id) = 64 AND rekor_log_id NOT GLOB '*[^0-9a-f]*'), rekor_log_index INTEGER CONSTRAINT vexhub_statements_rekor_log_index_check
    CHECK (rekor_log_index >= 0), rekor_log_url TEXT, rekor_tree_size INTEGER CONSTRAINT vexhub_statements_rekor_tree_size_check
    CHECK (rekor_tree_size >= 0), rekor_tree_root TEXT CONSTRAINT vexhub_statements_rekor_tree_root_check
    CHECK (length(rekor_tree_root) = 64 AND rekor_tree_root NOT GLOB '*[^0-9a-f]*'), rekor_integrated_time INTEGER, rekor_timestamp_time INTEGER, rekor_entry_kind TEXT, rekor_entry_version TEXT, rekor_entry_body_hash TEXT CONSTRAINT vexhub_statements_rekor_entry_body_hash_check
    CHECK (length(rekor_entry_body_hash) = 64 AND rekor_entry_body_hash NOT GLOB '*[^0-9a-f]*'), rekor_inclusion_proof TEXT CONSTRAINT vexhub_statements_rekor_inclusion_proof_check
    CHECK (json_valid(rekor_inclusion_proof)), rekor_envelope_digest TEXT CONSTRAINT vexhub_statements_rekor_envelope_digest_check
    CHECK (length(rekor_envelope_digest) = 64 AND rekor_envelope_digest NOT GLOB '*[^0-9a-f]*'), rekor_set_index INTEGER CONSTRAINT vexhub_statements_rekor_set_index_check
    CHECK (rekor_set_index >= 0), rekor_set_path BLOB CONSTRAINT vexhub_statements_rekor_set_path_check
    CHECK (length(rekor_set_path) % 32 = 0), rekor_linked_at INTEGER CONSTRAINT vexhub_statements_linkage_check CHECK (
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
        AND (rekor_uuid IS NOT NULL OR rekor_timestamp_time IS NULL)),
    CONSTRAINT vexhub_statements_supersedes_check CHECK ((supersedes IS NULL) = (revision = 1)),
    CONSTRAINT vexhub_statements_pkey PRIMARY KEY (tenant_id, statement_id),
    CONSTRAINT vexhub_statements_revision_key UNIQUE (tenant_id, subject_digest, revision),
    CONSTRAINT vexhub_statements_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES control_tenants (tenant_id),
    CONSTRAINT vexhub_statements_supersedes_fkey FOREIGN KEY (tenant_id, supersedes)
        REFERENCES vexhub_statements (tenant_id, statement_id)
) STRICT;

CREATE INDEX envelopes_anchors_idx ON attestor_envelopes (tenant_id, set_size)
    WHERE predicate_type = 'https://provex.dev/predicates/ledger-anchor/v1';

CREATE INDEX ledger_attestations_artifact_idx
    ON findings_ledger_attestations (tenant_id, artifact_id, recorded_at DESC, attestation_id DESC);

CREATE INDEX ledger_attestations_finding_idx
    ON findings_ledger_attestations (tenant_id, finding_id, recorded_at DESC, attestation_id DESC);

CREATE INDEX ledger_attestations_paging_idx
    ON findings_ledger_attestations (tenant_id, recorded_at, attestation_id);

CREATE INDEX ledger_attestations_status_idx
    ON findings_ledger_attestations (tenant_id, verification_status, recorded_at DESC, attestation_id DESC);

CREATE INDEX log_entries_envelope_idx ON attestor_log_entries (tenant_id, dsse_digest, created_at);

CREATE INDEX log_entries_index_idx ON attestor_log_entries (tenant_id, rekor_log_index, rekor_log_id);

CREATE INDEX observations_created_idx ON vex_observations (tenant_id, created_at, observation_id);

CREATE INDEX observations_document_idx
    ON vex_observations (tenant_id, document_digest, created_at, observation_id);

CREATE INDEX observations_rekor_pending_idx ON vex_observations (tenant_id, created_at, observation_id) WHERE rekor_uuid IS NULL;

CREATE INDEX observations_rekor_position_idx ON vex_observations (tenant_id, rekor_log_id, rekor_log_index);

CREATE INDEX observations_rekor_uuid_idx ON vex_observations (tenant_id, rekor_uuid);

CREATE INDEX statements_rekor_pending_idx ON vexhub_statements (tenant_id, created_at, statement_id) WHERE rekor_uuid IS NULL;

CREATE INDEX statements_rekor_position_idx ON vexhub_statements (tenant_id, rekor_log_id, rekor_log_index);

CREATE INDEX statements_rekor_uuid_idx ON vexhub_statements (tenant_id, rekor_uuid);

CREATE INDEX submissions_dead_idx ON attestor_submissions (tenant_id, submission_id) WHERE state = 'dead';

CREATE INDEX submissions_due_idx
    ON attestor_submissions (tenant_id, stage, available_at, submission_id) WHERE state = 'queued';

CREATE TRIGGER attestor_bundles_no_delete BEFORE DELETE ON attestor_bundles
BEGIN SELECT RAISE(ABORT, 'attestor_bundles is only added to'); END;

CREATE TRIGGER attestor_bundles_no_update BEFORE UPDATE ON attestor_bundles
BEGIN SELECT RAISE(ABORT, 'attestor_bundles is only added to'); END;

CREATE TRIGGER attestor_envelope_members_no_delete BEFORE DELETE ON attestor_envelope_members
BEGIN SELECT RAISE(ABORT, 'attestor_envelope_members is only added to'); END;

CREATE TRIGGER attestor_envelope_members_no_update BEFORE UPDATE ON attestor_envelope_members
BEGIN SELECT RAISE(ABORT, 'attestor_envelope_members is only added to'); END;

CREATE TRIGGER attestor_envelopes_no_delete BEFORE DELETE ON attestor_envelopes
BEGIN SELECT RAISE(ABORT, 'attestor_envelopes is only added to'); END;

CREATE TRIGGER attestor_envelopes_no_update BEFORE UPDATE ON attestor_envelopes
BEGIN SELECT RAISE(ABORT, 'attestor_envelopes is only added to'); END;

CREATE TRIGGER attestor_log_entries_no_delete BEFORE DELETE ON attestor_log_entries
BEGIN SELECT RAISE(ABORT, 'attestor_log_entries: the entry is only added'); END;

CREATE TRIGGER attestor_log_entries_no_update BEFORE UPDATE OF
    tenant_id, rekor_log_id, rekor_log_index, rekor_uuid, dsse_digest, entry, time_source, bundle_digest, created_at
ON attestor_log_entries
BEGIN SELECT RAISE(ABORT, 'attestor_log_entries: the entry is only added'); END;

CREATE TRIGGER control_audit_events_no_delete BEFORE DELETE ON control_audit_events
BEGIN SELECT RAISE(ABORT, 'control_audit_events is only added to'); END;

CREATE TRIGGER control_audit_events_no_update BEFORE UPDATE ON control_audit_events
BEGIN SELECT RAISE(ABORT, 'control_audit_events is only added to'); END;

CREATE TRIGGER control_log_forks_no_delete BEFORE DELETE ON control_log_forks
BEGIN SELECT RAISE(ABORT, 'control_log_forks is only added to'); END;

CREATE TRIGGER control_log_forks_no_update BEFORE UPDATE ON control_log_forks
BEGIN SELECT RAISE(ABORT, 'control_log_forks is only added to'); END;

CREATE TRIGGER control_migrations_no_delete BEFORE DELETE ON control_migrations
BEGIN SELECT RAISE(ABORT, 'control_migrations is only added to'); END;

CREATE TRIGGER control_migrations_no_update BEFORE UPDATE ON control_migrations
BEGIN SELECT RAISE(ABORT, 'control_migrations is only added to'); END;

CREATE TRIGGER findings_ledger_events_no_delete BEFORE DELETE ON findings_ledger_events
BEGIN SELECT RAISE(ABORT, 'findings_ledger_events is only added to'); END;

CREATE TRIGGER findings_ledger_events_no_update BEFORE UPDATE ON findings_ledger_events
BEGIN SELECT RAISE(ABORT, 'findings_ledger_events is only added to'); END;

CREATE TRIGGER findings_ledger_merkle_roots_anchor_once
BEFORE UPDATE OF anchor_reference ON findings_ledger_merkle_roots
WHEN OLD.anchor_reference IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots: a reference is set once'); END;

CREATE TRIGGER findings_ledger_merkle_roots_export_once
BEFORE UPDATE OF export_reference ON findings_ledger_merkle_roots
WHEN OLD.export_reference IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots: a reference is set once'); END;

CREATE TRIGGER findings_ledger_merkle_roots_no_delete BEFORE DELETE ON findings_ledger_merkle_roots
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots is only added to'); END;

CREATE TRIGGER findings_ledger_merkle_roots_no_update BEFORE UPDATE OF
    tenant_id, chain_id, tree_size, root_hash, checkpoint, created_at
ON findings_ledger_merkle_roots
BEGIN SELECT RAISE(ABORT, 'findings_ledger_merkle_roots is only added to'); END;

CREATE TRIGGER findings_ledger_tiles_no_delete BEFORE DELETE ON findings_ledger_tiles
BEGIN SELECT RAISE(ABORT, 'findings_ledger_tiles is only added to'); END;

CREATE TRIGGER findings_ledger_tiles_no_update BEFORE UPDATE ON findings_ledger_tiles
BEGIN SELECT RAISE(ABORT, 'findings_ledger_tiles is only added to'); END;

CREATE TRIGGER vex_documents_no_delete BEFORE DELETE ON vex_documents
BEGIN SELECT RAISE(ABORT, 'vex_documents is only added to'); END;

CREATE TRIGGER vex_documents_no_update BEFORE UPDATE ON vex_documents
BEGIN SELECT RAISE(ABORT, 'vex_documents is only added to'); END;

CREATE TRIGGER vex_observation_keys_no_delete BEFORE DELETE ON vex_observation_keys
BEGIN SELECT RAISE(ABORT, 'vex_observation_keys is only added to'); END;

CREATE TRIGGER vex_observation_keys_no_update BEFORE UPDATE ON vex_observation_keys
BEGIN SELECT RAISE(ABORT, 'vex_observation_keys is only added to'); END;

CREATE TRIGGER vex_observations_linkage_once BEFORE UPDATE OF
    rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
    rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
ON vex_observations WHEN OLD.rekor_uuid IS NOT NULL OR NEW.rekor_uuid IS NULL
BEGIN SELECT RAISE(ABORT, 'vex_observations: a linkage is set once'); END;

CREATE TRIGGER vex_observations_no_delete BEFORE DELETE ON vex_observations
BEGIN SELECT RAISE(ABORT, 'vex_observations is only added to'); END;

CREATE TRIGGER vex_observations_no_update BEFORE UPDATE OF
    tenant_id, observation_id, document_digest, claim_digest, body, status, vulnerability_id, product_key,
    subcomponent_key, created_at
ON vex_observations
BEGIN SELECT RAISE(ABORT, 'vex_observations is only added to'); END;

CREATE TRIGGER vex_parse_findings_no_delete BEFORE DELETE ON vex_parse_findings
BEGIN SELECT RAISE(ABORT, 'vex_parse_findings is only added to'); END;

CREATE TRIGGER vex_parse_findings_no_update BEFORE UPDATE ON vex_parse_findings
BEGIN SELECT RAISE(ABORT, 'vex_parse_findings is only added to'); END;

CREATE TRIGGER vex_standings_no_delete BEFORE DELETE ON vex_standings
BEGIN SELECT RAISE(ABORT, 'vex_standings is only added to'); END;

CREATE TRIGGER vex_standings_no_update BEFORE UPDATE ON vex_standings
BEGIN SELECT RAISE(ABORT, 'vex_standings is only added to'); END;

CREATE TRIGGER vexhub_statements_linkage_once BEFORE UPDATE OF
    rekor_uuid, rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root, rekor_integrated_time,
    rekor_timestamp_time, rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at
ON vexhub_statements WHEN OLD.rekor_uuid IS NOT NULL OR NEW.rekor_uuid IS NULL
BEGIN SELECT RAISE(ABORT, 'vexhub_statements: a linkage is set once'); END;

CREATE TRIGGER vexhub_statements_no_delete BEFORE DELETE ON vexhub_statements
BEGIN SELECT RAISE(ABORT, 'vexhub_statements is only added to'); END;

CREATE TRIGGER vexhub_statements_no_update BEFORE UPDATE OF
    tenant_id, statement_id, subject_digest, revision, verdict_id, trace_digest, body, supersedes, created_at
ON vexhub_statements
BEGIN SELECT RAISE(ABORT, 'vexhub_statements is only added to'); END;

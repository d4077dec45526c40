-- The linkage of observations and statements to their log entries, and the verification of log entries.
--
-- A linkage is null until an entry was verified, is set once, and never changes; a second entry is kept in
-- attestor.log_entries only. This file upgrades tables that were made without these columns, or with a part of them:
-- flat or partitioned, empty, full or partly linked. Rows that are linked stay as they are, and so constraints are NOT
-- VALID: they hold for what is written from now on. Where a column or an index is there with another definition it stops,
-- names all of them and changes nothing. Applying it again, by `psql -f` too, changes nothing.
--
-- One DO block: Citus takes no file of several statements on distributed tables.
DO $m$
DECLARE
    -- Column, type, comment.
    linkage text[] := ARRAY[
        ['rekor_uuid', 'text', 'The leaf hash of the log entry; null until the row is linked.'],
        ['rekor_log_id', 'text', 'The log''s untruncated key id.'],
        ['rekor_log_index', 'bigint', 'The entry''s index; v1: the global one.'],
        ['rekor_log_url', 'text', 'The log''s base URL in the trusted root.'],
        ['rekor_tree_size', 'bigint', 'The size of the tree that the inclusion proof is for.'],
        ['rekor_tree_root', 'text', 'That tree''s root.'],
        ['rekor_integrated_time', 'timestamptz',
         'When Rekor v1 says it integrated the entry; null for every other log.'],
        ['rekor_timestamp_time', 'timestamptz',
         'When a timestamp authority (RFC 3161) saw the signature; null without one.'],
        ['rekor_entry_kind', 'text', 'The entry''s kind.'],
        ['rekor_entry_version', 'text', 'The kind''s version.'],
        ['rekor_entry_body_hash', 'text', 'SHA-256 of the entry''s canonicalized body.'],
        ['rekor_inclusion_proof', 'jsonb',
         '{"hashes": [hex, ...], "logIndex": n}: leaf to root, and the tree''s own index.'],
        ['rekor_envelope_digest', 'text', 'The envelope that was logged.'],
        ['rekor_set_index', 'bigint', 'The row''s index in the envelope''s signed set.'],
        ['rekor_set_path', 'bytea', 'Its inclusion path to the set''s root, leaf to root: 32 bytes a level.'],
        ['rekor_linked_at', 'timestamptz', 'When the linkage was stored.']];
    verification text[] := ARRAY[
        ['verification_status', 'text',
         '`verified`, `failed` (a check gave a definite no) or `unknown` (trust was withdrawn); null: not yet.'],
        ['verified_at', 'timestamptz', 'When it was verified last.'],
        ['verification_error', 'text', 'Which check failed, in a sentence for people; null where none did.'],
        ['verifier_version', 'text', 'The release that verified.']];
    -- Schema, table, and the key of what is linked; log entries get the verification instead.
    targets text[] := ARRAY[
        ['vex', 'observations', 'observation_id'],
        ['vexhub', 'statements', 'statement_id'],
        ['attestor', 'log_entries', '']];
    target text[];
    wanted text[];
    item text[];
    tab regclass;
    present record;
    existing text;
    statement text;
    differing text[] := '{}';
    statements text[] := '{}';
    names text;
BEGIN
    SET LOCAL citus.enable_unsafe_triggers = on;
    FOREACH target SLICE 1 IN ARRAY targets LOOP
        tab := to_regclass(format('%I.%I', target[1], target[2]));
        IF tab IS NULL THEN
            differing := differing || format('table `%s.%s` is missing', target[1], target[2]);
            CONTINUE;
        END IF;
        wanted := CASE target[3] WHEN '' THEN verification ELSE linkage END;
        FOREACH item SLICE 1 IN ARRAY wanted LOOP
            -- A database's own collation serves equality as "C" does; another one may not even be deterministic.
            SELECT format_type(a.atttypid, a.atttypmod)
                    || CASE WHEN c.collname NOT IN ('default', 'C') THEN ' COLLATE ' || quote_ident(c.collname)
                        ELSE '' END AS type,
                a.attnotnull, a.atthasdef, a.attidentity INTO present
            FROM pg_attribute AS a LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
            WHERE a.attrelid = tab AND a.attname = item[1] AND a.attnum > 0 AND NOT a.attisdropped;
            IF NOT FOUND THEN
                statements := statements || format(
                    'ALTER TABLE %s ADD COLUMN %I %s%s', tab, item[1], item[2],
                    CASE item[2] WHEN 'text' THEN ' COLLATE "C"' ELSE '' END);
            ELSIF present.type <> replace(item[2], 'timestamptz', 'timestamp with time zone')
                OR present.attnotnull OR present.atthasdef OR present.attidentity <> ''
            THEN
                differing := differing || format(
                    'column `%s.%s.%s` is there with another definition: `%s%s%s`', target[1], target[2], item[1],
                    present.type, CASE WHEN present.attnotnull THEN ' NOT NULL' ELSE '' END,
                    CASE WHEN present.atthasdef OR present.attidentity <> '' THEN ' with a default' ELSE '' END);
            END IF;
            statements := statements || format('COMMENT ON COLUMN %s.%I IS %L', tab, item[1], item[3]);
        END LOOP;
        IF target[3] <> '' THEN
            FOREACH item SLICE 1 IN ARRAY ARRAY[
                [target[2] || '_rekor_uuid_idx', '(tenant_id, rekor_uuid)', 'Look-ups by leaf hash.'],
                [target[2] || '_rekor_position_idx', '(tenant_id, rekor_log_id, rekor_log_index)',
                 'Look-ups by log position.'],
                [target[2] || '_rekor_pending_idx',
                 '(tenant_id, created_at, ' || target[3] || ') WHERE (rekor_uuid IS NULL)',
                 'The pending queue: recorded and not linked, in its order.']]
            LOOP
                existing := (SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
                        || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
                    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                    WHERE c.relname = item[1] AND c.relnamespace = target[1]::regnamespace);
                statement := format(
                    'CREATE INDEX %I ON %s.%s USING btree %s', item[1], target[1], target[2], item[2]);
                IF existing IS NULL THEN
                    statements := statements || statement;
                ELSIF existing <> statement THEN
                    differing := differing || format(
                        'index `%s.%s` is there with another definition: `%s`', target[1], item[1], existing);
                END IF;
                statements := statements || format('COMMENT ON INDEX %I.%I IS %L', target[1], item[1], item[3]);
            END LOOP;
        END IF;
    END LOOP;
    IF differing <> '{}' THEN
        RAISE EXCEPTION 'vex_rekor_linkage cannot be applied: %', array_to_string(differing, '; ')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Nothing was changed. Rename or drop what is named, and apply it again.';
    END IF;
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;

    -- Constraints, by name.
    FOREACH target SLICE 1 IN ARRAY targets LOOP
        tab := to_regclass(format('%I.%I', target[1], target[2]));
        wanted := CASE target[3] WHEN '' THEN ARRAY[
            ['verification_status_check', 'verification_status IN (''verified'', ''failed'', ''unknown'')'],
            ['verified_at_check', '(verified_at IS NULL) = (verification_status IS NULL)']]
        ELSE ARRAY[
            ['rekor_uuid_check', 'rekor_uuid ~ ''^[0-9a-f]{64}$'''],
            ['rekor_log_id_check', 'rekor_log_id ~ ''^[0-9a-f]{64}$'''],
            ['rekor_log_index_check', 'rekor_log_index >= 0'],
            ['rekor_tree_size_check', 'rekor_tree_size >= 0'],
            ['rekor_tree_root_check', 'rekor_tree_root ~ ''^[0-9a-f]{64}$'''],
            ['rekor_entry_body_hash_check', 'rekor_entry_body_hash ~ ''^[0-9a-f]{64}$'''],
            ['rekor_envelope_digest_check', 'rekor_envelope_digest ~ ''^[0-9a-f]{64}$'''],
            ['rekor_set_index_check', 'rekor_set_index >= 0'],
            ['rekor_set_path_check', 'octet_length(rekor_set_path) % 32 = 0'],
            -- All are set together, but the two times may stay null.
            ['linkage_check', 'CASE WHEN rekor_uuid IS NULL THEN num_nonnulls(
                    rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root,
                    rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
                    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at,
                    rekor_integrated_time, rekor_timestamp_time) = 0
                ELSE num_nulls(
                    rekor_log_id, rekor_log_index, rekor_log_url, rekor_tree_size, rekor_tree_root,
                    rekor_entry_kind, rekor_entry_version, rekor_entry_body_hash, rekor_inclusion_proof,
                    rekor_envelope_digest, rekor_set_index, rekor_set_path, rekor_linked_at) = 0 END']]
        END;
        FOREACH item SLICE 1 IN ARRAY wanted LOOP
            IF NOT EXISTS (SELECT FROM pg_constraint
                WHERE conrelid = tab AND conname = target[2] || '_' || item[1])
            THEN
                EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID',
                    tab, target[2] || '_' || item[1], item[2]);
            END IF;
        END LOOP;
    END LOOP;

    -- A linkage is set once and whole, whoever asks; the application may set these columns and no other. The function is
    -- the first migration's, repeated for tables that did not come from it.
    CREATE OR REPLACE FUNCTION vex.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
END
$f$;
    FOREACH target SLICE 1 IN ARRAY targets LOOP
        tab := to_regclass(format('%I.%I', target[1], target[2]));
        wanted := CASE target[3] WHEN '' THEN verification ELSE linkage END;
        names := (SELECT string_agg(wanted[i][1], ', ' ORDER BY i) FROM generate_subscripts(wanted, 1) AS i);
        IF target[3] <> '' THEN
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER %I BEFORE UPDATE OF %s ON %s FOR EACH ROW
                WHEN (OLD.rekor_uuid IS NOT NULL OR NEW.rekor_uuid IS NULL) EXECUTE FUNCTION vex.refuse_change(%L)',
                target[2] || '_linkage_once', names, tab,
                format('%s.%s: a linkage is set once', target[1], target[2]));
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'provex_app') THEN
            EXECUTE format('GRANT UPDATE (%s) ON %s TO provex_app', names, tab);
        END IF;
    END LOOP;
END
$m$;

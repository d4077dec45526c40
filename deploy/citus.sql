-- Distributes provex's tables over the workers of a Citus cluster, by tenant: one transaction of a tenant stays on one worker.
--
-- Run it once, on the coordinator, as the owner of the tables, directly after `provex migrate --layout flat`:
--
--   psql "$PROVEX_DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/citus.sql
--
-- Again, and after a later migration, it distributes what is not distributed yet. provex itself needs no other code, nor Citus.
--
-- The tenants' list becomes a reference table, which every worker has. All tables of vex, vexhub, attestor and findings are
-- distributed by tenant_id in one colocation group, each behind those that it refers to. The rest of control stays on the
-- coordinator: it is never written in a tenant's transaction.
DO $citus$
DECLARE
    schemas regnamespace[] := ARRAY['vex', 'vexhub', 'attestor', 'findings']::regnamespace[];
    done regclass[] := '{}';
    tab regclass;
    routine regprocedure;
BEGIN
    IF to_regprocedure('create_reference_table(regclass)') IS NULL THEN
        RAISE EXCEPTION 'this server has no Citus, or this database has not: CREATE EXTENSION citus';
    END IF;
    IF EXISTS (SELECT FROM pg_class WHERE relkind = 'p' AND relnamespace = ANY (schemas)) THEN
        RAISE EXCEPTION 'the layout is hash16: Citus distributes the flat one, which `provex migrate --layout flat` makes in '
            'another database';
    END IF;
    -- Guards are triggers, and Citus takes none unless told to, as every migration with triggers does by itself.
    SET LOCAL citus.enable_unsafe_triggers = on;
    -- Tables with foreign keys between them are distributed one after the other.
    SET LOCAL citus.multi_shard_modify_mode = 'sequential';
    -- The application's role, on workers too.
    PERFORM run_command_on_workers($role$
        DO $do$ BEGIN CREATE ROLE provex_app NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $do$ $role$);
    FOR routine IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = ANY (schemas) ORDER BY proname <> 'no_tenant', oid
    LOOP
        PERFORM create_distributed_function(routine);
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'control.tenants'::regclass) THEN
        PERFORM create_reference_table('control.tenants');
    END IF;
    LOOP
        -- The next table whose references are all distributed; those to itself count as such.
        tab := (SELECT c.oid FROM pg_class AS c
            WHERE c.relkind = 'r' AND c.relnamespace = ANY (schemas) AND c.oid <> ALL (done)
                AND NOT EXISTS (SELECT FROM pg_constraint AS f JOIN pg_class AS p ON p.oid = f.confrelid
                    WHERE f.conrelid = c.oid AND f.contype = 'f' AND p.oid <> c.oid
                        AND p.relnamespace = ANY (schemas) AND p.oid <> ALL (done))
            ORDER BY c.relname <> 'ledger_chains', c.oid LIMIT 1);
        EXIT WHEN tab IS NULL;
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = tab) THEN
            IF tab = 'findings.ledger_chains'::regclass THEN
                PERFORM create_distributed_table(tab, 'tenant_id', colocate_with => 'none');
            ELSE
                PERFORM create_distributed_table(tab, 'tenant_id', colocate_with => 'findings.ledger_chains');
            END IF;
        END IF;
        done := done || tab;
    END LOOP;
END
$citus$;

//! What a database has, as lines that can be compared: `kind name: definition`.
//!
//! `schema-hash16.txt` and `schema-flat.txt` are these lines after all migrations, one for each layout. A test holds the
//! migrations against them, and every start looks there for what a database lacks.

use std::collections::BTreeMap;

use provex_store::Error;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::connection::APP_ROLE;
use crate::failure::{Failure, Result};
use crate::migrate::Layout;

/// What a fresh database of this layout has.
pub(crate) fn recorded(layout: Layout) -> &'static str {
    match layout {
        Layout::Hash16 => include_str!("../schema-hash16.txt"),
        Layout::Flat => include_str!("../schema-flat.txt"),
    }
}

/// Checks that the database has everything that the migrations make, as they make it, and nothing beside it that opens what
/// they close. What else it has is its owner's affair.
///
/// # Errors
/// [`Error::Schema`] naming all that is missing or has another definition, and the statement that mends it.
pub(crate) async fn check(connection: &mut PgConnection, layout: Layout) -> Result<()> {
    let found = select_objects(connection).await?;
    let mut wrong = compare(&found, recorded(layout));
    const SHOWN: usize = 10;
    let more = wrong.len().saturating_sub(SHOWN);
    wrong.truncate(SHOWN);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Refused(Error::Schema(wrong.join("; ")))) }
}

/// What is wrong with the lines of a database.
fn compare(found: &[String], recorded: &str) -> Vec<String> {
    let found: BTreeMap<_, _> = found.iter().filter_map(|line| line.split_once(": ")).collect();
    let recorded: BTreeMap<_, _> = recorded.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut wrong = Vec::new();
    // First: taking a table back from the application changes the rights that it has.
    for (name, there) in found.iter().filter(|(name, _)| !recorded.contains_key(*name)) {
        let opens = match name.split_once(' ') {
            Some(("disabled" | "owned", _)) => true,
            Some(("policy", of)) => !there.starts_with("AS RESTRICTIVE") && is_of_ours(of, &recorded),
            Some(("grant", of)) => is_of_ours(of, &recorded),
            _ => false,
        };
        if opens && let Some(remedy) = remedy(name, Some(there), None) {
            wrong.push(format!(
                "{name} is there and opens what is closed: `{there}`; as their owner: {remedy}"
            ));
        }
    }
    for (name, definition) in &recorded {
        let there = found.get(name).copied();
        let what = match there {
            None if name.starts_with("comment ") => continue,
            None => format!("{name} is missing"),
            Some(there) if is_same(name, there, definition) => continue,
            Some(there) => format!("{name} is there with another definition: `{there}`"),
        };
        wrong.push(match remedy(name, there, Some(definition)) {
            Some(remedy) => format!("{what}; as their owner: {remedy}"),
            None => what,
        });
    }
    wrong
}

/// Whether `schema.table` or `schema.table.part` is of a table that the migrations make.
fn is_of_ours(of: &str, recorded: &BTreeMap<&str, &str>) -> bool {
    let is_table = |name: &str| recorded.contains_key(format!("table {name}").as_str());
    is_table(of) || of.rsplit_once('.').is_some_and(|(table, _)| is_table(table))
}

/// Releases of PostgreSQL write out the same expression with other white space and parentheses, so those do not count where
/// there is one. An older release's columns may have another collation, which equality does not ask; a constraint may have
/// been validated; how a table is vacuumed is its owner's affair.
fn is_same(name: &str, found: &str, recorded: &str) -> bool {
    let bare = |text: &str| text.replace(|c: char| c.is_whitespace() || matches!(c, '(' | ')'), "");
    match name.split(' ').next() {
        Some("column") => found.replace(" COLLATE C", "") == recorded.replace(" COLLATE C", ""),
        Some("constraint") => {
            bare(found.trim_end_matches(" NOT VALID")) == bare(recorded.trim_end_matches(" NOT VALID"))
        }
        Some("function" | "policy" | "trigger") => bare(found) == bare(recorded),
        Some("grant" | "index" | "rights" | "security" | "table") => found == recorded,
        _ => true,
    }
}

/// The statements that mend what is wrong; none where only a copy of the database can.
fn remedy(name: &str, there: Option<&str>, wanted: Option<&str>) -> Option<String> {
    let (kind, of) = name.split_once(' ')?;
    match kind {
        // Of a schema or a function, which the name says.
        "rights" => return Some(mend_rights(of, there, wanted, None)),
        "owned" => return Some(format!("ALTER {of} OWNER TO CURRENT_USER")),
        _ => {}
    }
    let (table, part) = of.rsplit_once('.')?;
    let drop = |statement: String| if there.is_some() { format!("{statement}; ") } else { String::new() };
    Some(match (kind, wanted) {
        ("constraint", Some(wanted)) => {
            let drop = if there.is_some() { format!("DROP CONSTRAINT {part}, ") } else { String::new() };
            format!("ALTER TABLE {table} {drop}ADD CONSTRAINT {part} {wanted}")
        }
        ("trigger", Some(wanted)) => wanted.replacen("CREATE", "CREATE OR REPLACE", 1),
        ("function", Some(wanted)) => wanted.trim_end().to_owned(),
        ("index", Some(wanted)) => format!("{}{wanted}", drop(format!("DROP INDEX {of}"))),
        ("security", Some(_)) => format!("ALTER TABLE {of} ENABLE ROW LEVEL SECURITY"),
        ("policy", wanted) => {
            let create = wanted.map(|wanted| format!("CREATE POLICY {part} ON {table} {wanted}"));
            let drop = there.map(|_| format!("DROP POLICY {part} ON {table}"));
            drop.into_iter().chain(create).collect::<Vec<_>>().join("; ")
        }
        ("disabled", _) => format!("ALTER TABLE {table} ENABLE TRIGGER \"{part}\""),
        ("grant", wanted) => {
            // Of a column: `schema.table.column`.
            let column = table.contains('.').then_some(part);
            mend_rights(if column.is_some() { table } else { of }, there, wanted, column)
        }
        _ => return None,
    })
}

/// The statements that take back the rights that are too many, and give those that lack.
fn mend_rights(on: &str, there: Option<&str>, wanted: Option<&str>, column: Option<&str>) -> String {
    let rights = |rights: Option<&str>| -> Vec<String> {
        rights.map(|rights| rights.split(", ").map(str::to_owned).collect()).unwrap_or_default()
    };
    let (there, wanted) = (rights(there), rights(wanted));
    let list = |rights: Vec<&String>| {
        let rights = rights.into_iter().map(|right| match column {
            Some(column) => format!("{right} ({column})"),
            None => right.clone(),
        });
        rights.collect::<Vec<_>>().join(", ")
    };
    let extra = list(there.iter().filter(|right| !wanted.contains(right)).collect());
    let lacking = list(wanted.iter().filter(|right| !there.contains(right)).collect());
    let revoke = (!extra.is_empty()).then(|| format!("REVOKE {extra} ON {on} FROM PUBLIC, {APP_ROLE}"));
    let grant = (!lacking.is_empty()).then(|| format!("GRANT {lacking} ON {on} TO {APP_ROLE}"));
    revoke.into_iter().chain(grant).collect::<Vec<_>>().join("; ")
}

/// Takes back what default privileges gave the application on tables that were just made, beyond what it needs.
pub(crate) async fn revoke_extra(connection: &mut PgConnection, layout: Layout) -> Result<()> {
    let lines = select_objects(connection).await?;
    let recorded: BTreeMap<_, _> =
        recorded(layout).lines().filter_map(|line| line.split_once(": ")).collect();
    for (name, there) in lines.iter().filter_map(|line| line.split_once(": ")) {
        let Some(("grant", of)) = name.split_once(' ') else { continue };
        let Some(wanted) =
            recorded.get(name).copied().filter(|_| recorded.contains_key(format!("table {of}").as_str()))
        else {
            continue;
        };
        let extra: Vec<_> =
            there.split(", ").filter(|right| !wanted.split(", ").any(|w| w == *right)).collect();
        if extra.is_empty() {
            continue;
        }
        // Made of the names of rights, and of a table that is in the recorded schema. What is revoked on a table is revoked
        // on its columns too, so that those are granted again.
        let mut statements = format!("REVOKE {} ON {of} FROM PUBLIC, {APP_ROLE}", extra.join(", "));
        for (column, rights) in lines.iter().filter_map(|line| line.split_once(": ")) {
            let column = column.strip_prefix("grant ").and_then(|c| c.strip_prefix(of)?.strip_prefix('.'));
            if let Some(column) =
                column.filter(|column| recorded.contains_key(format!("grant {of}.{column}").as_str()))
            {
                statements.push_str(&format!("; GRANT {rights} ({column}) ON {of} TO {APP_ROLE}"));
            }
        }
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The lines of a database, sorted.
pub(crate) async fn select_objects(connection: &mut PgConnection) -> Result<Vec<String>> {
    let lines = sqlx::query_scalar(
        r#"-- select_objects
        WITH class AS (
            SELECT c.oid, c.relname, c.relkind, c.relispartition, c.relrowsecurity, c.reloptions, c.relpartbound,
                c.relacl, c.relowner, n.nspname || '.' || c.relname AS name
            FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor')),
        line (kind, name, definition) AS (
            SELECT 'schema', nspname, 'SCHEMA' FROM pg_catalog.pg_namespace
            WHERE nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor')
            UNION ALL
            SELECT 'table', name, concat_ws(' ',
                CASE WHEN relispartition
                    THEN 'PARTITION OF ' || (SELECT inhparent::regclass::text FROM pg_catalog.pg_inherits
                            WHERE inhrelid = class.oid)
                        || ' ' || pg_catalog.pg_get_expr(relpartbound, class.oid)
                    ELSE 'TABLE' END,
                'PARTITION BY ' || pg_catalog.pg_get_partkeydef(class.oid))
            FROM class WHERE relkind IN ('r', 'p')
            UNION ALL
            SELECT 'options', name, array_to_string(reloptions, ', ') FROM class WHERE reloptions IS NOT NULL
            UNION ALL
            SELECT 'security', name, CASE WHEN relrowsecurity THEN 'ROW LEVEL' ELSE 'NONE' END
            FROM class WHERE relkind IN ('r', 'p')
            UNION ALL
            SELECT 'column', class.name || '.' || a.attname, concat_ws(' ',
                pg_catalog.format_type(a.atttypid, a.atttypmod),
                CASE WHEN l.collname <> 'default' THEN 'COLLATE ' || l.collname END,
                CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid))
            FROM class JOIN pg_catalog.pg_attribute AS a ON a.attrelid = class.oid
                LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
                LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE class.relkind IN ('r', 'p') AND NOT class.relispartition AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT 'constraint', class.name || '.' || c.conname, pg_catalog.pg_get_constraintdef(c.oid)
            FROM class JOIN pg_catalog.pg_constraint AS c ON c.conrelid = class.oid
            WHERE NOT class.relispartition AND c.contype IN ('c', 'f', 'p', 'u') AND c.conparentid = 0
            UNION ALL
            SELECT 'index', class.name, replace(pg_catalog.pg_get_indexdef(class.oid), ' ON ONLY ', ' ON ')
                || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
            FROM class JOIN pg_catalog.pg_index AS i ON i.indexrelid = class.oid
            WHERE NOT class.relispartition
            UNION ALL
            SELECT 'trigger', class.name || '.' || t.tgname, pg_catalog.pg_get_triggerdef(t.oid)
            FROM class JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = class.oid
            WHERE NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            -- A partition's, and those that hold foreign keys, too.
            SELECT 'disabled', class.name || '.' || t.tgname, pg_catalog.pg_get_triggerdef(t.oid)
            FROM class JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = class.oid
            WHERE t.tgenabled NOT IN ('O', 'A')
            UNION ALL
            -- Those that hold for the application.
            SELECT 'policy', class.name || '.' || p.polname, concat_ws(' ',
                CASE WHEN NOT p.polpermissive THEN 'AS RESTRICTIVE' END,
                'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                    WHEN 'd' THEN 'DELETE' END,
                CASE WHEN 0 <> ALL (p.polroles) THEN 'TO provex_app' END,
                'USING ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                'WITH CHECK ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
            FROM class JOIN pg_catalog.pg_policy AS p ON p.polrelid = class.oid
            WHERE 0 = ANY (p.polroles) OR EXISTS (SELECT FROM pg_catalog.pg_roles AS r
                WHERE r.rolname = 'provex_app' AND (r.oid = ANY (p.polroles) OR EXISTS (
                    SELECT FROM unnest(p.polroles) AS role WHERE role <> 0 AND pg_has_role(r.oid, role, 'USAGE'))))
            UNION ALL
            -- The application's, and everybody's.
            SELECT 'grant', class.name, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM class CROSS JOIN aclexplode(class.relacl) AS a
            WHERE class.relkind IN ('r', 'p')
                AND (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app'))
            GROUP BY class.name
            UNION ALL
            SELECT 'grant', class.name || '.' || c.attname,
                string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM class JOIN pg_catalog.pg_attribute AS c ON c.attrelid = class.oid CROSS JOIN aclexplode(c.attacl) AS a
            WHERE (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app'))
                AND NOT c.attisdropped
            GROUP BY class.name, c.attname
            UNION ALL
            -- Where nothing was granted or revoked, the defaults hold.
            SELECT 'rights', 'SCHEMA ' || n.nspname,
                string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM pg_catalog.pg_namespace AS n
                CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
            WHERE n.nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor')
                AND (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app'))
            GROUP BY n.nspname
            UNION ALL
            SELECT 'rights', 'FUNCTION ' || p.oid::regprocedure,
                string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
            WHERE n.nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor')
                AND (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app'))
            GROUP BY p.oid
            UNION ALL
            -- An owner takes every right by himself.
            SELECT 'owned', o.what, r.rolname
            FROM (SELECT 'SCHEMA ' || nspname, nspowner, nspname FROM pg_catalog.pg_namespace
                    UNION ALL SELECT 'TABLE ' || class.name, class.relowner, split_part(class.name, '.', 1)
                        FROM class WHERE class.relkind IN ('r', 'p')
                    UNION ALL SELECT 'FUNCTION ' || p.oid::regprocedure, p.proowner, n.nspname
                        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                ) AS o (what, owner, schema) JOIN pg_catalog.pg_roles AS r ON r.rolname = 'provex_app'
            WHERE o.schema IN ('control', 'findings', 'vex', 'vexhub', 'attestor')
                AND NOT r.rolsuper AND pg_has_role(r.oid, o.owner, 'USAGE')
            UNION ALL
            SELECT 'function', p.oid::regprocedure::text, regexp_replace(
                pg_catalog.pg_get_functiondef(p.oid), '\s+', ' ', 'g')
            FROM pg_catalog.pg_proc AS p
            WHERE p.pronamespace IN (SELECT oid FROM pg_catalog.pg_namespace
                WHERE nspname IN ('control', 'findings', 'vex', 'vexhub', 'attestor'))
            UNION ALL
            SELECT 'comment', class.name || coalesce('.' || a.attname, ''), d.description
            FROM class JOIN pg_catalog.pg_description AS d
                    ON d.objoid = class.oid AND d.classoid = 'pg_catalog.pg_class'::regclass
                LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = class.oid AND a.attnum = d.objsubid
                    AND d.objsubid > 0
            WHERE NOT class.relispartition)
        SELECT kind || ' ' || name || ': ' || regexp_replace(definition, '\s+', ' ', 'g') FROM line
        ORDER BY (kind || ' ' || name) COLLATE "C""#,
    )
    .fetch_all(connection)
    .await?;
    Ok(lines)
}

//! What a database has, as lines that can be compared: `kind name: definition`.
//!
//! `schema-hash16.txt` and `schema-flat.txt` are these lines after all migrations, one for each layout. A test holds the
//! migrations against them, and every start looks there for what a database lacks.

use std::collections::BTreeMap;

use provex_store::Error;
use sqlx::PgConnection;

use crate::failure::{Failure, Result};
use crate::migrate::Layout;

/// What a fresh database of this layout has.
pub(crate) fn recorded(layout: Layout) -> &'static str {
    match layout {
        Layout::Hash16 => include_str!("../schema-hash16.txt"),
        Layout::Flat => include_str!("../schema-flat.txt"),
    }
}

/// Checks that the database has everything that the migrations make. What else it has is its owner's affair.
///
/// # Errors
/// [`Error::Schema`] naming all that is missing or has another definition.
pub(crate) async fn check(connection: &mut PgConnection, layout: Layout) -> Result<()> {
    let found = select_objects(connection).await?;
    let found: BTreeMap<_, _> = found.iter().filter_map(|line| line.split_once(": ")).collect();
    let mut wrong = Vec::new();
    for line in recorded(layout).lines() {
        let Some((name, definition)) = line.split_once(": ") else { continue };
        match found.get(name) {
            None if name.starts_with("comment ") => {}
            None => wrong.push(format!("{name} is missing")),
            Some(there) if is_same(name, there, definition) => {}
            Some(there) => wrong.push(format!("{name} is there with another definition: `{there}`")),
        }
    }
    const SHOWN: usize = 10;
    let more = wrong.len().saturating_sub(SHOWN);
    wrong.truncate(SHOWN);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Refused(Error::Schema(wrong.join("; ")))) }
}

/// How each release of PostgreSQL writes out an expression is its own affair, so of what has one only the name counts. An
/// older release's columns may have another collation, which equality does not ask.
fn is_same(name: &str, found: &str, recorded: &str) -> bool {
    match name.split(' ').next() {
        Some("column") => found.replace(" COLLATE C", "") == recorded.replace(" COLLATE C", ""),
        Some("grant" | "index" | "security" | "table") => found == recorded,
        _ => true,
    }
}

/// The lines of a database, sorted.
pub(crate) async fn select_objects(connection: &mut PgConnection) -> Result<Vec<String>> {
    let lines = sqlx::query_scalar(
        r#"-- select_objects
        WITH class AS (
            SELECT c.oid, c.relname, c.relkind, c.relispartition, c.relrowsecurity, c.reloptions, c.relpartbound,
                c.relacl, n.nspname || '.' || c.relname AS name
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
            SELECT 'trigger', class.name || '.' || t.tgname,
                CASE t.tgenabled WHEN 'O' THEN '' ELSE '(not enabled) ' END || pg_catalog.pg_get_triggerdef(t.oid)
            FROM class JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = class.oid
            WHERE NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            SELECT 'policy', class.name || '.' || p.polname, concat_ws(' ',
                'USING ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                'WITH CHECK ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
            FROM class JOIN pg_catalog.pg_policy AS p ON p.polrelid = class.oid
            UNION ALL
            SELECT 'grant', class.name, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM class CROSS JOIN aclexplode(class.relacl) AS a
            WHERE a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app') GROUP BY class.name
            UNION ALL
            SELECT 'grant', class.name || '.' || c.attname, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
            FROM class JOIN pg_catalog.pg_attribute AS c ON c.attrelid = class.oid CROSS JOIN aclexplode(c.attacl) AS a
            WHERE a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'provex_app')
                AND NOT c.attisdropped
            GROUP BY class.name, c.attname
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

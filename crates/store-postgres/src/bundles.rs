//! `attestor.bundles`.

use std::collections::BTreeMap;

use provex_core::digest::Digest;
use provex_core::ids::{BundleDigest, EnvelopeDigest, TenantId};
use provex_store::NewLogEntry;
use sqlx::PgConnection;

use crate::connection::Database;
use crate::failure::Result;
use crate::sql::Stored;
use crate::tenants;

pub(crate) async fn bundle(
    database: &Database,
    tenant: &TenantId,
    digest: &BundleDigest,
) -> Result<Option<Vec<u8>>> {
    let mut tx = database.begin(tenant).await?;
    let bundle = select_bundle(&mut tx, tenant, digest).await?;
    let bundle = tenants::found_or_unknown(&mut tx, tenant, bundle).await?;
    tx.end(bundle).await
}

pub(crate) async fn of_envelope(
    database: &Database,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<(BundleDigest, Vec<u8>)>> {
    let mut tx = database.begin(tenant).await?;
    let bundle = select_of_envelope(&mut tx, tenant, digest).await?;
    let bundle = tenants::found_or_unknown(&mut tx, tenant, bundle).await?;
    tx.end(bundle).await
}

/// Inserts the entries' bundles but those that are there: a bundle's digest is its identity.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    entries: &[&NewLogEntry],
) -> Result<()> {
    let mut rows: Vec<_> =
        entries.iter().map(|e| (e.bundle_digest.digest().to_hex(), e.bundle.as_slice())).collect();
    rows.sort_unstable();
    let (digests, bundles): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    sqlx::query(
        "-- insert
        INSERT INTO attestor.bundles (tenant_id, bundle_digest, bundle)
        SELECT $1, u.bundle_digest, u.bundle FROM unnest($2::text[], $3::bytea[]) AS u (bundle_digest, bundle)
        ON CONFLICT (tenant_id, bundle_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(digests)
    .bind(bundles)
    .execute(connection)
    .await?;
    Ok(())
}

async fn select_bundle(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &BundleDigest,
) -> Result<Option<Vec<u8>>> {
    let bundle = sqlx::query_scalar(
        "-- select_bundle
        SELECT bundle FROM attestor.bundles WHERE tenant_id = $1 AND bundle_digest = $2",
    )
    .bind(tenant.as_str())
    .bind(digest.digest().to_hex())
    .fetch_optional(connection)
    .await?;
    Ok(bundle)
}

/// SHA-256 of the bytes of these bundles, of those that are there.
pub(crate) async fn select_hashes(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digests: &[BundleDigest],
) -> Result<BTreeMap<BundleDigest, Digest>> {
    let rows = sqlx::query(
        "-- select_hashes
        SELECT tenant_id, bundle_digest, bundle FROM attestor.bundles
        WHERE tenant_id = $1 AND bundle_digest = ANY($2)",
    )
    .bind(tenant.as_str())
    .bind(digests.iter().map(|digest| digest.digest().to_hex()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let read = |row| {
        let row = Stored::new(row, "attestor.bundles", &["tenant_id", "bundle_digest"]);
        Ok((BundleDigest::new(row.digest("bundle_digest")?), Digest::of(row.get("bundle")?)))
    };
    rows.iter().map(read).collect()
}

async fn select_of_envelope(
    connection: &mut PgConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<(BundleDigest, Vec<u8>)>> {
    let row = sqlx::query(
        "-- select_of_envelope
        SELECT tenant_id, bundle_digest, bundle
        FROM attestor.log_entries JOIN attestor.bundles USING (tenant_id, bundle_digest)
        WHERE tenant_id = $1 AND dsse_digest = $2 AND verification_status = 'verified'
        ORDER BY log_entries.created_at, rekor_log_id, rekor_log_index LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let row = Stored::new(&row, "attestor.bundles", &["tenant_id", "bundle_digest"]);
        Ok((BundleDigest::new(row.digest("bundle_digest")?), row.get("bundle")?))
    })
    .transpose()
}

//! `attestor_bundles`.

use provex_core::ids::{BundleDigest, EnvelopeDigest, TenantId};
use sqlx::SqliteConnection;

use crate::connection::Connections;
use crate::failure::Result;
use crate::sql::Stored;
use crate::tenants;

pub(crate) async fn bundle(
    connections: &Connections,
    tenant: &TenantId,
    digest: &BundleDigest,
) -> Result<Option<Vec<u8>>> {
    let mut connection = connections.read().await?;
    let bundle = select_bundle(&mut connection, tenant, digest).await?;
    tenants::found_or_unknown(&mut connection, tenant, bundle).await
}

pub(crate) async fn of_envelope(
    connections: &Connections,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<(BundleDigest, Vec<u8>)>> {
    let mut connection = connections.read().await?;
    let bundle = select_of_envelope(&mut connection, tenant, digest).await?;
    tenants::found_or_unknown(&mut connection, tenant, bundle).await
}

/// Inserts a bundle, unless it is there: its digest is its identity.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &BundleDigest,
    bundle: &[u8],
) -> Result<()> {
    sqlx::query(
        "-- insert
        INSERT INTO attestor_bundles (tenant_id, bundle_digest, bundle) VALUES (?, ?, ?)
        ON CONFLICT (tenant_id, bundle_digest) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(digest.digest().to_hex())
    .bind(bundle)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn select_bundle(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &BundleDigest,
) -> Result<Option<Vec<u8>>> {
    let bundle = sqlx::query_scalar(
        "-- select_bundle
        SELECT bundle FROM attestor_bundles WHERE tenant_id = ? AND bundle_digest = ?",
    )
    .bind(tenant.as_str())
    .bind(digest.digest().to_hex())
    .fetch_optional(connection)
    .await?;
    Ok(bundle)
}

async fn select_of_envelope(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    digest: &EnvelopeDigest,
) -> Result<Option<(BundleDigest, Vec<u8>)>> {
    let row = sqlx::query(
        "-- select_of_envelope
        SELECT tenant_id, bundle_digest, bundle
        FROM attestor_log_entries JOIN attestor_bundles USING (tenant_id, bundle_digest)
        WHERE tenant_id = ? AND dsse_digest = ? AND verification_status = 'verified'
        ORDER BY created_at, rekor_log_id, rekor_log_index LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(digest.to_text())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let row = Stored::new(&row, "attestor_bundles", &["tenant_id", "bundle_digest"]);
        Ok((BundleDigest::new(row.digest("bundle_digest")?), row.get("bundle")?))
    })
    .transpose()
}

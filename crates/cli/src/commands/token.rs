//! `provex token`

use std::collections::BTreeSet;

use provex_core::ids::TenantId;
use provex_core::time::Timestamp;
use provex_pipeline::environment::Environment as _;
use provex_server::Secret;
use provex_store::{ApiToken, Scope, Store};
use serde_json::{Value, json};

use crate::args::{Global, Json, TokenCommand};
use crate::data::{self, DataFolder};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::output;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) async fn run(global: &Global, command: &TokenCommand) -> Result<Done, Failure> {
    let folder = DataFolder::open(global)?;
    let (store, tenant) = (folder.store().await?, folder.config.tenant(global.tenant.as_ref()));
    match command {
        TokenCommand::Create { scope, label, days, json } => {
            let scopes = scope.iter().copied().collect();
            let expires = days.map(|days| System.now().plus_micros(i64::from(days) * DAY_MICROS)).transpose();
            let expires = expires.map_err(anyhow::Error::from)?;
            let (secret, token) = create(&*store, tenant, scopes, label.clone(), expires).await?;
            shown_once(&secret, &token, *json)?;
        }
        TokenCommand::List { json } => list(&store.api_tokens(&tenant).await?, *json)?,
        TokenCommand::Revoke { token_id } => {
            if !store.revoke_api_token(&tenant, *token_id, System.now()).await? {
                return Err(Failure::not_true(format!(
                    "tenant `{}` has no token {token_id}",
                    tenant.as_str()
                )));
            }
            output::line(&format!("token {token_id} is revoked"))?;
        }
    }
    Ok(Done::Yes)
}

/// Makes a token and keeps its hash.
pub(super) async fn create(
    store: &dyn Store,
    tenant: TenantId,
    scopes: BTreeSet<Scope>,
    label: Option<String>,
    expires_at: Option<Timestamp>,
) -> Result<(Secret, ApiToken), Failure> {
    let secret = Secret::new(&data::random_bytes());
    let (digest, created_at) = (secret.digest(), System.now());
    let token = ApiToken {
        id: System.uuid(),
        digest,
        tenant,
        scopes,
        label,
        created_at,
        expires_at,
        revoked_at: None,
    };
    store.add_api_token(&token).await?;
    Ok((secret, token))
}

fn shown_once(secret: &Secret, token: &ApiToken, json: Json) -> Result<(), Failure> {
    if json.json {
        let mut view = view(token);
        view["token"] = secret.reveal().into();
        return output::json(&view);
    }
    output::line(secret.reveal())?;
    output::tell(format_args!(
        "provex: this is token {}; it is shown this once and cannot be read again",
        token.id
    ));
    Ok(())
}

fn list(tokens: &[ApiToken], json: Json) -> Result<(), Failure> {
    if json.json {
        return output::json(&json!({ "tokens": tokens.iter().map(view).collect::<Vec<_>>() }));
    }
    let mut table = output::table(&["token", "scopes", "label", "made", "holds until"]);
    for token in tokens {
        let until = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", at.to_rfc3339()),
            (None, Some(at)) => at.to_rfc3339(),
            (None, None) => "it is revoked".to_owned(),
        };
        let label = token.label.as_deref().map(output::plain).unwrap_or_default().into_owned();
        let made = token.created_at.to_rfc3339();
        table.add_row([token.id.to_string(), Scope::join(&token.scopes), label, made, until]);
    }
    if tokens.is_empty() { output::line("none") } else { output::line(&table.to_string()) }
}

fn view(token: &ApiToken) -> Value {
    json!({
        "tokenId": token.id.to_string(),
        "tenant": token.tenant,
        "scopes": token.scopes.iter().map(|scope| scope.label()).collect::<Vec<_>>(),
        "label": token.label,
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
    })
}

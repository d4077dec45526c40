//! `provex tenant`

use provex_core::ids::TenantId;
use provex_pipeline::environment::Environment as _;
use serde_json::json;

use crate::args::{Global, Json, TenantCommand};
use crate::data::DataFolder;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::output;

pub(super) async fn run(global: &Global, command: &TenantCommand) -> Result<Done, Failure> {
    let store = DataFolder::open(global)?.store().await?;
    match command {
        TenantCommand::Add { name } => {
            let existed = store.tenants().await?.contains(name);
            store.add_tenant(name, System.uuid(), System.now()).await?;
            output::line(&format!(
                "tenant `{name}` {}",
                if existed { "was there already" } else { "added" }
            ))?;
        }
        TenantCommand::List { json } => list(&store.tenants().await?, *json)?,
    }
    Ok(Done::Yes)
}

fn list(tenants: &[TenantId], json: Json) -> Result<(), Failure> {
    if json.json {
        return output::json(&json!({ "tenants": tenants }));
    }
    tenants.iter().try_for_each(|tenant| output::line(tenant.as_str()))
}

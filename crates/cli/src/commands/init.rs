//! `provex init`

use crate::args::{Global, Init};
use crate::data;
use crate::failure::{Done, Failure};
use crate::{keyfile, output};

pub(super) async fn run(global: &Global, init: &Init) -> Result<Done, Failure> {
    let given = init.key.signing_key.as_deref();
    let given = given.map(|path| keyfile::read(path, init.key.password_file.as_deref())).transpose()?;
    let made = data::init(global, init.origin.as_deref(), given).await?;
    let folder = global.data.display();
    let what = if made.existed { "is complete already" } else { "made" };
    output::line(&format!("data folder  {folder} ({what})"))?;
    output::line(&format!("log          {}", made.origin))?;
    output::line(&format!("signing key  {folder}/keys/attest.pub (sha256 {})", made.key))?;
    output::line(&format!(
        "\nHand {folder}/trusted_root.json and {folder}/keys/attest.pub to whoever will verify."
    ))?;
    Ok(Done::Yes)
}

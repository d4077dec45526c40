//! `provex status`

use provex_core::keys::Signer as _;
use provex_core::time::Timestamp;
use provex_core::verify::Verifier;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_store::{Backlog, Counts};
use provex_tlog::TransparencyLog;
use serde_json::{Value, json};

use crate::args::{Global, LogArgs, Status as StatusArgs};
use crate::data::DataFolder;
use crate::database;
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::logs::Logs;
use crate::output;
use crate::signatures::{AwsLc, Tokens};

struct Status {
    tenant: String,
    counts: Counts,
    backlog: Backlog,
    origin: String,
    /// Size and root of the log's newest checkpoint, or why it does not hold.
    checkpoint: Result<(u64, String), String>,
    key: String,
    now: Timestamp,
}

pub(super) async fn run(global: &Global, args: StatusArgs) -> Result<Done, Failure> {
    let status = read(global, &args.log).await?;
    if args.json.json {
        output::json(&view(&status))?
    } else {
        print(global, &status)?
    }
    Ok(if status.checkpoint.is_ok() { Done::Yes } else { Done::NotAll })
}

async fn read(global: &Global, args: &LogArgs) -> Result<Status, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.tenant(global.tenant.as_ref())?).await?;
    let logs = Logs::open(&folder, &pipeline, args)?;
    let checkpoint = match logs.chosen.as_ref().map(|lines| lines.first()) {
        Ok(Some(line)) => newest(&pipeline, &logs, &**line.log()).await?,
        Ok(None) => Err("there is no log".to_owned()),
        Err(reason) => Err(reason.clone()),
    };
    Ok(Status {
        tenant: pipeline.tenant.to_string(),
        counts: pipeline.store.counts(&pipeline.tenant).await?,
        backlog: pipeline.store.backlog(&pipeline.tenant).await?,
        origin: logs.name(),
        checkpoint,
        key: folder.signer()?.public_key().fingerprint().to_hex(),
        now: System.now(),
    })
}

/// The log's newest checkpoint, held against the newest one that was ever seen. A log elsewhere is asked, too: whether it
/// answers is what somebody wants to know whose statements wait.
async fn newest(
    pipeline: &Pipeline,
    logs: &Logs,
    log: &dyn TransparencyLog,
) -> Result<Result<(u64, String), String>, Failure> {
    let verifier =
        Verifier { trusted_root: &logs.trusted_root, keys: &[], signatures: &AwsLc, timestamps: &Tokens };
    let checkpoint = match log.checkpoint().await {
        Ok(note) => verifier
            .checkpoint(log.identity(), &note)
            .map(|signed| (signed.checkpoint().size, signed.checkpoint().root.to_hex()))
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let kept = pipeline.store.log_checkpoint(&log.identity().id).await?;
    Ok(checkpoint.and_then(|(size, root)| match kept {
        Some(kept) if kept.size > size || (kept.size == size && kept.root.to_hex() != root) => Err(format!(
            "the log has another checkpoint (size {size}) than was once signed (size {})",
            kept.size
        )),
        _ => Ok((size, root)),
    }))
}

fn pending(counts: &Counts) -> u64 {
    counts.observations - counts.linked - counts.failed
}

fn print(global: &Global, status: &Status) -> Result<(), Failure> {
    let (counts, backlog) = (&status.counts, &status.backlog);
    output::line(&format!("tenant        {}", status.tenant))?;
    output::line(&format!("documents     {}", counts.documents))?;
    output::line(&format!(
        "observations  {}: {} linked, {} pending, {} failed",
        counts.observations,
        counts.linked,
        pending(counts),
        counts.failed
    ))?;
    if let Some(oldest) = counts.oldest_pending {
        output::line(&format!("oldest        {oldest}, {} ago", age(oldest, status.now)))?;
    }
    output::line(&format!(
        "queue         {} to attest, {} to submit, {} to link, {} given up",
        backlog.attest, backlog.submit, backlog.link, backlog.dead
    ))?;
    for (reason, count) in &backlog.reasons {
        output::line(&format!("              {count}: {reason}"))?;
    }
    match &status.checkpoint {
        Ok((size, root)) => {
            output::line(&format!("log           {}, size {size}, root {root}", status.origin))?
        }
        Err(reason) => output::line(&format!("log           {}: {reason}", status.origin))?,
    }
    output::line(&format!("signing key   sha256 {}", status.key))?;
    output::line("ledger        no events yet")?;
    output::line(&format!("next          {}", next(global, status)))
}

/// What a person would do now.
fn next(global: &Global, status: &Status) -> String {
    let mut data =
        if *global.data == *".provex" { String::new() } else { format!(" --data {}", global.data.display()) };
    data.push_str(&database::flag(global));
    if status.checkpoint.is_err() {
        "the log needs a look: docs/OPERATIONS.md, \"The log cannot be used\"".to_owned()
    } else if status.counts.documents == 0 {
        format!("provex prove{data} PATH")
    } else if pending(&status.counts) + status.backlog.attest + status.backlog.submit + status.backlog.link
        > 0
    {
        format!("provex link{data}")
    } else if status.backlog.dead > 0 {
        format!("provex pending{data} --failed says what was given up and why")
    } else {
        format!("nothing waits; provex export{data} --proof OBSERVATION hands out a proof")
    }
}

fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_unix_seconds() - then.as_unix_seconds()).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn view(status: &Status) -> Value {
    let (counts, backlog) = (&status.counts, &status.backlog);
    let reasons =
        backlog.reasons.iter().map(|(reason, count)| json!({"reason": reason, "submissions": count}));
    let (size, root) =
        status.checkpoint.clone().map_or((None, None), |(size, root)| (Some(size), Some(root)));
    json!({
        "tenant": status.tenant,
        "documents": counts.documents,
        "observations": {
            "recorded": counts.observations,
            "linked": counts.linked,
            "pending": pending(counts),
            "failed": counts.failed,
        },
        "oldestPending": counts.oldest_pending.map(Timestamp::to_rfc3339),
        "queue": {
            "attest": backlog.attest,
            "submit": backlog.submit,
            "link": backlog.link,
            "dead": backlog.dead,
            "reasons": reasons.collect::<Vec<_>>(),
        },
        "log": {
            "origin": status.origin,
            "treeSize": size,
            "treeRoot": root,
            "error": status.checkpoint.as_ref().err(),
        },
        "keyFingerprint": status.key,
    })
}

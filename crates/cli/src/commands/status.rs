//! `provex status`

use provex_core::ids::TenantId;
use provex_core::ledger::Head;
use provex_core::time::Timestamp;
use provex_core::verify::Verifier;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_pipeline::view::RootView;
use provex_store::{Backlog, Counts, RootRow};
use provex_tlog::embedded::Audit;
use provex_tlog::{LogError, TransparencyLog};
use serde_json::{Value, json};

use crate::args::{Global, LogArgs, Status as StatusArgs};
use crate::clock;
use crate::data::{self, DataFolder};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::hint;
use crate::logs::Logs;
use crate::output::{self, plain};
use crate::signatures::{AwsLc, Tokens};

struct Status {
    tenant: TenantId,
    counts: Counts,
    backlog: Backlog,
    origin: String,
    log: Result<Newest, Trouble>,
    key: String,
    ledger: Head,
    /// The newest signed root.
    root: Option<RootRow>,
    /// The newest one that is in a log.
    anchor: Option<RootRow>,
    /// What is wrong with the clock.
    clock: Option<String>,
    /// What is wrong with the public keys.
    foreign: Option<String>,
    now: Timestamp,
}

/// The log's newest checkpoint.
struct Newest {
    size: u64,
    root: String,
    /// Of the folder's own log, all of its files held against that.
    audit: Option<Audit>,
}

/// Why the log cannot be shown as it should be.
struct Trouble {
    reason: String,
    done: Done,
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self { reason, done: Done::NotAll }
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        let done = if let LogError::Unusable(_) = error { Done::NotAll } else { Done::Unchecked };
        Self { reason: error.to_string(), done }
    }
}

pub(super) async fn run(global: &Global, args: StatusArgs) -> Result<Done, Failure> {
    let status = read(global, &args.log).await?;
    if args.json.json {
        output::json(&view(&status))?
    } else {
        print(global, &status)?
    }
    Ok(status.log.as_ref().err().map_or(Done::Yes, |trouble| trouble.done))
}

async fn read(global: &Global, args: &LogArgs) -> Result<Status, Failure> {
    let folder = DataFolder::open(global)?;
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let logs = Logs::open(&folder, &pipeline, args)?;
    let log = match logs.chosen.as_ref().map(|lines| lines.first()) {
        Ok(Some(_)) if logs.own => audited(&folder, &pipeline).await?,
        Ok(Some(line)) => newest(&pipeline, &logs, &**line.log()).await?,
        Ok(None) => Err("there is no log".to_owned().into()),
        Err(reason) if logs.off => Err(Trouble { reason: reason.clone(), done: Done::Yes }),
        Err(reason) => Err(reason.clone().into()),
    };
    let (counts, now) = (pipeline.store.counts(&pipeline.tenant).await?, System.now());
    Ok(Status {
        tenant: pipeline.tenant.clone(),
        clock: clock::set_back(counts.last_at, now),
        foreign: folder.foreign_signer(&pipeline).await?,
        counts,
        backlog: pipeline.store.backlog(&pipeline.tenant).await?,
        origin: logs.name(),
        log,
        key: folder.signing_key()?.fingerprint().to_hex(),
        root: pipeline.store.newest_ledger_root(&pipeline.tenant, false).await?,
        anchor: pipeline.store.newest_ledger_root(&pipeline.tenant, true).await?,
        ledger: pipeline.store.ledger_head(&pipeline.tenant).await?,
        now,
    })
}

/// The folder's own log, all of its files looked at.
async fn audited(folder: &DataFolder, pipeline: &Pipeline) -> Result<Result<Newest, Trouble>, Failure> {
    let audit = data::audit(folder.embedded_log(pipeline)?).await;
    Ok(audit.map_err(Trouble::from).map(|audit| {
        let checkpoint = audit.newest.checkpoint();
        Newest { size: checkpoint.size, root: checkpoint.root.to_hex(), audit: Some(audit) }
    }))
}

/// The log's newest checkpoint, held against the newest one that was ever seen. A log elsewhere is asked, too: whether it
/// answers is what somebody wants to know whose statements wait.
async fn newest(
    pipeline: &Pipeline,
    logs: &Logs,
    log: &dyn TransparencyLog,
) -> Result<Result<Newest, Trouble>, Failure> {
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
    let checked = checkpoint.and_then(|(size, root)| match kept {
        Some(kept) if kept.size > size || (kept.size == size && kept.root.to_hex() != root) => Err(format!(
            "the log has another checkpoint (size {size}) than was once signed (size {})",
            kept.size
        )),
        _ => Ok(Newest { size, root, audit: None }),
    });
    Ok(checked.map_err(Trouble::from))
}

fn pending(counts: &Counts) -> u64 {
    counts.observations - counts.linked - counts.failed
}

/// Whether `link` has anything to go on with: what was dropped from the queue is pending, too.
fn waiting(status: &Status) -> bool {
    let backlog = &status.backlog;
    backlog.attest + backlog.submit + backlog.link > 0
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
    if let Some(until) = backlog.leased_until.filter(|until| status.now < *until) {
        output::line(&format!(
            "              {} are leased to who works on them; what a process that has ended left is taken up again \
             by {until}",
            backlog.leased
        ))?;
    }
    for (reason, count) in &backlog.reasons {
        output::line(&format!("              {count}: {reason}"))?;
    }
    output::line(&format!("log           {}, {}", status.origin, log_line(&status.log)))?;
    output::line(&format!("signing key   sha256 {}", status.key))?;
    output::line(&format!("ledger        {}", ledger_line(&status.ledger)))?;
    for line in root_lines(status) {
        output::line(&format!("              {line}"))?;
    }
    if let Some(warning) = &status.clock {
        output::line(&format!("clock         {warning}"))?;
    }
    if let Some(warning) = &status.foreign {
        output::line(&format!("keys          {warning}"))?;
    }
    output::line(&format!("next          {}", next(global, status)))
}

/// How the log is, and what was looked at.
fn log_line(log: &Result<Newest, Trouble>) -> String {
    let newest = match log {
        Ok(newest) => newest,
        Err(trouble) => return plain(&trouble.reason).into_owned(),
    };
    let mut line = format!("size {}, root {}", newest.size, newest.root);
    let Some(audit) = &newest.audit else { return line };
    let entries = if audit.bundles_read == audit.bundles {
        "every entry".to_owned()
    } else {
        format!("{} of {} entry bundles", audit.bundles_read, audit.bundles)
    };
    line.push_str(&format!("\n              checked: its folder has every tile; {entries} read"));
    if !audit.published {
        line.push_str(
            "\n              its file `checkpoint` is older, as after a crash: `provex link` writes it again",
        );
    }
    line
}

fn ledger_line(head: &Head) -> String {
    match head.sequence_no() {
        0 => "no events yet".to_owned(),
        events => format!("{events} events, root {}", head.frontier.root().to_hex()),
    }
}

/// The newest root that was signed, and the newest one that is in a log.
fn root_lines(status: &Status) -> Vec<String> {
    let Some(root) = &status.root else { return Vec::new() };
    let signed = format!("root of {} events signed {} ago", root.tree_size, age(root.created_at, status.now));
    let anchored = match &status.anchor {
        Some(anchor) if anchor.tree_size == root.tree_size => reference(anchor),
        Some(anchor) => format!(
            "root of {} events, {} old, {}",
            anchor.tree_size,
            age(anchor.created_at, status.now),
            reference(anchor)
        ),
        None => "no root is in a log yet".to_owned(),
    };
    vec![signed, anchored]
}

fn reference(root: &RootRow) -> String {
    format!("anchored as {}", root.anchor_reference.as_deref().unwrap_or_default())
}

/// What a person would do now.
fn next(global: &Global, status: &Status) -> String {
    let data = hint::options(global);
    let audit = status.log.as_ref().ok().and_then(|newest| newest.audit.as_ref());
    let unpublished = audit.is_some_and(|audit| !audit.published);
    let off = status.log.as_ref().is_err_and(|trouble| matches!(trouble.done, Done::Yes));
    if status.log.is_err() && !off {
        "the log needs a look: docs/OPERATIONS.md, \"The log cannot be used\"".to_owned()
    } else if status.counts.documents == 0 {
        format!("provex prove{data} PATH")
    } else if off {
        "nothing: what is recorded is kept, and goes to no log".to_owned()
    } else if unpublished || waiting(status) {
        format!("provex link{data}")
    } else if status.backlog.dead > 0 {
        format!("provex pending{data} --failed says what was given up and why")
    } else if pending(&status.counts) > 0 {
        format!("what is pending was dropped from the queue; provex link{data} --requeue brings it back")
    } else {
        format!("nothing waits; provex export{data} --proof OBSERVATION hands out a proof")
    }
}

fn age(then: Timestamp, now: Timestamp) -> String {
    clock::length((now.as_unix_seconds() - then.as_unix_seconds()).max(0))
}

fn view(status: &Status) -> Value {
    let (counts, backlog) = (&status.counts, &status.backlog);
    let reasons =
        backlog.reasons.iter().map(|(reason, count)| json!({"reason": reason, "submissions": count}));
    let warnings = status.clock.iter().chain(&status.foreign);
    let newest = status.log.as_ref().ok();
    let audit = newest.and_then(|newest| newest.audit.as_ref());
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
            "leased": backlog.leased,
            "leasedUntil": backlog.leased_until,
            "reasons": reasons.collect::<Vec<_>>(),
        },
        "log": {
            "origin": status.origin,
            "treeSize": newest.map(|newest| newest.size),
            "treeRoot": newest.map(|newest| &newest.root),
            "published": audit.map(|audit| audit.published),
            "entryBundles": audit.map(|audit| audit.bundles),
            "entryBundlesRead": audit.map(|audit| audit.bundles_read),
            "error": status.log.as_ref().err().map(|trouble| &trouble.reason),
        },
        "keyFingerprint": status.key,
        "ledger": {
            "treeSize": status.ledger.sequence_no(),
            "rootHash": status.ledger.frontier.root().to_hex(),
            "newestRoot": status.root.as_ref().map(|root| RootView::new(&status.tenant, root)),
            "newestAnchor": status.anchor.as_ref().map(|root| RootView::new(&status.tenant, root)),
        },
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

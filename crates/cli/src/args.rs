//! The command line's words (`spec` of the product: the README and `docs/OPERATIONS.md` explain them).

use std::path::PathBuf;

use clap::{ArgGroup, Args as Group, Parser, Subcommand, ValueEnum};
use provex_core::ids::TenantId;
use provex_store::Scope;

use crate::database::DatabaseUrl;

/// provex makes VEX decisions provable: it records what VEX documents claim, signs and logs it, and hands out proofs
/// that anyone can check offline.
#[derive(Debug, Parser)]
#[command(name = "provex", version, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Group)]
pub(crate) struct Global {
    /// The data folder: keys, database, log.
    #[arg(long, global = true, env = "PROVEX_DATA", default_value = ".provex", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// A PostgreSQL in the place of the folder's database; keys and log stay in the folder. Others can read a password
    /// given here: keep it in PGPASSFILE, or see database_url_file in docs/OPERATIONS.md [env: PROVEX_DATABASE_URL].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<DatabaseUrl>,
    /// The tenant whose documents these are [default: $PROVEX_TENANT, provex.toml's `tenant`, else `default`].
    #[arg(long, global = true, value_name = "T")]
    pub(crate) tenant: Option<TenantId>,
}

// Only the command that is called is built, which is a fifth of the start of a short one.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Ingest, attest, log, verify and link in one go, and say what can now be proven.
    Prove(Prove),
    /// Make a data folder with fresh keys and an embedded log.
    Init(Init),
    /// Parse documents and report what is wrong with them; store nothing.
    Check(Check),
    /// Record documents and their observations.
    Ingest(Sources),
    /// List observations that are recorded and not linked yet.
    Pending(Pending),
    /// Attest, log, verify and link what is pending.
    Link(Link),
    /// Attest, log and link what others ingest, for all tenants (or the one named), until SIGTERM.
    Worker(Worker),
    /// Check proofs and bundles offline.
    Verify(Verify),
    /// List observations.
    Observations(Observations),
    /// List attestations: what verification said of each observation, as the ledger has it.
    Attestations(Attestations),
    /// Prove the ledger, and all that it proves.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Show one document, observation, envelope or bundle by its id.
    Show(Show),
    /// Write out a proof or a bundle.
    Export(Export),
    /// Show on one screen how much there is, what waits and why, and what to do next.
    Status(Status),
    /// Add or list tenants.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Bring the database to this release's schema: a PostgreSQL only by this, a data folder by any command.
    Migrate(Migrate),
    /// Look at the embedded log.
    #[command(subcommand)]
    Log(LogCommand),
    /// Show or rotate keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make, list or revoke API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Answer over HTTP, and link what waits.
    Serve(Serve),
    /// Measure against named baselines of the same run; docs/BENCHMARKS.md says what each line means.
    #[command(hide = true)]
    Bench(crate::bench::Bench),
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder, which has to be there.
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum KeyCommand {
    /// Show the keys that sign and have signed attestations.
    Show {
        #[command(flatten)]
        json: Json,
    },
    /// Sign with another key from now on; the old one stays as a retired public key and keeps verifying.
    Rotate {
        /// Begin a new embedded log under a new key and origin instead; the old one stays trusted up to now.
        #[arg(long, conflicts_with = "signing_key")]
        log: bool,
        /// With --log: the new log's origin [default: made from its key].
        #[arg(long, value_name = "HOST", requires = "log")]
        origin: Option<String>,
        /// The new key: PKCS#8 PEM, encrypted or not, or a cosign key [default: a fresh one].
        #[arg(long, value_name = "FILE")]
        signing_key: Option<PathBuf>,
        /// The file whose first line is that key's password [default: ask on the terminal].
        #[arg(long, value_name = "FILE", requires = "signing_key")]
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum TokenCommand {
    /// Make a token of the tenant and show it, once.
    Create {
        /// What it allows: `admin`, `ledger.attest.read`, `ledger.read`, `vex.read`, `vex.write`; may be given several times.
        #[arg(long, required = true, value_name = "SCOPE", value_parser = scope)]
        scope: Vec<Scope>,
        /// A name for people.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// How many days it holds [default: until it is revoked].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        #[command(flatten)]
        json: Json,
    },
    /// List the tenant's tokens, never their secrets.
    List {
        #[command(flatten)]
        json: Json,
    },
    /// Revoke a token of the tenant; it is refused from the next request on.
    Revoke {
        /// Its id, as `list` shows it.
        token_id: uuid::Uuid,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_label(text).ok_or_else(|| format!("there is {}", Scope::ALL.map(Scope::label).join(", ")))
}

#[derive(Debug, Group)]
pub(crate) struct Serve {
    /// Where to listen. Beyond this machine, put a proxy with TLS before it.
    #[arg(long, env = "PROVEX_LISTEN", default_value = "127.0.0.1:7070", value_name = "HOST:PORT")]
    pub(crate) listen: String,
    /// Only answer; another process links.
    #[arg(long)]
    pub(crate) no_worker: bool,
    #[command(flatten)]
    pub(crate) worker: Worker,
    /// Log lines as JSON objects.
    #[arg(long, env = "PROVEX_LOG_JSON")]
    pub(crate) log_json: bool,
    /// Send spans to this OpenTelemetry collector (OTLP over HTTP, JSON).
    #[arg(long, env = "PROVEX_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum TenantCommand {
    /// Add a tenant.
    Add {
        /// Its name: 1 to 63 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit.
        name: TenantId,
    },
    /// List the tenants.
    List {
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Group)]
pub(crate) struct Migrate {
    /// Say what would be done, and do nothing.
    #[arg(long, conflicts_with = "check")]
    pub(crate) plan: bool,
    /// Check that the database has what this release needs, and name what it lacks; change nothing.
    #[arg(long, conflicts_with = "layout")]
    pub(crate) check: bool,
    /// How the largest tables of a PostgreSQL lie on its disk, chosen once [default: hash16].
    #[arg(long, value_enum, value_name = "LAYOUT")]
    pub(crate) layout: Option<LayoutName>,
    /// Copy all of this database, `sqlite:PATH` (a file, or a data folder), into a PostgreSQL that has no other data.
    #[arg(long, value_name = "DATABASE", requires = "to", conflicts_with_all = ["plan", "check"])]
    pub(crate) from: Option<String>,
    /// With --from: the PostgreSQL, which is migrated first.
    #[arg(long, value_name = "URL", requires = "from")]
    pub(crate) to: Option<DatabaseUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    /// In 16 partitions by hash of the tenant.
    Hash16,
    /// In one table each, which can be distributed over several servers.
    Flat,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum LogCommand {
    /// Print the log's newest checkpoint, verified: keep it elsewhere, and `verify --checkpoint` against it later.
    Checkpoint {
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Group)]
pub(crate) struct Sources {
    /// Files, folders, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Group)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// End with exit code 1 for findings too, not only for refused documents: for CI and hooks.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Pass over JSON and XML files that are of no format that is read, and say how many: for folders and hooks with others.
    #[arg(long)]
    pub(crate) skip_other: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Prove {
    /// Print what would be sent to the log and what would become public, record and send nothing.
    #[arg(long)]
    pub(crate) preview: bool,
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Link {
    /// First queue again what was given up: one submission, or all.
    #[arg(long, value_name = "ID|all")]
    pub(crate) retry: Option<Which>,
    /// First take out of the queue what was given up: it stays recorded and is not logged.
    #[arg(long, value_name = "ID|all", conflicts_with = "retry")]
    pub(crate) drop: Option<Which>,
    /// First queue again all that `--drop` ever took out.
    #[arg(long, conflicts_with_all = ["retry", "drop"])]
    pub(crate) requeue: bool,
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Group)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// How long to wait before looking again when nothing is due.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) interval: u32,
}

/// Which log and timestamp authority are written to [default: provex.toml's, else the data folder's own log].
#[derive(Debug, Clone, Default, Group)]
pub(crate) struct LogArgs {
    /// The logs and timestamp authorities to write to: a Sigstore signing config v0.2.
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    /// The Sigstore trusted root that knows their keys [default: the data folder's].
    #[arg(long, value_name = "FILE", requires = "signing_config")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Where the checkpoint and tiles of the one log are served that may be used now [default: provex.toml's, else the
    /// log's URL with and without `/api/v2`].
    #[arg(long, value_name = "URL", requires = "signing_config")]
    pub(crate) log_read_url: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Group)]
pub(crate) struct UnitArgs {
    /// What one signed statement is about [default: $PROVEX_UNIT, provex.toml's `unit`, else `document`].
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) unit: Option<UnitName>,
    /// With `--unit batch`: how many documents a statement is about at most, 1 to 256
    /// [default: $PROVEX_BATCH_SIZE, provex.toml's `batch_size`, else 256].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) batch_size: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitName {
    /// One document.
    Document,
    /// One observation.
    Observation,
    /// Many documents at once.
    Batch,
}

#[derive(Debug, Clone, Copy, Group)]
pub(crate) struct Json {
    /// One JSON object for machines instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Group)]
pub(crate) struct Init {
    /// The embedded log's origin, a bare host name, for ever [default: made from the log's key].
    #[arg(long, value_name = "HOST")]
    pub(crate) origin: Option<String>,
    #[command(flatten)]
    pub(crate) key: SigningKey,
}

#[derive(Debug, Group)]
pub(crate) struct SigningKey {
    /// Sign with this key instead of a fresh one: PKCS#8 PEM, encrypted or not, or a cosign key.
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_key: Option<PathBuf>,
    /// The file whose first line is that key's password [default: ask on the terminal].
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Group)]
pub(crate) struct Listing {
    /// One JSON object a line, all of them.
    #[arg(long)]
    pub(crate) ndjson: bool,
    /// How many rows the table shows at most.
    #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "ndjson")]
    pub(crate) limit: usize,
}

#[derive(Debug, Group)]
pub(crate) struct Pending {
    /// The queue instead: a document or statement a row, what is next for it, and why it is not done.
    #[arg(long)]
    pub(crate) queue: bool,
    /// Of the queue, what was given up; `link --retry` and `link --drop` go on with it.
    #[arg(long)]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// Which of the submissions that were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    One(uuid::Uuid),
}

impl std::str::FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            id => {
                id.parse().map(Self::One).map_err(|_| "neither `all` nor an id that `pending --failed` lists")
            }
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct Verify {
    /// Proofs (`provex.proof/v1`) or Sigstore bundles.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The logs to trust [default: the data folder's].
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// The signer's public key, PEM; may be given several times [default: the data folder's].
    #[arg(long, value_name = "PEM")]
    pub(crate) key: Vec<PathBuf>,
    /// A checkpoint of the log that was kept from before: checks that the log only grew since.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint: the log's folder, whose tiles connect the two [default: the data folder's `log`].
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    pub(crate) log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Group)]
pub(crate) struct Observations {
    /// Of this document, by its digest.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) document: Option<String>,
    /// Against this vulnerability, by its id or an alias.
    #[arg(long, value_name = "ID")]
    pub(crate) vulnerability: Option<String>,
    /// About this product or subcomponent, by its key or an identifier.
    #[arg(long, value_name = "KEY")]
    pub(crate) product: Option<String>,
    /// With this status.
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Linked to the entry with this leaf hash.
    #[arg(long, value_name = "HEX")]
    pub(crate) rekor_uuid: Option<String>,
    /// Linked at this index of a log.
    #[arg(long, value_name = "N")]
    pub(crate) log_index: Option<u64>,
    /// Not linked yet.
    #[arg(long)]
    pub(crate) pending: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Group)]
pub(crate) struct Attestations {
    /// About this artifact.
    #[arg(long, value_name = "ID")]
    pub(crate) artifact: Option<String>,
    /// About this vulnerability.
    #[arg(long, value_name = "ID")]
    pub(crate) finding: Option<String>,
    /// This one.
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<String>,
    /// With this outcome: verified, failed or unknown.
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Recorded at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Recorded before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum LedgerCommand {
    /// Follow the chain from its first event, compare all that it proves with what is there, and name the first thing
    /// that is wrong.
    Audit {
        /// The public key of another data folder that signs roots in the same database, PEM; may be given several times.
        #[arg(long, value_name = "PEM")]
        key: Vec<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// Sign the root of the ledger, log it, and wait until it is in the log.
    Anchor {
        /// Also write the anchor's Sigstore bundle to this file, to be kept or carried elsewhere.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        json: Json,
    },
    /// Make the attestations again from the events alone, and compare every column.
    Replay {
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Group)]
pub(crate) struct Show {
    /// `vex:obs:sha256:…`, `sha256:…` (a bundle), or the digest of a document or envelope.
    pub(crate) id: String,
    /// The exact bytes whose SHA-256 is the id, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub(crate) canonical: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Debug, Group)]
#[command(group(ArgGroup::new("what").required(true).args(["proof", "bundle"])))]
pub(crate) struct Export {
    /// The proof of an observation (`provex.proof/v1`).
    #[arg(long, value_name = "OBSERVATION")]
    pub(crate) proof: Option<String>,
    /// The Sigstore bundle that an observation is linked by, or the one of this digest.
    #[arg(long, value_name = "OBSERVATION|DIGEST")]
    pub(crate) bundle: Option<String>,
    /// Where to write it [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

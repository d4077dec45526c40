//! Configuration: `provex.toml`, then the environment (`PROVEX_…`); flags win over both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum as _;
use provex_core::ids::TenantId;
use provex_pipeline::Unit;
use toml::{Spanned, Value};

use crate::args::{UnitArgs, UnitName};
use crate::failure::Failure;
use crate::logs::{LogConfig, OneLog};

/// The file that a fresh data folder gets.
pub(crate) const EXAMPLE: &str = "\
# provex configuration. Every key is optional; unknown keys are refused. See docs/OPERATIONS.md.
# The environment wins over this file (PROVEX_TENANT for tenant, and so on), flags win over both.
#
# tenant = \"default\"
# max_document_bytes = 157286400
# unit = \"document\"           # what one signed statement is about: document, observation or batch
# batch_size = 256             # with batch: documents a statement, 1 to 256
# database_wait_seconds = 60   # how long another program may hold the database
# database_url = \"postgres://provex@db.example/provex?sslmode=verify-full\"   # a PostgreSQL instead of provex.db
# database_url_file = \"database-url\"   # the same from a file of mode 0600, where it may hold a password
# database_connections = 10    # connections to that PostgreSQL at most
#
# Where statements are logged instead of in this folder's own log; files relative to this folder.
# signing_config = \"rekor/signing_config.json\"
# trusted_root = \"rekor/trusted_root.json\"
# log_read_url = \"https://tiles.example\"  # where the tiles are served, if elsewhere; of several logs, see logs
# log_concurrency = 256        # submissions under way at once
# log_timeout_seconds = 30     # how long a log or timestamp authority may take to answer
# log_tls_roots = \"ca.pem\"     # the only certificates that their chains may end in
# logs = { \"https://2026.log.example\" = { read_url = \"https://2026.tiles.example\", max_request_bytes = 1048576 } }
# tenants = { secret = { log = \"none\" }, acme = { signing_config = \"acme.json\", trusted_root = \"acme-root.json\" } }
";

/// What is configured.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// The tenant where none is named.
    tenant: Option<TenantId>,
    /// The largest document that is read.
    pub(crate) max_document_bytes: Option<usize>,
    /// What one statement is about.
    unit: Option<UnitName>,
    /// Documents a statement, with `unit = "batch"`.
    batch_size: Option<NonZeroUsize>,
    /// How long another program may hold the database.
    pub(crate) database_wait_seconds: Option<u32>,
    /// A PostgreSQL in the place of `provex.db`, without a password.
    pub(crate) database_url: Option<String>,
    /// The file that holds such a URL.
    pub(crate) database_url_file: Option<PathBuf>,
    /// Connections to it at most.
    pub(crate) database_connections: Option<NonZeroU32>,
    /// Where statements are logged.
    pub(crate) signing_config: Option<PathBuf>,
    pub(crate) trusted_root: Option<PathBuf>,
    pub(crate) log_read_url: Option<String>,
    /// How logs are reached.
    pub(crate) log_concurrency: Option<u16>,
    pub(crate) log_timeout_seconds: Option<u16>,
    pub(crate) log_tls_roots: Option<PathBuf>,
    /// How single logs are reached, by their URL. In the file only.
    pub(crate) logs: BTreeMap<String, OneLog>,
    /// Where single tenants' statements are logged. In the file only.
    pub(crate) tenants: BTreeMap<TenantId, LogConfig>,
}

/// The most documents that one statement is about.
const MAX_BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("it is not 0");

/// The one setting whose value is never shown: it may hold a password. In the environment it is [`crate::database`]'s.
const DATABASE_URL: &str = "database_url";

const TENANT: &str = "1 to 63 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit";
const URL: &str = "an http or https URL";

/// The settings that are tables.
const LOGS: &str = "logs";
const TENANTS: &str = "tenants";

const CONCURRENCY: RangeInclusive<u16> = 1..=10_000;
const TIMEOUT_SECONDS: RangeInclusive<u16> = 1..=3_600;
const REQUEST_BYTES: RangeInclusive<u32> = 1..=64 << 20;

/// One key of the file, and of the environment in capitals behind `PROVEX_`.
struct Setting {
    key: &'static str,
    /// In the file, a number or a text in quotes.
    is_number: bool,
    /// What it may be, in words.
    allowed: &'static str,
    /// `None` for what is not allowed.
    set: fn(&mut Config, &str) -> Option<()>,
}

const SETTINGS: [Setting; 14] = [
    Setting {
        key: "batch_size",
        is_number: true,
        allowed: "a number from 1 to 256",
        set: |config, text| set(&mut config.batch_size, text.parse().ok().filter(|size| *size <= MAX_BATCH)),
    },
    Setting {
        key: "database_connections",
        is_number: true,
        allowed: "a number from 1 to 1000",
        set: |config, text| {
            let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= 1_000);
            set(&mut config.database_connections, number)
        },
    },
    Setting {
        key: DATABASE_URL,
        is_number: false,
        allowed: "the URL of a PostgreSQL",
        set: |config, text| set(&mut config.database_url, Some(text.to_owned())),
    },
    Setting {
        key: "database_url_file",
        is_number: false,
        allowed: "a path",
        set: |config, text| set(&mut config.database_url_file, path(text)),
    },
    Setting {
        key: "database_wait_seconds",
        is_number: true,
        allowed: "a number from 0 to 86400",
        set: |config, text| {
            set(&mut config.database_wait_seconds, text.parse().ok().filter(|seconds| *seconds <= 86_400))
        },
    },
    Setting {
        key: "log_concurrency",
        is_number: true,
        allowed: "a number from 1 to 10000",
        set: |config, text| {
            set(&mut config.log_concurrency, text.parse().ok().filter(|number| CONCURRENCY.contains(number)))
        },
    },
    Setting {
        key: "log_read_url",
        is_number: false,
        allowed: URL,
        set: |config, text| set(&mut config.log_read_url, Some(text.to_owned()).filter(|url| is_url(url))),
    },
    Setting {
        key: "log_timeout_seconds",
        is_number: true,
        allowed: "a number from 1 to 3600",
        set: |config, text| {
            set(
                &mut config.log_timeout_seconds,
                text.parse().ok().filter(|number| TIMEOUT_SECONDS.contains(number)),
            )
        },
    },
    Setting {
        key: "log_tls_roots",
        is_number: false,
        allowed: "a path",
        set: |config, text| set(&mut config.log_tls_roots, path(text)),
    },
    Setting {
        key: "max_document_bytes",
        is_number: true,
        allowed: "a number from 1 to 536870912",
        set: |config, text| {
            let bytes = text.parse().ok().filter(|bytes| (1..=512 << 20).contains(bytes));
            set(&mut config.max_document_bytes, bytes)
        },
    },
    Setting {
        key: "signing_config",
        is_number: false,
        allowed: "a path",
        set: |config, text| set(&mut config.signing_config, path(text)),
    },
    Setting {
        key: "tenant",
        is_number: false,
        allowed: TENANT,
        set: |config, text| set(&mut config.tenant, TenantId::from_str(text).ok()),
    },
    Setting {
        key: "trusted_root",
        is_number: false,
        allowed: "a path",
        set: |config, text| set(&mut config.trusted_root, path(text)),
    },
    Setting {
        key: "unit",
        is_number: false,
        allowed: "document, observation or batch",
        set: |config, text| set(&mut config.unit, UnitName::from_str(text, false).ok()),
    },
];

fn path(text: &str) -> Option<PathBuf> {
    Some(text).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}

fn a_number<T: std::fmt::Display>(range: &RangeInclusive<T>) -> String {
    format!("a number from {} to {}", range.start(), range.end())
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    value.map(|value| *slot = Some(value))
}

impl Config {
    /// Where a tenant's statements are logged: what the file says of the tenant, else of all.
    pub(crate) fn log_of(&self, tenant: &TenantId) -> LogConfig {
        self.tenants.get(tenant).cloned().unwrap_or_else(|| LogConfig {
            log: None,
            signing_config: self.signing_config.clone(),
            trusted_root: self.trusted_root.clone(),
            log_read_url: self.log_read_url.clone(),
        })
    }

    /// The files that it names of logs.
    pub(crate) fn log_files(&self) -> impl Iterator<Item = PathBuf> {
        let all = [&self.signing_config, &self.trusted_root, &self.log_tls_roots];
        let tenants = self.tenants.values().flat_map(|logs| [&logs.signing_config, &logs.trusted_root]);
        all.into_iter().chain(tenants).flatten().cloned()
    }

    /// Reads the folder's file, if it has one, then the environment.
    ///
    /// # Errors
    /// [`Failure::Call`] for whatever is not allowed, with file, line and key; an I/O error for a file that cannot be
    /// read.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("provex.toml");
        let mut config = Self::default();
        match fs::read(&path) {
            Ok(bytes) => config.take_file(&bytes).map_err(|(line, reason)| {
                Failure::call(format!("{}, line {line}: {reason}", path.display()))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(anyhow::Error::new(error).context(path.display().to_string()).into()),
        }
        config.take_environment(|name| std::env::var_os(name)).map_err(Failure::call)?;
        Ok(config)
    }

    /// Takes what a file says; an error has its line.
    fn take_file(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let line_of =
            |offset: usize| 1 + bytes[..offset.min(bytes.len())].iter().filter(|b| **b == b'\n').count();
        let text = std::str::from_utf8(bytes)
            .map_err(|error| (line_of(error.valid_up_to()), "it is not UTF-8".to_owned()))?;
        let values: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            (line, format!("it is no TOML: {}", error.message()))
        })?;
        for (key, value) in values {
            let line = line_of(key.span().start);
            let written = text.lines().nth(line - 1).unwrap_or_default().trim();
            self.take(key.get_ref(), &value, written).map_err(|reason| (line, reason))?;
        }
        Ok(())
    }

    fn take(&mut self, key: &str, value: &Value, written: &str) -> Result<(), String> {
        if key == TENANTS {
            let tenants = value.clone().try_into::<BTreeMap<String, LogConfig>>();
            let tenants = tenants.map_err(|error| format!("{TENANTS}: {}", error.message()))?;
            return tenants.into_iter().try_for_each(|(name, logs)| self.take_tenant(&name, logs));
        }
        if key == LOGS {
            let logs = value.clone().try_into::<BTreeMap<String, OneLog>>();
            let logs = logs.map_err(|error| format!("{LOGS}: {}", error.message()))?;
            return logs.into_iter().try_for_each(|(url, log)| self.take_log(url, log));
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let known: Vec<_> = SETTINGS.iter().map(|setting| setting.key).chain([LOGS, TENANTS]).collect();
            return Err(format!("there is no setting `{key}`; there are {}", known.join(", ")));
        };
        let text = match value {
            Value::String(text) if !setting.is_number => Some(text.clone()),
            Value::Integer(number) if setting.is_number => Some(number.to_string()),
            _ => None,
        };
        let taken = text.and_then(|text| (setting.set)(self, &text));
        let shown = if key == DATABASE_URL { "its value".to_owned() } else { format!("`{written}`") };
        let quoted = if setting.is_number { "" } else { ", in quotes" };
        taken.ok_or_else(|| format!("{shown} is not allowed: {key} is {}{quoted}", setting.allowed))
    }

    fn take_log(&mut self, url: String, log: OneLog) -> Result<(), String> {
        if !is_url(&url) {
            return Err(format!("{LOGS}: `{url}` is not {URL}"));
        }
        let (concurrency, timeout, request) = (CONCURRENCY, TIMEOUT_SECONDS, REQUEST_BYTES);
        for (key, allowed, is_allowed) in [
            ("read_url", URL.to_owned(), log.read_url.as_deref().is_none_or(is_url)),
            ("concurrency", a_number(&concurrency), log.concurrency.is_none_or(|n| concurrency.contains(&n))),
            ("timeout_seconds", a_number(&timeout), log.timeout_seconds.is_none_or(|n| timeout.contains(&n))),
            (
                "max_request_bytes",
                a_number(&request),
                log.max_request_bytes.is_none_or(|n| request.contains(&n)),
            ),
        ] {
            if !is_allowed {
                return Err(format!("{LOGS}: {key} of `{url}` is {allowed}"));
            }
        }
        self.logs.insert(url, log);
        Ok(())
    }

    fn take_tenant(&mut self, name: &str, logs: LogConfig) -> Result<(), String> {
        let tenant = TenantId::from_str(name)
            .map_err(|_| format!("{TENANTS}: `{name}` is no tenant: it is {TENANT}"))?;
        if logs.log_read_url.as_deref().is_some_and(|url| !is_url(url)) {
            return Err(format!("{TENANTS}: log_read_url of `{name}` is {URL}"));
        }
        if logs.signing_config.is_none() && (logs.trusted_root.is_some() || logs.log_read_url.is_some()) {
            return Err(format!("{TENANTS}: signing_config of `{name}` has to say which log to write to"));
        }
        self.tenants.insert(tenant, logs);
        Ok(())
    }

    /// Takes what the environment says; a variable that is empty says nothing.
    fn take_environment(&mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), String> {
        for setting in SETTINGS.iter().filter(|setting| setting.key != DATABASE_URL) {
            let name = format!("PROVEX_{}", setting.key.to_ascii_uppercase());
            let Some(value) = variable(&name).filter(|value| !value.is_empty()) else { continue };
            let taken = value.to_str().and_then(|text| (setting.set)(self, text));
            taken.ok_or_else(|| {
                format!("{name}={} is not allowed: it is {}", value.to_string_lossy(), setting.allowed)
            })?;
            if setting.key == "database_url_file" {
                // One names the database, and the environment wins.
                self.database_url = None;
            }
        }
        Ok(())
    }

    /// The tenant that was named, else the configured one, else `default`.
    pub(crate) fn tenant(&self, named: Option<&TenantId>) -> TenantId {
        named.or(self.tenant.as_ref()).cloned().unwrap_or_else(TenantId::default_tenant)
    }

    /// What one statement is about: as the call says, else as configured, else a document.
    pub(crate) fn unit(&self, args: UnitArgs) -> Result<Unit, Failure> {
        let name = args.unit.or(self.unit).unwrap_or(UnitName::Document);
        if args.batch_size.is_some() && name != UnitName::Batch {
            return Err(Failure::call("--batch-size goes with --unit batch"));
        }
        let given = args.batch_size.and_then(|size| NonZeroUsize::new(size.into()));
        Ok(match name {
            UnitName::Document => Unit::Document,
            UnitName::Observation => Unit::Observation,
            UnitName::Batch => Unit::Batch(given.or(self.batch_size).unwrap_or(MAX_BATCH)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::NoLog;

    fn read(text: &str) -> Result<Config, (usize, String)> {
        let mut config = Config::default();
        config.take_file(text.as_bytes()).map(|()| config)
    }

    fn full() -> Config {
        Config {
            tenant: Some(TenantId::default_tenant()),
            max_document_bytes: Some(157_286_400),
            unit: Some(UnitName::Document),
            batch_size: Some(MAX_BATCH),
            database_wait_seconds: Some(60),
            database_url: Some("postgres://provex@db.example/provex?sslmode=verify-full".to_owned()),
            database_url_file: Some("database-url".into()),
            database_connections: NonZeroU32::new(10),
            signing_config: Some("rekor/signing_config.json".into()),
            trusted_root: Some("rekor/trusted_root.json".into()),
            log_read_url: Some("https://tiles.example".to_owned()),
            log_concurrency: Some(256),
            log_timeout_seconds: Some(30),
            log_tls_roots: Some("ca.pem".into()),
            logs: logs(),
            tenants: tenants(),
        }
    }

    fn logs() -> BTreeMap<String, OneLog> {
        let log = OneLog {
            read_url: Some("https://2026.tiles.example".to_owned()),
            max_request_bytes: Some(1 << 20),
            ..OneLog::default()
        };
        BTreeMap::from([("https://2026.log.example".to_owned(), log)])
    }

    fn tenants() -> BTreeMap<TenantId, LogConfig> {
        let secret = LogConfig { log: Some(NoLog::None), ..LogConfig::default() };
        let acme = LogConfig {
            signing_config: Some("acme.json".into()),
            trusted_root: Some("acme-root.json".into()),
            ..LogConfig::default()
        };
        BTreeMap::from([("secret".parse().unwrap(), secret), ("acme".parse().unwrap(), acme)])
    }

    #[test]
    fn every_documented_key_is_taken_and_no_other() {
        let uncommented: String = EXAMPLE
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.contains(" = "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(read(&uncommented), Ok(full()));
        assert_eq!(uncommented.lines().count(), SETTINGS.len() + 2);
        assert_eq!(read(EXAMPLE), Ok(Config::default()));
    }

    #[test]
    fn what_is_not_allowed_is_told_with_its_line_and_key() {
        for (text, line, says) in [
            ("\ncolour = \"x\"", 2, "there is no setting `colour`; there are batch_size"),
            ("tenants = \"x\"", 1, "tenants: "),
            ("tenants = { a = { colour = 1 } }", 1, "tenants: unknown field `colour`"),
            (
                "tenants = { Acme = { log = \"none\" } }",
                1,
                "tenants: `Acme` is no tenant: it is 1 to 63 of a-z",
            ),
            (
                "tenants = { a = { trusted_root = \"r.json\" } }",
                1,
                "tenants: signing_config of `a` has to say which log to write to",
            ),
            (
                "tenants = { a = { signing_config = \"s.json\", log_read_url = \"tiles\" } }",
                1,
                "tenants: log_read_url of `a` is an http or https URL",
            ),
            ("logs = 5", 1, "logs: "),
            ("[logs.\"log.example\"]", 1, "logs: `log.example` is not an http or https URL"),
            ("\n[logs.\"https://a\"]\nread = 1", 2, "logs: unknown field `read`"),
            (
                "[logs.\"https://a\"]\nread_url = \"b\"",
                1,
                "logs: read_url of `https://a` is an http or https URL",
            ),
            (
                "[logs.\"https://a\"]\nconcurrency = 0",
                1,
                "logs: concurrency of `https://a` is a number from 1 to 10000",
            ),
            ("[logs.\"https://a\"]\ntimeout_seconds = 3601", 1, "a number from 1 to 3600"),
            ("[logs.\"https://a\"]\nmax_request_bytes = -1", 1, "logs: invalid value: integer `-1`"),
            ("[logs.\"https://a\"]\nmax_request_bytes = 0", 1, "a number from 1 to 67108864"),
            ("log_read_url = \"not a url\"", 1, "log_read_url is an http or https URL, in quotes"),
            ("database_url_file = \"\"", 1, "database_url_file is a path, in quotes"),
            (
                "unit = \"batch\"\nbatch_size = 0",
                2,
                "`batch_size = 0` is not allowed: batch_size is a number from 1 to 256",
            ),
            ("batch_size = 257", 1, "batch_size = 257"),
            ("batch_size = -1", 1, "batch_size = -1"),
            ("batch_size = \"12\"", 1, "`batch_size = \"12\"` is not allowed"),
            ("max_document_bytes = 0", 1, "max_document_bytes is a number from 1 to 536870912"),
            ("database_wait_seconds = 1.5", 1, "database_wait_seconds = 1.5"),
            ("tenant = 5", 1, "`tenant = 5` is not allowed: tenant is 1 to 63 of"),
            ("tenant = \"Not\"", 1, "tenant = \"Not\""),
            (
                "database_url = [\"postgres://u:hush@h/x\"]",
                1,
                "its value is not allowed: database_url is the URL",
            ),
            ("\n\nunit = \"file\"", 3, "unit is document, observation or batch, in quotes"),
            ("[unit]\nbatch_size = 3", 1, "`[unit]` is not allowed"),
            ("unit = \"batch\"\nunit = \"batch\"", 2, "duplicate key"),
            ("\nunit = batch", 2, "it is no TOML"),
        ] {
            let (found, reason) = read(text).unwrap_err();
            assert!(found == line && reason.contains(says), "{text:?}: line {found}: {reason}");
            assert!(!reason.contains('\n') && !reason.contains("hush"), "{reason:?}");
        }
        let not_text = Config::default().take_file(b"\n# caf\xe9\n").unwrap_err();
        assert_eq!(not_text, (2, "it is not UTF-8".to_owned()));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let variables = |values: &'static [(&str, &str)]| {
            move |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        let mut config = read("batch_size = 3\nunit = \"observation\"").unwrap();
        let all = variables(&[
            ("PROVEX_BATCH_SIZE", "256"),
            ("PROVEX_DATABASE_CONNECTIONS", "10"),
            ("PROVEX_DATABASE_URL_FILE", "database-url"),
            ("PROVEX_DATABASE_WAIT_SECONDS", "60"),
            ("PROVEX_LOG_CONCURRENCY", "256"),
            ("PROVEX_LOG_READ_URL", "https://tiles.example"),
            ("PROVEX_LOG_TIMEOUT_SECONDS", "30"),
            ("PROVEX_LOG_TLS_ROOTS", "ca.pem"),
            ("PROVEX_MAX_DOCUMENT_BYTES", "157286400"),
            ("PROVEX_SIGNING_CONFIG", "rekor/signing_config.json"),
            ("PROVEX_TENANT", "default"),
            ("PROVEX_TRUSTED_ROOT", "rekor/trusted_root.json"),
            ("PROVEX_UNIT", "document"),
        ]);
        config.take_environment(all).unwrap();
        let expected =
            Config { database_url: None, logs: BTreeMap::new(), tenants: BTreeMap::new(), ..full() };
        assert_eq!(config, expected);
        config.take_environment(variables(&[("PROVEX_UNIT", "")])).unwrap();
        assert_eq!(config, expected, "an empty variable says nothing");
        for (bad, says) in [
            (
                &[("PROVEX_BATCH_SIZE", "0")],
                "PROVEX_BATCH_SIZE=0 is not allowed: it is a number from 1 to 256",
            ),
            (
                &[("PROVEX_UNIT", "Batch")],
                "PROVEX_UNIT=Batch is not allowed: it is document, observation or batch",
            ),
        ] {
            let found = config.take_environment(variables(bad)).unwrap_err();
            assert_eq!(found, says);
        }
    }
}

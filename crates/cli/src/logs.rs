//! Which logs and which timestamp authority a tenant's statements go to: as the call says, else as `provex.toml` does,
//! else the data folder's own log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use provex_core::trusted_root::{Service, ServiceSelection, SigningConfig, TrustedLog, TrustedRoot};
use provex_pipeline::environment::Environment as _;
use provex_pipeline::{LogLine, Pipeline};
use provex_tlog::TransparencyLog;
use provex_tlog::rekor_v2::{RekorV2, RekorV2Config, RekorV2Limits};
use provex_tlog::tsa::TsaClient;

use crate::args::LogArgs;
use crate::data::{self, DataFolder};
use crate::environment::System;
use crate::failure::Failure;
use crate::signatures::AwsLc;

/// The API version of the logs that are written to.
const VERSIONS: [u32; 1] = [2];

/// Where statements go, and what is trusted of what comes back.
pub(crate) struct Logs {
    /// The logs to write to, the preferred one first; in words, why there is none now.
    pub(crate) chosen: Result<Vec<LogLine>, String>,
    /// Whether there is none because that is what is configured.
    pub(crate) off: bool,
    /// Whether that is the data folder's own.
    pub(crate) own: bool,
    /// Every log that can be read: answers may be of one that is not written to any more.
    pub(crate) known: Vec<Arc<dyn TransparencyLog>>,
    /// Who says when, if anybody is configured; in words, why he cannot be asked now.
    pub(crate) authority: Result<Option<Arc<TsaClient>>, String>,
    /// The folder's trusted root and the configured one.
    pub(crate) trusted_root: TrustedRoot,
    /// The file that whoever verifies new proofs needs.
    pub(crate) root_path: PathBuf,
}

/// What `provex.toml` says of logs, for the folder or for one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `none`: statements are signed and kept, and go to no log.
    pub(crate) log: Option<NoLog>,
    /// A Sigstore signing config, relative to the data folder.
    pub(crate) signing_config: Option<PathBuf>,
    /// The trusted root that knows its logs and authorities.
    pub(crate) trusted_root: Option<PathBuf>,
    /// Where the tiles of its one log are served, if elsewhere.
    pub(crate) log_read_url: Option<String>,
}

/// The one value of `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NoLog {
    /// No log.
    None,
}

/// How logs are reached, for all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Certificates (PEM) in the place of the operating system's.
    pub(crate) tls_roots: Option<PathBuf>,
    /// Submissions under way at once.
    pub(crate) concurrency: Option<u16>,
    /// Seconds that an answer may take.
    pub(crate) timeout: Option<u16>,
    /// What is said of single logs, by their URL.
    pub(crate) logs: BTreeMap<String, OneLog>,
}

/// What `provex.toml` says of one log, in place of what it says of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneLog {
    /// Where its checkpoint and tiles are served.
    pub(crate) read_url: Option<String>,
    /// Submissions under way at once.
    pub(crate) concurrency: Option<u16>,
    /// Seconds that an answer may take.
    pub(crate) timeout_seconds: Option<u16>,
    /// The longest request that it takes.
    pub(crate) max_request_bytes: Option<u32>,
}

impl Reach {
    fn one(&self, url: &str) -> OneLog {
        let same = |(known, _): &(&String, &OneLog)| is_same(known, url);
        self.logs.iter().find(same).map(|(_, log)| log.clone()).unwrap_or_default()
    }

    fn limits(&self, log: &OneLog) -> RekorV2Limits {
        let limits = RekorV2Limits::default();
        RekorV2Limits {
            concurrency: log.concurrency.or(self.concurrency).map_or(limits.concurrency, usize::from),
            timeout: log.timeout_seconds.map_or(self.timeout(), |s| Duration::from_secs(s.into())),
            max_request: log.max_request_bytes.map_or(limits.max_request, |bytes| bytes as usize),
            ..limits
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout.map_or(RekorV2Limits::default().timeout, |seconds| Duration::from_secs(seconds.into()))
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

impl Logs {
    /// The logs of this tenant.
    pub(crate) fn open(folder: &DataFolder, pipeline: &Pipeline, args: &LogArgs) -> Result<Self, Failure> {
        let configured = folder.config.log_of(&pipeline.tenant);
        let named = args.signing_config.is_some() || args.trusted_root.is_some();
        if configured.log == Some(NoLog::None) {
            // What was logged cannot be taken back, so that no flag says it in passing.
            if named {
                return Err(Failure::call(format!(
                    "statements of the tenant {} go to no log (`log = \"none\"` in provex.toml), and no flag changes \
                     that: take the line out, or leave --signing-config away",
                    pipeline.tenant
                )));
            }
            return Ok(Self { off: true, ..Self::none(folder, pipeline) });
        }
        let within = |path: &Option<PathBuf>| path.as_ref().map(|path| folder.path().join(path));
        let signing_config = args.signing_config.clone().or_else(|| within(&configured.signing_config));
        let Some(signing_config) = signing_config else {
            if named || args.log_read_url.is_some() {
                return Err(Failure::call("--signing-config FILE has to say which log to write to"));
            }
            let mut logs = Self::own(folder, pipeline)?;
            if let Some(path) = within(&configured.trusted_root) {
                logs.trusted_root.add(read_root(&path)?);
            }
            return Ok(logs);
        };
        let root_path = args.trusted_root.clone().or_else(|| within(&configured.trusted_root));
        let root_path = root_path.unwrap_or_else(|| folder.path().join("trusted_root.json"));
        let config = SigningConfig::parse(&data::read(&signing_config)?).map_err(|error| {
            Failure::Call(anyhow::Error::new(error).context(signing_config.display().to_string()))
        })?;
        let root = read_root(&root_path)?;
        let mut logs = Self::none(folder, pipeline);
        let own = logs.known.first().cloned();
        let (reach, tls_roots) = (folder.reach(), tls_roots(folder)?);
        let read_url = ReadUrl::of(args, &configured, &config, &reach)?;
        let clients = Clients { root: &root, own, read_url, reach, tls_roots };
        let readable = clients.readable(&config)?;
        logs.chosen = clients.chosen(&config, &readable)?;
        logs.known.retain(|own| readable.iter().all(|log| log.identity().id != own.identity().id));
        logs.known.extend(readable);
        let first = logs.chosen.as_ref().ok().and_then(|lines| lines.first());
        logs.own = clients.own.as_ref().zip(first).is_some_and(|(own, first)| Arc::ptr_eq(own, first.log()));
        logs.authority = clients.authority(&config).map_err(|reason| format!("{reason:#}"));
        // Without the time that is configured, nothing is linked.
        if let Err(reason) = &logs.authority {
            logs.chosen = Err(reason.clone());
        }
        logs.trusted_root.add(root);
        logs.root_path = root_path;
        Ok(logs)
    }

    /// The logs of this tenant while what is configured cannot be used, for this reason: nothing is sent, and since nobody
    /// knows whether a time is wanted, nothing is linked.
    pub(crate) fn unusable(folder: &DataFolder, pipeline: &Pipeline, reason: String) -> Self {
        let (chosen, authority) = (Err(reason.clone()), Err(reason));
        Self { chosen, authority, ..Self::none(folder, pipeline) }
    }

    /// The origin of the log that is written to.
    pub(crate) fn name(&self) -> String {
        let first = self.chosen.as_ref().ok().and_then(|lines| lines.first());
        first.map_or_else(|| "no log".to_owned(), |line| line.log().identity().origin().to_owned())
    }

    /// Nothing is written; what the folder's own log has answered can still be linked.
    fn none(folder: &DataFolder, pipeline: &Pipeline) -> Self {
        Self {
            chosen: Err("this tenant's statements go to no log (`log = \"none\"` in provex.toml)".to_owned()),
            off: false,
            own: false,
            // A folder that writes elsewhere does without its own.
            known: folder.log(pipeline).into_iter().collect(),
            authority: Ok(None),
            trusted_root: folder.trusted_root.clone(),
            root_path: folder.path().join("trusted_root.json"),
        }
    }

    /// The data folder's own log.
    fn own(folder: &DataFolder, pipeline: &Pipeline) -> Result<Self, Failure> {
        let log = folder.log(pipeline)?;
        let chosen = Ok(vec![LogLine::new(Arc::clone(&log))]);
        Ok(Self { chosen, own: true, known: vec![log], ..Self::none(folder, pipeline) })
    }
}

/// Where tiles are, said without the log that they are of: there has to be but one.
struct ReadUrl {
    /// The log's URL.
    log: String,
    tiles: String,
}

impl ReadUrl {
    /// What the call says, else `provex.toml` for tenant or folder, where that says nothing of the very log.
    fn of(
        args: &LogArgs,
        configured: &LogConfig,
        config: &SigningConfig,
        reach: &Reach,
    ) -> Result<Option<Self>, Failure> {
        let (said, tiles) = match (&args.log_read_url, &configured.log_read_url) {
            (Some(tiles), _) => ("--log-read-url", tiles),
            (None, Some(tiles)) => ("log_read_url", tiles),
            (None, None) => return Ok(None),
        };
        let is_free = |url: &str| args.log_read_url.is_some() || reach.one(url).read_url.is_none();
        let urls = |services: &mut dyn Iterator<Item = &'_ Service>| -> BTreeSet<String> {
            let urls = services.map(|service| service.url.trim_end_matches('/').to_owned());
            urls.collect()
        };
        let mut logs = urls(&mut config.open_logs(&VERSIONS, System.now()));
        if logs.is_empty() {
            logs = urls(&mut config.rekor_tlog_urls.iter());
        } else if logs.len() > 1 && logs.iter().any(|url| is_free(url)) {
            let named: Vec<_> = logs.iter().map(String::as_str).collect();
            return Err(Failure::call(format!(
                "{said} says where the tiles of one log are, and the signing config names several that may be used now \
                 ({}): say it of each in provex.toml, as in `[logs.\"{}\"]` and `read_url = \"{tiles}\"`",
                named.join(", "),
                named[0]
            )));
        }
        let mut logs = logs.into_iter();
        let (Some(log), None) = (logs.next(), logs.next()) else { return Ok(None) };
        Ok(is_free(&log).then(|| Self { log, tiles: tiles.clone() }))
    }
}

/// What clients are made of.
struct Clients<'a> {
    root: &'a TrustedRoot,
    /// The data folder's own log, which a signing config may name, too: to have its statements timestamped.
    own: Option<Arc<dyn TransparencyLog>>,
    read_url: Option<ReadUrl>,
    reach: Reach,
    tls_roots: Option<Vec<u8>>,
}

impl Clients<'_> {
    /// The logs to write to now; in words, why there is none.
    fn chosen(
        &self,
        config: &SigningConfig,
        readable: &[Arc<dyn TransparencyLog>],
    ) -> Result<Result<Vec<LogLine>, String>, Failure> {
        let now = System.now();
        let services = match config.logs(&VERSIONS, now) {
            Ok(services) => services,
            Err(error) => return Ok(Err(error.to_string())),
        };
        one_of(config.rekor_tlog_config.as_ref(), services.len(), "logs; provex writes to one")
            .map_err(Failure::call)?;
        let mut lines = Vec::new();
        for service in services {
            let identity = self.root.log_at(&service.url, now);
            let log = identity.and_then(|log| readable.iter().find(|known| known.identity().id == log.id));
            match log {
                Some(log) => lines.push(LogLine::new(Arc::clone(log))),
                None if lines.is_empty() => {
                    return Ok(Err(format!(
                        "the trusted root knows no log of {} whose key is valid now",
                        service.url
                    )));
                }
                None => {}
            }
        }
        Ok(Ok(lines))
    }

    /// Every log that the root knows, whatever the windows, at the URL that the config has for it, else at its own: what a
    /// log answered before its end is linked after it, too.
    fn readable(&self, config: &SigningConfig) -> Result<Vec<Arc<dyn TransparencyLog>>, Failure> {
        let services =
            config.rekor_tlog_urls.iter().filter(|service| VERSIONS.contains(&service.major_api_version));
        let named =
            services.flat_map(|service| self.root.logs_at(&service.url).map(|log| (&service.url, log)));
        let mut logs: Vec<Arc<dyn TransparencyLog>> = Vec::new();
        for (url, identity) in named.chain(self.root.logs.iter().map(|log| (&log.base_url, log))) {
            if logs.iter().all(|known| known.identity().id != identity.id) {
                logs.push(self.log(url, identity)?);
            }
        }
        Ok(logs)
    }

    fn log(&self, url: &str, identity: &TrustedLog) -> Result<Arc<dyn TransparencyLog>, Failure> {
        if let Some(own) = self.own.as_ref().filter(|own| own.identity().id == identity.id) {
            return Ok(Arc::clone(own));
        }
        let log = self.reach.one(url);
        let given = self.read_url.as_ref().filter(|given| is_same(&given.log, url));
        let limits = self.reach.limits(&log);
        let config = RekorV2Config {
            url: url.to_owned(),
            read_url: given.map(|given| given.tiles.clone()).or(log.read_url),
            identity: identity.clone(),
            signatures: Arc::new(AwsLc),
            tls_roots: self.tls_roots.clone(),
            limits,
        };
        Ok(Arc::new(RekorV2::new(config).map_err(Failure::call)?))
    }

    fn authority(&self, config: &SigningConfig) -> Result<Option<Arc<TsaClient>>, anyhow::Error> {
        let services = config.timestamp_authorities(System.now())?;
        let Some(service) = services.first() else { return Ok(None) };
        one_of(config.tsa_config.as_ref(), services.len(), "timestamp authorities; provex asks one")
            .map_err(anyhow::Error::msg)?;
        let authorities = self.root.timestamp_authorities.clone();
        if authorities.is_empty() {
            return Err(anyhow!(
                "the signing config names the timestamp authority {}, and the trusted root names none",
                service.url
            ));
        }
        let timeout = self.reach.timeout();
        let client = TsaClient::new(&service.url, authorities, self.tls_roots.as_deref(), timeout);
        Ok(Some(Arc::new(client.with_context(|| service.url.clone())?)))
    }
}

pub(crate) fn read_root(path: &Path) -> Result<TrustedRoot, Failure> {
    TrustedRoot::parse(&data::read(path)?)
        .map_err(|error| Failure::Call(anyhow::Error::new(error).context(path.display().to_string())))
}

/// Refuses a selection of more than one of so many services that may be used.
fn one_of(selection: Option<&ServiceSelection>, usable: usize, what: &str) -> Result<(), String> {
    let wanted = selection.map_or(1, |selection| match selection.selector.as_str() {
        "ALL" => usable,
        "EXACT" => selection.count as usize,
        _ => 1,
    });
    if wanted > 1 { Err(format!("the signing config asks for {wanted} {what}")) } else { Ok(()) }
}

fn tls_roots(folder: &DataFolder) -> Result<Option<Vec<u8>>, Failure> {
    let path = folder.reach().tls_roots.map(|path| folder.path().join(path));
    Ok(path.as_deref().map(|path: &Path| data::read(path)).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(url: &str, end: &str) -> String {
        let window = format!(r#"{{"start": "2020-01-01T00:00:00Z", "end": "{end}"}}"#);
        format!(r#"{{"url": "{url}", "majorApiVersion": 2, "validFor": {window}}}"#)
    }

    /// The log whose tiles are at the read URL that flag or setting names, among these logs of a signing config.
    fn log_of(flag: bool, services: &[String], with_own: &[&str]) -> Result<Option<String>, String> {
        let config = format!(
            r#"{{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogUrls": [{}]}}"#,
            services.join(", ")
        );
        let config = SigningConfig::parse(config.as_bytes()).unwrap();
        let own = OneLog { read_url: Some("https://own".to_owned()), ..OneLog::default() };
        let logs = with_own.iter().map(|url| ((*url).to_owned(), own.clone())).collect();
        let tiles = Some("https://tiles".to_owned());
        let (args, configured) = if flag {
            (LogArgs { log_read_url: tiles, ..LogArgs::default() }, LogConfig::default())
        } else {
            (LogArgs::default(), LogConfig { log_read_url: tiles, ..LogConfig::default() })
        };
        let found = ReadUrl::of(&args, &configured, &config, &Reach { logs, ..Reach::default() });
        found.map(|found| found.map(|found| found.log)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_read_url_without_its_log_is_of_the_one_that_may_be_used() {
        const OPEN: &str = "9999-01-01T00:00:00Z";
        const OVER: &str = "2021-01-01T00:00:00Z";
        let (one, other) = (service("https://a/", OPEN), service("https://b", OPEN));
        let over = service("https://c", OVER);
        let a = || Ok(Some("https://a".to_owned()));
        for flag in [true, false] {
            assert_eq!(log_of(flag, &[over.clone(), one.clone()], &["https://c"]), a());
            assert_eq!(log_of(flag, std::slice::from_ref(&over), &[]), Ok(Some("https://c".to_owned())));
            assert_eq!(log_of(flag, &[over.clone(), service("https://d", OVER)], &[]), Ok(None));
            let several = log_of(flag, &[one.clone(), other.clone()], &["https://a"]).unwrap_err();
            assert!(several.contains("(https://a, https://b)"), "{several}");
        }
        // What the file says of the very log stands above what it says of all, and below what the call says.
        assert_eq!(log_of(false, std::slice::from_ref(&one), &["https://a"]), Ok(None));
        assert_eq!(log_of(true, std::slice::from_ref(&one), &["https://a"]), a());
        let both = [one, other];
        assert_eq!(log_of(false, &both, &["https://a", "https://b"]), Ok(None));
        assert!(log_of(true, &both, &["https://a", "https://b"]).is_err());
    }
}

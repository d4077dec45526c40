//! Sigstore trusted roots and signing configs (protobuf-specs `sigstore_trustroot.proto`): which logs are trusted
//! under which key, and which one to write to.
//!
//! Every media type in use is read; the oldest is written, since cosign and sigstore-go take no other.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest;
use crate::ids::LogId;
use crate::json::{self, ReadError};
use crate::keys::{KeyError, PublicKey};
use crate::note::NoteKey;
use crate::time::{TimeError, Timestamp};

const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];
const SIGNING_CONFIG_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// A trusted root: logs and timestamp authorities, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct TrustedRoot {
    /// The logs whose keys are of a kind that is supported.
    pub logs: Vec<TrustedLog>,
    /// The timestamp authorities.
    pub timestamp_authorities: Vec<TimestampAuthority>,
}

/// A timestamp authority that is trusted (RFC 3161).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampAuthority {
    /// What it is called: its subject's common name, else its URI.
    pub name: String,
    /// Its certificates in DER, the one that signs first, the root last. Never empty.
    pub chain: Vec<Vec<u8>>,
    /// From when on its tokens count; always, where absent.
    pub valid_from: Option<Timestamp>,
    /// Until when, inclusive; open where absent.
    pub valid_until: Option<Timestamp>,
    wire: AuthorityWire,
}

/// A log that is trusted.
#[derive(Debug, Clone)]
pub struct TrustedLog {
    /// Where it is, with scheme.
    pub base_url: String,
    /// Its id: the untruncated key id.
    pub id: LogId,
    /// Its key under its origin, the bare host of the URL.
    pub key: NoteKey,
    /// From when on its key is valid.
    pub valid_from: Timestamp,
    /// Until when, inclusive; open where absent.
    pub valid_until: Option<Timestamp>,
}

/// A file that is no trusted root.
#[derive(Debug, thiserror::Error)]
pub enum TrustedRootError {
    /// Not JSON of a trusted root's members.
    #[error("not a Sigstore trusted root")]
    Json(#[from] ReadError),
    /// Another media type.
    #[error("trusted root media type `{0}` is not known")]
    MediaType(String),
    /// A timestamp authority's entry that cannot be used.
    #[error("timestamp authority `{name}` in the trusted root: {reason}")]
    Authority {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A log's entry that cannot be used.
    #[error("log `{base_url}` in the trusted root: {reason}")]
    Log {
        /// The entry's URL.
        base_url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A file that is no signing config.
#[derive(Debug, thiserror::Error)]
pub enum SigningConfigError {
    /// Not JSON of a signing config's members.
    #[error("not a Sigstore signing config")]
    Json(#[from] ReadError),
    /// Another media type.
    #[error("signing config media type `{0}` is not known: `{SIGNING_CONFIG_MEDIA_TYPE}` is")]
    MediaType(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RootWire {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<LogWire>,
    #[serde(default)]
    certificate_authorities: Vec<serde_json::Value>,
    #[serde(default)]
    ctlogs: Vec<serde_json::Value>,
    #[serde(default)]
    timestamp_authorities: Vec<AuthorityWire>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<SubjectWire>,
    #[serde(default)]
    uri: String,
    cert_chain: ChainWire,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_for: Option<AuthorityWindowWire>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubjectWire {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    common_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ChainWire {
    certificates: Vec<CertificateWire>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateWire {
    raw_bytes: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AuthorityWindowWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogWire {
    base_url: String,
    hash_algorithm: String,
    public_key: KeyWire,
    log_id: KeyIdWire,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyWire {
    raw_bytes: String,
    key_details: String,
    valid_for: WindowWire,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WindowWire {
    start: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyIdWire {
    key_id: String,
}

impl TrustedRoot {
    /// Reads a trusted root. Logs with keys of other kinds than P-256 and Ed25519 are left out.
    ///
    /// # Errors
    /// [`TrustedRootError`] for other JSON, or a log whose members contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustedRootError> {
        let wire: RootWire = json::from_slice_strict(bytes)?;
        if !MEDIA_TYPES.contains(&wire.media_type.as_str()) {
            return Err(TrustedRootError::MediaType(wire.media_type));
        }
        let logs = wire.tlogs.iter().map(TrustedLog::from_wire).collect::<Result<Vec<_>, _>>()?;
        let authorities = wire.timestamp_authorities.into_iter().map(TimestampAuthority::from_wire);
        Ok(Self {
            logs: logs.into_iter().flatten().collect(),
            timestamp_authorities: authorities.collect::<Result<_, _>>()?,
        })
    }

    /// A trusted root of these logs alone.
    pub fn new(logs: Vec<TrustedLog>) -> Self {
        Self { logs, ..Self::default() }
    }

    /// Trusts what the other one trusts, too.
    pub fn add(&mut self, other: Self) {
        for log in other.logs {
            if self.log(&log.id).is_none() {
                self.logs.push(log);
            }
        }
        for authority in other.timestamp_authorities {
            if !self.timestamp_authorities.contains(&authority) {
                self.timestamp_authorities.push(authority);
            }
        }
    }

    /// The logs to expect behind a URL of a signing config, whenever their keys are valid: those of this very URL, else
    /// those of its host.
    pub fn logs_at(&self, url: &str) -> impl Iterator<Item = &TrustedLog> {
        let is_at = |log: &TrustedLog| log.base_url.trim_end_matches('/') == url.trim_end_matches('/');
        // A URL of its own is never another log's, not even when its key's time is over.
        let named = self.logs.iter().any(is_at);
        let host = host(url);
        self.logs.iter().filter(move |log| if named { is_at(log) } else { host == Some(log.origin()) })
    }

    /// The newest of them whose key is valid now.
    pub fn log_at(&self, url: &str, now: Timestamp) -> Option<&TrustedLog> {
        self.logs_at(url).filter(|log| log.is_valid_at(now)).max_by_key(|log| log.valid_from)
    }

    /// The file's text: two-space indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        let wire = RootWire {
            media_type: MEDIA_TYPES[0].to_owned(),
            tlogs: self.logs.iter().map(TrustedLog::to_wire).collect(),
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: self.timestamp_authorities.iter().map(|a| a.wire.clone()).collect(),
        };
        pretty(&wire)
    }

    /// The log of this id.
    pub fn log(&self, id: &LogId) -> Option<&TrustedLog> {
        self.logs.iter().find(|log| log.id == *id)
    }
}

impl TrustedLog {
    /// An embedded log: its origin is the host, its URL has no other part.
    pub fn embedded(origin: &str, key: PublicKey, valid_from: Timestamp) -> Self {
        let key = NoteKey::new(origin, key);
        let id = LogId::new(key.id);
        Self { base_url: format!("https://{origin}"), id, key, valid_from, valid_until: None }
    }

    /// The checkpoint origin: the bare host of the URL.
    pub fn origin(&self) -> &str {
        &self.key.name
    }

    /// Whether its key is valid at this time.
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        self.valid_from <= time && self.valid_until.is_none_or(|end| time <= end)
    }

    fn from_wire(wire: &LogWire) -> Result<Option<Self>, TrustedRootError> {
        let bad = |reason: String| TrustedRootError::Log { base_url: wire.base_url.clone(), reason };
        let host = host(&wire.base_url).ok_or_else(|| bad("the URL has no scheme and host".to_owned()))?;
        if wire.hash_algorithm != "SHA2_256" {
            return Err(bad(format!("hash algorithm `{}` is not SHA2_256", wire.hash_algorithm)));
        }
        let spki = digest::from_base64(&wire.public_key.raw_bytes).map_err(|e| bad(e.to_string()))?;
        let key = match PublicKey::from_spki_der(&spki) {
            Ok(key) => key,
            Err(KeyError::Unsupported) => return Ok(None),
            Err(error) => return Err(bad(error.to_string())),
        };
        if wire.public_key.key_details != key.algorithm().key_details() {
            return Err(bad(format!("`{}` is not the kind of its key", wire.public_key.key_details)));
        }
        let stated = digest::from_base64(&wire.log_id.key_id).map_err(|e| bad(e.to_string()))?;
        // Rekor v1 names a log by its SPKI, v2 and C2SP by name and key: for ECDSA both are the same. Four bytes are
        // a short form that v2 allows.
        let key = [NoteKey::new(host, key.clone()), NoteKey::rekor_v1(host, key)]
            .into_iter()
            .find(|key| key.id.as_bytes().as_slice() == stated || key.key_id() == *stated)
            .ok_or_else(|| bad("the log id is not that of its key and host".to_owned()))?;
        let time = |text: &str| Timestamp::parse(text).map_err(|e: TimeError| bad(e.to_string()));
        Ok(Some(Self {
            base_url: wire.base_url.clone(),
            id: LogId::new(key.id),
            key,
            valid_from: time(&wire.public_key.valid_for.start)?,
            valid_until: wire.public_key.valid_for.end.as_deref().map(time).transpose()?,
        }))
    }

    fn to_wire(&self) -> LogWire {
        LogWire {
            base_url: self.base_url.clone(),
            hash_algorithm: "SHA2_256".to_owned(),
            public_key: KeyWire {
                raw_bytes: digest::base64(self.key.key.spki_der()),
                key_details: self.key.key.algorithm().key_details().to_owned(),
                valid_for: WindowWire {
                    start: whole_seconds(self.valid_from),
                    end: self.valid_until.map(whole_seconds),
                },
            },
            log_id: KeyIdWire { key_id: self.id.digest().to_base64() },
        }
    }
}

impl TimestampAuthority {
    fn from_wire(wire: AuthorityWire) -> Result<Self, TrustedRootError> {
        let subject = wire.subject.as_ref().map(|subject| subject.common_name.clone());
        let name = subject.filter(|name| !name.is_empty()).unwrap_or_else(|| wire.uri.clone());
        let bad = |reason: String| TrustedRootError::Authority { name: name.clone(), reason };
        let certificates = wire.cert_chain.certificates.iter();
        let chain = certificates
            .map(|certificate| digest::from_base64(&certificate.raw_bytes).map_err(|e| bad(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err(bad("it has no certificate".to_owned()));
        }
        let window = wire.valid_for.as_ref();
        let time = |text: Option<&String>| {
            text.map(|text| Timestamp::parse(text).map_err(|e: TimeError| bad(e.to_string()))).transpose()
        };
        let valid_from = time(window.and_then(|window| window.start.as_ref()))?;
        let valid_until = time(window.and_then(|window| window.end.as_ref()))?;
        Ok(Self { name, chain, valid_from, valid_until, wire })
    }
}

/// A signing config v0.2: where to write.
///
/// Read as proto3 JSON has it: a member that is absent or null has its default, names may be those of the schema, numbers
/// may be texts and enums numbers. A member that the schema does not know is refused, as sigstore-go does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SigningConfig {
    #[serde(alias = "media_type", deserialize_with = "or_default")]
    media_type: String,
    #[serde(alias = "ca_urls", deserialize_with = "or_default")]
    ca_urls: Vec<Service>,
    #[serde(alias = "oidc_urls", deserialize_with = "or_default")]
    oidc_urls: Vec<Service>,
    /// The logs.
    #[serde(alias = "rekor_tlog_urls", deserialize_with = "or_default")]
    pub rekor_tlog_urls: Vec<Service>,
    /// The timestamp authorities.
    #[serde(alias = "tsa_urls", deserialize_with = "or_default")]
    pub tsa_urls: Vec<Service>,
    /// How many of the logs to write to.
    #[serde(alias = "rekor_tlog_config")]
    pub rekor_tlog_config: Option<ServiceSelection>,
    /// How many of the timestamp authorities to ask.
    #[serde(alias = "tsa_config")]
    pub tsa_config: Option<ServiceSelection>,
}

/// A service of a signing config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Service {
    /// Its base URL.
    #[serde(deserialize_with = "or_default")]
    pub url: String,
    /// The major version of its API.
    #[serde(alias = "major_api_version", deserialize_with = "number")]
    pub major_api_version: u32,
    /// When it may be used.
    #[serde(alias = "valid_for", deserialize_with = "or_default")]
    pub valid_for: ServiceWindow,
    /// Who runs it.
    #[serde(deserialize_with = "or_default")]
    pub operator: String,
}

/// When a service may be used: RFC 3339 texts, inclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceWindow {
    /// From; always, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Until; open where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// How many services to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSelection {
    /// `ANY`, `ALL` or `EXACT`.
    #[serde(deserialize_with = "selector")]
    pub selector: String,
    /// With `EXACT`: how many.
    #[serde(deserialize_with = "number", skip_serializing_if = "is_zero")]
    pub count: u32,
}

impl Default for ServiceSelection {
    fn default() -> Self {
        Self { selector: SELECTORS[0].to_owned(), count: 0 }
    }
}

/// The schema's `ServiceSelector`, by number.
const SELECTORS: [&str; 4] = ["SERVICE_SELECTOR_UNDEFINED", "ALL", "ANY", "EXACT"];

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A number, or a text; null is neither.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u32),
    Text(String),
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match Option::deserialize(from)? {
        None => Ok(0),
        Some(Scalar::Number(number)) => Ok(number),
        Some(Scalar::Text(text)) => text.parse().map_err(D::Error::custom),
    }
}

fn selector<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Option::deserialize(from)?.unwrap_or(Scalar::Number(0)) {
        Scalar::Number(number) => {
            SELECTORS.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned())
        }
        Scalar::Text(name) => name,
    })
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ServiceWindow {
    fn start(&self) -> Result<Option<Timestamp>, TimeError> {
        self.start.as_deref().map(Timestamp::parse).transpose()
    }

    fn holds(&self, now: Timestamp) -> Result<bool, TimeError> {
        let end = self.end.as_deref().map(Timestamp::parse).transpose()?;
        Ok(self.start()?.is_none_or(|start| start <= now) && end.is_none_or(|end| now <= end))
    }
}

impl SigningConfig {
    /// The config that writes to one embedded log.
    pub fn embedded(log: &TrustedLog) -> Self {
        let service = Service {
            url: log.base_url.clone(),
            major_api_version: 2,
            valid_for: ServiceWindow { start: Some(whole_seconds(log.valid_from)), end: None },
            operator: log.origin().to_owned(),
        };
        Self {
            media_type: SIGNING_CONFIG_MEDIA_TYPE.to_owned(),
            ca_urls: Vec::new(),
            oidc_urls: Vec::new(),
            rekor_tlog_urls: vec![service],
            tsa_urls: Vec::new(),
            rekor_tlog_config: Some(ServiceSelection { selector: "ANY".to_owned(), count: 0 }),
            tsa_config: Some(ServiceSelection { selector: "ANY".to_owned(), count: 0 }),
        }
    }

    /// Reads a signing config v0.2.
    ///
    /// # Errors
    /// [`SigningConfigError`] for other JSON or another media type.
    pub fn parse(bytes: &[u8]) -> Result<Self, SigningConfigError> {
        let config: Self = json::from_slice_strict(bytes)?;
        if config.media_type == SIGNING_CONFIG_MEDIA_TYPE {
            Ok(config)
        } else {
            Err(SigningConfigError::MediaType(config.media_type))
        }
    }

    /// The file's text: two-space indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// The logs to write to now, the preferred one first: of the newest API version among `versions` that has any, one
    /// for each operator.
    ///
    /// # Errors
    /// [`SelectionError`] where there is none now, or fewer than the config asks for.
    pub fn logs(&self, versions: &[u32], now: Timestamp) -> Result<Vec<&Service>, SelectionError> {
        select("log", &self.rekor_tlog_urls, self.rekor_tlog_config.as_ref(), versions, now)
    }

    /// Every log that may be used now, in the order of the file. A window that cannot be read is open to nobody.
    pub fn open_logs(&self, versions: &[u32], now: Timestamp) -> impl Iterator<Item = &Service> {
        self.rekor_tlog_urls.iter().filter(move |service| {
            versions.contains(&service.major_api_version) && service.valid_for.holds(now) == Ok(true)
        })
    }

    /// The timestamp authorities to ask now, the preferred one first; none where the config names none.
    ///
    /// # Errors
    /// [`SelectionError`] where some are named, and none can be used now.
    pub fn timestamp_authorities(&self, now: Timestamp) -> Result<Vec<&Service>, SelectionError> {
        if self.tsa_urls.is_empty() {
            return Ok(Vec::new());
        }
        select("timestamp authority", &self.tsa_urls, self.tsa_config.as_ref(), &[1], now)
    }
}

/// Why a signing config names nothing to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Nothing of that kind is valid now.
    #[error("the signing config names no {what} of API version {versions:?} that may be used now{}", ended(.known))]
    None {
        /// What was looked for.
        what: &'static str,
        /// The versions that can be used.
        versions: Vec<u32>,
        /// Those there are, with their windows.
        known: Vec<String>,
    },
    /// Fewer operators than asked for.
    #[error("the signing config asks for {wanted} of its {what}s, and {found} may be used now")]
    TooFew {
        /// What was looked for.
        what: &'static str,
        /// How many it wants.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// A window that is none, or a selector that is not known.
    #[error("the signing config's {what}: {reason}")]
    Unreadable {
        /// What it is of.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

fn ended(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) }
}

/// Chooses services as Sigstore clients do (protobuf-specs `sigstore_trustroot.proto`, `ServiceSelector`).
fn select<'a>(
    what: &'static str,
    services: &'a [Service],
    selection: Option<&ServiceSelection>,
    versions: &[u32],
    now: Timestamp,
) -> Result<Vec<&'a Service>, SelectionError> {
    let unreadable = |reason: String| SelectionError::Unreadable { what, reason };
    let wanted = match selection {
        None => 1,
        Some(ServiceSelection { selector, count }) => match (selector.as_str(), count) {
            ("ANY" | "ALL", _) => 1,
            ("EXACT", count @ 1..) => *count as usize,
            _ => return Err(unreadable(format!("selector `{selector}` is not known"))),
        },
    };
    let mut usable = Vec::new();
    for service in services {
        let window = &service.valid_for;
        let read = window.start().and_then(|start| Ok((start, window.holds(now)?)));
        let (start, open) = read.map_err(|error| unreadable(format!("{}: {error}", service.url)))?;
        if open && versions.contains(&service.major_api_version) {
            usable.push((std::cmp::Reverse((service.major_api_version, start)), service));
        }
    }
    // Stable: what the file names first comes first among equals.
    usable.sort_by_key(|(order, _)| *order);
    let mut selected: Vec<&Service> = Vec::new();
    for (_, service) in usable {
        let same_version = selected.first().is_none_or(|s| s.major_api_version == service.major_api_version);
        if same_version && selected.iter().all(|s| s.operator != service.operator) {
            selected.push(service);
        }
    }
    match selected.len() {
        0 => {
            let window = |s: &Service| {
                let (start, end) = (s.valid_for.start.as_deref(), s.valid_for.end.as_deref());
                let (start, end) = (start.unwrap_or("always"), end.unwrap_or("now on"));
                format!("{} (version {}, {start} to {end})", s.url, s.major_api_version)
            };
            let known = services.iter().map(window).collect();
            Err(SelectionError::None { what, versions: versions.to_vec(), known })
        }
        found if found < wanted => Err(SelectionError::TooFew { what, wanted, found }),
        _ => Ok(selected),
    }
}

/// The bare host of a URL with scheme: no user, port or path.
pub fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    (!host.is_empty() && !host.contains('@')).then_some(host)
}

/// RFC 3339 in whole seconds, as these files write times.
fn whole_seconds(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("strings and lists always have a JSON form");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{LocalSigner, Signer as _};

    fn log() -> TrustedLog {
        let signer = LocalSigner::ed25519_from_random(&[5; 32]);
        TrustedLog::embedded("log-00000000.provex.internal", signer.public_key().clone(), Timestamp::EPOCH)
    }

    #[test]
    fn a_written_root_is_read_back() {
        let root = TrustedRoot::new(vec![log()]);
        let again = TrustedRoot::parse(root.to_json().as_bytes()).unwrap();
        assert_eq!(again.to_json(), root.to_json());
        assert_eq!(again.log(&log().id).unwrap().origin(), "log-00000000.provex.internal");
    }

    #[test]
    fn a_log_id_of_another_host_is_refused() {
        let text = TrustedRoot::new(vec![log()]).to_json().replace("log-00000000", "log-00000001");
        assert!(matches!(TrustedRoot::parse(text.as_bytes()), Err(TrustedRootError::Log { .. })));
    }

    #[test]
    fn the_origin_is_the_bare_host() {
        assert_eq!(host("https://rekor.example/path"), Some("rekor.example"));
        assert_eq!(host("http://127.0.0.1:3000"), Some("127.0.0.1"));
        assert_eq!(host("rekor.example"), None);
        assert_eq!(host("https://"), None);
    }

    #[test]
    fn a_written_signing_config_is_read_back() {
        let config = SigningConfig::embedded(&log());
        assert_eq!(SigningConfig::parse(config.to_json().as_bytes()).unwrap(), config);
        let root = TrustedRoot::new(vec![log()]).to_json();
        let refused = SigningConfig::parse(root.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("signing config") && !refused.contains("trusted root"), "{refused}");
    }

    #[test]
    fn a_signing_config_is_read_as_proto3_json() {
        let text = r#"{
            "media_type": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "caUrls": null,
            "rekorTlogUrls": [{"url": "https://a", "majorApiVersion": "2"},
                {"url": "https://b", "majorApiVersion": 2, "validFor": {"start": "2025-01-01T00:00:00Z"}, "operator": "b"}],
            "rekorTlogConfig": {"selector": 3, "count": "2"}, "tsaConfig": {"selector": null}
        }"#;
        let read = |text: &str| SigningConfig::parse(text.as_bytes());
        let config = read(text).unwrap();
        // Without a window a service is always open, and older than all that have a beginning.
        assert_eq!(selected(&config, "2026-01-01T00:00:00Z").unwrap(), ["https://b", "https://a"]);
        let few = selected(&config, "2024-01-01T00:00:00Z").unwrap_err();
        assert_eq!(few, SelectionError::TooFew { what: "log", wanted: 2, found: 1 });
        for (selector, what) in [("0", "SERVICE_SELECTOR_UNDEFINED"), ("7", "7"), ("\"any\"", "any")] {
            let config =
                read(&text.replace("\"selector\": 3", &format!("\"selector\": {selector}"))).unwrap();
            let refused = selected(&config, "2026-01-01T00:00:00Z").unwrap_err().to_string();
            assert!(refused.ends_with(&format!("selector `{what}` is not known")), "{refused}");
        }
        for (from, to) in [
            ("\"operator\"", "\"operators\""),
            ("\"caUrls\"", "\"casUrls\""),
            ("\"start\"", "\"begin\""),
            ("\"count\"", "\"number\""),
            ("\"2\"}", "\"two\"}"),
            ("\"count\": \"2\"", "\"count\": -2"),
        ] {
            let refused = read(&text.replace(from, to)).unwrap_err();
            assert!(matches!(refused, SigningConfigError::Json(_)), "{to}: {refused:?}");
        }
    }

    fn service(url: &str, version: u32, start: &str, end: Option<&str>, operator: &str) -> Service {
        Service {
            url: url.to_owned(),
            major_api_version: version,
            valid_for: ServiceWindow { start: Some(start.to_owned()), end: end.map(str::to_owned) },
            operator: operator.to_owned(),
        }
    }

    fn selected(config: &SigningConfig, now: &str) -> Result<Vec<String>, SelectionError> {
        let now = Timestamp::parse(now).unwrap();
        Ok(config.logs(&[2], now)?.iter().map(|service| service.url.clone()).collect())
    }

    #[test]
    fn logs_are_chosen_by_version_window_and_operator() {
        let mut config = SigningConfig::embedded(&log());
        config.rekor_tlog_urls = vec![
            service("https://v1", 1, "2020-01-01T00:00:00Z", None, "a"),
            service("https://2025", 2, "2025-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z"), "a"),
            service("https://2026", 2, "2026-01-01T00:00:00Z", Some("2026-12-31T23:59:59Z"), "a"),
            service("https://other", 2, "2025-06-01T00:00:00Z", Some("2026-06-01T00:00:00Z"), "b"),
        ];
        let at = |now| selected(&config, now);
        let open = |now| {
            let logs = config.open_logs(&[2], Timestamp::parse(now).unwrap());
            logs.map(|service| service.url.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(open("2026-01-01T00:00:00Z"), ["https://2025", "https://2026", "https://other"]);
        assert_eq!(open("2024-01-01T00:00:00Z"), [] as [&str; 0]);
        assert_eq!(at("2025-03-01T00:00:00Z").unwrap(), ["https://2025"]);
        // Both ends belong to a window; the newer shard of one operator is preferred.
        assert_eq!(at("2026-01-01T00:00:00Z").unwrap(), ["https://2026", "https://other"]);
        assert_eq!(at("2026-12-31T23:59:59Z").unwrap(), ["https://2026"]);
        let none = at("2027-01-01T00:00:00Z").unwrap_err();
        assert!(
            none.to_string().contains("https://2026 (version 2, 2026-01-01T00:00:00Z to 2026-12-31"),
            "{none}"
        );
        config.rekor_tlog_config = Some(ServiceSelection { selector: "EXACT".to_owned(), count: 2 });
        assert_eq!(selected(&config, "2026-02-01T00:00:00Z").unwrap().len(), 2);
        let few = selected(&config, "2025-03-01T00:00:00Z").unwrap_err();
        assert_eq!(few, SelectionError::TooFew { what: "log", wanted: 2, found: 1 });
        config.rekor_tlog_config = Some(ServiceSelection { selector: "SOME".to_owned(), count: 0 });
        assert!(matches!(selected(&config, "2026-02-01T00:00:00Z"), Err(SelectionError::Unreadable { .. })));
    }

    #[test]
    fn the_log_behind_a_url_is_found_by_url_then_host_then_time() {
        let (old, new) = (log(), LocalSigner::ed25519_from_random(&[6; 32]));
        let start = Timestamp::from_unix_seconds(1_000).unwrap();
        let mut new = TrustedLog::embedded(old.origin(), new.public_key().clone(), start);
        new.base_url = format!("https://{}:8443/log", old.origin());
        let root = TrustedRoot::new(vec![old.clone(), new.clone()]);
        let (now, before) = (Timestamp::from_unix_seconds(2_000).unwrap(), Timestamp::EPOCH);
        let found = |url: &str, now| root.log_at(url, now).map(|log| log.id);
        assert_eq!(found(&new.base_url, now), Some(new.id));
        assert_eq!(found(&format!("{}/", old.base_url), now), Some(old.id));
        assert_eq!(found(&format!("http://{}:1", old.origin()), now), Some(new.id));
        assert_eq!(found(&format!("http://{}:1", old.origin()), before), Some(old.id));
        assert_eq!(found("https://elsewhere", now), None);
    }

    #[test]
    fn a_shard_whose_key_ended_is_still_found_and_is_not_another_of_its_host() {
        let (mut old, new) = (log(), LocalSigner::ed25519_from_random(&[6; 32]));
        (old.base_url, old.valid_until) = (format!("https://{}:1", old.origin()), Some(Timestamp::EPOCH));
        let mut new = TrustedLog::embedded(old.origin(), new.public_key().clone(), Timestamp::EPOCH);
        new.base_url = format!("https://{}:2", old.origin());
        let root = TrustedRoot::new(vec![old.clone(), new.clone()]);
        let now = Timestamp::from_unix_seconds(2_000).unwrap();
        let found = |url: &str| root.logs_at(url).map(|log| log.id).collect::<Vec<_>>();
        assert_eq!(found(&old.base_url), [old.id]);
        assert_eq!(found(&format!("{}/", new.base_url)), [new.id]);
        assert_eq!(found(&format!("http://{}", old.origin())), [old.id, new.id]);
        assert_eq!(root.log_at(&old.base_url, now).map(|log| log.id), None);
    }
}

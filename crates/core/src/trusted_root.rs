//! Sigstore trusted roots and signing configs (protobuf-specs `sigstore_trustroot.proto`): which logs are trusted
//! under which key, and which one to write to.
//!
//! Every media type in use is read; the oldest is written, since cosign and sigstore-go take no other.

use serde::{Deserialize, Serialize};

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

/// A trusted root: the logs by key, in the order of the file.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    /// The logs whose keys are of a kind that is supported.
    pub logs: Vec<TrustedLog>,
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
    /// A log's entry that cannot be used.
    #[error("log `{base_url}` in the trusted root: {reason}")]
    Log {
        /// The entry's URL.
        base_url: String,
        /// What is wrong with it.
        reason: String,
    },
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
    timestamp_authorities: Vec<serde_json::Value>,
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
        Ok(Self { logs: logs.into_iter().flatten().collect() })
    }

    /// The file's text: two-space indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        let wire = RootWire {
            media_type: MEDIA_TYPES[0].to_owned(),
            tlogs: self.logs.iter().map(TrustedLog::to_wire).collect(),
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: Vec::new(),
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

/// A signing config v0.2: where to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningConfig {
    media_type: String,
    #[serde(default)]
    ca_urls: Vec<Service>,
    #[serde(default)]
    oidc_urls: Vec<Service>,
    /// The logs.
    #[serde(default)]
    pub rekor_tlog_urls: Vec<Service>,
    /// The timestamp authorities.
    #[serde(default)]
    pub tsa_urls: Vec<Service>,
    /// How many of the logs to write to.
    #[serde(default)]
    pub rekor_tlog_config: Option<ServiceSelection>,
    /// How many of the timestamp authorities to ask.
    #[serde(default)]
    pub tsa_config: Option<ServiceSelection>,
}

/// A service of a signing config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its base URL.
    pub url: String,
    /// The major version of its API.
    pub major_api_version: u32,
    /// When it may be used.
    pub valid_for: ServiceWindow,
    /// Who runs it.
    pub operator: String,
}

/// When a service may be used: RFC 3339 texts, inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceWindow {
    /// From.
    pub start: String,
    /// Until; open where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// How many services to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSelection {
    /// `ANY`, `ALL` or `EXACT`.
    pub selector: String,
    /// With `EXACT`: how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl SigningConfig {
    /// The config that writes to one embedded log.
    pub fn embedded(log: &TrustedLog) -> Self {
        let service = Service {
            url: log.base_url.clone(),
            major_api_version: 2,
            valid_for: ServiceWindow { start: whole_seconds(log.valid_from), end: None },
            operator: log.origin().to_owned(),
        };
        Self {
            media_type: SIGNING_CONFIG_MEDIA_TYPE.to_owned(),
            ca_urls: Vec::new(),
            oidc_urls: Vec::new(),
            rekor_tlog_urls: vec![service],
            tsa_urls: Vec::new(),
            rekor_tlog_config: Some(ServiceSelection { selector: "ANY".to_owned(), count: None }),
            tsa_config: Some(ServiceSelection { selector: "ANY".to_owned(), count: None }),
        }
    }

    /// Reads a signing config v0.2.
    ///
    /// # Errors
    /// [`TrustedRootError`] for other JSON or another media type.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustedRootError> {
        let config: Self = json::from_slice_strict(bytes)?;
        if config.media_type == SIGNING_CONFIG_MEDIA_TYPE {
            Ok(config)
        } else {
            Err(TrustedRootError::MediaType(config.media_type))
        }
    }

    /// The file's text: two-space indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        pretty(self)
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
        let root = TrustedRoot { logs: vec![log()] };
        let again = TrustedRoot::parse(root.to_json().as_bytes()).unwrap();
        assert_eq!(again.to_json(), root.to_json());
        assert_eq!(again.log(&log().id).unwrap().origin(), "log-00000000.provex.internal");
    }

    #[test]
    fn a_log_id_of_another_host_is_refused() {
        let text = TrustedRoot { logs: vec![log()] }.to_json().replace("log-00000000", "log-00000001");
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
    }
}

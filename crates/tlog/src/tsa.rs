//! Timestamps (RFC 3161): asking an authority for a token over a signature, and checking tokens.
//!
//! ASN.1, CMS and certificate chains are those of the crate sigstore-tsa. A token counts only under the very certificates
//! that the trusted root names, and within both their validity and the authority's window.

use std::time::Duration;

use provex_core::digest::Digest;
use provex_core::time::Timestamp;
use provex_core::trusted_root::TimestampAuthority;
use provex_core::verify::{TimestampError, TimestampVerifier};
use sigstore_tsa::{TsaAuthority, verify_timestamp_for_authority};
use sigstore_types::{DerCertificate, SignatureBytes, TimestampToken};
use tokio::sync::Semaphore;

use crate::http::{self, ClientError, Http, HttpConfig, HttpError};

/// The longest reply that is read: a token with its certificates has a few thousand bytes.
const MAX_REPLY: usize = 64 << 10;
/// How many requests are under way at once.
const CONCURRENCY: usize = 32;
/// A request up to its SHA-256: version 1, then the message imprint.
const REQUEST: [u8; 24] = [
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
/// `certReq`: the token is to carry its certificate.
const WITH_CERTIFICATE: [u8; 3] = [0x01, 0x01, 0xff];

/// Checks tokens with sigstore-tsa.
#[derive(Debug, Clone, Copy)]
pub struct Tokens;

impl TimestampVerifier for Tokens {
    fn verify(
        &self,
        token: &[u8],
        message: &[u8],
        authority: &TimestampAuthority,
    ) -> Result<Timestamp, TimestampError> {
        let certificate = |der: &Vec<u8>| DerCertificate::new(der.clone());
        if is_bare(token) {
            let reason =
                "it is a bare token, and an authority answers with a TimeStampResp (RFC 3161 section 2.4.2)";
            return Err(TimestampError(reason.to_owned()));
        }
        let (Some(leaf), Some(root)) = (authority.chain.first(), authority.chain.last()) else {
            return Err(TimestampError("the authority has no certificate".to_owned()));
        };
        let between = authority.chain.get(1..authority.chain.len().saturating_sub(1)).unwrap_or_default();
        let intermediates = between.iter().map(certificate).collect();
        let trusted = TsaAuthority::new(certificate(leaf), intermediates, certificate(root), None);
        let (token, message) = (TimestampToken::new(token.to_vec()), SignatureBytes::new(message.to_vec()));
        let time = verify_timestamp_for_authority(&token, &message, &trusted)
            .map_err(|error| TimestampError(error.to_string()))?;
        let time = Timestamp::from_unix_micros(time.as_microsecond())
            .map_err(|error| TimestampError(error.to_string()))?;
        let begun = authority.valid_from.is_none_or(|start| start <= time);
        if begun && authority.valid_until.is_none_or(|end| time <= end) {
            Ok(time)
        } else {
            let reason = format!("{time} lies outside of the window of the authority {}", authority.name);
            Err(TimestampError(reason))
        }
    }
}

/// Whether the first thing in this SEQUENCE is an OBJECT IDENTIFIER, as in the CMS of a token that nothing is around.
/// sigstore-tsa takes that, too; cosign, sigstore-go and @sigstore/verify refuse a bundle that holds it.
fn is_bare(answer: &[u8]) -> bool {
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let length_octets = match answer.get(1) {
        Some(long @ 0x80..) => usize::from(long & 0x7f),
        _ => 0,
    };
    answer.get(2 + length_octets) == Some(&OBJECT_IDENTIFIER)
}

/// Why there is no timestamp. Trying again later can help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TsaError {
    /// It does not answer, or not with a token.
    #[error("the timestamp authority {url} gives no timestamp: {reason}")]
    Unavailable {
        /// The authority's URL.
        url: String,
        /// In words.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Its token does not hold under the trusted root.
    #[error("what the timestamp authority {url} answers does not hold: {source}")]
    DoesNotHold {
        /// The authority's URL.
        url: String,
        /// Why.
        source: TimestampError,
    },
}

impl TsaError {
    /// How long the authority asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::DoesNotHold { .. } => None,
        }
    }
}

/// A client of one authority.
pub struct TsaClient {
    url: String,
    http: Http,
    authorities: Vec<TimestampAuthority>,
    requesting: Semaphore,
}

impl TsaClient {
    /// A client of the authority at this URL, whose tokens have to hold under one of `authorities`.
    ///
    /// # Errors
    /// [`ClientError`] for a URL or certificates that cannot be used.
    pub fn new(
        url: &str,
        authorities: Vec<TimestampAuthority>,
        tls_roots: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        http::base_url(url)?;
        let config = HttpConfig { tls_roots, timeout, connect_timeout: timeout, connections: CONCURRENCY };
        Ok(Self {
            url: url.to_owned(),
            http: Http::new(&config)?,
            authorities,
            requesting: Semaphore::new(CONCURRENCY),
        })
    }

    /// Asks for a token over a signature's bytes. The whole reply, as bundles hold it; it was verified.
    ///
    /// # Errors
    /// [`TsaError`].
    pub async fn timestamp(&self, signature: &[u8]) -> Result<Vec<u8>, TsaError> {
        let _permit = self.requesting.acquire().await.expect("the semaphore is never closed");
        // No nonce: a token over this signature is welcome at any time, the earlier the better.
        let request = [&REQUEST[..], Digest::of(signature).as_bytes(), &WITH_CERTIFICATE].concat();
        let reply = self.http.post(&self.url, "application/timestamp-query", request, MAX_REPLY).await;
        let unavailable = |reason: String, retry_after| TsaError::Unavailable {
            url: self.url.clone(),
            reason,
            retry_after,
        };
        let reply = reply.map_err(|error| match error {
            HttpError::NotSent(reason) | HttpError::Lost(reason) => unavailable(reason, None),
            HttpError::TooLong => unavailable(format!("it answers more than {MAX_REPLY} bytes"), None),
        })?;
        if !matches!(reply.status, 200 | 201) {
            let reason = format!("it answered {}: {}", reply.status, reply.said());
            return Err(unavailable(reason, reply.retry_after()));
        }
        self.check(&reply.body, signature)?;
        Ok(reply.body)
    }

    fn check(&self, token: &[u8], signature: &[u8]) -> Result<(), TsaError> {
        let mut failed = TimestampError("the trusted root names no timestamp authority".to_owned());
        for authority in &self.authorities {
            match Tokens.verify(token, signature, authority) {
                Ok(_) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(TsaError::DoesNotHold { url: self.url.clone(), source: failed })
    }
}

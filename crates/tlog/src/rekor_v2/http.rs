//! Requests to a log, with an end in time and length.

use provex_core::time::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use std::time::Duration;

use super::{RekorV2Error, RekorV2Limits};
use crate::{LogError, Misbehavior};

/// The longest that a log is left alone at its own wish.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// An HTTP client. Proxies are those of the environment.
pub(super) struct Http(Client);

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A base URL without its last slash.
pub(super) fn base_url(text: &str) -> Result<String, RekorV2Error> {
    let url = reqwest::Url::parse(text).ok();
    let http = url.as_ref().is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if http { Ok(text.trim_end_matches('/').to_owned()) } else { Err(RekorV2Error::Url(text.to_owned())) }
}

impl Http {
    pub(super) fn new(tls_roots: Option<&[u8]>, limits: &RekorV2Limits) -> Result<Self, RekorV2Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("provex/", env!("CARGO_PKG_VERSION")))
            .timeout(limits.timeout)
            .connect_timeout(limits.connect_timeout)
            .pool_max_idle_per_host(limits.concurrency)
            // A log that moved is for the operator to look at.
            .redirect(redirect::Policy::none());
        if let Some(pem) = tls_roots {
            let roots = Certificate::from_pem_bundle(pem).map_err(RekorV2Error::Tls)?;
            builder = builder.tls_certs_only(roots);
        }
        builder.build().map(Self).map_err(RekorV2Error::Tls)
    }

    /// Posts JSON. Whatever goes wrong once it was sent leaves it in doubt.
    pub(super) async fn post(&self, url: &str, json: Vec<u8>, most: usize) -> Result<Reply, LogError> {
        let request = self.0.post(url).header(CONTENT_TYPE, "application/json").body(json);
        let response = send(request).await.map_err(|error| match error.is_connect() {
            true => LogError::unavailable(in_words(&error)),
            false => LogError::in_doubt(in_words(&error)),
        })?;
        whole(response, url, most).await.map_err(|error| match error {
            Cut::Lost(reason) => LogError::in_doubt(reason),
            Cut::TooLong(misbehavior) => misbehavior.into(),
        })
    }

    /// Gets a file.
    pub(super) async fn get(&self, url: &str, most: usize) -> Result<Reply, LogError> {
        let response =
            send(self.0.get(url)).await.map_err(|error| LogError::unavailable(in_words(&error)))?;
        let reply = whole(response, url, most).await.map_err(|error| match error {
            Cut::Lost(reason) => LogError::unavailable(reason),
            Cut::TooLong(misbehavior) => misbehavior.into(),
        })?;
        let encoding = reply.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("unknown"));
        match encoding {
            None | Some("identity") => Ok(reply),
            Some(other) => {
                Err(LogError::unavailable(format!("{url} is sent in the encoding {other}, unasked")))
            }
        }
    }
}

async fn send(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    request.send().await
}

enum Cut {
    Lost(String),
    TooLong(Misbehavior),
}

/// Reads an answer to its end, and no more of it than `most` bytes.
async fn whole(mut response: Response, url: &str, most: usize) -> Result<Reply, Cut> {
    let too_long = || Cut::TooLong(Misbehavior::TooLong { url: url.to_owned(), most });
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Cut::Lost(in_words(&error)))? {
        if body.len() + chunk.len() > most {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body })
}

/// An error with its causes: the outermost alone says only that something went wrong.
fn in_words(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}

impl Reply {
    /// How long the server asks to be left alone (RFC 9110 section 10.2.3): seconds, or a date, which is held against
    /// the server's own clock.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let asked: &str = text(RETRY_AFTER)?;
        let seconds = asked.parse::<u64>().ok().or_else(|| {
            let (until, now) = (http_date(asked)?, http_date(text(DATE)?)?);
            u64::try_from(until.as_unix_seconds() - now.as_unix_seconds()).ok()
        })?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }

    /// The beginning of what it says, in one line.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(800)]).into_owned();
        let mut said: String =
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        if said.is_empty() {
            said.push_str("nothing");
        }
        said
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, time, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<u64> {
        let mut reply = Reply { status: 503, headers: HeaderMap::new(), body: Vec::new() };
        for (name, value) in headers {
            reply.headers.insert(*name, value.parse().unwrap());
        }
        reply.retry_after().map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(&[("retry-after", "17")]), Some(17));
        assert_eq!(asked(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date]), Some(30));
        assert_eq!(asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), date]), None);
        assert_eq!(asked(&[("retry-after", "86400")]), Some(3_600));
        assert_eq!(asked(&[("retry-after", "soon"), date]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn only_http_urls_are_taken() {
        assert_eq!(base_url("https://log.example/a/").unwrap(), "https://log.example/a");
        for bad in ["log.example", "ftp://log.example", "http://", "/tmp", ""] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}

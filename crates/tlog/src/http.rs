//! Requests to a log or a timestamp authority, with an end in time and length.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use provex_core::time::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};

/// A configuration that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an http or https URL.
    #[error("`{0}` is no http or https URL")]
    Url(String),
    /// Certificates that cannot be read, or a TLS library that cannot start.
    #[error("TLS: {0}")]
    Tls(#[source] reqwest::Error),
}

/// Why there is no whole answer.
pub(crate) enum HttpError {
    /// No connection was made.
    NotSent(String),
    /// Something was sent, and the answer did not come whole.
    Lost(String),
    /// The answer is longer than it may be.
    TooLong,
}

/// How a server is reached.
pub(crate) struct HttpConfig<'a> {
    /// The only certificates (PEM) that its chain may end in; without them the operating system's.
    pub(crate) tls_roots: Option<&'a [u8]>,
    /// From the request to the end of the answer.
    pub(crate) timeout: Duration,
    /// For a connection to be made.
    pub(crate) connect_timeout: Duration,
    /// How many connections are kept.
    pub(crate) connections: usize,
}

/// The longest that a log is left alone at its own wish.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// An HTTP client. Proxies are those of the environment.
pub(crate) struct Http(Client);

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A base URL without its last slash.
pub(crate) fn base_url(text: &str) -> Result<String, ClientError> {
    let url = reqwest::Url::parse(text).ok();
    let http = url.as_ref().is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if http { Ok(text.trim_end_matches('/').to_owned()) } else { Err(ClientError::Url(text.to_owned())) }
}

impl Http {
    pub(crate) fn new(config: &HttpConfig<'_>) -> Result<Self, ClientError> {
        let mut builder = Client::builder()
            .user_agent(concat!("provex/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.connections)
            // A log that moved is for the operator to look at.
            .redirect(redirect::Policy::none());
        if let Some(pem) = config.tls_roots {
            let roots = Certificate::from_pem_bundle(pem).map_err(ClientError::Tls)?;
            builder = builder.tls_certs_only(roots);
        }
        builder.build().map(Self).map_err(ClientError::Tls)
    }

    /// Posts a body.
    pub(crate) async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: Vec<u8>,
        most: usize,
    ) -> Result<Reply, HttpError> {
        send(self.0.post(url).header(CONTENT_TYPE, content_type).body(body), most).await
    }

    /// Gets a file of at most so many bytes. It may come gzipped without having been asked for so (C2SP tlog-tiles,
    /// "Log Entries").
    pub(crate) async fn get(&self, url: &str, most: usize) -> Result<Reply, HttpError> {
        // What cannot be compressed, as hashes cannot, gets longer by its wrapping.
        let reply = send(self.0.get(url), most + most / 1024 + 1024).await?;
        let encoding = reply.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("unknown"));
        match encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("identity") if reply.body.len() > most => Err(HttpError::TooLong),
            None | Some("identity") => Ok(reply),
            Some("gzip" | "x-gzip") => Ok(Reply { body: unzipped(url, &reply.body, most)?, ..reply }),
            Some(other) => Err(HttpError::Lost(format!("{url} is sent in the encoding {other}, unasked"))),
        }
    }
}

/// Unpacks no more than `most` bytes, however many there are.
fn unzipped(url: &str, packed: &[u8], most: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    let read = MultiGzDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut body);
    read.map_err(|error| HttpError::Lost(format!("{url} is sent in the encoding gzip: {error}")))?;
    if body.len() > most { Err(HttpError::TooLong) } else { Ok(body) }
}

async fn send(request: RequestBuilder, most: usize) -> Result<Reply, HttpError> {
    let sent = request.send().await;
    whole(
        sent.map_err(|error| match error.is_connect() {
            true => HttpError::NotSent(in_words(&error)),
            false => HttpError::Lost(in_words(&error)),
        })?,
        most,
    )
    .await
}

/// Reads an answer to its end, and no more of it than `most` bytes.
async fn whole(mut response: Response, most: usize) -> Result<Reply, HttpError> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(HttpError::TooLong);
    }
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::Lost(in_words(&error)))? {
        if body.len() + chunk.len() > most {
            return Err(HttpError::TooLong);
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
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let asked: &str = text(RETRY_AFTER)?;
        let seconds = asked.parse::<u64>().ok().or_else(|| {
            let (until, now) = (http_date(asked)?, http_date(text(DATE)?)?);
            u64::try_from(until.as_unix_seconds() - now.as_unix_seconds()).ok()
        })?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }

    /// The beginning of what it says, in one line.
    pub(crate) fn said(&self) -> String {
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

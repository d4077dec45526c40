//! Lists: JSON arrays or NDJSON, a page at a time, each with a strong validator.
//!
//! All lists page the same way. A page token is base64url of the canonical JSON of a position and of the hash of tenant
//! and filters, so it fits no other query; what it names is a place in an order and no secret.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provex_core::digest::Digest;
use provex_core::jcs::ObjectWriter;
use provex_core::time::Timestamp;
use serde::Serialize;

use crate::problem::Problem;

pub(crate) const NEXT_PAGE_TOKEN: HeaderName = HeaderName::from_static("x-next-page-token");
/// Longer tokens than any of ours are not even decoded.
const MAX_TOKEN_BYTES: usize = 1_024;

/// A list's media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Ndjson,
}

impl Kind {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What the client wants most of what there is (RFC 9110 section 12.5.1); JSON where it does not say.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Self, Problem> {
        let offered = "application/json and application/x-ndjson";
        let weight = |kind: Self| accepted(headers, kind.media_type());
        match (weight(Self::Json), weight(Self::Ndjson)) {
            (0, 0) => Err(Problem::NotAcceptable { offered }),
            (json, ndjson) if ndjson > json => Ok(Self::Ndjson),
            _ => Ok(Self::Json),
        }
    }
}

/// How much a media type is wanted, in thousandths.
pub(crate) fn accepted(headers: &HeaderMap, media_type: &str) -> u32 {
    let family = media_type.split('/').next().unwrap_or_default();
    let mut best: Option<(u8, u32)> = None;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { return 0 };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let precision = match name {
                "*/*" => 1,
                name if name.strip_suffix("/*").is_some_and(|f| f.eq_ignore_ascii_case(family)) => 2,
                name if name.eq_ignore_ascii_case(media_type) => 3,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let quality: f32 = quality.map_or(Ok(1.0), str::parse).unwrap_or(0.0);
            let weight = (quality.clamp(0.0, 1.0) * 1_000.0) as u32;
            if best.is_none_or(|(known, _)| precision > known) {
                best = Some((precision, weight));
            }
        }
    }
    match best {
        Some((_, weight)) => weight,
        None if headers.contains_key(header::ACCEPT) => 0,
        None => 1_000,
    }
}

/// A place in a list's order, as a token names it: `id_key` and `time_key` are what the list calls them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) id_key: &'static str,
    pub(crate) time_key: &'static str,
}

impl Order {
    /// The token of a position under these filters.
    pub(crate) fn token(self, time: Timestamp, id: &str, filters: &Digest) -> String {
        let time = time.to_rfc3339();
        let filters = filters.to_hex();
        let mut members =
            [(self.id_key, id), (self.time_key, time.as_str()), ("filtersHash", filters.as_str())];
        members.sort_unstable();
        let mut out = Vec::with_capacity(256);
        let mut token = ObjectWriter::new(&mut out);
        for (key, value) in members {
            token.str(key, value);
        }
        token.finish().expect("strings always have a canonical form");
        URL_SAFE_NO_PAD.encode(out)
    }

    /// The position of a token under these filters: exactly one spelling is taken.
    pub(crate) fn position(self, text: &str, filters: &Digest) -> Result<(Timestamp, String), Problem> {
        let read = || {
            let bytes =
                URL_SAFE_NO_PAD.decode(Some(text).filter(|text| text.len() <= MAX_TOKEN_BYTES)?).ok()?;
            let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            let time = Timestamp::parse(value.get(self.time_key)?.as_str()?).ok()?;
            let id = value.get(self.id_key)?.as_str()?.to_owned();
            (self.token(time, &id, filters) == text).then_some((time, id))
        };
        read().ok_or(Problem::BadToken)
    }
}

/// One page of a list, and what stands beside it in headers.
pub(crate) struct Page<'a, T> {
    pub(crate) rows: &'a [T],
    /// The token of the next page, if there is one.
    pub(crate) next: Option<String>,
    /// What else the validator covers.
    pub(crate) headers: Vec<(HeaderName, String)>,
}

impl<T: Serialize> Page<'_, T> {
    /// The answer: 304 where the client has it already.
    pub(crate) fn respond(
        self,
        kind: Kind,
        request: &HeaderMap,
        path: &str,
        query: Option<&str>,
    ) -> Result<Response, Problem> {
        let body = encode(self.rows, kind)?;
        let mut headers = self.headers;
        if let Some(token) = self.next {
            headers.push((header::LINK, format!("<{}>; rel=\"next\"", next_url(path, query, &token))));
            headers.push((NEXT_PAGE_TOKEN, token));
        }
        respond(kind.media_type(), body, headers, request)
    }
}

/// An answer with a strong validator over its media type, body and headers: 304 where the client has it already.
pub(crate) fn respond(
    media_type: &'static str,
    body: Vec<u8>,
    headers: Vec<(HeaderName, String)>,
    request: &HeaderMap,
) -> Result<Response, Problem> {
    let mut covered = vec![media_type.as_bytes(), b"\n"];
    for (name, value) in &headers {
        covered.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"]);
    }
    covered.push(&body);
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Digest::of_parts(&covered).as_bytes()));
    let known = matches_tag(request, &tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], Body::from(body)).into_response()
    };
    let beside = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::VARY, "Accept, Authorization, X-Stella-Tenant".to_owned()),
    ];
    for (name, value) in headers.into_iter().chain(beside) {
        let value = HeaderValue::try_from(value).map_err(|error| {
            tracing::error!(%error, header = %name, "a header cannot be written");
            Problem::Internal
        })?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The rows as one JSON array, or a line each.
pub(crate) fn encode<T: Serialize>(rows: &[T], kind: Kind) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(rows.len() * 512 + 2);
    let written = match kind {
        Kind::Json => serde_json::to_writer(&mut body, rows),
        Kind::Ndjson => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut body, row)?;
            body.push(b'\n');
            Ok(())
        }),
    };
    written.map_err(|error| {
        tracing::error!(%error, "a row cannot be written as JSON");
        Problem::Internal
    })?;
    Ok(body)
}

/// If-None-Match (RFC 9110 section 13.1.2).
fn matches_tag(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// The same query, from the token on.
fn next_url(path: &str, query: Option<&str>, token: &str) -> String {
    let pairs = query.unwrap_or_default().split('&');
    let mut kept: Vec<_> = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("pageToken=")).collect();
    let token = format!("pageToken={token}");
    kept.push(&token);
    format!("{path}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order { id_key: "attestationId", time_key: "recordedAt" };

    #[test]
    fn a_token_gives_its_position_back_under_its_filters_only() {
        let (time, filters) = (Timestamp::from_unix_micros(5).unwrap(), Digest::of(b"filters"));
        let token = ORDER.token(time, "id", &filters);
        assert_eq!(ORDER.position(&token, &filters).unwrap(), (time, "id".to_owned()));
        assert_eq!(ORDER.position(&token, &Digest::of(b"other")), Err(Problem::BadToken));
        let respelled = URL_SAFE_NO_PAD
            .encode(format!(" {}", String::from_utf8(URL_SAFE_NO_PAD.decode(&token).unwrap()).unwrap()));
        for text in [&respelled, "", "!", &token[1..], &format!("{token}="), &"A".repeat(2_000)] {
            assert_eq!(ORDER.position(text, &filters), Err(Problem::BadToken), "{text}");
        }
    }

    #[test]
    fn the_wanted_media_type_is_given() {
        let accept = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            Kind::negotiate(&headers)
        };
        assert_eq!(Kind::negotiate(&HeaderMap::new()), Ok(Kind::Json));
        for (value, kind) in [
            ("*/*", Kind::Json),
            ("application/x-ndjson", Kind::Ndjson),
            ("application/json;q=0.5, application/x-ndjson", Kind::Ndjson),
            ("application/x-ndjson;q=0.1, */*", Kind::Json),
            ("application/*;q=0.2, application/json;q=0", Kind::Ndjson),
        ] {
            assert_eq!(accept(value), Ok(kind), "{value}");
        }
        for value in ["text/html", "application/json;q=0, application/x-ndjson;q=0"] {
            assert!(accept(value).is_err(), "{value}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_query() {
        assert_eq!(next_url("/p", Some("limit=2&pageToken=x&a=%20"), "t"), "/p?limit=2&a=%20&pageToken=t");
        assert_eq!(next_url("/p", None, "t"), "/p?pageToken=t");
    }
}

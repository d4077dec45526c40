//! Errors over HTTP: RFC 9457 problem details, each with a stable `type`, none with inner detail.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use provex_store::Error as StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request failed, in the words of the counter of failures: travels with the answer to where it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailureReason(pub(crate) &'static str);

/// What every `type` begins with.
const TYPES: &str = "https://provex.dev/problems/";
/// How long a client waits before it tries again what could not be done now.
const RETRY_AFTER_SECONDS: &str = "5";

/// A refusal, or a failure of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A header or parameter is missing, unknown, doubled or has a bad value.
    BadRequest {
        /// Which one.
        parameter: String,
        /// What is wrong with it, and what would be right.
        detail: String,
    },
    /// A page token that is not ours, or of another query.
    BadToken,
    /// No credential, or one that does not hold.
    Unauthorized,
    /// The credential does not hold for this tenant, or lacks a scope.
    Forbidden {
        /// The scope that is needed.
        scope: &'static str,
    },
    /// There is no such thing in this tenant.
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// It is recorded, and no log entry proves it yet.
    NotLinked,
    /// No such path.
    NoSuchPath,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The client takes nothing that there is.
    NotAcceptable {
        /// What there is.
        offered: &'static str,
    },
    /// The body's media type or encoding is none that is read.
    UnsupportedMediaType {
        /// What is wrong with it.
        detail: String,
    },
    /// The body is larger than it may be.
    TooLarge {
        /// The most bytes that it may have.
        limit: usize,
    },
    /// The body did not come in time.
    SlowRequest,
    /// The body ended early.
    BrokenBody,
    /// The document is refused.
    Rejected {
        /// The finding's code.
        code: String,
        /// JSON pointer into the document.
        pointer: String,
        /// Line, from 1.
        line: Option<u64>,
        /// A sentence for people.
        message: String,
    },
    /// The key was used for another request.
    IdempotencyKeyReused,
    /// The answer took too long to make.
    Timeout,
    /// The store cannot be used now.
    Unavailable,
    /// Anything else: what it was is in the server's log.
    Internal,
}

/// The members of a problem (RFC 9457 section 3.1). Those that a problem does not have are absent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// A URI that names the kind of problem and never changes.
    #[schema(example = "https://provex.dev/problems/bad-request")]
    r#type: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened here, and what to do.
    detail: String,
    /// The header or parameter that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The code of the finding that a document is refused for.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// JSON pointer into the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Line in the document, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

impl Problem {
    /// A parameter or header with a bad value.
    pub(crate) fn bad(parameter: &str, detail: impl Into<String>) -> Self {
        Self::BadRequest { parameter: parameter.to_owned(), detail: detail.into() }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// Why a query of attestations failed, as the counter of failures names it.
    fn failure_reason(&self) -> &'static str {
        match self {
            Self::BadToken => "bad_token",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Timeout => "timeout",
            Self::Unavailable | Self::Internal => "internal",
            Self::BadRequest { .. }
            | Self::NotFound { .. }
            | Self::NotLinked
            | Self::NoSuchPath
            | Self::MethodNotAllowed
            | Self::NotAcceptable { .. }
            | Self::UnsupportedMediaType { .. }
            | Self::TooLarge { .. }
            | Self::SlowRequest
            | Self::BrokenBody
            | Self::Rejected { .. }
            | Self::IdempotencyKeyReused => "bad_request",
        }
    }

    /// Status, last part of the type, and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest { .. } => (StatusCode::BAD_REQUEST, "bad-request", "The request is malformed"),
            Self::BadToken => {
                (StatusCode::BAD_REQUEST, "bad-page-token", "The page token does not fit this query")
            }
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is needed"),
            Self::Forbidden { .. } => {
                (StatusCode::FORBIDDEN, "forbidden", "The credential does not allow this")
            }
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::NotLinked => (StatusCode::NOT_FOUND, "not-linked", "It is recorded and not linked yet"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no-such-path", "There is no such path"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method")
            }
            Self::NotAcceptable { .. } => {
                (StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Nothing here has such a media type")
            }
            Self::UnsupportedMediaType { .. } => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "A body of this kind is not read",
            ),
            Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is larger than it may be")
            }
            Self::SlowRequest => {
                (StatusCode::REQUEST_TIMEOUT, "slow-request", "The request did not come in time")
            }
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "broken-body", "The body ended early"),
            Self::Rejected { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "document-rejected", "The document is refused")
            }
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The Idempotency-Key was used for another request",
            ),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout", "The answer took too long"),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The store cannot be used now")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed to make an answer")
            }
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::BadRequest { parameter, detail } => format!("{parameter}: {detail}"),
            Self::BadToken => {
                "pageToken: it is not one of this tenant and these filters; begin again without \
                 it, or repeat the filters of the page that gave it"
                    .to_owned()
            }
            Self::Unauthorized => {
                "send `Authorization: Bearer <token>` with an API token that is neither revoked nor expired; \
                 `provex token create` makes one"
                    .to_owned()
            }
            Self::Forbidden { scope } => {
                format!(
                    "the token has to be of the tenant in X-Stella-Tenant and to have the scope `{scope}`"
                )
            }
            Self::NotFound { what } => format!("this tenant has no such {what}"),
            Self::NotLinked => {
                "its log entry is not verified yet; ask again later, /v1/vex/observations/pending lists what \
                 waits"
                    .to_owned()
            }
            Self::NoSuchPath => "/docs shows the paths that there are".to_owned(),
            Self::MethodNotAllowed => "the header Allow names the methods that it takes".to_owned(),
            Self::NotAcceptable { offered } => format!("Accept: there is {offered}"),
            Self::UnsupportedMediaType { detail } => detail.clone(),
            Self::TooLarge { limit } => format!("at most {limit} bytes"),
            Self::SlowRequest => "send the whole request without such pauses".to_owned(),
            Self::BrokenBody => "the connection ended or the body was malformed before its end".to_owned(),
            Self::Rejected { message, .. } => message.clone(),
            Self::IdempotencyKeyReused => "choose another key for another request".to_owned(),
            Self::Timeout | Self::Unavailable => "try again later".to_owned(),
            Self::Internal => "the server's log says more; trying again may help".to_owned(),
        }
    }

    fn body(&self) -> ProblemBody {
        let (status, name, title) = self.kind();
        let (parameter, (code, pointer, line)) = match self {
            Self::BadRequest { parameter, .. } => (Some(parameter.clone()), (None, None, None)),
            Self::BadToken => (Some("pageToken".to_owned()), (None, None, None)),
            Self::Rejected { code, pointer, line, .. } => {
                (None, (Some(code.clone()), Some(pointer.clone()), *line))
            }
            _ => (None, (None, None, None)),
        };
        let (r#type, detail) = (format!("{TYPES}{name}"), self.detail());
        ProblemBody { r#type, title, status: status.as_u16(), detail, parameter, code, pointer, line }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        response.extensions_mut().insert(FailureReason(self.failure_reason()));
        let mut set = |name: HeaderName, value: &'static str| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, "application/problem+json");
        set(header::CACHE_CONTROL, "no-store");
        match self {
            Self::Unauthorized => set(header::WWW_AUTHENTICATE, "Bearer"),
            Self::Timeout | Self::Unavailable => set(header::RETRY_AFTER, RETRY_AFTER_SECONDS),
            // What is left of a body that was not read cannot be told from the next request.
            Self::TooLarge { .. } | Self::SlowRequest | Self::BrokenBody => {
                set(header::CONNECTION, "close");
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = if error.is_transient() { Self::Unavailable } else { Self::Internal };
        tracing::error!(error = %error, "the store refused or failed");
        problem
    }
}

impl From<provex_pipeline::Error> for Problem {
    fn from(error: provex_pipeline::Error) -> Self {
        match error {
            provex_pipeline::Error::Store(error) => error.into(),
            error => {
                tracing::error!(error = %error, "the request could not be answered");
                Self::Internal
            }
        }
    }
}

//! Who asks, and what they may: API tokens, their scopes, and the tenant that each is bound to.

use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provex_core::digest::Digest;
use provex_core::ids::TenantId;
use provex_store::{ApiToken, Scope};

use crate::App;
use crate::problem::Problem;

/// The header that names the tenant.
pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-stella-tenant");

/// What every API token begins with, so that scanners for secrets find one that leaked.
const PREFIX: &str = "provex_";

/// An API token as its holder has it: `provex_` and 32 random bytes in base64url. It has no `Debug`: it is a secret.
pub struct Secret(String);

impl Secret {
    /// The token of these random bytes.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// The text that is sent; it is shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. A random secret of 256 bits needs no slow hash.
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.0)
    }

    /// What is kept of a token that reads like this.
    pub fn digest_of(token: &str) -> Digest {
        Digest::of(token.as_bytes())
    }
}

/// A caller whose token holds, has the scope, and is of the tenant.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) token: uuid::Uuid,
}

impl App {
    /// Admits a request, or says why not. The order keeps strangers from learning anything: first the credential, then
    /// the tenant's name as such, then whether the credential is of that tenant and has the scope. Whether the tenant
    /// exists makes no difference.
    pub(crate) async fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let token = self.token(headers).await?;
        let tenant = tenant(headers)?;
        if token.tenant != tenant || !token.scopes.contains(&scope) {
            return Err(Problem::Forbidden { scope: scope.label() });
        }
        Ok(Caller { tenant, token: token.id })
    }

    /// As [`App::admit`], for what is of no tenant.
    pub(crate) async fn admit_everywhere(&self, headers: &HeaderMap, scope: Scope) -> Result<(), Problem> {
        let token = self.token(headers).await?;
        if token.scopes.contains(&scope) { Ok(()) } else { Err(Problem::Forbidden { scope: scope.label() }) }
    }

    async fn token(&self, headers: &HeaderMap) -> Result<ApiToken, Problem> {
        let digest = bearer(headers).ok_or(Problem::Unauthorized)?;
        let token = self.store.api_token(&digest).await?;
        token.filter(|token| token.holds_at(self.environment.now())).ok_or(Problem::Unauthorized)
    }
}

/// SHA-256 of the one bearer token (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<Digest> {
    let value = one(headers, &header::AUTHORIZATION)??;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(PREFIX)).then(|| Secret::digest_of(token))
}

fn tenant(headers: &HeaderMap) -> Result<TenantId, Problem> {
    const NAME: &str = "X-Stella-Tenant";
    let value =
        one(headers, &TENANT).ok_or_else(|| Problem::bad(NAME, "it is there twice, or is no text"))?;
    let value = value.ok_or_else(|| Problem::bad(NAME, "this header is needed: it names the tenant"))?;
    value.parse().map_err(|_| {
        let expected = "1 to 63 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit";
        Problem::bad(NAME, expected)
    })
}

/// A header's one value: `Some(None)` if it is absent, `None` if it is doubled or no visible ASCII.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return None;
    }
    match first {
        Some(value) => value.to_str().ok().map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_is_kept_as_its_hash() {
        let secret = Secret::new(&[7; 32]);
        assert_eq!(secret.reveal().len(), PREFIX.len() + 43);
        assert_eq!(secret.digest(), Digest::of(secret.reveal().as_bytes()));
    }

    #[test]
    fn one_bearer_token_is_read_and_nothing_else() {
        let expected = Some(Digest::of(b"provex_x"));
        assert_eq!(bearer(&headers(&["Bearer provex_x"])), expected);
        assert_eq!(bearer(&headers(&["bearer provex_x"])), expected);
        for values in [
            &[][..],
            &["provex_x"],
            &["Basic provex_x"],
            &["Bearer other_x"],
            &["Bearer provex_x", "Bearer provex_x"],
        ] {
            assert_eq!(bearer(&headers(values)), None, "{values:?}");
        }
    }
}

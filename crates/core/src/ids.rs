//! One type for each kind of identity, so that a document's digest can never stand where an envelope's is meant.

use crate::digest::{Digest, EncodingError};

/// Makes a named SHA-256 identity: its type, its spelling in JSON and SQL (64 lower-case hex digits, or with a
/// fixed prefix before them), and its serde form.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Digest);

        impl $name {
            /// What stands before the 64 hex digits.
            pub const PREFIX: &'static str = $prefix;

            /// The identity that this digest is.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest itself.
            pub const fn digest(&self) -> &Digest {
                &self.0
            }

            /// The one spelling that [`std::str::FromStr`] reads back.
            pub fn to_text(&self) -> String {
                format!("{}{}", $prefix, self.0.to_hex())
            }
        }

        impl std::str::FromStr for $name {
            type Err = EncodingError;

            fn from_str(text: &str) -> Result<Self, EncodingError> {
                let hex = text.strip_prefix($prefix).ok_or(EncodingError::Hex)?;
                Digest::from_hex(hex).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_text())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_id!(
    /// SHA-256 of a document's received bytes.
    DocumentDigest,
    ""
);
digest_id!(
    /// SHA-256 of an observation's body: `vex:obs:sha256:<hex>`.
    ObservationId,
    "vex:obs:sha256:"
);
digest_id!(
    /// SHA-256 of a claim's body: equal for the same claim in re-issued documents.
    ClaimDigest,
    ""
);
digest_id!(
    /// SHA-256 of an envelope's stored bytes.
    EnvelopeDigest,
    ""
);
digest_id!(
    /// SHA-256 of a Sigstore bundle's kept bytes: `sha256:<hex>`.
    BundleDigest,
    "sha256:"
);
digest_id!(
    /// The untruncated key id of a transparency log.
    LogId,
    ""
);

/// A tenant's name: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct TenantId(String);

/// Text that cannot name a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a tenant: 1 to 63 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit")]
pub struct TenantIdError(String);

impl TenantId {
    /// The tenant that a fresh data folder has.
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let legal = (1..=63).contains(&text.len())
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|c| plain(c) || b"._-".contains(&c));
        if legal { Ok(Self(text.to_owned())) } else { Err(TenantIdError(text.to_owned())) }
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_have_one_spelling() {
        let id = ObservationId::new(Digest::of(b"x"));
        assert_eq!(id.to_text().parse(), Ok(id));
        assert_eq!(id.digest().to_hex().parse::<ObservationId>(), Err(EncodingError::Hex));
        assert_eq!(id.to_text().to_uppercase().parse::<ObservationId>(), Err(EncodingError::Hex));
    }

    #[test]
    fn tenant_names_keep_to_their_alphabet() {
        for good in ["default", "a", "0.x_y-z"] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", &"a".repeat(64), "ä"] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }
}

//! In-toto statements (in-toto/attestation `spec/v1/statement.md`) and our own predicates.
//!
//! A statement's payload is the JCS bytes of the statement, made once and kept. Subjects carry digests only,
//! and the predicate carries a salt, so that nobody can confirm a guess of what was attested from the log.

use hmac::{KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, hex};
use crate::ids::{DocumentDigest, TenantId};
use crate::jcs::ObjectWriter;
use crate::json::{self, Limits, ReadError};
use crate::merkle;
use crate::vex::Format;

/// Statement type, version 1.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// Statement type, version 0.1, which cosign writes.
pub const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";
/// Predicate type of a set of observations.
pub const VEX_OBSERVATIONS: &str = "https://provex.dev/predicates/vex-observations/v1";
/// What a set's subject name begins with; its root in hex follows.
pub const SET_NAME_PREFIX: &str = "vex:set:sha256:";
/// `schema` of the salt's preimage.
pub const SALT_SCHEMA: &str = "provex.salt/v1";

/// A statement as it was signed: read from its payload.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_V1`] or [`STATEMENT_V0_1`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// Which kind of predicate follows.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The predicate.
    #[serde(default)]
    pub predicate: serde_json::Value,
}

/// A subject: a name and digests by algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// Its name, if it has one.
    #[serde(default)]
    pub name: Option<String>,
    /// Lower-case hex digests by algorithm.
    pub digest: std::collections::BTreeMap<String, String>,
}

/// A payload that is no statement, or not the statement that it should be.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not the closed JSON object.
    #[error("the payload is not an in-toto statement")]
    Json(#[from] ReadError),
    /// Another statement type.
    #[error("statement type `{0}` is not taken")]
    Type(String),
    /// Another predicate type than the proof is about.
    #[error("predicate type is `{found}`, not `{expected}`")]
    PredicateType {
        /// The type that the proof needs.
        expected: &'static str,
        /// The type that was signed.
        found: String,
    },
    /// The predicate is not of its type's members.
    #[error("the predicate has wrong members")]
    Predicate(#[source] serde_json::Error),
    /// Subjects and predicate, which say the same twice, differ.
    #[error("the statement's subjects are not those of its predicate")]
    Subjects,
}

impl Statement {
    /// Reads a statement of any predicate type.
    ///
    /// # Errors
    /// [`StatementError::Json`] or [`StatementError::Type`].
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let text = json::check(payload, &Limits::document()).map_err(ReadError::Strict)?;
        let statement: Self = serde_json::from_str(text).map_err(ReadError::Shape)?;
        if [STATEMENT_V1, STATEMENT_V0_1].contains(&statement.statement_type.as_str()) {
            Ok(statement)
        } else {
            Err(StatementError::Type(statement.statement_type))
        }
    }
}

/// A document in an observations predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestedDocument {
    /// SHA-256 of its received bytes.
    pub digest: DocumentDigest,
    /// Its format.
    pub format: Format,
    /// How many of the set's observations are its.
    pub observations: u64,
}

/// The root and size of an observation set, as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCommitment {
    /// RFC 6962 root over the observations' digests in ascending order.
    pub root: Digest,
    /// How many there are.
    pub size: u64,
}

/// The predicate `vex-observations/v1` without its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservationsPredicate {
    /// The documents, by digest.
    pub documents: Vec<AttestedDocument>,
    /// Their observations.
    pub set: SetCommitment,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservationsWire {
    documents: Vec<AttestedDocument>,
    salt: String,
    set: SetWire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetWire {
    root: String,
    size: u64,
}

impl ObservationsPredicate {
    /// The statement's payload, salted for this tenant: always the same bytes for the same input.
    pub fn to_payload(&self, salt_key: &SaltKey, tenant: &TenantId) -> Vec<u8> {
        salted_payload(VEX_OBSERVATIONS, self.subjects(), salt_key, tenant, |out, salt| self.write(out, salt))
    }

    /// Reads the predicate out of a signed payload, and requires of the statement that it be the one that
    /// [`ObservationsPredicate::to_payload`] makes: version 1, and the subjects that follow from the predicate.
    ///
    /// # Errors
    /// [`StatementError`] naming what differs.
    pub fn from_payload(payload: &[u8]) -> Result<Self, StatementError> {
        let (predicate, subjects) = own_statement(payload, VEX_OBSERVATIONS)?;
        let wire: ObservationsWire = serde_json::from_value(predicate).map_err(StatementError::Predicate)?;
        let hex = |text: &str| Digest::from_hex(text).map_err(bad_member);
        hex(&wire.salt)?;
        let set = SetCommitment { root: hex(&wire.set.root)?, size: wire.set.size };
        let predicate = Self { documents: wire.documents, set };
        check_subjects(subjects, predicate.subjects())?;
        Ok(predicate)
    }

    /// Each document by its digest, then the set by its root.
    fn subjects(&self) -> impl Iterator<Item = (String, String)> {
        let documents = self.documents.iter().map(|document| {
            let hex = document.digest.to_text();
            (format!("sha256:{hex}"), hex)
        });
        let root = self.set.root.to_hex();
        documents.chain([(format!("{SET_NAME_PREFIX}{root}"), root)])
    }

    fn write(&self, out: &mut Vec<u8>, salt: Option<&str>) {
        let mut predicate = ObjectWriter::new(out);
        predicate.array("documents", |a| {
            for document in &self.documents {
                a.object(|o| {
                    o.str("digest", &document.digest.to_text());
                    o.str("format", document.format.label());
                    o.u64("observations", document.observations);
                });
            }
        });
        if let Some(salt) = salt {
            predicate.str("salt", salt);
        }
        predicate.object("set", |o| {
            o.str("root", &self.set.root.to_hex());
            o.u64("size", self.set.size);
        });
        predicate.finish().expect("strings and small counts always have a canonical form");
    }
}

/// The payload of a statement of our own about subjects, each a name and a SHA-256. `write` writes the predicate with a
/// salt, or, for the salt to be made of, without.
pub(crate) fn salted_payload(
    predicate_type: &'static str,
    subjects: impl Iterator<Item = (String, String)>,
    salt_key: &SaltKey,
    tenant: &TenantId,
    write: impl Fn(&mut Vec<u8>, Option<&str>),
) -> Vec<u8> {
    let mut unsalted = Vec::new();
    write(&mut unsalted, None);
    let salt = salt_key.salt(tenant, predicate_type, &Digest::of(&unsalted));
    let mut predicate = Vec::with_capacity(unsalted.len() + 80);
    write(&mut predicate, Some(&salt));
    let mut payload = Vec::with_capacity(predicate.len() * 2 + 512);
    let mut statement = ObjectWriter::new(&mut payload);
    statement.str("_type", STATEMENT_V1);
    statement.raw("predicate", &predicate);
    statement.str("predicateType", predicate_type);
    statement.array("subject", |a| {
        for (name, digest) in subjects {
            a.object(|o| {
                o.object("digest", |o| {
                    o.str("sha256", &digest);
                });
                o.str("name", &name);
            });
        }
    });
    statement.finish().expect("strings and small counts always have a canonical form");
    payload
}

/// Predicate and subjects of a signed payload, which has to be a statement of our own of this predicate type.
pub(crate) fn own_statement(
    payload: &[u8],
    expected: &'static str,
) -> Result<(serde_json::Value, Vec<Subject>), StatementError> {
    let statement = Statement::parse(payload)?;
    if statement.statement_type != STATEMENT_V1 {
        return Err(StatementError::Type(statement.statement_type));
    }
    if statement.predicate_type != expected {
        return Err(StatementError::PredicateType { expected, found: statement.predicate_type });
    }
    Ok((statement.predicate, statement.subject))
}

/// Requires the subjects that follow from the predicate, in their order.
pub(crate) fn check_subjects(
    found: Vec<Subject>,
    expected: impl Iterator<Item = (String, String)>,
) -> Result<(), StatementError> {
    let found = found.into_iter().map(|subject| (subject.name, subject.digest));
    let expected = expected.map(|(name, digest)| (Some(name), [("sha256".to_owned(), digest)].into()));
    if found.eq(expected) { Ok(()) } else { Err(StatementError::Subjects) }
}

/// A member of a predicate whose value is none of its kind.
pub(crate) fn bad_member(error: impl std::fmt::Display) -> StatementError {
    StatementError::Predicate(<serde_json::Error as serde::de::Error>::custom(error))
}

/// The set of these observations: sorted and without doubles, with the tree that gives each its path.
#[derive(Debug, Clone)]
pub struct ObservationSet {
    members: Vec<Digest>,
    tree: merkle::Tree,
}

impl ObservationSet {
    /// Sorts the digests, drops doubles and builds the tree.
    pub fn new(mut members: Vec<Digest>) -> Self {
        members.sort_unstable();
        members.dedup();
        let tree = merkle::Tree::new(members.iter().map(|m| merkle::leaf_hash(m.as_bytes())).collect());
        Self { members, tree }
    }

    /// The members in ascending order: a member's place here is its set index.
    pub fn members(&self) -> &[Digest] {
        &self.members
    }

    /// What is signed of the set.
    pub fn commitment(&self) -> SetCommitment {
        SetCommitment { root: self.tree.root(), size: self.members.len() as u64 }
    }

    /// The inclusion path of the member at `index`; `None` beyond the set.
    pub fn path(&self, index: u64) -> Option<Vec<Digest>> {
        self.tree.inclusion_path(index).ok()
    }
}

/// The secret that makes payloads unguessable: 32 random bytes of the data folder.
#[derive(Clone)]
pub struct SaltKey([u8; 32]);

impl SaltKey {
    /// The key that these bytes are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256 over the JCS bytes of {schema, tenantId, predicateType, predicateHash}, in hex.
    pub fn salt(&self, tenant: &TenantId, predicate_type: &str, predicate_hash: &Digest) -> String {
        let mut preimage = Vec::new();
        let mut object = ObjectWriter::new(&mut preimage);
        object.str("predicateHash", &predicate_hash.to_hex());
        object.str("predicateType", predicate_type);
        object.str("schema", SALT_SCHEMA);
        object.str("tenantId", tenant.as_str());
        object.finish().expect("strings and small counts always have a canonical form");
        let mut mac =
            hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(&preimage);
        hex(&mac.finalize().into_bytes())
    }
}

impl std::fmt::Debug for SaltKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SaltKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicate() -> ObservationsPredicate {
        let set = ObservationSet::new(vec![Digest::of(b"b"), Digest::of(b"a"), Digest::of(b"b")]);
        let document = AttestedDocument {
            digest: DocumentDigest::new(Digest::of(b"d")),
            format: Format::OpenVex,
            observations: 2,
        };
        ObservationsPredicate { documents: vec![document], set: set.commitment() }
    }

    fn payload_with(from: &str, to: &str) -> Vec<u8> {
        let payload = predicate().to_payload(&SaltKey::new([1; 32]), &TenantId::default_tenant());
        let text = String::from_utf8(payload).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn the_same_predicate_gives_the_same_payload_for_one_tenant_only() {
        let key = SaltKey::new([1; 32]);
        let tenant = TenantId::default_tenant();
        let payload = predicate().to_payload(&key, &tenant);
        assert_eq!(predicate().to_payload(&key, &tenant), payload);
        assert_ne!(predicate().to_payload(&key, &"other".parse().unwrap()), payload);
        assert_ne!(predicate().to_payload(&SaltKey::new([2; 32]), &tenant), payload);
    }

    #[test]
    fn a_payload_is_canonical_and_read_back() {
        let payload = predicate().to_payload(&SaltKey::new([1; 32]), &TenantId::default_tenant());
        let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(crate::jcs::canonicalize(&value).unwrap(), payload);
        assert_eq!(ObservationsPredicate::from_payload(&payload).unwrap(), predicate());
    }

    #[test]
    fn subjects_that_do_not_follow_from_the_predicate_are_refused() {
        let root = predicate().set.root.to_hex();
        let other = Digest::of(b"other").to_hex();
        let changed = payload_with(&format!("{SET_NAME_PREFIX}{root}"), &format!("{SET_NAME_PREFIX}{other}"));
        assert!(matches!(ObservationsPredicate::from_payload(&changed), Err(StatementError::Subjects)));
        let changed = payload_with("Statement/v1", "Statement/v0.1");
        assert!(matches!(ObservationsPredicate::from_payload(&changed), Err(StatementError::Type(_))));
        let changed = payload_with("vex-observations/v1", "vex-verdicts/v1");
        assert!(matches!(
            ObservationsPredicate::from_payload(&changed),
            Err(StatementError::PredicateType { .. })
        ));
        let changed = payload_with(r#""size":2"#, r#""size":2,"x":1"#);
        assert!(matches!(ObservationsPredicate::from_payload(&changed), Err(StatementError::Predicate(_))));
    }

    #[test]
    fn an_empty_set_has_the_root_of_nothing() {
        let set = ObservationSet::new(Vec::new());
        assert_eq!(set.commitment(), SetCommitment { root: Digest::of(b""), size: 0 });
        assert_eq!(set.path(0), None);
    }
}

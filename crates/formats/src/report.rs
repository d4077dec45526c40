//! What parsing said of a document: codes, findings and rejections.
//!
//! There are three outcomes: a [`Rejection`], observations with [`Finding`]s, or observations alone. Findings are
//! part of the parse report and never of an observation, so a better message does not change an identity.

use provex_core::json::{self, JsonError, JsonErrorKind, Node};
use provex_core::vex::Format;

/// Declares the codes: the enum and its labels.
macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $label:literal,)+) => {
        /// What is wrong, for machines: a label never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])+ $variant,)+ }

        impl Code {
            /// Every code, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label in JSON and output.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

codes! {
    /// Rejected: more bytes than the limit.
    TooLarge = "too_large",
    /// Rejected: not UTF-8.
    NotUtf8 = "not_utf8",
    /// Rejected: a byte order mark where none may stand.
    ByteOrderMark = "byte_order_mark",
    /// Rejected: nothing but white space.
    Empty = "empty",
    /// Rejected: a byte that JSON does not permit there.
    UnexpectedByte = "unexpected_byte",
    /// Rejected: the JSON ends inside a string or container.
    Unterminated = "unterminated",
    /// Rejected: an escape that JSON does not have.
    BadEscape = "bad_escape",
    /// Rejected: an unescaped control character in a string.
    ControlCharacter = "control_character",
    /// Rejected: a word other than `true`, `false` and `null`.
    BadLiteral = "bad_literal",
    /// Rejected: a number that JSON does not permit.
    BadNumber = "bad_number",
    /// Rejected: something follows the JSON value.
    TrailingData = "trailing_data",
    /// Rejected: containers nested deeper than the limit.
    TooDeep = "too_deep",
    /// Rejected: more objects than the limit.
    TooManyObjects = "too_many_objects",
    /// Rejected: a key that its object already has; JSON readers differ on which value counts.
    DuplicateKey = "duplicate_key",
    /// Rejected: a number that no double can hold.
    NumberOutOfRange = "number_out_of_range",
    /// Rejected: a number that is no plain integer, where only those may stand.
    NumberNotInteger = "number_not_integer",
    /// Rejected: half of a surrogate pair.
    LoneSurrogate = "lone_surrogate",
    /// Rejected: U+0000 in a string.
    NulCharacter = "nul_character",

    /// Rejected: none of the formats that are read.
    UnknownFormat = "unknown_format",
    /// Rejected: a format that is known but not read.
    UnsupportedFormat = "unsupported_format",
    /// Rejected: the marks of several formats; which of them is read would depend on the reader.
    AmbiguousFormat = "ambiguous_format",
    /// Rejected: XML that is not well-formed.
    BadXml = "bad_xml",
    /// Rejected: XML with a document type declaration, which can make a small document a huge one.
    XmlDoctype = "xml_doctype",
    /// Rejected: an entity that is not one of XML's five.
    XmlEntity = "xml_entity",
    /// Rejected: the payload of an envelope is no base64.
    BadBase64 = "bad_base64",
    /// Rejected: what the predicate is and what the predicate type says that it is differ.
    PredicateMismatch = "predicate_mismatch",
    /// Rejected: no statement is left that makes a claim.
    NoUsableStatement = "no_usable_statement",
    /// Rejected: so many claims, or claims so long, that they would take more memory than is allowed.
    TooManyClaims = "too_many_claims",

    /// Statement dropped: it is no JSON object.
    BadStatement = "bad_statement",
    /// Statement dropped: it names no vulnerability.
    MissingVulnerability = "missing_vulnerability",
    /// Statement, product or subcomponent dropped: nothing says what it is.
    MissingProduct = "missing_product",
    /// Subcomponent dropped: it has subcomponents of its own, and the claim is about those.
    NestedSubcomponents = "nested_subcomponents",
    /// Statement dropped: it has no status.
    MissingStatus = "missing_status",
    /// Statement dropped: a status that its format does not have.
    UnknownStatus = "unknown_status",
    /// Statement dropped: an identifier, a vulnerability name or a key made of them is over 1,024 bytes.
    KeyTooLong = "key_too_long",
    /// Claim dropped: its entry in a list of versions does not name a version or a range.
    BadVersionEntry = "bad_version_entry",

    /// Statement dropped: its issuer withdrew it.
    WithdrawnStatement = "withdrawn_statement",
    /// Product dropped: it is no subject of the in-toto Statement, which speaks for its subjects only.
    NotASubject = "not_a_subject",

    /// Kept, but the document stands alone: it has no id.
    MissingId = "missing_id",
    /// Kept, by its text: an id of another form than the format wants.
    BadId = "bad_id",
    /// Kept without an issuer.
    MissingIssuer = "missing_issuer",
    /// Kept, but the document stands alone: it has no version.
    MissingVersion = "missing_version",
    /// Kept: a version of another type or form than the format wants.
    BadVersion = "bad_version",
    /// Kept: the document has no time.
    MissingTimestamp = "missing_timestamp",
    /// Kept without this time: it is no RFC 3339 time.
    BadTimestamp = "bad_timestamp",
    /// Kept: a time without a zone, read as UTC.
    AssumedUtc = "assumed_utc",
    /// Kept: the document names another version of its format than the one it is written in.
    SpecVersionMismatch = "spec_version_mismatch",
    /// Kept, read by the newest rules known: a version of the format that is not known.
    UnknownSpecVersion = "unknown_spec_version",
    /// Kept: a member that the format requires is not there or empty.
    MissingMember = "missing_member",
    /// Kept: a term that its closed list does not have, of no weight for the claims; in XML, for the space around it.
    UnknownTerm = "unknown_term",
    /// Kept: an element that its list has twice, where the schema permits it once.
    RepeatedElement = "repeated_element",
    /// Kept, and not read: an extension that the document calls critical (CSAF 2.1).
    CriticalExtension = "critical_extension",
    /// Kept: a part in the form of another version of the format than the rest.
    MixedSpecVersions = "mixed_spec_versions",
    /// Kept without it: a member that the format's closed schema does not have.
    UnknownMember = "unknown_member",
    /// Kept without it: a member of another JSON type than the format wants.
    WrongType = "wrong_type",
    /// Kept, keyed by its text: a purl that the purl specification refuses.
    BadPurl = "bad_purl",
    /// Kept, keyed by its text: a CPE name that its specification refuses.
    BadCpe = "bad_cpe",
    /// Kept as an identifier, but not used as a key: no digest of its algorithm.
    BadHash = "bad_hash",
    /// Kept: a product that identifiers of one kind name differently.
    AmbiguousProduct = "ambiguous_product",
    /// Kept, keyed by its text: a reference to something that the document does not have.
    DanglingRef = "dangling_ref",
    /// Kept: two elements of one document have the same name.
    DuplicateRef = "duplicate_ref",
    /// Kept: a range of versions that is not in the format's notation.
    BadVersionRange = "bad_version_range",
    /// Kept: the vulnerability was rejected, or its record withdrawn.
    RejectedVulnerability = "rejected_vulnerability",
    /// Kept: not affected, and nothing says why.
    Unjustified = "unjustified",
    /// Kept without it: a justification that its format does not have.
    UnknownJustification = "unknown_justification",
    /// Kept with it: a justification under a status that needs none.
    MisplacedJustification = "misplaced_justification",
    /// Kept: affected, and nothing says what to do.
    MissingAction = "missing_action",
    /// Kept without it: a response that its format does not have.
    UnknownResponse = "unknown_response",
    /// Kept, all of them: two statements of one document give one subject different statuses at the same time.
    IntraDocumentConflict = "intra_document_conflict",
    /// Kept, keyed by its own text: a product id that the product tree does not define (CSAF 6.1.1).
    UndefinedProduct = "undefined_product",
    /// Kept, keyed by its own text: a product that is composed of itself (CSAF 6.1.3).
    CircularProduct = "circular_product",
    /// Kept without it: a product group that the product tree does not define (CSAF 6.1.4).
    UndefinedGroup = "undefined_group",
    /// Kept as one: a product group that is defined twice (CSAF 6.1.5).
    RepeatedGroup = "repeated_group",
    /// Kept: versions of the revision history that do not rise with their dates (CSAF 6.1.14).
    UnsortedRevisions = "unsorted_revisions",
    /// Kept: a translation that does not say from which language (CSAF 6.1.15).
    MissingSourceLanguage = "missing_source_language",
    /// Kept: a version other than the last of the revision history (CSAF 6.1.16).
    VersionNotLatest = "version_not_latest",
    /// Kept: a version before the first release in a document that is no draft (CSAF 6.1.17).
    NotMarkedDraft = "not_marked_draft",
    /// Kept: a version before the first release in the history of a released document (CSAF 6.1.18).
    UnreleasedRevision = "unreleased_revision",
    /// Kept: a pre-release version in the revision history (CSAF 6.1.19).
    PrereleaseRevision = "prerelease_revision",
    /// Kept: a released document with a pre-release version (CSAF 6.1.20).
    PrereleaseVersion = "prerelease_version",
    /// Kept: a revision history that leaves out a version (CSAF 6.1.21).
    MissingRevision = "missing_revision",
    /// Kept: a version that the revision history has twice (CSAF 6.1.22).
    RepeatedRevision = "repeated_revision",
    /// Kept, all of them: two vulnerability items with one CVE id (CSAF 6.1.23).
    RepeatedVulnerability = "repeated_vulnerability",
    /// Kept: a category that could be taken for a profile and is none (CSAF 6.1.26).
    ReservedCategory = "reserved_category",
    /// Kept: vulnerabilities in a document whose profile has none (CSAF 6.1.27.3).
    UnexpectedVulnerabilities = "unexpected_vulnerabilities",
    /// Kept: no external reference, which the profile requires (CSAF 6.1.27.2).
    MissingReference = "missing_reference",
    /// Kept: a translation into the language that it is from (CSAF 6.1.28).
    SameLanguage = "same_language",
    /// Kept: no product tree, which the profile requires (CSAF 6.1.27.4).
    MissingProductTree = "missing_product_tree",
    /// Kept: a vulnerability without notes, which the profile requires (CSAF 6.1.27.5).
    MissingNotes = "missing_notes",
    /// Kept: a vulnerability without a status that the profile requires (CSAF 6.1.27.6 and 6.1.27.7).
    MissingProductStatus = "missing_product_status",
    /// Kept: no vulnerabilities, which the profile requires (CSAF 6.1.27.11).
    MissingVulnerabilities = "missing_vulnerabilities",
    /// Kept: no note that describes the document, which the profile requires (CSAF 6.1.27.1 and 6.1.27.14).
    MissingDescription = "missing_description",
    /// Kept: a withdrawn or superseded document with a product tree (CSAF 6.1.27.15).
    UnexpectedProductTree = "unexpected_product_tree",
    /// Kept: a withdrawn or superseded document with less than two revisions (CSAF 6.1.27.16).
    ShortHistory = "short_history",
    /// Kept: a withdrawn or superseded document that does not say why (CSAF 6.1.27.17 and 6.1.27.18).
    MissingReasoning = "missing_reasoning",
    /// Kept: a superseded document that does not say by which (CSAF 6.1.27.19).
    MissingSuccessor = "missing_successor",
    /// Kept without it: a remediation that names no product (CSAF 6.1.29).
    UnboundRemediation = "unbound_remediation",
    /// Kept: integers and semantic versions in one document (CSAF 6.1.30).
    MixedVersioning = "mixed_versioning",
    /// Kept without it: a flag that names no product (CSAF 6.1.32).
    UnboundFlag = "unbound_flag",
    /// Kept with the first: two justifications for one product (CSAF 6.1.33).
    RepeatedJustification = "repeated_justification",
    /// Kept: a product below more than thirty branches (CSAF 2.1, 6.1.34).
    BranchesTooDeep = "branches_too_deep",
    /// Kept, all of them: remediations of one product that contradict each other (CSAF 2.1, 6.1.35).
    ContradictingRemediations = "contradicting_remediations",
    /// Kept: a remediation that contradicts the status of its product (CSAF 2.1, 6.1.36).
    MisplacedRemediation = "misplaced_remediation",
    /// Kept: a time that RFC 3339 permits and its format does not (CSAF 2.1, 6.1.37; SPDX 3, Core/DateTime).
    TimeForm = "time_form",
    /// Kept with the first: purls of one product that differ in more than qualifiers (CSAF 2.1, 6.1.42).
    PurlsDiffer = "purls_differ",
    /// Kept with the status least favourable to the product: a statement that has two statuses.
    ContradictoryStatus = "contradictory_status",
    /// Dropped: a claim whose scope cannot be told, for a member that is not known may limit it.
    UnclearScope = "unclear_scope",
    /// Kept without it: an identifier of a type that the format does not have.
    UnknownIdentifier = "unknown_identifier",
    /// Kept: a `@context` besides the format's own, which may give its names another meaning.
    ForeignContext = "foreign_context",
    /// Kept: a relationship type that says nothing of the status.
    BadRelationshipType = "bad_relationship_type",
    /// Kept: names without the prefix of their profile.
    UnprefixedName = "unprefixed_name",
    /// Kept with the first: a vulnerability with several CVE ids.
    AmbiguousVulnerability = "ambiguous_vulnerability",
    /// Kept: an envelope without a signature.
    MissingSignature = "missing_signature",
    /// Kept: base64 in another alphabet than the standard one, or without padding.
    LooseBase64 = "loose_base64",
    /// Kept without it: a subject of an in-toto Statement that nothing identifies, or no subject at all.
    BadSubject = "bad_subject",
    /// Some findings are left out: there are too many of one code.
    FindingsOmitted = "findings_omitted",
}

impl From<JsonErrorKind> for Code {
    fn from(kind: JsonErrorKind) -> Self {
        match kind {
            JsonErrorKind::TooLarge { .. } => Self::TooLarge,
            JsonErrorKind::NotUtf8 => Self::NotUtf8,
            JsonErrorKind::ByteOrderMark => Self::ByteOrderMark,
            JsonErrorKind::Empty => Self::Empty,
            JsonErrorKind::UnexpectedByte { .. } => Self::UnexpectedByte,
            JsonErrorKind::Unterminated => Self::Unterminated,
            JsonErrorKind::BadEscape => Self::BadEscape,
            JsonErrorKind::ControlCharacter => Self::ControlCharacter,
            JsonErrorKind::BadLiteral => Self::BadLiteral,
            JsonErrorKind::BadNumber => Self::BadNumber,
            JsonErrorKind::TrailingData => Self::TrailingData,
            JsonErrorKind::TooDeep { .. } => Self::TooDeep,
            JsonErrorKind::TooManyObjects { .. } => Self::TooManyObjects,
            JsonErrorKind::DuplicateKey => Self::DuplicateKey,
            JsonErrorKind::NumberOutOfRange => Self::NumberOutOfRange,
            JsonErrorKind::NumberNotInteger => Self::NumberNotInteger,
            JsonErrorKind::LoneSurrogate => Self::LoneSurrogate,
            JsonErrorKind::NulCharacter => Self::NulCharacter,
        }
    }
}

/// Something that a document should not have done, which did not stop it from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of fault this is.
    pub code: Code,
    /// JSON pointer of the faulty value, or of where a missing one belongs, from the root of the VEX document.
    pub pointer: String,
    /// The line it is on, from 1; a missing value has its parent's.
    pub line: Option<u64>,
    /// What is wrong and what the document's author should do.
    pub message: String,
}

/// Why a document gave no observation at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What kind of fault this is.
    pub code: Code,
    /// The format, as far as it was recognised.
    pub format: Option<Format>,
    /// JSON pointer of the fault.
    pub pointer: String,
    /// The line it is on, from 1.
    pub line: Option<u64>,
    /// The column it is at, in characters from 1.
    pub column: Option<u64>,
    /// What is wrong and what to do.
    pub message: String,
    /// What else was found, as far as the document was read.
    pub findings: Vec<Finding>,
}

impl Rejection {
    /// A rejection whose line and column are still to be found.
    pub(crate) fn new(
        code: Code,
        format: Option<Format>,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        Self { code, format, pointer, line: None, column: None, message, findings: Vec::new() }
    }

    /// Fills in line and column from the text that `pointer` points into.
    pub(crate) fn located(mut self, text: &str) -> Self {
        let place = json::locate(text, &[&self.pointer]).into_iter().next().flatten();
        self.line = place.map(|place| place.line as u64);
        self.column = place.map(|place| place.column as u64);
        self
    }
}

impl From<JsonError> for Rejection {
    fn from(error: JsonError) -> Self {
        let (kind, hint) = (error.kind, hint(error.kind));
        let message = match kind {
            JsonErrorKind::TooLarge { limit, found } => too_large(Some(found as u64), limit),
            JsonErrorKind::TooManyObjects { .. } => format!("The document has {kind}; {hint}."),
            JsonErrorKind::TooDeep { .. } | JsonErrorKind::NotUtf8 => {
                format!("The document is {kind}; {hint}.")
            }
            _ => format!("The document is not strict JSON: {kind}; {hint}."),
        };
        Self {
            code: error.kind.into(),
            format: None,
            pointer: error.pointer,
            line: Some(error.line as u64),
            column: Some(error.column as u64),
            message,
            findings: Vec::new(),
        }
    }
}

/// What the author of a document does about a refusal of the strict pass.
pub(crate) const fn hint(kind: JsonErrorKind) -> &'static str {
    match kind {
        JsonErrorKind::TooLarge { .. } | JsonErrorKind::TooManyObjects { .. } => {
            "split it into several documents"
        }
        JsonErrorKind::NotUtf8 => "write it in UTF-8",
        JsonErrorKind::ByteOrderMark => "leave it out",
        JsonErrorKind::Empty => "give a document",
        JsonErrorKind::UnexpectedByte { .. } => "take it out, or add what is missing before it",
        JsonErrorKind::Unterminated => "give the whole document, or close what is open",
        JsonErrorKind::BadEscape => r"write a backslash as `\\`",
        JsonErrorKind::ControlCharacter => r"write it as an escape, such as `\n`",
        JsonErrorKind::BadLiteral => "write `true`, `false` or `null`, or a text in quotes",
        JsonErrorKind::BadNumber => "write it as `0.5`, `12` or `1e3`",
        JsonErrorKind::TrailingData => "give one document at a time",
        JsonErrorKind::TooDeep { .. } => "make it flatter",
        JsonErrorKind::DuplicateKey => "keep one of the two",
        JsonErrorKind::NumberOutOfRange => "write one that a double can hold",
        JsonErrorKind::NumberNotInteger => "write an integer in plain digits",
        JsonErrorKind::LoneSurrogate => "write both halves, or the character itself",
        JsonErrorKind::NulCharacter => "take it out",
    }
}

/// What a document is told that has more bytes than the limit, and how many where that is known.
pub fn too_large(bytes: Option<u64>, limit: usize) -> String {
    let hint = "split it into several documents";
    match bytes {
        Some(bytes) => format!("The document has {bytes} bytes, more than the {limit} allowed; {hint}."),
        None => format!("The document has more than the {limit} bytes allowed; {hint}."),
    }
}

/// Most findings of one code that a report lists: a hostile document could have a hundred million.
const MAX_FINDINGS_PER_CODE: u32 = 1_000;
/// Longest pointer that a finding has; a longer one gives way to an ancestor's.
const MAX_POINTER: usize = 1_024;

/// Collects the findings of a document.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    counts: std::collections::BTreeMap<Code, u64>,
}

impl Findings {
    /// Adds a finding. `pointer` and `message` are made only if the finding is listed.
    pub(crate) fn add(
        &mut self,
        code: Code,
        pointer: impl FnOnce() -> String,
        message: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry(code).or_default();
        *count += 1;
        if *count <= u64::from(MAX_FINDINGS_PER_CODE) {
            let finding = Finding { code, pointer: shortened(pointer()), line: None, message: message() };
            self.list.push(finding);
        }
    }

    /// Adds all findings of others, after its own.
    pub(crate) fn append(&mut self, others: Self) {
        let listed = |code, list: &[Finding]| list.iter().filter(|found| found.code == code).count() as u64;
        let unlisted: Vec<_> =
            others.counts.iter().map(|(code, count)| (*code, count - listed(*code, &others.list))).collect();
        for Finding { code, pointer, message, .. } in others.list {
            self.add(code, || pointer, || message);
        }
        for (code, count) in unlisted.into_iter().filter(|(_, count)| *count > 0) {
            *self.counts.entry(code).or_default() += count;
        }
    }

    /// How many there are, listed or not.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The first finding, which for a document without claims says why.
    pub(crate) fn first_of(&self, codes: &[Code]) -> Option<&Finding> {
        self.list.iter().find(|finding| codes.contains(&finding.code))
    }

    /// The first finding of this code whose pointer begins so.
    pub(crate) fn first_below(&self, code: Code, pointer: &str) -> Option<&Finding> {
        self.list.iter().find(|finding| finding.code == code && finding.pointer.starts_with(pointer))
    }

    /// The findings with their lines in the document's text, which `root` is the value of.
    pub(crate) fn located(mut self, text: &str, root: Node<'_>) -> Vec<Finding> {
        if self.list.is_empty() {
            return self.list;
        }
        let omitted = self.counts.iter().filter(|(_, count)| **count > u64::from(MAX_FINDINGS_PER_CODE));
        for (code, count) in omitted {
            let more = count - u64::from(MAX_FINDINGS_PER_CODE);
            self.list.push(Finding {
                code: Code::FindingsOmitted,
                pointer: String::new(),
                line: None,
                message: format!(
                    "{more} more findings `{}` are not listed; mend those that are and check again.",
                    code.label()
                ),
            });
        }
        let pointers: Vec<&str> = self.list.iter().map(|finding| finding.pointer.as_str()).collect();
        let places = json::locate_in(text, root, &pointers);
        for (finding, place) in self.list.iter_mut().zip(places) {
            finding.line = place.map(|place| place.line as u64);
        }
        self.list
    }
}

/// Appends an object's key to a JSON pointer (RFC 6901 section 3).
pub(crate) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Appends a list's key, which needs no escapes, and an index to a JSON pointer.
pub(crate) fn element(pointer: &str, list: &str, index: usize) -> String {
    let mut element = String::with_capacity(pointer.len() + list.len() + 8);
    element.push_str(pointer);
    push_element(&mut element, list, index);
    element
}

/// As [`element`], to a pointer whose memory is used again.
pub(crate) fn push_element(pointer: &mut String, list: &str, index: usize) {
    for part in ["/", list, "/"] {
        pointer.push_str(part);
    }
    push_number(pointer, index);
}

fn push_number(text: &mut String, number: usize) {
    if number > 9 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// A value for a message: quoted, on one line, and not too long to read.
pub(crate) fn quoted(value: &str) -> String {
    const LONGEST: usize = 80;
    let mut chars = value.chars();
    let mut text: String = chars.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

fn shortened(mut pointer: String) -> String {
    while pointer.len() > MAX_POINTER {
        let end = pointer.rfind('/').unwrap_or(0);
        pointer.truncate(end);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use provex_core::json::Limits;

    fn located(findings: Findings, text: &str) -> Vec<Finding> {
        let indexed = json::index(text.as_bytes(), &Limits::document()).unwrap();
        findings.located(text, indexed.root())
    }

    #[test]
    fn labels_are_distinct_snake_case() {
        let labels: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.label()).collect();
        assert_eq!(labels.len(), Code::ALL.len());
        assert!(labels.iter().all(|label| label.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())));
    }

    #[test]
    fn codes_of_the_strict_pass_keep_their_words() {
        for kind in [
            JsonErrorKind::TooLarge { limit: 1, found: 2 },
            JsonErrorKind::UnexpectedByte { byte: 0 },
            JsonErrorKind::DuplicateKey,
            JsonErrorKind::NulCharacter,
        ] {
            assert_eq!(Code::from(kind).label(), kind.code());
        }
    }

    #[test]
    fn every_refusal_of_the_strict_pass_says_what_to_do() {
        let long = format!("[{}1]", "1".repeat(400));
        for text in [
            "",
            "nil",
            "{]",
            "[1",
            r#"["\x"]"#,
            "[\"\n\"]",
            "[nul]",
            "[01]",
            "[] []",
            &"[".repeat(200),
            r#"{"a":1,"a":1}"#,
            &long,
            r#"["\ud800"]"#,
            "[\"\\u0000\"]",
        ] {
            let rejection = Rejection::from(json::check(text.as_bytes(), &Limits::document()).unwrap_err());
            let (_, hint) = rejection.message.rsplit_once("; ").unwrap_or_default();
            assert!(hint.len() > 5 && hint.ends_with('.'), "{text:?}: {}", rejection.message);
        }
    }

    #[test]
    fn a_document_over_a_limit_is_not_said_to_be_bad_json() {
        for (bytes, limits, message) in [
            (
                &b"[1, 2]"[..],
                Limits { max_bytes: 5, ..Limits::document() },
                "The document has 6 bytes, more than the 5 allowed; split it into several documents.",
            ),
            (
                b"[{}]",
                Limits { max_objects: 0, ..Limits::document() },
                "The document has more than 0 objects; split it into several documents.",
            ),
            (
                b"[[]]",
                Limits { max_depth: 1, ..Limits::document() },
                "The document is nested deeper than 1 levels; make it flatter.",
            ),
            (b"\xff", Limits::document(), "The document is not UTF-8; write it in UTF-8."),
            (
                b"[1",
                Limits::document(),
                "The document is not strict JSON: unexpected end of input; give the whole document, or close what is \
                 open.",
            ),
        ] {
            let error = json::check(bytes, &limits).unwrap_err();
            assert_eq!(Rejection::from(error).message, message);
        }
    }

    #[test]
    fn a_report_lists_a_thousand_findings_of_a_code() {
        let mut findings = Findings::default();
        for _ in 0..1_003 {
            findings.add(Code::Unjustified, || "/a/b".to_owned(), String::new);
        }
        findings.add(Code::BadPurl, || child("", "a~/"), || quoted(&"\n".repeat(100)));
        let findings = located(findings, "{\n\"a\": 1}");
        assert_eq!(findings.len(), 1_002);
        assert_eq!(findings[0].line, Some(2));
        assert_eq!(findings[1_000].pointer, "/a~0~1");
        assert_eq!(findings[1_000].message.len(), 2 + 160 + '…'.len_utf8());
        assert!(findings[1_001].message.starts_with("3 more findings `unjustified`"));
    }

    #[test]
    fn a_pointer_too_long_gives_way_to_its_parent() {
        let mut findings = Findings::default();
        findings.add(Code::UnknownMember, || child("/statements/0", &"x".repeat(2_000)), String::new);
        assert_eq!(located(findings, "{}")[0].pointer, "/statements/0");
    }
}

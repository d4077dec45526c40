//! The OpenVEX reader: versions 0.0.1 and 0.2.0.
//!
//! Specification: `openvex/spec`, OPENVEX-SPEC.md and openvex_json_schema.json. Documents name the wrong version
//! in practice (a bare `https://openvex.dev/ns` means 0.0.1, but tools write 0.2.0 under it), so the form of each
//! statement is told by the JSON type of its `vulnerability`: a string in 0.0.1, an object in 0.2.0. Where the
//! parts of one statement differ in form, each is read in its own.
//!
//! A statement inherits the document's `timestamp`, and nothing else: `last_updated` is its own, although go-vex
//! lets it cascade. Subcomponents narrow a claim, so where they cannot be read the claim is dropped rather than
//! widened to the whole product; a member that looks like theirs, misspelled, cannot be read. Other members that the
//! schema does not have are extensions, for go-vex writes some itself.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashSet;
use provex_core::json::{Members, Node};
use provex_core::vex::{
    Action, AssertedAtSource, Canonical, Format, Issuer, Justification, Locator, Observation, Shared, Status,
    Vulnerability,
};

use crate::Context;
use crate::component::{Components, Described, IdentifierType, Keyed};
use crate::conflicts::Subjects;
use crate::detect::OPENVEX_CONTEXT;
use crate::document::{Accepted, Claims, DocumentFacts, MAX_KEY_BYTES};
use crate::memo::Memo;
use crate::misspelling::resembles;
use crate::repeats;
use crate::report::{Code, Findings, Rejection, child, element, push_element, quoted};
use crate::stated::{Parts, Texts, Time, Times, integer, is_blank, is_iri};
use crate::terms;
use crate::typed::{Entries, List, Member, Number, Shape, Unread, object};
use crate::vulnerability::vulnerability;
use crate::wrapper;

/// `scheme` of the issuer, whose id is the `author`.
const ISSUER_SCHEME: &str = "openvex";

/// Reads a document whose `@context` is OpenVEX's.
pub(crate) fn read(
    text: &str,
    root: Node<'_>,
    context: &Context<'_>,
    claims: Claims<'_>,
) -> Result<Accepted, Rejection> {
    let Member::Value(document) = Member::<Document<'_>>::of(root) else {
        return Err(rejection(Code::UnknownFormat, "", "The document is no JSON object; make it one."));
    };
    let mut findings = Findings::default();
    match read_document(root, document, context, claims, &mut findings) {
        Ok((facts, claims)) => Ok(claims.finish(facts, findings, text, root)),
        Err(mut rejection) => {
            rejection.findings = findings.located(text, root);
            Err(rejection)
        }
    }
}

fn read_document<'a, 'c>(
    root: Node<'a>,
    document: Document<'a>,
    context: &Context<'a>,
    claims: Claims<'c>,
    findings: &mut Findings,
) -> Result<(DocumentFacts, Claims<'c>), Rejection> {
    let (facts, form, statements) = facts(document, context, findings)?;
    let mut reader = Reader::new(&facts, form, context, claims, findings);
    let mut at = String::new();
    for (n, statement) in statements.enumerate() {
        at.clear();
        push_element(&mut at, "statements", n);
        reader.statement(&at, statement)?;
    }
    let Reader { claims, about, findings, .. } = reader;
    if claims.is_empty() {
        return Err(no_claims(findings));
    }
    about.report(findings, |says, first, pointer| {
        format!(
            "This product is `{says}` here and `{first}` at {pointer} for the same vulnerability and time; both are \
             kept; state one, or give them different times."
        )
    });
    repeats::report(root, about.repeats(), |_| true, findings);
    Ok((facts, claims))
}

object! {
    Document<'a> {
        context: Cow<'a, str> = "@context",
        id: Cow<'a, str> = "@id",
        author: Cow<'a, str> = "author",
        timestamp: Cow<'a, str> = "timestamp",
        version: Revision<'a> = "version",
        statements: List<'a, Statement<'a>> = "statements",
        role: Cow<'a, str> = "role",
        last_updated: Cow<'a, str> = "last_updated",
        tooling: Cow<'a, str> = "tooling",
    }
}

object! {
    Statement<'a> {
        vulnerability: Named<'a> = "vulnerability",
        products: List<'a, Product<'a>> = "products",
        /// Only in 0.0.1: the subcomponents of every product.
        subcomponents: List<'a, Product<'a>> = "subcomponents",
        status: Cow<'a, str> = "status",
        justification: Cow<'a, str> = "justification",
        impact_statement: Cow<'a, str> = "impact_statement",
        action_statement: Cow<'a, str> = "action_statement",
        status_notes: Cow<'a, str> = "status_notes",
        timestamp: Cow<'a, str> = "timestamp",
        last_updated: Cow<'a, str> = "last_updated",
        id: Cow<'a, str> = "@id",
        version: Revision<'a> = "version",
        supplier: Cow<'a, str> = "supplier",
        action_statement_timestamp: Cow<'a, str> = "action_statement_timestamp",
    }
}

object! {
    NamedObject<'a> {
        id: Cow<'a, str> = "@id",
        name: Cow<'a, str> = "name",
        aliases: List<'a, Cow<'a, str>> = "aliases",
        description: Cow<'a, str> = "description",
    }
}

object! {
    /// A product, or a subcomponent, which has no `subcomponents`.
    ProductObject<'a> {
        id: Cow<'a, str> = "@id",
        identifiers: Unread<'a> = "identifiers",
        hashes: Entries<'a> = "hashes",
        subcomponents: List<'a, Product<'a>> = "subcomponents",
    }
}

object! {
    /// The published schema writes the CPE keys with `@`, the prose and go-vex without.
    Identifiers<'a> {
        purl: Cow<'a, str> = "purl",
        cpe22: Cow<'a, str> = "cpe22",
        cpe23: Cow<'a, str> = "cpe23",
        at_cpe22: Cow<'a, str> = "@cpe22",
        at_cpe23: Cow<'a, str> = "@cpe23",
    }
}

/// The hash names of the 0.2.0 schema.
const HASHES: [&str; 12] = [
    "md5",
    "sha1",
    "sha-256",
    "sha-384",
    "sha-512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "blake2s-256",
    "blake2b-256",
    "blake2b-512",
];

/// A vulnerability: its name in 0.0.1, an object in 0.2.0.
#[derive(Debug)]
enum Named<'a> {
    Name(Cow<'a, str>),
    Object(NamedObject<'a>),
}

impl<'a> Shape<'a> for Named<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self::Name(text))
    }

    fn object(members: Members<'a>) -> Option<Self> {
        NamedObject::object(members).map(Self::Object)
    }
}

/// A product or subcomponent: its id in 0.0.1, an object in 0.2.0.
#[derive(Debug)]
enum Product<'a> {
    Id(Cow<'a, str>),
    Object(ProductObject<'a>),
}

impl<'a> Shape<'a> for Product<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self::Id(text))
    }

    fn object(members: Members<'a>) -> Option<Self> {
        ProductObject::object(members).map(Self::Object)
    }
}

/// A document's version: a string in 0.0.1, an integer from 1 in 0.2.0.
#[derive(Debug)]
enum Revision<'a> {
    Text(Cow<'a, str>),
    Number(Number),
}

impl<'a> Shape<'a> for Revision<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self::Text(text))
    }

    fn number(number: Number) -> Option<Self> {
        Some(Self::Number(number))
    }
}

/// The two forms of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    V001,
    V020,
}

impl Form {
    const fn version(self) -> &'static str {
        match self {
            Self::V001 => "0.0.1",
            Self::V020 => "0.2.0",
        }
    }
}

impl Statement<'_> {
    fn form(&self) -> Option<Form> {
        self.vulnerability.value().map(|vulnerability| match vulnerability {
            Named::Name(_) => Form::V001,
            Named::Object(_) => Form::V020,
        })
    }
}

/// What the document says of itself, and its statements.
fn facts<'a>(
    document: Document<'a>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<(DocumentFacts, Form, List<'a, Statement<'a>>), Rejection> {
    let declared = document.context.take(findings, || "/@context".to_owned(), "a string");
    let statements = document.statements.value().cloned();
    let form = statements.clone().into_iter().flatten().find_map(|statement| statement.value()?.form());
    let (form, spec_version) = spec_version(declared.as_deref(), form, findings);
    if form == Form::V020 {
        report_unknown(&document.unknown, String::new, findings);
    }
    let id = required(document.id, "@id", Code::MissingId, findings);
    check_iri(id.as_deref(), || "/@id".to_owned(), findings);
    document.role.check(findings, || "/role".to_owned(), "a string");
    document.tooling.check(findings, || "/tooling".to_owned(), "a string");
    Time::read(document.last_updated, findings, || "/last_updated".to_owned());
    let author = required(document.author, "author", Code::MissingIssuer, findings);
    if matches!(document.timestamp, Member::Absent) {
        let message = "The document has no `timestamp`; add the time at which it was issued.";
        findings.add(Code::MissingTimestamp, || "/timestamp".to_owned(), || message.to_owned());
    }
    let facts = DocumentFacts {
        digest: context.digest,
        payload_digest: None,
        format: Format::OpenVex,
        spec_version: Some(spec_version),
        id: id.map(Cow::into_owned),
        revision: revision(document.version, form, findings),
        issuer: author.map(|author| Issuer { scheme: ISSUER_SCHEME.to_owned(), id: author.into_owned() }),
        stated_at: Time::read(document.timestamp, findings, || "/timestamp".to_owned()).text(),
        retires: None,
    };
    let Some(statements) = statements else {
        let message = "The document has no list of statements; add at least one statement.";
        return Err(rejection(Code::NoUsableStatement, "/statements", message));
    };
    Ok((facts, form, statements))
}

/// The form the document is read in and the version it is given, from the version that its `@context` declares
/// and the form of its first statement.
fn spec_version(declared: Option<&str>, form: Option<Form>, findings: &mut Findings) -> (Form, String) {
    let suffix = declared.and_then(|url| url.strip_prefix(OPENVEX_CONTEXT)).unwrap_or_default();
    let known = match suffix.strip_prefix('/').unwrap_or(suffix) {
        "" | "v0.0.1" => Form::V001,
        "v0.2.0" => Form::V020,
        other => {
            let form = form.unwrap_or(Form::V020);
            findings.add(Code::UnknownSpecVersion, || "/@context".to_owned(), || {
                let (version, read) = (quoted(other), form.version());
                format!("OpenVEX {version} is not known and was read as {read}; use `{OPENVEX_CONTEXT}/v0.2.0`.")
            });
            return (form, other.trim_start_matches('/').trim_start_matches('v').to_owned());
        }
    };
    let form = form.unwrap_or(known);
    if declared.is_some() && form != known {
        findings.add(Code::SpecVersionMismatch, || "/@context".to_owned(), || {
            let (says, is) = (known.version(), form.version());
            format!(
                "The `@context` means OpenVEX {says}, but the statements are in the form of {is}, and were read so; \
                 write `{OPENVEX_CONTEXT}/v{is}`."
            )
        });
    }
    (form, form.version().to_owned())
}

/// A text member that a document must have.
fn required<'a>(
    member: Member<Cow<'a, str>>,
    key: &str,
    missing: Code,
    findings: &mut Findings,
) -> Option<Cow<'a, str>> {
    let pointer = || format!("/{key}");
    let other_type = matches!(member, Member::Wrong(_));
    let text = member.take(findings, pointer, "a string").filter(|text| !text.trim().is_empty());
    if text.is_none() && !other_type {
        findings.add(missing, pointer, || format!("The document has no `{key}`; add one."));
    }
    text
}

/// The revision as text. A number that is no integer has no one spelling and is dropped.
fn revision(member: Member<Revision<'_>>, form: Form, findings: &mut Findings) -> Option<String> {
    let pointer = || "/version".to_owned();
    let other_type = matches!(member, Member::Wrong(_));
    let wanted = match form {
        Form::V001 => "a string",
        Form::V020 => "an integer from 1",
    };
    let (text, good) = match member.take(findings, pointer, wanted) {
        Some(Revision::Text(text)) if !text.trim().is_empty() => (text.into_owned(), form == Form::V001),
        Some(Revision::Number(number)) => match integer(number) {
            Some(text) => {
                let positive = text != "0" && !text.starts_with('-');
                (text, form == Form::V020 && positive)
            }
            None => {
                let message = || format!("The version is no integer and was not read; make it {wanted}.");
                findings.add(Code::BadVersion, pointer, message);
                return None;
            }
        },
        _ => {
            if !other_type {
                let message = || format!("The document has no `version`; add {wanted}.");
                findings.add(Code::MissingVersion, pointer, message);
            }
            return None;
        }
    };
    if !good {
        let message =
            || format!("The version of an OpenVEX {} document is {wanted}; make it one.", form.version());
        findings.add(Code::BadVersion, pointer, message);
    }
    Some(text)
}

/// A statement's version, of which no claim is made: from 1 by the schema. The prose's default of 0 is said by leaving
/// it out.
fn statement_version(member: Member<Revision<'_>>, pointer: impl Fn() -> String, findings: &mut Findings) {
    let is_good = match member.take(findings, &pointer, "an integer") {
        Some(Revision::Number(number)) => {
            integer(number).is_some_and(|text| text != "0" && !text.starts_with('-'))
        }
        Some(Revision::Text(_)) => false,
        None => true,
    };
    if !is_good {
        let message = "The version of a statement is an integer from 1; make it one, or leave it out.";
        findings.add(Code::BadVersion, pointer, || message.to_owned());
    }
}

/// Reports a text that is no IRI; one that says nothing is told as missing, where it must be there.
fn check_iri(text: Option<&str>, pointer: impl FnOnce() -> String, findings: &mut Findings) {
    if let Some(text) = text.filter(|text| !is_iri(text) && !is_blank(Some(text))) {
        let message = || format!("{} is no IRI; write one with its scheme, such as a URL.", quoted(text));
        findings.add(Code::BadId, pointer, message);
    }
}

fn has_doubles(texts: &[Cow<'_, str>]) -> bool {
    const FEW: usize = 16;
    if texts.len() <= FEW {
        return (1..texts.len()).any(|n| texts[..n].contains(&texts[n]));
    }
    let mut seen = HashSet::with_capacity(texts.len());
    !texts.iter().all(|text| seen.insert(text))
}

/// A vulnerability's name and aliases, as written.
type Names<'a> = (Cow<'a, str>, Vec<Cow<'a, str>>);

/// A component and the place it stands in.
struct Placed {
    pointer: String,
    component: Keyed,
}

/// The subcomponents of a list.
enum Subcomponents<'a> {
    Resolved(Vec<Placed>),
    /// Too many to hold: they are resolved again for their claims. What is wrong with them is told.
    Many {
        at: String,
        form: Form,
        list: List<'a, Product<'a>>,
        too_long: Option<String>,
    },
}

impl Subcomponents<'_> {
    /// Where the first one with too long a key stands.
    fn too_long(&self) -> Option<String> {
        match self {
            Self::Resolved(placed) => {
                let first = placed.iter().find(|placed| placed.component.too_long);
                first.map(|placed| placed.pointer.clone())
            }
            Self::Many { too_long, .. } => too_long.clone(),
        }
    }
}

/// A product of a statement.
struct Listed<'a> {
    /// Its place in the list.
    n: usize,
    component: Keyed,
    /// The subcomponents it lists, if it does.
    own: Option<Subcomponents<'a>>,
}

/// Most products of a statement, and most subcomponents of one, that are held resolved: each takes many times what the
/// document has of it.
const MAX_HELD: usize = 1_024;

/// What a statement is about.
struct Targets<'a> {
    products: List<'a, Product<'a>>,
    /// The subcomponents that the statement lists for the products that list none.
    shared: Option<Subcomponents<'a>>,
    /// Whether the statement lists no products, so that it is about the subjects of its wrapper.
    inherits: bool,
}

struct Reader<'a, 'f, 'c> {
    form: Form,
    subjects: Option<&'a wrapper::Subjects>,
    stated_at: Option<Arc<str>>,
    /// One claim after the other: a statement sets what it says of all its products.
    claim: Observation,
    actions: Parts<Action>,
    justifications: Parts<Justification>,
    texts: Texts,
    times: Times<'a>,
    vulnerabilities: Memo<Names<'a>, Option<Shared<Vulnerability>>>,
    components: Components<'a>,
    /// Reused for each component.
    described: Described<'a>,
    /// Reused for each statement.
    products: Vec<Listed<'a>>,
    /// How many subcomponents of the statement are held.
    held: usize,
    names: Names<'a>,
    /// Reused for each product.
    pointer: String,
    claims: Claims<'c>,
    about: Subjects,
    findings: &'f mut Findings,
}

impl<'a, 'f, 'c> Reader<'a, 'f, 'c> {
    fn new(
        facts: &DocumentFacts,
        form: Form,
        context: &Context<'a>,
        claims: Claims<'c>,
        findings: &'f mut Findings,
    ) -> Self {
        Self {
            form,
            subjects: context.subjects,
            stated_at: facts.stated_at.clone(),
            claim: facts.claim(),
            actions: Parts::default(),
            justifications: Parts::default(),
            texts: Texts::default(),
            times: Times::default(),
            vulnerabilities: Memo::default(),
            components: Components::default(),
            described: Described::default(),
            products: Vec::new(),
            held: 0,
            names: Names::default(),
            pointer: String::new(),
            claims,
            about: Subjects::default(),
            findings,
        }
    }

    /// Adds the claims of one statement, or says why it has none.
    fn statement(&mut self, at: &str, statement: Member<Statement<'a>>) -> Result<(), Rejection> {
        let Member::Value(statement) = statement else {
            let message = "The statement is no JSON object and was dropped; make it one.";
            self.findings.add(Code::BadStatement, || at.to_owned(), || message.to_owned());
            return Ok(());
        };
        let form = statement.form().unwrap_or(self.form);
        if form == Form::V020 {
            report_unknown(&statement.unknown, || at.to_owned(), self.findings);
        }
        self.expect_form(self.form, form, || format!("{at}/vulnerability"));
        let id = statement.id.take(self.findings, || format!("{at}/@id"), "a string");
        check_iri(id.as_deref(), || format!("{at}/@id"), self.findings);
        statement_version(statement.version, || format!("{at}/version"), self.findings);
        statement.supplier.check(self.findings, || format!("{at}/supplier"), "a string");
        let at_action = || format!("{at}/action_statement_timestamp");
        self.times.read(statement.action_statement_timestamp, self.findings, at_action);
        // All that is wrong with a statement is told before it is dropped.
        let vulnerability = self.vulnerability(at, statement.vulnerability);
        let status = self.status(at, statement.status);
        self.held = 0;
        let listed = (statement.products, statement.subcomponents);
        let Some(targets) = self.targets(at, form, listed, &statement.unknown) else { return Ok(()) };
        // A statement is dropped if anything in it is too long, so all of its products are looked at before the first
        // claim; those of a long list are resolved again for their claims.
        let length = targets.products.len();
        let mut too_long = None;
        let mut products = std::mem::take(&mut self.products);
        let mut listed = targets.products.clone().enumerate();
        for _ in (0..length).step_by(MAX_HELD) {
            self.products(at, form, listed.by_ref().take(MAX_HELD), &mut products);
            too_long = too_long.or_else(|| first_too_long(at, &products));
        }
        let (Some(vulnerability), Some(status)) = (vulnerability, status) else { return Ok(()) };
        if self.is_too_long(at, &vulnerability, too_long, targets.shared.as_ref()) {
            return Ok(());
        }
        let mut text = |member: Member<Cow<'a, str>>, key: &str| {
            member.take(self.findings, || format!("{at}/{key}"), "a string")
        };
        let (impact, action, notes, justification) = (
            text(statement.impact_statement, "impact_statement"),
            text(statement.action_statement, "action_statement"),
            text(statement.status_notes, "status_notes"),
            text(statement.justification, "justification"),
        );
        let justification = self.justification(at, status, justification, impact.as_deref());
        if status == Status::Affected && is_blank(action.as_deref()) {
            let message = "The product is affected and nothing says what to do; add an `action_statement`.";
            self.findings.add(Code::MissingAction, || at.to_owned(), || message.to_owned());
        }
        let (asserted_at, asserted_at_source) = self.asserted_at(at, statement.timestamp);
        let last_updated =
            self.times.read(statement.last_updated, self.findings, || format!("{at}/last_updated"));
        let claim = &mut self.claim;
        claim.vulnerability = vulnerability;
        claim.status = status;
        // The canonical labels are OpenVEX's.
        claim.native_status = status.label().into();
        claim.justification = justification.map(|justification| self.justifications.share(justification));
        claim.impact = self.texts.share(impact.as_deref());
        claim.action = self.actions.share(Action { text: action.map(Cow::into_owned), ..Action::default() });
        claim.notes = self.texts.share(notes.as_deref());
        (claim.asserted_at, claim.asserted_at_source) = (asserted_at, asserted_at_source);
        claim.last_updated = last_updated.text();
        if targets.inherits {
            return self.inherited_claims(at, targets.shared.as_ref());
        }
        if length <= MAX_HELD {
            let done = self.claims_of(at, products.drain(..), targets.shared.as_ref());
            self.products = products;
            return done;
        }
        // What is wrong with them is told already.
        let findings = std::mem::take(self.findings);
        let mut listed = targets.products.enumerate();
        let done = (0..length).step_by(MAX_HELD).try_for_each(|_| {
            self.products(at, form, listed.by_ref().take(MAX_HELD), &mut products);
            self.claims_of(at, products.drain(..), targets.shared.as_ref())
        });
        *self.findings = findings;
        done
    }

    fn vulnerability(&mut self, at: &str, member: Member<Named<'a>>) -> Option<Shared<Vulnerability>> {
        let at = || format!("{at}/vulnerability");
        let found = match member {
            Member::Value(Named::Name(name)) => self.named(&(name, Vec::new())),
            Member::Value(Named::Object(object)) => self.vulnerability_object(at, object),
            Member::Absent | Member::Wrong(_) => None,
        };
        if found.is_none() {
            let message =
                "The statement names no vulnerability and was dropped; add its name, such as a CVE id.";
            self.findings.add(Code::MissingVulnerability, at, || message.to_owned());
        }
        found
    }

    /// The `@id` is one more name of the vulnerability unless it is a URL, which says where to read about it.
    fn vulnerability_object(
        &mut self,
        at: impl Fn() -> String,
        object: NamedObject<'a>,
    ) -> Option<Shared<Vulnerability>> {
        report_unknown(&object.unknown, &at, self.findings);
        let at = |key: &str| format!("{}/{key}", at());
        let name = object.name.take(self.findings, || at("name"), "a string")?;
        object.description.check(self.findings, || at("description"), "a string");
        let id = object.id.take(self.findings, || at("@id"), "a string");
        check_iri(id.as_deref(), || at("@id"), self.findings);
        let listed = object.aliases.take(self.findings, || at("aliases"), "a list of strings");
        let mut names = std::mem::take(&mut self.names);
        names.0 = name;
        let aliases = &mut names.1;
        aliases.clear();
        aliases.extend(id.into_iter().filter(|id| !id.contains("://")));
        let others = aliases.len();
        for (n, alias) in listed.into_iter().flatten().enumerate() {
            aliases.extend(alias.take(self.findings, || at(&format!("aliases/{n}")), "a string"));
        }
        if has_doubles(&aliases[others..]) {
            let message = "An alias stands in this list twice; leave one out.";
            self.findings.add(Code::RepeatedElement, || at("aliases"), || message.to_owned());
        }
        let found = self.named(&names);
        self.names = names;
        found
    }

    /// The vulnerability of this name, which many statements are about.
    fn named(&mut self, names: &Names<'a>) -> Option<Shared<Vulnerability>> {
        if let Some(known) = self.vulnerabilities.get(names) {
            return known.clone();
        }
        let found = vulnerability(&names.0, names.1.iter().map(Cow::as_ref));
        let found = found.map(Canonical::shared);
        self.vulnerabilities.insert(names.clone(), found.clone(), false);
        found
    }

    fn status(&mut self, at: &str, member: Member<Cow<'a, str>>) -> Option<Status> {
        let at = || format!("{at}/status");
        let Member::Value(native) = member else {
            let message = "The statement has no status and was dropped; add a `status`.";
            self.findings.add(Code::MissingStatus, at, || message.to_owned());
            return None;
        };
        if let Some(status) = terms::openvex_status(&native) {
            return Some(status);
        }
        self.findings.add(Code::UnknownStatus, at, || {
            format!(
                "OpenVEX has no status {}, and the statement was dropped; use `not_affected`, `affected`, `fixed` \
                 or `under_investigation`.",
                quoted(&native)
            )
        });
        None
    }

    fn targets(
        &mut self,
        at: &str,
        form: Form,
        (products, shared): (Member<List<'a, Product<'a>>>, Member<List<'a, Product<'a>>>),
        unknown: &[Cow<'a, str>],
    ) -> Option<Targets<'a>> {
        if shared.is_stated() {
            self.expect_form(form, Form::V001, || format!("{at}/subcomponents"));
        }
        let shared = self.subcomponents(at, Form::V001, shared);
        let inherits = products.is_absent() || products.value().is_some_and(List::is_empty);
        let inherits = inherits && self.subjects.is_some_and(|subjects| !subjects.components().is_empty());
        let listed = match products {
            Member::Value(list) => list,
            Member::Absent | Member::Wrong(_) => List::default(),
        };
        if listed.is_empty() && !inherits {
            let message = "The statement has no products and was dropped; list at least one product.";
            self.findings.add(Code::MissingProduct, || format!("{at}/products"), || message.to_owned());
            return None;
        }
        if inherits && unknown.iter().any(|key| resembles(key, "products", "product")) {
            self.unclear(at, "products");
            return None;
        }
        if shared.is_none() && may_limit(unknown) {
            self.unclear(at, "subcomponents");
            return None;
        }
        Some(Targets { products: listed, shared, inherits })
    }

    /// Says that a claim is not made, since the member that would limit it may be there under another name.
    fn unclear(&mut self, at: &str, limit: &str) {
        self.findings.add(
            Code::UnclearScope,
            || at.to_owned(),
            || {
                format!(
                    "A member that OpenVEX does not have looks like `{limit}`, which is missing, so what this is about \
                     cannot be told and it was dropped; correct the member's name or leave it out."
                )
            },
        );
    }

    /// Reads products, in place of those that are in `products`.
    fn products(
        &mut self,
        at: &str,
        form: Form,
        listed: impl Iterator<Item = (usize, Member<Product<'a>>)>,
        products: &mut Vec<Listed<'a>>,
    ) {
        products.clear();
        self.held = 0;
        let mut pointer = std::mem::take(&mut self.pointer);
        for (m, product) in listed {
            pointer.clear();
            pointer.push_str(at);
            push_element(&mut pointer, "products", m);
            let Some((component, own)) = self.component(&pointer, form, product) else { continue };
            if self.subjects.is_some_and(|subjects| !subjects.include(&component)) {
                let message = "The product is no subject of the in-toto Statement, which says nothing of it, and was \
                               dropped; list it among the subjects.";
                self.findings.add(Code::NotASubject, || pointer.clone(), || message.to_owned());
                continue;
            }
            let own = self.subcomponents(&pointer, Form::V020, own);
            products.push(Listed { n: m, component, own });
        }
        self.pointer = pointer;
    }

    /// The subcomponents listed at `at`; `None` if none are, so that the claim is about the whole product.
    fn subcomponents(
        &mut self,
        at: &str,
        form: Form,
        member: Member<List<'a, Product<'a>>>,
    ) -> Option<Subcomponents<'a>> {
        let list = match member {
            Member::Absent => return None,
            Member::Value(list) => list,
            Member::Wrong(_) => {
                let message = "The subcomponents cannot be read, and nothing was claimed about the whole product in \
                               their place; make them a list, or leave the member out.";
                self.findings.add(
                    Code::MissingProduct,
                    || format!("{at}/subcomponents"),
                    || message.to_owned(),
                );
                return Some(Subcomponents::Resolved(Vec::new()));
            }
        };
        if list.is_empty() {
            return None;
        }
        self.held += list.len();
        if self.held <= MAX_HELD {
            let placed = list.enumerate().filter_map(|(k, part)| self.subcomponent(at, k, form, part));
            return Some(Subcomponents::Resolved(placed.collect()));
        }
        let mut too_long = None;
        for (k, part) in list.clone().enumerate() {
            let placed = self.subcomponent(at, k, form, part);
            let placed = placed.filter(|placed| too_long.is_none() && placed.component.too_long);
            too_long = placed.map(|placed| placed.pointer).or(too_long);
        }
        Some(Subcomponents::Many { at: at.to_owned(), form, list, too_long })
    }

    /// One of the subcomponents listed at `at`.
    fn subcomponent(&mut self, at: &str, k: usize, form: Form, part: Member<Product<'a>>) -> Option<Placed> {
        let pointer = element(at, "subcomponents", k);
        let (component, nested) = self.component(&pointer, form, part)?;
        if !nested.is_absent() {
            let message =
                "OpenVEX subcomponents do not nest, and this one was dropped; list its parts beside it.";
            let pointer = || format!("{pointer}/subcomponents");
            self.findings.add(Code::NestedSubcomponents, pointer, || message.to_owned());
            return None;
        }
        Some(Placed { pointer, component })
    }

    /// A product or subcomponent, and the subcomponents it lists.
    fn component(
        &mut self,
        at: &str,
        form: Form,
        member: Member<Product<'a>>,
    ) -> Option<(Keyed, Member<List<'a, Product<'a>>>)> {
        let mut described = std::mem::take(&mut self.described);
        described.clear();
        let mut subcomponents = Member::Absent;
        let mut is_unclear = false;
        match member {
            Member::Value(Product::Id(id)) => {
                self.expect_form(form, Form::V001, || at.to_owned());
                described.add(Some(IdentifierType::of_iri(&id)), Some(id));
            }
            Member::Value(Product::Object(mut object)) => {
                self.expect_form(form, Form::V020, || at.to_owned());
                subcomponents = std::mem::take(&mut object.subcomponents);
                let lists_none =
                    subcomponents.is_absent() || subcomponents.value().is_some_and(List::is_empty);
                is_unclear = lists_none && may_limit(&object.unknown);
                self.describe(at, object, &mut described);
            }
            Member::Absent | Member::Wrong(_) => {}
        }
        let keyed = self.components.resolve(&described, self.findings, || at.to_owned());
        self.described = described;
        if is_unclear {
            self.unclear(at, "subcomponents");
            return None;
        }
        if keyed.is_none() {
            let message =
                "Nothing identifies this component, and it was dropped; add an `@id`, such as a purl.";
            self.findings.add(Code::MissingProduct, || at.to_owned(), || message.to_owned());
        }
        keyed.map(|keyed| (keyed, subcomponents))
    }

    /// Adds what identifies an object, in a fixed order.
    fn describe(&mut self, at: &str, object: ProductObject<'a>, described: &mut Described<'a>) {
        let findings = &mut *self.findings;
        report_unknown(&object.unknown, || at.to_owned(), findings);
        let id = object.id.take(findings, || format!("{at}/@id"), "a string");
        let kind = id.as_deref().map(IdentifierType::of_iri);
        if kind == Some(IdentifierType::Iri) {
            check_iri(id.as_deref(), || format!("{at}/@id"), findings);
        }
        described.add(kind, id);
        let identifiers = object.identifiers.take(findings, || format!("{at}/identifiers"), "an object");
        if let Some(identifiers) = identifiers.and_then(|members| Identifiers::object(members.0)) {
            let at = || format!("{at}/identifiers");
            report_unknown(&identifiers.unknown, at, findings);
            for (kind, key, member) in [
                (IdentifierType::Purl, "purl", identifiers.purl),
                (IdentifierType::Cpe23, "cpe23", identifiers.cpe23),
                (IdentifierType::Cpe23, "@cpe23", identifiers.at_cpe23),
                (IdentifierType::Cpe22, "cpe22", identifiers.cpe22),
                (IdentifierType::Cpe22, "@cpe22", identifiers.at_cpe22),
            ] {
                described.add(Some(kind), member.take(findings, || format!("{}/{key}", at()), "a string"));
            }
        }
        let hashes = object.hashes.take(findings, || format!("{at}/hashes"), "an object");
        for (algorithm, member) in hashes.unwrap_or_default().0 {
            let pointer = || child(&format!("{at}/hashes"), &algorithm);
            if !HASHES.contains(&algorithm.as_ref()) {
                findings.add(Code::UnknownMember, pointer, || {
                    let name = quoted(&algorithm);
                    format!("OpenVEX has no hash of the name {name}; use an IANA name, such as `sha-256`.")
                });
            }
            let value = member.take(findings, pointer, "a string");
            described.add(Some(IdentifierType::Hash(algorithm)), value);
        }
    }

    /// Whether a key is too long for an index: then the statement is dropped.
    fn is_too_long(
        &mut self,
        at: &str,
        vulnerability: &Vulnerability,
        product: Option<String>,
        shared: Option<&Subcomponents<'_>>,
    ) -> bool {
        let mut names = [&vulnerability.id].into_iter().chain(&vulnerability.aliases);
        let name = names.any(|name| name.len() > MAX_KEY_BYTES).then(|| format!("{at}/vulnerability"));
        let shared = || shared.and_then(Subcomponents::too_long);
        let Some(pointer) = name.or(product).or_else(shared) else { return false };
        let message = "An identifier or the key made of it is longer than 1,024 bytes, and the statement was dropped; \
                       shorten it.";
        self.findings.add(Code::KeyTooLong, || pointer, || message.to_owned());
        true
    }

    /// The justification, which stays with the claim even under a status that it does not belong to: it was said.
    fn justification(
        &mut self,
        at: &str,
        status: Status,
        native: Option<Cow<'a, str>>,
        impact: Option<&str>,
    ) -> Option<Justification> {
        let found = native.as_deref().and_then(terms::openvex_justification);
        let pointer = || format!("{at}/justification");
        match native {
            Some(native) if found.is_none() => self.findings.add(Code::UnknownJustification, pointer, || {
                let native = quoted(&native);
                format!(
                    "OpenVEX has no justification {native}, and it was left out; use one of its five labels."
                )
            }),
            Some(_) if status != Status::NotAffected => {
                self.findings.add(Code::MisplacedJustification, pointer, || {
                    let status = status.label();
                    format!("A justification belongs to `not_affected` and not to `{status}`; leave one of them out.")
                });
            }
            _ => {}
        }
        if status == Status::NotAffected && found.is_none() && is_blank(impact) {
            let message = "The product is not affected and nothing says why; add a `justification` or an `impact_statement`.";
            self.findings.add(Code::Unjustified, || at.to_owned(), || message.to_owned());
        }
        found
    }

    /// The statement's own time or the document's. A time that cannot be read is not replaced by another.
    fn asserted_at(
        &mut self,
        at: &str,
        member: Member<Cow<'a, str>>,
    ) -> (Option<Arc<str>>, AssertedAtSource) {
        match self.times.read(member, self.findings, || format!("{at}/timestamp")) {
            Time::At(time) => (Some(time), AssertedAtSource::Statement),
            Time::Unreadable => (None, AssertedAtSource::None),
            Time::Absent => match &self.stated_at {
                Some(time) => (Some(time.clone()), AssertedAtSource::Document),
                None => (None, AssertedAtSource::None),
            },
        }
    }

    /// One claim for each product, or for each of its subcomponents.
    fn claims_of(
        &mut self,
        at: &str,
        products: impl Iterator<Item = Listed<'a>>,
        shared: Option<&Subcomponents<'a>>,
    ) -> Result<(), Rejection> {
        for Listed { n, component: product, own } in products {
            self.claim.product = product.component;
            if let Some(own) = own {
                self.claims_of_own(own)?;
                continue;
            }
            let Locator { pointer, index } = &mut self.claim.locator;
            pointer.clear();
            pointer.push_str(at);
            push_element(pointer, "products", n);
            *index = 0;
            self.claims_of_parts(shared)?;
        }
        Ok(())
    }

    /// One claim for each subject, or for each subcomponent of each: all come from the statement as a whole.
    fn inherited_claims(&mut self, at: &str, shared: Option<&Subcomponents<'a>>) -> Result<(), Rejection> {
        self.claim.locator = Locator { pointer: at.to_owned(), index: 0 };
        for product in self.subjects.map(wrapper::Subjects::components).unwrap_or_default() {
            self.claim.product = Arc::clone(&product.component);
            self.claims_of_parts(shared)?;
        }
        Ok(())
    }

    /// One claim about each subcomponent that the product lists.
    fn claims_of_own(&mut self, own: Subcomponents<'a>) -> Result<(), Rejection> {
        let claim = |reader: &mut Self, Placed { pointer, component }| {
            reader.claim.locator = Locator { pointer, index: 0 };
            reader.claim_of(Some(component))
        };
        match own {
            Subcomponents::Resolved(parts) => parts.into_iter().try_for_each(|part| claim(self, part)),
            Subcomponents::Many { at, form, list, .. } => self.resolve_again(&at, form, &list, claim),
        }
    }

    /// One claim about the product, or one about each of these subcomponents, which come from the same place.
    fn claims_of_parts(&mut self, parts: Option<&Subcomponents<'a>>) -> Result<(), Rejection> {
        let claim = |reader: &mut Self, part| {
            reader.claim_of(part)?;
            reader.claim.locator.index += 1;
            Ok(())
        };
        match parts {
            None => claim(self, None),
            Some(Subcomponents::Resolved(parts)) => {
                parts.iter().try_for_each(|part| claim(self, Some(part.component.clone())))
            }
            Some(Subcomponents::Many { at, form, list, .. }) => {
                self.resolve_again(at, *form, list, |reader, part| claim(reader, Some(part.component)))
            }
        }
    }

    fn resolve_again(
        &mut self,
        at: &str,
        form: Form,
        list: &List<'a, Product<'a>>,
        mut each: impl FnMut(&mut Self, Placed) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let findings = std::mem::take(self.findings);
        let mut parts = list.clone().enumerate();
        let done = parts.try_for_each(|(k, part)| match self.subcomponent(at, k, form, part) {
            Some(part) => each(self, part),
            None => Ok(()),
        });
        *self.findings = findings;
        done
    }

    fn claim_of(&mut self, subcomponent: Option<Keyed>) -> Result<(), Rejection> {
        self.claim.subcomponent = subcomponent.map(|keyed| keyed.component);
        self.about.note(&self.claim, self.claim.asserted_at.as_deref());
        self.claims.add(&self.claim)
    }

    /// Says where one part is in the form of another version than what it stands in.
    fn expect_form(&mut self, expected: Form, found: Form, pointer: impl FnOnce() -> String) {
        if expected != found {
            self.findings.add(Code::MixedSpecVersions, pointer, || {
                let (found, expected) = (found.version(), expected.version());
                format!(
                    "This is in the form of OpenVEX {found}, and was read so; write it in that of {expected}."
                )
            });
        }
    }
}

/// Where the first component with too long a key stands.
fn first_too_long(at: &str, products: &[Listed<'_>]) -> Option<String> {
    products.iter().find_map(|product| {
        let own = product.component.too_long.then(|| element(at, "products", product.n));
        own.or_else(|| product.own.as_ref().and_then(Subcomponents::too_long))
    })
}

/// Whether members that OpenVEX does not have may be the subcomponents, misspelled.
fn may_limit(unknown: &[Cow<'_, str>]) -> bool {
    unknown.iter().any(|key| resembles(key, "subcomponents", "component"))
}

/// The 0.2.0 schema closes every object, so a member it does not have is a mistake or an extension of a tool's.
fn report_unknown(unknown: &[Cow<'_, str>], at: impl Fn() -> String, findings: &mut Findings) {
    for key in unknown {
        findings.add(
            Code::UnknownMember,
            || child(&at(), key),
            || {
                format!(
                    "OpenVEX 0.2.0 has no member {} here, and it was not read; correct its name or leave it out.",
                    quoted(key)
                )
            },
        );
    }
}

/// Codes that say why a statement has no claim.
const DROPPED: [Code; 9] = [
    Code::UnclearScope,
    Code::BadStatement,
    Code::MissingVulnerability,
    Code::MissingProduct,
    Code::NotASubject,
    Code::NestedSubcomponents,
    Code::MissingStatus,
    Code::UnknownStatus,
    Code::KeyTooLong,
];

fn no_claims(findings: &Findings) -> Rejection {
    match findings.first_of(&DROPPED) {
        Some(first) => {
            let message = format!("No statement of the document makes a claim. {}", first.message);
            rejection(Code::NoUsableStatement, &first.pointer, &message)
        }
        None => {
            let message = "The document has no statement that makes a claim; add at least one.";
            rejection(Code::NoUsableStatement, "/statements", message)
        }
    }
}

fn rejection(code: Code, pointer: &str, message: &str) -> Rejection {
    Rejection::new(code, Some(Format::OpenVex), pointer, message)
}

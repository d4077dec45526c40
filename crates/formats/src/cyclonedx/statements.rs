//! Vulnerabilities to claims.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use provex_core::vex::{
    self, Action, AssertedAtSource, Canonical, DocumentRef, Issuer, Justification, Locator, Observation,
    Response, Schema, Shared, Status,
};

use super::targets::{Elements, Target};
use super::xml::trimmed;
use super::{Affected, Analysis, Reference, Syntax, VersionEntry, Versions, Vulnerability, report_unknown};
use crate::component::Components;
use crate::conflicts::Subjects;
use crate::document::{Claims, DocumentFacts, MAX_KEY_BYTES};
use crate::purl;
use crate::report::{Code, Findings, Rejection, quoted};
use crate::stated::{Time, is_blank};
use crate::terms;
use crate::typed::{List, Member};
use crate::vulnerability::vulnerability;

/// How a range of versions begins.
const RANGE: &str = "vers:";

/// What one vulnerability says of each version of each of its targets.
struct Said<'a> {
    vulnerability: Shared<vex::Vulnerability>,
    status: Status,
    native_status: Cow<'a, str>,
    justification: Option<Shared<Justification>>,
    detail: Option<Arc<str>>,
    action: Shared<Action>,
    /// The action without responses, which are the analysis'.
    advice: Shared<Action>,
    asserted_at: Option<Arc<str>>,
    asserted_at_source: AssertedAtSource,
    last_updated: Option<Arc<str>>,
}

/// What a claim says of some versions.
struct Scope<'a> {
    version: Option<Cow<'a, str>>,
    status: Status,
    native_status: Cow<'a, str>,
}

/// The times of a vulnerability's record.
struct Record<'a> {
    updated: Member<Cow<'a, str>>,
    published: Member<Cow<'a, str>>,
    created: Member<Cow<'a, str>>,
}

pub(super) struct Reader<'b, 'a, 'c> {
    issuer: Option<Shared<Issuer>>,
    document: Shared<DocumentRef>,
    stated_at: Option<Arc<str>>,
    syntax: Syntax,
    elements: Elements<'b, 'a>,
    components: Components<'a>,
    /// The bom-refs of the vulnerabilities so far.
    bom_refs: BTreeSet<Cow<'a, str>>,
    claims: Claims<'c>,
    about: Subjects,
    findings: Findings,
}

impl<'b, 'a, 'c> Reader<'b, 'a, 'c> {
    pub(super) fn new(
        facts: &DocumentFacts,
        syntax: Syntax,
        elements: Elements<'b, 'a>,
        findings: Findings,
        claims: Claims<'c>,
    ) -> Self {
        Self {
            issuer: facts.shared_issuer(),
            document: facts.reference(),
            stated_at: facts.stated_at.clone(),
            syntax,
            elements,
            components: Components::default(),
            bom_refs: BTreeSet::new(),
            claims,
            about: Subjects::default(),
            findings,
        }
    }

    pub(super) fn finish(self) -> (Claims<'c>, Subjects, Findings) {
        (self.claims, self.about, self.findings)
    }

    /// Adds the claims of one vulnerability, or says why it has none. One without an analysis makes no claim, and
    /// that is no fault.
    pub(super) fn statement(&mut self, at: &str, member: Member<Vulnerability<'a>>) -> Result<(), Rejection> {
        let Member::Value(mut said) = member else {
            self.report(
                Code::BadStatement,
                at,
                "The vulnerability is no object and was dropped; make it one.",
            );
            return Ok(());
        };
        self.bom_ref(at, std::mem::take(&mut said.bom_ref));
        report_unknown(&said.unknown, at, &mut self.findings);
        let analysis = std::mem::take(&mut said.analysis);
        let analysis = analysis.take(&mut self.findings, || format!("{at}/analysis"), "an object");
        let Some(mut analysis) = analysis else { return Ok(()) };
        if !analysis.unknown.is_empty() {
            report_unknown(&analysis.unknown, &format!("{at}/analysis"), &mut self.findings);
        }
        let Some((status, native_status)) = self.state(at, &mut analysis) else { return Ok(()) };
        let id = std::mem::take(&mut said.id);
        let references = std::mem::take(&mut said.references);
        let Some(vulnerability) = self.vulnerability(at, id, references) else { return Ok(()) };
        let rejected = std::mem::take(&mut said.rejected);
        let is_rejected = rejected.value().is_some();
        let _ = Time::read(rejected, &mut self.findings, || format!("{at}/rejected"));
        if is_rejected {
            let message = "The record of this vulnerability was rejected; leave the statement out.";
            self.report(Code::RejectedVulnerability, &format!("{at}/rejected"), message);
        }
        let affects = std::mem::take(&mut said.affects);
        if affects.value().is_none_or(List::is_empty) && !said.unknown.is_empty() {
            affects.check(&mut self.findings, || format!("{at}/affects"), "a list");
            self.unclear(at, "affects");
            return Ok(());
        }
        let said = self.said(at, vulnerability, (status, native_status), said, analysis);
        self.claims_of(at, &said, affects)
    }

    fn report(&mut self, code: Code, pointer: &str, message: &str) {
        self.findings.add(code, || pointer.to_owned(), || message.to_owned());
    }

    /// A term of a closed list. Who writes XML breaks lines around it, which the schema does not permit and no reader
    /// can take for another term.
    fn term(&mut self, native: Cow<'a, str>, pointer: impl Fn() -> String) -> Cow<'a, str> {
        let term = trimmed(&native);
        if self.syntax == Syntax::Json || term.len() == native.len() {
            return native;
        }
        self.findings.add(Code::UnknownTerm, pointer, || {
            format!("The term {} has white space around it and was read without; remove it.", quoted(&native))
        });
        term.to_owned().into()
    }

    /// Names must be unique in a BOM.
    fn bom_ref(&mut self, at: &str, member: Member<Cow<'a, str>>) {
        let pointer = || format!("{at}/bom-ref");
        let Some(name) = member.take(&mut self.findings, pointer, "a string") else { return };
        if self.elements.has(&name) || self.bom_refs.contains(&name) {
            self.findings.add(Code::DuplicateRef, pointer, || {
                format!("Another element has the bom-ref {} too; make it unique.", quoted(&name))
            });
        }
        self.bom_refs.insert(name);
    }

    /// The state, without which there is no claim. An analysis that has a state which says nothing, or says other
    /// things without one, lost it.
    fn state(&mut self, at: &str, analysis: &mut Analysis<'a>) -> Option<(Status, Cow<'a, str>)> {
        let at = || format!("{at}/analysis/state");
        let state = std::mem::take(&mut analysis.state);
        let is_bare = state.is_absent()
            && analysis.justification.is_absent()
            && analysis.detail.is_absent()
            && analysis.response.is_absent();
        let Member::Value(native) = state else {
            if !is_bare {
                let message = "The analysis has no state, and the vulnerability was dropped; add one.";
                self.findings.add(Code::MissingStatus, at, || message.to_owned());
            }
            return None;
        };
        let native = self.term(native, at);
        if let Some(status) = terms::cyclonedx_status(&native) {
            return Some((status, native));
        }
        self.findings.add(Code::UnknownStatus, at, || {
            format!(
                "CycloneDX has no state {}, and the vulnerability was dropped; use `resolved`, \
                 `resolved_with_pedigree`, `exploitable`, `in_triage`, `false_positive` or `not_affected`.",
                quoted(&native)
            )
        });
        None
    }

    fn vulnerability(
        &mut self,
        at: &str,
        id: Member<Cow<'a, str>>,
        references: Member<Vec<Member<Reference<'a>>>>,
    ) -> Option<vex::Vulnerability> {
        let findings = &mut self.findings;
        let id = id.take(findings, || format!("{at}/id"), "a string").unwrap_or_default();
        let listed = references.take(findings, || format!("{at}/references"), "a list");
        let mut aliases = Vec::new();
        for (n, reference) in listed.into_iter().flatten().enumerate() {
            let at = || format!("{at}/references/{n}");
            let Some(reference) = reference.take(findings, at, "an object") else { continue };
            report_unknown(&reference.unknown, &at(), findings);
            aliases.extend(reference.id.take(findings, || format!("{}/id", at()), "a string"));
        }
        let Some(found) = vulnerability(&id, aliases.iter().map(Cow::as_ref)) else {
            let message = "The vulnerability has no id and was dropped; add its name, such as a CVE id.";
            self.report(Code::MissingVulnerability, &format!("{at}/id"), message);
            return None;
        };
        if [&found.id].into_iter().chain(&found.aliases).any(|name| name.len() > MAX_KEY_BYTES) {
            let message =
                "A name of this vulnerability is longer than 1,024 bytes, and it was dropped; shorten it.";
            self.report(Code::KeyTooLong, at, message);
            return None;
        }
        Some(found)
    }

    fn said(
        &mut self,
        at: &str,
        vulnerability: vex::Vulnerability,
        (status, native_status): (Status, Cow<'a, str>),
        said: Vulnerability<'a>,
        analysis: Analysis<'a>,
    ) -> Said<'a> {
        let text = |member: Member<Cow<'a, str>>, key: &str, findings: &mut Findings| {
            member.take(findings, || format!("{at}/{key}"), "a string")
        };
        let detail = text(analysis.detail, "analysis/detail", &mut self.findings);
        let native = text(analysis.justification, "analysis/justification", &mut self.findings);
        let justification = self.justification(at, status, native, detail.as_deref());
        let recommendation = text(said.recommendation, "recommendation", &mut self.findings);
        let workaround = text(said.workaround, "workaround", &mut self.findings);
        let responses = self.responses(at, analysis.response);
        let action = Action { text: advice(recommendation, workaround), responses, url: None };
        if status == Status::Affected && action.responses.is_empty() && action.text.is_none() {
            let message = "The product is affected and nothing says what to do; add a `response` or a \
                           `recommendation`.";
            self.report(Code::MissingAction, at, message);
        }
        let record = Record { updated: said.updated, published: said.published, created: said.created };
        let first_issued = analysis.first_issued;
        let at_time = |key: &str| format!("{at}/analysis/{key}");
        let updated = Time::read(analysis.last_updated, &mut self.findings, || at_time("lastUpdated"));
        let issued = Time::read(first_issued, &mut self.findings, || at_time("firstIssued"));
        let last_updated = copied_time(&updated);
        let (asserted_at, asserted_at_source) = self.asserted_at(at, [updated, issued], record);
        Said {
            vulnerability: Canonical::shared(vulnerability),
            status,
            native_status,
            justification: justification.map(Canonical::shared),
            detail: detail.as_deref().map(Arc::from),
            advice: Canonical::shared(Action { responses: Vec::new(), ..action.clone() }),
            action: Canonical::shared(action),
            asserted_at,
            asserted_at_source,
            last_updated,
        }
    }

    /// The justification, which stays with the claim even under a status that it does not belong to: it was said.
    fn justification(
        &mut self,
        at: &str,
        status: Status,
        native: Option<Cow<'a, str>>,
        detail: Option<&str>,
    ) -> Option<Justification> {
        let pointer = || format!("{at}/analysis/justification");
        let native = native.map(|native| self.term(native, pointer));
        let found = native.as_deref().and_then(terms::cyclonedx_justification);
        match native {
            Some(native) if found.is_none() => self.findings.add(Code::UnknownJustification, pointer, || {
                let native = quoted(&native);
                format!("CycloneDX has no justification {native}, and it was left out; use one of its nine labels.")
            }),
            Some(_) if status != Status::NotAffected => {
                self.findings.add(Code::MisplacedJustification, pointer, || {
                    let status = status.label();
                    format!("A justification belongs to `not_affected` and not to `{status}`; leave one of them out.")
                });
            }
            _ => {}
        }
        if status == Status::NotAffected && found.is_none() && is_blank(detail) {
            let message =
                "The product is not affected and nothing says why; add a `justification` or a `detail`.";
            self.report(Code::Unjustified, &format!("{at}/analysis"), message);
        }
        found
    }

    /// The responses in canonical terms, as a set.
    fn responses(&mut self, at: &str, member: Member<Vec<Member<Cow<'a, str>>>>) -> Vec<Response> {
        let at = format!("{at}/analysis/response");
        let listed = member.take(&mut self.findings, || at.clone(), "a list of strings");
        let mut found = BTreeSet::new();
        for (n, response) in listed.into_iter().flatten().enumerate() {
            let pointer = || format!("{at}/{n}");
            let Some(native) = response.take(&mut self.findings, pointer, "a string") else { continue };
            let native = self.term(native, pointer);
            match terms::cyclonedx_responses(&native) {
                Some(responses) => found.extend(responses),
                None => self.findings.add(Code::UnknownResponse, pointer, || {
                    let native = quoted(&native);
                    format!(
                        "CycloneDX has no response {native}, and it was left out; use one of its five labels."
                    )
                }),
            }
        }
        found.into_iter().collect()
    }

    /// When this was said: when the analysis was updated or issued, else the document's time, else the latest time
    /// of the vulnerability's record, which the document cannot be older than. A time that cannot be read is not
    /// replaced by another.
    fn asserted_at(
        &mut self,
        at: &str,
        analysis: [Time; 2],
        record: Record<'a>,
    ) -> (Option<Arc<str>>, AssertedAtSource) {
        let Record { updated, published, created } = record;
        let record = [("updated", updated), ("published", published), ("created", created)]
            .map(|(key, member)| Time::read(member, &mut self.findings, || format!("{at}/{key}")));
        for time in analysis {
            match time {
                Time::At(time) => return (Some(time), AssertedAtSource::Statement),
                Time::Unreadable => return (None, AssertedAtSource::None),
                Time::Absent => {}
            }
        }
        if let Some(time) = &self.stated_at {
            return (Some(time.clone()), AssertedAtSource::Document);
        }
        for time in record {
            match time {
                Time::At(time) => return (Some(time), AssertedAtSource::Statement),
                Time::Unreadable => return (None, AssertedAtSource::None),
                Time::Absent => {}
            }
        }
        (None, AssertedAtSource::None)
    }

    fn claims_of(
        &mut self,
        at: &str,
        said: &Said<'a>,
        affects: Member<List<'a, Affected<'a>>>,
    ) -> Result<(), Rejection> {
        // What cannot be read is not widened to the whole BOM.
        let stated = !affects.is_absent();
        let listed = affects.take(&mut self.findings, || format!("{at}/affects"), "a list");
        if stated && listed.is_none() {
            self.missing_product(&format!("{at}/affects"));
            return Ok(());
        }
        let listed = listed.unwrap_or_default();
        if listed.is_empty() {
            let target = self.elements.whole(&mut self.components, &mut self.findings);
            return self.scoped(at, said, target, vec![(at.to_owned(), said.everywhere())]);
        }
        for (n, affected) in listed.enumerate() {
            let at = format!("{at}/affects/{n}");
            let Member::Value(Affected { reference, versions, unknown }) = affected else {
                self.missing_product(&at);
                continue;
            };
            report_unknown(&unknown, &at, &mut self.findings);
            let pointer = || format!("{at}/ref");
            let reference = reference.take(&mut self.findings, pointer, "a string");
            let Some(reference) = reference.filter(|reference| !is_blank(Some(reference))) else {
                self.missing_product(&pointer());
                continue;
            };
            if !unknown.is_empty() && versions.value().is_none_or(Versions::is_empty) {
                versions.check(&mut self.findings, || format!("{at}/versions"), "a list");
                self.unclear(&at, "versions");
                continue;
            }
            let target = self.elements.resolve(reference, &mut self.components, &mut self.findings, &pointer);
            let scopes = self.scopes(&at, said, versions);
            self.scoped(&at, said, target, scopes)?;
        }
        Ok(())
    }

    /// Says that a claim is not made, since the member that would limit it may be there under another name.
    fn unclear(&mut self, at: &str, limit: &str) {
        self.findings.add(
            Code::UnclearScope,
            || at.to_owned(),
            || {
                format!(
                    "A member that CycloneDX does not have stands here where `{limit}` is missing, so what this is about \
                     cannot be told and it was dropped; correct the member's name or leave it out."
                )
            },
        );
    }

    fn missing_product(&mut self, pointer: &str) {
        let message = "Nothing says what this is about, and it was dropped; add a `ref`.";
        self.report(Code::MissingProduct, pointer, message);
    }

    /// The claims that the versions of one target make, each with its place.
    fn scopes(
        &mut self,
        at: &str,
        said: &Said<'a>,
        member: Member<Versions<'a>>,
    ) -> Vec<(String, Scope<'a>)> {
        let stated = !member.is_absent();
        let at_versions = || format!("{at}/versions");
        match member.take(&mut self.findings, at_versions, "a list") {
            // A claim about versions that cannot be read is not widened to all of them.
            None if stated => Vec::new(),
            None => vec![(at.to_owned(), said.everywhere())],
            Some(Versions::List(entries)) if entries.is_empty() => {
                vec![(at.to_owned(), said.everywhere())]
            }
            Some(Versions::List(entries)) => {
                let mut scopes = Vec::with_capacity(entries.len());
                for (k, entry) in entries.into_iter().enumerate() {
                    let at = format!("{at}/versions/{k}");
                    let scope = match entry {
                        Member::Value(entry) => self.scope(&at, said, entry),
                        Member::Absent | Member::Wrong(_) => {
                            self.bad_version_entry(&at);
                            None
                        }
                    };
                    scopes.extend(scope.map(|scope| (at, scope)));
                }
                scopes
            }
            Some(Versions::One(entry)) => {
                let message =
                    "This is one entry and no list, and was read as a list of one; put it into a list.";
                self.report(Code::WrongType, &at_versions(), message);
                let scope = self.scope(&at_versions(), said, *entry);
                scope.into_iter().map(|scope| (at.to_owned(), scope)).collect()
            }
        }
    }

    /// What one version entry claims: `version` or `range`, and a status that is `affected` unless it is stated.
    fn scope(&mut self, at: &str, said: &Said<'a>, entry: VersionEntry<'a>) -> Option<Scope<'a>> {
        report_unknown(&entry.unknown, at, &mut self.findings);
        if entry.status.is_absent() && !entry.unknown.is_empty() {
            self.unclear(at, "status");
            return None;
        }
        let mut text = |member: Member<Cow<'a, str>>, key: &str| {
            let text = member.take(&mut self.findings, || format!("{at}/{key}"), "a string");
            text.filter(|text| !is_blank(Some(text)))
        };
        let (version, range) = (text(entry.version, "version"), text(entry.range, "range"));
        if let Some(range) = range.as_deref().filter(|range| !range.starts_with(RANGE)) {
            self.findings.add(
                Code::BadVersionRange,
                || format!("{at}/range"),
                || {
                    format!(
                        "{} is no range in the `vers` notation, and was kept; begin it with `vers:`.",
                        quoted(range)
                    )
                },
            );
        }
        let version = match (version, range) {
            (Some(version), None) | (None, Some(version)) => version,
            (Some(_), Some(_)) | (None, None) => {
                self.bad_version_entry(at);
                return None;
            }
        };
        let at_status = || format!("{at}/status");
        let native = match entry.status {
            Member::Absent => "affected".into(),
            status => {
                let native = status.take(&mut self.findings, at_status, "a string")?;
                self.term(native, at_status)
            }
        };
        let Some(status) = terms::cyclonedx_version_status(&native, said.status) else {
            self.findings.add(Code::UnknownStatus, at_status, || {
                let native = quoted(&native);
                format!("CycloneDX has no version status {native}, and this was dropped; use `affected`, `unaffected` or \
                         `unknown`.")
            });
            return None;
        };
        if status == Status::NotAffected && status != said.status {
            let message = "These versions are not affected and nothing says why; state them in a vulnerability of their own \
                           that is `not_affected`, with its `justification`.";
            self.report(Code::Unjustified, at, message);
        }
        let native_status = if native == "affected" { said.native_status.clone() } else { native };
        Some(Scope { version: Some(version), status, native_status })
    }

    fn bad_version_entry(&mut self, at: &str) {
        let message = "This entry does not name one version or one range, and was dropped; give it either.";
        self.report(Code::BadVersionEntry, at, message);
    }

    fn scoped(
        &mut self,
        at: &str,
        said: &Said<'a>,
        target: Option<Target>,
        scopes: Vec<(String, Scope<'a>)>,
    ) -> Result<(), Rejection> {
        let Some(target) = target else {
            self.missing_product(at);
            return Ok(());
        };
        if target.is_too_long() {
            let message = "An identifier or the key made of it is longer than 1,024 bytes, and this was dropped; \
                           shorten it.";
            self.report(Code::KeyTooLong, at, message);
            return Ok(());
        }
        for (pointer, scope) in scopes {
            let observation = said.observation(self.issuer.clone(), &self.document, pointer, &target, scope);
            // Whenever it is said: CycloneDX has no history inside a document.
            self.about.note(&observation, None);
            self.claims.add(&observation)?;
        }
        Ok(())
    }
}

impl<'a> Said<'a> {
    /// The analysis, of every version.
    fn everywhere(&self) -> Scope<'a> {
        Scope { version: None, status: self.status, native_status: self.native_status.clone() }
    }

    /// The claim about some versions. Where they have another status than the analysis, its justification and
    /// responses are not theirs, and its `detail` does not explain theirs and is a note.
    fn observation(
        &self,
        issuer: Option<Shared<Issuer>>,
        document: &Shared<DocumentRef>,
        pointer: String,
        target: &Target,
        scope: Scope<'a>,
    ) -> Observation {
        let detail = self.detail.clone();
        let (justification, action, impact, notes) = match scope.status == self.status {
            true => (self.justification.clone(), &self.action, detail, None),
            false => (None, &self.advice, None, detail),
        };
        Observation {
            schema: Schema::V1,
            issuer,
            document: Arc::clone(document),
            locator: Locator { pointer, index: 0 },
            vulnerability: Arc::clone(&self.vulnerability),
            product: Arc::clone(&target.product.component),
            subcomponent: target.subcomponent.as_ref().map(|part| Arc::clone(&part.component)),
            version_scope: scope.version.as_deref().map(Arc::from),
            status: scope.status,
            native_status: scope.native_status.into_owned().into(),
            justification,
            impact,
            action: Arc::clone(action),
            notes,
            asserted_at: self.asserted_at.clone(),
            asserted_at_source: self.asserted_at_source,
            last_updated: self.last_updated.clone(),
            canon: purl::RULE_SET.into(),
        }
    }
}

/// Recommendation and workaround, in this order.
fn advice(recommendation: Option<Cow<'_, str>>, workaround: Option<Cow<'_, str>>) -> Option<String> {
    let texts = [recommendation, workaround].into_iter().flatten();
    let texts: Vec<_> = texts.filter(|text| !is_blank(Some(text))).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn copied_time(time: &Time) -> Option<Arc<str>> {
    match time {
        Time::At(time) => Some(Arc::clone(time)),
        Time::Absent | Time::Unreadable => None,
    }
}

//! Vulnerabilities: one claim for each entry of a status list.
//!
//! A claim's own time is that of the assessment behind it, a flag's or an impact threat's: the date of a remediation
//! says since when it is to be had. Red Hat and CIQ write a severity as the impact of a vulnerability, which says
//! nothing about a product that is not affected and is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use provex_core::json::Content;
use provex_core::vex::{Action, AssertedAtSource, Canonical, Justification, Observation, Shared, Status};

use super::header::{Header, time};
use super::products::{Products, Target};
use super::profile::Profile;
use super::references::{Groups, plain, resolve};
use super::said::{ByProduct, Flagged, Impact, Names, Reading, Remedy, action};
use super::statuses::{self, Entry, Stated, are_mixed, check_remediations};
use super::{
    Dated, Edition, List, Scored, Statuses, Text, Vulnerability, list, report_replaced, report_unknown, tell,
    text_at,
};
use crate::conflicts::Subjects;
use crate::document::{Claims, MAX_KEY_BYTES};
use crate::report::{Code, Findings, Rejection, push_element, quoted};
use crate::stated::{Texts, Time};
use crate::terms;
use crate::typed::{Member, Unread};

/// Reads one vulnerability after the other.
pub(super) struct Reader<'a, 'f, 'c> {
    edition: Edition,
    profile: Profile,
    stated_at: Option<Arc<str>>,
    /// One claim after the other.
    claim: Observation,
    products: Products<'a>,
    groups: Groups<'a>,
    /// CVE ids so far, and where they stand.
    cves: HashMap<String, String>,
    no_action: Shared<Action>,
    texts: Texts,
    claims: Claims<'c>,
    /// Claims that others may contradict: under another product id (6.1.6 looks at ids only) or in another item.
    about: Subjects,
    /// Whether items may be about one vulnerability.
    share_names: bool,
    findings: &'f mut Findings,
}

/// Scores by CVSS version and source: their numbers and products.
type Vectors<'a> = BTreeMap<(Text<'a>, Text<'a>), Vec<(usize, List<'a, Text<'a>>)>>;

/// What one vulnerability says of its products.
struct Said<'a> {
    names: Names<'a>,
    flags: ByProduct<Flagged>,
    impacts: ByProduct<Option<Impact<'a>>>,
    remedies: ByProduct<Remedy<'a>>,
    notes: ByProduct<Option<Text<'a>>>,
    /// What was made so far of sets of remediations: products share few.
    actions: BTreeMap<Vec<usize>, Shared<Action>>,
    /// The remediations of a product. Reused for each claim.
    items: Vec<usize>,
    /// Whether it was told that a product that is not affected has no reason.
    is_unjustified: bool,
    /// Whether it was told that a product that is affected has no remediation.
    lacks_action: bool,
    /// Whether claims about it may contradict each other or those of another item.
    is_contestable: bool,
}

impl<'a, 'f, 'c> Reader<'a, 'f, 'c> {
    pub(super) fn new(
        header: &Header,
        products: Products<'a>,
        groups: Groups<'a>,
        items: &List<'a, Vulnerability<'a>>,
        claims: Claims<'c>,
        findings: &'f mut Findings,
    ) -> Self {
        Self {
            edition: header.edition,
            profile: header.profile,
            stated_at: header.facts.stated_at.clone(),
            claim: header.facts.claim(),
            products,
            groups,
            cves: HashMap::new(),
            no_action: Arc::default(),
            texts: Texts::default(),
            claims,
            about: Subjects::default(),
            share_names: share_names(items),
            findings,
        }
    }

    /// All claims, once those that contradict each other are told.
    pub(super) fn finish(self) -> Claims<'c> {
        self.about.report(self.findings, |says, first, pointer| {
            format!(
                "This product is `{says}` here and `{first}` at {pointer}, under another product id or in another \
                 item for the same vulnerability; both are kept; state one."
            )
        });
        self.claims
    }

    /// Adds the claims of one vulnerability, or says why it has none.
    pub(super) fn vulnerability(
        &mut self,
        at: &str,
        item: Member<Vulnerability<'a>>,
    ) -> Result<(), Rejection> {
        let Member::Value(mut item) = item else {
            let message = "The vulnerability is no JSON object and was dropped; make it one.";
            tell(self.findings, Code::BadStatement, || at.to_owned(), message);
            return Ok(());
        };
        self.check_profile(at, &item);
        self.unread(at, &mut item)?;
        let is_named = item.cve.is_stated() || item.ids.is_stated();
        let cve = text_at(item.cve, self.findings, || format!("{at}/cve"));
        self.check_cve(at, cve.as_deref());
        let mut statuses = self.statuses(at, item.product_status);
        let mut reading = Reading {
            edition: self.edition,
            products: &mut self.products,
            groups: &mut self.groups,
            at,
            findings: self.findings,
        };
        let said = Said {
            names: reading.names(cve, item.ids)?,
            flags: reading.flags(item.flags)?,
            impacts: reading.impacts(item.threats)?,
            remedies: reading.remedies(item.remediations)?,
            notes: reading.notes(item.notes)?,
            actions: BTreeMap::new(),
            items: Vec::new(),
            is_unjustified: false,
            lacks_action: false,
            is_contestable: self.share_names || are_mixed(&statuses),
        };
        self.products.check_number()?;
        let at_status = format!("{at}/product_status");
        let stated = Stated::of(&mut statuses, &at_status, self.findings);
        if self.edition == Edition::V21 {
            let categories: Vec<_> =
                said.remedies.items.iter().map(|remedy| remedy.category.as_ref()).collect();
            check_remediations(&categories, &said.remedies.index, &stated, at, self.findings);
        }
        if said.names.is_empty() && (!statuses.is_empty() || self.profile == Profile::Vex && !is_named) {
            let message =
                "The vulnerability has no name, and its statuses were dropped; add its `cve` or `ids`.";
            tell(self.findings, Code::MissingVulnerability, || at.to_owned(), message);
            return Ok(());
        }
        self.claims_of(&at_status, said, &statuses, &stated)
    }

    /// 6.1.27.5 to 6.1.27.7
    fn check_profile(&mut self, at: &str, item: &Vulnerability<'_>) {
        report_unknown(self.edition, &item.unknown, || at.to_owned(), self.findings);
        if !self.profile.is_advisory() {
            return;
        }
        if !item.notes.is_stated() {
            let message = "Documents of this category have notes on each vulnerability; add one.";
            tell(self.findings, Code::MissingNotes, || at.to_owned(), message);
        }
        let has_status = match (self.profile, item.product_status.value()) {
            (Profile::Vex, Some(statuses)) => {
                statuses.fixed.is_stated()
                    || statuses.known_affected.is_stated()
                    || statuses.known_not_affected.is_stated()
                    || statuses.under_investigation.is_stated()
            }
            (Profile::Vex, None) => false,
            _ => item.product_status.is_stated(),
        };
        if !has_status {
            let message = "Documents of this category say of each vulnerability which products have which status; add \
                           `fixed`, `known_affected`, `known_not_affected` or `under_investigation`.";
            tell(self.findings, Code::MissingProductStatus, || format!("{at}/product_status"), message);
        }
    }

    /// 6.1.23
    fn check_cve(&mut self, at: &str, cve: Option<&str>) {
        let Some(cve) = cve else { return };
        let name = cve.trim().to_ascii_uppercase();
        if let Some(earlier) = self.cves.get(&name) {
            self.findings.add(
                Code::RepeatedVulnerability,
                || format!("{at}/cve"),
                || {
                    format!(
                        "{} is at {earlier} too; both were read; state each vulnerability once.",
                        quoted(cve)
                    )
                },
            );
        } else {
            self.cves.insert(name, at.to_owned());
        }
    }

    /// Members that make no claim: their times (6.1.37) and the products they name (6.1.1) are looked at.
    fn unread(&mut self, at: &str, item: &mut Vulnerability<'a>) -> Result<(), Rejection> {
        let replaced = ["release_date", "disclosure_date"];
        report_replaced(self.edition, &item.release_date, || at.to_owned(), replaced, self.findings);
        report_replaced(self.edition, &item.scores, || at.to_owned(), ["scores", "metrics"], self.findings);
        for (key, member) in [
            ("disclosure_date", &mut item.disclosure_date),
            ("discovery_date", &mut item.discovery_date),
            ("release_date", &mut item.release_date),
        ] {
            time(self.edition, std::mem::take(member), self.findings, || format!("{at}/{key}"));
        }
        self.dated(&format!("{at}/involvements"), std::mem::take(&mut item.involvements))?;
        let exploitations = std::mem::take(&mut item.exploitations);
        self.dated(&format!("{at}/first_known_exploitation_dates"), exploitations)?;
        self.scored(&format!("{at}/metrics"), std::mem::take(&mut item.metrics));
        self.scored(&format!("{at}/scores"), std::mem::take(&mut item.scores));
        Ok(())
    }

    fn dated(&mut self, at: &str, member: Member<List<'a, Dated<'a>>>) -> Result<(), Rejection> {
        let mut involved = HashSet::new();
        for (n, dated) in list(member, self.findings, || at.to_owned()) {
            let at = || format!("{at}/{n}");
            let Some(dated) = dated.take(self.findings, at, "an object") else { continue };
            report_unknown(self.edition, &dated.unknown, at, self.findings);
            let date = time(self.edition, dated.date, self.findings, || format!("{}/date", at())).text();
            // 6.1.24
            let party = dated.party.value().cloned();
            if party.zip(date).is_some_and(|involvement| !involved.insert(involvement)) {
                let message = "This party is involved at this date before; state it once.";
                tell(self.findings, Code::RepeatedElement, at, message);
            }
            let exploited = dated.exploitation_date;
            time(self.edition, exploited, self.findings, || format!("{}/exploitation_date", at()));
            let ids = [dated.product_ids, dated.group_ids];
            resolve(ids, &mut self.products, &mut self.groups, at, self.findings)?;
        }
        Ok(())
    }

    fn scored(&mut self, at: &str, member: Member<List<'a, Scored<'a>>>) {
        let scores = list(member, self.findings, || at.to_owned());
        let are_several = scores.clone().nth(1).is_some();
        let mut vectors = Vectors::new();
        for (n, scored) in scores {
            let at = || format!("{at}/{n}");
            let Some(scored) = scored.take(self.findings, at, "an object") else { continue };
            report_unknown(self.edition, &scored.unknown, at, self.findings);
            for (key, of_version) in
                [("content", &scored.content), ("cvss_v2", &scored.cvss_v2), ("cvss_v3", &scored.cvss_v3)]
            {
                of_version.check(self.findings, || format!("{}/{key}", at()), "an object");
            }
            scored.source.check(self.findings, || format!("{}/source", at()), "a string");
            if are_several {
                let source = scored.source.value();
                let products = scored.products.value();
                for version in cvss_versions(&scored) {
                    let vector = (version, source.cloned().unwrap_or_default());
                    vectors.entry(vector).or_default().push((n, products.cloned().unwrap_or_default()));
                }
            }
            plain(scored.products, &mut self.products, || format!("{}/products", at()), self.findings);
        }
        self.check_vectors(at, vectors);
    }

    /// 6.1.7, once for each score.
    fn check_vectors(&mut self, at: &str, vectors: Vectors<'a>) {
        let mut repeated = BTreeSet::new();
        for scores in vectors.into_values().filter(|scores| scores.len() > 1) {
            let mut scored = HashMap::new();
            for (n, products) in scores {
                for id in products.values().filter(|id| !id.trim_start().is_empty()) {
                    let product = self.products.refer(id, String::new, self.findings);
                    if *scored.entry(product).or_insert(n) != n {
                        repeated.insert(n);
                    }
                }
            }
        }
        for n in repeated {
            let message = "A product of this score has a score of the same version and source before; leave it out of one.";
            tell(self.findings, Code::RepeatedElement, || format!("{at}/{n}"), message);
        }
    }

    fn statuses(&mut self, at: &str, member: Member<Statuses<'a>>) -> Vec<Entry> {
        let at = format!("{at}/product_status");
        let found = member.take(self.findings, || at.clone(), "an object");
        found.map_or_else(Vec::new, |found| {
            statuses::read(found, self.edition, &mut self.products, &at, self.findings)
        })
    }

    fn claims_of(
        &mut self,
        at: &str,
        mut said: Said<'a>,
        entries: &[Entry],
        stated: &Stated,
    ) -> Result<(), Rejection> {
        for entry in entries {
            let is_made = self.claim(at, &mut said, entry);
            self.products.check_number()?;
            if !is_made {
                continue;
            }
            if said.is_contestable && !stated.has_told(*entry) {
                self.note(entry.product);
            }
            self.claims.add(&self.claim)?;
        }
        Ok(())
    }

    /// Remembers a claim. Two chains with the same ends are two products: what tells them apart stands among the
    /// identifiers of their component.
    fn note(&mut self, product: u32) {
        let own = self.claim.subcomponent.as_ref().filter(|_| self.products.has_own_component(product));
        let apart = own.into_iter().flat_map(|component| &component.identifiers);
        self.about.note(&self.claim, apart.map(|identifier| identifier.value.as_str()));
    }

    /// Makes the claim of an entry, unless it is dropped.
    fn claim(&mut self, at: &str, said: &mut Said<'a>, entry: &Entry) -> bool {
        let Some(status) = terms::csaf_status(entry.group()) else { return false };
        let mut pointer = std::mem::take(&mut self.claim.locator.pointer);
        pointer.clear();
        pointer.push_str(at);
        push_element(&mut pointer, entry.group(), entry.place());
        let product = entry.product;
        let (vulnerability, bytes) = said.names.of(product);
        self.products.spend(bytes);
        let Some(vulnerability) = vulnerability else {
            let message = "The vulnerability has no name for this product, and the entry was dropped; add its `cve` or \
                           an id for every product.";
            tell(self.findings, Code::MissingVulnerability, || pointer, message);
            return false;
        };
        let Target { product: host, subcomponent, scope } = self.products.target(product);
        let is_long = |name: &String| name.len() > MAX_KEY_BYTES;
        if is_long(&vulnerability.id)
            || vulnerability.aliases.iter().any(is_long)
            || host.too_long
            || subcomponent.as_ref().is_some_and(|component| component.too_long)
        {
            let message = "An identifier or the key made of it is longer than 1,024 bytes, and the entry \
                           was dropped; shorten it.";
            tell(self.findings, Code::KeyTooLong, || pointer, message);
            return false;
        }
        let justification = self.justification(&pointer, said, product, status);
        let impact = self.impact(&pointer, said, product, status, justification.is_some());
        let (asserted_at, asserted_at_source) = self.asserted_at(said, product, status);
        let action = self.action(&pointer, said, entry);
        let claim = &mut self.claim;
        claim.locator.pointer = pointer;
        claim.vulnerability = vulnerability;
        claim.product = host.component;
        claim.subcomponent = subcomponent.map(|keyed| keyed.component);
        claim.version_scope = scope;
        claim.status = status;
        claim.native_status = entry.group().into();
        claim.justification = justification;
        claim.impact = impact;
        claim.action = action;
        claim.notes = self.texts.joined(said.notes.of(product).flatten().map(AsRef::as_ref));
        (claim.asserted_at, claim.asserted_at_source) = (asserted_at, asserted_at_source);
        true
    }

    /// The first justification, which stays with the claim even under a status that it does not belong to: it was said.
    fn justification(
        &mut self,
        at: &str,
        said: &Said<'a>,
        product: u32,
        status: Status,
    ) -> Option<Shared<Justification>> {
        let found = said.flags.of(product).find_map(|flag| flag.justification.clone());
        if found.is_some() && status != Status::NotAffected {
            self.findings.add(Code::MisplacedJustification, || at.to_owned(), || {
                let status = status.label();
                format!("A flag justifies that a product is not affected, and this one is `{status}`; leave one of \
                     them out.")
            });
        }
        found
    }

    /// Whether a fault is to be told of a product: the VEX profile promises an answer for each (6.1.27.9 and
    /// 6.1.27.10), of others' vulnerabilities the first such product stands for all.
    fn is_first(&self, told: &mut bool) -> bool {
        self.profile == Profile::Vex || !std::mem::replace(told, true)
    }

    fn tell_of_products(&mut self, code: Code, at: &str, message: &str) {
        let rest = match self.profile {
            Profile::Vex => "",
            _ => " Other products of this vulnerability are not looked at for it.",
        };
        self.findings.add(code, || at.to_owned(), || format!("{message}{rest}"));
    }

    /// The impact statement of a product that is not affected (6.1.27.9).
    fn impact(
        &mut self,
        at: &str,
        said: &mut Said<'a>,
        product: u32,
        status: Status,
        is_justified: bool,
    ) -> Option<Arc<str>> {
        if status != Status::NotAffected {
            return None;
        }
        let impacts = said.impacts.of(product).flatten();
        let impact = self.texts.joined(impacts.filter_map(|impact| impact.details.as_deref()));
        if impact.is_none() && !is_justified && self.is_first(&mut said.is_unjustified) {
            let message = match said.impacts.of(product).flatten().next() {
                Some(_) => {
                    "The product is not affected, and the threat `impact` for it names a severity or nothing; say in \
                     it why, or add a flag."
                }
                None => {
                    "The product is not affected and nothing says why; add a flag or a threat `impact` for it."
                }
            };
            self.tell_of_products(Code::Unjustified, at, message);
        }
        impact
    }

    /// The assessment's own time or the document's. A time that cannot be read is not replaced by another.
    fn asserted_at(
        &self,
        said: &Said<'a>,
        product: u32,
        status: Status,
    ) -> (Option<Arc<str>>, AssertedAtSource) {
        let mut flags =
            said.flags.of(product).filter(|flag| flag.justification.is_some()).map(|flag| &flag.date);
        let impacts = said.impacts.of(product).flatten();
        let mut impacts = impacts.filter(|impact| impact.details.is_some()).map(|impact| &impact.date);
        let is_stated = |time: &&Time| !matches!(time, Time::Absent);
        let own = flags.find(is_stated).or_else(|| impacts.find(is_stated));
        match own.filter(|_| status == Status::NotAffected) {
            Some(Time::At(time)) => (Some(Arc::clone(time)), AssertedAtSource::Statement),
            Some(_) => (None, AssertedAtSource::None),
            None if self.stated_at.is_some() => (self.stated_at.clone(), AssertedAtSource::Document),
            None => (None, AssertedAtSource::None),
        }
    }

    /// What to do about a product; one that is known to be affected must have it (6.1.27.10).
    fn action(&mut self, at: &str, said: &mut Said<'a>, entry: &Entry) -> Shared<Action> {
        said.items.clear();
        said.items.extend(said.remedies.index.of(entry.product));
        if said.items.is_empty() {
            if entry.group() == "known_affected" && self.is_first(&mut said.lacks_action) {
                let message =
                    "The product is affected and nothing says what to do; add a remediation for it.";
                self.tell_of_products(Code::MissingAction, at, message);
            }
            return Arc::clone(&self.no_action);
        }
        if let Some(known) = said.actions.get(&said.items) {
            return Arc::clone(known);
        }
        let made = Canonical::shared(action(said.items.iter().map(|item| &said.remedies.items[*item])));
        said.actions.insert(said.items.clone(), Arc::clone(&made));
        made
    }
}

/// The CVSS versions that a score or metric is of.
fn cvss_versions<'a>(scored: &Scored<'a>) -> impl Iterator<Item = Text<'a>> {
    let node = |member: &Member<Unread<'a>>| member.value().map(|unread| unread.0.node());
    let within = ["cvss_v2", "cvss_v3", "cvss_v4"].map(|key| node(&scored.content)?.member(key));
    let own = [node(&scored.cvss_v2), node(&scored.cvss_v3)];
    within.into_iter().chain(own).filter_map(|vector| match vector?.member("version")?.content() {
        Content::String(version) => Some(version),
        _ => None,
    })
}

/// Whether some items may be about one vulnerability. An item that has a CVE id is known by that alone.
fn share_names<'a>(items: &List<'a, Vulnerability<'a>>) -> bool {
    let mut seen = HashSet::new();
    let mut is_known = |name: &str| !seen.insert(name.trim().to_ascii_uppercase());
    items.values().any(|item| {
        let cve = item.cve.value().map(AsRef::as_ref);
        let has_cve = cve.is_some_and(|cve| cve.trim_start().starts_with("CVE-"));
        let mut ids = item.ids.value().filter(|_| !has_cve).into_iter().flat_map(List::values);
        cve.is_some_and(&mut is_known) || ids.any(|id| id.text.value().is_some_and(|text| is_known(text)))
    })
}

//! What one vulnerability says of its products: names, flags, impacts, remediations and notes, each by product.

use std::collections::BTreeMap;

use provex_core::vex::{Action, Canonical, Justification, Response, Shared, Vulnerability as Name};

use super::header::time;
use super::products::{Products, escaped};
use super::references::{Groups, Index, resolve};
use super::{Edition, Flag, Id, List, Note, Remediation, Text, Threat, list, report_unknown, tell, text_at};
use crate::report::{Code, Findings, Rejection, quoted};
use crate::stated::{Time, paragraphs};
use crate::terms;
use crate::typed::{Member, Shape};
use crate::vulnerability::vulnerability;

/// What reading a part of a vulnerability needs.
pub(super) struct Reading<'a, 'r> {
    pub(super) edition: Edition,
    pub(super) products: &'r mut Products<'a>,
    pub(super) groups: &'r mut Groups<'a>,
    /// JSON pointer of the vulnerability.
    pub(super) at: &'r str,
    pub(super) findings: &'r mut Findings,
}

/// Items of one list and which products they are about.
pub(super) struct ByProduct<T> {
    pub(super) items: Vec<T>,
    pub(super) index: Index,
}

impl<T> ByProduct<T> {
    /// The items about a product, in the order of the document.
    pub(super) fn of(&self, product: u32) -> impl Iterator<Item = &T> {
        self.index.of(product).map(|item| &self.items[item])
    }
}

/// A flag.
pub(super) struct Flagged {
    pub(super) justification: Option<Shared<Justification>>,
    pub(super) date: Time,
}

/// A threat of the category `impact`.
pub(super) struct Impact<'a> {
    /// The text, unless it is a severity.
    pub(super) details: Option<Text<'a>>,
    pub(super) date: Time,
}

/// A remediation.
pub(super) struct Remedy<'a> {
    pub(super) category: Text<'a>,
    details: Option<Text<'a>>,
    url: Option<Text<'a>>,
    responses: &'static [Response],
}

/// What an item of a list may be narrowed by.
type Ids<'a> = [Member<List<'a, Text<'a>>>; 2];

impl<'a> Reading<'a, '_> {
    /// Reads the items of a list with `read`, which also gives back the ids they are about.
    ///
    /// An item that names no product is about none, and is given the finding `unbound` if there is one.
    fn by_product<T: Shape<'a>, U>(
        &mut self,
        member: Member<List<'a, T>>,
        key: &str,
        unbound: Option<(Code, &str)>,
        mut read: impl FnMut(&mut Self, T, &str) -> (U, Ids<'a>),
    ) -> Result<ByProduct<U>, Rejection> {
        let at_list = || format!("{}/{key}", self.at);
        let members = list(member, self.findings, at_list);
        let mut found = ByProduct { items: Vec::new(), index: Index::default() };
        for (n, member) in members {
            let at = format!("{}/{key}/{n}", self.at);
            let Some(value) = member.take(self.findings, || at.clone(), "an object") else { continue };
            let (item, ids) = read(self, value, &at);
            match (resolve(ids, self.products, self.groups, || at.clone(), self.findings)?, unbound) {
                (Some(products), _) => found.index.add(found.items.len() as u32, products),
                (None, Some((code, message))) => tell(self.findings, code, || at.clone(), message),
                (None, None) => {}
            }
            found.items.push(item);
        }
        found.index.sort();
        Ok(found)
    }

    fn text(&mut self, member: Member<Text<'a>>, at: &str, key: &str) -> Option<Text<'a>> {
        text_at(member, self.findings, || format!("{at}/{key}"))
    }

    pub(super) fn flags(
        &mut self,
        member: Member<List<'a, Flag<'a>>>,
    ) -> Result<ByProduct<Flagged>, Rejection> {
        let message = "The flag names no product and was left out; add its `product_ids`.";
        let flags =
            self.by_product(member, "flags", Some((Code::UnboundFlag, message)), |this, flag, at| {
                report_unknown(this.edition, &flag.unknown, || at.to_owned(), this.findings);
                let label = this.text(flag.label, at, "label");
                let justification = label.as_deref().and_then(terms::csaf_justification);
                if justification.is_none() {
                    let label = quoted(label.as_deref().unwrap_or_default());
                    this.findings.add(
                        Code::UnknownJustification,
                        || format!("{at}/label"),
                        || {
                            format!(
                                "CSAF has no flag {label}, and it was left out; use one of its five labels."
                            )
                        },
                    );
                }
                let date = time(this.edition, flag.date, this.findings, || format!("{at}/date"));
                let justification = justification.map(Canonical::shared);
                (Flagged { justification, date }, [flag.product_ids, flag.group_ids])
            })?;
        self.check_flags(&flags);
        Ok(flags)
    }

    /// 6.1.33: at most one justification for a product.
    fn check_flags(&mut self, flags: &ByProduct<Flagged>) {
        let mut justified = None;
        let mut reported = vec![false; flags.items.len()];
        for (product, item) in flags.index.pairs() {
            if flags.items[item].justification.is_none() {
                continue;
            }
            if justified == Some(product) && !reported[item] {
                reported[item] = true;
                let message = "A product of this flag has another justification, which was taken; give each \
                               product one.";
                let at = || format!("{}/flags/{item}", self.at);
                tell(self.findings, Code::RepeatedJustification, at, message);
            }
            justified = Some(product);
        }
    }

    pub(super) fn impacts(
        &mut self,
        member: Member<List<'a, Threat<'a>>>,
    ) -> Result<ByProduct<Option<Impact<'a>>>, Rejection> {
        self.by_product(member, "threats", None, |this, threat, at| {
            report_unknown(this.edition, &threat.unknown, || at.to_owned(), this.findings);
            let date = time(this.edition, threat.date, this.findings, || format!("{at}/date"));
            let details = this.text(threat.details, at, "details").filter(|text| !is_severity(text));
            let is_impact = threat.category.value().is_some_and(|category| category == "impact");
            let impact = is_impact.then_some(Impact { details, date });
            (impact, [threat.product_ids, threat.group_ids])
        })
    }

    pub(super) fn remedies(
        &mut self,
        member: Member<List<'a, Remediation<'a>>>,
    ) -> Result<ByProduct<Remedy<'a>>, Rejection> {
        let message = "The remediation names no product and was left out; add its `product_ids`.";
        let unbound = Some((Code::UnboundRemediation, message));
        self.by_product(member, "remediations", unbound, |this, remediation, at| {
            report_unknown(this.edition, &remediation.unknown, || at.to_owned(), this.findings);
            time(this.edition, remediation.date, this.findings, || format!("{at}/date"));
            let category = this.text(remediation.category, at, "category").unwrap_or_default();
            let responses = terms::csaf_responses(&category);
            if responses.is_none() {
                this.findings.add(Code::UnknownResponse, || format!("{at}/category"), || {
                    let category = quoted(&category);
                    format!("CSAF has no remediation {category}, and only its text was taken; use one that it has.")
                });
            }
            if this.edition == Edition::V20 && matches!(category.as_ref(), "fix_planned" | "optional_patch") {
                let message = "CSAF 2.0 has no such remediation, and it was read as in 2.1; use one that it has.";
                tell(this.findings, Code::SpecVersionMismatch, || format!("{at}/category"), message);
            }
            let remedy = Remedy {
                category,
                details: this.text(remediation.details, at, "details"),
                url: this.text(remediation.url, at, "url"),
                responses: responses.unwrap_or_default(),
            };
            (remedy, [remediation.product_ids, remediation.group_ids])
        })
    }

    /// The notes that are about some products only, which is new in 2.1. The others describe the vulnerability.
    pub(super) fn notes(
        &mut self,
        member: Member<List<'a, Note<'a>>>,
    ) -> Result<ByProduct<Option<Text<'a>>>, Rejection> {
        self.by_product(member, "notes", None, |this, note, at| {
            report_unknown(this.edition, &note.unknown, || at.to_owned(), this.findings);
            (this.text(note.text, at, "text"), [note.product_ids, note.group_ids])
        })
    }

    pub(super) fn names(
        &mut self,
        cve: Option<Text<'a>>,
        member: Member<List<'a, Id<'a>>>,
    ) -> Result<Names<'a>, Rejection> {
        let mut narrow = Vec::new();
        let ids = self.by_product(member, "ids", None, |this, id, at| {
            report_unknown(this.edition, &id.unknown, || at.to_owned(), this.findings);
            let ids = [id.product_ids, id.group_ids];
            narrow.push(ids.iter().any(|ids| !matches!(ids, Member::Absent)));
            let system = this.text(id.system_name, at, "system_name");
            (this.text(id.text, at, "text").map(|text| scoped(system, text)), ids)
        })?;
        let is_general = |n: &usize| !narrow[*n];
        let general = (0..ids.items.len()).filter(is_general).filter_map(|n| ids.items[n].clone()).collect();
        Ok(Names { cve, general, ids, known: BTreeMap::new(), known_bytes: 0 })
    }
}

/// An id as a name of the world's. What a tracker numbers means something together with the tracker's name: ids of a
/// database that vulnerabilities are known by everywhere, and URLs, are names by themselves.
fn scoped<'a>(system: Option<Text<'a>>, text: Text<'a>) -> Text<'a> {
    match system.filter(|_| !text.contains("://") && !terms::is_known_id(&text)) {
        Some(system) => format!("{}|{}", escaped(system.trim()), escaped(text.trim())).into(),
        None => text,
    }
}

/// Whether a text only names a severity.
fn is_severity(text: &str) -> bool {
    const SEVERITIES: [&str; 9] =
        ["critical", "high", "important", "informational", "low", "medium", "moderate", "negligible", "none"];
    let text = text.trim();
    SEVERITIES.iter().any(|severity| text.eq_ignore_ascii_case(severity))
}

/// The names of a vulnerability: in 2.1 an id may be its name for some products only.
pub(super) struct Names<'a> {
    cve: Option<Text<'a>>,
    /// The ids that are for every product.
    general: Vec<Text<'a>>,
    /// All ids.
    ids: ByProduct<Option<Text<'a>>>,
    /// What was made lately, by the ids that are for some products.
    known: BTreeMap<Vec<usize>, Option<Shared<Name>>>,
    /// How many bytes those take, about.
    known_bytes: usize,
}

/// Most bytes of names that are kept: the ids that are for every product go into each.
const MAX_KNOWN_BYTES: usize = 16 << 20;

impl Names<'_> {
    /// Whether it has a name at all.
    pub(super) fn is_empty(&self) -> bool {
        self.cve.is_none() && self.ids.items.iter().all(Option::is_none)
    }

    /// The vulnerability as it is named for a product: by its CVE id, else by the first other id. And about how many
    /// bytes were gone through to make it.
    pub(super) fn of(&mut self, product: u32) -> (Option<Shared<Name>>, usize) {
        const EACH: usize = 64;
        let narrow: Vec<usize> = self.ids.index.of(product).collect();
        if let Some(known) = self.known.get(&narrow) {
            return (known.clone(), 0);
        }
        let own = narrow.iter().filter_map(|n| self.ids.items[*n].as_deref());
        let mut names =
            self.cve.as_deref().into_iter().chain(self.general.iter().map(AsRef::as_ref)).chain(own);
        let bytes = names.clone().map(|name| EACH + name.len()).sum();
        let name = names.next().and_then(|id| vulnerability(id, names)).map(Canonical::shared);
        self.known_bytes = self.known_bytes.saturating_add(bytes);
        if self.known_bytes > MAX_KNOWN_BYTES {
            self.known.clear();
            self.known_bytes = bytes;
        }
        self.known.insert(narrow, name.clone());
        (name, bytes)
    }
}

/// What to do about a product: every remediation that is for it.
///
/// Texts stand in the order of the document with a blank line between. Of several addresses, the first is taken.
pub(super) fn action<'a>(remedies: impl Iterator<Item = &'a Remedy<'a>> + Clone) -> Action {
    let mut responses: Vec<Response> =
        remedies.clone().flat_map(|remedy| remedy.responses).copied().collect();
    responses.sort_unstable_by_key(|response| response.label());
    responses.dedup();
    let url = remedies.clone().find_map(|remedy| remedy.url.as_deref()).map(str::to_owned);
    Action { text: paragraphs(remedies.filter_map(|remedy| remedy.details.as_deref())), responses, url }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_is_no_impact() {
        for text in ["Moderate", " important\n", "LOW", "none"] {
            assert!(is_severity(text), "{text}");
        }
        for text in ["", "Low impact only", "not affected"] {
            assert!(!is_severity(text), "{text}");
        }
    }
}

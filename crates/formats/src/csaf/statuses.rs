//! The status lists of one vulnerability, and what contradicts them (tests 6.1.6, 6.1.35 and 6.1.36).

use super::products::Products;
use super::references::Index;
use super::{Edition, List, Statuses, Text, list, tell, text_at};
use crate::report::{Code, Findings, quoted};
use crate::typed::Member;

/// One entry of a status list. Twelve bytes: a document may have tens of millions.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    group: Group,
    place: u32,
    /// The product.
    pub(super) product: u32,
}

impl Entry {
    /// The list.
    pub(super) const fn group(self) -> &'static str {
        GROUPS[self.group.0 as usize]
    }

    /// The place in the list.
    pub(super) const fn place(self) -> usize {
        self.place as usize
    }
}

/// The number of a list in [`GROUPS`].
#[derive(Clone, Copy)]
struct Group(u8);

/// The lists, in alphabetical order so that the order of keys does not show.
const GROUPS: [&str; 9] = [
    "first_affected",
    "first_fixed",
    "fixed",
    "known_affected",
    "known_not_affected",
    "last_affected",
    "recommended",
    "under_investigation",
    "unknown",
];

/// What contradicts each other: the groups of 6.1.6, and 2.1's `unknown`.
const AFFECTED: u8 = 1;
const FIXED: u8 = 2;
const NOT_AFFECTED: u8 = 4;
const UNDER_INVESTIGATION: u8 = 8;
const UNKNOWN: u8 = 16;

fn contradiction_group(group: &str) -> u8 {
    match group {
        "first_affected" | "known_affected" | "last_affected" => AFFECTED,
        "first_fixed" | "fixed" => FIXED,
        "known_not_affected" => NOT_AFFECTED,
        "under_investigation" => UNDER_INVESTIGATION,
        "unknown" => UNKNOWN,
        _ => 0,
    }
}

/// Reads the lists in the order of [`GROUPS`]. `recommended` makes no claim.
pub(super) fn read<'a>(
    statuses: Statuses<'a>,
    edition: Edition,
    products: &mut Products<'a>,
    at: &str,
    findings: &mut Findings,
) -> Vec<Entry> {
    report_unknown_statuses(&statuses.unknown, at, findings);
    if edition == Edition::V20 && statuses.unknown_list.is_stated() {
        let message = "CSAF 2.0 has no status `unknown`, and it was read as in 2.1; use `under_investigation`, \
                       or CSAF 2.1.";
        tell(findings, Code::SpecVersionMismatch, || format!("{at}/unknown"), message);
    }
    let mut entries = Vec::new();
    let lists = [
        statuses.first_affected,
        statuses.first_fixed,
        statuses.fixed,
        statuses.known_affected,
        statuses.known_not_affected,
        statuses.last_affected,
        statuses.recommended,
        statuses.under_investigation,
        statuses.unknown_list,
    ];
    for (group, member) in (0..).map(Group).zip(lists) {
        read_list(group, member, products, at, findings, &mut entries);
    }
    entries
}

fn read_list<'a>(
    number: Group,
    member: Member<List<'a, Text<'a>>>,
    products: &mut Products<'a>,
    at: &str,
    findings: &mut Findings,
    entries: &mut Vec<Entry>,
) {
    let group = GROUPS[number.0 as usize];
    for (place, id) in list(member, findings, || format!("{at}/{group}")) {
        let at = || format!("{at}/{group}/{place}");
        let Some(id) = text_at(id, findings, at) else {
            let message = "The entry names no product and was dropped; write a product id.";
            tell(findings, Code::MissingProduct, at, message);
            continue;
        };
        let product = products.refer(id, at, findings);
        if group != "recommended" {
            // A text of less than 2 GiB has fewer elements than that.
            entries.push(Entry { group: number, place: place as u32, product });
        }
    }
}

fn report_unknown_statuses(unknown: &[Text<'_>], at: &str, findings: &mut Findings) {
    for key in unknown {
        findings.add(
            Code::UnknownStatus,
            || crate::report::child(at, key),
            || {
                format!(
                    "CSAF has no status {}, and its products were dropped; use one that it has.",
                    quoted(key)
                )
            },
        );
    }
}

/// Whether some entries contradict each other, if they are about one product.
pub(super) fn are_mixed(entries: &[Entry]) -> bool {
    let group = |entry: &Entry| contradiction_group(entry.group());
    entries.first().is_some_and(|first| entries.iter().any(|entry| group(entry) != group(first)))
}

/// The statuses that each product id has.
pub(super) struct Stated {
    /// By product, as bits.
    bits: Vec<(u32, u8)>,
    /// Entries, as list and place, that were told to contradict others of their product id.
    told: Vec<(u8, u32)>,
}

impl Stated {
    /// Collects them; a product with two that contradict each other is a finding at the second. Entries that their list
    /// has before are taken out: they say nothing more, and each would be as much work as the first.
    pub(super) fn of(entries: &mut Vec<Entry>, at: &str, findings: &mut Findings) -> Self {
        /// Stands for the product of such an entry: there are fewer products.
        const REPEATED: u32 = u32::MAX;
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        order.sort_unstable_by_key(|n| (entries[*n as usize].product, *n));
        let mut stated: Vec<(u32, u8)> = Vec::with_capacity(entries.len());
        let mut told = Vec::new();
        let mut before = None;
        for n in order {
            let entry = entries[n as usize];
            let (group, place, product) = (entry.group(), entry.place(), &entry.product);
            let bit = contradiction_group(group);
            match stated.last_mut() {
                Some((last, bits)) if last == product => {
                    if before == Some((entry.group.0, *product)) {
                        entries[n as usize].product = REPEATED;
                        let message =
                            "This product stands in this list before, and was read once; leave one out.";
                        let at = || format!("{at}/{group}/{place}");
                        tell(findings, Code::RepeatedElement, at, message);
                    }
                    if *bits != bit && *bits & bit == 0 {
                        let message = "This product has another status for the same vulnerability in another list; \
                                       both are kept; state one.";
                        tell(
                            findings,
                            Code::IntraDocumentConflict,
                            || format!("{at}/{group}/{place}"),
                            message,
                        );
                        told.push((entry.group.0, entry.place));
                    }
                    *bits |= bit;
                }
                _ => stated.push((*product, bit)),
            }
            before = Some((entry.group.0, entry.product));
        }
        entries.retain(|entry| entry.product != REPEATED);
        told.sort_unstable();
        Self { bits: stated, told }
    }

    fn bits(&self, product: u32) -> u8 {
        self.bits.binary_search_by_key(&product, |(found, _)| *found).map_or(0, |n| self.bits[n].1)
    }

    /// Whether an entry was told to contradict another of its product id.
    pub(super) fn has_told(&self, entry: Entry) -> bool {
        self.told.binary_search(&(entry.group.0, entry.place)).is_ok()
    }
}

/// The remediation categories of 2.1, the categories that contradict each, and the statuses that do
/// (csaf_2.1, section on the category of a remediation, two tables).
const REMEDIATIONS: [(&str, &[&str], u8); 7] = [
    ("fix_planned", &["no_fix_planned", "none_available", "optional_patch", "vendor_fix"], FIXED),
    ("mitigation", &["none_available", "optional_patch"], NOT_AFFECTED | FIXED),
    ("no_fix_planned", &["fix_planned", "none_available", "optional_patch", "vendor_fix"], FIXED),
    (
        "none_available",
        &["fix_planned", "mitigation", "no_fix_planned", "optional_patch", "vendor_fix", "workaround"],
        NOT_AFFECTED | FIXED,
    ),
    (
        "optional_patch",
        &["fix_planned", "mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround"],
        AFFECTED,
    ),
    (
        "vendor_fix",
        &["fix_planned", "no_fix_planned", "none_available", "optional_patch"],
        NOT_AFFECTED | FIXED,
    ),
    ("workaround", &["none_available", "optional_patch"], NOT_AFFECTED | FIXED),
];

/// 6.1.35 and 6.1.36, once for each remediation. `categories` are those of the remediations, by number.
pub(super) fn check_remediations(
    categories: &[&str],
    index: &Index,
    stated: &Stated,
    at: &str,
    findings: &mut Findings,
) {
    let known = |n: usize| REMEDIATIONS.iter().position(|(category, ..)| *category == categories[n]);
    let mut reported = vec![[false; 2]; categories.len()];
    let mut last = (u32::MAX, 0_u8);
    for (product, n) in index.pairs() {
        let Some(category) = known(n) else { continue };
        let (_, contradicting, statuses) = REMEDIATIONS[category];
        let at = || format!("{at}/remediations/{n}");
        if last.0 != product {
            last = (product, 0);
        }
        let earlier = (0..7).filter(|k| last.1 & 1 << k != 0).map(|k| REMEDIATIONS[k].0);
        if earlier.into_iter().any(|other| contradicting.contains(&other)) && !reported[n][0] {
            reported[n][0] = true;
            let message = "This remediation contradicts another of the same product; both are kept; leave \
                           one of them out.";
            tell(findings, Code::ContradictingRemediations, at, message);
        }
        last.1 |= 1 << category;
        if stated.bits(product) & statuses != 0 && !reported[n][1] {
            reported[n][1] = true;
            let message =
                "This remediation contradicts the status of a product that it is for; leave the product out.";
            tell(findings, Code::MisplacedRemediation, at, message);
        }
    }
}

//! Contradictions within a document: claims that give one subject different statuses.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use provex_core::vex::{Observation, Status, Vulnerability};

use crate::purl::split_once;
use crate::report::{Code, Findings};

/// Remembers of each claim what it is about, what it says and where it stands. The claim itself is gone once it is
/// handed over, and a document may make hundreds of thousands, so that each takes 36 bytes here.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    seen: Vec<Seen>,
    /// The pointers so far, with [`NUMBER`] in the place of numbers: readers write few forms.
    forms: Vec<String>,
    is_mixed: bool,
    /// Two, so that no document brings about that two subjects are taken for one.
    hashers: [DefaultHashBuilder; 2],
    /// Reused for each claim.
    subject: Vec<u8>,
    form: String,
}

#[derive(Debug)]
struct Seen {
    /// Stands for what the claim is about.
    subject: [u64; 2],
    form: u32,
    numbers: [u32; 3],
    status: Status,
}

/// Stands in a form for a number. No pointer has it: the strict pass refuses it.
const NUMBER: char = '\0';

impl Subjects {
    /// Remembers a claim. Claims that differ in what stands in `apart`, such as their time, do not contradict each
    /// other.
    pub(crate) fn note<'t>(
        &mut self,
        observation: &'t Observation,
        apart: impl IntoIterator<Item = &'t str>,
    ) {
        let parts = [
            Some(class(&observation.vulnerability)),
            Some(observation.product.key.as_str()),
            observation.subcomponent.as_ref().map(|component| component.key.as_str()),
            observation.version_scope.as_deref(),
        ];
        self.subject.clear();
        for part in parts.into_iter().chain(apart.into_iter().map(Some)) {
            // No text is so long, so that one that is not there differs from an empty one.
            let length = part.map_or(u32::MAX, |part| part.len() as u32);
            self.subject.extend_from_slice(&length.to_le_bytes());
            self.subject.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
        let [first, second] = &self.hashers;
        let subject = [first.hash_one(&self.subject), second.hash_one(&self.subject)];
        let status = observation.status;
        self.is_mixed |= self.seen.last().is_some_and(|last| last.status != status);
        let (form, numbers) = self.split(&observation.locator.pointer);
        self.seen.push(Seen { subject, form, numbers, status });
    }

    /// Reports the claims that contradict the first one of their subject, in the order of the document. `message` is
    /// told what such a claim says, what the first says, and where.
    pub(crate) fn report(&self, findings: &mut Findings, message: impl Fn(&str, &str, &str) -> String) {
        if !self.is_mixed {
            return;
        }
        let mut order: Vec<usize> = (0..self.seen.len()).collect();
        order.sort_unstable_by_key(|n| (self.seen[*n].subject, *n));
        let of_one_subject = order.chunk_by(|a, b| self.seen[*a].subject == self.seen[*b].subject);
        let mut conflicts: Vec<_> = of_one_subject
            .flat_map(|claims| claims.iter().map(|n| (*n, claims[0])))
            .filter(|(n, first)| self.seen[*n].status != self.seen[*first].status)
            .collect();
        conflicts.sort_unstable();
        for (n, first) in conflicts {
            let (claim, first) = (&self.seen[n], &self.seen[first]);
            findings.add(
                Code::IntraDocumentConflict,
                || self.pointer(claim),
                || message(claim.status.label(), first.status.label(), &self.pointer(first)),
            );
        }
    }

    /// Where claims give a subject the status that an earlier one gives it: the earlier one's pointer, and theirs. In the
    /// order of the document.
    pub(crate) fn repeats(&self) -> impl Iterator<Item = [String; 2]> {
        let mut known = HashTable::with_capacity(self.seen.len());
        (0..).zip(&self.seen).filter_map(move |(n, seen): (u32, _)| {
            let says = |n: &u32| (self.seen[*n as usize].subject, self.seen[*n as usize].status);
            let hash = |n: &u32| says(n).0[0];
            if let Some(first) = known.find(hash(&n), |first| says(first) == says(&n)) {
                return Some([self.pointer(&self.seen[*first as usize]), self.pointer(seen)]);
            }
            known.insert_unique(hash(&n), n, hash);
            None
        })
    }

    /// The number of a pointer's form, and the pointer's first three numbers.
    fn split(&mut self, pointer: &str) -> (u32, [u32; 3]) {
        // Most claims stand where the last one stood, but for the numbers.
        if let Some(last) = self.seen.last()
            && let Some(numbers) = numbers(&self.forms[last.form as usize], pointer)
        {
            return (last.form, numbers);
        }
        let mut numbers = [0; 3];
        let mut free = numbers.iter_mut();
        self.form.clear();
        let mut rest = pointer;
        while let Some(tail) = rest.strip_prefix('/') {
            let token;
            (token, rest) = self::token(tail);
            self.form.push('/');
            match number(token).and_then(|number: u32| Some((number, free.next()?))) {
                Some((number, place)) => {
                    *place = number;
                    self.form.push(NUMBER);
                }
                None => self.form.push_str(token),
            }
        }
        let known = self.forms.iter().position(|form| *form == self.form);
        let form = known.unwrap_or_else(|| {
            self.forms.push(self.form.clone());
            self.forms.len() - 1
        });
        (form as u32, numbers)
    }

    fn pointer(&self, seen: &Seen) -> String {
        let mut pointer = String::new();
        let mut pieces = self.forms[seen.form as usize].split(NUMBER);
        pointer.push_str(pieces.next().unwrap_or_default());
        for (piece, number) in pieces.zip(seen.numbers) {
            pointer.push_str(&number.to_string());
            pointer.push_str(piece);
        }
        pointer
    }
}

/// The first token of what follows a `/` in a pointer, and the rest.
fn token(pointer: &str) -> (&str, &str) {
    pointer.split_at(pointer.bytes().position(|byte| byte == b'/').unwrap_or(pointer.len()))
}

/// A token that an index is written as.
fn number(token: &str) -> Option<u32> {
    let is_index = token == "0" || token.starts_with(|c| ('1'..='9').contains(&c));
    token.parse().ok().filter(|_| is_index)
}

/// The numbers of a pointer, if it has this form.
fn numbers(form: &str, pointer: &str) -> Option<[u32; 3]> {
    let (first, mut pieces) = split_once(form, NUMBER as u8);
    let mut rest = pointer.strip_prefix(first)?;
    let mut numbers = [0; 3];
    for place in &mut numbers {
        let Some(all) = pieces else { break };
        let piece;
        (piece, pieces) = split_once(all, NUMBER as u8);
        let (token, tail) = token(rest);
        *place = number(token)?;
        rest = tail.strip_prefix(piece)?;
    }
    rest.is_empty().then_some(numbers)
}

/// The name that statements about one vulnerability share: its CVE id, if it has one and no other.
fn class(vulnerability: &Vulnerability) -> &str {
    let is_cve = |name: &&String| name.starts_with("CVE-");
    let mut others = vulnerability.aliases.iter().filter(is_cve);
    match others.next() {
        Some(cve) if !is_cve(&&vulnerability.id) && others.next().is_none() => cve,
        _ => &vulnerability.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_comes_back_from_its_form_and_numbers() {
        let mut subjects = Subjects::default();
        for pointer in [
            "",
            "/",
            "/statements/0/products/17",
            "/statements/4294967295/products/1/subcomponents/9",
            "/statements/4294967296/products/1/subcomponents/9",
            "/a/01/+1/-1/1/2/3/4/5",
            "/ü~0~1/12/x",
        ] {
            // The second time, the form is that of the claim before.
            for _ in 0..2 {
                let (form, numbers) = subjects.split(pointer);
                let seen = Seen { subject: [0; 2], form, numbers, status: Status::Fixed };
                assert_eq!(subjects.pointer(&seen), pointer);
                subjects.seen.push(seen);
            }
        }
    }
}

//! Chains of composed products: what they begin and end in, whatever they are composed of in turn (test 6.1.3).

/// What products are composed of, by number: all lists one after the other.
#[derive(Default)]
pub(super) struct Parts {
    all: Vec<u32>,
    /// Where a product's stand: from, to.
    ranges: Vec<(u32, u32)>,
}

impl Parts {
    /// Sets what the product of this number is composed of, component first.
    pub(super) fn set(&mut self, number: u32, parts: &[u32]) {
        if parts.is_empty() {
            return;
        }
        let (n, start) = (number as usize, self.all.len() as u32);
        self.all.extend_from_slice(parts);
        if self.ranges.len() <= n {
            self.ranges.resize(n + 1, (0, 0));
        }
        self.ranges[n] = (start, self.all.len() as u32);
    }

    /// What a product is composed of; nothing if it is not.
    pub(super) fn of(&self, number: u32) -> &[u32] {
        let (from, to) = self.ranges.get(number as usize).copied().unwrap_or_default();
        &self.all[from as usize..to as usize]
    }
}

/// What chains of products begin and end in, by number.
#[derive(Default)]
pub(super) struct Chains {
    parts: Parts,
    /// First and last part of each product that is composed, and how many there are from first to last. Those that
    /// are not, or come later, are their own and only part.
    composed: Vec<Ends>,
    /// Products that are composed of themselves, where that was seen.
    pub(super) circular: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
    length: u32,
}

/// More parts than this between the ends are not kept: parts that are shared could make a chain of thirty products a
/// billion long.
const MAX_LENGTH: u32 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

impl Chains {
    /// Follows every chain, without recursion. A product that contains itself, and all that are composed of it, are
    /// taken as not composed.
    pub(super) fn of(parts: Parts) -> Self {
        let count = parts.ranges.len();
        let whole = |number| Ends { first: number, last: number, length: 1 };
        let composed = (0..).take(count).map(whole).collect();
        let mut chains = Self { parts, composed, circular: Vec::new() };
        let mut visits = vec![Visit::New; count];
        let mut is_circular = vec![false; count];
        let mut open = Vec::new();
        for root in (0..).take(count) {
            open.push((root, 0));
            chains.follow(&mut open, &mut visits, &mut is_circular);
        }
        chains
    }

    fn follow(&mut self, open: &mut Vec<(u32, usize)>, visits: &mut [Visit], is_circular: &mut [bool]) {
        while let Some((number, next)) = open.last_mut() {
            let (number, n) = (*number, *number as usize);
            let parts = self.parts.of(number);
            // A product without parts may have a number beyond those that have some.
            if parts.is_empty() || *next == 0 && visits[n] == Visit::Done {
                open.pop();
                continue;
            }
            visits[n] = Visit::Open;
            let Some(part) = parts.get(*next).copied() else {
                visits[n] = Visit::Done;
                is_circular[n] |=
                    parts.iter().any(|part| is_circular.get(*part as usize).is_some_and(|is| *is));
                if !is_circular[n] {
                    self.close(number);
                }
                open.pop();
                continue;
            };
            *next += 1;
            match visits.get(part as usize) {
                Some(Visit::New) => open.push((part, 0)),
                Some(Visit::Open) if !is_circular[n] => {
                    is_circular[n] = true;
                    self.circular.push(number);
                }
                Some(Visit::Open | Visit::Done) | None => {}
            }
        }
    }

    /// Sets the ends of a product whose parts have theirs.
    fn close(&mut self, number: u32) {
        let parts = self.parts.of(number);
        if let [first, .., last] = parts {
            let lengths = parts.iter().map(|part| self.length(*part));
            let length = lengths.fold(0, u32::saturating_add);
            let ends = Ends { first: self.ends(*first).0, last: self.ends(*last).1, length };
            self.composed[number as usize] = ends;
        }
    }

    fn length(&self, number: u32) -> u32 {
        self.composed.get(number as usize).map_or(1, |ends| ends.length)
    }

    /// Whether a product is not composed.
    pub(super) fn is_whole(&self, number: u32) -> bool {
        self.length(number) == 1
    }

    /// The first part and the last.
    pub(super) fn ends(&self, number: u32) -> (u32, u32) {
        self.composed.get(number as usize).map_or((number, number), |ends| (ends.first, ends.last))
    }

    /// The parts between them.
    pub(super) fn between(&self, number: u32) -> Vec<u32> {
        let length = self.length(number);
        if !(3..=MAX_LENGTH).contains(&length) {
            return Vec::new();
        }
        let mut parts = Vec::with_capacity(length as usize);
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            if self.is_whole(number) {
                parts.push(number);
            } else {
                open.extend(self.parts.of(number).iter().rev());
            }
        }
        parts[1..length as usize - 1].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(lists: &[&[u32]]) -> Chains {
        let mut parts = Parts::default();
        for (number, list) in (0..).zip(lists) {
            parts.set(number, list);
        }
        Chains::of(parts)
    }

    #[test]
    fn a_chain_ends_where_its_parts_end() {
        // 3 = 0 on 1; 4 = 3 on 2; 5 = 0 on 6; 6 = 1 on 2
        let chains = chains(&[&[], &[], &[], &[0, 1], &[3, 2], &[0, 6], &[1, 2]]);
        assert_eq!((chains.ends(3), chains.between(3)), ((0, 1), vec![]));
        assert_eq!((chains.ends(4), chains.between(4)), ((0, 2), vec![1]));
        assert_eq!((chains.ends(5), chains.between(5)), ((0, 2), vec![1]));
        assert!(chains.is_whole(2) && !chains.is_whole(6));
    }

    #[test]
    fn a_circle_and_all_above_it_are_whole() {
        // 1 = 0 on 1; 2 = 0 on 3; 3 = 0 on 4; 4 = 2 on 0; 5 = 0 on 2; 6 = 0 on 0
        let chains = chains(&[&[], &[0, 1], &[0, 3], &[0, 4], &[2, 0], &[0, 2], &[0, 0]]);
        assert_eq!(chains.circular, [1, 4]);
        for number in [1, 2, 3, 4, 5] {
            assert!(chains.is_whole(number), "{number}");
        }
        assert_eq!(chains.ends(6), (0, 0));
        assert!(!chains.is_whole(6));
    }

    #[test]
    fn a_chain_of_shared_parts_is_not_written_out() {
        let parts: Vec<[u32; 2]> = (1..200).map(|n: u32| [n - 1, n - 1]).collect();
        let parts: Vec<_> = std::iter::once(&[][..]).chain(parts.iter().map(|pair| &pair[..])).collect();
        let chains = chains(&parts);
        assert_eq!(chains.ends(199), (0, 0));
        assert!(chains.between(199).is_empty());
        assert_eq!(chains.between(3).len(), 6);
    }
}

//! Chains of composed products: what they begin and end in, whatever they are composed of in turn (test 6.1.3).

/// What chains of products begin and end in, by number.
pub(super) struct Chains<'p> {
    /// What each product is composed of.
    parts: Vec<&'p [u32]>,
    /// First and last part of each product, which for one that is not composed are itself.
    ends: Vec<(u32, u32)>,
    /// How many parts there are from first to last.
    lengths: Vec<usize>,
    /// Products that are composed of themselves, where that was seen.
    pub(super) circular: Vec<u32>,
}

/// More parts than this between the ends are not kept: parts that are shared could make a chain of thirty products a
/// billion long.
const MAX_LENGTH: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

impl<'p> Chains<'p> {
    /// Follows every chain, without recursion. A product that contains itself, and all that are composed of it, are
    /// taken as not composed.
    pub(super) fn of(parts: Vec<&'p [u32]>) -> Self {
        let count = parts.len();
        let ends = (0..).take(count).map(|number| (number, number)).collect();
        let mut chains = Self { parts, ends, lengths: vec![1; count], circular: Vec::new() };
        let mut visits = vec![Visit::New; count];
        let mut is_circular = vec![false; count];
        for root in (0..).take(count) {
            chains.follow(root, &mut visits, &mut is_circular);
        }
        chains
    }

    fn follow(&mut self, root: u32, visits: &mut [Visit], is_circular: &mut [bool]) {
        if visits[root as usize] == Visit::Done {
            return;
        }
        let mut open = vec![(root, 0)];
        while let Some((number, next)) = open.last_mut() {
            let (number, n) = (*number, *number as usize);
            visits[n] = Visit::Open;
            let Some(part) = self.parts[n].get(*next) else {
                visits[n] = Visit::Done;
                is_circular[n] |= self.parts[n].iter().any(|part| is_circular[*part as usize]);
                if !is_circular[n] {
                    self.close(n);
                }
                open.pop();
                continue;
            };
            *next += 1;
            match visits[*part as usize] {
                Visit::New => open.push((*part, 0)),
                Visit::Open if !is_circular[n] => {
                    is_circular[n] = true;
                    self.circular.push(number);
                }
                Visit::Open | Visit::Done => {}
            }
        }
    }

    /// Sets the ends of a product whose parts have theirs.
    fn close(&mut self, n: usize) {
        if let [first, .., last] = self.parts[n] {
            self.ends[n] = (self.ends[*first as usize].0, self.ends[*last as usize].1);
            let lengths = self.parts[n].iter().map(|part| self.lengths[*part as usize]);
            self.lengths[n] = lengths.fold(0, usize::saturating_add);
        }
    }

    /// Whether a product is not composed.
    pub(super) fn is_whole(&self, number: u32) -> bool {
        self.lengths[number as usize] == 1
    }

    /// The first part and the last.
    pub(super) fn ends(&self, number: u32) -> (u32, u32) {
        self.ends[number as usize]
    }

    /// The parts between them.
    pub(super) fn between(&self, number: u32) -> Vec<u32> {
        let length = self.lengths[number as usize];
        if !(3..=MAX_LENGTH).contains(&length) {
            return Vec::new();
        }
        let mut parts = Vec::with_capacity(length);
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            if self.is_whole(number) {
                parts.push(number);
            } else {
                open.extend(self.parts[number as usize].iter().rev());
            }
        }
        parts[1..length - 1].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains<'p>(parts: &[&'p [u32]]) -> Chains<'p> {
        Chains::of(parts.to_vec())
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
        let parts = std::iter::once(&[][..]).chain(parts.iter().map(|pair| &pair[..])).collect();
        let chains = Chains::of(parts);
        assert_eq!(chains.ends(199), (0, 0));
        assert!(chains.between(199).is_empty());
        assert_eq!(chains.between(3).len(), 6);
    }
}

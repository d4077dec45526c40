//! Merkle trees: RFC 6962 section 2.1, with the proofs of RFC 9162 sections 2.1.3 and 2.1.4.
//!
//! Every proof is a walk from one node up to the root, so one private list of siblings serves making and
//! checking both kinds. Nothing here reads tiles; [`crate::tile`] does that over the same walk.

use crate::digest::Digest;

/// The root of a tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1).
pub const EMPTY_ROOT: Digest = Digest::from_bytes([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The largest size of a [`CompactRange`]: what a `BIGINT` holds, and more leaves than can ever be hashed.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A tree of this size has no such leaf.
    #[error("a tree of {size} leaves has no leaf {index}")]
    IndexOutOfRange {
        /// The leaf asked for.
        index: u64,
        /// The leaves there are.
        size: u64,
    },
    /// Every tree extends the empty one, so a consistency proof from it is no evidence.
    #[error("consistency with an empty tree shows nothing")]
    EmptyTree,
    /// The tree that should be the newer is the smaller one.
    #[error("a tree of {old_size} leaves cannot have become one of {new_size}")]
    Shrunk {
        /// Leaves of the older tree.
        old_size: u64,
        /// Leaves of the newer tree.
        new_size: u64,
    },
    /// The path has another length than these sizes give.
    #[error("the path has {found} hashes, not {expected}")]
    PathLength {
        /// Hashes that a path between these sizes has.
        expected: usize,
        /// Hashes that were there.
        found: usize,
    },
    /// The path leads to another root hash than the older tree's.
    #[error("the path leads to the older root hash {}, not {}", .computed.to_hex(), .expected.to_hex())]
    OldRootMismatch {
        /// The root hash that was claimed.
        expected: Digest,
        /// The root hash that the path leads to.
        computed: Digest,
    },
    /// The path leads to another root hash than the tree's (for consistency, the newer tree's).
    #[error("the path leads to the root hash {}, not {}", .computed.to_hex(), .expected.to_hex())]
    RootMismatch {
        /// The root hash that was claimed.
        expected: Digest,
        /// The root hash that the path leads to.
        computed: Digest,
    },
}

/// Hashes that cannot be the frontier of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// A tree of this size has another number of complete subtrees.
    #[error("a tree of {size} leaves has {expected} complete subtrees, not {found}")]
    Count {
        /// The leaves claimed.
        size: u64,
        /// Complete subtrees that they form.
        expected: usize,
        /// Hashes that were there.
        found: usize,
    },
    /// More leaves than [`MAX_SIZE`].
    #[error("a tree of {size} leaves is too large")]
    TooLarge {
        /// The leaves claimed.
        size: u64,
    },
}

/// The hash of a leaf. Its prefix keeps a leaf from being passed off as a node (RFC 6962 section 2.1).
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0x00], entry])
}

/// The hash of a node over its two children (RFC 6962 section 2.1).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

/// The frontier of a growing tree: the roots of its complete subtrees, which are all that appending needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    /// One for each bit set in `size`, the largest subtree first.
    hashes: Vec<Digest>,
}

impl CompactRange {
    /// The frontier of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier as [`CompactRange::size`] and [`CompactRange::hashes`] gave it.
    ///
    /// # Errors
    /// [`FrontierError`] if no tree of this size has so many hashes. Whether they are the right ones, only
    /// the root tells.
    pub fn from_parts(size: u64, hashes: Vec<Digest>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let (expected, found) = (size.count_ones() as usize, hashes.len());
        if expected != found {
            return Err(FrontierError::Count { size, expected, found });
        }
        Ok(Self { size, hashes })
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, left to right.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// Adds a leaf on the right: it closes as many subtrees as `size` has ones at its end.
    pub fn append(&mut self, leaf_hash: Digest) {
        let mut node = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.hashes.push(node);
        // Cannot overflow: sizes start at MAX_SIZE at most, and nobody appends 2^63 leaves.
        self.size += 1;
    }

    /// The root hash of the tree.
    pub fn root(&self) -> Digest {
        fold_right(self.hashes.iter().copied())
    }
}

/// A whole tree in memory. Each level is kept, so a path costs its length and no hashing.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Leaves first. A node without a sibling is carried up as it is, which gives RFC 6962's shape.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over these leaf hashes.
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.chunks(2).map(parent).collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root hash.
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or(EMPTY_ROOT)
    }

    /// The inclusion proof of leaf `index` (RFC 9162 section 2.1.3.1).
    ///
    /// # Errors
    /// [`ProofError::IndexOutOfRange`].
    pub fn inclusion_path(&self, index: u64) -> Result<Vec<Digest>, ProofError> {
        Ok(inclusion_nodes(index, self.size())?.filter_map(|node| self.node(node)).collect())
    }

    /// The consistency proof from the tree of the first `old_size` leaves (RFC 9162 section 2.1.4.1).
    ///
    /// # Errors
    /// [`ProofError::EmptyTree`] or [`ProofError::Shrunk`].
    pub fn consistency_path(&self, old_size: u64) -> Result<Vec<Digest>, ProofError> {
        Ok(consistency_nodes(old_size, self.size())?.filter_map(|node| self.node(node)).collect())
    }

    fn node(&self, node: Node) -> Option<Digest> {
        self.levels.get(node.level as usize)?.get(usize::try_from(node.index).ok()?).copied()
    }
}

/// Checks that the tree with this `root` has `leaf_hash` at `index` (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// [`ProofError`], where the path does not show it.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &Digest,
    path: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    let computed = root_from_inclusion(index, size, leaf_hash, path)?;
    if computed != *root {
        return Err(ProofError::RootMismatch { expected: *root, computed });
    }
    Ok(())
}

/// The root hash of the tree in which this path shows `leaf_hash` at `index`.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`], or [`ProofError::PathLength`]: each hash of the path is used exactly once.
pub fn root_from_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &Digest,
    path: &[Digest],
) -> Result<Digest, ProofError> {
    let siblings = inclusion_nodes(index, size)?;
    check_length(siblings.clone().count(), path.len())?;
    Ok(siblings.zip(path).fold(*leaf_hash, |hash, (sibling, other)| sibling.join(other, &hash)))
}

/// Checks that the newer tree begins with all leaves of the older one (RFC 9162 section 2.1.4.2).
///
/// Equal sizes need equal root hashes and an empty path. An `old_size` of 0 is refused, whatever the rest
/// says: it would pass for evidence and is none. A caller that starts from nothing has nothing to check.
///
/// # Errors
/// [`ProofError`], where the path does not show it.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    path: &[Digest],
) -> Result<(), ProofError> {
    let nodes = consistency_nodes(old_size, new_size)?;
    check_length(nodes.clone().count(), path.len())?;
    // Where the older tree is itself a node of the newer one, its root hash starts the walk and is not in the
    // path; else the path begins with the hash to start from.
    let (start, rest) = match path.split_first() {
        Some((first, rest)) if !old_size.is_power_of_two() => (first, rest),
        _ => (old_root, path),
    };
    let siblings = nodes.skip(path.len() - rest.len());
    let (mut old, mut new) = (*start, *start);
    for (sibling, other) in siblings.zip(rest) {
        // What stands to the left was in the older tree too; what stands to the right came later.
        if sibling.is_left() {
            old = sibling.join(other, &old);
        }
        new = sibling.join(other, &new);
    }
    if old != *old_root {
        return Err(ProofError::OldRootMismatch { expected: *old_root, computed: old });
    }
    if new != *new_root {
        return Err(ProofError::RootMismatch { expected: *new_root, computed: new });
    }
    Ok(())
}

/// A node of a tree: at `level` 0 a leaf, else the root of the leaves from `index << level` on, 2^`level` of
/// them or as many as the tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) level: u32,
    pub(crate) index: u64,
}

impl Node {
    const fn is_left(self) -> bool {
        self.index & 1 == 0
    }

    /// The parent of this node, whose hash is `hash`, and of its sibling, whose hash is `sibling`.
    fn join(self, hash: &Digest, sibling: &Digest) -> Digest {
        if self.is_left() { node_hash(hash, sibling) } else { node_hash(sibling, hash) }
    }
}

/// The nodes whose hashes are the inclusion proof of leaf `index`, in its order.
pub(crate) fn inclusion_nodes(
    index: u64,
    size: u64,
) -> Result<impl Iterator<Item = Node> + Clone, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    Ok(siblings(Node { level: 0, index }, size))
}

/// The nodes whose hashes are the consistency proof between two sizes, in its order.
pub(crate) fn consistency_nodes(
    old_size: u64,
    new_size: u64,
) -> Result<impl Iterator<Item = Node> + Clone, ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old_size, new_size });
    }
    let last = old_size.checked_sub(1).ok_or(ProofError::EmptyTree)?;
    // The walk starts at the last complete subtree of the older tree. Where that is the older tree itself
    // (its size a power of two), the verifier knows the hash already.
    let level = old_size.trailing_zeros();
    let start = Node { level, index: last >> level };
    let given = (start.index > 0).then_some(start);
    let grown = old_size != new_size;
    Ok(given.into_iter().chain(siblings(start, new_size)).filter(move |_| grown))
}

/// The siblings met on the way from `start`, a node of a tree of `size` leaves, up to the root. On the right
/// edge a node may have none, and is carried up.
fn siblings(start: Node, size: u64) -> impl Iterator<Item = Node> + Clone {
    let last = size.saturating_sub(1) >> start.level;
    let steps = u64::BITS - last.leading_zeros();
    (0..steps).filter_map(move |step| {
        let index = (start.index >> step) ^ 1;
        (index <= last >> step).then_some(Node { level: start.level + step, index })
    })
}

/// The root over complete subtrees given left to right, each smaller than the one before.
pub(crate) fn fold_right(hashes: impl DoubleEndedIterator<Item = Digest>) -> Digest {
    hashes.rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
}

/// The parent of one or two children; an only child is carried up.
fn parent(children: &[Digest]) -> Digest {
    fold_right(children.iter().copied())
}

fn check_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected != found {
        return Err(ProofError::PathLength { expected, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than one full byte of tree, with every shape of right edge up to 2^6.
    const SIZES: usize = 70;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// The largest power of two smaller than `n`, as RFC 6962 section 2.1 names k.
    fn split(n: usize) -> usize {
        n.next_power_of_two() / 2
    }

    /// MTH of RFC 6962 section 2.1, word for word.
    fn naive_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// PATH of RFC 9162 section 2.1.3.1.
    fn naive_inclusion(index: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if index < k {
            (naive_inclusion(index, left), naive_root(right))
        } else {
            (naive_inclusion(index - k, right), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// SUBPROOF of RFC 9162 section 2.1.4.1.
    fn naive_consistency(old: usize, leaves: &[Digest], known: bool) -> Vec<Digest> {
        if old == leaves.len() {
            return if known { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if old <= k {
            (naive_consistency(old, left, known), naive_root(right))
        } else {
            (naive_consistency(old - k, right, false), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// Every single-hash change, a hash too few, one too many.
    fn mutations(path: &[Digest]) -> Vec<Vec<Digest>> {
        let mut mutated: Vec<_> = (0..path.len())
            .map(|i| {
                let mut path = path.to_vec();
                path[i] = Digest::of(path[i].as_bytes());
                path
            })
            .collect();
        mutated.extend((0..path.len()).map(|i| [&path[..i], &path[i + 1..]].concat()));
        mutated.push([path, &[EMPTY_ROOT]].concat());
        mutated
    }

    #[test]
    fn empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, Digest::of(b""));
        assert_eq!(CompactRange::new().root(), EMPTY_ROOT);
        assert_eq!(Tree::new(Vec::new()).root(), EMPTY_ROOT);
    }

    #[test]
    fn roots_equal_the_naive_ones() {
        let leaves = leaves(SIZES);
        let mut range = CompactRange::new();
        for size in 0..=SIZES {
            let expected = naive_root(&leaves[..size]);
            assert_eq!(range.root(), expected, "{size}");
            assert_eq!(Tree::new(leaves[..size].to_vec()).root(), expected, "{size}");
            let parts = CompactRange::from_parts(range.size(), range.hashes().to_vec());
            assert_eq!(parts.as_ref(), Ok(&range));
            if let Some(leaf) = leaves.get(size) {
                range.append(*leaf);
            }
        }
    }

    #[test]
    fn inclusion_paths_equal_the_naive_ones_and_verify() {
        let all = leaves(SIZES);
        for size in 1..=SIZES {
            let tree = Tree::new(all[..size].to_vec());
            for index in 0..size {
                let path = tree.inclusion_path(index as u64).unwrap();
                assert_eq!(path, naive_inclusion(index, &all[..size]), "{index} of {size}");
                let verify = |at: usize, path: &[Digest]| {
                    verify_inclusion(at as u64, size as u64, &all[index], path, &tree.root())
                };
                assert_eq!(verify(index, &path), Ok(()));
                for bad in mutations(&path) {
                    assert!(verify(index, &bad).is_err(), "{index} of {size}");
                }
                assert!((0..=size).filter(|at| *at != index).all(|at| verify(at, &path).is_err()));
            }
        }
    }

    #[test]
    fn consistency_paths_equal_the_naive_ones_and_verify() {
        let all = leaves(SIZES);
        let roots: Vec<_> = (0..=SIZES).map(|size| naive_root(&all[..size])).collect();
        for new in 1..=SIZES {
            let tree = Tree::new(all[..new].to_vec());
            for old in 1..=new {
                let path = tree.consistency_path(old as u64).unwrap();
                assert_eq!(path, naive_consistency(old, &all[..new], true), "{old} to {new}");
                let verify = |old_root: &Digest, new_root: &Digest, path: &[Digest]| {
                    verify_consistency(old as u64, old_root, new as u64, new_root, path)
                };
                assert_eq!(verify(&roots[old], &roots[new], &path), Ok(()), "{old} to {new}");
                for bad in mutations(&path) {
                    assert!(verify(&roots[old], &roots[new], &bad).is_err(), "{old} to {new}");
                }
                assert!(verify(&roots[old - 1], &roots[new], &path).is_err());
                assert!(verify(&roots[old], &roots[new - 1], &path).is_err());
            }
        }
    }

    #[test]
    fn consistency_with_nothing_is_no_evidence() {
        let root = leaf_hash(b"");
        assert_eq!(verify_consistency(0, &EMPTY_ROOT, 1, &root, &[]), Err(ProofError::EmptyTree));
        assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]), Err(ProofError::EmptyTree));
        assert_eq!(
            verify_consistency(2, &root, 1, &root, &[]),
            Err(ProofError::Shrunk { old_size: 2, new_size: 1 })
        );
        assert_eq!(Tree::new(vec![root]).consistency_path(0), Err(ProofError::EmptyTree));
    }

    #[test]
    fn frontiers_of_another_shape_are_refused() {
        assert_eq!(
            CompactRange::from_parts(3, vec![EMPTY_ROOT]),
            Err(FrontierError::Count { size: 3, expected: 2, found: 1 })
        );
        assert_eq!(
            CompactRange::from_parts(u64::MAX, vec![EMPTY_ROOT; 64]),
            Err(FrontierError::TooLarge { size: u64::MAX })
        );
    }

    #[test]
    fn the_largest_sizes_neither_overflow_nor_panic() {
        let leaf = leaf_hash(b"");
        for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX), (1, 1 << 63)] {
            let length = inclusion_nodes(index, size).unwrap().count();
            let path = vec![leaf; length];
            let root = root_from_inclusion(index, size, &leaf, &path).unwrap();
            assert_eq!(verify_inclusion(index, size, &leaf, &path, &root), Ok(()));
        }
        assert!(root_from_inclusion(u64::MAX, u64::MAX, &leaf, &[]).is_err());
        for old in [1, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX] {
            assert!(verify_consistency(old, &leaf, u64::MAX, &EMPTY_ROOT, &[leaf; 64]).is_err());
        }
        assert_eq!(verify_consistency(u64::MAX, &leaf, u64::MAX, &leaf, &[]), Ok(()));
    }
}

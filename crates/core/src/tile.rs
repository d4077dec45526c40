//! Tiled transparency logs (C2SP tlog-tiles): where hashes and entries lie, and proofs read from there.
//!
//! A tile holds up to 256 consecutive hashes of every eighth level of the tree. Proofs come from a
//! [`TileReader`]; a caller that fetches asynchronously asks for the list of tiles first, fetches those, and
//! reads from a `HashMap`. Nothing read from tiles is trusted here: a proof is worth what
//! [`crate::merkle`] says of it against a verified checkpoint.

use std::collections::{BTreeSet, HashMap};

use crate::digest::Digest;
use crate::merkle::{self, EMPTY_ROOT, Node, ProofError};

/// Hashes in a full tile, and entries in a full bundle.
pub const FULL_WIDTH: u16 = 256;

/// Levels of the tree in one level of tiles.
const TILE_HEIGHT: u32 = 8;

/// Tile levels that a tree of up to 2^64 - 1 leaves has.
const TILE_LEVELS: u8 = 8;

/// Where one tile of hashes lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    /// 0 for leaf hashes; at 1 and above each hash is the root of a full tile one level below.
    pub level: u8,
    /// The position among the tiles of this level.
    pub index: u64,
    /// The number of hashes: 256, or 1 to 255 for a partial tile.
    pub width: u16,
}

impl std::fmt::Display for TilePath {
    /// The path below the log's prefix, as [`hash_tile_path`] gives it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hash_tile_path(self.level, self.index, self.width))
    }
}

/// Bytes that are not what a tile or an entry bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// An entry longer than its 16-bit length can say.
    #[error("entry {position} of the bundle has {length} bytes, more than 65535")]
    EntryTooLong {
        /// Its position in the bundle.
        position: usize,
        /// Its length.
        length: usize,
    },
    /// The bundle ends within an entry.
    #[error("the bundle ends within entry {position}")]
    Truncated {
        /// The position of that entry in the bundle.
        position: usize,
    },
    /// Not between 1 and 256 hashes or entries.
    #[error("a tile holds 1 to 256 hashes or entries, not {found}")]
    Width {
        /// How many there were.
        found: usize,
    },
    /// A tile whose length is no multiple of 32 bytes.
    #[error("{length} bytes are not a whole number of hashes")]
    HashLength {
        /// Its length.
        length: usize,
    },
}

/// Why no proof could be read from the tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileProofError<E> {
    /// No such proof exists.
    #[error("there is no such proof")]
    Proof(#[from] ProofError),
    /// The tile could not be read.
    #[error("the tile {tile} could not be read")]
    Read {
        /// The tile asked for.
        tile: TilePath,
        /// What the reader said.
        #[source]
        source: E,
    },
    /// The tile was read and is shorter than the tree's size demands.
    #[error("the tile {tile} has only {found} hashes")]
    Short {
        /// The tile asked for.
        tile: TilePath,
        /// The hashes it has.
        found: usize,
    },
}

/// Reads tiles of one log.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// The hashes of this tile, at least `tile.width` of them: where a partial tile is gone, the full one
    /// may stand in for it (tlog-tiles, "Partial Tiles"), and what goes beyond the width is not used.
    ///
    /// # Errors
    /// The reader's own, where the tile cannot be read.
    fn hashes(&mut self, tile: TilePath) -> Result<Vec<Digest>, Self::Error>;
}

/// The tile was not among those fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tile was not fetched")]
pub struct NotFetched;

/// Tiles fetched beforehand, by the paths that the `tiles_for_` functions listed.
impl<S: std::hash::BuildHasher> TileReader for HashMap<TilePath, Vec<Digest>, S> {
    type Error = NotFetched;

    fn hashes(&mut self, tile: TilePath) -> Result<Vec<Digest>, NotFetched> {
        self.get(&tile).cloned().ok_or(NotFetched)
    }
}

/// The path of a hash tile below the log's prefix, `tile/0/x001/067` or `tile/0/x001/067.p/8`
/// (tlog-tiles, "Merkle Tree"). A width of 256 is a full tile.
pub fn hash_tile_path(level: u8, index: u64, width: u16) -> String {
    format!("tile/{level}/{}", index_path(index, width))
}

/// The path of an entry bundle below the log's prefix, `tile/entries/x001/067` (tlog-tiles, "Log entries").
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", index_path(index, width))
}

/// The hash tiles to be written when a log grows from one size to another: each one that gets a hash, at its
/// new width, level by level. Entry bundles have the index and width of the tiles of level 0.
pub fn tiles_of_new_leaves(old_size: u64, new_size: u64) -> impl Iterator<Item = TilePath> {
    (0..TILE_LEVELS).flat_map(move |level| {
        let old = hashes_at(level, old_size);
        let new = hashes_at(level, new_size);
        let end = if new > old { new.div_ceil(u64::from(FULL_WIDTH)) } else { 0 };
        (old >> TILE_HEIGHT..end).map(move |index| tile_at(level, index, new_size))
    })
}

/// The bytes of a tile: its hashes one after the other.
///
/// # Errors
/// [`TileError::Width`].
pub fn encode_hashes(hashes: &[Digest]) -> Result<Vec<u8>, TileError> {
    check_width(hashes.len())?;
    Ok(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
}

/// The hashes of a tile.
///
/// # Errors
/// [`TileError::HashLength`] or [`TileError::Width`].
pub fn decode_hashes(bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(TileError::HashLength { length: bytes.len() });
    }
    check_width(chunks.len())?;
    Ok(chunks.iter().map(|chunk| Digest::from_bytes(*chunk)).collect())
}

/// The bytes of an entry bundle: each entry behind its length in 16 bits, big-endian (tlog-tiles, "Log
/// entries").
///
/// # Errors
/// [`TileError::EntryTooLong`] or [`TileError::Width`].
pub fn encode_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, TileError> {
    check_width(entries.len())?;
    let mut bundle = Vec::new();
    for (position, entry) in entries.iter().map(AsRef::as_ref).enumerate() {
        let length = u16::try_from(entry.len())
            .map_err(|_| TileError::EntryTooLong { position, length: entry.len() })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle. Their number is for the caller to compare with the width it asked for.
///
/// # Errors
/// [`TileError::Truncated`] or [`TileError::Width`].
pub fn decode_entries(bundle: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        // Refused before it is read: a bundle of empty entries could name very many of them.
        check_width(entries.len() + 1)?;
        let (entry, after) = split_entry(rest).ok_or(TileError::Truncated { position: entries.len() })?;
        entries.push(entry);
        rest = after;
    }
    check_width(entries.len())?;
    Ok(entries)
}

/// The root hash of the tree of the first `size` leaves.
///
/// # Errors
/// [`TileProofError`], where a tile is missing or short.
pub fn root<R: TileReader>(reader: &mut R, size: u64) -> Result<Digest, TileProofError<R::Error>> {
    Hashes::new(reader, size).over(0, size)
}

/// The inclusion proof of leaf `index` in the tree of the first `size` leaves (RFC 9162 section 2.1.3.1).
///
/// # Errors
/// [`TileProofError`], where no such proof exists or a tile is missing or short.
pub fn inclusion_proof<R: TileReader>(
    reader: &mut R,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, TileProofError<R::Error>> {
    let mut hashes = Hashes::new(reader, size);
    merkle::inclusion_nodes(index, size)?.map(|node| hashes.of(node)).collect()
}

/// The consistency proof between two sizes (RFC 9162 section 2.1.4.1).
///
/// # Errors
/// [`TileProofError`], where no such proof exists or a tile is missing or short.
pub fn consistency_proof<R: TileReader>(
    reader: &mut R,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<Digest>, TileProofError<R::Error>> {
    let mut hashes = Hashes::new(reader, new_size);
    merkle::consistency_nodes(old_size, new_size)?.map(|node| hashes.of(node)).collect()
}

/// The tiles that [`root`] reads, each once.
pub fn tiles_for_root(size: u64) -> Vec<TilePath> {
    tiles_of(complete_subtrees(0, size), size)
}

/// The tiles that [`inclusion_proof`] reads, each once.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`].
pub fn tiles_for_inclusion(index: u64, size: u64) -> Result<Vec<TilePath>, ProofError> {
    Ok(tiles_of(merkle::inclusion_nodes(index, size)?.flat_map(|node| subtrees_of(node, size)), size))
}

/// The tiles that [`consistency_proof`] reads, each once.
///
/// # Errors
/// [`ProofError::EmptyTree`] or [`ProofError::Shrunk`].
pub fn tiles_for_consistency(old_size: u64, new_size: u64) -> Result<Vec<TilePath>, ProofError> {
    let nodes = merkle::consistency_nodes(old_size, new_size)?;
    Ok(tiles_of(nodes.flat_map(|node| subtrees_of(node, new_size)), new_size))
}

/// The hashes of one tree, through the tiles read so far: neighbouring nodes of a proof share tiles.
struct Hashes<'a, R> {
    reader: &'a mut R,
    size: u64,
    tiles: HashMap<TilePath, Vec<Digest>>,
}

impl<'a, R: TileReader> Hashes<'a, R> {
    fn new(reader: &'a mut R, size: u64) -> Self {
        Self { reader, size, tiles: HashMap::new() }
    }

    /// The hash of any node, also one on the right edge that is not complete.
    fn of(&mut self, node: Node) -> Result<Digest, TileProofError<R::Error>> {
        let (begin, end) = leaves_of(node, self.size);
        self.over(begin, end)
    }

    /// MTH of RFC 6962 section 2.1 over these leaves: `begin` starts a node, `end` ends it or the tree.
    fn over(&mut self, begin: u64, end: u64) -> Result<Digest, TileProofError<R::Error>> {
        let hashes: Result<Vec<_>, _> =
            complete_subtrees(begin, end).map(|node| self.complete(node)).collect();
        Ok(merkle::fold_right(hashes?.into_iter()))
    }

    /// The hash of a complete subtree: its hashes in the tile below it, folded in pairs.
    fn complete(&mut self, node: Node) -> Result<Digest, TileProofError<R::Error>> {
        let span = Span::of(node, self.size);
        if !self.tiles.contains_key(&span.tile) {
            let read = self.reader.hashes(span.tile);
            let hashes = read.map_err(|source| TileProofError::Read { tile: span.tile, source })?;
            self.tiles.insert(span.tile, hashes);
        }
        let tile = self.tiles.get(&span.tile).map_or(&[][..], Vec::as_slice);
        let hashes = tile
            .get(span.offset..span.offset + span.count)
            .ok_or(TileProofError::Short { tile: span.tile, found: tile.len() })?;
        Ok(fold_pairs(hashes.to_vec()))
    }
}

/// The hashes of a tile that a complete subtree is made of.
struct Span {
    tile: TilePath,
    offset: usize,
    count: usize,
}

impl Span {
    fn of(node: Node, size: u64) -> Self {
        let level = (node.level / TILE_HEIGHT) as u8;
        let height = node.level % TILE_HEIGHT;
        // A complete node lies within the tree, so this is a position among the hashes of its tile level.
        let first = node.index << height;
        Self {
            tile: tile_at(level, first >> TILE_HEIGHT, size),
            offset: (first % u64::from(FULL_WIDTH)) as usize,
            count: 1 << height,
        }
    }
}

/// The hashes that tile level `level` of a tree has (tlog-tiles, "Partial Tiles").
fn hashes_at(level: u8, size: u64) -> u64 {
    size >> (TILE_HEIGHT * u32::from(level))
}

/// The tile at this index, as wide as a tree of this size makes it.
fn tile_at(level: u8, index: u64, size: u64) -> TilePath {
    let hashes = hashes_at(level, size).saturating_sub(index << TILE_HEIGHT);
    TilePath { level, index, width: hashes.min(u64::from(FULL_WIDTH)) as u16 }
}

fn tiles_of(complete: impl Iterator<Item = Node>, size: u64) -> Vec<TilePath> {
    let tiles: BTreeSet<_> = complete.map(|node| Span::of(node, size).tile).collect();
    tiles.into_iter().collect()
}

fn subtrees_of(node: Node, size: u64) -> impl Iterator<Item = Node> {
    let (begin, end) = leaves_of(node, size);
    complete_subtrees(begin, end)
}

/// The leaves under a node, `begin` included and `end` not.
fn leaves_of(node: Node, size: u64) -> (u64, u64) {
    let begin = node.index << node.level;
    (begin, begin.saturating_add(1 << node.level).min(size))
}

/// The complete subtrees that these leaves form, left to right: one for each bit of their number.
fn complete_subtrees(begin: u64, end: u64) -> impl Iterator<Item = Node> {
    let count = end.saturating_sub(begin);
    (0..u64::BITS).rev().filter(move |level| count >> level & 1 == 1).map(move |level| {
        // The larger subtrees stand before this one.
        let larger = count & (u64::MAX << level << 1);
        Node { level, index: (begin + larger) >> level }
    })
}

/// The root over a power of two of hashes.
fn fold_pairs(mut hashes: Vec<Digest>) -> Digest {
    while hashes.len() > 1 {
        hashes = hashes.chunks(2).map(|pair| merkle::fold_right(pair.iter().copied())).collect();
    }
    hashes.first().copied().unwrap_or(EMPTY_ROOT)
}

/// An index in groups of three digits, all but the last with an `x` before them, so that no file has the
/// name of a folder (tlog-tiles, "Merkle Tree").
fn index_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn check_width(found: usize) -> Result<(), TileError> {
    if found == 0 || found > usize::from(FULL_WIDTH) {
        return Err(TileError::Width { found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::merkle::{Tree, leaf_hash};

    /// Cuts tiles from leaf hashes by tlog-tiles' own formula, and counts reads.
    struct Formula {
        leaves: Vec<Digest>,
        reads: Vec<TilePath>,
    }

    impl TileReader for Formula {
        type Error = Infallible;

        fn hashes(&mut self, tile: TilePath) -> Result<Vec<Digest>, Infallible> {
            self.reads.push(tile);
            let span = 256_usize.pow(u32::from(tile.level));
            let first = tile.index as usize * 256;
            let mth = |i| Tree::new(self.leaves[i * span..(i + 1) * span].to_vec()).root();
            Ok((first..first + usize::from(tile.width)).map(mth).collect())
        }
    }

    fn formula(count: usize) -> Formula {
        let leaves = (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        Formula { leaves, reads: Vec::new() }
    }

    fn tile(level: u8, index: u64, width: u16) -> TilePath {
        TilePath { level, index, width }
    }

    /// What was read since the last call, each tile asked for only once.
    fn reads(reader: &mut Formula) -> Vec<TilePath> {
        let mut reads = std::mem::take(&mut reader.reads);
        let count = reads.len();
        reads.sort_unstable();
        reads.dedup();
        assert_eq!(reads.len(), count);
        reads
    }

    #[test]
    fn paths_are_in_groups_of_three_digits() {
        assert_eq!(hash_tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(hash_tile_path(63, 0, 1), "tile/63/000.p/1");
        assert_eq!(hash_tile_path(0, 1067, 255), "tile/0/x001/067.p/255");
        assert_eq!(entries_path(1000, 256), "tile/entries/x001/000");
        assert_eq!(entries_path(u64::MAX, 3), "tile/entries/x018/x446/x744/x073/x709/x551/615.p/3");
        assert_eq!(tile(1, 0, 17).to_string(), "tile/1/000.p/17");
    }

    #[test]
    fn tiles_of_a_tree_are_those_of_the_specification_examples() {
        let of_70000: Vec<_> = tiles_of_new_leaves(0, 70_000).collect();
        assert_eq!(of_70000.iter().filter(|t| t.level == 0 && t.width == 256).count(), 273);
        assert_eq!(of_70000.len(), 277);
        for expected in [tile(0, 273, 112), tile(1, 0, 256), tile(1, 1, 17), tile(2, 0, 1)] {
            assert!(of_70000.contains(&expected), "{expected}");
        }
        let of_256: Vec<_> = tiles_of_new_leaves(0, 256).collect();
        assert_eq!(of_256, [tile(0, 0, 256), tile(1, 0, 1)]);
    }

    #[test]
    fn growing_writes_only_tiles_that_get_a_hash() {
        let grow = |old, new| tiles_of_new_leaves(old, new).collect::<Vec<_>>();
        assert_eq!(grow(0, 0), []);
        assert_eq!(grow(300, 300), []);
        assert_eq!(grow(300, 1), []);
        assert_eq!(grow(300, 302), [tile(0, 1, 46)]);
        assert_eq!(grow(255, 256), [tile(0, 0, 256), tile(1, 0, 1)]);
        assert_eq!(grow(256, 257), [tile(0, 1, 1)]);
        assert_eq!(grow(500, 520), [tile(0, 1, 256), tile(0, 2, 8), tile(1, 0, 2)]);
        let last = tile(0, u64::MAX >> 8, 255);
        assert_eq!(grow(u64::MAX - 1, u64::MAX), [last]);
        assert_eq!(tiles_of_new_leaves(0, u64::MAX).next(), Some(tile(0, 0, 256)));
    }

    #[test]
    fn growing_step_by_step_writes_what_growing_at_once_does() {
        let mut stepwise = BTreeSet::new();
        for size in 0..1000 {
            stepwise.extend(tiles_of_new_leaves(size, size + 1));
        }
        assert!(tiles_of_new_leaves(0, 1000).all(|tile| stepwise.contains(&tile)));
    }

    #[test]
    fn proofs_from_tiles_equal_those_of_the_tree() {
        let count = 256 * 4 + 70;
        let mut reader = formula(count);
        for size in (0..70).chain(250..262).chain(510..516).chain([1023, 1024, 1025, count]) {
            let tree = Tree::new(reader.leaves[..size].to_vec());
            let size = size as u64;
            assert_eq!(root(&mut reader, size).unwrap(), tree.root(), "{size}");
            assert_eq!(reads(&mut reader), tiles_for_root(size));
            for at in (1..=size).filter(|at| at % 61 == 0 || size - at < 2 || at.is_power_of_two()) {
                let path = inclusion_proof(&mut reader, at - 1, size).unwrap();
                assert_eq!(path, tree.inclusion_path(at - 1).unwrap(), "{at} of {size}");
                assert_eq!(Ok(reads(&mut reader)), tiles_for_inclusion(at - 1, size));
                let path = consistency_proof(&mut reader, at, size).unwrap();
                assert_eq!(path, tree.consistency_path(at).unwrap(), "{at} to {size}");
                assert_eq!(Ok(reads(&mut reader)), tiles_for_consistency(at, size));
            }
        }
    }

    #[test]
    fn proofs_that_do_not_exist_read_nothing() {
        let mut reader = formula(0);
        assert!(matches!(
            inclusion_proof(&mut reader, 5, 5),
            Err(TileProofError::Proof(ProofError::IndexOutOfRange { index: 5, size: 5 }))
        ));
        assert!(matches!(
            consistency_proof(&mut reader, 0, 5),
            Err(TileProofError::Proof(ProofError::EmptyTree))
        ));
        assert_eq!(root(&mut reader, 0).unwrap(), EMPTY_ROOT);
        assert_eq!(reads(&mut reader), []);
    }

    #[test]
    fn missing_and_short_tiles_are_told_apart() {
        let mut fetched = HashMap::from([(tile(0, 0, 3), vec![EMPTY_ROOT; 2])]);
        assert!(matches!(
            root(&mut fetched, 3),
            Err(TileProofError::Short { found: 2, tile: TilePath { width: 3, .. } })
        ));
        assert!(matches!(
            root(&mut fetched, 4),
            Err(TileProofError::Read { source: NotFetched, tile: TilePath { width: 4, .. } })
        ));
    }

    #[test]
    fn a_full_tile_stands_in_for_a_partial_one() {
        let leaves = formula(256).leaves;
        let mut fetched = HashMap::from([(tile(0, 0, 3), leaves.clone())]);
        assert_eq!(root(&mut fetched, 3).unwrap(), Tree::new(leaves[..3].to_vec()).root());
    }

    #[test]
    fn the_largest_sizes_neither_overflow_nor_panic() {
        for size in [1 << 63, u64::MAX - 1, u64::MAX] {
            assert!(tiles_for_root(size).len() <= 8);
            for index in [0, 1, 1 << 62, (1 << 63) - 1, size - 1] {
                assert!(!tiles_for_inclusion(index, size).unwrap().is_empty());
                assert!(!tiles_for_consistency(index + 1, size).unwrap().is_empty() || index + 1 == size);
            }
        }
        assert!(tiles_for_inclusion(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn bundles_and_tiles_survive_their_bytes() {
        let entries = [&b"one"[..], b"", &[7; 65_535]];
        let bundle = encode_entries(&entries).unwrap();
        assert_eq!(&bundle[..7], b"\0\x03one\0\0");
        assert_eq!(decode_entries(&bundle).unwrap(), entries);
        let hashes = vec![Digest::of(b"a"), Digest::of(b"b")];
        assert_eq!(decode_hashes(&encode_hashes(&hashes).unwrap()), Ok(hashes));
    }

    #[test]
    fn bundles_and_tiles_of_another_shape_are_refused() {
        assert_eq!(
            encode_entries(&[vec![0; 65_536]]),
            Err(TileError::EntryTooLong { position: 0, length: 65_536 })
        );
        assert_eq!(decode_entries(b"\0\x01a\0"), Err(TileError::Truncated { position: 1 }));
        assert_eq!(decode_entries(b"\0\x02a"), Err(TileError::Truncated { position: 0 }));
        assert_eq!(decode_entries(b""), Err(TileError::Width { found: 0 }));
        assert_eq!(decode_entries(&[0; 514]), Err(TileError::Width { found: 257 }));
        assert_eq!(encode_entries(&[b""; 257]), Err(TileError::Width { found: 257 }));
        assert_eq!(decode_hashes(&[0; 33]), Err(TileError::HashLength { length: 33 }));
        assert_eq!(decode_hashes(&[]), Err(TileError::Width { found: 0 }));
        assert_eq!(decode_hashes(&[0; 257 * 32]), Err(TileError::Width { found: 257 }));
    }
}

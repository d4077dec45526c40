//! The strict pass: untrusted bytes to text that every JSON reader understands alike.
//!
//! RFC 8259 leaves open what a reader does with a key that occurs twice, a lone surrogate or a number that no
//! double can hold, and readers differ: two tools can read opposite statuses from one signed document. So
//! [`check`] refuses all that RFC 7493 (I-JSON) section 2 calls an error, and what PostgreSQL cannot store,
//! before any typed read. It builds no tree: besides the bytes it holds a stack of open containers and the keys
//! of open objects. [`index`] is the same pass, and remembers where the values stand for a reader that comes after.
//!
//! [`locate`] and [`raw_at`] find values in text that was checked, by RFC 6901 pointer. What the values mean is
//! for the typed readers, which keep the last of two equal keys: never use them on unchecked bytes.

mod index;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::index::Mark;
pub use self::index::{Content, Elements, Indexed, Members, Node};

/// The largest integer that JSON readers agree on: 2^53 - 1 (RFC 7493 section 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// What [`check`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of input, a byte order mark included. More than 2 GiB - 1 is never taken.
    pub max_bytes: usize,
    /// Most containers inside one another; `[]` has depth 1.
    pub max_depth: usize,
    /// Most objects. A reader keeps some hundred bytes for each, and an object may have two bytes.
    pub max_objects: usize,
    /// Which numbers may stand.
    pub numbers: Numbers,
    /// Whether a UTF-8 byte order mark may come first (RFC 8259 section 8.1 leaves that to the reader).
    pub byte_order_mark: bool,
}

/// Which numbers may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// All that round to a finite double (IEEE 754 binary64).
    Finite,
    /// Only integers within ±(2^53 - 1), without fraction, exponent or negative zero.
    SafeIntegers,
}

impl Limits {
    /// For VEX documents: 150 MiB (the size appendix of CSAF 2.1), depth 128, 2,097,152 objects, any finite number.
    ///
    /// The published documents have an object for every 100 to 400 bytes.
    pub const fn document() -> Self {
        Self {
            max_bytes: 150 << 20,
            max_depth: 128,
            max_objects: 1 << 21,
            numbers: Numbers::Finite,
            byte_order_mark: true,
        }
    }

    /// For what provex itself hashes and signs: 16 MiB, depth 127, only integers that all readers agree on.
    ///
    /// Our largest object is an event body that names some 10,000 rows, about 8 MiB. 127 is the depth that
    /// `serde_json` reads into a tree, so what passes here can be read.
    pub const fn own() -> Self {
        Self {
            max_bytes: 16 << 20,
            max_depth: 127,
            max_objects: 1 << 21,
            numbers: Numbers::SafeIntegers,
            byte_order_mark: false,
        }
    }
}

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// Over [`Limits::max_bytes`].
    #[error("{found} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Bytes that are allowed.
        limit: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// Not UTF-8, or beginning with the byte order mark of UTF-16 or UTF-32.
    #[error("not UTF-8")]
    NotUtf8,
    /// A byte order mark where none is allowed.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Nothing but white space.
    #[error("no JSON value")]
    Empty,
    /// A byte that cannot stand there.
    #[error("unexpected byte 0x{byte:02x}")]
    UnexpectedByte {
        /// The byte.
        byte: u8,
    },
    /// The input ends inside a string or container.
    #[error("unexpected end of input")]
    Unterminated,
    /// A backslash that begins none of the escapes of RFC 8259 section 7.
    #[error("bad escape in a string")]
    BadEscape,
    /// An unescaped character below U+0020 in a string.
    #[error("control character in a string")]
    ControlCharacter,
    /// A word other than `true`, `false` and `null`.
    #[error("bad literal")]
    BadLiteral,
    /// A number that RFC 8259 section 6 does not know, such as `01` or `1.`.
    #[error("bad number")]
    BadNumber,
    /// Something after the one value.
    #[error("more input after the JSON value")]
    TrailingData,
    /// Over [`Limits::max_depth`].
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// Depth that is allowed.
        limit: usize,
    },
    /// Over [`Limits::max_objects`].
    #[error("more than {limit} objects")]
    TooManyObjects {
        /// Objects that are allowed.
        limit: usize,
    },
    /// A key that its object already has, compared after unescaping.
    #[error("duplicate key")]
    DuplicateKey,
    /// A number beyond every double or, in provex's own JSON, beyond ±(2^53 - 1).
    #[error("number out of range")]
    NumberOutOfRange,
    /// A fraction, an exponent or a negative zero in provex's own JSON.
    #[error("number that is not a plain integer")]
    NumberNotInteger,
    /// Half of a surrogate pair (RFC 7493 section 2.1).
    #[error("lone surrogate in a string")]
    LoneSurrogate,
    /// U+0000 in a string, which PostgreSQL cannot store.
    #[error("U+0000 in a string")]
    NulCharacter,
}

impl JsonErrorKind {
    /// A word for machines that never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Empty => "empty",
            Self::UnexpectedByte { .. } => "unexpected_byte",
            Self::Unterminated => "unterminated",
            Self::BadEscape => "bad_escape",
            Self::ControlCharacter => "control_character",
            Self::BadLiteral => "bad_literal",
            Self::BadNumber => "bad_number",
            Self::TrailingData => "trailing_data",
            Self::TooDeep { .. } => "too_deep",
            Self::TooManyObjects { .. } => "too_many_objects",
            Self::DuplicateKey => "duplicate_key",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::NumberNotInteger => "number_not_integer",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NulCharacter => "nul_character",
        }
    }
}

/// Why, and where, bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column} (pointer {pointer:?})")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Bytes before the fault, a byte order mark included.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// RFC 6901 pointer of the value being read, or of an ancestor where that pointer would exceed 1,024 bytes.
    pub pointer: String,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Bytes before it.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Why bytes are not the value of ours that they should be.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Refused by the strict pass.
    #[error(transparent)]
    Strict(#[from] JsonError),
    /// Good JSON of another shape.
    #[error("JSON of another shape than expected")]
    Shape(#[source] serde_json::Error),
}

/// Checks untrusted bytes against `limits` and gives back their text without a byte order mark.
///
/// # Errors
/// [`JsonError`] for the first fault found. A key that repeats in an object of more than 32 keys is found where
/// the object ends.
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    scan(bytes, limits, None).map(|(text, _)| text)
}

/// Checks untrusted bytes as [`check`] does, and remembers where the values stand.
///
/// # Errors
/// As [`check`].
pub fn index<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Indexed<'a>, JsonError> {
    // A guess: most values and keys are longer.
    let marks = Vec::with_capacity(bytes.len().min(limits.max_bytes) / 32);
    scan(bytes, limits, Some(marks)).map(|(text, marks)| Indexed::new(text, marks.unwrap_or_default()))
}

/// The strict pass, which adds to `marks` if they are wanted.
fn scan<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    marks: Option<Vec<Mark>>,
) -> Result<(&'a str, Option<Vec<Mark>>), JsonError> {
    let limit = limits.max_bytes.min(Mark::MAX_TEXT);
    if bytes.len() > limit {
        return Err(at_start(JsonErrorKind::TooLarge { limit, found: bytes.len() }));
    }
    let body = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let skipped = bytes.len() - body.len();
    if skipped > 0 && !limits.byte_order_mark {
        return Err(at_start(JsonErrorKind::ByteOrderMark));
    }
    let text = utf8(body, skipped)?;
    let mut scanner = Scanner::new(text, limits, marks);
    match scanner.document() {
        Ok(()) => Ok((text, scanner.marks)),
        Err(fault) => Err(scanner.error(&fault, skipped)),
    }
}

/// Reads bytes of ours: the strict pass with [`Limits::own`], then a tree.
///
/// # Errors
/// [`ReadError::Strict`]; nothing that passes it is refused as a tree.
pub fn parse_own(bytes: &[u8]) -> Result<Value, ReadError> {
    from_slice_strict(bytes)
}

/// Reads bytes of ours into a type: the strict pass with [`Limits::own`], then serde.
///
/// # Errors
/// [`ReadError`]: what the strict pass refuses, or what the type does.
pub fn from_slice_strict<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let text = check(bytes, &Limits::own())?;
    serde_json::from_str(text).map_err(ReadError::Shape)
}

/// Whether every string in text that was checked is spelled as RFC 8785 section 3.2.2.2 writes it: readers take
/// `\u001F`, `\u001f` and others for one, so that a changed spelling is seen in the bytes alone.
pub fn strings_are_canonical(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let Some(length) = string_length(&rest[start..]) else { return false };
        let literal = &rest[start..start + length];
        if literal.contains('\\') {
            let Ok(value) = serde_json::from_str::<String>(literal) else { return false };
            let mut canonical = Vec::with_capacity(literal.len());
            crate::jcs::write_str(&mut canonical, &value);
            if canonical != literal.as_bytes() {
                return false;
            }
        }
        rest = &rest[start + length..];
    }
    true
}

/// The bytes of the string literal that `text` begins with, its quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}

/// Where the values at RFC 6901 `pointers` begin, in one pass over text that was checked.
///
/// A pointer to nothing gets the place of its nearest ancestor that exists, at worst the document's. `None` is
/// for what is no pointer, and for text that was not checked.
pub fn locate(text: &str, pointers: &[&str]) -> Vec<Option<Location>> {
    match index(text.as_bytes(), &UNLIMITED) {
        Ok(indexed) => locate_in(text, indexed.root(), pointers),
        Err(_) => vec![None; pointers.len()],
    }
}

/// As [`locate`], by the places that the strict pass left: `text` is the value `root` and nothing but white space
/// around it.
pub fn locate_in(text: &str, root: Node<'_>, pointers: &[&str]) -> Vec<Option<Location>> {
    let mut wanted = Wanted::new();
    let nodes: Vec<Option<usize>> = pointers.iter().map(|pointer| wanted.insert(pointer)).collect();
    wanted.find(root);
    let places = wanted.places(text, root.start() - skip_white_space(text.as_bytes(), 0));
    nodes.into_iter().map(|node| places.get(node?).copied().flatten()).collect()
}

/// The exact source text of the value at an RFC 6901 `pointer`, in text that was checked.
pub fn raw_at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    let indexed = index(text.as_bytes(), &UNLIMITED).ok()?;
    let mut value = indexed.root();
    for token in tokens(pointer)? {
        let token = token?;
        let mut walk = Walk::of(value)?;
        value = loop {
            let (name, member) = walk.next()?;
            if name.is(&token) {
                break member;
            }
        };
    }
    text.get(value.start()..value.start() + value.raw().len())
}

/// For text that was checked, whatever its size.
const UNLIMITED: Limits = Limits { max_bytes: usize::MAX, max_objects: usize::MAX, ..Limits::document() };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn utf8(body: &[u8], skipped: usize) -> Result<&str, JsonError> {
    // RFC 8259 section 8.1: UTF-8 only. UTF-32's mark FF FE 00 00 begins like UTF-16's.
    let other_encoding = [&b"\xff\xfe"[..], b"\xfe\xff", b"\0\0\xfe\xff"].iter().any(|m| body.starts_with(m));
    if other_encoding {
        return Err(at_start(JsonErrorKind::NotUtf8));
    }
    str::from_utf8(body).map_err(|error| {
        let good = str::from_utf8(body.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default();
        let place = Lines::new(good).locate(good.len());
        JsonError {
            kind: JsonErrorKind::NotUtf8,
            offset: place.offset + skipped,
            line: place.line,
            column: place.column,
            pointer: String::new(),
        }
    })
}

const fn at_start(kind: JsonErrorKind) -> JsonError {
    JsonError { kind, offset: 0, line: 1, column: 1, pointer: String::new() }
}

/// A fault on its way out of the scanner, which then works out line and pointer.
struct Fault {
    kind: JsonErrorKind,
    at: usize,
    part: Part,
}

#[cold]
fn fault(kind: JsonErrorKind, at: usize, part: Part) -> Box<Fault> {
    Box::new(Fault { kind, at, part })
}

/// What a fault belongs to.
#[derive(Clone, Copy)]
enum Part {
    /// The innermost container: a bracket, a comma or a key.
    Container,
    /// The value of its newest key or index.
    Member,
}

/// Boxed, so that what every step of the pass gives back fits into registers.
type Step<T> = Result<T, Box<Fault>>;

/// What stands after a value.
enum Next {
    Value,
    Closed,
    End,
}

/// An open container.
#[derive(Clone, Copy)]
struct Frame {
    object: bool,
    /// Index of the array element being read.
    index: u32,
    /// Where the object's keys begin in [`Scanner::keys`].
    keys: u32,
    /// Where its unescaped keys begin in [`Scanner::unescaped`].
    unescaped: u32,
    /// Its own in [`Scanner::marks`].
    mark: u32,
}

/// A key of an open object. Sixteen bytes: an object may have tens of millions.
#[derive(Clone, Copy)]
struct Key {
    fingerprint: u32,
    /// Where its contents begin in the text.
    offset: u32,
    /// Where they begin in [`Scanner::unescaped`], or [`Key::VERBATIM`].
    unescaped: u32,
    /// Their length there or, if verbatim, in the text.
    len: u32,
}

impl Key {
    const VERBATIM: u32 = u32::MAX;

    fn bytes<'a>(&self, text: &'a [u8], unescaped: &'a str) -> &'a [u8] {
        let (from, start) = match self.unescaped {
            Self::VERBATIM => (text, self.offset),
            start => (unescaped.as_bytes(), start),
        };
        let start = start as usize;
        from.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// Objects of up to this many keys compare each key with all before it; larger ones sort theirs at the end, so
/// that no document costs quadratic time.
const FEW_KEYS: usize = 32;

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    max_depth: usize,
    max_objects: usize,
    numbers: Numbers,
    /// Objects so far.
    objects: usize,
    frames: Vec<Frame>,
    /// Keys of all open objects, the innermost last.
    keys: Vec<Key>,
    /// Those of them that have escapes, unescaped once: comparing must not decode a long key again and again.
    unescaped: String,
    /// Where the values and keys stand so far, if that is wanted.
    marks: Option<Vec<Mark>>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, limits: &Limits, marks: Option<Vec<Mark>>) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            max_depth: limits.max_depth,
            max_objects: limits.max_objects,
            numbers: limits.numbers,
            objects: 0,
            frames: Vec::with_capacity(limits.max_depth.min(128)),
            keys: Vec::with_capacity(64),
            unescaped: String::new(),
            marks,
        }
    }

    /// RFC 8259 section 2: one value between white space.
    fn document(&mut self) -> Step<()> {
        self.skip_white_space();
        if self.peek().is_none() {
            return Err(self.fault(JsonErrorKind::Empty, Part::Container));
        }
        self.value()?;
        self.skip_white_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(JsonErrorKind::TrailingData, Part::Container)),
        }
    }

    /// A whole value. Containers are kept on a stack of our own: depth must never be the thread's stack.
    fn value(&mut self) -> Step<()> {
        loop {
            if self.scalar_or_open()? {
                continue;
            }
            loop {
                match self.after_value()? {
                    Next::Value => break,
                    Next::Closed => {}
                    Next::End => return Ok(()),
                }
            }
        }
    }

    /// Reads a scalar or an empty container, or opens a container and says so.
    #[inline]
    fn scalar_or_open(&mut self) -> Step<bool> {
        self.skip_white_space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string(Part::Member).map(|escaped| self.mark(start, escaped)),
            Some(b'{') => return self.open(true),
            Some(b'[') => return self.open(false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| self.mark(start, false)),
            Some(b'a'..=b'z') => self.literal().map(|()| self.mark(start, false)),
            _ => Err(self.unexpected(Part::Member)),
        }?;
        Ok(false)
    }

    /// Marks the key or value that began at `start` and ends here, unless it is a container.
    #[inline]
    fn mark(&mut self, start: usize, escaped: bool) {
        if let Some(marks) = &mut self.marks {
            marks.push(Mark::new(start, self.at, escaped));
        }
    }

    fn open(&mut self, object: bool) -> Step<bool> {
        if self.frames.len() >= self.max_depth {
            return Err(self.fault(JsonErrorKind::TooDeep { limit: self.max_depth }, Part::Member));
        }
        self.objects += usize::from(object);
        if self.objects > self.max_objects {
            return Err(self.fault(JsonErrorKind::TooManyObjects { limit: self.max_objects }, Part::Member));
        }
        let (keys, unescaped) = (self.keys.len() as u32, self.unescaped.len() as u32);
        let mark = self.marks.as_ref().map_or(0, Vec::len) as u32;
        self.frames.push(Frame { object, index: 0, keys, unescaped, mark });
        self.mark(self.at, false);
        self.at += 1;
        self.skip_white_space();
        match self.peek() {
            Some(b'}') if object => self.close().map(|()| false),
            Some(b']') if !object => self.close().map(|()| false),
            _ if object => self.key().map(|()| true),
            _ => Ok(true),
        }
    }

    #[inline]
    fn after_value(&mut self) -> Step<Next> {
        let Some(frame) = self.frames.last_mut() else { return Ok(Next::End) };
        self.at = skip_white_space(self.bytes, self.at);
        match (self.bytes.get(self.at), frame.object) {
            (Some(b','), true) => {
                self.at += 1;
                self.skip_white_space();
                self.key().map(|()| Next::Value)
            }
            (Some(b','), false) => {
                self.at += 1;
                frame.index += 1;
                Ok(Next::Value)
            }
            (Some(b'}'), true) | (Some(b']'), false) => self.close().map(|()| Next::Closed),
            _ => Err(self.unexpected(Part::Container)),
        }
    }

    #[inline]
    fn close(&mut self) -> Step<()> {
        self.at += 1;
        let Some(&frame) = self.frames.last() else { return Ok(()) };
        if self.keys.len() - frame.keys as usize > FEW_KEYS {
            self.no_duplicate_among_many(frame.keys as usize)?;
        }
        if let Some(marks) = &mut self.marks {
            let next = marks.len();
            marks[frame.mark as usize].close(next);
        }
        self.keys.truncate(frame.keys as usize);
        self.unescaped.truncate(frame.unescaped as usize);
        self.frames.pop();
        Ok(())
    }

    /// A key and its colon.
    #[inline]
    fn key(&mut self) -> Step<()> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(Part::Container));
        }
        let start = self.at + 1;
        let escaped = self.string(Part::Container)?;
        self.mark(start - 1, escaped);
        self.add_key(start, self.at - 1, escaped)?;
        self.skip_white_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected(Part::Member));
        }
        self.at += 1;
        Ok(())
    }

    /// Keeps a key whose contents stand between `start` and `end`, unless its object has it already.
    #[inline]
    fn add_key(&mut self, start: usize, end: usize, escaped: bool) -> Step<()> {
        let key = match escaped {
            false => {
                let contents = self.bytes.get(start..end).unwrap_or_default();
                Key {
                    fingerprint: fingerprint(contents),
                    offset: start as u32,
                    unescaped: Key::VERBATIM,
                    len: contents.len() as u32,
                }
            }
            true => self.unescape_key(start, end),
        };
        let first = self.frames.last().map_or(0, |frame| frame.keys as usize);
        let siblings = self.keys.get(first..).unwrap_or_default();
        let duplicate = siblings.len() < FEW_KEYS
            && siblings.iter().any(|other| other.fingerprint == key.fingerprint && self.equal(other, &key));
        self.keys.push(key);
        match duplicate {
            false => Ok(()),
            true => Err(fault(JsonErrorKind::DuplicateKey, start - 1, Part::Member)),
        }
    }

    #[cold]
    fn unescape_key(&mut self, start: usize, end: usize) -> Key {
        let before = self.unescaped.len();
        unescape_into(self.text.get(start..end).unwrap_or_default(), &mut self.unescaped);
        let contents = self.unescaped.as_bytes().get(before..).unwrap_or_default();
        Key {
            fingerprint: fingerprint(contents),
            offset: start as u32,
            unescaped: before as u32,
            len: contents.len() as u32,
        }
    }

    fn equal(&self, a: &Key, b: &Key) -> bool {
        a.bytes(self.bytes, &self.unescaped) == b.bytes(self.bytes, &self.unescaped)
    }

    /// Sorts the keys of the object that ends here and refuses the first that repeats an earlier one.
    #[cold]
    fn no_duplicate_among_many(&mut self, first: usize) -> Step<()> {
        let (text, unescaped) = (self.bytes, self.unescaped.as_str());
        let keys = self.keys.get_mut(first..).unwrap_or_default();
        keys.sort_unstable_by(|a, b| {
            let by_contents = || a.bytes(text, unescaped).cmp(b.bytes(text, unescaped));
            a.fingerprint.cmp(&b.fingerprint).then_with(by_contents).then(a.offset.cmp(&b.offset))
        });
        let repeated = keys.iter().zip(keys.iter().skip(1)).filter(|(a, b)| {
            a.fingerprint == b.fingerprint && a.bytes(text, unescaped) == b.bytes(text, unescaped)
        });
        let Some(repeats) = repeated.map(|(_, later)| *later).min_by_key(|key| key.offset) else {
            return Ok(());
        };
        self.keys.push(repeats);
        let at = repeats.offset as usize - 1;
        Err(fault(JsonErrorKind::DuplicateKey, at, Part::Member))
    }

    /// A string (RFC 8259 section 7); says whether it has escapes.
    #[inline]
    fn string(&mut self, part: Part) -> Step<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = skip_plain(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => self.escape(part)?,
                Some(_) => return Err(self.fault(JsonErrorKind::ControlCharacter, part)),
                None => return Err(self.fault(JsonErrorKind::Unterminated, part)),
            }
            escaped = true;
        }
    }

    fn escape(&mut self, part: Part) -> Step<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => self.unicode_escape(part)?,
            Some(_) => return Err(self.fault(JsonErrorKind::BadEscape, part)),
            None => return Err(self.fault(JsonErrorKind::Unterminated, part)),
        }
        Ok(())
    }

    fn unicode_escape(&mut self, part: Part) -> Step<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let kind = match (code_unit(rest), rest.get(6..).and_then(code_unit)) {
            (None, _) => JsonErrorKind::BadEscape,
            (Some(0), _) => JsonErrorKind::NulCharacter,
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
                self.at += 12;
                return Ok(());
            }
            (Some(0xd800..=0xdfff), _) => JsonErrorKind::LoneSurrogate,
            (Some(_), _) => {
                self.at += 6;
                return Ok(());
            }
        };
        Err(self.fault(kind, part))
    }

    fn literal(&mut self) -> Step<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word));
        let end = word.map(|word| self.at + word.len());
        match end {
            Some(end) if !self.bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) => {
                self.at = end;
                Ok(())
            }
            _ => Err(self.fault(JsonErrorKind::BadLiteral, Part::Member)),
        }
    }

    /// RFC 8259 section 6: `[ minus ] int [ frac ] [ exp ]`.
    fn number(&mut self) -> Step<()> {
        let start = self.at;
        let negative = self.take(b"-");
        let integer = self.digits();
        let leading_zero = integer > 1 && self.bytes.get(self.at - integer) == Some(&b'0');
        let fraction = self.take(b".").then(|| self.digits());
        let exponent = self.take(b"eE").then(|| {
            self.take(b"+-");
            self.digits()
        });
        if integer == 0 || leading_zero || fraction == Some(0) || exponent == Some(0) {
            return Err(self.fault(JsonErrorKind::BadNumber, Part::Member));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let plain = fraction.is_none() && exponent.is_none();
        let refused = match self.numbers {
            // Any number of up to 300 digits before the point is below 10^300, so finite.
            Numbers::Finite if exponent.is_none() && integer <= 300 => None,
            Numbers::Finite if text.parse().is_ok_and(f64::is_finite) => None,
            Numbers::SafeIntegers if !plain || text == "-0" => Some(JsonErrorKind::NumberNotInteger),
            Numbers::SafeIntegers if is_safe(text.get(usize::from(negative)..).unwrap_or_default()) => None,
            _ => Some(JsonErrorKind::NumberOutOfRange),
        };
        match refused {
            None => Ok(()),
            Some(kind) => Err(fault(kind, start, Part::Member)),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn take(&mut self, any_of: &[u8]) -> bool {
        let taken = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(taken);
        taken
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_white_space(&mut self) {
        self.at = skip_white_space(self.bytes, self.at);
    }

    #[cold]
    fn fault(&self, kind: JsonErrorKind, part: Part) -> Box<Fault> {
        fault(kind, self.at, part)
    }

    #[cold]
    fn unexpected(&self, part: Part) -> Box<Fault> {
        match self.peek() {
            Some(byte) => self.fault(JsonErrorKind::UnexpectedByte { byte }, part),
            None => self.fault(JsonErrorKind::Unterminated, part),
        }
    }

    #[cold]
    fn error(&self, fault: &Fault, skipped: usize) -> JsonError {
        let place = Lines::new(self.text).locate(fault.at);
        JsonError {
            kind: fault.kind,
            offset: place.offset + skipped,
            line: place.line,
            column: place.column,
            pointer: self.pointer(fault.part),
        }
    }

    /// The pointer of what is being read. Cut at an ancestor before it grows as long as a hostile key.
    fn pointer(&self, part: Part) -> String {
        const LONGEST: usize = 1_024;
        let frames = match (part, self.frames.split_last()) {
            (Part::Container, Some((_, outer))) => outer,
            _ => &self.frames,
        };
        let mut pointer = String::new();
        for (depth, frame) in frames.iter().enumerate() {
            // The newest key of an object is the last before those of the container inside it.
            let end = self.frames.get(depth + 1).map_or(self.keys.len(), |inner| inner.keys as usize);
            let token = match frame.object {
                true => self.keys.get(end.wrapping_sub(1)).map_or(Cow::default(), |key| self.token(key)),
                false => Cow::Owned(frame.index.to_string()),
            };
            if pointer.len() + 1 + token.len() > LONGEST {
                break;
            }
            pointer.push('/');
            pointer.push_str(&token);
        }
        pointer
    }

    /// A key as RFC 6901 section 3 writes it.
    fn token(&self, key: &Key) -> Cow<'_, str> {
        let contents = String::from_utf8_lossy(key.bytes(self.bytes, &self.unescaped));
        match contents.contains(['~', '/']) {
            true => Cow::Owned(contents.replace('~', "~0").replace('/', "~1")),
            false => contents,
        }
    }
}

/// A number that equal keys share and others rarely do: length, first and last bytes.
#[inline]
fn fingerprint(key: &[u8]) -> u32 {
    let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    let mixed = match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => word(first) ^ word(last).rotate_left(15),
        _ => key.iter().fold(0, |mixed, byte| mixed << 8 | u32::from(*byte)),
    };
    mixed ^ (key.len() as u32).wrapping_mul(0x9e37_79b1)
}

/// The code unit of an escape `\uXXXX` at the beginning of `bytes`.
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// Whether digits without a leading zero stand for at most [`MAX_SAFE_INTEGER`].
fn is_safe(digits: &str) -> bool {
    digits.len() <= 16 && digits.parse().is_ok_and(|value: u64| value <= MAX_SAFE_INTEGER)
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The high bit of each byte that is `"`, `\` or below 0x20; bits above the lowest set one mean nothing.
///
/// `(x - 0x01…) & !x & 0x80…` marks zero bytes, and borrows reach only above the first of them.
#[inline]
const fn specials(word: u64) -> u64 {
    let quote = word ^ (LOW_BITS * b'"' as u64);
    let backslash = word ^ (LOW_BITS * b'\\' as u64);
    let control = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    let quote = quote.wrapping_sub(LOW_BITS) & !quote;
    let backslash = backslash.wrapping_sub(LOW_BITS) & !backslash;
    (control | quote | backslash) & HIGH_BITS
}

/// The next byte that cannot stand for itself in a string: `"`, `\` or below 0x20; or the end.
#[inline]
pub(crate) fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(bytes, at) {
        let found = specials(word);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)) {
        at += 1;
    }
    at
}

/// The next byte that is not white space (RFC 8259 section 2); indentation goes eight bytes at a time.
#[inline]
fn skip_white_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
        while let Some(word) = word_at(bytes, at) {
            let other = word ^ (LOW_BITS * b' ' as u64);
            at += (other.trailing_zeros() / 8) as usize;
            if other != 0 {
                break;
            }
        }
    }
    at
}

/// Writes out the escapes of a string's contents.
fn unescape_into(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(plain) = rest.find('\\') {
        let (before, escape) = rest.split_at(plain);
        let (decoded, len) = unescape_one(escape.as_bytes());
        out.push_str(before);
        out.push(decoded);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// The character of the escape that `bytes` begins with, and the bytes it takes.
fn unescape_one(bytes: &[u8]) -> (char, usize) {
    let short = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(bytes),
        Some(byte) => char::from(*byte),
        None => char::REPLACEMENT_CHARACTER,
    };
    (short, 2)
}

fn unescape_unicode(bytes: &[u8]) -> (char, usize) {
    let (units, len) = match (code_unit(bytes), bytes.get(6..).and_then(code_unit)) {
        (Some(high @ 0xd800..=0xdbff), Some(low)) => ([Some(high), Some(low)], 12),
        (unit, _) => ([unit, None], 6),
    };
    let decoded = char::decode_utf16(units.into_iter().flatten()).next();
    (decoded.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER), len)
}

/// Where the value that begins at `at` ends, in checked text.
fn skip_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = skip_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth > 0 => {
                at += 1;
                continue;
            }
            _ => at = skip_scalar(bytes, at)?,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn skip_scalar(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let scalar = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E');
    let len = rest.iter().take_while(|byte| scalar(byte)).count();
    (len > 0).then_some(at + len)
}

fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = skip_plain(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => return None,
        }
    }
}

/// A walk over the direct members of a container.
enum Walk<'a> {
    Object(Members<'a>),
    Array(std::iter::Enumerate<Elements<'a>>),
}

/// What a container calls a member.
enum Name<'a> {
    Key(Cow<'a, str>),
    Index(usize),
}

impl Name<'_> {
    fn is(&self, token: &str) -> bool {
        match self {
            Self::Key(key) => key == token,
            Self::Index(index) => array_index(token) == Some(*index),
        }
    }
}

impl<'a> Walk<'a> {
    fn of(value: Node<'a>) -> Option<Self> {
        match value.content() {
            Content::Object(members) => Some(Self::Object(members)),
            Content::Array(elements) => Some(Self::Array(elements.enumerate())),
            _ => None,
        }
    }

    fn next(&mut self) -> Option<(Name<'a>, Node<'a>)> {
        match self {
            Self::Object(members) => members.next().map(|(key, value)| (Name::Key(key), value)),
            Self::Array(elements) => elements.next().map(|(index, value)| (Name::Index(index), value)),
        }
    }
}

#[inline(never)]
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    unescape_into(raw, &mut text);
    Cow::Owned(text)
}

/// RFC 6901 section 4: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let canonical =
        token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { token.parse().ok() } else { None }
}

/// The reference tokens of a pointer, unescaped (RFC 6901 section 3); `None` if it is no pointer.
fn tokens(pointer: &str) -> Option<impl Iterator<Item = Option<Cow<'_, str>>>> {
    let mut parts = pointer.split('/');
    let before_first = parts.next()?;
    before_first.is_empty().then(|| parts.map(unescape_token))
}

fn unescape_token(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let mut parts = token.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (tilde_or_slash, rest) = match part.as_bytes().first()? {
            b'0' => ('~', part.get(1..)?),
            b'1' => ('/', part.get(1..)?),
            _ => return None,
        };
        text.push(tilde_or_slash);
        text.push_str(rest);
    }
    Some(Cow::Owned(text))
}

/// Pointers to look for, as a tree of their tokens. Node 0 is the whole document.
struct Wanted {
    nodes: Vec<WantedNode>,
    /// How many of them have a place.
    found: usize,
}

#[derive(Default)]
struct WantedNode {
    parent: usize,
    keys: BTreeMap<String, usize>,
    /// Those of `keys` that can name an array element.
    indexes: BTreeMap<usize, usize>,
    offset: Option<usize>,
}

impl Wanted {
    fn new() -> Self {
        Self { nodes: vec![WantedNode::default()], found: 0 }
    }

    /// The node of a pointer, made if need be; `None` if it is no pointer.
    fn insert(&mut self, pointer: &str) -> Option<usize> {
        let tokens: Vec<_> = tokens(pointer)?.collect::<Option<_>>()?;
        let mut parent = 0;
        for token in tokens {
            let next = self.nodes.len();
            let node = self.nodes.get_mut(parent)?;
            match node.keys.get(token.as_ref()) {
                Some(known) => parent = *known,
                None => {
                    node.indexes.extend(array_index(&token).map(|index| (index, next)));
                    node.keys.insert(token.into_owned(), next);
                    self.nodes.push(WantedNode { parent, ..WantedNode::default() });
                    parent = next;
                }
            }
        }
        Some(parent)
    }

    fn child(&self, parent: usize, name: &Name<'_>) -> Option<usize> {
        let node = self.nodes.get(parent)?;
        match name {
            Name::Key(key) => node.keys.get(key.as_ref()),
            Name::Index(index) => node.indexes.get(index),
        }
        .copied()
    }

    /// Notes where each wanted value begins, entering only containers that hold one.
    fn find(&mut self, root: Node<'_>) {
        let mut open: Vec<(Walk<'_>, usize)> = Vec::new();
        open.extend(self.enter(0, root));
        while let Some((walk, parent)) = open.last_mut().filter(|_| self.found < self.nodes.len()) {
            let Some((name, value)) = walk.next() else {
                open.pop();
                continue;
            };
            if let Some(node) = self.child(*parent, &name) {
                open.extend(self.enter(node, value));
            }
        }
    }

    /// Notes a node's place; its members, if some of them are wanted.
    fn enter<'a>(&mut self, node: usize, value: Node<'a>) -> Option<(Walk<'a>, usize)> {
        let wanted = self.nodes.get_mut(node)?;
        self.found += usize::from(wanted.offset.replace(value.start()).is_none());
        if wanted.keys.is_empty() { None } else { Some((Walk::of(value)?, node)) }
    }

    /// The place in `text`, which begins at `start`, of every node, or of its nearest ancestor that has one.
    fn places(&self, text: &str, start: usize) -> Vec<Option<Location>> {
        let mut found: Vec<(usize, usize)> =
            self.nodes.iter().enumerate().filter_map(|(node, wanted)| Some((wanted.offset?, node))).collect();
        found.sort_unstable();
        let mut lines = Lines::new(text);
        let mut places = vec![None; self.nodes.len()];
        for (offset, node) in found {
            if let Some(place) = places.get_mut(node) {
                *place = Some(lines.locate(offset - start));
            }
        }
        // A parent is made before its children, so one pass hands places down.
        for (node, wanted) in self.nodes.iter().enumerate() {
            let inherited = places.get(wanted.parent).copied().flatten();
            if let Some(place) = places.get_mut(node) {
                *place = place.or(inherited);
            }
        }
        places
    }
}

/// Counts lines and columns for offsets that only grow, so that many places cost one pass.
struct Lines<'a> {
    text: &'a str,
    place: Location,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, place: Location { offset: 0, line: 1, column: 1 } }
    }

    fn locate(&mut self, offset: usize) -> Location {
        let passed = self.text.as_bytes().get(self.place.offset..offset).unwrap_or_default();
        // The first byte of each character stands for it: continuation bytes are 10xxxxxx.
        let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        match passed.iter().rposition(|byte| *byte == b'\n') {
            None => self.place.column += characters(passed),
            Some(newline) => {
                // In bytes, of which many are added at once.
                let newlines = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
                self.place.line +=
                    passed.chunks(255).map(|bytes| usize::from(newlines(bytes))).sum::<usize>();
                self.place.column = characters(passed.get(newline..).unwrap_or_default());
            }
        }
        self.place.offset = offset;
        self.place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> (&'static str, usize, String) {
        let error = check(text.as_bytes(), &Limits::document()).unwrap_err();
        (error.kind.code(), error.offset, error.pointer)
    }

    fn own_refusal(text: &str) -> &'static str {
        check(text.as_bytes(), &Limits::own()).unwrap_err().kind.code()
    }

    fn accepted(text: &str) -> bool {
        check(text.as_bytes(), &Limits::document()) == Ok(text)
    }

    #[test]
    fn good_documents_pass_verbatim() {
        for text in [
            "{}",
            "[]",
            " \r\n\t[ ] \n",
            r#"{"a":{"a":[{"a":1},{"a":2}]},"b":"\u00e9\ud83d\ude00\n\/"}"#,
            "[0,-0,0.0,-1.5e-7,1E+2,9007199254740993,1e308,0e99999,1e-99999]",
            r#"[true,false,null,"","é😀\u007f"]"#,
            "\"x\"",
            "1",
        ] {
            assert!(accepted(text), "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_code_place_and_pointer() {
        for (text, code, offset, pointer) in [
            ("", "empty", 0, ""),
            (" \n ", "empty", 3, ""),
            ("{,}", "unexpected_byte", 1, ""),
            (r#"{"a":1,}"#, "unexpected_byte", 7, ""),
            (r#"{"a":1 "b":2}"#, "unexpected_byte", 7, ""),
            (r#"{"a" 1}"#, "unexpected_byte", 5, "/a"),
            (r#"{"a":}"#, "unexpected_byte", 5, "/a"),
            ("[1,]", "unexpected_byte", 3, "/1"),
            ("[1}", "unexpected_byte", 2, ""),
            ("[,1]", "unexpected_byte", 1, "/0"),
            ("{1:2}", "unexpected_byte", 1, ""),
            ("]", "unexpected_byte", 0, ""),
            ("\u{a0}1", "unexpected_byte", 0, ""),
            ("+1", "unexpected_byte", 0, ""),
            (".5", "unexpected_byte", 0, ""),
            ("NaN", "unexpected_byte", 0, ""),
            ("'a'", "unexpected_byte", 0, ""),
            ("[1 /* */]", "unexpected_byte", 3, ""),
            ("[", "unterminated", 1, "/0"),
            ("[1", "unterminated", 2, ""),
            (r#"{"a""#, "unterminated", 4, "/a"),
            (r#"{"a":[1,"b"#, "unterminated", 10, "/a/1"),
            (r#"{"a":"\"#, "unterminated", 6, "/a"),
            (r#"["\x"]"#, "bad_escape", 2, "/0"),
            (r#"["\u12g4"]"#, "bad_escape", 2, "/0"),
            (r#"["\u+123"]"#, "bad_escape", 2, "/0"),
            (r#"["\u12"#, "bad_escape", 2, "/0"),
            ("[\"a\tb\"]", "control_character", 3, "/0"),
            ("[\"\0\"]", "control_character", 2, "/0"),
            ("[nul]", "bad_literal", 1, "/0"),
            ("[nulll]", "bad_literal", 1, "/0"),
            ("[true1]", "bad_literal", 1, "/0"),
            ("[01]", "bad_number", 3, "/0"),
            ("[-]", "bad_number", 2, "/0"),
            ("[-01]", "bad_number", 4, "/0"),
            ("[1.]", "bad_number", 3, "/0"),
            ("[1.e5]", "bad_number", 5, "/0"),
            ("[1e]", "bad_number", 3, "/0"),
            ("[1e+]", "bad_number", 4, "/0"),
            ("[-.5]", "bad_number", 4, "/0"),
            ("1 2", "trailing_data", 2, ""),
            ("{}{}", "trailing_data", 2, ""),
            ("[]]", "trailing_data", 2, ""),
            ("{}\0", "trailing_data", 2, ""),
            (r#"{"a":{"b":1,"b":1}}"#, "duplicate_key", 12, "/a/b"),
            (r#"[{"a":1,"\u0061":1}]"#, "duplicate_key", 8, "/0/a"),
            (r#"{"\u00e9":1,"é":1}"#, "duplicate_key", 12, "/é"),
            (r#"{"\ud83d\ude00":1,"😀":1}"#, "duplicate_key", 18, "/😀"),
            (r#"{"a/b":[],"~":1,"a\/b":2}"#, "duplicate_key", 16, "/a~1b"),
            (r#"{"":1,"":2}"#, "duplicate_key", 6, "/"),
            ("[1,1e309]", "number_out_of_range", 3, "/1"),
            ("[-1e99999]", "number_out_of_range", 1, "/0"),
            (r#"{"a":["\ud800"]}"#, "lone_surrogate", 7, "/a/0"),
            (r#"["\ud800\u0041"]"#, "lone_surrogate", 2, "/0"),
            (r#"["\ud800\ud800"]"#, "lone_surrogate", 2, "/0"),
            (r#"["\udc00\ud800"]"#, "lone_surrogate", 2, "/0"),
            (r#"["x\u0000"]"#, "nul_character", 3, "/0"),
            (r#"{"a":1,"x\u0000":1}"#, "nul_character", 9, ""),
        ] {
            assert_eq!(refusal(text), (code, offset, pointer.to_owned()), "{text}");
        }
    }

    #[test]
    fn number_with_too_many_digits_for_a_double_is_out_of_range() {
        assert!(accepted(&"9".repeat(308)));
        assert_eq!(refusal(&"9".repeat(310)).0, "number_out_of_range");
        assert!(accepted(&format!("0.{}1e400", "0".repeat(399))));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_where_they_stand() {
        let error = check(b"[\n\"\xc3\xa9\xff\"]", &Limits::document()).unwrap_err();
        assert_eq!((error.kind, error.offset), (JsonErrorKind::NotUtf8, 5));
        assert_eq!((error.line, error.column), (2, 3));
        for bytes in [
            &b"\xff\xfe{\0}\0"[..],
            b"\xfe\xff\0{\0}",
            b"\0\0\xfe\xff\0\0\0{",
            b"\xff\xfe\0\0{\0\0\0",
            b"\"\xc0\x80\"",
            b"\"\xed\xa0\x80\"",
        ] {
            assert_eq!(check(bytes, &Limits::document()).unwrap_err().kind, JsonErrorKind::NotUtf8);
        }
    }

    #[test]
    fn byte_order_mark_is_tolerated_in_documents_only() {
        assert_eq!(check(b"\xef\xbb\xbf{}", &Limits::document()), Ok("{}"));
        let error = check(b"\xef\xbb\xbf{}", &Limits::own()).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::ByteOrderMark);
        let error = check(b"\xef\xbb\xbf[x]", &Limits::document()).unwrap_err();
        assert_eq!((error.offset, error.column), (4, 2));
        assert_eq!(refusal("\u{feff}\u{feff}{}").0, "unexpected_byte");
    }

    #[test]
    fn size_limit_is_exact() {
        let limits = Limits { max_bytes: 4, ..Limits::document() };
        assert_eq!(check(b"1234", &limits), Ok("1234"));
        let error = check(b"12345", &limits).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::TooLarge { limit: 4, found: 5 });
    }

    #[test]
    fn limit_of_objects_is_exact() {
        let limits = Limits { max_objects: 2, ..Limits::document() };
        assert!(check(b"[{}, [{\"a\": 1}], [], 1]", &limits).is_ok());
        let error = check(b"[{}, [{\"a\": {}}]]", &limits).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::TooManyObjects { limit: 2 });
        assert_eq!((error.offset, error.pointer.as_str()), (12, "/1/0/a"));
    }

    #[test]
    fn depth_limit_is_exact() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(accepted(&nested(128)));
        let (code, offset, pointer) = refusal(&nested(129));
        assert_eq!((code, offset, pointer), ("too_deep", 128, "/0".repeat(128)));
        assert_eq!(refusal(&"{\"a\":".repeat(100_000)).0, "too_deep");
        assert!(parse_own(nested(127).as_bytes()).is_ok());
        assert_eq!(own_refusal(&nested(128)), "too_deep");
    }

    #[test]
    fn own_numbers_are_safe_integers_only() {
        for good in ["0", "-1", "9007199254740991", "-9007199254740991"] {
            assert_eq!(check(good.as_bytes(), &Limits::own()), Ok(good));
        }
        for bad in
            ["9007199254740992", "-9007199254740992", "18446744073709551616", "99999999999999999999999"]
        {
            assert_eq!(own_refusal(bad), "number_out_of_range", "{bad}");
        }
        for bad in ["-0", "1.0", "1e2", "0.5", "-0.0", "1E0"] {
            assert_eq!(own_refusal(bad), "number_not_integer", "{bad}");
        }
    }

    #[test]
    fn large_objects_find_the_first_key_that_repeats() {
        let member = |n: usize| format!("\"key number {n:05} of many\":{n}");
        for count in [31, 32, 33, 34, 1_000] {
            let mut members: Vec<String> = (0..count).map(member).collect();
            let distinct = format!("[{{{}}}]", members.join(","));
            assert!(accepted(&distinct), "{count}");
            members.push(member(count / 2).replace('k', "\\u006b"));
            members.push(member(0));
            let repeats = format!("[{{{}}}]", members.join(","));
            let pointer = format!("/0/key number {:05} of many", count / 2);
            assert_eq!(
                refusal(&repeats),
                ("duplicate_key", repeats.find("\"\\u006b").unwrap(), pointer),
                "{count}"
            );
        }
    }

    #[test]
    fn hostile_keys_do_not_cost_quadratic_time() {
        // All have one fingerprint, and an escape.
        let members: Vec<String> = (0..50_000).map(|n| format!("\"\\u0061aaa{n:08}aaaa\":0")).collect();
        assert!(accepted(&format!("{{{}}}", members.join(","))));
    }

    #[test]
    fn pointer_of_hostile_length_is_cut_at_an_ancestor() {
        let long = "k".repeat(2_000);
        assert_eq!(refusal(&format!("{{\"a\":[{{\"{long}\":x}}]}}")).2, "/a/0");
    }

    #[test]
    fn lines_and_columns_are_counted_in_characters() {
        let error = check("{\n  \"é😀\": x\n}".as_bytes(), &Limits::document()).unwrap_err();
        assert_eq!((error.line, error.column, error.offset), (2, 9, 14));
        assert_eq!(error.to_string(), "bad literal at line 2, column 9 (pointer \"/é😀\")");
    }

    #[test]
    fn locate_finds_values_or_their_nearest_ancestors() {
        let text = "{\n \"a\": [10,\n  {\"b/c\": \"é\", \"d\": 1}],\n \"\\u00e9\": null, \"0\": {\"x\": 1}}";
        let pointers = [
            "",
            "/a",
            "/a/0",
            "/a/1/b~1c",
            "/a/1/d",
            "/a/1/none/deeper",
            "/a/01",
            "/é",
            "/0/x",
            "/zz",
            "a",
            "/~2",
        ];
        let found: Vec<_> =
            locate(text, &pointers).into_iter().map(|place| place.map(|p| (p.line, p.column))).collect();
        let expected = [
            Some((1, 1)),
            Some((2, 7)),
            Some((2, 8)),
            Some((3, 11)),
            Some((3, 21)),
            Some((3, 3)),
            Some((2, 7)),
            Some((4, 12)),
            Some((4, 29)),
            Some((1, 1)),
            None,
            None,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn raw_at_gives_the_exact_source_text() {
        let text = r#" {"a": [1.50, {"b": { "c" : "\u0041" } }], "\"": [] , "e":-1e5} "#;
        for (pointer, expected) in [
            ("", Some(text.trim())),
            ("/a/0", Some("1.50")),
            ("/a/1/b", Some(r#"{ "c" : "\u0041" }"#)),
            ("/a/1/b/c", Some(r#""\u0041""#)),
            ("/\"", Some("[]")),
            ("/e", Some("-1e5")),
            ("/a/2", None),
            ("/a/-", None),
            ("/a/00", None),
            ("/e/0", None),
            ("/x", None),
            ("e", None),
        ] {
            assert_eq!(raw_at(text, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn own_bytes_are_read_into_types() {
        assert_eq!(parse_own(br#"{"a":[1]}"#).unwrap(), serde_json::json!({"a": [1]}));
        assert_eq!(from_slice_strict::<Vec<u8>>(b"[1,2]").unwrap(), [1, 2]);
        assert!(matches!(from_slice_strict::<Vec<u8>>(b"[1,-2]"), Err(ReadError::Shape(_))));
        assert!(matches!(parse_own(br#"{"a":1,"a":1}"#), Err(ReadError::Strict(_))));
    }

    /// Any JSON value, its keys and strings full of what needs care.
    fn any_value() -> impl Strategy<Value = Value> {
        let text = || "[ab\"\\\\/~\u{1}-\u{1f}é\u{e000}😀]{0,4}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Every value in a tree, by pointer.
    fn all_pointers(value: &Value, pointer: String, found: &mut Vec<(String, Value)>) {
        found.push((pointer.clone(), value.clone()));
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    all_pointers(item, format!("{pointer}/{index}"), found);
                }
            }
            Value::Object(members) => {
                for (key, item) in members {
                    let token = key.replace('~', "~0").replace('/', "~1");
                    all_pointers(item, format!("{pointer}/{token}"), found);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_serde_writes_passes_and_every_value_is_found(value in any_value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(check(text.as_bytes(), &Limits::document()), Ok(text.as_str()));
            // What serde_json reads can differ from what it wrote in the last digit of a double.
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut all = Vec::new();
            all_pointers(&value, String::new(), &mut all);
            let pointers: Vec<&str> = all.iter().map(|(pointer, _)| pointer.as_str()).collect();
            let places = locate(&text, &pointers);
            for ((pointer, value), place) in all.iter().zip(places) {
                let raw = raw_at(&text, pointer).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Value>(raw).unwrap(), value);
                let place = place.unwrap();
                prop_assert!(text[place.offset..].starts_with(raw));
                let before = &text[..place.offset];
                prop_assert_eq!(place.line, before.matches('\n').count() + 1);
                prop_assert_eq!(place.column, before.rsplit('\n').next().unwrap().chars().count() + 1);
            }
        }

        #[test]
        fn mutated_json_is_judged_as_by_serde_json(
            value in any_value(), at: prop::sample::Index, byte in prop::sample::select(&b"{}[]\",:\\u0e.-+1 tn\x01\xff"[..]),
        ) {
            let mut bytes = serde_json::to_vec(&value).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let ours = check(&bytes, &Limits::document()).map_err(|error| error.kind);
            let theirs = serde_json::from_slice::<Value>(&bytes);
            match ours {
                Ok(_) => prop_assert!(theirs.is_ok()),
                Err(JsonErrorKind::DuplicateKey | JsonErrorKind::NulCharacter) => {}
                Err(kind) => prop_assert!(theirs.is_err(), "{kind:?}"),
            }
        }

        #[test]
        fn no_bytes_make_any_function_panic(bytes in prop::collection::vec(
            prop_oneof![prop::sample::select(&b"{}[]\",:\\u0aAdDcC e.-1/\n"[..]), any::<u8>()], 0..60)
        ) {
            let checked = check(&bytes, &Limits::document());
            let text = String::from_utf8_lossy(&bytes);
            let _ = locate(&text, &["", "/a", "/0", "/0/0/a", "/a/0", "/a/a"]);
            for pointer in ["", "/a", "/0/0", "/a/a"] {
                let _ = raw_at(&text, pointer);
            }
            if let Err(error) = checked {
                prop_assert!(error.offset <= bytes.len() && error.line > 0 && error.column > 0);
            }
        }
    }

    #[test]
    fn a_string_has_one_canonical_spelling() {
        for good in [r#""plain""#, r#"{"a":"\u001f\n\"\\","ü":["x"]}"#, "[1,true]", r#"["\\","b"]"#] {
            assert!(strings_are_canonical(good), "{good}");
        }
        for bad in [r#""\u001F""#, r#""\u0041""#, r#"{"a":"\/"}"#, r#"{"\u0061":1}"#, r#"["ok","\u000a"]"#] {
            assert!(!strings_are_canonical(bad), "{bad}");
        }
    }
}

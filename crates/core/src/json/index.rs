//! Where the values of a checked text stand, so that what is read from it later need not be looked for again.
//!
//! The strict pass leaves one [`Mark`] for each value and each key, in the order of the text. A reader then goes
//! from value to value, and past those that it does not read in one step.

use std::borrow::Cow;

use super::{skip_value, unescape};

/// Text that passed the strict pass, and where its values stand.
#[derive(Debug)]
pub struct Indexed<'a> {
    text: &'a str,
    marks: Vec<Mark>,
}

/// Where a value or a key stands. Eight bytes: a document may have tens of millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    start: u32,
    /// Of a string, number or literal: where it ends, and [`Mark::ESCAPED`]. Of a container: the number of the mark
    /// after its last.
    end: u32,
}

impl Mark {
    /// Set for a string with escapes.
    const ESCAPED: u32 = 1 << 31;
    /// Most bytes of a text: no end may reach [`Mark::ESCAPED`].
    pub(super) const MAX_TEXT: usize = Self::ESCAPED as usize - 1;

    pub(super) const fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self { start: start as u32, end: end as u32 | if escaped { Self::ESCAPED } else { 0 } }
    }

    /// The mark of a container whose last mark is the one before the number `next`.
    pub(super) const fn close(&mut self, next: usize) {
        self.end = next as u32;
    }
}

impl<'a> Indexed<'a> {
    pub(super) const fn new(text: &'a str, marks: Vec<Mark>) -> Self {
        Self { text, marks }
    }

    /// The text, without a byte order mark.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The value that the text is.
    pub const fn root(&self) -> Node<'_> {
        Node { indexed: self, at: 0 }
    }

    #[inline]
    fn mark(&self, at: u32) -> Mark {
        self.marks.get(at as usize).copied().unwrap_or(Mark { start: u32::MAX, end: 0 })
    }

    /// The string or key that is marked here.
    #[inline(always)]
    fn string(&self, mark: Mark) -> Cow<'_, str> {
        let Mark { start, end } = mark;
        let (from, to) = (start as usize + 1, (end & !Mark::ESCAPED) as usize - 1);
        let contents = self.text.get(from..to).unwrap_or_default();
        match end & Mark::ESCAPED {
            0 => Cow::Borrowed(contents),
            _ => unescape(contents),
        }
    }
}

/// A value in a checked text.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    indexed: &'a Indexed<'a>,
    at: u32,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, borrowed where it has no escapes.
    String(Cow<'a, str>),
    /// An array.
    Array(Elements<'a>),
    /// An object.
    Object(Members<'a>),
}

impl<'a> Node<'a> {
    /// What the value is.
    #[inline(always)]
    pub fn content(self) -> Content<'a> {
        let indexed = self.indexed;
        let mark = indexed.mark(self.at);
        match indexed.text.as_bytes().get(mark.start as usize) {
            Some(b'"') => Content::String(indexed.string(mark)),
            Some(b'{') => Content::Object(Members(self.children(mark))),
            Some(b'[') => Content::Array(Elements(self.children(mark))),
            Some(b't') => Content::Bool(true),
            Some(b'f') => Content::Bool(false),
            Some(b'n') | None => Content::Null,
            Some(_) => {
                Content::Number(indexed.text.get(mark.start as usize..mark.end as usize).unwrap_or_default())
            }
        }
    }

    /// The member of this key, if the value is an object that has it.
    pub fn member(self, key: &str) -> Option<Self> {
        let Content::Object(mut members) = self.content() else { return None };
        members.find_map(|(found, value)| (found == key).then_some(value))
    }

    /// The exact source text of the value.
    pub fn raw(self) -> &'a str {
        let start = self.start();
        let end = skip_value(self.indexed.text.as_bytes(), start).unwrap_or(start);
        self.indexed.text.get(start..end).unwrap_or_default()
    }

    /// Where the value begins in the text.
    pub(super) fn start(self) -> usize {
        self.indexed.mark(self.at).start as usize
    }

    /// The number of the value in its text, which [`Node::at`] leads back from.
    pub const fn number(self) -> u32 {
        self.at
    }

    /// Another value of the same text.
    #[must_use]
    pub const fn at(self, number: u32) -> Self {
        Self { at: number, ..self }
    }

    const fn children(self, mark: Mark) -> Children<'a> {
        Children { indexed: self.indexed, of: self.at, next: self.at + 1, end: mark.end }
    }
}

/// What is still to come of a container's marks.
#[derive(Debug, Clone, Copy)]
struct Children<'a> {
    indexed: &'a Indexed<'a>,
    of: u32,
    next: u32,
    end: u32,
}

impl<'a> Children<'a> {
    /// The next value; a key is passed over with [`Children::key`] before.
    #[inline(always)]
    fn value(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let value = Node { indexed: self.indexed, at: self.next };
        let mark = self.indexed.mark(self.next);
        self.next = match self.indexed.text.as_bytes().get(mark.start as usize) {
            Some(b'{' | b'[') => mark.end,
            _ => self.next + 1,
        };
        Some(value)
    }

    #[inline(always)]
    fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = (self.next < self.end).then(|| self.indexed.string(self.indexed.mark(self.next)));
        self.next += 1;
        key
    }
}

/// The elements of an array, in the order of the text.
#[derive(Debug, Clone)]
pub struct Elements<'a>(Children<'a>);

impl Default for Elements<'_> {
    /// None.
    fn default() -> Self {
        static NOTHING: Indexed<'static> = Indexed::new("", Vec::new());
        Self(Children { indexed: &NOTHING, of: 0, next: 0, end: 0 })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    #[inline]
    fn next(&mut self) -> Option<Node<'a>> {
        self.0.value()
    }
}

/// The members of an object, in the order of the text.
#[derive(Debug, Clone)]
pub struct Members<'a>(Children<'a>);

impl<'a> Members<'a> {
    /// The object that has these members.
    pub const fn node(&self) -> Node<'a> {
        Node { indexed: self.0.indexed, at: self.0.of }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Node<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.key()?;
        Some((key, self.0.value()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, index};
    use super::*;
    use serde_json::{Map, Value};

    fn tree(node: Node<'_>) -> Value {
        match node.content() {
            Content::Null => Value::Null,
            Content::Bool(value) => value.into(),
            Content::Number(text) => serde_json::from_str(text).unwrap(),
            Content::String(text) => text.into(),
            Content::Array(elements) => elements.map(tree).collect(),
            Content::Object(members) => {
                members.map(|(key, value)| (key.into_owned(), tree(value))).collect::<Map<_, _>>().into()
            }
        }
    }

    #[test]
    fn an_index_leads_to_every_value() {
        let texts = [
            r#" {"a": [1, -2.5e3, [], {}, [[true], "x\"\u00e9"]], "b\n": {"c": null, "": false}, "d": ""} "#,
            "[]",
            "{}",
            "\"\"",
            " 17",
            "[{\"k\":[{\"k\":[]}]},{},[1]]",
        ];
        for text in texts {
            let indexed = index(text.as_bytes(), &Limits::document()).unwrap();
            assert_eq!(tree(indexed.root()), serde_json::from_str::<Value>(text).unwrap(), "{text}");
            assert_eq!(indexed.root().raw(), text.trim());
        }
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let indexed = index(br#"["plain", "es\u0063aped"]"#, &Limits::document()).unwrap();
        let Content::Array(elements) = indexed.root().content() else { panic!("no array") };
        let texts: Vec<_> = elements.map(Node::content).collect();
        assert!(matches!(&texts[0], Content::String(Cow::Borrowed("plain"))));
        assert!(matches!(&texts[1], Content::String(Cow::Owned(text)) if text == "escaped"));
    }
}

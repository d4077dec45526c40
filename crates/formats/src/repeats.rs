//! Elements that a list has before, where JSON Schema wants `uniqueItems`: equal as JSON values.
//!
//! Whoever asks has found two claims that say the same, so that few elements are compared, and no list is gone through
//! that has none.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use provex_core::json::{Content, Members, Node};

use crate::report::{Code, Findings};

/// Most elements that are compared: more findings of one code are not listed.
const MOST: usize = 1_000;

/// Reports the elements that equal an earlier one of their list, which `pairs` point into: the earlier and the later.
/// Lists of which `is_set` does not hold may have an element twice.
pub(crate) fn report(
    root: Node<'_>,
    pairs: impl Iterator<Item = [String; 2]>,
    is_set: impl Fn(&str) -> bool,
    findings: &mut Findings,
) {
    let mut lists = Lists { root, known: HashMap::new() };
    let mut compared = HashSet::new();
    for [first, again] in pairs {
        let Some((list, [first, again])) = parting(&first, &again) else { continue };
        if !is_set(list) || compared.len() == MOST || !compared.insert((list.to_owned(), again)) {
            continue;
        }
        let [Some(one), Some(other)] = [first, again].map(|n| lists.element(list, n)) else { continue };
        if equal(one, other) {
            let message = || format!("This stands in its list before, at {list}/{first}; leave one out.");
            findings.add(Code::RepeatedElement, || format!("{list}/{again}"), message);
        }
    }
}

/// The list in which the ways of two pointers part, and the two numbers there.
fn parting<'p>(one: &'p str, other: &str) -> Option<(&'p str, [usize; 2])> {
    let mut end = 0;
    let parts = one.split('/').zip(other.split('/')).skip(1);
    for (a, b) in parts {
        if a != b {
            return Some((&one[..end], [a.parse().ok()?, b.parse().ok()?]));
        }
        end += 1 + a.len();
    }
    None
}

/// The elements of lists, by number.
struct Lists<'a> {
    root: Node<'a>,
    /// By the list's pointer: the numbers of their nodes.
    known: HashMap<String, Vec<u32>>,
}

impl<'a> Lists<'a> {
    fn element(&mut self, list: &str, n: usize) -> Option<Node<'a>> {
        if !self.known.contains_key(list) {
            let (owner, key) = list.rsplit_once('/')?;
            let owner = match owner.rsplit_once('/') {
                Some((list, n)) => self.element(list, n.parse().ok()?)?,
                None => self.root,
            };
            let Content::Array(elements) = owner.member(key)?.content() else { return None };
            self.known.insert(list.to_owned(), elements.map(Node::number).collect());
        }
        self.known.get(list)?.get(n).map(|number| self.root.at(*number))
    }
}

/// Whether two values are equal, whatever the order of their members. Takes as long as the smaller one is.
fn equal(one: Node<'_>, other: Node<'_>) -> bool {
    match (one.content(), other.content()) {
        (Content::Null, Content::Null) => true,
        (Content::Bool(one), Content::Bool(other)) => one == other,
        (Content::Number(one), Content::Number(other)) => one == other,
        (Content::String(one), Content::String(other)) => one == other,
        (Content::Array(mut one), Content::Array(mut other)) => loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(one), Some(other)) if equal(one, other) => {}
                _ => return false,
            }
        },
        (Content::Object(one), Content::Object(other)) => {
            let count = other.clone().zip(one.clone()).count();
            let has_more = |members: &Members<'_>| members.clone().nth(count).is_some();
            if has_more(&one) || has_more(&other) {
                return false;
            }
            let [one, other] = [sorted(one), sorted(other)];
            one.into_iter().zip(other).all(|((a, one), (b, other))| a == b && equal(one, other))
        }
        _ => false,
    }
}

fn sorted<'a>(members: Members<'a>) -> Vec<(Cow<'a, str>, Node<'a>)> {
    let mut members: Vec<_> = members.collect();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members
}

#[cfg(test)]
mod tests {
    use provex_core::json::{Limits, index};

    use super::*;

    #[test]
    fn values_are_equal_whatever_the_order_of_their_members() {
        let cases = [
            (r#"{"a": 1, "b": [null, true, "x"]}"#, r#"{"b":[null,true,"\u0078"],"a":1}"#, true),
            (r#"{"a": 1}"#, r#"{"a": 2}"#, false),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#, false),
            (r#"{"a": 1, "b": 1}"#, r#"{"a": 1}"#, false),
            (r#"{"a": 1}"#, r#"{"b": 1}"#, false),
            ("[1, 2]", "[2, 1]", false),
            ("[1]", "[1, 2]", false),
            ("[]", "{}", false),
            ("null", "false", false),
        ];
        for (one, other, expected) in cases {
            let [a, b] = [one, other].map(|text| index(text.as_bytes(), &Limits::document()).unwrap());
            assert_eq!(equal(a.root(), b.root()), expected, "{one} {other}");
        }
    }

    #[test]
    fn two_ways_part_at_a_list() {
        assert_eq!(parting("/statements/1/products/0", "/statements/12"), Some(("/statements", [1, 12])));
        let list = "/statements/0/products/3/subcomponents";
        assert_eq!(parting(&format!("{list}/0"), &format!("{list}/7")), Some((list, [0, 7])));
        assert_eq!(parting("/statements/1", "/statements/1"), None);
    }
}

//! What has a bom-ref without standing in the BOM's lists of components and services: what a component was made from,
//! tools, what a formulation or a declaration names. Looked for only once a name is none of those in the lists.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use provex_core::json::{Content, Node};

use crate::report::child;

/// Everything in a document that has a bom-ref.
pub(super) struct Elsewhere<'a> {
    root: Node<'a>,
    /// Name, kind and the number of its node, sorted; found once asked for.
    named: OnceCell<Vec<(Cow<'a, str>, Kind, u32)>>,
    /// What stands in the nodes that a pointer led through.
    children: RefCell<HashMap<u32, Vec<u32>>>,
}

/// What an element is, by the member that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Component,
    Service,
    Other,
}

impl Kind {
    fn of(key: &str) -> Self {
        match key {
            "components" | "component" | "ancestors" | "descendants" | "variants" => Self::Component,
            "services" | "service" => Self::Service,
            _ => Self::Other,
        }
    }
}

impl<'a> Elsewhere<'a> {
    pub(super) fn of(root: Node<'a>) -> Self {
        Self { root, named: OnceCell::new(), children: RefCell::default() }
    }

    /// Whether anything has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.named(name).is_empty()
    }

    /// The components and services of this name.
    pub(super) fn elements(&self, name: &str) -> impl Iterator<Item = (Kind, Node<'a>)> {
        let named = self.named(name).iter().filter(|(_, kind, _)| *kind != Kind::Other);
        named.map(|(_, kind, number)| (*kind, self.root.at(*number)))
    }

    fn named(&self, name: &str) -> &[(Cow<'a, str>, Kind, u32)] {
        let all = self.named.get_or_init(|| all(self.root));
        let begin = all.partition_point(|(other, ..)| other.as_ref() < name);
        let end = all.partition_point(|(other, ..)| other.as_ref() <= name);
        &all[begin..end]
    }

    /// The JSON pointer of a node.
    pub(super) fn pointer(&self, node: Node<'a>) -> String {
        let mut known = self.children.borrow_mut();
        let mut pointer = String::new();
        let mut at = self.root;
        while at.number() < node.number() {
            let children = known.entry(at.number()).or_insert_with(|| children(at));
            // Nodes are numbered in the order of the text, so a node stands in the last one that does not come after it.
            let Some(n) = children.partition_point(|child| *child <= node.number()).checked_sub(1) else {
                break;
            };
            let next = at.at(children[n]);
            pointer = match at.content() {
                // Its key comes before it.
                Content::Object(_) => match at.at(children[n] - 1).content() {
                    Content::String(key) => child(&pointer, &key),
                    _ => break,
                },
                _ => format!("{pointer}/{n}"),
            };
            at = next;
        }
        pointer
    }
}

/// The numbers of the values that stand in a node.
fn children(node: Node<'_>) -> Vec<u32> {
    match node.content() {
        Content::Object(members) => members.map(|(_, value)| value.number()).collect(),
        Content::Array(elements) => elements.map(Node::number).collect(),
        _ => Vec::new(),
    }
}

fn all(root: Node<'_>) -> Vec<(Cow<'_, str>, Kind, u32)> {
    let mut found = Vec::new();
    let mut open = vec![(root, Kind::Other)];
    while let Some((node, kind)) = open.pop() {
        match node.content() {
            Content::Array(elements) => open.extend(elements.map(|element| (element, kind))),
            Content::Object(members) => {
                for (key, value) in members {
                    match value.content() {
                        Content::String(name) if key == "bom-ref" => found.push((name, kind, node.number())),
                        Content::Array(_) | Content::Object(_) => open.push((value, Kind::of(&key))),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    found.sort_unstable();
    found
}

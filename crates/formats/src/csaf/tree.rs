//! The product tree: branches, names, compositions and groups, collected into [`Products`] and [`Groups`].

use std::iter::Enumerate;

use provex_core::json::Node;

use super::header::Header;
use super::products::{Collector, InList, Place, Products, describe};
use super::references::Groups;
use super::schema::{BRANCHES, COMPOSITIONS, missing, term};
use super::{
    Branch, Edition, FullName, Group, List, Path, Relationship, Text, Tree, list, report_unknown, tell,
    text_at,
};
use crate::component::Described;
use crate::report::{Code, Findings};
use crate::stated::is_blank;
use crate::typed::{Member, Shape as _, Unread};

/// Most `branches` that may stand in the path of a product (6.1.34).
const MAX_BRANCHES: usize = 30;

pub(super) fn read<'a>(
    root: Node<'a>,
    tree: Tree<'a>,
    header: &Header,
    findings: &mut Findings,
) -> (Products<'a>, Groups<'a>) {
    let edition = header.edition;
    report_unknown(edition, &tree.unknown, || "/product_tree".to_owned(), findings);
    let collector = Collector::new(root, header);
    let mut reader = Reader { edition, collector, described: Described::default(), findings };
    reader.branches(tree.branches);
    let names =
        list(tree.full_product_names, reader.findings, || "/product_tree/full_product_names".to_owned());
    for (n, name) in names {
        reader.name(name, &[], InList::Name(n as u32));
    }
    let relationships =
        list(tree.relationships, reader.findings, || "/product_tree/relationships".to_owned());
    for (n, relationship) in relationships {
        reader.relationship(n, relationship);
    }
    reader.paths(tree.product_paths);
    let mut products = reader.collector.finish(reader.findings);
    let groups = groups(tree.product_groups, edition, &mut products, findings);
    (products, groups)
}

struct Reader<'a, 'f> {
    edition: Edition,
    collector: Collector<'a>,
    /// Reused for each product.
    described: Described<'a>,
    findings: &'f mut Findings,
}

impl<'a> Reader<'a, '_> {
    /// Walks the branches in the order of the document, without recursion.
    fn branches(&mut self, branches: Member<List<'a, Branch<'a>>>) {
        let first = list(branches, self.findings, || "/product_tree/branches".to_owned());
        let mut levels = vec![(None, first)];
        while let Some((parent, level)) = levels.last_mut() {
            let Some((n, branch)) = level.next() else {
                levels.pop();
                continue;
            };
            let number = self.collector.branches().add(*parent, n);
            let at = || self.collector.branch(number);
            let Some(branch) = branch.take(self.findings, at, "an object") else { continue };
            let inner = self.branch(branch, number, levels.len());
            levels.push((Some(number), inner));
        }
    }

    /// Reads one branch and gives back those below it.
    fn branch(&mut self, branch: Branch<'a>, number: u32, depth: usize) -> Enumerate<List<'a, Branch<'a>>> {
        let collector = &self.collector;
        let at = || collector.branch(number);
        report_unknown(self.edition, &branch.unknown, at, self.findings);
        let mut text = |member: Member<Text<'a>>, key: &str| {
            member.take(self.findings, || format!("{}/{key}", at()), "a string").unwrap_or_default()
        };
        let (category, name) = (text(branch.category, "category"), text(branch.name, "name"));
        for (key, text) in [("category", &category), ("name", &name)] {
            if is_blank(Some(text)) {
                missing(key, at, self.findings);
            }
        }
        term(&category, &BRANCHES, self.edition, || format!("{}/category", at()), self.findings);
        if category == "product_version" && is_range(&name) {
            let message = "The name of a version is a range; use the category `product_version_range`.";
            tell(self.findings, Code::BadVersionRange, || format!("{}/name", at()), message);
        }
        self.collector.branches().call(number, category, name);
        let at = || self.collector.branch(number);
        if branch.product.is_stated() {
            if depth > MAX_BRANCHES && self.edition == Edition::V21 {
                let message = "More than 30 branches lead to this product; leave some out.";
                tell(self.findings, Code::BranchesTooDeep, || format!("{}/product", at()), message);
            }
            self.name(branch.product, &[], InList::Branch(number));
        }
        list(branch.branches, self.findings, || format!("{}/branches", self.collector.branch(number)))
    }

    fn relationship(&mut self, n: usize, relationship: Member<Relationship<'a>>) {
        let at = || format!("/product_tree/relationships/{n}");
        let Some(relationship) = relationship.take(self.findings, at, "an object") else { return };
        report_unknown(self.edition, &relationship.unknown, at, self.findings);
        let first = self.part(relationship.product_reference, || format!("{}/product_reference", at()));
        let host = self.part(relationship.relates_to, || format!("{}/relates_to_product_reference", at()));
        self.composition(&relationship.category, at);
        let chain = first.zip(host).map(|(first, host)| [first, host]);
        let parts = self.whole_chain(chain.as_ref().map(<[u32; 2]>::as_slice), at);
        self.name(relationship.full_product_name, parts, InList::Relationship(n as u32));
    }

    fn paths(&mut self, paths: Member<List<'a, Path<'a>>>) {
        let at = || "/product_tree/product_paths".to_owned();
        if self.edition == Edition::V20 && paths.is_stated() {
            let message =
                "CSAF 2.0 has no `product_paths`, and they were read as in 2.1; use `relationships`.";
            tell(self.findings, Code::SpecVersionMismatch, at, message);
        }
        for (n, path) in list(paths, self.findings, at) {
            self.path(n, path);
        }
    }

    fn path(&mut self, n: usize, path: Member<Path<'a>>) {
        let at = || format!("/product_tree/product_paths/{n}");
        let Some(path) = path.take(self.findings, at, "an object") else { return };
        report_unknown(self.edition, &path.unknown, at, self.findings);
        let mut parts = vec![self.part(path.beginning, || format!("{}/beginning_product_reference", at()))];
        for (k, subpath) in list(path.subpaths, self.findings, || format!("{}/subpaths", at())) {
            let at = || format!("{}/subpaths/{k}", at());
            let subpath = subpath.take(self.findings, at, "an object").unwrap_or_default();
            report_unknown(self.edition, &subpath.unknown, at, self.findings);
            self.composition(&subpath.category, at);
            parts.push(self.part(subpath.next, || format!("{}/next_product_reference", at())));
        }
        let chain: Option<Vec<u32>> = parts.into_iter().collect();
        let parts = self.whole_chain(chain.as_deref(), at);
        self.name(path.full_product_name, parts, InList::Path(n as u32));
    }

    fn composition(&mut self, category: &Member<Text<'a>>, at: impl Fn() -> String) {
        match category.value().filter(|category| !is_blank(Some(category))) {
            Some(category) => {
                term(category, &COMPOSITIONS, self.edition, || format!("{}/category", at()), self.findings);
            }
            None => missing("category", at, self.findings),
        }
    }

    fn part(&mut self, reference: Member<Text<'a>>, at: impl Fn() -> String) -> Option<u32> {
        text_at(reference, self.findings, &at).map(|id| self.collector.refer(id, at))
    }

    /// What a product is composed of, from the component to the outermost host. A composition with a gap is read as
    /// one product: without a host the claim would widen.
    fn whole_chain<'c>(&mut self, chain: Option<&'c [u32]>, at: impl Fn() -> String) -> &'c [u32] {
        chain.filter(|chain| chain.len() > 1).unwrap_or_else(|| {
            let message =
                "The composition does not say of which products; add both, or all, of its references.";
            tell(self.findings, Code::UndefinedProduct, at, message);
            &[]
        })
    }

    fn name(&mut self, name: Member<Unread<'a>>, parts: &[u32], list: InList) {
        let collector = &self.collector;
        let at = || collector.pointer(list);
        let name = name.take(self.findings, at, "an object");
        let place = Place { list, name: name.as_ref().map_or(0, Unread::number) };
        let mut name = name.and_then(|name| FullName::object(name.0)).unwrap_or_default();
        report_unknown(self.edition, &name.unknown, at, self.findings);
        let id = std::mem::take(&mut name.product_id);
        let Some(id) = text_at(id, self.findings, || format!("{}/product_id", at())) else {
            let message = "This product has no `product_id`, so nothing can be said of it; add one.";
            tell(self.findings, Code::MissingProduct, at, message);
            return;
        };
        if name.name.value().is_none_or(|name| is_blank(Some(name))) {
            missing("name", at, self.findings);
        }
        let mut described = std::mem::take(&mut self.described);
        described.clear();
        describe(name, &mut described, self.edition, &at, self.findings);
        self.collector.define(id, &mut described, parts, place, self.findings);
        self.described = described;
    }
}

/// Whether a version names several: 6.1.31 with words as words, since names of packages have them as parts.
fn is_range(name: &str) -> bool {
    const WORDS: [&str; 7] = ["after", "all", "before", "earlier", "later", "prior", "versions"];
    name.bytes().any(|byte| matches!(byte, b'<' | b'>'))
        || name
            .split_ascii_whitespace()
            .any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// The groups by id. A group that is defined twice has the products of both.
fn groups<'a>(
    member: Member<List<'a, Group<'a>>>,
    edition: Edition,
    products: &mut Products<'a>,
    findings: &mut Findings,
) -> Groups<'a> {
    let mut groups = Groups::default();
    for (n, group) in list(member, findings, || "/product_tree/product_groups".to_owned()) {
        let at = || format!("/product_tree/product_groups/{n}");
        let Some(group) = group.take(findings, at, "an object") else { continue };
        report_unknown(edition, &group.unknown, at, findings);
        let id = text_at(group.group_id, findings, || format!("{}/group_id", at()));
        let ids = list(group.product_ids, findings, || format!("{}/product_ids", at()));
        let at_product = |k: usize| format!("{}/product_ids/{k}", at());
        let mut members = Vec::new();
        for (k, product) in ids {
            let product = text_at(product, findings, || at_product(k));
            members.extend(product.map(|id| products.refer(id, || at_product(k), findings)));
        }
        for (key, lacks) in [("group_id", id.is_none()), ("product_ids", members.is_empty())] {
            if lacks {
                missing(key, at, findings);
            }
        }
        if let Some(id) = id
            && groups.define(id, members)
        {
            let message = "This group is defined twice, and was read as one with the products of both; name \
                           one of them anew.";
            tell(findings, Code::RepeatedGroup, at, message);
        }
    }
    groups
}

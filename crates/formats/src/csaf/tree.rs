//! The product tree: branches, names, compositions and groups, collected into [`Products`] and [`Groups`].

use std::fmt::Write as _;
use std::iter::Enumerate;

use super::header::Header;
use super::identifiers::identify;
use super::products::{Collector, Definition, Place, Products, Trail};
use super::references::Groups;
use super::{
    Branch, Edition, FullName, Group, List, Path, Relationship, Text, Tree, list, report_unknown, tell,
    text_at,
};
use crate::component::Described;
use crate::report::{Code, Findings};
use crate::typed::Member;

/// Most `branches` that may stand in the path of a product (6.1.34).
const MAX_BRANCHES: usize = 30;

pub(super) fn read<'a>(
    tree: Tree<'a>,
    header: &Header,
    findings: &mut Findings,
) -> (Products<'a>, Groups<'a>) {
    let edition = header.edition;
    report_unknown(edition, &tree.unknown, || "/product_tree".to_owned(), findings);
    let mut reader = Reader { edition, collector: Collector::new(header), findings };
    reader.branches(tree.branches);
    let names =
        list(tree.full_product_names, reader.findings, || "/product_tree/full_product_names".to_owned());
    for (n, name) in names {
        reader.name(name, &[], Vec::new(), Place::Name(n));
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
    findings: &'f mut Findings,
}

impl<'a> Reader<'a, '_> {
    /// Walks the branches in the order of the document, without recursion.
    fn branches(&mut self, branches: Member<List<'a, Branch<'a>>>) {
        let mut pointer = "/product_tree".to_owned();
        let mut trail: Trail<'a> = Vec::new();
        let first = list(branches, self.findings, || "/product_tree/branches".to_owned());
        let mut levels = vec![(pointer.len(), first)];
        while let Some((prefix, level)) = levels.last_mut() {
            pointer.truncate(*prefix);
            let next = level.next();
            trail.truncate(levels.len() - 1);
            let Some((n, branch)) = next else {
                levels.pop();
                continue;
            };
            let _ = write!(pointer, "/branches/{n}");
            let Some(branch) = branch.take(self.findings, || pointer.clone(), "an object") else { continue };
            let inner = self.branch(branch, levels.len(), &mut trail, &pointer);
            levels.push((pointer.len(), inner));
        }
    }

    /// Reads one branch and gives back those below it.
    fn branch(
        &mut self,
        branch: Branch<'a>,
        depth: usize,
        trail: &mut Trail<'a>,
        at: &str,
    ) -> Enumerate<List<'a, Branch<'a>>> {
        report_unknown(self.edition, &branch.unknown, || at.to_owned(), self.findings);
        let mut text = |member: Member<Text<'a>>, key: &str| {
            member.take(self.findings, || format!("{at}/{key}"), "a string").unwrap_or_default()
        };
        trail.push((text(branch.category, "category"), text(branch.name, "name")));
        if branch.product.is_stated() {
            if depth > MAX_BRANCHES && self.edition == Edition::V21 {
                let message = "More than 30 branches lead to this product; leave some out.";
                tell(self.findings, Code::BranchesTooDeep, || format!("{at}/product"), message);
            }
            self.name(branch.product, trail, Vec::new(), Place::Branch(at.to_owned()));
        }
        list(branch.branches, self.findings, || format!("{at}/branches"))
    }

    fn relationship(&mut self, n: usize, relationship: Member<Relationship<'a>>) {
        let at = || format!("/product_tree/relationships/{n}");
        let Some(relationship) = relationship.take(self.findings, at, "an object") else { return };
        report_unknown(self.edition, &relationship.unknown, at, self.findings);
        let first = self.part(relationship.product_reference, || format!("{}/product_reference", at()));
        let host = self.part(relationship.relates_to, || format!("{}/relates_to_product_reference", at()));
        let parts = self.whole_chain(vec![first, host], at);
        self.name(relationship.full_product_name, &[], parts, Place::Relationship(n));
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
            parts.push(self.part(subpath.next, || format!("{}/next_product_reference", at())));
        }
        let parts = self.whole_chain(parts, at);
        self.name(path.full_product_name, &[], parts, Place::Path(n));
    }

    fn part(&mut self, reference: Member<Text<'a>>, at: impl Fn() -> String) -> Option<u32> {
        text_at(reference, self.findings, &at).map(|id| self.collector.refer(id, at))
    }

    /// What a product is composed of, from the component to the outermost host. A composition with a gap is read as
    /// one product: without a host the claim would widen.
    fn whole_chain(&mut self, parts: Vec<Option<u32>>, at: impl Fn() -> String) -> Vec<u32> {
        let chain: Option<Vec<u32>> = parts.into_iter().collect();
        chain.filter(|chain| chain.len() > 1).unwrap_or_else(|| {
            let message =
                "The composition does not say of which products; add both, or all, of its references.";
            tell(self.findings, Code::UndefinedProduct, at, message);
            Vec::new()
        })
    }

    fn name(
        &mut self,
        name: Member<FullName<'a>>,
        trail: &[(Text<'a>, Text<'a>)],
        parts: Vec<u32>,
        place: Place,
    ) {
        let at = || place.pointer();
        let name = name.take(self.findings, at, "an object").unwrap_or_default();
        report_unknown(self.edition, &name.unknown, at, self.findings);
        let Some(id) = text_at(name.product_id, self.findings, || format!("{}/product_id", at())) else {
            let message = "This product has no `product_id`, so nothing can be said of it; add one.";
            tell(self.findings, Code::MissingProduct, at, message);
            return;
        };
        let mut described = Described {
            name: name.name.take(self.findings, || format!("{}/name", at()), "a string"),
            ..Described::default()
        };
        let at_helper = || format!("{}/product_identification_helper", at());
        if let Some(helper) = name.helper.take(self.findings, at_helper, "an object") {
            identify(*helper, &mut described, self.edition, &at_helper, self.findings);
        }
        let definition = Definition { described, parts, place };
        self.collector.define(id, definition, trail, self.findings);
    }
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

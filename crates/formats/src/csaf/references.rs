//! References to products: what a flag, threat, remediation, note or id is about, sorted by product.
//!
//! Groups may stand there and nowhere else. One group can have every product and be named by every remediation, so
//! what groups expand to is bounded; all else is as long as the document.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use super::products::Products;
use super::{List, Text, list, rejection, text_at};
use crate::report::{Code, Findings, Rejection, quoted};
use crate::typed::Member;

/// Most products that the groups named in one document may come to together.
const MAX_EXPANDED: usize = 1 << 24;

/// The product groups of a document.
#[derive(Default)]
pub(super) struct Groups<'a> {
    members: HashMap<Text<'a>, Vec<u32>>,
    expanded: usize,
}

impl<'a> Groups<'a> {
    /// Adds a group, and says whether there was one of this id.
    pub(super) fn define(&mut self, id: Text<'a>, mut members: Vec<u32>) -> bool {
        let group = self.members.entry(id);
        let repeated = matches!(group, std::collections::hash_map::Entry::Occupied(_));
        group.or_default().append(&mut members);
        repeated
    }
}

/// The products that `product_ids` and `group_ids` name, in ascending order. `None` if neither is there.
pub(super) fn resolve<'a>(
    ids: [Member<List<'a, Text<'a>>>; 2],
    products: &mut Products<'a>,
    groups: &mut Groups<'a>,
    at: impl Fn() -> String,
    findings: &mut Findings,
) -> Result<Option<Vec<u32>>, Rejection> {
    let [product_ids, group_ids] = ids;
    if !product_ids.is_stated() && !group_ids.is_stated() {
        return Ok(None);
    }
    let mut numbers = plain(product_ids, products, || format!("{}/product_ids", at()), findings);
    let at_groups = || format!("{}/group_ids", at());
    for (n, group) in list(group_ids, findings, at_groups) {
        let at = || format!("{}/{n}", at_groups());
        let Some(id) = text_at(group, findings, at) else { continue };
        let Some(members) = groups.members.get(&id) else {
            findings.add(Code::UndefinedGroup, at, || {
                format!(
                    "The product tree does not define the group {}, which was left out; define it.",
                    quoted(&id)
                )
            });
            continue;
        };
        groups.expanded += members.len();
        if groups.expanded > MAX_EXPANDED {
            let message = "The product groups that are named come to more than 16,777,216 products; \
                           split the document.";
            return Err(rejection(Code::TooManyClaims, &at(), message));
        }
        numbers.extend_from_slice(members);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Some(numbers))
}

/// The products of a list of ids, as they stand there.
pub(super) fn plain<'a>(
    ids: Member<List<'a, Text<'a>>>,
    products: &mut Products<'a>,
    at: impl Fn() -> String,
    findings: &mut Findings,
) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (n, id) in list(ids, findings, &at) {
        let at = || format!("{}/{n}", at());
        let id = text_at(id, findings, at);
        numbers.extend(id.map(|id| products.refer(id, at, findings)));
    }
    numbers
}

/// Which items of one list are about which product.
#[derive(Default)]
pub(super) struct Index {
    /// Product and item, ascending.
    pairs: Vec<(u32, u32)>,
    /// Where the product that was asked for last begins: the next one tends to follow it.
    last: Cell<usize>,
}

impl Index {
    /// Adds the products of an item. Items come in ascending order.
    pub(super) fn add(&mut self, item: u32, products: Vec<u32>) {
        self.pairs.extend(products.into_iter().map(|product| (product, item)));
    }

    /// To be called once all is added.
    pub(super) fn sort(&mut self) {
        self.pairs.sort_unstable();
    }

    /// The items about a product, ascending.
    pub(super) fn of(&self, product: u32) -> impl Iterator<Item = usize> {
        self.pairs[self.range(product)].iter().map(|(_, item)| *item as usize)
    }

    /// Product and item, ascending.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, usize)> {
        self.pairs.iter().map(|(product, item)| (*product, *item as usize))
    }

    /// Where a product begins, or would.
    fn start(&self, product: u32) -> usize {
        const NEAR: usize = 8;
        let last = self.last.get();
        let is_before = |n: usize| self.pairs.get(n).is_some_and(|(found, _)| *found < product);
        let follows = last == 0 || is_before(last - 1);
        let near = (last..last + NEAR).find(|n| follows && !is_before(*n));
        let start = near.unwrap_or_else(|| self.pairs.partition_point(|(found, _)| *found < product));
        self.last.set(start);
        start
    }

    fn range(&self, product: u32) -> Range<usize> {
        let start = self.start(product);
        let count = self.pairs[start..].iter().take_while(|(found, _)| *found == product).count();
        start..start + count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_items_of_a_product_are_found_in_any_order() {
        let mut index = Index::default();
        for (item, products) in (0..).zip([vec![1, 2, 30], vec![2], vec![2, 40, 41]]) {
            index.add(item, products);
        }
        index.sort();
        let of = |product| index.of(product).collect::<Vec<_>>();
        let asked = [0, 1, 2, 2, 3, 30, 40, 41, 99, 41, 2, 1, 30, 0, 2];
        for product in asked {
            let expected: Vec<_> =
                index.pairs().filter(|(found, _)| *found == product).map(|(_, item)| item).collect();
            assert_eq!(of(product), expected, "{product}");
        }
        assert_eq!(of(2), [0, 1, 2]);
    }
}

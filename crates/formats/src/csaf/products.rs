//! Products: what each product id of a document stands for.
//!
//! An id is defined by a full product name, once (6.1.2). A composed product is a chain from a component to its
//! outermost host: the host is the product of a claim and the component its subcomponent. Hosts between the two give
//! no key, but are kept as identifiers `via` of the subcomponent, so that claims about two chains stay two.
//! The same holds for what identifies the composition as a whole.
//!
//! Where no identifier gives a key, the branches that lead to a product do (`csaf-name`), and where there are none
//! that tell it from others, its id within this document (`csaf-local`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use provex_core::vex::ComponentKind;

use super::chains::Chains;
use super::header::Header;
use super::{Text, rejection, tell};
use crate::component::{self, Described, IdentifierType, Keyed};
use crate::report::{Code, Findings, Rejection, quoted};

/// Category and name of the branches that lead to a product, from the root.
pub(super) type Trail<'a> = Vec<(Text<'a>, Text<'a>)>;

/// What is told of a product where it is defined.
pub(super) struct Definition<'a> {
    pub(super) described: Described<'a>,
    /// The products it is composed of, component first; empty if it is not.
    pub(super) parts: Vec<u32>,
    pub(super) place: Place,
}

/// Where a product is defined. Written out only for findings.
pub(super) enum Place {
    /// In a branch, at this pointer.
    Branch(String),
    Name(usize),
    Path(usize),
    Relationship(usize),
}

impl Place {
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Branch(at) => format!("{at}/product"),
            Self::Name(n) => format!("/product_tree/full_product_names/{n}"),
            Self::Path(n) => format!("/product_tree/product_paths/{n}/full_product_name"),
            Self::Relationship(n) => format!("/product_tree/relationships/{n}/full_product_name"),
        }
    }
}

/// Most products of a document: what is kept of one takes some hundred bytes, and its id may have one.
const MAX_PRODUCTS: usize = 1 << 20;

/// The ids of products, numbered as they are met.
#[derive(Default)]
struct Ids<'a> {
    numbers: HashMap<Text<'a>, u32>,
    list: Vec<Text<'a>>,
    /// The last number that was found.
    last: usize,
    /// Whether there were more than [`MAX_PRODUCTS`]. The document is then refused, so that those beyond may be taken
    /// for the first until it is.
    refused: bool,
}

impl<'a> Ids<'a> {
    /// The number of an id. Lists of ids tend to be in the order of definitions, so the next one is tried first.
    fn find(&mut self, id: &str) -> Option<u32> {
        let next = self.last + 1;
        let is_next = self.list.get(next).is_some_and(|found| found == id);
        let number = if is_next { Some(next as u32) } else { self.numbers.get(id).copied() };
        self.refused |= number.is_none() && self.list.len() == MAX_PRODUCTS;
        let number = number.or(self.refused.then_some(0))?;
        self.last = number as usize;
        Some(number)
    }

    /// Numbers an id that has no number.
    fn add(&mut self, id: Text<'a>) -> u32 {
        let number = self.list.len() as u32;
        self.numbers.insert(id.clone(), number);
        self.list.push(id);
        number
    }
}

/// A product while the tree is read.
#[derive(Default)]
struct Product<'a> {
    described: Described<'a>,
    parts: Vec<u32>,
    /// Where it is defined; if it is not, its first reference was reported.
    place: Option<Place>,
    /// Where it is first referred to, unless it was defined before.
    reference: Option<String>,
    range: Option<Text<'a>>,
    version: Option<Text<'a>>,
}

/// What a product id stands for in a claim.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) product: Keyed,
    pub(super) subcomponent: Option<Keyed>,
    /// The versions that the branches name and the key does not.
    pub(super) scope: Option<Arc<str>>,
}

/// What makes a product id unique beyond its document.
struct Local {
    namespace: String,
    /// What stands before the product id in its key.
    prefix: String,
}

impl Local {
    fn new(namespace: String, tracking_id: &str) -> Self {
        let prefix = format!("csaf-local:{}|{}|", Self::escaped(&namespace), Self::escaped(tracking_id));
        Self { namespace, prefix }
    }

    fn key(&self, product_id: &str) -> String {
        [&self.prefix, Self::escaped(product_id).as_ref()].concat()
    }

    fn escaped(text: &str) -> Cow<'_, str> {
        match text.bytes().any(|byte| matches!(byte, b'%' | b'|')) {
            true => text.replace('%', "%25").replace('|', "%7C").into(),
            false => text.into(),
        }
    }
}

/// Collects definitions and references; both may come first.
pub(super) struct Collector<'a> {
    ids: Ids<'a>,
    list: Vec<Product<'a>>,
    local: Local,
}

impl<'a> Collector<'a> {
    pub(super) fn new(header: &Header) -> Self {
        let namespace = header.facts.issuer.as_ref().map(|issuer| issuer.id.clone()).unwrap_or_default();
        let local = Local::new(namespace, header.facts.id.as_deref().unwrap_or_default());
        Self { ids: Ids::default(), list: Vec::new(), local }
    }

    /// The number of a product that is referred to at `pointer`.
    pub(super) fn refer(&mut self, id: Text<'a>, pointer: impl FnOnce() -> String) -> u32 {
        if let Some(number) = self.ids.find(&id) {
            return number;
        }
        self.list.push(Product { reference: Some(pointer()), ..Product::default() });
        self.ids.add(id)
    }

    fn product(&mut self, id: Text<'a>) -> &mut Product<'a> {
        let number = self.ids.find(&id).unwrap_or_else(|| {
            self.list.push(Product::default());
            self.ids.add(id)
        });
        &mut self.list[number as usize]
    }

    /// Adds a definition. An id that is defined twice is one product with the identifiers of both.
    pub(super) fn define(
        &mut self,
        id: Text<'a>,
        definition: Definition<'a>,
        trail: &[(Text<'a>, Text<'a>)],
        findings: &mut Findings,
    ) {
        let Definition { mut described, parts, place } = definition;
        let named = |category: &str| {
            trail.iter().rev().find(|(found, _)| found == category).map(|(_, name)| name.clone())
        };
        described.vendor = named("vendor");
        if !gives_key(&described) {
            let key = trail_key(&self.local.namespace, trail);
            described.fallback = key.map(|key| (ComponentKind::CsafName, key));
        }
        let product = self.product(id);
        if product.place.is_some() {
            let message = "This product id is defined twice, and was read as one product with the identifiers of both; \
                           name one of them anew.";
            tell(findings, Code::AmbiguousProduct, || place.pointer(), message);
            product.described.identifiers.append(&mut described.identifiers);
            product.described.also.append(&mut described.also);
            if product.parts.is_empty() {
                product.parts = parts;
            }
            return;
        }
        product.range = named("product_version_range");
        product.version = named("product_version");
        product.described = described;
        product.parts = parts;
        product.place = Some(place);
    }

    /// Resolves every product.
    pub(super) fn finish(mut self, findings: &mut Findings) -> Products<'a> {
        for (product, id) in self.list.iter_mut().zip(&self.ids.list) {
            if product.place.is_none() {
                let reference = product.reference.take().unwrap_or_default();
                report_undefined(id, || reference, findings);
            }
        }
        let parts: Vec<_> = self.list.iter_mut().map(|product| std::mem::take(&mut product.parts)).collect();
        let chains = Chains::of(parts.iter().map(Vec::as_slice).collect());
        for number in &chains.circular {
            report_circular(&self.list[*number as usize], &self.ids.list[*number as usize], findings);
        }
        for ((number, product), id) in (0..).zip(&mut self.list).zip(&self.ids.list) {
            let described = &mut product.described;
            if chains.is_whole(number) && described.fallback.is_none() && !gives_key(described) {
                described.fallback = Some((ComponentKind::CsafLocal, self.local.key(id)));
            }
        }
        let mut begins = vec![false; self.list.len()];
        for number in 0..self.list.len() {
            begins[chains.ends(number as u32).0 as usize] |= !chains.is_whole(number as u32);
        }
        let mut whole = Vec::with_capacity(self.list.len());
        for ((number, product), begins) in (0..).zip(&mut self.list).zip(begins) {
            whole.push(chains.is_whole(number).then(|| product.whole(findings)));
            if chains.is_whole(number) && !begins {
                // No composition is described by it, and there may be a million.
                product.described = Described::default();
            }
        }
        let targets = (0..).zip(&self.list);
        let targets = targets
            .map(|(number, product)| product.target(number, &self.list, &chains, &whole, findings))
            .collect();
        Products { ids: self.ids, targets, local: self.local }
    }
}

/// Whether some identifier gives a key: all kinds do but those that are only kept.
fn gives_key(described: &Described<'_>) -> bool {
    described.identifiers.iter().any(|(kind, _)| !matches!(kind, IdentifierType::Other(_)))
}

fn resolve(described: &Described<'_>, pointer: impl Fn() -> String, findings: &mut Findings) -> Keyed {
    let keyed = component::resolve(described, findings, pointer);
    keyed.expect("an identifier or the fallback gives a key to every product")
}

/// The products of a document, by number.
pub(super) struct Products<'a> {
    ids: Ids<'a>,
    targets: Vec<Target>,
    local: Local,
}

impl<'a> Products<'a> {
    /// The number of a product. One that the tree does not define is known by its id alone.
    pub(super) fn refer(
        &mut self,
        id: Text<'a>,
        pointer: impl FnOnce() -> String,
        findings: &mut Findings,
    ) -> u32 {
        if let Some(number) = self.ids.find(&id) {
            return number;
        }
        let fallback = Some((ComponentKind::CsafLocal, self.local.key(&id)));
        let product = resolve(&Described { fallback, ..Described::default() }, String::new, findings);
        report_undefined(&id, pointer, findings);
        self.targets.push(Target { product, subcomponent: None, scope: None });
        self.ids.add(id)
    }

    pub(super) fn get(&self, number: u32) -> &Target {
        &self.targets[number as usize]
    }

    /// Refuses a document that has more products than are kept.
    ///
    /// # Errors
    /// If there were more so far.
    pub(super) fn check_number(&self) -> Result<(), Rejection> {
        if self.ids.refused {
            let message = "The document names more than 1,048,576 products; split it into several documents.";
            return Err(rejection(Code::TooManyClaims, "/product_tree", message));
        }
        Ok(())
    }
}

/// A product that is not composed, with the versions its branches name.
type Whole = (Keyed, Option<Arc<str>>);

impl<'a> Product<'a> {
    fn pointer(&self) -> String {
        self.place.as_ref().map(Place::pointer).unwrap_or_default()
    }

    fn whole(&self, findings: &mut Findings) -> Whole {
        let keyed = resolve(&self.described, || self.pointer(), findings);
        let scope = scope(&keyed, self.range.as_deref(), self.version.as_deref());
        (keyed, scope)
    }

    fn target(
        &self,
        number: u32,
        list: &[Self],
        chains: &Chains<'_>,
        whole: &[Option<Whole>],
        findings: &mut Findings,
    ) -> Target {
        let part = |number: u32| whole[number as usize].clone().expect("chains end in whole products");
        if chains.is_whole(number) {
            let (product, scope) = part(number);
            return Target { product, subcomponent: None, scope };
        }
        let (first, last) = chains.ends(number);
        let ((component, inner), (host, outer)) = (part(first), part(last));
        let scope = match (outer, inner) {
            (Some(outer), Some(inner)) => Some(format!("{outer} & {inner}").into()),
            (outer, inner) => outer.or(inner),
        };
        let mut also = self.described.identifiers.clone();
        also.extend_from_slice(&self.described.also);
        for between in chains.between(number) {
            also.push((IdentifierType::Other("via"), part(between).0.component.key.clone().into()));
        }
        let subcomponent = if also.is_empty() {
            component
        } else {
            let mut described = list[first as usize].described.clone();
            described.also.append(&mut also);
            resolve(&described, || self.pointer(), findings)
        };
        Target { product: host, subcomponent: Some(subcomponent), scope }
    }
}

fn report_undefined(id: &str, pointer: impl FnOnce() -> String, findings: &mut Findings) {
    findings.add(Code::UndefinedProduct, pointer, || {
        format!("The product tree does not define {}, which is known by its id only; define it.", quoted(id))
    });
}

/// The key that the branches give: namespace, vendor, product and version, and then every other branch with its
/// category, since products that differ in architecture or service pack are different products.
///
/// In names, `%`, `/` and `=` are percent-encoded, so no two trails have one key.
fn trail_key(namespace: &str, trail: &[(Text<'_>, Text<'_>)]) -> Option<String> {
    let escaped = |text: &str| text.replace('%', "%25").replace('/', "%2F").replace('=', "%3D");
    let [mut vendor, mut product, mut version] = [None, None, None];
    let mut others = String::new();
    for (category, name) in trail {
        let slot = match category.as_ref() {
            "vendor" => &mut vendor,
            "product_name" => &mut product,
            "product_version" | "product_version_range" => &mut version,
            _ => &mut None,
        };
        let is_slot = matches!(
            category.as_ref(),
            "vendor" | "product_name" | "product_version" | "product_version_range"
        );
        if is_slot && slot.is_none() {
            *slot = Some(escaped(name));
        } else {
            let _ = write!(others, "/{}={}", escaped(category), escaped(name));
        }
    }
    if product.is_none() && version.is_none() {
        return None;
    }
    let part = Option::unwrap_or_default;
    Some(format!("csaf-name:{namespace}/{}/{}/{}{others}", part(vendor), part(product), part(version)))
}

/// The versions that the branches name, where the key does not name them: a range beside an identifier, or a version
/// beside a model, a stock keeping unit or a CPE name for any version.
///
/// A version beside a purl is left out: Red Hat writes the name of the package there, and a purl without version
/// means every version.
fn scope(keyed: &Keyed, range: Option<&str>, version: Option<&str>) -> Option<Arc<str>> {
    use ComponentKind::{Cpe23, CsafLocal, CsafName, Digest, Model, Sku};
    let any_version = match keyed.component.kind {
        Digest | CsafName | CsafLocal => return None,
        Cpe23 => keyed.component.key.split(':').nth(6) == Some("*"),
        Sku | Model => true,
        _ => false,
    };
    range.or(version.filter(|_| any_version)).map(Arc::from)
}

fn report_circular(product: &Product<'_>, id: &str, findings: &mut Findings) {
    findings.add(
        Code::CircularProduct,
        || product.pointer(),
        || {
            format!(
                "{} is composed of itself, and is known by its id only; name the products it is made of.",
                quoted(id)
            )
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_with_too_many_products_is_refused() {
        let list = vec![Text::Borrowed("known"); MAX_PRODUCTS - 1];
        let ids = Ids { list, ..Ids::default() };
        let mut products = Products { ids, targets: Vec::new(), local: Local::new(String::new(), "") };
        let add = |products: &mut Products<'static>, id: &'static str| {
            products.ids.find(id).unwrap_or_else(|| products.ids.add(id.into()))
        };
        assert_eq!(add(&mut products, "last") as usize, MAX_PRODUCTS - 1);
        assert_eq!(add(&mut products, "last") as usize, MAX_PRODUCTS - 1);
        assert!(products.check_number().is_ok());
        add(&mut products, "one more");
        assert_eq!(products.ids.list.len(), MAX_PRODUCTS);
        assert_eq!(products.check_number().unwrap_err().code, Code::TooManyClaims);
    }
}

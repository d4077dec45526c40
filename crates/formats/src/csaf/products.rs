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
use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use provex_core::json::{Content, Node};
use provex_core::vex::ComponentKind;

use super::chains::{Chains, Parts};
use super::header::Header;
use super::identifiers::identify;
use super::{Edition, FullName, Text, rejection, tell};
use crate::component::{self, Described, IdentifierType, Keyed};
use crate::document::MAX_KEY_BYTES;
use crate::report::{Code, Findings, Rejection, quoted};
use crate::stated::is_blank;
use crate::typed::Shape as _;

/// The branches on the way to products.
#[derive(Default)]
pub(super) struct Branches<'a>(Vec<Branch<'a>>);

struct Branch<'a> {
    /// The branch that it stands in.
    parent: Option<u32>,
    /// Its place there.
    n: u32,
    category: Text<'a>,
    names: Names,
    name: Text<'a>,
}

/// What the name of a branch says of the products below it, beside their key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Vendor,
    Version,
    Range,
    Other,
}

impl Names {
    fn of(category: &str) -> Self {
        match category {
            "vendor" => Self::Vendor,
            "product_version" => Self::Version,
            "product_version_range" => Self::Range,
            _ => Self::Other,
        }
    }
}

impl<'a> Branches<'a> {
    /// Adds a branch and gives its number.
    pub(super) fn add(&mut self, parent: Option<u32>, n: usize) -> u32 {
        // A text of less than 2 GiB has fewer branches than that.
        let (category, names, name) = (Text::default(), Names::Other, Text::default());
        self.0.push(Branch { parent, n: n as u32, category, names, name });
        self.0.len() as u32 - 1
    }

    /// Says what a branch is called.
    pub(super) fn call(&mut self, number: u32, category: Text<'a>, name: Text<'a>) {
        let branch = &mut self.0[number as usize];
        branch.names = Names::of(&category);
        (branch.category, branch.name) = (category, name);
    }

    pub(super) fn pointer(&self, number: u32) -> String {
        let way: Vec<_> = self.up_from(Some(number)).map(|branch| branch.n).collect();
        let mut pointer = String::with_capacity("/product_tree".len() + way.len() * "/branches/000".len());
        pointer.push_str("/product_tree");
        for n in way.iter().rev() {
            let _ = write!(pointer, "/branches/{n}");
        }
        pointer
    }

    /// A branch, then the one that it stands in, up to the root.
    fn up_from(&self, number: Option<u32>) -> impl Iterator<Item = &Branch<'a>> {
        let at = |number: Option<u32>| Some(&self.0[number? as usize]);
        std::iter::successors(at(number), move |branch| at(branch.parent))
    }
}

/// Where a product is defined, and where that stands in the document.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) list: InList,
    /// The number of the full product name's [`Node`].
    pub(super) name: u32,
}

/// The list that a product is defined in. Written out only for findings.
#[derive(Clone, Copy)]
pub(super) enum InList {
    /// In the branch of this number.
    Branch(u32),
    Name(u32),
    Path(u32),
    Relationship(u32),
}

impl InList {
    pub(super) fn pointer(self, branches: &Branches<'_>) -> String {
        match self {
            Self::Branch(number) => format!("{}/product", branches.pointer(number)),
            Self::Name(n) => format!("/product_tree/full_product_names/{n}"),
            Self::Path(n) => format!("/product_tree/product_paths/{n}/full_product_name"),
            Self::Relationship(n) => format!("/product_tree/relationships/{n}/full_product_name"),
        }
    }

    const fn branch(self) -> Option<u32> {
        match self {
            Self::Branch(number) => Some(number),
            Self::Name(_) | Self::Path(_) | Self::Relationship(_) => None,
        }
    }
}

/// Most products of a document: what is kept of one takes some hundred bytes, and its id may have one.
const MAX_PRODUCTS: usize = 1 << 20;

/// The ids of products, numbered as they are met.
#[derive(Default)]
struct Ids<'a> {
    hasher: DefaultHashBuilder,
    /// Hash and number of each.
    numbers: HashTable<(u32, u32)>,
    list: Vec<Text<'a>>,
    /// The last number that was found.
    last: usize,
    /// Whether there were more than [`MAX_PRODUCTS`]. The document is then refused, so that those beyond may be taken
    /// for the first until it is.
    refused: bool,
}

impl<'a> Ids<'a> {
    /// The number of an id, and whether it is new. Lists of ids tend to be in the order of definitions, so the next one
    /// is tried first.
    fn number(&mut self, id: Text<'a>) -> (u32, bool) {
        let next = self.last + 1;
        if self.list.get(next).is_some_and(|found| *found == id) {
            self.last = next;
            return (next as u32, false);
        }
        // Half of the hash is kept, so that a table that grows need not look at the ids again.
        let hash = self.hasher.hash_one(id.as_ref()) as u32;
        let whole = |hash: u32| u64::from(hash) << 32 | u64::from(hash);
        let is_same = |(found, number): &(u32, u32)| *found == hash && self.list[*number as usize] == id;
        if let Some((_, number)) = self.numbers.find(whole(hash), is_same) {
            self.last = *number as usize;
            return (*number, false);
        }
        if self.list.len() == MAX_PRODUCTS {
            self.refused = true;
            return (0, false);
        }
        let number = self.list.len() as u32;
        self.list.push(id);
        self.numbers.insert_unique(whole(hash), (hash, number), |(hash, _)| whole(*hash));
        (number, true)
    }
}

/// A product: where it is told what it is. That is read again where it is needed, for a document may have a million.
#[derive(Clone, Copy, Default)]
struct Product {
    /// Where it is defined; if it is not, its first reference was reported.
    place: Option<Place>,
    /// Whether its definition, and not only what it is composed of, has identifiers.
    has_identifiers: bool,
}

/// What a product id stands for in a claim.
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
        let prefix = format!("csaf-local:{}|{}|", escaped(cut(&namespace)), escaped(cut(tracking_id)));
        Self { namespace, prefix }
    }

    fn key(&self, product_id: &str) -> String {
        [&self.prefix, escaped(product_id).as_ref()].concat()
    }
}

/// A part of a key whose parts have `|` between them.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| matches!(byte, b'%' | b'|')) {
        true => text.replace('%', "%25").replace('|', "%7C").into(),
        false => text.into(),
    }
}

/// Collects definitions and references; both may come first.
pub(super) struct Collector<'a> {
    products: Products<'a>,
    parts: Parts,
    /// Products that are referred to before they are defined, if they are, and where.
    references: Vec<(u32, String)>,
    /// What is wrong with the identifiers of products.
    faults: Findings,
    /// Whether products were defined in the order of their numbers, and each once: then `faults` is in order.
    in_order: bool,
}

impl<'a> Collector<'a> {
    /// `root` is any value of the document.
    pub(super) fn new(root: Node<'a>, header: &Header) -> Self {
        let facts = &header.facts;
        let namespace = facts.issuer.as_ref().map(|issuer| issuer.id.clone()).unwrap_or_default();
        // An id is one of its issuer's; where either is missing, nothing but the bytes tells documents apart.
        let local = match facts.id.as_deref().filter(|_| !namespace.is_empty()) {
            Some(id) => Local::new(namespace, id),
            None => Local::new(namespace, &format!("sha256:{}", facts.digest.to_text())),
        };
        Self {
            products: Products::new(root, header.edition, local),
            parts: Parts::default(),
            references: Vec::new(),
            faults: Findings::default(),
            in_order: true,
        }
    }

    pub(super) const fn branches(&mut self) -> &mut Branches<'a> {
        &mut self.products.branches
    }

    /// Where a branch stands.
    pub(super) fn branch(&self, number: u32) -> String {
        self.products.branches.pointer(number)
    }

    pub(super) fn pointer(&self, list: InList) -> String {
        list.pointer(&self.products.branches)
    }

    /// The number of a product that is referred to at `pointer`.
    pub(super) fn refer(&mut self, id: Text<'a>, pointer: impl FnOnce() -> String) -> u32 {
        let (number, is_new) = self.products.number(id);
        if is_new {
            self.references.push((number, pointer()));
        }
        number
    }

    /// Adds a definition. An id that is defined twice is one product with the identifiers of both. `parts` is what it
    /// is composed of, component first; nothing if it is not.
    pub(super) fn define(
        &mut self,
        id: Text<'a>,
        described: &mut Described<'a>,
        parts: &[u32],
        place: Place,
        findings: &mut Findings,
    ) {
        let (number, is_new) = self.products.number(id);
        self.in_order &= is_new || !parts.is_empty();
        let product = &mut self.products.list[number as usize];
        product.has_identifiers |= !described.identifiers.is_empty() || !described.also.is_empty();
        if product.place.is_some() {
            self.in_order = false;
            let message = "This product id is defined twice, and was read as one product with the identifiers of both; \
                           name one of them anew.";
            tell(findings, Code::AmbiguousProduct, || self.pointer(place.list), message);
            self.products.repeated.push((number, place));
            self.products.known[number as usize] = None;
            if self.parts.of(number).is_empty() {
                self.parts.set(number, parts);
            }
            return;
        }
        product.place = Some(place);
        self.parts.set(number, parts);
        if parts.is_empty() && !self.products.is_spent() {
            self.products.add_vendor_and_trail(described, place);
            self.products.add_local(described, number);
            self.products.make(described, number, &mut self.faults);
        }
    }

    /// The products, all looked at: what is wrong with one is told whether or not a claim is made about it.
    pub(super) fn finish(self, findings: &mut Findings) -> Products<'a> {
        let Self { mut products, parts, references, faults, in_order } = self;
        for (number, reference) in references {
            if products.list[number as usize].place.is_none() {
                report_undefined(&products.ids.list[number as usize], || reference, findings);
            }
        }
        products.chains = Chains::of(parts);
        products.repeated.sort_by_key(|(number, _)| *number);
        for number in &products.chains.circular {
            report_circular(|| products.pointer(*number), &products.ids.list[*number as usize], findings);
        }
        let numbers = 0..products.list.len() as u32;
        if products.chains.circular.is_empty() && (in_order || faults.total() == 0) {
            findings.append(faults);
            let mut repeated: Vec<_> = products.repeated.iter().map(|(number, _)| *number).collect();
            repeated.dedup();
            products.look_at(repeated, findings);
        } else {
            products.forget();
            products.look_at(numbers.clone(), findings);
        }
        for number in numbers {
            if !products.is_spent() && !products.chains.is_whole(number) && products.has_own_component(number)
            {
                products.component(number, findings);
            }
        }
        products
    }
}

/// Whether some identifier gives a key: all kinds do but those that are only kept, and numbers of no vendor.
fn gives_key(described: &Described<'_>) -> bool {
    described.identifiers.iter().any(|(kind, _)| match kind {
        IdentifierType::Model | IdentifierType::Sku => described.vendor.is_some(),
        IdentifierType::Other(_) => false,
        _ => true,
    })
}

/// The products of a document, by number.
pub(super) struct Products<'a> {
    /// Any value of the document.
    root: Node<'a>,
    edition: Edition,
    ids: Ids<'a>,
    list: Vec<Product>,
    branches: Branches<'a>,
    /// Definitions of products that were defined before, by number once the tree is read.
    repeated: Vec<(u32, Place)>,
    chains: Chains,
    /// What was made of products lately: of one that is composed, its component.
    known: Vec<Option<Whole>>,
    /// The numbers of those.
    kept: Vec<u32>,
    /// How many bytes those were described in.
    kept_bytes: usize,
    /// How many bytes descriptions may still come to.
    left: usize,
    local: Local,
}

/// A product that is not composed, with the versions its branches name.
type Whole = (Keyed, Option<Arc<str>>);

/// Most products that are kept as they stand in claims: each takes several times what the document has of it.
const MAX_KNOWN: usize = 4_096;
/// Most bytes that those may be described in. What a document says once, many products can be described by: their
/// branches, a component that they are composed of, the hosts between.
const MAX_KNOWN_BYTES: usize = 16 << 20;
/// Most bytes that all descriptions of one document's products may come to, each time that one is made. A million
/// products that have a name, a purl and a few branches take a quarter of it.
const MAX_DESCRIBED: usize = 1 << 30;

impl<'a> Products<'a> {
    fn new(root: Node<'a>, edition: Edition, local: Local) -> Self {
        Self {
            root,
            edition,
            ids: Ids::default(),
            list: Vec::new(),
            branches: Branches::default(),
            repeated: Vec::new(),
            chains: Chains::default(),
            known: Vec::new(),
            kept: Vec::new(),
            kept_bytes: 0,
            left: MAX_DESCRIBED,
            local,
        }
    }

    /// The number of a product, and whether it is new.
    fn number(&mut self, id: Text<'a>) -> (u32, bool) {
        let (number, is_new) = self.ids.number(id);
        if is_new {
            self.list.push(Product::default());
            self.known.push(None);
        }
        (number, is_new)
    }

    /// The number of a product. One that the tree does not define is known by its id alone.
    pub(super) fn refer(
        &mut self,
        id: Text<'a>,
        pointer: impl FnOnce() -> String,
        findings: &mut Findings,
    ) -> u32 {
        let (number, is_new) = self.number(id);
        if is_new {
            report_undefined(&self.ids.list[number as usize], pointer, findings);
        }
        number
    }

    /// What a product stands for in a claim. What is wrong with it was told.
    pub(super) fn target(&mut self, number: u32) -> Target {
        if self.chains.is_whole(number) {
            let (product, scope) = self.whole(number);
            return Target { product, subcomponent: None, scope };
        }
        let (first, last) = self.chains.ends(number);
        let ((_, inner), (product, outer)) = (self.whole(first), self.whole(last));
        let scope = match (outer, inner) {
            (Some(outer), Some(inner)) => {
                self.spend(outer.len() + inner.len());
                Some(format!("{outer} & {inner}").into())
            }
            (outer, inner) => outer.or(inner),
        };
        let subcomponent = Some(self.component(number, &mut Findings::default()));
        Target { product, subcomponent, scope }
    }

    /// Tells what is wrong with those of some products that are not composed.
    fn look_at(&mut self, numbers: impl IntoIterator<Item = u32>, findings: &mut Findings) {
        for number in numbers {
            if self.chains.is_whole(number) && !self.is_spent() {
                self.make(&self.describe(number), number, findings);
            }
        }
    }

    fn whole(&mut self, number: u32) -> Whole {
        if let Some(known) = &self.known[number as usize] {
            return known.clone();
        }
        if self.is_spent() {
            return (nothing(), None);
        }
        self.make(&self.describe(number), number, &mut Findings::default()).clone()
    }

    /// The component of a product that is composed: with what lies between it and its host, and with what identifies
    /// the composition, so that claims about two of them stay two.
    fn component(&mut self, number: u32, findings: &mut Findings) -> Keyed {
        if let Some((known, _)) = &self.known[number as usize] {
            return known.clone();
        }
        let (first, _) = self.chains.ends(number);
        if !self.has_own_component(number) {
            return self.whole(first).0;
        }
        if self.is_spent() {
            return nothing();
        }
        let own = self.describe(number);
        let mut described = self.describe(first);
        described.also.extend(own.identifiers);
        described.also.extend(own.also);
        for host in self.chains.between(number) {
            let key = cut(&self.whole(host).0.component.key).to_owned();
            described.also.push((IdentifierType::Other("via"), key.into()));
        }
        self.make(&described, number, findings).0.clone()
    }

    /// Whether the component of a product that is composed is not that of others that begin with the same part.
    pub(super) fn has_own_component(&self, number: u32) -> bool {
        self.list[number as usize].has_identifiers || !self.chains.between(number).is_empty()
    }

    fn resolve(&self, described: &Described<'_>, number: u32, findings: &mut Findings) -> Whole {
        let keyed = component::resolve(described, findings, || self.pointer(number))
            .expect("an identifier or the fallback gives a key to every product");
        let place = self.list[number as usize].place;
        let scope = place.and_then(|place| scope(&keyed, |names| self.named(place, names)));
        (keyed, scope)
    }

    /// Makes a product of its description, and keeps it for a while.
    fn make(&mut self, described: &Described<'_>, number: u32, findings: &mut Findings) -> &Whole {
        let whole = self.resolve(described, number, findings);
        let bytes = described.bytes() + whole.1.as_ref().map_or(0, |scope| scope.len());
        self.spend(bytes);
        if self.kept.len() == MAX_KNOWN || self.kept_bytes.saturating_add(bytes) > MAX_KNOWN_BYTES {
            self.forget();
        }
        self.kept.push(number);
        self.kept_bytes += bytes;
        self.known[number as usize].insert(whole)
    }

    /// Counts what is gone through for a product.
    pub(super) const fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// How many bytes were gone through so far.
    #[cfg(test)]
    pub(super) const fn described_bytes(&self) -> usize {
        MAX_DESCRIBED - self.left
    }

    /// Whether the document is refused for its descriptions, so that no more is to be made of it.
    const fn is_spent(&self) -> bool {
        self.left == 0
    }

    fn forget(&mut self) {
        self.kept_bytes = 0;
        for number in self.kept.drain(..) {
            self.known[number as usize] = None;
        }
    }

    /// All that describes a product, read again.
    fn describe(&self, number: u32) -> Described<'a> {
        let mut described = Described::default();
        if let Some(place) = self.list[number as usize].place {
            described = self.describe_at(place);
            self.add_vendor_and_trail(&mut described, place);
            let first = self.repeated.partition_point(|(found, _)| *found < number);
            for (_, place) in self.repeated[first..].iter().take_while(|(found, _)| *found == number) {
                let mut more = self.describe_at(*place);
                described.identifiers.append(&mut more.identifiers);
                described.also.append(&mut more.also);
            }
        }
        self.add_local(&mut described, number);
        described
    }

    fn describe_at(&self, place: Place) -> Described<'a> {
        let Content::Object(members) = self.root.at(place.name).content() else {
            return Described::default();
        };
        let name = FullName::object(members).unwrap_or_default();
        let mut described = Described::default();
        describe(name, &mut described, self.edition, &String::new, &mut Findings::default());
        described
    }

    fn add_vendor_and_trail(&self, described: &mut Described<'a>, place: Place) {
        let vendor = self.named(place, Names::Vendor).filter(|vendor| !is_blank(Some(cut(vendor))));
        described.vendor = vendor.map(|vendor| match vendor {
            Cow::Borrowed(vendor) => cut(vendor).into(),
            Cow::Owned(vendor) => cut(vendor).to_owned().into(),
        });
        if !gives_key(described) && !self.local.namespace.is_empty() {
            let trail: Vec<_> = self.branches.up_from(place.list.branch()).collect();
            let key = trail_key(&self.local.namespace, trail.into_iter().rev());
            described.fallback = key.map(|key| (ComponentKind::CsafName, key));
        }
    }

    fn add_local(&self, described: &mut Described<'a>, number: u32) {
        if described.fallback.is_none() && !gives_key(described) {
            let key = self.local.key(&self.ids.list[number as usize]);
            described.fallback = Some((ComponentKind::CsafLocal, key));
        }
    }

    /// The name of the innermost branch that names this.
    fn named(&self, place: Place, names: Names) -> Option<&Text<'a>> {
        let mut branches = self.branches.up_from(place.list.branch());
        branches.find(|branch| branch.names == names).map(|branch| &branch.name)
    }

    fn pointer(&self, number: u32) -> String {
        let place = self.list[number as usize].place;
        place.map(|place| place.list.pointer(&self.branches)).unwrap_or_default()
    }

    /// Refuses a document that has more products than are kept, or whose products are described at more length than is
    /// gone through.
    ///
    /// # Errors
    /// If it was more so far.
    pub(super) fn check_number(&self) -> Result<(), Rejection> {
        let message = if self.ids.refused {
            "The document names more than 1,048,576 products; split it into several documents."
        } else if self.is_spent() {
            "What the products of this document share, such as names of branches, a component of many or the ids of a \
             vulnerability, comes to more than 1 GiB over all of them; shorten it, or split the document."
        } else {
            return Ok(());
        };
        Err(rejection(Code::TooManyClaims, "/product_tree", message))
    }
}

/// Adds what a full product name says of its product.
pub(super) fn describe<'a>(
    name: FullName<'a>,
    described: &mut Described<'a>,
    edition: Edition,
    at: &dyn Fn() -> String,
    findings: &mut Findings,
) {
    described.name = name.name.take(findings, || format!("{}/name", at()), "a string");
    let at_helper = || format!("{}/product_identification_helper", at());
    if let Some(helper) = name.helper.take(findings, at_helper, "an object") {
        identify(helper, described, edition, &at_helper, findings);
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
fn trail_key<'t, 'a: 't>(namespace: &str, trail: impl Iterator<Item = &'t Branch<'a>>) -> Option<String> {
    let escaped = |text: &'t str| {
        let text = cut(text);
        match text.bytes().any(|byte| matches!(byte, b'%' | b'/' | b'=')) {
            true => Text::from(text.replace('%', "%25").replace('/', "%2F").replace('=', "%3D")),
            false => text.into(),
        }
    };
    let [mut vendor, mut product, mut version] = [None, None, None];
    let mut others = String::new();
    for Branch { category, name, .. } in trail {
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
    let namespace = cut(namespace);
    Some(format!("csaf-name:{namespace}/{}/{}/{}{others}", part(vendor), part(product), part(version)))
}

/// What a key is made of, as far as it matters: a part that is longer makes the key too long, and its claim is dropped.
fn cut(part: &str) -> &str {
    let mut ends = MAX_KEY_BYTES + 1..part.len();
    ends.find(|end| part.is_char_boundary(*end)).map_or(part, |end| &part[..end])
}

/// What stands for a product in a document that is refused.
fn nothing() -> Keyed {
    let described =
        Described { fallback: Some((ComponentKind::CsafLocal, String::new())), ..Described::default() };
    component::resolve(&described, &mut Findings::default(), String::new).expect("a fallback gives a key")
}

/// The versions that the branches name, where the key does not name them: a range beside an identifier, or a version
/// beside a model, a stock keeping unit or a CPE name for any version.
///
/// A version beside a purl is left out: Red Hat writes the name of the package there, and a purl without version
/// means every version.
fn scope<'t>(keyed: &Keyed, named: impl Fn(Names) -> Option<&'t Text<'t>>) -> Option<Arc<str>> {
    use ComponentKind::{Cpe23, CsafLocal, CsafName, Digest, Model, Sku};
    let any_version = match keyed.component.kind {
        Digest | CsafName | CsafLocal => return None,
        Cpe23 => keyed.component.key.split(':').nth(6) == Some("*"),
        Sku | Model => true,
        _ => false,
    };
    let version = || named(Names::Version).filter(|_| any_version);
    named(Names::Range).or_else(version).map(|name| Arc::from(name.as_ref()))
}

fn report_circular(pointer: impl FnOnce() -> String, id: &str, findings: &mut Findings) {
    findings.add(Code::CircularProduct, pointer, || {
        format!(
            "{} is composed of itself, and is known by its id only; name the products it is made of.",
            quoted(id)
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use provex_core::json::{Limits, index};

    #[test]
    fn a_document_with_too_many_products_is_refused() {
        let list = vec![Text::Borrowed("known"); MAX_PRODUCTS - 1];
        let indexed = index(b"{}", &Limits::document()).unwrap();
        let mut products = Products::new(indexed.root(), Edition::V20, Local::new(String::new(), ""));
        products.ids.list = list;
        assert_eq!(products.ids.number("last".into()), (MAX_PRODUCTS as u32 - 1, true));
        assert_eq!(products.ids.number("last".into()), (MAX_PRODUCTS as u32 - 1, false));
        assert!(products.check_number().is_ok());
        products.ids.number("one more".into());
        assert_eq!(products.ids.list.len(), MAX_PRODUCTS);
        assert_eq!(products.check_number().unwrap_err().code, Code::TooManyClaims);
    }

    #[test]
    fn products_that_share_much_are_not_kept_for_long_and_have_a_limit() {
        let indexed = index(b"{}", &Limits::document()).unwrap();
        let mut products = Products::new(indexed.root(), Edition::V20, Local::new(String::new(), ""));
        let name = "x".repeat(1 << 20);
        let described = |product: &str| Described {
            name: Some(name.as_str().into()),
            fallback: Some((ComponentKind::CsafLocal, product.to_owned())),
            ..Described::default()
        };
        for n in 0..100 {
            let (number, _) = products.number(n.to_string().into());
            products.make(&described(&n.to_string()), number, &mut Findings::default());
            let known = products.known.iter().flatten();
            let bytes: usize = known.map(|(known, _)| known.component.name.as_ref().unwrap().len()).sum();
            assert!(bytes <= MAX_KNOWN_BYTES, "{bytes} bytes are kept of {n} products");
        }
        assert!(products.check_number().is_ok());
        assert!((100 << 20..101 << 20).contains(&(MAX_DESCRIBED - products.left)));
        // The versions that a branch names are copied for each product, too.
        let range = "x".repeat(1 << 20);
        let branch = products.branches.add(None, 0);
        products.branches.call(branch, "product_version_range".into(), range.as_str().into());
        products.list[0].place = Some(Place { list: InList::Branch(branch), name: 0 });
        let sku = Described {
            identifiers: vec![(IdentifierType::Sku, "1".into())],
            vendor: Some("ACME".into()),
            ..Described::default()
        };
        let before = products.left;
        products.make(&sku, 0, &mut Findings::default());
        assert!(before - products.left > 1 << 20);
        products.left = 1 << 20;
        products.whole(0);
        products.make(&described("last"), 0, &mut Findings::default());
        assert_eq!(products.check_number().unwrap_err().code, Code::TooManyClaims);
    }

    #[test]
    fn a_part_of_a_key_is_cut_only_where_it_makes_the_key_too_long() {
        for (part, length) in [("a", 1_024), ("a", 1_025), ("\u{1f600}", 256)] {
            let part = part.repeat(length);
            assert_eq!(cut(&part), part);
        }
        assert_eq!(cut(&"a".repeat(9_000)).len(), 1_025);
        assert_eq!(cut(&"\u{1f600}".repeat(9_000)).len(), 1_028);
    }
}

//! What a `ref` stands for: an element of this BOM, one of another BOM, or nothing that is known.

use std::borrow::Cow;
use std::cell::OnceCell;

use provex_core::vex::ComponentKind;

use provex_core::json;

use super::elsewhere::{Elsewhere, Kind};
use super::facts::is_uuid;
use super::{Component, Dependency, Hash, Service, report_unknown};
use crate::component::{self, Components, IdentifierType, Keyed};
use crate::document::DocumentFacts;
use crate::memo::Memo;
use crate::purl::percent_decoded;
use crate::report::{Code, Findings, quoted};
use crate::stated::is_blank;
use crate::typed::{List, Member};

/// What a claim is about.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) product: Keyed,
    pub(super) subcomponent: Option<Keyed>,
}

impl Target {
    fn product(product: Keyed) -> Self {
        Self { product, subcomponent: None }
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.product.too_long || self.subcomponent.as_ref().is_some_and(|component| component.too_long)
    }
}

/// What a BOM says of the product that it describes.
pub(super) enum Described<'b, 'a> {
    By(&'b Component<'a>),
    /// Something that cannot be read, so that its parts are not taken for products of their own.
    Unreadably,
    Not,
}

/// The components and services of a BOM, found by their bom-ref. Those that it describes, and those in its lists, are
/// all looked at; those that stand elsewhere only if a statement is about them.
pub(super) struct Elements<'b, 'a> {
    nodes: Vec<Node<'b, 'a>>,
    /// The nodes that have a bom-ref, sorted by it.
    by_ref: Vec<(&'b str, usize)>,
    elsewhere: Elsewhere<'a>,
    /// What makes a name of this BOM's one of the world's: its serial number, or else its digest.
    scope: String,
    /// Whether the product is described, but not so that it can be read.
    is_unreadable: bool,
    /// The BOM-Link of this document.
    own_link: Option<String>,
    /// The product that the BOM describes, once it was asked for.
    product: OnceCell<Option<Keyed>>,
    /// What every ref so far stands for.
    known: Memo<Cow<'a, str>, Option<Target>>,
}

#[derive(Clone, Copy)]
enum Element<'b, 'a> {
    Component(&'b Component<'a>),
    Service(&'b Service<'a>),
}

struct Node<'b, 'a> {
    element: Element<'b, 'a>,
    /// The element that it stands in; at the top only `metadata.component` has none and no number.
    parent: Option<usize>,
    number: Option<usize>,
}

impl<'b, 'a> Element<'b, 'a> {
    const fn bom_ref(self) -> &'b Member<Cow<'a, str>> {
        match self {
            Self::Component(component) => &component.bom_ref,
            Self::Service(service) => &service.bom_ref,
        }
    }

    /// Group, name and version in one line.
    fn name(self) -> Option<Cow<'a, str>> {
        let (group, name, version) = match self {
            Self::Component(Component { group, name, version, .. })
            | Self::Service(Service { group, name, version, .. }) => (group, name, version),
        };
        let text = |member: &'b Member<Cow<'a, str>>| member.value().filter(|text| !is_blank(Some(text)));
        let name = text(name)?;
        let group = text(group).map(|group| format!("{group}/")).unwrap_or_default();
        let version = text(version).map(|version| format!("@{version}")).unwrap_or_default();
        Some(format!("{group}{name}{version}").into())
    }

    /// Says what of it cannot be read.
    fn report_members(self, at: impl Fn() -> String, findings: &mut Findings) {
        let of = |key: &str| format!("{}/{key}", at());
        let mut text = |key: &str, member: &Member<Cow<'a, str>>| {
            member.check(findings, || of(key), "a string");
        };
        let unknown = match self {
            Self::Component(Component { bom_ref, group, name, version, unknown, .. })
            | Self::Service(Service { bom_ref, group, name, version, unknown, .. }) => {
                for (key, member) in
                    [("bom-ref", bom_ref), ("group", group), ("name", name), ("version", version)]
                {
                    text(key, member);
                }
                unknown
            }
        };
        if !unknown.is_empty() {
            report_unknown(unknown, &at(), findings);
        }
        match self {
            Self::Service(service) => report_list(&service.services, || of("services"), findings),
            Self::Component(component) => {
                report_list(&component.components, || of("components"), findings);
                report_identifiers(component, of, findings);
            }
        }
    }

    /// Adds what identifies it, in a fixed order.
    fn describe(self, described: &mut component::Described<'a>) {
        let Self::Component(component) = self else { return };
        let text = |member: &Member<Cow<'a, str>>| member.value().cloned();
        let (purl, cpe) = (text(&component.purl), text(&component.cpe));
        let tag = component.swid.value().and_then(|swid| text(&swid.tag_id));
        let cpe_type = match cpe.as_deref().map(IdentifierType::of_iri) {
            Some(IdentifierType::Cpe22) => IdentifierType::Cpe22,
            _ => IdentifierType::Cpe23,
        };
        described.add(Some(IdentifierType::Purl), purl);
        described.add(Some(cpe_type), cpe);
        described.add(Some(IdentifierType::Swid), tag);
        let hashes = component.hashes.value().into_iter().flatten().filter_map(Member::value);
        for Hash { algorithm, content, .. } in hashes {
            let (Some(algorithm), Some(content)) = (algorithm.value(), content.value()) else { continue };
            described.add(Some(IdentifierType::Hash(algorithm.clone())), Some(content.clone()));
        }
    }
}

impl<'b, 'a> Elements<'b, 'a> {
    pub(super) fn of(
        product: Described<'b, 'a>,
        components: &'b Member<Vec<Member<Box<Component<'a>>>>>,
        services: &'b Member<Vec<Member<Box<Service<'a>>>>>,
        facts: &DocumentFacts,
        root: json::Node<'a>,
        findings: &mut Findings,
    ) -> Self {
        let mut nodes = Vec::new();
        if let Described::By(product) = product {
            nodes.push(Node { element: Element::Component(product), parent: None, number: None });
        }
        push(&mut nodes, None, components, Element::Component);
        push(&mut nodes, None, services, Element::Service);
        report_list(components, || "/components".to_owned(), findings);
        report_list(services, || "/services".to_owned(), findings);
        let mut next = 0;
        while let Some(node) = nodes.get(next) {
            match node.element {
                Element::Component(component) => {
                    push(&mut nodes, Some(next), &component.components, Element::Component);
                }
                Element::Service(service) => {
                    push(&mut nodes, Some(next), &service.services, Element::Service)
                }
            }
            next += 1;
        }
        let mut by_ref: Vec<_> = nodes
            .iter()
            .enumerate()
            .filter_map(|(n, node)| Some((node.element.bom_ref().value()?.as_ref(), n)))
            .collect();
        by_ref.sort_unstable();
        let elements = Self {
            nodes,
            by_ref,
            elsewhere: Elsewhere::of(root),
            scope: scope(facts),
            is_unreadable: matches!(product, Described::Unreadably),
            own_link: own_link(facts),
            product: OnceCell::new(),
            known: Memo::default(),
        };
        for (n, node) in elements.nodes.iter().enumerate() {
            node.element.report_members(|| elements.pointer(n), findings);
        }
        elements.report_doubles(findings);
        elements
    }

    /// Says which dependencies are of or on nothing in the document.
    pub(super) fn report_dependencies(
        &self,
        dependencies: Member<List<'_, Dependency<'_>>>,
        findings: &mut Findings,
    ) {
        let is_known = |name: &str| is_bom_link(name) || self.is_known(name);
        let listed = dependencies.take(findings, || "/dependencies".to_owned(), "a list");
        for (n, dependency) in listed.into_iter().flatten().enumerate() {
            let at = || format!("/dependencies/{n}");
            let Some(dependency) = dependency.take(findings, at, "an object") else { continue };
            report_unknown(&dependency.unknown, &at(), findings);
            let of = || format!("{}/ref", at());
            let is_absent = dependency.reference.is_absent();
            match dependency.reference.take(findings, of, "a string") {
                Some(name) if !is_known(&name) => report_dangling(&name, findings, &of),
                None if is_absent => findings.add(Code::DanglingRef, of, || {
                    "The dependency does not say of what; add the `ref` of an element.".to_owned()
                }),
                _ => {}
            }
            for (key, list) in [("dependsOn", dependency.depends_on), ("provides", dependency.provides)] {
                let listed = list.take(findings, || format!("{}/{key}", at()), "a list of strings");
                for (m, name) in listed.into_iter().flatten().enumerate() {
                    let on = || format!("{}/{key}/{m}", at());
                    let name = name.take(findings, on, "a string");
                    if let Some(name) = name.filter(|name| !is_known(name)) {
                        report_dangling(&name, findings, &on);
                    }
                }
            }
        }
    }

    fn report_doubles(&self, findings: &mut Findings) {
        let pairs = self.by_ref.iter().zip(self.by_ref.iter().skip(1));
        for (_, (other, n)) in pairs.filter(|((one, _), (other, _))| one == other) {
            report_double(other, || self.pointer(*n), findings);
        }
    }

    /// Whether some component or service in the BOM's lists has this bom-ref, or what the BOM describes.
    pub(super) fn has(&self, bom_ref: &str) -> bool {
        !self.nodes_of(bom_ref).is_empty()
    }

    /// Whether anything in the document has this bom-ref.
    fn is_known(&self, bom_ref: &str) -> bool {
        self.has(bom_ref) || self.elsewhere.has(bom_ref)
    }

    fn nodes_of(&self, bom_ref: &str) -> &[(&'b str, usize)] {
        let begin = self.by_ref.partition_point(|(other, _)| *other < bom_ref);
        let end = self.by_ref.partition_point(|(other, _)| *other <= bom_ref);
        &self.by_ref[begin..end]
    }

    fn pointer(&self, n: usize) -> String {
        let Node { element, parent, number } = &self.nodes[n];
        let Some(number) = number else { return "/metadata/component".to_owned() };
        let list = match element {
            Element::Component(_) => "components",
            Element::Service(_) => "services",
        };
        // As deep as the document.
        let parent = parent.map(|parent| self.pointer(parent)).unwrap_or_default();
        format!("{parent}/{list}/{number}")
    }

    /// What a whole BOM is about.
    pub(super) fn whole(&self, components: &mut Components<'a>, findings: &mut Findings) -> Option<Target> {
        let product = self.product(components, findings);
        let product = product.or_else(|| {
            let described = component::Described { fallback: Some(self.itself()), ..Default::default() };
            components.resolve(&described, findings, String::new)
        });
        product.map(Target::product)
    }

    /// The product that the BOM describes, where it says which.
    fn product(&self, components: &mut Components<'a>, findings: &mut Findings) -> Option<Keyed> {
        self.product.get_or_init(|| self.describe_product(components, findings)).clone()
    }

    fn describe_product(&self, components: &mut Components<'a>, findings: &mut Findings) -> Option<Keyed> {
        let Some(product) = self.nodes.first().filter(|node| node.number.is_none()) else {
            let fallback = Some(self.itself()).filter(|_| self.is_unreadable);
            let described = component::Described { fallback, ..Default::default() };
            return components.resolve(&described, findings, String::new);
        };
        let element = product.element;
        match element.bom_ref().value().filter(|name| !is_blank(Some(name))) {
            Some(bom_ref) => self.element(bom_ref, components, findings),
            None => {
                let fallback = Some(self.itself());
                let mut described =
                    component::Described { name: element.name(), fallback, ..Default::default() };
                element.describe(&mut described);
                components.resolve(&described, findings, || self.pointer(0))
            }
        }
    }

    /// The element of this bom-ref. Several are one with the identifiers of all.
    fn element(
        &self,
        bom_ref: &str,
        components: &mut Components<'a>,
        findings: &mut Findings,
    ) -> Option<Keyed> {
        let nodes = self.nodes_of(bom_ref);
        let (_, first) = *nodes.first()?;
        let name = self.nodes[first].element.name();
        let mut described =
            component::Described { name, fallback: Some(self.local(bom_ref)), ..Default::default() };
        for (_, n) in nodes {
            self.nodes[*n].element.describe(&mut described);
        }
        components.resolve(&described, findings, || self.pointer(first))
    }

    /// The element of this bom-ref that is in no list of the BOM's, likewise.
    fn element_elsewhere(
        &self,
        bom_ref: &str,
        components: &mut Components<'a>,
        findings: &mut Findings,
    ) -> Option<Keyed> {
        let mut described =
            component::Described { fallback: Some(self.local(bom_ref)), ..Default::default() };
        let mut first = None;
        for (kind, node) in self.elsewhere.elements(bom_ref) {
            let at = || self.elsewhere.pointer(node);
            let (component, service);
            let element = match kind {
                Kind::Component => {
                    component = Member::<Component<'_>>::of(node);
                    component.value().map(Element::Component)
                }
                Kind::Service => {
                    service = Member::<Service<'_>>::of(node);
                    service.value().map(Element::Service)
                }
                Kind::Other => None,
            };
            let Some(element) = element else { continue };
            element.report_members(at, findings);
            element.describe(&mut described);
            match first {
                None => {
                    described.name = element.name();
                    first = Some(node);
                }
                Some(_) => report_double(bom_ref, at, findings),
            }
        }
        let first = first?;
        components.resolve(&described, findings, || self.elsewhere.pointer(first))
    }

    /// The key of what the BOM is about, where it does not say what that is.
    fn itself(&self) -> (ComponentKind, String) {
        (ComponentKind::Inherited, format!("inherited:{}", self.scope))
    }

    /// The key of a name that means something in this BOM only.
    fn local(&self, bom_ref: &str) -> (ComponentKind, String) {
        (ComponentKind::CsafLocal, format!("csaf-local:cyclonedx|{}|{bom_ref}", self.scope))
    }

    /// What `reference` stands for. What is wrong with it is a finding where it occurs first.
    pub(super) fn resolve(
        &mut self,
        reference: Cow<'a, str>,
        components: &mut Components<'a>,
        findings: &mut Findings,
        pointer: &dyn Fn() -> String,
    ) -> Option<Target> {
        let reference = self.own_name(reference);
        if let Some(known) = self.known.get(reference.as_ref()) {
            return known.clone();
        }
        let mut untold = Findings::default();
        let findings = if self.known.is_told(reference.as_ref()) { &mut untold } else { findings };
        let before = findings.total();
        let target = self.target(reference.clone(), components, findings, pointer);
        self.known.insert(reference, target.clone(), findings.total() > before);
        target
    }

    /// The bom-ref that a BOM-Link into this document names, or the reference as it is. In a link the name may be
    /// escaped, for it is the f-component of a URN (`iana.org/assignments/urn-formal/cdx`).
    fn own_name(&self, reference: Cow<'a, str>) -> Cow<'a, str> {
        let own = self.own_link.as_deref().and_then(|link| reference.strip_prefix(link)?.strip_prefix('#'));
        let Some(name) = own.filter(|name| !name.is_empty()) else { return reference };
        let unescaped = percent_decoded(name).filter(|other| !self.is_known(name) && self.is_known(other));
        unescaped.map_or_else(|| name.to_owned(), Cow::into_owned).into()
    }

    fn target(
        &self,
        reference: Cow<'a, str>,
        components: &mut Components<'a>,
        findings: &mut Findings,
        pointer: &dyn Fn() -> String,
    ) -> Option<Target> {
        if self.own_link.as_deref() == Some(&*reference) {
            return self.whole(components, findings);
        }
        if is_bom_link(&reference) {
            let mut described = component::Described::default();
            described.add(Some(IdentifierType::Iri), Some(reference));
            return components.resolve(&described, findings, pointer).map(Target::product);
        }
        if let Some(part) = self.part(&reference, components, findings) {
            return Some(part);
        }
        report_dangling(&reference, findings, pointer);
        let fallback = Some(self.local(&reference));
        let mut described = component::Described { fallback, ..Default::default() };
        let kind = match IdentifierType::of_iri(&reference) {
            IdentifierType::Iri => IdentifierType::Other("bom-ref"),
            known => known,
        };
        described.add(Some(kind), Some(reference));
        let part = components.resolve(&described, findings, pointer)?;
        Some(self.inside(part, components, findings))
    }

    /// The element of this bom-ref, as a part of the product.
    fn part(
        &self,
        bom_ref: &str,
        components: &mut Components<'a>,
        findings: &mut Findings,
    ) -> Option<Target> {
        if !self.has(bom_ref) {
            let part = self.element_elsewhere(bom_ref, components, findings)?;
            return Some(self.inside(part, components, findings));
        }
        let is_product = self.nodes_of(bom_ref).iter().any(|(_, n)| self.nodes[*n].number.is_none());
        let part = self.element(bom_ref, components, findings)?;
        Some(if is_product { Target::product(part) } else { self.inside(part, components, findings) })
    }

    /// A part of the product that the BOM describes, or a product of its own if it describes none.
    fn inside(&self, part: Keyed, components: &mut Components<'a>, findings: &mut Findings) -> Target {
        match self.product(components, findings) {
            Some(product) => Target { product, subcomponent: Some(part) },
            None => Target::product(part),
        }
    }
}

fn report_double(bom_ref: &str, at: impl Fn() -> String, findings: &mut Findings) {
    findings.add(
        Code::AmbiguousProduct,
        || format!("{}/bom-ref", at()),
        || {
            let name = quoted(bom_ref);
            format!("Another element has the bom-ref {name} too, and they are taken for one; make it unique.")
        },
    );
}

fn push<'b, 'a, T>(
    nodes: &mut Vec<Node<'b, 'a>>,
    parent: Option<usize>,
    list: &'b Member<Vec<Member<Box<T>>>>,
    element: fn(&'b T) -> Element<'b, 'a>,
) {
    for (number, member) in list.value().into_iter().flatten().enumerate() {
        let Some(value) = member.value() else { continue };
        nodes.push(Node { element: element(value), parent, number: Some(number) });
    }
}

/// Says what of a list of elements cannot be read.
fn report_list<T>(list: &Member<Vec<Member<T>>>, at: impl Fn() -> String, findings: &mut Findings) {
    list.check(findings, &at, "a list of objects");
    for (n, member) in list.value().into_iter().flatten().enumerate() {
        member.check(findings, || format!("{}/{n}", at()), "an object");
    }
}

fn report_identifiers(component: &Component<'_>, of: impl Fn(&str) -> String, findings: &mut Findings) {
    component.purl.check(findings, || of("purl"), "a string");
    component.cpe.check(findings, || of("cpe"), "a string");
    component.swid.check(findings, || of("swid"), "an object");
    if let Some(swid) = component.swid.value() {
        swid.tag_id.check(findings, || of("swid/tagId"), "a string");
        if !swid.unknown.is_empty() {
            report_unknown(&swid.unknown, &of("swid"), findings);
        }
    }
    report_list(&component.hashes, || of("hashes"), findings);
    for (n, hash) in component.hashes.value().into_iter().flatten().enumerate() {
        let Some(Hash { algorithm, content, unknown }) = hash.value() else { continue };
        algorithm.check(findings, || of(&format!("hashes/{n}/alg")), "a string");
        content.check(findings, || of(&format!("hashes/{n}/content")), "a string");
        if !unknown.is_empty() {
            report_unknown(unknown, &of(&format!("hashes/{n}")), findings);
        }
    }
}

/// What makes a name of this BOM's one of the world's. Escaped, for what follows it in a key is set off by `|`.
fn scope(facts: &DocumentFacts) -> String {
    match &facts.id {
        Some(serial) => serial.replace('%', "%25").replace('|', "%7C"),
        None => format!("sha256:{}", facts.digest.to_text()),
    }
}

/// The BOM-Link of the document, where it can have one.
fn own_link(facts: &DocumentFacts) -> Option<String> {
    let link =
        format!("urn:cdx:{}/{}", facts.id.as_deref()?.strip_prefix("urn:uuid:")?, facts.revision.as_deref()?);
    is_bom_link(&link).then_some(link)
}

/// Whether this is a BOM-Link: `urn:cdx:UUID/VERSION`, for an element with `#` and its bom-ref.
fn is_bom_link(reference: &str) -> bool {
    let Some((serial, rest)) = reference.strip_prefix("urn:cdx:").and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let (version, element) =
        rest.split_once('#').map_or((rest, None), |(version, name)| (version, Some(name)));
    let counted = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    is_uuid(serial) && counted && !version.starts_with('0') && element != Some("")
}

fn report_dangling(reference: &str, findings: &mut Findings, pointer: &dyn Fn() -> String) {
    findings.add(Code::DanglingRef, pointer, || {
        let name = quoted(reference);
        if reference.starts_with("urn:cdx:") {
            format!(
                "{name} is no BOM-Link and no bom-ref of this document; write `urn:cdx:UUID/VERSION#BOM-REF`."
            )
        } else {
            format!("{name} is no bom-ref of this document; name a component of it, or use a BOM-Link.")
        }
    });
}

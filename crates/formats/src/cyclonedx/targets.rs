//! What a `ref` stands for: an element of this BOM, one of another BOM, or nothing that is known.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use provex_core::vex::ComponentKind;

use super::facts::{copied, is_uuid};
use super::{Component, Hash, Service};
use crate::component::{Components, Described, IdentifierType, Keyed};
use crate::document::DocumentFacts;
use crate::report::{Code, Findings, quoted};
use crate::stated::is_blank;
use crate::typed::Member;

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

/// The components and services of a BOM, found by their bom-ref.
pub(super) struct Elements<'b, 'a> {
    nodes: Vec<Node<'b, 'a>>,
    /// The nodes that have a bom-ref, sorted by it.
    by_ref: Vec<(&'b str, usize)>,
    /// What makes a name of this BOM's one of the world's: its serial number, or else its digest.
    scope: String,
    /// The BOM-Link of this document.
    own_link: Option<String>,
    /// The product that the BOM describes, once it was asked for.
    product: OnceCell<Option<Keyed>>,
    /// What every ref so far stands for.
    known: BTreeMap<Cow<'a, str>, Option<Target>>,
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
}

impl<'b, 'a> Elements<'b, 'a> {
    pub(super) fn of(
        product: &'b Member<Component<'a>>,
        components: &'b Member<Vec<Member<Box<Component<'a>>>>>,
        services: &'b Member<Vec<Member<Box<Service<'a>>>>>,
        facts: &DocumentFacts,
        findings: &mut Findings,
    ) -> Self {
        let mut nodes = Vec::new();
        if let Some(product) = product.value() {
            nodes.push(Node { element: Element::Component(product), parent: None, number: None });
        }
        push(&mut nodes, None, components, Element::Component);
        push(&mut nodes, None, services, Element::Service);
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
            scope: facts.id.clone().unwrap_or_else(|| format!("sha256:{}", facts.digest.to_text())),
            own_link: own_link(facts),
            product: OnceCell::new(),
            known: BTreeMap::new(),
        };
        elements.report_doubles(findings);
        elements
    }

    fn report_doubles(&self, findings: &mut Findings) {
        let pairs = self.by_ref.iter().zip(self.by_ref.iter().skip(1));
        for (_, (other, n)) in pairs.filter(|((one, _), (other, _))| one == other) {
            let pointer = || format!("{}/bom-ref", self.pointer(*n));
            findings.add(Code::AmbiguousProduct, pointer, || {
                let name = quoted(other);
                format!(
                    "Another element has the bom-ref {name} too, and they are taken for one; make it unique."
                )
            });
        }
    }

    /// Whether some component or service has this bom-ref.
    pub(super) fn has(&self, bom_ref: &str) -> bool {
        !self.nodes_of(bom_ref).is_empty()
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
            let fallback = Some((ComponentKind::Inherited, format!("inherited:{}", self.scope)));
            components.resolve(Described { fallback, ..Described::default() }, findings, String::new)
        });
        product.map(Target::product)
    }

    /// The product that the BOM describes, where it says which.
    fn product(&self, components: &mut Components<'a>, findings: &mut Findings) -> Option<Keyed> {
        self.product.get_or_init(|| self.describe_product(components, findings)).clone()
    }

    fn describe_product(&self, components: &mut Components<'a>, findings: &mut Findings) -> Option<Keyed> {
        let element = self.nodes.first().filter(|node| node.number.is_none())?.element;
        match element.bom_ref().value().filter(|name| !is_blank(Some(name))) {
            Some(bom_ref) => self.element(bom_ref, components, findings),
            None => {
                let mut described = Described { name: element.name(), ..Described::default() };
                described.fallback = Some((ComponentKind::Inherited, format!("inherited:{}", self.scope)));
                self.describe(0, &mut described, findings);
                components.resolve(described, findings, || self.pointer(0))
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
        let mut described = Described { name, fallback: Some(self.local(bom_ref)), ..Described::default() };
        for (_, n) in nodes {
            self.describe(*n, &mut described, findings);
        }
        components.resolve(described, findings, || self.pointer(first))
    }

    /// The key of a name that means something in this BOM only.
    fn local(&self, bom_ref: &str) -> (ComponentKind, String) {
        (ComponentKind::CsafLocal, format!("csaf-local:cyclonedx|{}|{bom_ref}", self.scope))
    }

    fn describe(&self, n: usize, described: &mut Described<'a>, findings: &mut Findings) {
        let Element::Component(component) = self.nodes[n].element else { return };
        let at = || self.pointer(n);
        let mut text = |member: &Member<Cow<'a, str>>, key: &str| {
            copied(member).take(findings, || format!("{}/{key}", at()), "a string")
        };
        let (purl, cpe) = (text(&component.purl, "purl"), text(&component.cpe, "cpe"));
        let tag = component.swid.value().and_then(|swid| text(&swid.tag_id, "swid/tagId"));
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

    /// What `reference` stands for. What is wrong with it is a finding where it occurs first.
    pub(super) fn resolve(
        &mut self,
        reference: Cow<'a, str>,
        components: &mut Components<'a>,
        findings: &mut Findings,
        pointer: &dyn Fn() -> String,
    ) -> Option<Target> {
        if let Some(known) = self.known.get(reference.as_ref()) {
            return known.clone();
        }
        let target = self.target(reference.clone(), components, findings, pointer);
        self.known.insert(reference, target.clone());
        target
    }

    fn target(
        &self,
        reference: Cow<'a, str>,
        components: &mut Components<'a>,
        findings: &mut Findings,
        pointer: &dyn Fn() -> String,
    ) -> Option<Target> {
        if self.has(&reference) {
            return self.part(&reference, components, findings);
        }
        if let Some(rest) = self.own_link.as_deref().and_then(|link| reference.strip_prefix(link)) {
            match rest.strip_prefix('#') {
                Some(element) if self.has(element) => return self.part(element, components, findings),
                None if rest.is_empty() => return self.whole(components, findings),
                _ => {}
            }
        }
        if is_bom_link(&reference) {
            let mut described = Described::default();
            described.add(Some(IdentifierType::Iri), Some(reference));
            return components.resolve(described, findings, pointer).map(Target::product);
        }
        report_dangling(&reference, findings, pointer);
        let fallback = Some(self.local(&reference));
        let mut described = Described { fallback, ..Described::default() };
        let kind = match IdentifierType::of_iri(&reference) {
            IdentifierType::Iri => IdentifierType::Other("bom-ref"),
            known => known,
        };
        described.add(Some(kind), Some(reference));
        let part = components.resolve(described, findings, pointer)?;
        Some(self.inside(part, components, findings))
    }

    /// The element of this bom-ref, as a part of the product.
    fn part(
        &self,
        bom_ref: &str,
        components: &mut Components<'a>,
        findings: &mut Findings,
    ) -> Option<Target> {
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

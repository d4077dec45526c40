//! The graph of an SPDX 3 document: its elements, wherever they stand, found by their ids.
//!
//! JSON-LD lets an object stand where its id could, one value where a list could, and `@id` and `@type` for
//! `spdxId` and `type`; all are read alike. Elements with one id are one element, as in RDF.

use std::borrow::Cow;

use provex_core::json::{self, Elements, Members};
use provex_core::vex::Format;

use super::{ExternalIdentifier, ExternalMap, IntegrityMethod, Text};
use crate::report::{Code, Findings, Rejection, child};
use crate::typed::{Member, Shape, Type};

/// One value, or a list of them.
#[derive(Debug)]
pub(super) struct Many<T> {
    pub(super) list: Vec<Member<T>>,
    /// Whether the document has a list here.
    pub(super) is_list: bool,
}

impl<T> Many<T> {
    fn one(value: T) -> Self {
        Self { list: vec![Member::Value(value)], is_list: false }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.list.iter().filter_map(Member::value)
    }
}

impl<'a, T: Shape<'a>> Shape<'a> for Many<T> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        T::text(text).map(Self::one)
    }

    fn object(members: Members<'a>) -> Option<Self> {
        T::object(members).map(Self::one)
    }

    fn array(elements: Elements<'a>) -> Option<Self> {
        Vec::array(elements).map(|list| Self { list, is_list: true })
    }
}

/// An element where another one refers to it: its id, or itself.
#[derive(Debug)]
pub(super) enum Reference<'a> {
    Id(Text<'a>),
    Inline(Box<Node<'a>>),
}

pub(super) type References<'a> = Member<Many<Reference<'a>>>;

impl<'a> Shape<'a> for Reference<'a> {
    fn text(text: Cow<'a, str>) -> Option<Self> {
        Some(Self::Id(text))
    }

    fn object(members: Members<'a>) -> Option<Self> {
        Node::object(members).map(|node| Self::Inline(Box::new(node)))
    }
}

/// An object of the graph, the document's outermost one included. All types share this one: what has which
/// members is not checked.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) types: Member<Many<Text<'a>>>,
    pub(super) id: Member<Text<'a>>,
    pub(super) creation_info: References<'a>,
    pub(super) name: Member<Text<'a>>,
    pub(super) from: References<'a>,
    pub(super) to: References<'a>,
    pub(super) relationship_type: Member<Text<'a>>,
    pub(super) external_identifiers: Member<Many<ExternalIdentifier<'a>>>,
    pub(super) verified_using: Member<Many<IntegrityMethod<'a>>>,
    pub(super) package_url: Member<Text<'a>>,
    /// Those of few nodes, kept apart since a document may have a million nodes.
    pub(super) rare: Option<Box<Rare<'a>>>,
    /// Whether a member's name lacks the prefix of its profile.
    pub(super) unprefixed: bool,
    /// A second spelling of a member that is there already.
    doubled: Option<Text<'a>>,
    /// Whether it has anything besides an id.
    has_content: bool,
}

#[derive(Debug, Default)]
pub(super) struct Rare<'a> {
    pub(super) context: Member<Many<Text<'a>>>,
    graph: References<'a>,
    element: References<'a>,
    root_element: References<'a>,
    imports: Member<Many<ExternalMap<'a>>>,
    pub(super) created: Member<Text<'a>>,
    pub(super) created_by: References<'a>,
    pub(super) spec_version: Member<Text<'a>>,
    pub(super) assessed: References<'a>,
    pub(super) justification: Member<Text<'a>>,
    pub(super) impact: Member<Text<'a>>,
    pub(super) action: Member<Text<'a>>,
    pub(super) notes: Member<Text<'a>>,
    pub(super) published: Member<Text<'a>>,
    pub(super) modified: Member<Text<'a>>,
    pub(super) withdrawn: Member<Text<'a>>,
    pub(super) vex_version: Member<Text<'a>>,
    pub(super) impact_time: Member<Text<'a>>,
    pub(super) action_time: Member<Text<'a>>,
    /// Keys that SPDX 3 does not have.
    pub(super) unknown: Vec<Text<'a>>,
}

/// Names of members that belong to a profile, without its prefix: so the model's own examples write them.
const UNPREFIXED: [&str; 12] = [
    "actionStatement",
    "actionStatementTime",
    "assessedElement",
    "impactStatement",
    "impactStatementTime",
    "justificationType",
    "modifiedTime",
    "packageUrl",
    "publishedTime",
    "statusNotes",
    "vexVersion",
    "withdrawnTime",
];

/// Names of members that are not read, of the profiles that VEX statements and what they are about belong to.
const UNREAD: [&str; 67] = [
    "annotationType",
    "beginIntegerRange",
    "builtTime",
    "comment",
    "completeness",
    "contentType",
    "context",
    "createdUsing",
    "dataLicense",
    "definingArtifact",
    "description",
    "endIntegerRange",
    "endTime",
    "extension",
    "externalRef",
    "externalRefType",
    "identifier",
    "issuingAuthority",
    "key",
    "locationHint",
    "locator",
    "namespace",
    "namespaceMap",
    "originatedBy",
    "prefix",
    "profileConformance",
    "releaseTime",
    "scope",
    "security_catalogType",
    "security_decisionType",
    "security_exploited",
    "security_locator",
    "security_percentile",
    "security_probability",
    "security_score",
    "security_severity",
    "security_vectorString",
    "software_additionalPurpose",
    "software_attributionText",
    "software_byteRange",
    "software_contentIdentifier",
    "software_contentIdentifierType",
    "software_contentIdentifierValue",
    "software_contentType",
    "software_copyrightText",
    "software_downloadLocation",
    "software_fileKind",
    "software_homePage",
    "software_lineRange",
    "software_packageVersion",
    "software_primaryPurpose",
    "software_sbomType",
    "software_snippetFromFile",
    "software_sourceInfo",
    "standardName",
    "startTime",
    "statement",
    "subject",
    "suppliedBy",
    "summary",
    "supportLevel",
    "validUntilTime",
    "value",
    "algorithm",
    "hashValue",
    "externalSpdxId",
    "externalIdentifierType",
];

/// How names of the other profiles begin.
const OTHER_PROFILES: [&str; 6] =
    ["ai_", "build_", "dataset_", "expandedlicensing_", "extension_", "simplelicensing_"];

/// Whether SPDX 3 has a member of this name, which is not read. Which class has which members is not checked.
fn is_unread(key: &str) -> bool {
    UNREAD.contains(&key) || OTHER_PROFILES.iter().any(|prefix| key.starts_with(prefix))
}

impl<'a> Shape<'a> for Node<'a> {
    fn object(members: Members<'a>) -> Option<Self> {
        let mut node = Self::default();
        for (key, value) in members {
            let read = node.member(&key, value);
            node.unprefixed |= UNPREFIXED.contains(&key.as_ref());
            node.has_content |= !matches!(key.as_ref(), "spdxId" | "@id" | "@context");
            match read {
                Some(true) => node.doubled = Some(key),
                None if !is_unread(&key) => node.rare.get_or_insert_default().unknown.push(key),
                _ => {}
            }
        }
        Some(node)
    }
}

impl<'a> Node<'a> {
    /// Reads the member of this name, if it is one that is read; true if another spelling of it was read before.
    fn member(&mut self, key: &str, value: json::Node<'a>) -> Option<bool> {
        Some(match key {
            "type" | "@type" => fill(&mut self.types, value),
            "spdxId" | "@id" => fill(&mut self.id, value),
            "creationInfo" => fill(&mut self.creation_info, value),
            "name" => fill(&mut self.name, value),
            "from" => fill(&mut self.from, value),
            "to" => fill(&mut self.to, value),
            "relationshipType" => fill(&mut self.relationship_type, value),
            "externalIdentifier" => fill(&mut self.external_identifiers, value),
            "verifiedUsing" => fill(&mut self.verified_using, value),
            "software_packageUrl" | "packageUrl" => fill(&mut self.package_url, value),
            _ => return self.rare_member(key, value),
        })
    }

    fn rare_member(&mut self, key: &str, value: json::Node<'a>) -> Option<bool> {
        macro_rules! fill_rare {
            ($field:ident) => {
                fill(&mut self.rare.get_or_insert_default().$field, value)
            };
        }
        Some(match key {
            "@context" => fill_rare!(context),
            "@graph" => fill_rare!(graph),
            "element" => fill_rare!(element),
            "rootElement" => fill_rare!(root_element),
            "import" => fill_rare!(imports),
            "created" => fill_rare!(created),
            "createdBy" => fill_rare!(created_by),
            "specVersion" => fill_rare!(spec_version),
            "security_assessedElement" | "assessedElement" => fill_rare!(assessed),
            "security_justificationType" | "justificationType" => fill_rare!(justification),
            "security_impactStatement" | "impactStatement" => fill_rare!(impact),
            "security_actionStatement" | "actionStatement" => fill_rare!(action),
            "security_statusNotes" | "statusNotes" => fill_rare!(notes),
            "security_publishedTime" | "publishedTime" => fill_rare!(published),
            "security_modifiedTime" | "modifiedTime" => fill_rare!(modified),
            "security_withdrawnTime" | "withdrawnTime" => fill_rare!(withdrawn),
            "security_vexVersion" | "vexVersion" => fill_rare!(vex_version),
            "security_impactStatementTime" | "impactStatementTime" => fill_rare!(impact_time),
            "security_actionStatementTime" | "actionStatementTime" => fill_rare!(action_time),
            _ => return None,
        })
    }

    /// Its members that SPDX 3 does not have.
    pub(super) fn unknown(&self) -> &[Text<'a>] {
        self.rare.as_deref().map_or(&[], |rare| &rare.unknown)
    }

    /// Its types without the IRI that their names are short for.
    pub(super) fn types(&self) -> impl Iterator<Item = &str> {
        self.types.value().into_iter().flat_map(Many::values).map(|name| local_name(name))
    }

    /// Whether it is of this type, with or without prefix.
    pub(super) fn is_a(&self, kind: &str) -> bool {
        self.types().any(|name| name.strip_prefix("security_").unwrap_or(name) == kind)
    }

    /// Whether it is withdrawn, or was at some time.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.withdrawn.is_stated())
    }

    /// An id that means the same outside of this document: no blank node's.
    pub(super) fn iri(&self) -> Option<&str> {
        self.id.value().map(Cow::as_ref).filter(|id| is_iri(id))
    }

    /// The elements that may stand inline in it, by the member they stand in.
    fn nested(&self) -> impl Iterator<Item = (&'static str, &References<'a>)> {
        let own = [("creationInfo", &self.creation_info), ("from", &self.from), ("to", &self.to)];
        let rare = self.rare.as_deref().map(|rare| {
            [
                ("@graph", &rare.graph),
                ("element", &rare.element),
                ("rootElement", &rare.root_element),
                ("createdBy", &rare.created_by),
                ("security_assessedElement", &rare.assessed),
            ]
        });
        own.into_iter().chain(rare.into_iter().flatten())
    }
}

fn fill<'a, T: Shape<'a>>(slot: &mut Member<T>, value: json::Node<'a>) -> bool {
    let is_double = !matches!(slot, Member::Absent);
    *slot = Member::of(value);
    is_double
}

/// What a term's IRI ends with, or the name itself.
pub(super) fn local_name(name: &str) -> &str {
    const TERMS: &str = "https://spdx.org/rdf/3";
    match name.strip_prefix(TERMS).and_then(|rest| rest.rsplit_once('/')) {
        Some((_, local)) => local,
        None => name,
    }
}

/// Whether an id is more than a blank node's name (RDF 1.1 section 3.5), or one of the elements that are none.
pub(super) fn is_iri(id: &str) -> bool {
    !id.trim().is_empty() && !id.starts_with("_:") && !is_none(id)
}

/// Whether an id is that of the element which says that there is none.
fn is_none(id: &str) -> bool {
    matches!(local_name(id), "NoneElement" | "NoAssertionElement")
}

/// A node and where it stands.
#[derive(Debug)]
pub(super) struct Placed<'g> {
    pub(super) node: &'g Node<'g>,
    parent: usize,
    member: &'static str,
    index: Option<usize>,
}

/// All nodes of a document.
#[derive(Debug)]
pub(super) struct Graph<'g> {
    /// In the order of the document, the outermost object first.
    nodes: Vec<Placed<'g>>,
    /// Those with an id, by id and place.
    by_id: Vec<(&'g str, usize)>,
    imports: Vec<&'g str>,
}

impl<'g> Graph<'g> {
    /// Finds the nodes of a document.
    ///
    /// Two spellings of one member, such as `type` and `@type`, are refused like a repeated key: which counts would
    /// depend on the reader.
    pub(super) fn of(root: &'g Node<'g>) -> Result<Self, Rejection> {
        let mut graph = Self { nodes: Vec::new(), by_id: Vec::new(), imports: Vec::new() };
        graph.collect(Placed { node: root, parent: 0, member: "", index: None })?;
        graph.by_id.sort_unstable();
        graph.imports.sort_unstable();
        Ok(graph)
    }

    fn collect(&mut self, placed: Placed<'g>) -> Result<(), Rejection> {
        let (node, at) = (placed.node, self.nodes.len());
        self.nodes.push(placed);
        if let Some(key) = &node.doubled {
            let message =
                "The member is there twice, in two spellings; write it once, as the SPDX context does.";
            let pointer = child(&self.pointer(at), key);
            return Err(Rejection::new(Code::DuplicateKey, Some(Format::Spdx3), pointer, message));
        }
        if let Some(id) = node.id.value().filter(|_| node.has_content) {
            self.by_id.push((id, at));
        }
        let imports = node.rare.iter().filter_map(|rare| rare.imports.value()).flat_map(Many::values);
        self.imports.extend(imports.filter_map(|import| import.id.value()).map(Cow::as_ref));
        for (member, references) in node.nested() {
            let Some(references) = references.value() else { continue };
            for (n, reference) in references.list.iter().enumerate() {
                if let Member::Value(Reference::Inline(node)) = reference {
                    let index = references.is_list.then_some(n);
                    self.collect(Placed { node, parent: at, member, index })?;
                }
            }
        }
        Ok(())
    }

    /// Says which elements of the graph are no objects: each may have been a statement.
    pub(super) fn report_unread(&self, findings: &mut Findings) {
        for (at, node) in self.nodes() {
            let Some(graph) = node.rare.as_deref().map(|rare| &rare.graph) else { continue };
            graph.check(findings, || format!("{}/@graph", self.pointer(at)), "a list of elements");
            for (n, element) in graph.value().into_iter().flat_map(|many| many.list.iter().enumerate()) {
                let of = || format!("{}/@graph/{n}", self.pointer(at));
                match element {
                    Member::Value(Reference::Id(_)) => {
                        Member::<()>::Wrong(Type::String).check(findings, of, "an object");
                    }
                    element => element.check(findings, of, "an object"),
                }
            }
        }
    }

    /// All nodes and their places.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (usize, &'g Node<'g>)> {
        self.nodes.iter().map(|placed| placed.node).enumerate()
    }

    /// The place of the first node with this id.
    pub(super) fn first_named(&self, id: &str) -> Option<usize> {
        let first = self.by_id.partition_point(|(other, _)| *other < id);
        self.by_id.get(first).filter(|(other, _)| *other == id).map(|(_, at)| *at)
    }

    /// The nodes with this id and their places.
    pub(super) fn named(&self, id: &str) -> Vec<(usize, &'g Node<'g>)> {
        let first = self.by_id.partition_point(|(other, _)| *other < id);
        let same = self.by_id.iter().skip(first).take_while(|(other, _)| *other == id);
        same.filter_map(|(_, at)| Some((*at, self.nodes.get(*at)?.node))).collect()
    }

    /// Whether the document says that the element with this id is another document's.
    pub(super) fn is_imported(&self, id: &str) -> bool {
        self.imports.binary_search(&id).is_ok()
    }

    /// The JSON pointer of the node at a place.
    pub(super) fn pointer(&self, at: usize) -> String {
        let Some(Placed { parent, member, index, .. }) = self.nodes.get(at).filter(|_| at > 0) else {
            return String::new();
        };
        match index {
            Some(index) => format!("{}/{member}/{index}", self.pointer(*parent)),
            None => format!("{}/{member}", self.pointer(*parent)),
        }
    }
}

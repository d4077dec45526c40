//! What of the XML schema is read: `bom-1.N.xsd`, in the names of the JSON schema.

/// What an element or attribute becomes.
pub(super) enum Kind {
    /// A string without the white space around it.
    Label,
    /// A term of a closed list: a string as it is, for white space is no part of such a term and the schema has none
    /// around it.
    Term,
    /// A string as it is.
    Text,
    /// A number.
    Integer,
    /// An object.
    Object(&'static Shape),
    /// An array of what its elements of this name become.
    List(&'static str, &'static Kind),
    /// Nothing: its JSON has another shape, which is read.
    Unread,
}

/// An element or attribute by its name in XML, and its key in JSON.
pub(super) struct Child {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) kind: Kind,
}

/// What of an element is read.
pub(super) struct Shape {
    pub(super) attributes: &'static [Child],
    pub(super) children: &'static [Child],
    /// The key of its text.
    pub(super) text: Option<&'static str>,
}

const fn same(name: &'static str, kind: Kind) -> Child {
    Child { name, key: name, kind }
}

const fn list(name: &'static str, element: &'static str, kind: &'static Kind) -> Child {
    Child { name, key: name, kind: Kind::List(element, kind) }
}

const fn elements(children: &'static [Child]) -> Shape {
    Shape { attributes: &[], children, text: None }
}

pub(super) static ROOT: Kind = Kind::Object(&BOM);

static BOM: Shape = Shape {
    attributes: &[same("serialNumber", Kind::Label), same("version", Kind::Integer)],
    children: &[
        same("metadata", Kind::Object(&METADATA)),
        list("annotations", "annotation", &Kind::Object(&ANNOTATION)),
        same("declarations", Kind::Object(&DECLARATIONS)),
        list("formulation", "formula", &Kind::Object(&ELEMENTS)),
        list("components", "component", &Kind::Object(&COMPONENT)),
        list("services", "service", &Kind::Object(&SERVICE)),
        same("dependencies", Kind::Unread),
        list("vulnerabilities", "vulnerability", &Kind::Object(&VULNERABILITY)),
    ],
    text: None,
};

static METADATA: Shape = elements(&[
    same("timestamp", Kind::Label),
    same("tools", Kind::Object(&ELEMENTS)),
    list("authors", "author", &Kind::Object(&PARTY)),
    same("component", Kind::Object(&COMPONENT)),
    same("manufacture", Kind::Object(&PARTY)),
    same("manufacturer", Kind::Object(&PARTY)),
    same("supplier", Kind::Object(&PARTY)),
]);

static PARTY: Shape = elements(&[same("name", Kind::Label)]);

/// Of tools, formulas and what is declared of: components and services that claims may be about.
static ELEMENTS: Shape = elements(&[
    list("components", "component", &Kind::Object(&COMPONENT)),
    list("services", "service", &Kind::Object(&SERVICE)),
]);

static ANNOTATION: Shape = elements(&[same("annotator", Kind::Object(&ANNOTATOR))]);

static ANNOTATOR: Shape =
    elements(&[same("component", Kind::Object(&COMPONENT)), same("service", Kind::Object(&SERVICE))]);

static DECLARATIONS: Shape = elements(&[same("targets", Kind::Object(&ELEMENTS))]);

static PEDIGREE: Shape = elements(&[
    list("ancestors", "component", &Kind::Object(&COMPONENT)),
    list("descendants", "component", &Kind::Object(&COMPONENT)),
    list("variants", "component", &Kind::Object(&COMPONENT)),
]);

static COMPONENT: Shape = Shape {
    attributes: &[same("bom-ref", Kind::Label)],
    children: &[
        same("group", Kind::Label),
        same("name", Kind::Label),
        same("version", Kind::Label),
        list("hashes", "hash", &Kind::Object(&HASH)),
        same("cpe", Kind::Label),
        same("purl", Kind::Label),
        same("swid", Kind::Object(&SWID)),
        same("pedigree", Kind::Object(&PEDIGREE)),
        list("components", "component", &Kind::Object(&COMPONENT)),
    ],
    text: None,
};

static HASH: Shape = Shape { attributes: &[same("alg", Kind::Label)], children: &[], text: Some("content") };

static SWID: Shape = Shape { attributes: &[same("tagId", Kind::Label)], children: &[], text: None };

static SERVICE: Shape = Shape {
    attributes: &[same("bom-ref", Kind::Label)],
    children: &[
        same("group", Kind::Label),
        same("name", Kind::Label),
        same("version", Kind::Label),
        list("services", "service", &Kind::Object(&SERVICE)),
    ],
    text: None,
};

static VULNERABILITY: Shape = Shape {
    attributes: &[same("bom-ref", Kind::Label)],
    children: &[
        same("id", Kind::Label),
        list("references", "reference", &Kind::Object(&REFERENCE)),
        same("tools", Kind::Object(&ELEMENTS)),
        same("recommendation", Kind::Text),
        same("workaround", Kind::Text),
        same("created", Kind::Label),
        same("published", Kind::Label),
        same("updated", Kind::Label),
        same("rejected", Kind::Label),
        same("analysis", Kind::Object(&ANALYSIS)),
        list("affects", "target", &Kind::Object(&TARGET)),
    ],
    text: None,
};

static REFERENCE: Shape = elements(&[same("id", Kind::Label)]);

static ANALYSIS: Shape = elements(&[
    same("state", Kind::Term),
    same("justification", Kind::Term),
    Child { name: "responses", key: "response", kind: Kind::List("response", &Kind::Term) },
    same("detail", Kind::Text),
    same("firstIssued", Kind::Label),
    same("lastUpdated", Kind::Label),
]);

static TARGET: Shape =
    elements(&[same("ref", Kind::Label), list("versions", "version", &Kind::Object(&VERSION))]);

static VERSION: Shape =
    elements(&[same("version", Kind::Label), same("range", Kind::Label), same("status", Kind::Term)]);

//! What each registered purl type asks of its components.
//!
//! Transcribed from the type definitions of the purl specification (the test below reads them in
//! `testdata/purl-spec/types` and fails on any difference but the exceptions it names).
//! Rules that a definition states in prose, or as a pattern, are code: `Purl::apply_type` in the parent module.

use super::Component::{self, Name, Namespace, Subpath, Version};
use Presence::{Optional, Prohibited, Required};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
    Prohibited,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypeRules {
    pub(super) type_: &'static str,
    pub(super) namespace: Presence,
    /// The components that are not case sensitive: lower case in the canonical form.
    pub(super) folded: &'static [Component],
    /// Qualifiers without which the purl is invalid.
    pub(super) qualifiers: &'static [&'static str],
}

/// The rules of a registered type, given in lower case. An unregistered type is valid and has none.
pub(super) fn rules(type_: &str) -> Option<&'static TypeRules> {
    let first = type_.as_bytes().first();
    TYPES.iter().find(|rules| rules.type_.as_bytes().first() == first && rules.type_ == type_)
}

const fn row(
    type_: &'static str,
    namespace: Presence,
    folded: &'static [Component],
    qualifiers: &'static [&'static str],
) -> TypeRules {
    TypeRules { type_, namespace, folded, qualifiers }
}

static TYPES: [TypeRules; 42] = [
    row("alpm", Required, &[Namespace, Name], &[]),
    row("apk", Required, &[Namespace, Name], &[]),
    row("bazel", Prohibited, &[], &[]),
    row("bitbucket", Required, &[Namespace, Name], &[]),
    row("bitnami", Prohibited, &[Name], &[]),
    row("brew", Optional, &[Namespace, Name], &[]),
    row("cargo", Prohibited, &[], &[]),
    row("chrome-extension", Prohibited, &[Name], &[]),
    row("cocoapods", Prohibited, &[], &[]),
    row("composer", Required, &[Namespace, Name], &[]),
    row("conan", Optional, &[], &[]),
    row("conda", Prohibited, &[], &[]),
    row("cpan", Optional, &[], &[]),
    row("cran", Prohibited, &[], &[]),
    row("deb", Required, &[Namespace, Name], &[]),
    row("docker", Optional, &[], &[]),
    row("gem", Prohibited, &[], &[]),
    row("generic", Optional, &[], &[]),
    row("git", Required, &[], &[]),
    row("github", Required, &[Namespace, Name], &[]),
    row("golang", Optional, &[], &[]),
    row("hackage", Prohibited, &[], &[]),
    row("hex", Optional, &[Namespace, Name], &[]),
    row("huggingface", Required, &[Version], &[]),
    row("julia", Prohibited, &[], &["uuid"]),
    row("luarocks", Optional, &[Namespace, Name], &[]),
    row("maven", Required, &[], &[]),
    row("mlflow", Prohibited, &[], &[]),
    row("npm", Optional, &[], &[]),
    row("nuget", Prohibited, &[], &[]),
    row("oci", Prohibited, &[Name, Version], &[]),
    row("opam", Prohibited, &[], &[]),
    row("otp", Prohibited, &[Name, Subpath], &[]),
    row("pub", Prohibited, &[Name], &[]),
    row("pypi", Prohibited, &[Name, Version], &[]),
    row("qpkg", Required, &[Namespace], &[]),
    row("rpm", Required, &[Namespace], &[]),
    row("swid", Optional, &[], &["tag_id"]),
    row("swift", Required, &[], &[]),
    row("vcpkg", Prohibited, &[], &[]),
    row("vscode-extension", Required, &[Namespace, Name, Version], &[]),
    row("yocto", Optional, &[Namespace], &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Where we part from a definition on purpose: type, component, why.
    const EXCEPTIONS: [(&str, Component, &str); 1] = [(
        "golang",
        Namespace,
        "required by the definition, but modules of one segment exist (`stdlib`, `go.opencensus.io`; \
         package-url/purl-spec#817) and are among the commonest subjects of VEX statements",
    )];

    fn definitions() -> Vec<Value> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/purl-spec/types");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }

    fn definition(of: &Value, component: Component) -> &Value {
        &of[match component {
            Namespace => "namespace_definition",
            Name => "name_definition",
            Version => "version_definition",
            Subpath => "subpath_definition",
            Component::Type | Component::Qualifiers => unreachable!("never folded by type"),
        }]
    }

    fn expected(of: &Value) -> (String, Presence, Vec<Component>, Vec<String>) {
        let type_ = of["type"].as_str().unwrap();
        let namespace = match definition(of, Namespace)["requirement"].as_str() {
            _ if EXCEPTIONS.iter().any(|exception| exception.0 == type_) => Optional,
            Some("required") => Required,
            Some("optional") => Optional,
            Some("prohibited") => Prohibited,
            other => panic!("{type_}: namespace {other:?}"),
        };
        let folded = [Namespace, Name, Version, Subpath]
            .into_iter()
            .filter(|component| definition(of, *component)["case_sensitive"] == false)
            .collect();
        let required = of["qualifiers_definition"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|qualifier| qualifier["requirement"] == "required")
            .map(|qualifier| qualifier["key"].as_str().unwrap().to_owned())
            .collect();
        (type_.to_owned(), namespace, folded, required)
    }

    #[test]
    fn table_says_what_the_definitions_say() {
        let mut definitions: Vec<_> = definitions().iter().map(expected).collect();
        definitions.sort_by(|a, b| a.0.cmp(&b.0));
        let table: Vec<_> = TYPES
            .iter()
            .map(|rules| {
                let qualifiers = rules.qualifiers.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
                (rules.type_.to_owned(), rules.namespace, rules.folded.to_vec(), qualifiers)
            })
            .collect();
        assert_eq!(table, definitions);
    }

    #[test]
    fn exceptions_still_differ_from_the_definitions() {
        for (type_, component, _) in EXCEPTIONS {
            let definitions = definitions();
            let of = definitions.iter().find(|of| of["type"] == type_).unwrap();
            assert_eq!(definition(of, component)["requirement"], "required", "{type_}");
        }
    }

    /// A definition that gains a pattern or a rule in words needs code in `Purl::apply_type`.
    #[test]
    fn every_rule_in_words_is_known() {
        let mut found = Vec::new();
        for of in definitions() {
            for component in [Namespace, Name, Version, Subpath] {
                for rule in ["normalization_rules", "permitted_characters"] {
                    if definition(&of, component)[rule] != Value::Null {
                        found.push(format!("{} {component:?} {rule}", of["type"].as_str().unwrap()));
                    }
                }
            }
        }
        assert_eq!(
            found,
            [
                "alpm Namespace normalization_rules", // lower case, as `case_sensitive` already says
                "alpm Version normalization_rules",   // vercmp(8) compares versions and rewrites none
                "chrome-extension Name permitted_characters",
                "chrome-extension Version permitted_characters",
                "hackage Name normalization_rules",
                "pub Name normalization_rules",
                "pub Name permitted_characters",
                "pypi Name normalization_rules",
            ]
        );
    }
}

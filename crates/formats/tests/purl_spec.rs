//! `purl-canon/1` against every case of the purl specification, against another implementation, and against itself
//! over purls of real VEX documents.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use packageurl::PackageUrl;
use provex_formats::purl::{Components, Purl, PurlError};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Suite {
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    #[serde(skip)]
    file: String,
    description: String,
    test_type: TestType,
    input: Value,
    #[serde(default)]
    expected_output: Value,
    expected_failure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TestType {
    Parse,
    Build,
    Validate,
}

/// Cases that another official case on the same text contradicts: file, text, why we side with the other.
const CONTRADICTED: [(&str, &str, &str); 2] = [
    (
        "types/gem-test.json",
        "pkg:gem/jruby-launcher@1.1.2?Platform=java",
        "a key in upper case must fail here, but the same file's roundtrip of the same text lower-cases it, as do \
         maven's cases and the specification's parse procedure",
    ),
    (
        "types/rpm-test.json",
        "pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25",
        "as above: keys in upper case must fail here, and the same file's roundtrip lower-cases them",
    ),
];

const CASES: usize = 586;

fn testdata(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/purl-spec")).join(path)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in ["spec", "types"] {
        let files = std::fs::read_dir(testdata("tests").join(folder)).unwrap();
        let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let file = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            let suite: Suite = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            cases.extend(suite.tests.into_iter().map(|case| Case { file: file.clone(), ..case }));
        }
    }
    cases
}

fn real_purls() -> Vec<String> {
    std::fs::read_to_string(testdata("real-purls.txt")).unwrap().lines().map(str::to_owned).collect()
}

impl Case {
    /// The text of a parse or roundtrip case; a build case has components.
    fn text(&self) -> Option<&str> {
        self.input.as_str()
    }

    fn is_contradicted(&self) -> bool {
        let listed = |(file, text, _): &(&str, &str, &str)| self.file == *file && self.text() == Some(*text);
        self.test_type == TestType::Parse && CONTRADICTED.iter().any(listed)
    }

    fn run(&self) -> Result<(), String> {
        let purl = match self.text() {
            Some(text) => Purl::parse(text),
            None => build(&self.input),
        };
        match (self.expected_failure, self.test_type, purl) {
            (true, _, Err(_)) => Ok(()),
            (true, _, Ok(purl)) => Err(format!("must fail, gave {}", purl.canonical())),
            (false, _, Err(error)) => Err(format!("must not fail: {error}")),
            (false, TestType::Parse, Ok(purl)) => same(&components(&purl), &self.expected_output),
            (false, TestType::Build | TestType::Validate, Ok(purl)) => {
                same(&Value::String(purl.canonical()), &self.expected_output)
            }
        }
    }
}

fn same(ours: &Value, expected: &Value) -> Result<(), String> {
    if ours == expected { Ok(()) } else { Err(format!("expected {expected}, gave {ours}")) }
}

/// A null component is an absent one; a null type or name is an empty one, and so invalid.
fn build(input: &Value) -> Result<Purl<'_>, PurlError> {
    let text = |key: &str| input[key].as_str().map(Cow::from);
    let qualifiers = input["qualifiers"].as_object().into_iter().flatten();
    Purl::try_from(Components {
        type_: text("type").unwrap_or_default(),
        namespace: text("namespace"),
        name: text("name").unwrap_or_default(),
        version: text("version"),
        qualifiers: qualifiers.map(|(key, value)| (key.into(), value.as_str().unwrap().into())).collect(),
        subpath: text("subpath"),
    })
}

fn components(purl: &Purl<'_>) -> Value {
    let qualifiers = Some(purl.qualifiers()).filter(|qualifiers| !qualifiers.is_empty());
    serde_json::json!({
        "type": purl.type_(),
        "namespace": purl.namespace(),
        "name": purl.name(),
        "version": purl.version(),
        "qualifiers": qualifiers,
        "subpath": purl.subpath(),
    })
}

#[test]
fn every_case_of_the_specification_holds() {
    let cases = cases();
    assert_eq!(cases.len(), CASES);
    let failed: Vec<_> = cases
        .iter()
        .filter(|case| !case.is_contradicted())
        .filter_map(|case| case.run().err().map(|why| format!("{}: {}: {why}", case.file, case.description)))
        .collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn contradicted_cases_are_contradicted() {
    let cases = cases();
    let contradicted: Vec<_> = cases.iter().filter(|case| case.is_contradicted()).collect();
    assert_eq!(contradicted.len(), CONTRADICTED.len());
    for case in contradicted {
        assert!(case.run().is_err(), "no longer an exception: {}", case.description);
        let opposite = |other: &Case| {
            other.file == case.file
                && other.input == case.input
                && other.expected_failure != case.expected_failure
        };
        assert!(cases.iter().any(opposite), "nothing contradicts: {}", case.description);
    }
}

/// Why `packageurl` 0.7.1 and `purl-canon/1` answer differently, and how often they do over this test's inputs.
/// The first rule that applies explains a difference.
struct Rule {
    name: &'static str,
    applies: fn(input: &str, ours: Option<&str>, theirs: Option<&str>) -> bool,
    count: usize,
}

fn is_type(input: &str, types: &[&str]) -> bool {
    let rest = input.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches('/');
    types.contains(&rest.split('/').next().unwrap_or_default().to_lowercase().as_str())
}

fn differ_in_case(ours: Option<&str>, theirs: Option<&str>) -> bool {
    ours.is_some() && ours.map(str::to_lowercase) == theirs.map(str::to_lowercase)
}

const RULES: &[Rule] = &[
    Rule {
        name: "golang and npm keep their case, as their definitions say",
        applies: |input, ours, theirs| is_type(input, &["golang", "npm"]) && differ_in_case(ours, theirs),
        count: 2,
    },
    Rule {
        name: "alpm, bitnami, brew, oci, otp and vscode-extension are lower case, as their definitions say",
        applies: |input, ours, theirs| {
            is_type(input, &["alpm", "bitnami", "brew", "oci", "otp", "vscode-extension"])
                && differ_in_case(ours, theirs)
        },
        count: 4,
    },
    Rule {
        name: "git is lower case on GitHub, as its roundtrip case says",
        applies: |input, ours, theirs| {
            is_type(input, &["git"])
                && differ_in_case(ours, theirs)
                && ours.is_some_and(|ours| ours.starts_with("pkg:git/github"))
        },
        count: 1,
    },
    Rule {
        name: "pub names hold letters, digits and underscores only",
        applies: |input, ours, _| is_type(input, &["pub"]) && ours.is_some_and(|ours| !ours.contains('-')),
        count: 1,
    },
    Rule {
        name: "cpan needs no namespace, and it is in upper case",
        applies: |input, ours, theirs| {
            is_type(input, &["cpan"]) && (theirs.is_none() || differ_in_case(ours, theirs))
        },
        count: 6,
    },
    Rule {
        name: "deb, rpm and others need a namespace, as their definitions say",
        applies: |input, ours, _| {
            is_type(input, &["deb", "rpm", "apk", "alpm", "maven", "github"]) && ours.is_none()
        },
        count: 1,
    },
    Rule {
        name: "swid needs a tag_id",
        applies: |input, ours, _| is_type(input, &["swid"]) && ours.is_none() && !input.contains("tag_id="),
        count: 1,
    },
    Rule {
        name: "the scheme is read in any case",
        applies: |input, ours, theirs| input.starts_with("PKG:") && ours.is_some() && theirs.is_none(),
        count: 1,
    },
    Rule {
        name: "a type has no plus sign",
        applies: |input, ours, _| input.starts_with("pkg:c++/") && ours.is_none(),
        count: 1,
    },
    Rule {
        name: "a stray percent sign, a key given twice and a qualifier without `=` are refused",
        applies: |_, ours, theirs| ours.is_none() && theirs.is_some(),
        count: 3,
    },
    Rule {
        name: "trailing slashes are not significant",
        applies: |input, ours, theirs| input.ends_with('/') && ours.is_some() && theirs.is_none(),
        count: 1,
    },
    Rule {
        name: "a version may come with a slash, which is encoded",
        applies: |_, ours, theirs| ours.is_some_and(|ours| ours.contains("%2F")) && theirs.is_some(),
        count: 1,
    },
    Rule {
        name: "all but letters, digits, `.-_~` and the colon is encoded",
        applies: |_, ours, theirs| {
            let decode = |text: &str| text.replace("%21", "!").replace("%2C", ",").replace("%28", "(");
            ours.map(decode).is_some_and(|ours| Some(ours.as_str()) == theirs)
        },
        count: 1,
    },
];

/// Shapes that neither the specification's cases nor the real purls have, one or more for each rule.
const SHAPES: [&str; 19] = [
    "pkg:npm/JSONStream@1.3.5",
    "pkg:oci/Nginx@sha256:13D2",
    "pkg:vscode-extension/Redhat/Java",
    "pkg:git/gitlab.gnome.org/GNOME/adwaita-fonts",
    "pkg:pub/json-annotation",
    "pkg:cpan/gdt/URI-PackageURL",
    "pkg:rpm/bash@5.2",
    "pkg:swid/Fedora@29",
    "PKG:npm/left-pad@1.3.0",
    "pkg:c++/boost@1.84.0",
    "pkg:generic/100%",
    "pkg:generic/a?os=linux&OS=windows",
    "pkg:generic/a?b",
    "pkg:generic/a/",
    "pkg:github/a/b@feature/x",
    "pkg:generic/a@1!(,",
    "pkg:generic/a+b@1+c?d=e+f",
    "pkg:deb/debian/bash@5.2?arch=&&distro=sid",
    "pkg:generic/\u{fc}\u{df}@%C3%A9",
];

#[test]
fn differences_from_packageurl_are_explained() {
    let mut inputs: BTreeSet<String> = real_purls().into_iter().collect();
    inputs.extend(SHAPES.map(str::to_owned));
    for case in cases() {
        inputs.extend(case.text().map(str::to_owned));
        inputs.extend(case.expected_output.as_str().map(str::to_owned));
    }
    let mut unexplained = Vec::new();
    let mut counts: BTreeMap<&str, usize> = RULES.iter().map(|rule| (rule.name, 0)).collect();
    for input in &inputs {
        let ours = Purl::parse(input).ok().map(|purl| purl.canonical());
        let theirs = input.parse::<PackageUrl<'_>>().ok().map(|purl| purl.to_string());
        if ours == theirs {
            continue;
        }
        match RULES.iter().find(|rule| (rule.applies)(input, ours.as_deref(), theirs.as_deref())) {
            Some(rule) => *counts.entry(rule.name).or_default() += 1,
            None => unexplained.push(format!("{input}\n  ours   {ours:?}\n  theirs {theirs:?}")),
        }
    }
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), unexplained.join("\n"));
    assert_eq!(counts, RULES.iter().map(|rule| (rule.name, rule.count)).collect());
}

/// Pins our output: a change of rules shows here, and is a new rule set.
#[test]
fn canonical_forms_of_real_purls_are_pinned() {
    let golden = std::fs::read_to_string(testdata("real-purls.canon.txt")).unwrap();
    let canonical: String = real_purls()
        .iter()
        .map(|text| match Purl::parse(text) {
            Ok(purl) => format!("{}\n", purl.canonical()),
            Err(error) => format!("! {error}\n"),
        })
        .collect();
    for ((text, ours), pinned) in real_purls().iter().zip(canonical.lines()).zip(golden.lines()) {
        assert_eq!(ours, pinned, "{text}");
    }
    assert_eq!(canonical, golden);
}

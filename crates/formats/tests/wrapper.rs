//! Documents in DSSE envelopes, in-toto Statements and Sigstore bundles.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use provex_core::digest::{Digest, base64};
use provex_core::vex::{ComponentKind, Format, Observation};
use provex_formats::{Code, ParseLimits, Parsed, Rejection, parse};

const OPENVEX: &str = "https://openvex.dev/ns/v0.2.0";

fn read(file: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_or_else(|rejection| panic!("{rejection:?}"))
}

fn rejected(text: &str) -> Rejection {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_err()
}

/// An OpenVEX document with one statement `fixed` with these members besides.
fn openvex(members: &str) -> String {
    format!(
        r#"{{"@context": "{OPENVEX}", "@id": "urn:doc", "author": "ACME", "timestamp": "2026-03-01T10:00:00Z",
        "version": 1, "statements": [{{"vulnerability": {{"name": "CVE-2026-0001"}}, "status": "fixed"{members}}}]}}"#
    )
}

/// A Statement of this predicate type with these subjects.
fn statement(predicate_type: &str, subjects: &str, predicate: &str) -> String {
    format!(
        r#"{{"_type": "https://in-toto.io/Statement/v1", "subject": [{subjects}],
        "predicateType": "{predicate_type}", "predicate": {predicate}}}"#
    )
}

fn subject(name: &str, digest: u8) -> String {
    format!(r#"{{"name": "{name}", "digest": {{"sha256": "{}"}}}}"#, hex(digest))
}

fn hex(digest: u8) -> String {
    format!("{digest:02x}").repeat(32)
}

fn envelope_of(payload: &str) -> String {
    format!(
        r#"{{"payloadType": "application/vnd.in-toto+json", "payload": "{payload}",
        "signatures": [{{"keyid": "", "sig": "c2ln"}}, {{"sig": "c2ln"}}]}}"#
    )
}

fn envelope(payload: &str) -> String {
    envelope_of(&base64(payload.as_bytes()))
}

fn findings(parsed: &Parsed) -> Vec<(Code, &str)> {
    parsed.findings.iter().map(|finding| (finding.code, finding.pointer.as_str())).collect()
}

fn places(parsed: &Parsed) -> Vec<(&str, u64, &str)> {
    let observations = parsed.observations.iter().map(|parsed| &parsed.observation);
    observations
        .map(|claim| (claim.locator.pointer.as_str(), claim.locator.index, claim.product.key.as_str()))
        .collect()
}

/// File, its findings, the digest of its predicate, and its ids: all but the findings as
/// `testdata/vex/count_spdx3.py` makes them, which knows nothing of this crate.
type Row = (&'static str, &'static [(Code, &'static str)], Option<&'static str>, &'static [&'static str]);
const CORPUS: [Row; 3] = [
    (
        "intoto/alpine-cves.openvex.json",
        &[],
        None,
        &[
            "vex:obs:sha256:ff6a4ca035e3f2c8b003c045d98b34a90ac700b910e8b799509bff60ca068a8e",
            "vex:obs:sha256:231f56c42c629ce26f1e13c62e86be865c522ca7d48ed7a36b6d2cd1f1a43253",
            "vex:obs:sha256:c52c6f81de1d516c87f5713df953430a90a034379170768adaffaa5cda8a8666",
            "vex:obs:sha256:d3d93b8ef3f270ef87d8fdbc722305f1cd137ed8018345dcb1bf7462f4c70982",
        ],
    ),
    (
        "intoto/alpine-cves.openvex.dsse.json",
        &[(Code::NotASubject, "/statements/1/products/0")],
        Some("52230afbfbb85b8e73defe3f6f001b5edd0867f263d01db81974debfb45f8a48"),
        &[
            "vex:obs:sha256:dfa7b1e123cd27bc072a81d7d3af3da823dcf454a022cd2404cd05b6f4b28314",
            "vex:obs:sha256:35031827edfbfdb2b0101a96c3cdc4fc1087dce486edf5174e82aa9b8d9a5c6c",
        ],
    ),
    (
        "hand/intoto-accept-inherited-products.json",
        &[],
        Some("f23c54fdef9243f238dc7d7249a331e4fe6f9f4a7c977f0f79c6c50167a939f2"),
        &[
            "vex:obs:sha256:dc78c9258421feb0099fb1969f390dcc8f181e298daa81620e2941dd702bf537",
            "vex:obs:sha256:3c1d6e709921d8ee790c9078875c97837a27aa8d5ed8a8d93ebd88d6bdb29709",
        ],
    ),
];

#[test]
fn every_document_of_the_corpus_gives_its_claims() {
    for (file, expected_findings, payload, ids) in CORPUS {
        let bytes = read(file);
        let parsed = parse(&bytes, &ParseLimits::default()).unwrap();
        assert_eq!(findings(&parsed), expected_findings, "{file}");
        assert_eq!(
            parsed.document.payload_digest.map(|digest| digest.to_hex()).as_deref(),
            payload,
            "{file}"
        );
        assert_eq!(*parsed.document.digest.digest(), Digest::of(&bytes), "{file}");
        let found: Vec<_> = parsed.observations.iter().map(|parsed| parsed.id.to_text()).collect();
        assert_eq!(found, ids, "{file}");
        for parsed in &parsed.observations {
            assert_eq!(Observation::from_body(&parsed.body()).unwrap(), parsed.observation, "{file}");
        }
    }
}

#[test]
fn a_manifest_of_attestations_is_no_document() {
    let rejection =
        parse(&read("intoto/alpine-cves.att.manifest.json"), &ParseLimits::default()).unwrap_err();
    assert_eq!(rejection.code, Code::UnknownFormat);
}

#[test]
fn a_claim_is_the_same_wrapped_or_bare() {
    let bare = openvex(r#", "products": [{"@id": "pkg:npm/a@1"}]"#);
    let inner = statement(OPENVEX, &subject("pkg:npm/a@1", 1), &bare);
    let bundle = format!(
        r#"{{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {{}},
        "dsseEnvelope": {}}}"#,
        envelope(&inner)
    );
    let expected = parsed(&bare);
    assert_eq!(findings(&expected), []);
    for text in [inner.clone(), inner.replace("Statement/v1", "Statement/v0.1"), envelope(&inner), bundle] {
        let wrapped = parsed(&text);
        assert_eq!(findings(&wrapped), []);
        assert_eq!(wrapped.document.payload_digest, Some(Digest::of(bare.as_bytes())));
        assert_eq!(*wrapped.document.digest.digest(), Digest::of(text.as_bytes()));
        let claims = |parsed: &Parsed| (parsed.observations[0].claim_digest(), parsed.observations.len());
        assert_eq!(claims(&wrapped), claims(&expected));
        assert_ne!(wrapped.observations[0].id, expected.observations[0].id);
        assert_eq!(places(&wrapped), places(&expected));
    }
}

#[test]
fn spdx_3_is_read_from_its_wrappers() {
    let bare = String::from_utf8(read("hand/spdx3-accept-all-four.json")).unwrap();
    let expected = parsed(&bare);
    for predicate_type in
        ["https://spdx.dev/Document", "https://spdx.dev/Document/v3", "https://spdx.dev/Document/v3.0.1"]
    {
        let wrapped = parsed(&envelope(&statement(predicate_type, &subject("image", 1), bare.trim())));
        assert_eq!(findings(&wrapped), findings(&expected), "{predicate_type}");
        assert_eq!(wrapped.document.format, Format::Spdx3);
        let claims =
            |parsed: &Parsed| parsed.observations.iter().map(|one| one.claim_digest()).collect::<Vec<_>>();
        assert_eq!(claims(&wrapped), claims(&expected), "{predicate_type}");
    }
    let old =
        rejected(&statement("https://spdx.dev/Document", &subject("i", 1), r#"{"spdxVersion": "SPDX-2.3"}"#));
    assert_eq!(old.code, Code::UnsupportedFormat);
}

#[test]
fn statements_without_products_are_about_the_subjects() {
    let subjects = format!(
        "{}, {}, {}, {}",
        subject("pkg:npm/a@1", 1),
        subject("registry.example/image", 2),
        r#"{"name": "pkg:npm/b@1", "digest": {}}"#,
        r#"{"name": "archive.tar", "digest": {"sha512": "00"}}"#
    );
    for members in ["", r#", "products": []"#] {
        let parsed = parsed(&statement(OPENVEX, &subjects, &openvex(members)));
        let first = format!("digest:sha256:{}", hex(1));
        let second = format!("digest:sha256:{}", hex(2));
        assert_eq!(
            places(&parsed),
            [
                ("/statements/0", 0, first.as_str()),
                ("/statements/0", 1, second.as_str()),
                ("/statements/0", 2, "purl:pkg:npm/b@1"),
                ("/statements/0", 3, "iri:hash:sha512:00"),
            ]
        );
        let products: Vec<_> = parsed.observations.iter().map(|one| &one.observation.product).collect();
        assert_eq!(products[0].identifiers.len(), 2);
        assert_eq!(
            (products[0].name.as_deref(), products[1].name.as_deref()),
            (None, Some("registry.example/image"))
        );
    }
    // What it says cannot be read, which is not the same as saying nothing.
    let stated = rejected(&statement(OPENVEX, &subjects, &openvex(r#", "products": "pkg:npm/a@1""#)));
    assert_eq!((stated.code, stated.pointer.as_str()), (Code::NoUsableStatement, "/statements/0/products"));
    for misspelled in ["product", "Products", "prodcuts"] {
        let members = format!(r#", "{misspelled}": [{{"@id": "pkg:npm/a@1"}}]"#);
        let stated = rejected(&statement(OPENVEX, &subjects, &openvex(&members)));
        let last = stated.findings.last().unwrap();
        assert_eq!((last.code, last.pointer.as_str()), (Code::UnclearScope, "/statements/0"), "{misspelled}");
    }
}

#[test]
fn a_subject_without_digest_is_told_and_its_name_is_the_documents_own() {
    for subject in [
        r#"{"name": "app"}"#,
        r#"{"name": "app", "digest": {}}"#,
        r#"{"name": "app", "digest": {"sha256": 5}}"#,
    ] {
        let text = statement(OPENVEX, subject, &openvex(""));
        let parsed = parsed(&text);
        let product = &parsed.observations[0].observation.product;
        let digest = Digest::of(text.as_bytes()).to_hex();
        assert_eq!(product.key, format!("inherited:sha256:{digest}|app"));
        assert_eq!(product.kind, ComponentKind::Inherited);
        let codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::BadSubject], "{subject}");
    }
    let named = parsed(&statement(OPENVEX, r#"{"name": "pkg:npm/a@1"}"#, &openvex("")));
    assert_eq!(named.observations[0].observation.product.key, "purl:pkg:npm/a@1");
    assert_eq!(named.findings[0].code, Code::BadSubject);
}

#[test]
fn hexadecimal_digits_of_a_subject_mean_the_same_in_either_case() {
    let key = |digits: &str| {
        let subject = format!(r#"{{"name": "app", "digest": {{"sha512": "{digits}"}}}}"#);
        parsed(&statement(OPENVEX, &subject, &openvex(""))).observations[0].observation.product.key.clone()
    };
    assert_eq!(key("BB"), key("bb"));
}

#[test]
fn products_that_are_null_are_not_the_subjects() {
    let stated = rejected(&statement(OPENVEX, &subject("a", 1), &openvex(r#", "products": null"#)));
    assert_eq!(stated.code, Code::NoUsableStatement);
}

#[test]
fn a_predicate_type_of_another_version_is_told() {
    for (suffix, told) in
        [("", false), ("/v0.2.0", false), ("/v0.0.1", true), ("/v0.2", false), ("/v0", false)]
    {
        let kind = format!("https://openvex.dev/ns{suffix}");
        let parsed = parsed(&statement(&kind, &subject("a", 1), &openvex("")));
        let codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, if told { vec![Code::SpecVersionMismatch] } else { vec![] }, "{kind}");
    }
}

#[test]
fn subcomponents_of_an_older_statement_are_parts_of_every_subject() {
    let predicate = r#"{"@context": "https://openvex.dev/ns", "@id": "urn:doc", "author": "ACME", "version": "1",
        "timestamp": "2026-03-01T10:00:00Z", "statements": [{"vulnerability": "CVE-2026-0001", "status": "fixed",
        "subcomponents": ["pkg:npm/x@1", "pkg:npm/y@1"]}]}"#;
    let subjects = format!("{}, {}", subject("a", 1), subject("b", 2));
    let parsed = parsed(&statement("https://openvex.dev/ns", &subjects, predicate));
    assert_eq!(findings(&parsed), []);
    let parts: Vec<_> = parsed
        .observations
        .iter()
        .map(|one| {
            (one.observation.locator.index, one.observation.subcomponent.as_ref().unwrap().key.as_str())
        })
        .collect();
    let (x, y) = ("purl:pkg:npm/x@1", "purl:pkg:npm/y@1");
    assert_eq!(parts, [(0, x), (1, y), (2, x), (3, y)]);
}

#[test]
fn statements_speak_for_the_subjects_only() {
    let products = r#", "products": [{"@id": "pkg:npm/a@1"}, {"@id": "pkg:npm/b@1"}]"#;
    let one = parsed(&statement(OPENVEX, &subject("pkg:npm/b@1", 1), &openvex(products)));
    assert_eq!(findings(&one), [(Code::NotASubject, "/statements/0/products/0")]);
    assert_eq!(places(&one), [("/statements/0/products/1", 0, "purl:pkg:npm/b@1")]);
    for subjects in ["", &subject("pkg:npm/c@1", 1), &subject("pkg:npm/a", 1)] {
        let rejection = rejected(&statement(OPENVEX, subjects, &openvex(products)));
        assert_eq!(rejection.code, Code::NoUsableStatement, "{subjects}");
        assert_eq!(rejection.pointer, "/statements/0/products/0", "{subjects}");
    }
}

#[test]
fn a_product_is_a_subject_by_digest_or_else_by_name() {
    let included = |subject: &str, product: &str| {
        let products = format!(r#", "products": [{product}]"#);
        parse(statement(OPENVEX, subject, &openvex(&products)).as_bytes(), &ParseLimits::default()).is_ok()
    };
    let (one, two) = (hex(1), hex(2));
    let oci = |digest: &str| format!(r#"{{"@id": "pkg:oci/image@sha256%3A{digest}"}}"#);
    let hashed = |digest: &str| format!(r#"{{"@id": "pkg:npm/a@1", "hashes": {{"sha-256": "{digest}"}}}}"#);
    let purl = |purl: &str| format!(r#"{{"@id": "{purl}"}}"#);
    for (subject, product, expected) in [
        (subject("localhost:5000/image", 1), oci(&one), true),
        (subject("localhost:5000/image", 1), oci(&two), false),
        (subject("pkg:npm/a@1", 1), hashed(&one), true),
        // The name is right, but it is another artifact.
        (subject("pkg:npm/a@1", 1), hashed(&two), false),
        (r#"{"name": "pkg:npm/a@1", "digest": {"sha1": "00"}}"#.to_owned(), hashed(&two), true),
        (subject("pkg:npm/a@1", 1), purl("pkg:npm/a@1"), true),
        (subject("pkg:pypi/A_B@1", 1), purl("pkg:pypi/a-b@1"), true),
        (subject("pkg:npm/a@1", 1), purl("pkg:npm/a@2"), false),
        // A version more or less is another product.
        (subject("pkg:npm/a", 1), purl("pkg:npm/a@1"), false),
        (subject("pkg:npm/a@1", 1), purl("pkg:npm/a"), false),
        (subject("app", 1), purl("app"), true),
        (format!(r#"{{"uri": "urn:app", "digest": {{"sha256": "{one}"}}}}"#), purl("urn:app"), true),
        (
            r#"{"name": "app", "digest": {"sha512": "AB"}}"#.to_owned(),
            r#"{"@id": "x", "hashes": {"sha-512": "ab"}}"#.to_owned(),
            true,
        ),
    ] {
        assert_eq!(included(&subject, &product), expected, "{subject} {product}");
    }
}

#[test]
fn subjects_that_nothing_identifies_are_left_out() {
    let good = subject("pkg:npm/a@1", 1);
    for bad in [
        "7",
        "{}",
        r#"{"name": " ", "digest": {}}"#,
        &subject(&format!("pkg:npm/{}@1", "x".repeat(1_100)), 2),
    ] {
        let parsed = parsed(&statement(OPENVEX, &format!("{bad}, {good}"), &openvex("")));
        assert_eq!(findings(&parsed), [(Code::BadSubject, "")], "{bad}");
        assert_eq!(parsed.observations.len(), 1, "{bad}");
    }
    let none = rejected(&statement(OPENVEX, "", &openvex("")));
    assert_eq!((none.code, none.pointer.as_str()), (Code::NoUsableStatement, "/statements/0/products"));
}

#[test]
fn predicates_other_than_vex_are_refused() {
    for (predicate_type, code) in [
        ("text/vex", Code::UnsupportedFormat),
        ("https://spdx.dev/Document/v2.3", Code::UnsupportedFormat),
        ("https://in-toto.io/attestation/vulns/v0.2", Code::UnsupportedFormat),
        ("https://cosign.sigstore.dev/attestation/vuln/v1", Code::UnsupportedFormat),
        ("https://in-toto.io/attestation/reference/v0.1", Code::UnsupportedFormat),
        ("https://in-toto.io/attestation/svr/v0.2", Code::UnsupportedFormat),
        ("https://slsa.dev/provenance/v1", Code::UnknownFormat),
        ("https://openvex.dev/ns-other", Code::UnknownFormat),
        ("https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json", Code::UnknownFormat),
    ] {
        let rejection = rejected(&envelope(&statement(predicate_type, &subject("a", 1), &openvex(""))));
        assert_eq!(
            (rejection.code, rejection.pointer.as_str()),
            (code, "/predicateType"),
            "{predicate_type}"
        );
        assert!(rejection.message.contains(predicate_type), "{}", rejection.message);
    }
}

#[test]
fn a_predicate_is_what_its_type_says() {
    for (predicate_type, predicate) in [
        (OPENVEX, r#"{"bomFormat": "CycloneDX", "specVersion": "1.6"}"#.to_owned()),
        ("https://cyclonedx.org/bom/v1.6", openvex("")),
        ("https://spdx.dev/Document/v3", openvex("")),
        (OPENVEX, envelope(&openvex(""))),
        (OPENVEX, statement(OPENVEX, &subject("a", 1), &openvex(""))),
    ] {
        let rejection = rejected(&statement(predicate_type, &subject("a", 1), &predicate));
        assert_eq!(rejection.code, Code::PredicateMismatch, "{predicate}");
    }
    for predicate in ["{}", "7", "null", r#""x""#, "[]"] {
        let rejection = rejected(&statement(OPENVEX, &subject("a", 1), predicate));
        assert_eq!(rejection.code, Code::UnknownFormat, "{predicate}");
    }
    let both = r#"{"@context": "https://openvex.dev/ns", "bomFormat": "CycloneDX"}"#;
    assert_eq!(rejected(&statement(OPENVEX, &subject("a", 1), both)).code, Code::AmbiguousFormat);
    let none = statement(OPENVEX, &subject("a", 1), "0")
        .replace(r#", "predicate": 0"#, "")
        .replace(",\n        \"predicateType\"", ",\"predicateType\"");
    assert_eq!(rejected(&none.replace(r#""predicate": 0"#, r#""p": 0"#)).code, Code::UnknownFormat);
}

#[test]
fn wrappers_are_opened_once() {
    let inner = statement(OPENVEX, &subject("a", 1), &openvex(""));
    let bundle = format!(
        r#"{{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}}"#,
        envelope(&inner)
    );
    for payload in [envelope(&inner), bundle, openvex(""), "{}".to_owned(), "7".to_owned()] {
        let rejection = rejected(&envelope(&payload));
        assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::UnsupportedFormat, ""), "{payload}");
    }
    let message = r#"{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": {}}"#;
    let rejection = rejected(message);
    assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::UnsupportedFormat, "/dsseEnvelope"));
    let other = envelope(&inner).replace("application/vnd.in-toto+json", "application/json");
    assert_eq!(rejected(&other).pointer, "/payloadType");
    let newer = inner.replace("Statement/v1", "Statement/v2");
    assert_eq!(
        (rejected(&newer).code, rejected(&newer).pointer.as_str()),
        (Code::UnsupportedFormat, "/_type")
    );
    let ambiguous = inner.replacen('{', r#"{"payloadType": "x", "payload": "", "#, 1);
    assert_eq!(rejected(&ambiguous).code, Code::AmbiguousFormat);
    assert_eq!(rejected(&envelope(&ambiguous)).code, Code::AmbiguousFormat);
}

#[test]
fn a_payload_goes_through_the_strict_pass_again() {
    let inner = statement(OPENVEX, &subject("a", 1), &openvex(""));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (payload, code) in [
        (
            inner.replace(r#""status": "fixed""#, r#""status": "fixed", "status": "affected""#),
            Code::DuplicateKey,
        ),
        (inner.replace(r#""version": 1"#, r#""version": 1, "versi\u006fn": 2"#), Code::DuplicateKey),
        (inner.replace(r#""version": 1"#, &format!(r#""version": 1, "x": {deep}"#)), Code::TooDeep),
        (inner.replace("ACME", r"\ud800"), Code::LoneSurrogate),
        (inner.replace("ACME", r"\u0000"), Code::NulCharacter),
        (inner.replace(r#""version": 1"#, r#""version": 1e999"#), Code::NumberOutOfRange),
        (format!("{inner}x"), Code::TrailingData),
        (format!("\u{feff}{inner}"), Code::ByteOrderMark),
        ("not JSON".to_owned(), Code::BadLiteral),
        (String::new(), Code::Empty),
    ] {
        let rejection = rejected(&envelope(&payload));
        assert_eq!(rejection.code, code, "{payload}");
        assert!(rejection.message.starts_with("The payload of the envelope is not strict JSON"));
    }
    assert_eq!(rejected(&envelope_of(&base64(b"\xff"))).code, Code::NotUtf8);
}

#[test]
fn base64_is_canonical_or_reported() {
    let inner = statement(OPENVEX, &subject("pkg:npm/\u{ff}\u{3fe}a@1", 1), &openvex(""));
    let good = base64(inner.as_bytes());
    let safe = good.replace('+', "-").replace('/', "_");
    assert_ne!(good, safe);
    let expected = parsed(&envelope_of(&good)).observations[0].claim_digest();
    for (payload, expected_findings) in [
        (good.clone(), &[][..]),
        (safe.clone(), &[(Code::LooseBase64, "")]),
        (safe.trim_end_matches('=').to_owned(), &[(Code::LooseBase64, "")]),
    ] {
        let loose = parsed(&envelope_of(&payload));
        let own: Vec<_> =
            findings(&loose).into_iter().filter(|(code, _)| *code == Code::LooseBase64).collect();
        assert_eq!(own, expected_findings);
        assert_eq!(loose.observations[0].claim_digest(), expected);
    }
    for payload in
        [format!("{good}!"), format!("{good} "), "YR==".to_owned(), "A".to_owned(), "+_==".to_owned()]
    {
        let rejection = rejected(&envelope_of(&payload));
        assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::BadBase64, "/payload"), "{payload}");
    }
}

#[test]
fn an_envelope_nobody_signed_is_reported() {
    let inner = envelope(&statement(OPENVEX, &subject("a", 1), &openvex("")));
    let (start, _) = inner.split_once(r#""signatures""#).unwrap();
    for signatures in ["[]", "null", "[{}]", r#"[{"sig": ""}]"#, "7"] {
        let parsed = parsed(&format!(r#"{start}"signatures": {signatures}}}"#));
        assert_eq!(findings(&parsed), [(Code::MissingSignature, "")], "{signatures}");
    }
}

#[test]
fn lines_count_in_the_text_that_holds_the_predicate() {
    let predicate = "{\n\"@context\": \"https://openvex.dev/ns/v0.2.0\",\n\"statements\": [7]}";
    let bare = rejected(predicate);
    assert_eq!((bare.line, bare.column), (Some(3), Some(16)));
    let inner = format!(
        "{{\"_type\": \"https://in-toto.io/Statement/v1\",\n\"predicateType\": \"{OPENVEX}\",\n\
         \"subject\": [{}],\n\"predicate\": {predicate}}}",
        subject("a", 1)
    );
    let rejection = rejected(&inner);
    assert_eq!(rejection.pointer, "/statements/0");
    assert_eq!((rejection.line, rejection.column), (Some(6), Some(16)));
    // A payload's lines are none of the file.
    let rejection = rejected(&envelope(&inner));
    assert_eq!(rejection.pointer, "/statements/0");
    assert_eq!((rejection.line, rejection.column), (None, None));
    assert!(rejection.message.ends_with("(In the payload, line 6.)"), "{}", rejection.message);
    let spdx = "{\"@context\": \"https://spdx.org/rdf/3.0.1/spdx-context.jsonld\",\n\"@graph\": [\n\
                {\"type\": \"Relationship\", \"relationshipType\": \"affects\"}]}";
    let text = inner.replace(predicate, spdx).replace(OPENVEX, "https://spdx.dev/Document/v3");
    let inside = rejected(&text.replace(&hex(1), "no digest")).findings;
    let of_statement = |finding: &&provex_formats::Finding| finding.code != Code::MissingMember;
    let found: Vec<_> =
        inside.iter().filter(of_statement).map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(found, [(Code::BadHash, Some(4)), (Code::MissingId, Some(5)), (Code::UnknownStatus, Some(6))]);
    let inner =
        inner.replace("[7]", "[{\n\"vulnerability\": {\"name\": \"CVE-1\"}, \"status\": \"affected\"}]");
    let found = parsed(&inner);
    let lines: Vec<_> = found.findings.iter().map(|finding| (finding.code, finding.line)).collect();
    assert!(lines.contains(&(Code::MissingAction, Some(6))), "{lines:?}");
    assert!(lines.contains(&(Code::MissingId, Some(4))), "{lines:?}");
    let sealed = parsed(&envelope(&inner));
    let action = sealed.findings.iter().find(|finding| finding.code == Code::MissingAction).unwrap();
    assert!(action.line.is_none() && action.message.ends_with("(In the payload, line 6.)"), "{action:?}");
}

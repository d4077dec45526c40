//! CycloneDX in XML: the same claims as in JSON, and everything that makes XML dangerous refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails, fails its test")]

use provex_core::vex::{Canonical, DocumentRef};
use provex_formats::{Code, ParseLimits, Parsed, Rejection, parse};

const NAMESPACE: &str = "http://cyclonedx.org/schema/bom/1.6";

fn read(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../testdata/vex/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_or_else(|rejection| panic!("{rejection}: {text}"))
}

fn rejected(text: &str) -> Rejection {
    parse(text.as_bytes(), &ParseLimits::default()).unwrap_err()
}

/// A document with these elements in its one vulnerability, which is about the whole BOM.
fn document(elements: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="{NAMESPACE}" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" version="2">
  <metadata><timestamp>2026-03-01T00:00:00Z</timestamp><supplier><name>ACME</name></supplier></metadata>
  <vulnerabilities><vulnerability>
    <id>CVE-2026-0001</id>
{elements}
  </vulnerability></vulnerabilities>
</bom>
"#
    )
}

const RESOLVED: &str = "<analysis><state>resolved</state></analysis>";

fn claims(parsed: &Parsed) -> Vec<String> {
    parsed.observations.iter().map(|parsed| parsed.claim_digest().to_text()).collect()
}

fn detail(elements: &str) -> String {
    let text = document(&format!("<analysis><state>resolved</state><detail>{elements}</detail></analysis>"));
    parsed(&text).observations[0].observation.impact.as_deref().unwrap().to_owned()
}

#[test]
fn xml_and_json_of_one_document_make_the_same_claims() {
    let both = ["json", "xml"].map(|extension| {
        parse(&read(&format!("cyclonedx/spec_valid-vulnerability-1.6.{extension}")), &ParseLimits::default())
            .unwrap()
    });
    let [json, xml] = &both;
    assert_eq!(claims(json), claims(xml));
    assert_eq!(claims(xml).len(), 3);
    let places = |parsed: &Parsed| -> Vec<_> {
        parsed.observations.iter().map(|parsed| parsed.observation.locator.clone()).collect()
    };
    assert_eq!(places(json), places(xml));
    let facts = |parsed: &Parsed| {
        let facts = parsed.document.clone();
        (facts.spec_version, facts.id, facts.revision, facts.issuer, facts.stated_at)
    };
    assert_eq!(facts(json), facts(xml));
    let findings = |parsed: &Parsed| -> Vec<_> {
        parsed.findings.iter().map(|finding| (finding.code, finding.pointer.clone())).collect()
    };
    assert_eq!(findings(json), findings(xml));
    assert_ne!(json.document.digest, xml.document.digest);
}

/// Every member that is read, said once in each notation.
#[test]
fn every_member_has_its_place_in_both_notations() {
    let json = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "version": 7,
        "metadata": {"timestamp": "2026-03-01T00:00:00Z", "tools": {"components": [{"bom-ref": "t", "name": "t"}],
                "services": [{"bom-ref": "u", "name": "u"}]}, "authors": [{"name": "Ann"}],
            "component": {"bom-ref": "app", "group": "g", "name": "app", "version": "1", "cpe": "cpe:/a:acme:app:1"}},
        "components": [{"bom-ref": "c", "name": "c", "swid": {"tagId": "tag"},
            "pedigree": {"ancestors": [{"bom-ref": "x", "name": "x", "purl": "pkg:npm/x@1"}],
                "descendants": [{"bom-ref": "y", "name": "y"}], "variants": [{"bom-ref": "z", "name": "z"}]},
            "hashes": [{"alg": "SHA-1", "content": "ab"}],
            "components": [{"bom-ref": "d", "name": "d", "purl": "pkg:npm/d@1"}]}],
        "services": [{"name": "s", "services": [{"bom-ref": "s", "group": "g", "name": "s", "version": "1"}]}],
        "formulation": [{"components": [{"bom-ref": "k", "name": "k"}], "services": [{"bom-ref": "l", "name": "l"}]}],
        "annotations": [{"annotator": {"component": {"bom-ref": "m", "name": "m"}}},
            {"annotator": {"service": {"bom-ref": "n", "name": "n"}}}],
        "declarations": {"targets": {"components": [{"bom-ref": "o", "name": "o"}],
            "services": [{"bom-ref": "p", "name": "p"}]}},
        "vulnerabilities": [{"bom-ref": "v", "id": "CVE-2026-0001", "tools": {"components": [{"bom-ref": "q", "name": "q"}]},
            "references": [{"id": "GHSA-1"}],
            "recommendation": " r ", "workaround": "w", "rejected": "2026-01-01T00:00:00Z",
            "analysis": {"state": "exploitable", "justification": "code_not_present", "response": ["update", "rollback"],
                "detail": " d\n", "firstIssued": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-02T00:00:00Z"},
            "affects": [{"ref": "app", "versions": [{"version": "1"}, {"range": "vers:npm/<1", "status": "unknown"}]},
                {"ref": "c"}, {"ref": "d"}, {"ref": "s"}, {"ref": "t"}, {"ref": "u"}, {"ref": "x"}, {"ref": "y"}, {"ref": "z"},
                {"ref": "k"}, {"ref": "l"}, {"ref": "m"}, {"ref": "n"}, {"ref": "o"}, {"ref": "p"}, {"ref": "q"}]}]}"#;
    let targets: String =
        "tuxyzklmnopq".chars().map(|c| format!("<b:target><b:ref>{c}</b:ref></b:target>")).collect();
    let xml = format!(
        r#"<b:bom xmlns:b="{NAMESPACE}" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" version="7">
        <b:metadata><b:timestamp>2026-03-01T00:00:00Z</b:timestamp>
            <b:tools><b:components><b:component bom-ref="t"><b:name>t</b:name></b:component></b:components>
                <b:services><b:service bom-ref="u"><b:name>u</b:name></b:service></b:services></b:tools>
            <b:authors><b:author><b:name>Ann</b:name></b:author></b:authors>
            <b:component type="application" bom-ref="app"><b:group>g</b:group><b:name>app</b:name>
                <b:version>1</b:version><b:cpe>cpe:/a:acme:app:1</b:cpe></b:component></b:metadata>
        <b:components><b:component bom-ref="c"><b:name>c</b:name><b:hashes><b:hash alg="SHA-1">ab</b:hash></b:hashes>
            <b:swid tagId="tag" name="c"/>
            <b:pedigree><b:ancestors><b:component bom-ref="x"><b:name>x</b:name><b:purl>pkg:npm/x@1</b:purl></b:component>
                </b:ancestors><b:descendants><b:component bom-ref="y"><b:name>y</b:name></b:component></b:descendants>
                <b:variants><b:component bom-ref="z"><b:name>z</b:name></b:component></b:variants><b:notes>n</b:notes>
                </b:pedigree><b:components><b:component bom-ref="d"><b:name>d</b:name>
            <b:purl>pkg:npm/d@1</b:purl></b:component></b:components></b:component></b:components>
        <b:services><b:service><b:name>s</b:name><b:services><b:service bom-ref="s"><b:group>g</b:group>
            <b:name>s</b:name><b:version>1</b:version></b:service></b:services></b:service></b:services>
        <b:formulation><b:formula><b:components><b:component bom-ref="k"><b:name>k</b:name></b:component></b:components>
            <b:services><b:service bom-ref="l"><b:name>l</b:name></b:service></b:services><b:workflows/></b:formula></b:formulation>
        <b:annotations><b:annotation><b:annotator><b:component bom-ref="m"><b:name>m</b:name></b:component></b:annotator>
            <b:text>t</b:text></b:annotation><b:annotation><b:annotator><b:service bom-ref="n"><b:name>n</b:name></b:service>
            </b:annotator></b:annotation></b:annotations>
        <b:declarations><b:targets><b:components><b:component bom-ref="o"><b:name>o</b:name></b:component></b:components>
            <b:services><b:service bom-ref="p"><b:name>p</b:name></b:service></b:services></b:targets></b:declarations>
        <b:vulnerabilities><b:vulnerability bom-ref="v"><b:id> CVE-2026-0001 </b:id>
            <b:tools><b:components><b:component bom-ref="q"><b:name>q</b:name></b:component></b:components></b:tools>
            <b:references><b:reference><b:id>GHSA-1</b:id></b:reference></b:references>
            <b:recommendation> r </b:recommendation><b:workaround>w</b:workaround>
            <b:rejected>2026-01-01T00:00:00Z</b:rejected>
            <b:analysis><b:state>exploitable</b:state><b:justification>code_not_present</b:justification>
                <b:responses><b:response>update</b:response><b:response>rollback</b:response></b:responses>
                <b:detail> d
</b:detail><b:firstIssued>2026-01-01T00:00:00Z</b:firstIssued><b:lastUpdated>2026-01-02T00:00:00Z</b:lastUpdated>
            </b:analysis>
            <b:affects><b:target><b:ref>app</b:ref><b:versions><b:version><b:version>1</b:version></b:version>
                <b:version><b:range>vers:npm/&lt;1</b:range><b:status>unknown</b:status></b:version></b:versions></b:target>
                <b:target><b:ref>c</b:ref></b:target><b:target><b:ref>d</b:ref></b:target><b:target><b:ref>s</b:ref></b:target>{targets}
            </b:affects></b:vulnerability></b:vulnerabilities></b:bom>"#
    );
    let (json, xml) = (parsed(json), parsed(&xml));
    let strip = |parsed: &Parsed| -> Vec<_> {
        let observations = parsed.observations.iter().map(|parsed| parsed.observation.clone());
        observations
            .map(|mut observation| {
                let mut document = DocumentRef::clone(&observation.document);
                document.digest = json.document.digest;
                observation.document = Canonical::shared(document);
                observation
            })
            .collect()
    };
    assert_eq!(strip(&json), strip(&xml));
    assert_eq!(xml.observations.len(), 17);
    let findings = |parsed: &Parsed| -> Vec<_> {
        parsed.findings.iter().map(|finding| (finding.code, finding.pointer.clone())).collect()
    };
    assert_eq!(findings(&json), findings(&xml));
}

#[test]
fn findings_have_the_lines_of_the_xml() {
    let text = document(
        "<analysis>\n<detail>a\nb\n\nc</detail>\n<state>resolved</state>\n<responses>\n<response>x</response></responses>\
         </analysis>\n<affects>\n<target><ref>gone</ref></target></affects>",
    );
    let parsed = parsed(&text);
    let found: Vec<_> = parsed
        .findings
        .iter()
        .map(|finding| (finding.code, finding.pointer.as_str(), finding.line.unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (Code::UnknownResponse, "/vulnerabilities/0/analysis/response/0", 13),
            (Code::DanglingRef, "/vulnerabilities/0/affects/0/ref", 15),
        ]
    );
    let rejection = rejected(&document("<analysis>\n<state>fixed</state></analysis>"));
    assert_eq!((rejection.code, rejection.line, rejection.column), (Code::NoUsableStatement, Some(7), None));
}

#[test]
fn texts_are_what_they_stand_for() {
    for (written, expected) in [
        (" a\r\nb\rc ", " a\nb\nc "),
        ("&lt;&gt;&amp;&quot;&apos;&#x41;&#66;&#10;", "<>&\"'AB\n"),
        ("<![CDATA[<a> & b]]>", "<a> & b"),
        ("a<!-- b -->c<?d e?>f", "acf"),
        ("", ""),
        ("\u{1f600}", "\u{1f600}"),
        ("]]&gt;<![CDATA[]]]]><![CDATA[>]]>", "]]>]]>"),
    ] {
        assert_eq!(detail(written), expected, "{written}");
    }
    let spaced = document("<analysis>\n <state>\n resolved </state></analysis>");
    assert_eq!(parsed(&spaced).observations[0].observation.native_status, "resolved");
}

#[test]
fn white_space_around_a_term_is_told() {
    let with = |space: &str| {
        document(&format!(
            "<analysis><state>{space}not_affected{space}</state><justification>{space}code_not_present</justification>\
             <responses><response>update{space}</response></responses></analysis>\
             <affects><target><ref> urn:x </ref><versions><version><version> 1 </version><status>{space}unaffected</status>\
             </version></versions></target></affects>"
        ))
    };
    let (plain, spaced) = (parsed(&with("")), parsed(&with(" \n")));
    assert_eq!(claims(&plain), claims(&spaced));
    let told: Vec<_> = spaced
        .findings
        .iter()
        .filter(|found| !plain.findings.iter().any(|other| other.code == found.code))
        .collect();
    let at = "/vulnerabilities/0";
    let pointers: Vec<_> = told.iter().map(|found| (found.code, found.pointer.as_str())).collect();
    assert_eq!(
        pointers,
        [
            (Code::UnknownTerm, format!("{at}/analysis/state").as_str()),
            (Code::UnknownTerm, &format!("{at}/analysis/justification")),
            (Code::UnknownTerm, &format!("{at}/analysis/response/0")),
            (Code::UnknownTerm, &format!("{at}/affects/0/versions/0/status")),
        ]
    );
}

#[test]
fn names_and_declarations_have_every_form_that_they_may_have() {
    let text =
        document(&format!("<x:\u{e9}-.\u{b7}1 xmlns:x='urn:x' x:a='1' a='2'\n_='3'/><?a-b c?>{RESOLVED}"));
    for declaration in
        ["<?xml version='1.0'?>", "<?xml version = '1.0'\n encoding='utf-8' standalone='no' ?>", ""]
    {
        let text = text.replace(r#"<?xml version="1.0" encoding="UTF-8"?>"#, declaration);
        assert_eq!(claims(&parsed(text.trim_start())), claims(&parsed(&document(RESOLVED))));
    }
}

#[test]
fn extensions_are_passed_over() {
    let foreign = r#"<x:id xmlns:x="urn:x">CVE-2026-0002</x:id><id xmlns="">b</id>"#;
    let affects = r#"<affects><x:target xmlns:x="urn:x"/></affects>"#;
    let text = document(&format!("{foreign}{RESOLVED}{affects}"));
    assert_eq!(claims(&parsed(&text)), claims(&parsed(&document(RESOLVED))));
}

#[test]
fn a_list_of_wrong_elements_is_no_empty_list() {
    let text = document(&format!("{RESOLVED}<affects><ref>lib</ref></affects>"));
    assert_eq!(rejected(&text).code, Code::NoUsableStatement);
    let text = document("<analysis><state><b/>resolved</state></analysis>");
    assert_eq!(rejected(&text).code, Code::NoUsableStatement);
}

#[test]
fn the_namespace_names_the_version() {
    let text = document(RESOLVED);
    assert_eq!(parsed(&text).document.spec_version.as_deref(), Some("1.6"));
    let older = parsed(&text.replace("bom/1.6", "bom/1.4"));
    assert_eq!(older.document.spec_version.as_deref(), Some("1.4"));
    let newer = parsed(&text.replace("bom/1.6", "bom/2.0"));
    assert_eq!(newer.findings[0].code, Code::UnknownSpecVersion);
    for (from, to, code) in [
        (NAMESPACE, "urn:other", Code::UnsupportedFormat),
        ("xmlns=", "x=", Code::UnsupportedFormat),
        ("<analysis>", "<analysis xmlns='http://cyclonedx.org/schema/bom/1.5'>", Code::AmbiguousFormat),
        ("<analysis>", "<x:analysis>", Code::BadXml),
    ] {
        assert_eq!(rejected(&text.replace(from, to)).code, code, "{to}");
    }
}

#[test]
fn xml_that_readers_differ_on_is_refused() {
    let text = document(RESOLVED);
    for (from, to, code) in [
        ("<bom", "<!DOCTYPE bom><bom", Code::XmlDoctype),
        ("resolved", "&state;", Code::XmlEntity),
        ("resolved", "resolved&nbsp;", Code::XmlEntity),
        ("version=\"2\"", "version=\"&two;\"", Code::XmlEntity),
        ("<vulnerabilities>", "<x a='&x;'/><vulnerabilities>", Code::XmlEntity),
        ("<vulnerabilities>", "<x>&x;</x><vulnerabilities>", Code::XmlEntity),
        ("</bom>", "</bom><bom/>", Code::TrailingData),
        ("</bom>", "</bom>x", Code::BadXml),
        ("</bom>", "</bom>&#32;x", Code::BadXml),
        ("</bom>", "", Code::Unterminated),
        ("<bom", "x<bom", Code::BadXml),
        ("</analysis>", "</state>", Code::BadXml),
        ("</analysis>", "", Code::BadXml),
        ("<analysis>", "<analysis>text", Code::BadXml),
        ("<vulnerabilities>", "<vulnerabilities>text", Code::BadXml),
        ("version=\"2\"", "version=\"2\" version=\"3\"", Code::BadXml),
        ("version=\"2\"", "version=2", Code::BadXml),
        ("version=\"2\"", "version=\"<2\"", Code::BadXml),
        ("resolved", "&#0;", Code::NulCharacter),
        ("resolved", "&#x000;", Code::NulCharacter),
        ("resolved", "\0", Code::NulCharacter),
        ("resolved", "\u{1}", Code::ControlCharacter),
        ("resolved", "&#1;", Code::ControlCharacter),
        ("version=\"2\"", "version=\"&#1;\"", Code::ControlCharacter),
        ("resolved", "&#xD800;", Code::BadXml),
        ("resolved", "&#x;", Code::BadXml),
        ("resolved", "a & b", Code::BadXml),
        ("<id>", "<id>CVE-2026-0002</id><id>", Code::DuplicateKey),
        (RESOLVED, "<analysis><state>exploitable</state></analysis><analysis/>", Code::DuplicateKey),
        ("UTF-8", "ISO-8859-1", Code::NotUtf8),
        ("version=\"1.0\"", "version=\"1.1\"", Code::BadXml),
        ("<?xml", " <?xml", Code::BadXml),
        ("<metadata>", "<?xml version='1.0'?><metadata>", Code::BadXml),
        ("<metadata>", "<?XML a?><metadata>", Code::BadXml),
        ("<metadata>", "<?1a?><metadata>", Code::BadXml),
        ("CVE-2026-0001", "CVE-2026-0001]]>", Code::BadXml),
        ("<analysis>", "<1a/><analysis>", Code::BadXml),
        ("<analysis>", "<a:b:c xmlns:a='a'/><analysis>", Code::BadXml),
        ("<analysis>", "<:a/><analysis>", Code::BadXml),
        ("<analysis>", "<analysis b@='c'>", Code::BadXml),
        ("<analysis>", "<analysis b:c='d'>", Code::BadXml),
        ("<analysis>", "<analysis b='1'c='2'>", Code::BadXml),
        ("<analysis>", "<analysis xmlns:b='x' xmlns:c='x' b:d='1' c:d='2'>", Code::BadXml),
        (" encoding=", " x='1' encoding=", Code::BadXml),
        (" encoding=", "encoding=", Code::BadXml),
        (" encoding=", " encodin=", Code::BadXml),
        (" encoding=", " standalone='yes' encoding=", Code::BadXml),
        ("?>", " standalone='maybe'?>", Code::BadXml),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert_eq!(rejected(&changed).code, code, "{to}: {}", rejected(&changed));
    }
    for text in ["<", "<bom", "<?xml version='1.0'?>", "<!-- -->", " <"] {
        assert_eq!(rejected(text).code, Code::BadXml, "{text}");
    }
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE bom [<!ENTITY l0 \"ha\">");
    for n in 1..10 {
        let laughs = format!("&l{};", n - 1).repeat(10);
        text.push_str(&format!("<!ENTITY l{n} \"{laughs}\">"));
    }
    text.push_str("]>");
    let bomb = document(RESOLVED)
        .replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", &text)
        .replace("resolved", "&l9;");
    let rejection = rejected(&bomb);
    assert_eq!((rejection.code, rejection.line), (Code::XmlDoctype, Some(2)));
}

#[test]
fn depth_and_size_have_the_limits_of_json() {
    let nested = |depth: usize| {
        let open = "<component><components>".repeat(depth);
        let close = "</components></component>".repeat(depth);
        document(RESOLVED)
            .replace("<vulnerabilities>", &format!("<components>{open}{close}</components><vulnerabilities>"))
    };
    assert_eq!(parsed(&nested(63)).observations.len(), 1);
    for depth in [64, 65, 100_000] {
        assert_eq!(rejected(&nested(depth)).code, Code::TooDeep, "{depth}");
    }
    let skipped = document(&format!("{RESOLVED}{}{}", "<x>".repeat(100_000), "</x>".repeat(100_000)));
    assert_eq!(rejected(&skipped).code, Code::TooDeep);
    let text = document(RESOLVED);
    let limits = |max_bytes| ParseLimits { max_bytes, ..ParseLimits::default() };
    assert!(parse(text.as_bytes(), &limits(text.len())).is_ok());
    let rejection = parse(text.as_bytes(), &limits(text.len() - 1)).unwrap_err();
    assert_eq!(rejection.code, Code::TooLarge);
}

#[test]
fn an_element_of_many_attributes_or_namespaces_is_refused() {
    let text = document(RESOLVED);
    for attribute in ["a", "xmlns:a"] {
        let many: String = (0..1_000).map(|n| format!(" {attribute}{n}='x'")).collect();
        let rejection = rejected(&text.replace("<analysis>", &format!("<analysis{many}>")));
        assert_eq!(rejection.code, Code::BadXml);
    }
    let nested: String = (0..100).map(|n| format!("<x xmlns:a{n}='x' xmlns:b{n}='x'>")).collect();
    assert_eq!(rejected(&text.replace("<analysis>", &nested)).code, Code::BadXml);
}

#[test]
fn other_bytes_are_no_xml() {
    let text = document(RESOLVED);
    let marked = format!("\u{feff}{text}");
    assert_eq!(claims(&parsed(&marked)), claims(&parsed(&text)));
    assert_ne!(parsed(&marked).document.digest, parsed(&text).document.digest);
    let mut latin = text.replace("ACME", "M@ller").into_bytes();
    let at = latin.iter().position(|byte| *byte == b'@').unwrap();
    latin[at] = 0xfc;
    assert_eq!(parse(&latin, &ParseLimits::default()).unwrap_err().code, Code::NotUtf8);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(parse(&wide, &ParseLimits::default()).is_err());
}

#[test]
fn elements_that_cyclonedx_does_not_have_are_told_and_do_not_widen_a_claim() {
    let kept = parsed(&document(&format!(
        "<affect/><affect/>{RESOLVED}<affects><target><ref>x</ref></target></affects><proofOfConcept/>"
    )));
    let found: Vec<_> =
        kept.findings.iter().map(|finding| (finding.code, finding.pointer.as_str(), finding.line)).collect();
    assert_eq!(
        found,
        [
            (Code::UnknownMember, "/vulnerabilities/0/affect", Some(6)),
            (Code::DanglingRef, "/vulnerabilities/0/affects/0/ref", Some(6)),
        ]
    );
    let misspelled =
        rejected(&document(&format!("{RESOLVED}<affect><target><ref>x</ref></target></affect>")));
    let codes: Vec<_> = misspelled.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::UnknownMember, Code::UnclearScope]);
}

#[test]
fn dependencies_in_xml_are_passed_over() {
    let text =
        document(RESOLVED).replace("</bom>", "<dependencies><dependency ref='x'/></dependencies></bom>");
    assert_eq!(parsed(&text).findings, []);
}

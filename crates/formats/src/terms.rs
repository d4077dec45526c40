//! The terms of the four formats and what they mean: status, justification and response.
//!
//! Each function knows every term that its format has, and gives nothing for a term that it does not have. The
//! source's own term is kept beside the canonical one, because some mappings lose a shade of meaning: CSAF's
//! `first_affected` marks the end of a range, CycloneDX's `false_positive` disputes the match and not the impact.

use std::borrow::Cow;

use provex_core::vex::{Justification, JustificationLabel, Mapping, Response, Status};

use JustificationLabel::{
    ComponentNotPresent, InlineMitigationsAlreadyExist, VulnerableCodeCannotBeControlledByAdversary,
    VulnerableCodeNotInExecutePath, VulnerableCodeNotPresent,
};
use Mapping::{Approximate, Exact};

/// An OpenVEX `status`.
pub fn openvex_status(label: &str) -> Option<Status> {
    // OpenVEX has no word for `unknown`.
    Status::from_label(label).filter(|status| *status != Status::Unknown)
}

/// An OpenVEX `justification`.
pub fn openvex_justification(native: &str) -> Option<Justification> {
    JustificationLabel::from_label(native).map(|label| justification(label, label.label(), Exact))
}

/// A list of CSAF `product_status`. `recommended` gives nothing: it is a note on a product, beside any status.
pub fn csaf_status(group: &str) -> Option<Status> {
    match group {
        "known_affected" | "first_affected" | "last_affected" => Some(Status::Affected),
        "known_not_affected" => Some(Status::NotAffected),
        "fixed" | "first_fixed" => Some(Status::Fixed),
        "under_investigation" => Some(Status::UnderInvestigation),
        "unknown" => Some(Status::Unknown),
        _ => None,
    }
}

/// The label of a CSAF flag.
pub fn csaf_justification(native: &str) -> Option<Justification> {
    openvex_justification(native)
}

/// Databases whose ids begin with their name and a `-`, and are given once (those of OSV's list, and advisories).
const DATABASES: [&str; 32] = [
    "ALBA",
    "ALEA",
    "ALSA",
    "BIT",
    "CGA",
    "CVE",
    "DLA",
    "DSA",
    "DTSA",
    "ELSA",
    "EUVD",
    "GHSA",
    "GO",
    "GSD",
    "HSEC",
    "ICSA",
    "ICSMA",
    "MAL",
    "MGASA",
    "OESA",
    "OPENSUSE-SU",
    "OSV",
    "PSF",
    "PYSEC",
    "RHBA",
    "RHEA",
    "RHSA",
    "RLSA",
    "RUSTSEC",
    "RXSA",
    "SUSE-SU",
    "USN",
];

/// Whether a name of a vulnerability is one of a database that is known, and so says by itself whose it is.
pub fn is_known_id(name: &str) -> bool {
    let name = name.trim();
    DATABASES.iter().any(|database| {
        let rest =
            name.split_at_checked(database.len()).filter(|(start, _)| start.eq_ignore_ascii_case(database));
        rest.is_some_and(|(_, rest)| rest.len() > 1 && rest.starts_with('-'))
    })
}

/// The category of a CSAF remediation. `none_available` may be temporary, so it is not `cannot_fix`.
pub fn csaf_responses(category: &str) -> Option<&'static [Response]> {
    Some(match category {
        "vendor_fix" => &[Response::Update],
        "mitigation" => &[Response::Mitigation, Response::Workaround],
        "workaround" => &[Response::Workaround],
        "no_fix_planned" => &[Response::WillNotFix],
        "none_available" => &[Response::NoneYet],
        "fix_planned" => &[Response::FixPlanned],
        "optional_patch" => &[Response::OptionalPatch],
        _ => return None,
    })
}

/// A CycloneDX `analysis.state`.
pub fn cyclonedx_status(state: &str) -> Option<Status> {
    match state {
        "exploitable" => Some(Status::Affected),
        "not_affected" | "false_positive" => Some(Status::NotAffected),
        "resolved" | "resolved_with_pedigree" => Some(Status::Fixed),
        "in_triage" => Some(Status::UnderInvestigation),
        _ => None,
    }
}

/// A CycloneDX `affects[].versions[].status`, given what the analysis says of the versions that are affected.
pub fn cyclonedx_version_status(status: &str, analysis: Status) -> Option<Status> {
    match status {
        "affected" => Some(analysis),
        "unaffected" => Some(Status::NotAffected),
        "unknown" => Some(Status::Unknown),
        _ => None,
    }
}

/// A CycloneDX `analysis.justification`.
///
/// What the code requires is nearest to what an adversary cannot bring about; protection at the perimeter is
/// outside the product, so not inline.
pub fn cyclonedx_justification(native: &str) -> Option<Justification> {
    let (label, mapping) = match native {
        "code_not_present" => (VulnerableCodeNotPresent, Exact),
        "code_not_reachable" => (VulnerableCodeNotInExecutePath, Exact),
        "requires_configuration" | "requires_dependency" | "requires_environment" => {
            (VulnerableCodeCannotBeControlledByAdversary, Approximate)
        }
        "protected_by_compiler" | "protected_at_runtime" | "protected_by_mitigating_control" => {
            (InlineMitigationsAlreadyExist, Exact)
        }
        "protected_at_perimeter" => (InlineMitigationsAlreadyExist, Approximate),
        _ => return None,
    };
    Some(justification(label, native.to_owned(), mapping))
}

/// A CycloneDX `analysis.response`.
pub fn cyclonedx_responses(response: &str) -> Option<&'static [Response]> {
    Some(match response {
        "can_not_fix" => &[Response::CannotFix],
        "will_not_fix" => &[Response::WillNotFix],
        "update" => &[Response::Update],
        "rollback" => &[Response::Rollback, Response::Update],
        "workaround_available" => &[Response::Workaround],
        _ => return None,
    })
}

/// An SPDX 3 relationship type, with or without the prefix `security_`.
pub fn spdx3_status(relationship: &str) -> Option<Status> {
    match relationship.strip_prefix("security_").unwrap_or(relationship) {
        "VexAffectedVulnAssessmentRelationship" => Some(Status::Affected),
        "VexNotAffectedVulnAssessmentRelationship" => Some(Status::NotAffected),
        "VexFixedVulnAssessmentRelationship" => Some(Status::Fixed),
        "VexUnderInvestigationVulnAssessmentRelationship" => Some(Status::UnderInvestigation),
        _ => None,
    }
}

/// An SPDX 3 `relationshipType`, where it is that of a VEX relationship.
pub fn spdx3_relationship(term: &str) -> Option<Status> {
    match term {
        "affects" => Some(Status::Affected),
        "doesNotAffect" => Some(Status::NotAffected),
        "fixedIn" => Some(Status::Fixed),
        "underInvestigationFor" => Some(Status::UnderInvestigation),
        _ => None,
    }
}

/// An SPDX 3 `security_justificationType`.
pub fn spdx3_justification(native: &str) -> Option<Justification> {
    let label = match native {
        "componentNotPresent" => ComponentNotPresent,
        "vulnerableCodeNotPresent" => VulnerableCodeNotPresent,
        "vulnerableCodeNotInExecutePath" => VulnerableCodeNotInExecutePath,
        "vulnerableCodeCannotBeControlledByAdversary" => VulnerableCodeCannotBeControlledByAdversary,
        "inlineMitigationsAlreadyExist" => InlineMitigationsAlreadyExist,
        _ => return None,
    };
    Some(justification(label, native.to_owned(), Exact))
}

fn justification(
    label: JustificationLabel,
    native: impl Into<Cow<'static, str>>,
    mapping: Mapping,
) -> Justification {
    Justification { label, native: native.into(), mapping }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openvex_has_four_statuses_and_five_justifications() {
        let known = Status::ALL.iter().filter(|status| openvex_status(status.label()).is_some());
        assert_eq!(known.count(), 4);
        for label in JustificationLabel::ALL {
            let found = openvex_justification(label.label()).unwrap();
            assert_eq!((found.label, found.native.as_ref(), found.mapping), (*label, label.label(), Exact));
        }
        assert_eq!(openvex_status("known_affected"), None);
        assert_eq!(openvex_justification("code_not_present"), None);
    }

    #[test]
    fn recommended_is_no_claim() {
        assert_eq!(csaf_status("recommended"), None);
        assert_eq!(csaf_status("last_affected"), Some(Status::Affected));
    }

    #[test]
    fn an_affected_version_has_the_status_of_the_analysis() {
        assert_eq!(cyclonedx_version_status("affected", Status::Fixed), Some(Status::Fixed));
        assert_eq!(cyclonedx_version_status("unaffected", Status::Affected), Some(Status::NotAffected));
        assert_eq!(cyclonedx_version_status("unknown", Status::Affected), Some(Status::Unknown));
    }

    #[test]
    fn only_terms_without_an_equal_are_approximate() {
        let approximate = [
            "requires_configuration",
            "requires_dependency",
            "requires_environment",
            "protected_at_perimeter",
        ];
        for native in approximate {
            assert_eq!(cyclonedx_justification(native).unwrap().mapping, Approximate, "{native}");
        }
        for native in ["code_not_present", "code_not_reachable", "protected_by_compiler"] {
            assert_eq!(cyclonedx_justification(native).unwrap().mapping, Exact, "{native}");
        }
    }

    #[test]
    fn responses_are_sorted_sets() {
        let terms = ["vendor_fix", "mitigation", "workaround", "no_fix_planned", "none_available"];
        let all = terms.iter().filter_map(|term| csaf_responses(term));
        for set in all.chain(["rollback", "can_not_fix"].iter().filter_map(|term| cyclonedx_responses(term)))
        {
            assert!(set.is_sorted());
        }
    }

    #[test]
    fn spdx_types_are_read_with_and_without_prefix() {
        let name = "VexNotAffectedVulnAssessmentRelationship";
        assert_eq!(spdx3_status(name), Some(Status::NotAffected));
        assert_eq!(spdx3_status(&format!("security_{name}")), Some(Status::NotAffected));
        assert_eq!(
            spdx3_justification("componentNotPresent").map(|found| found.label),
            Some(ComponentNotPresent)
        );
    }
}

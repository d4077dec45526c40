//! Whether a member that a format does not have may be meant for one that it has.

/// Most letters that a misspelling has too many, too few or changed.
const MOST: usize = 2;

/// Whether a key looks like a name, or has its stem in it, whatever its case and signs.
pub(crate) fn resembles(key: &str, name: &str, stem: &str) -> bool {
    // Longer keys are words of another kind.
    const LONGEST: usize = 64;
    let letters: String = key.chars().take(LONGEST).filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_lowercase();
    letters.contains(stem) || distance(letters.as_bytes(), name.as_bytes()) <= MOST
}

/// How many letters have to be put in, taken out or changed to make one of the other (Levenshtein's distance).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, a) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[m + 1];
            row[m + 1] = changed.min(diagonal + 1).min(row[m] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_hand() {
        let cases = [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("kitten", "sitting", 3),
            ("products", "prodcuts", 2),
        ];
        for (one, other, expected) in cases {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }

    #[test]
    fn misspellings_resemble_and_extensions_do_not() {
        let is_meant = |key: &str| resembles(key, "subcomponents", "component");
        for key in ["subcomponent", "Sub_Components", "sub-componets", "components", "subcompnents"] {
            assert!(is_meant(key), "{key}");
        }
        for key in ["supplier", "hashes", "name", "x", "", "comment", "ünïcode"] {
            assert!(!is_meant(key), "{key}");
        }
    }
}

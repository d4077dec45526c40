//! Commands that are printed for people to run again, as a shell takes them.

use std::borrow::Cow;

use crate::args::Global;
use crate::database;

/// The options that name the same data folder, database and tenant as this call, each with a space before it.
pub(crate) fn options(global: &Global) -> String {
    let mut options = String::new();
    if *global.data != *".provex" {
        options.push_str(&format!(" --data {}", quoted(&global.data.to_string_lossy())));
    }
    options.push_str(&database::flag(global));
    if let Some(tenant) = &global.tenant {
        options.push_str(&format!(" --tenant {tenant}"));
    }
    options
}

/// A word as a POSIX shell reads it back (XCU section 2.2.2).
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        for (word, written) in [
            ("keys/attest.pub", "keys/attest.pub"),
            ("", "''"),
            ("my data", "'my data'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ] {
            assert_eq!(quoted(word), written);
        }
    }
}

//! Text for people and lines for machines.

use std::borrow::Cow;
use std::io::{BufWriter, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Prints one JSON value and a newline on stdout, as it is made: a report's is as large as the report.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let written = serde_json::to_writer(&mut stdout, value).map_err(std::io::Error::from);
    printed(written.and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()))
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    printed(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// A reader that has gone away has read enough.
fn printed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a line of text on stdout.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Tells people something on stderr, in lines of its own. Where nobody can be told, as on a full disk, the work goes
/// on: `eprintln!` would panic.
pub(crate) fn tell(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Text from documents, paths and errors as a terminal may show it: control characters, line separators and the
/// characters that reorder text are written as escapes, so that no document can forge a line of ours.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_deceptive) {
        text.chars()
            .map(|c| if is_deceptive(c) { c.escape_unicode().to_string() } else { c.to_string() })
            .collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// Controls (C0, DEL, C1), line and paragraph separators, and Unicode's bidirectional controls (UAX #9).
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table as wide as the terminal.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_from_outside_can_forge_a_line() {
        assert_eq!(plain("ACME, Köln"), "ACME, Köln");
        let forged = plain("ACME\n  time  2020\u{1b}[31m\u{202e}\u{2028}\u{85}");
        assert_eq!(forged, "ACME\\u{a}  time  2020\\u{1b}[31m\\u{202e}\\u{2028}\\u{85}");
    }
}

//! The place of a finding in its source, as compilers show it.

use provex_core::json;

use crate::output::{is_deceptive, plain};
use crate::run::Place;

/// The most of a line that is shown: documents may be one line.
const WIDTH: usize = 100;

/// Shows places, reading each file once more. Those of one file follow one another.
#[derive(Default)]
pub(crate) struct Snippets {
    path: Option<String>,
    source: Option<String>,
}

impl Snippets {
    /// A place with the line of source it is on; without it where the source cannot be read again.
    pub(crate) fn render(&mut self, what: &str, place: &Place) -> String {
        if self.path.as_ref() != Some(&place.path) {
            self.source = source_of(&place.path);
            self.path = Some(place.path.clone());
        }
        let found = self.source.as_deref().and_then(|text| find(text, place));
        let at = match (&found, place.line) {
            (Some((line, column, _)), _) => format!(":{line}:{column}"),
            (None, Some(line)) => format!(":{line}"),
            (None, None) => String::new(),
        };
        let pointer = if place.pointer.is_empty() { String::new() } else { format!(" at {}", place.pointer) };
        let mut text = format!("{what}[{}] {}{at}{}\n", place.code, plain(&place.path), plain(&pointer));
        if let Some((line, column, source)) = found {
            let (shown, caret) = window(source, column);
            let margin = " ".repeat(line.to_string().len());
            text.push_str(&format!("{margin} |\n{line} | {shown}\n{margin} | {}^\n", " ".repeat(caret)));
        }
        text.push_str(&format!("  = {}\n", plain(&place.message)));
        text
    }
}

/// A file's text, if it is a regular file: a pipe would be waited for.
fn source_of(path: &str) -> Option<String> {
    std::fs::metadata(path).ok()?.is_file().then(|| std::fs::read_to_string(path).ok())?
}

/// Line, column (both from 1) and source line of a place. A pointer that leads into a wrapper's payload or into XML
/// finds nothing in the text, and the line alone is shown.
fn find<'t>(text: &'t str, place: &Place) -> Option<(usize, usize, &'t str)> {
    let line = usize::try_from(place.line?).ok()?;
    let pointed = json::locate(text, &[&place.pointer]).into_iter().next().flatten();
    let column = pointed.filter(|found| found.line == line).map_or(1, |found| found.column);
    let source = text.lines().nth(line - 1)?;
    let indent = source.chars().take_while(|c| c.is_whitespace()).count();
    Some((line, column.max(indent + 1), source))
}

/// The part of a line around a column, and where the column is in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let start = if column > WIDTH { column - WIDTH / 2 } else { 1 };
    let shown: String =
        line.chars().skip(start - 1).take(WIDTH).map(|c| if is_deceptive(c) { ' ' } else { c }).collect();
    (shown, column - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, pointer: &str, line: u64) -> Place {
        Place {
            path: path.to_owned(),
            code: "assumed_utc".to_owned(),
            pointer: pointer.to_owned(),
            line: Some(line),
            message: "Append a zone.".to_owned(),
        }
    }

    #[test]
    fn a_place_is_shown_with_its_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json").display().to_string();
        std::fs::write(&path, "{\n  \"timestamp\": \"2026\"\n}").unwrap();
        let text = Snippets::default().render("finding", &place(&path, "/timestamp", 2));
        let expected = format!(
            "finding[assumed_utc] {path}:2:16 at /timestamp\n  |\n2 |   \"timestamp\": \"2026\"\n  |                ^\n  = \
             Append a zone.\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_line_is_cut_around_its_column() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let (shown, caret) = window(&line, 501);
        assert_eq!(shown.chars().count(), WIDTH);
        assert_eq!(shown.chars().nth(caret), Some('X'));
    }

    #[test]
    fn a_source_that_is_gone_leaves_the_message() {
        let text = Snippets::default().render("refused", &place("gone.json", "", 3));
        assert_eq!(text, "refused[assumed_utc] gone.json:3\n  = Append a zone.\n");
    }
}

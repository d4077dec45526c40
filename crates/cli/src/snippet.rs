//! The place of a finding in its source, as compilers show it.

use provex_core::json::{self, Location};

use crate::output::{is_deceptive, plain};
use crate::run::Place;

/// The most of a line that is shown: documents may be one line.
const WIDTH: usize = 100;

/// Places of one file, in the order of their lines, each with the line of source it is on; without it where the source
/// cannot be read again. The source is gone through once, however many places there are.
pub(crate) fn render(what: &str, places: &[Place]) -> String {
    let source = places.first().and_then(|place| source_of(&place.path)).unwrap_or_default();
    let pointers: Vec<_> = places.iter().map(|place| place.pointer.as_str()).collect();
    let pointed = json::locate(&source, &pointers);
    let mut lines = (1..).zip(source.lines()).peekable();
    let mut text = String::new();
    for (place, pointed) in places.iter().zip(pointed) {
        let number = place.line.and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
        while lines.peek().is_some_and(|(line, _)| *line < number) {
            lines.next();
        }
        let found = lines.peek().filter(|(line, _)| *line == number);
        let found = found.map(|(_, source)| (number, column(place, pointed, source), *source));
        text.push_str(&one(what, place, found));
        text.push('\n');
    }
    text
}

/// A place, and the line, column (both from 1) and source line that were found for it.
fn one(what: &str, place: &Place, found: Option<(usize, usize, &str)>) -> String {
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

/// A file's text, if it is a regular file: a pipe would be waited for.
fn source_of(path: &str) -> Option<String> {
    std::fs::metadata(path).ok()?.is_file().then(|| std::fs::read_to_string(path).ok())?
}

/// The column of a place in its line. A pointer that leads into a wrapper's payload or into XML finds nothing in the
/// text; then it is where the line begins.
fn column(place: &Place, pointed: Option<Location>, line: &str) -> usize {
    let told = place.column.and_then(|column| usize::try_from(column).ok());
    let pointed = pointed.filter(|found| Some(found.line as u64) == place.line).map(|found| found.column);
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    told.or(pointed).unwrap_or(1).max(indent + 1)
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
            column: None,
            message: "Append a zone.".to_owned(),
        }
    }

    #[test]
    fn a_place_is_shown_with_its_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json").display().to_string();
        std::fs::write(&path, "{\n  \"timestamp\": \"2026\"\n}").unwrap();
        let places = [place(&path, "", 1), place(&path, "/timestamp", 2), place(&path, "/timestamp", 2)];
        let text = render("finding", &places);
        let expected = format!(
            "finding[assumed_utc] {path}:2:16 at /timestamp\n  |\n2 |   \"timestamp\": \"2026\"\n  |                ^\n  = \
             Append a zone.\n\n"
        );
        assert!(text.starts_with(&format!("finding[assumed_utc] {path}:1:1\n")), "{text}");
        assert!(text.ends_with(&expected.repeat(2)), "{text}");
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
        let text = render("refused", &[place("gone.json", "", 3)]);
        assert_eq!(text, "refused[assumed_utc] gone.json:3\n  = Append a zone.\n\n");
    }
}

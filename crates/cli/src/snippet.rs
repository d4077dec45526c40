//! The place of a finding in its source, as compilers show it.

use std::borrow::Cow;

use provex_core::json::{self, Location};

use crate::output::{is_deceptive, plain};
use crate::run::Place;

/// The most of a line that is shown: documents may be one line.
const WIDTH: usize = 100;

/// The largest source that is read for it; a larger one was not read as a document either.
const LARGEST: u64 = 150 << 20;

/// Places of one file, in the order of their lines, each with the line of source it is on; without it where the source
/// cannot be read again. The source is gone through once, however many places there are and however long its lines.
pub(crate) fn render(what: &str, places: &[Place], standard_input: Option<&str>) -> String {
    let path = places.first().map(|place| place.path.as_str()).unwrap_or_default();
    let source: Cow<'_, str> = match standard_input.filter(|_| path == "-") {
        Some(text) => text.into(),
        None => source_of(path).unwrap_or_default().into(),
    };
    // Places are told without a byte order mark.
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    let pointers: Vec<_> = places.iter().map(|place| place.pointer.as_str()).collect();
    let pointed = json::locate(source, &pointers);
    let mut end = 0;
    let lines = source.split_inclusive('\n').map(|line| {
        let start = end;
        end += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    });
    let mut lines = (1..).zip(lines).peekable();
    let mut text = String::new();
    for (place, pointed) in places.iter().zip(pointed) {
        let number = place.line.and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
        while lines.peek().is_some_and(|(line, _)| *line < number) {
            lines.next();
        }
        let found = lines.peek().filter(|(line, _)| *line == number);
        let found = found.map(|(line, (start, text))| {
            let (column, at) = column(place, pointed, *start, text);
            Found { line: *line, column, at, text }
        });
        text.push_str(&one(what, place, found));
        text.push('\n');
    }
    text
}

/// Where a place is in its source.
struct Found<'s> {
    line: usize,
    /// In characters from 1.
    column: usize,
    /// The same in bytes from 0.
    at: usize,
    /// The whole line.
    text: &'s str,
}

/// A place, and what was found for it.
fn one(what: &str, place: &Place, found: Option<Found<'_>>) -> String {
    let at = match (&found, place.line) {
        (Some(Found { line, column, .. }), _) => format!(":{line}:{column}"),
        (None, Some(line)) => format!(":{line}"),
        (None, None) => String::new(),
    };
    let pointer = if place.pointer.is_empty() { String::new() } else { format!(" at {}", place.pointer) };
    let mut text = format!("{what}[{}] {}{at}{}\n", place.code, plain(&place.path), plain(&pointer));
    if let Some(Found { line, at, text: source, .. }) = found {
        let (shown, caret) = window(source, at);
        let margin = " ".repeat(line.to_string().len());
        text.push_str(&format!("{margin} |\n{line} | {shown}\n{margin} | {}^\n", " ".repeat(caret)));
    }
    text.push_str(&format!("  = {}\n", plain(&place.message)));
    text
}

/// A file's text, if it is a regular file: a pipe would be waited for.
fn source_of(path: &str) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_read = metadata.is_file() && metadata.len() <= LARGEST;
    is_read.then(|| std::fs::read_to_string(path).ok())?
}

/// The column of a place in its line, which begins at `start` of the source: in characters from 1 and in bytes from 0. A
/// pointer that leads into a wrapper's payload or into XML finds nothing in the text; then it is where the line begins.
fn column(place: &Place, pointed: Option<Location>, start: usize, line: &str) -> (usize, usize) {
    let indent = line.chars().take(WIDTH).take_while(|c| c.is_whitespace());
    let (count, bytes) = indent.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
    if let Some(told) = place.column.and_then(|column| usize::try_from(column).ok()) {
        let at = line.char_indices().nth(told.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        return if told > count { (told, at) } else { (count + 1, bytes) };
    }
    match pointed.filter(|found| Some(found.line as u64) == place.line) {
        Some(found) if found.column > count => (found.column, found.offset.saturating_sub(start)),
        _ => (count + 1, bytes),
    }
}

/// The part of a line around a place, and where the place is in it. What is cut off is told by an ellipsis.
fn window(line: &str, at: usize) -> (String, usize) {
    let (before, after) = line.split_at_checked(at).unwrap_or((line, ""));
    let is_far = before.chars().rev().nth(WIDTH - 1).is_some();
    let begin = before.char_indices().rev().take(if is_far { WIDTH / 2 } else { WIDTH }).last();
    let before = &before[begin.map_or(before.len(), |(at, _)| at)..];
    let mut shown = String::new();
    if is_far {
        shown.push('…');
    }
    shown.extend(before.chars().map(harmless));
    let caret = shown.chars().count();
    let mut rest = after.chars();
    shown.extend(rest.by_ref().take(WIDTH.saturating_sub(caret)).map(harmless));
    if rest.next().is_some() {
        shown.push('…');
    }
    (shown, caret)
}

fn harmless(c: char) -> char {
    if is_deceptive(c) { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, pointer: &str, line: u64) -> Place {
        Place {
            path: path.to_owned(),
            code: "assumed_utc",
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
        let text = render("finding", &places, None);
        let expected = format!(
            "finding[assumed_utc] {path}:2:16 at /timestamp\n  |\n2 |   \"timestamp\": \"2026\"\n  |                ^\n  = \
             Append a zone.\n\n"
        );
        assert!(text.starts_with(&format!("finding[assumed_utc] {path}:1:1\n")), "{text}");
        assert!(text.ends_with(&expected.repeat(2)), "{text}");
    }

    #[test]
    fn a_long_line_is_cut_around_its_place() {
        let line = format!("{}X{}", "ä".repeat(500), "b".repeat(500));
        let (shown, caret) = window(&line, 1_000);
        assert_eq!(shown.chars().count(), WIDTH + 1);
        assert_eq!(shown.chars().nth(caret), Some('X'));
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        // Where nothing is cut off, nothing is said.
        assert_eq!(window("short", 2), ("short".to_owned(), 2));
        let (shown, caret) = window(&line, 0);
        assert!(shown.starts_with('ä') && shown.ends_with('…') && caret == 0, "{shown}");
        let (shown, caret) = window(&line, line.len());
        assert_eq!((shown.chars().count(), caret), (WIDTH / 2 + 1, WIDTH / 2 + 1));
    }

    #[test]
    fn standard_input_is_shown_as_a_file_is() {
        let text = "{\n  \"timestamp\": \"2026\"\n}";
        let shown = render("finding", &[place("-", "/timestamp", 2)], Some(text));
        assert!(
            shown.starts_with("finding[assumed_utc] -:2:16 at /timestamp\n  |\n2 |   \"timestamp\""),
            "{shown}"
        );
        let marked = render("finding", &[place("-", "/timestamp", 2)], Some(&format!("\u{feff}{text}")));
        assert_eq!(marked, shown);
        let other = render("finding", &[place("gone.json", "/timestamp", 2)], Some(text));
        assert!(!other.contains('|'), "{other}");
    }

    #[test]
    fn a_source_that_is_gone_leaves_the_message() {
        let text = render("refused", &[place("gone.json", "", 3)], None);
        assert_eq!(text, "refused[assumed_utc] gone.json:3\n  = Append a zone.\n\n");
    }
}

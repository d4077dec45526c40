//! Paths to inputs: files, folders (walked while they are read, so that their number costs no memory), and `-`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use provex_formats::ParseLimits;
use provex_pipeline::{Content, Input};

/// The inputs that paths name, in order; a folder's entries by name. Passed over, and counted as skipped, are in a
/// folder: `.git`, data folders of provex, and links to folders, which could run in circles.
pub(crate) struct Inputs {
    /// What is still to be looked at, last first; `true` for what was found in a folder.
    waiting: Vec<(PathBuf, bool)>,
    /// The largest document: no more than one byte over it is read from standard input.
    max_bytes: usize,
    /// Where what came from standard input is kept, if it is.
    kept: Option<Arc<OnceLock<Vec<u8>>>>,
}

impl Inputs {
    pub(crate) fn new(paths: Vec<PathBuf>, limits: ParseLimits) -> Self {
        let waiting = paths.into_iter().rev().map(|path| (path, false)).collect();
        Self { waiting, max_bytes: limits.max_bytes, kept: None }
    }

    /// Keeps what comes from standard input, which cannot be read again to show a place in it.
    pub(crate) fn keep_standard_input(&mut self) -> Arc<OnceLock<Vec<u8>>> {
        Arc::clone(self.kept.get_or_insert_default())
    }

    fn enter(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
        self.waiting.extend(entries.into_iter().map(|entry| (entry.path(), true)));
        Ok(())
    }
}

impl Iterator for Inputs {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            let (path, found) = self.waiting.pop()?;
            let name = path.display().to_string();
            if name == "-" && !found {
                let content = standard_input(self.max_bytes);
                if let (Some(kept), Content::Bytes(bytes)) = (&self.kept, &content) {
                    kept.get_or_init(|| bytes.clone());
                }
                return Some(Input { name, content, found });
            }
            let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
            if !path.is_dir() {
                // A named pipe in a folder would be waited for without end; one that is named as PATH is meant.
                let regular = !found || path.metadata().is_ok_and(|metadata| metadata.is_file());
                let content = if regular {
                    Content::File(path)
                } else {
                    Content::Unreadable("it is no regular file".to_owned())
                };
                return Some(Input { name, content, found });
            }
            let passed_over = is_link || path.ends_with(".git") || path.join("provex.toml").exists();
            if passed_over && found {
                return Some(Input { name, content: Content::Skipped, found });
            }
            if let Err(error) = self.enter(&path) {
                return Some(Input { name, content: Content::Unreadable(error.to_string()), found });
            }
        }
    }
}

fn standard_input(max_bytes: usize) -> Content {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().take(max_bytes as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => Content::Bytes(bytes),
        Err(error) => Content::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_walked_by_name_without_data_folders_and_links() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.json", "a/z.json", ".vex/y.json", ".provex/provex.toml", ".git/config", "c.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let names: Vec<_> = Inputs::new(vec![folder.path().to_owned()], ParseLimits::default())
            .filter(|input| !matches!(input.content, Content::Skipped))
            .map(|input| {
                input.name.strip_prefix(&format!("{}/", folder.path().display())).unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, [".vex/y.json", "a/z.json", "b.json", "c.txt"]);
    }

    #[test]
    fn a_named_pipe_in_a_folder_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("p.json")).status().unwrap();
        assert!(made.success());
        let input = Inputs::new(vec![folder.path().to_owned()], ParseLimits::default()).next().unwrap();
        assert!(matches!(input.content, Content::Unreadable(_)));
    }

    #[test]
    fn a_path_that_is_not_there_is_an_input_that_cannot_be_read() {
        let input = Inputs::new(vec!["missing.json".into()], ParseLimits::default()).next().unwrap();
        assert!(!input.found && matches!(input.content, Content::File(_)));
    }
}

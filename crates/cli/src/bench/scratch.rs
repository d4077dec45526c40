//! The temporary folder that everything is written into.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use provex_pipeline::environment::Environment as _;

use crate::environment::System;
use crate::output;

/// A folder of its own in the system's folder for temporary files, removed with all that is in it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("provex-bench-{}", System.uuid()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A path where nothing is: what was there is removed.
    pub(super) fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        Ok(path)
    }

    /// An empty folder.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.fresh(name)?;
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            output::tell(format_args!("provex: {} could not be removed: {error}", self.0.display()));
        }
    }
}

/// Writes a file that nobody needs to survive a power cut.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

//! Shell completions and man pages, made from the command tree.

use std::path::Path;

use clap_complete::Shell;

use crate::base::error::{Error, Result};

/// The completion script of a shell.
pub(super) fn completions(shell: Shell, root: &clap::Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut root.clone(), "pgcopydb", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes one man page per command into a directory.
///
/// # Errors
/// `Config` when the directory cannot be made or written.
pub(super) fn man(directory: &Path, root: &clap::Command) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::config(format!("directory \"{}\": {error}", directory.display()))
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(root.clone(), directory).map_err(failed)
}

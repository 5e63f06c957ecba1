//! Architecture gates: what only care would otherwise hold. Each failing gate prints the
//! consequence of breaking it.
//!
//! | gate | holds |
//! |---|---|
//! | `layers` | modules import downwards only, siblings form no cycle, pure modules stay pure |
//! | `isolation` | `proto` does no I/O; below `cli` nobody reads the environment or prints |
//! | `documents` | reference, options, variables, error classes, exit codes are documented |
//! | `files` | every `.sql` file is used and explained; every fuzz target has a corpus |
//! | `options` | every command and option is passed by a test that `docs/options.md` names |
//! | `traps` | tests and `docs/traps.md` agree on what is tested |

#[path = "gates/documents.rs"]
mod documents;
#[path = "gates/files.rs"]
mod files;
#[path = "gates/isolation.rs"]
mod isolation;
#[path = "gates/layers.rs"]
mod layers;
#[path = "gates/options.rs"]
mod options;
#[path = "gates/source.rs"]
mod source;
#[path = "gates/traps.rs"]
mod traps;

/// Fails with every violation and what it leads to.
fn hold(consequence: &str, violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n\nconsequence: {consequence}\n", violations.join("\n"));
}

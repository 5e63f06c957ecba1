//! Use cases, one per file. Each takes resolved settings and returns what happened; none prints.

pub mod clone;
pub mod compare;
pub mod list;
pub mod ping;
pub mod snapshot;
mod source;

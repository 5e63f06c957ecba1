//! Use cases, one per file. Each takes resolved settings and returns what happened; none prints.

pub mod all_databases;
pub mod check;
pub mod clone;
pub mod compare;
pub mod follow;
pub mod list;
pub mod parse_list;
pub mod ping;
mod preflight;
pub mod roles;
pub mod snapshot;
mod source;
pub mod stream;

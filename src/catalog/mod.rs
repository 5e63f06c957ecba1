//! What the source and the target hold: a typed model, and the queries that fill it.
//!
//! ```text
//! sql/*.sql ── query ── version ──► server ──► rows ──► model
//!                └────────── fetch, facts, sequence_values ──────────┘
//! ```
//!
//! - [`model`]: plain values, no I/O; what `filter` and `plan` work on.
//! - [`fetch`]: the whole source under its snapshot, and what exists on the target.
//! - [`condition`]: in what condition both servers are, for the preflight.
//! - [`facts`]: where to cut a table that is split by key; asked only for tables that are.
//! - [`sequence_values`]: where the sequences stand, at any time.
//! - [`lookup`]: from identifiers to objects.
//! - [`members`]: what the members of extensions are, to find those that a user has changed.
//! - [`version`]: how one query text fits servers from 10 on.
//!
//! Sessions handed to this module have the settings of `connect::client` pinned, above all an empty
//! `search_path`: definitions and type names come out schema-qualified.

pub mod condition;
pub mod facts;
pub mod fetch;
pub mod lookup;
pub mod members;
pub mod model;
mod query;
mod rows;
pub mod sequence_values;
mod split_key;
mod type_graph;
pub mod version;

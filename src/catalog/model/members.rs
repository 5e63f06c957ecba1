//! Members of extensions as text, so that those of two servers can be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A property of a member: extension, object (`function public.f(integer)`), property.
pub type MemberProperty = (String, String, String);

/// Members of extensions of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Version of the server.
    pub server_version: u32,
    /// Version of each extension.
    pub versions: BTreeMap<String, String>,
    /// Properties and their values, as far as they can be compared between servers.
    pub properties: BTreeMap<MemberProperty, String>,
    /// Rows that belong to the extension itself, by extension and table: no tool copies them.
    pub rows: BTreeMap<(String, String), MemberRows>,
    /// What could not be read, one line each.
    pub unchecked: Vec<String>,
}

/// Rows of a table of an extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRows {
    /// How many, counted up to a limit.
    pub count: u64,
    /// Digest over all of them.
    pub digest: String,
}

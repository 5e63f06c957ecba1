//! Types, as far as the choice of the COPY format needs them.

use serde::{Deserialize, Serialize};

use super::Oid;

/// A type that a column uses, directly or inside another type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeInfo {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// `format_type`.
    pub name: String,
    /// What it is made of.
    pub kind: TypeKind,
    /// Comes with the server: lives in `pg_catalog` and its identifier is below 10 000 or reserved,
    /// so it is the same on every server.
    pub built_in: bool,
    /// It and everything it is made of have send and receive functions.
    pub binary_io: bool,
    /// Extension that it is a member of, with that extension's version on the source.
    pub extension: Option<(String, String)>,
}

/// What a type is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TypeKind {
    /// A base type.
    #[default]
    Base,
    /// An array of the element type.
    Array(Oid),
    /// A domain over the base type.
    Domain(Oid),
    /// An enum.
    Enum,
    /// A range over the subtype.
    Range(Oid),
    /// A multirange over the range type.
    Multirange(Oid),
    /// A composite of the attributes' types.
    Composite(Vec<Oid>),
    /// A pseudo-type or something newer than we know.
    Other,
}

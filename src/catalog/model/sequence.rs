//! Sequences.

use serde::{Deserialize, Serialize};

use super::Oid;
use crate::base::ident::QualifiedName;

/// A sequence of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// The table that owns it, through OWNED BY or identity.
    pub owned_by: Option<Oid>,
    /// Tables whose column defaults use it.
    pub used_by: Vec<Oid>,
    /// Our role may read it.
    pub may_select: bool,
    /// Extension that it is a member of.
    pub extension: Option<String>,
}

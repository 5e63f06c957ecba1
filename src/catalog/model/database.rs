//! Databases of a server.

use serde::{Deserialize, Serialize};

/// A database with everything that CREATE DATABASE and ALTER DATABASE say of it, settings left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: String,
    /// Server encoding.
    pub encoding: String,
    /// `datcollate`.
    pub collate: String,
    /// `datctype`.
    pub ctype: String,
    /// Who provides the default collation.
    pub provider: LocaleProvider,
    /// Locale of a provider other than libc.
    pub locale: Option<String>,
    /// Rules of an ICU collation.
    pub rules: Option<String>,
    /// Default tablespace, when it is not `pg_default`.
    pub tablespace: Option<String>,
    /// CONNECTION LIMIT; −1 is none.
    pub connection_limit: i32,
    /// Anybody with CREATEDB may copy it.
    pub is_template: bool,
    /// Privileges as GRANT statements behind the first word; `None` when there never were any of its
    /// own.
    pub grants: Option<Vec<String>>,
    /// Comment.
    pub comment: Option<String>,
}

/// `datlocprovider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LocaleProvider {
    /// `c`.
    #[default]
    Libc,
    /// `i`.
    Icu,
    /// `b`.
    Builtin,
}

impl LocaleProvider {
    /// The word for it in CREATE DATABASE.
    pub fn word(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::Icu => "icu",
            Self::Builtin => "builtin",
        }
    }
}

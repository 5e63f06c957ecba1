//! Settings of `copy`, `dump` and `restore`: a clone in steps, each its own process.

use super::CloneConfig;

/// What a command does of a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// All of it, in one process.
    Everything,
    /// `copy schema`: dump, pre-data, indexes, constraints, foreign keys, post-data; no rows.
    Schema,
    /// `copy data`: rows, large objects, indexes, constraints, statistics, sequences.
    Data,
    /// `copy table-data`: rows.
    TableData,
    /// `copy blobs`: large objects.
    LargeObjects,
    /// `copy sequences`: where the sequences stand.
    Sequences,
    /// `copy indexes`: indexes, and the constraints that stand on them.
    Indexes,
    /// `copy constraints`: primary key, unique and exclusion constraints with the indexes they need.
    Constraints,
    /// `copy extensions`: extensions and the rows of their configuration tables.
    Extensions,
    /// `dump schema`: the archive, and the catalog that goes with it.
    Dump,
    /// `restore schema`: pre-data, indexes, constraints, foreign keys, post-data.
    RestoreSchema,
    /// `restore pre-data`: what rows need.
    PreData,
    /// `restore post-data`: what is left once rows are there.
    PostData,
    /// `restore parse-list`: the edited lists, and nothing on the target.
    Lists,
}

impl Work {
    /// The command, as people type it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Everything => "clone",
            Self::Schema => "copy schema",
            Self::Data => "copy data",
            Self::TableData => "copy table-data",
            Self::LargeObjects => "copy blobs",
            Self::Sequences => "copy sequences",
            Self::Indexes => "copy indexes",
            Self::Constraints => "copy constraints",
            Self::Extensions => "copy extensions",
            Self::Dump => "dump schema",
            Self::RestoreSchema => "restore schema",
            Self::PreData => "restore pre-data",
            Self::PostData => "restore post-data",
            Self::Lists => "restore parse-list",
        }
    }

    /// It makes an archive of the schema.
    pub fn dumps(self) -> bool {
        matches!(self, Self::Everything | Self::Schema | Self::Dump)
    }

    /// It works from the archive that `dump schema` made, and needs no source.
    pub fn uses_archive(self) -> bool {
        matches!(self, Self::RestoreSchema | Self::PreData | Self::PostData | Self::Lists)
    }

    /// It restores what rows need.
    pub fn restores_pre_data(self) -> bool {
        matches!(self, Self::Everything | Self::Schema | Self::RestoreSchema | Self::PreData)
    }

    /// It restores what is left once rows are there.
    pub fn restores_post_data(self) -> bool {
        matches!(self, Self::Everything | Self::Schema | Self::RestoreSchema | Self::PostData)
    }

    /// Doing it again is what the command is for: the source goes on counting.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::Sequences | Self::Lists)
    }
}

/// What a command does with the roles of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolesWork {
    /// `copy roles`.
    Copy,
    /// `dump roles`.
    Dump,
    /// `restore roles`.
    Restore,
}

/// What a step needs to know.
#[derive(Debug, Clone)]
pub struct StepConfig {
    /// What it does.
    pub work: Work,
    /// Everything else, as for a clone. An end that is not given is filled by the other one, and
    /// never connected to: see the next two.
    pub clone: CloneConfig,
    /// The source is given.
    pub has_source: bool,
    /// The target is given.
    pub has_target: bool,
}

//! Jobs: the nodes of the work graph.

use serde::{Deserialize, Serialize};

use crate::base::event::{JobClass, JobId};

/// A piece of work that one worker does in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its position in [`super::Plan::jobs`].
    pub id: JobId,
    /// What to do.
    pub kind: JobKind,
    /// Jobs that must have ended well before, each with a lower identity.
    pub after: Vec<JobId>,
    /// For the display.
    pub class: JobClass,
    /// Which worker token it takes.
    pub resource: Resource,
    /// Whether it comes before or after the post-data that pg_restore runs.
    pub stage: Stage,
    /// No two jobs with the same value run at once: the table whose lock they would wait for.
    pub exclusive: Option<u32>,
    /// Estimated bytes that it reads or builds, for the display.
    pub weight: u64,
    /// Estimated bytes on the longest path from here to the end: higher goes first (K10).
    pub priority: u64,
}

/// What a job does. Numbers are positions in the vectors of [`super::Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobKind {
    /// TRUNCATE of a table that is copied in parts, once before all of them. In the same transaction
    /// the marker rows of its parts are deleted. Not planned when a part is already there.
    Truncate {
        /// The table.
        table: u32,
    },
    /// COPY of one part.
    CopyPart {
        /// The table.
        table: u32,
        /// Position in [`super::TablePlan::parts`].
        part: u32,
    },
    /// Everything of a small table on one source and one target session, one step after the other: what
    /// `CopyPart` of its only part, `Index` of all its indexes, `Constraints` and `Vacuum` would do.
    /// A run that stops in between leaves a table that [`mod@super::resume`] plans as ordinary jobs.
    SmallTable {
        /// The table.
        table: u32,
    },
    /// CREATE INDEX and the statements that belong to the index alone.
    Index {
        /// The index.
        index: u32,
    },
    /// All constraints of a table, one after the other, then its replica identity and clustering index.
    Constraints {
        /// The table.
        table: u32,
    },
    /// ANALYZE or VACUUM of one table, outside a transaction block.
    Vacuum {
        /// The table.
        table: u32,
    },
    /// ADD CONSTRAINT … FOREIGN KEY … NOT VALID, or as its definition says where it stays invalid.
    ForeignKey {
        /// The foreign key.
        index: u32,
    },
    /// VALIDATE CONSTRAINT; ADD CONSTRAINT under [`super::Validation::WithAdd`]. A violation leaves it
    /// NOT VALID, or missing, and is reported with sample keys (K11).
    ValidateForeignKey {
        /// The foreign key.
        index: u32,
    },
    /// One share of the large objects.
    LargeObjects {
        /// Which share, from 0.
        shard: u32,
        /// How many shares.
        shards: u32,
    },
    /// All sequence values.
    Sequences,
    /// ANALYZE of [`super::Plan::parents`], for the statistics of whole partition and inheritance trees,
    /// which no ANALYZE of a member makes.
    AnalyzeParents,
}

/// A kind of worker token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// COPY and TRUNCATE: `--table-jobs`.
    Copy,
    /// Indexes, constraints, validation: `--index-jobs`.
    Index,
    /// Large objects: `--large-objects-jobs`.
    LargeObjects,
    /// VACUUM and ANALYZE: `--table-jobs`.
    Vacuum,
    /// Sequence values: one.
    Sequences,
    /// ADD FOREIGN KEY: one, because two of them at once can lock two tables in opposite order.
    ForeignKey,
}

impl Resource {
    /// Every kind, in the order of [`Self::position`].
    pub const ALL: [Self; 6] = [
        Self::Copy,
        Self::Index,
        Self::LargeObjects,
        Self::Vacuum,
        Self::Sequences,
        Self::ForeignKey,
    ];

    /// Position in [`Self::ALL`].
    pub fn position(self) -> usize {
        match self {
            Self::Copy => 0,
            Self::Index => 1,
            Self::LargeObjects => 2,
            Self::Vacuum => 3,
            Self::Sequences => 4,
            Self::ForeignKey => 5,
        }
    }
}

/// Where a job stands relative to pg_restore's post-data.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Stage {
    /// Between pre-data and post-data.
    #[default]
    Data,
    /// After post-data: foreign keys that need what pg_restore creates there (the key of a partitioned
    /// table is valid only when all its partitions are attached).
    AfterPostData,
}

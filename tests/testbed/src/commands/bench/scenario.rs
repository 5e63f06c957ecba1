//! What is copied.

use anyhow::Result;

use testbed::{Cluster, fixtures};

/// A shape of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// One table of narrow rows, one job, no index: how fast bytes are relayed.
    Ints,
    /// One table of 370-byte rows, one job, no index.
    Mixed,
    /// One table of 4 kB rows, one job, no index.
    Wide,
    /// The three tables at half size with six indexes, default options.
    Indexed,
    /// Thousands of small tables and twice as many indexes, default options.
    Many,
    /// A hundred thousand empty tables: only the plan is made.
    Empty,
    /// The rows of [`Self::Indexed`] on both sides are compared.
    Compare,
}

impl Scenario {
    /// All scenarios, in the order they are run.
    pub(super) const ALL: [Self; 7] = [
        Self::Ints,
        Self::Mixed,
        Self::Wide,
        Self::Indexed,
        Self::Many,
        Self::Empty,
        Self::Compare,
    ];

    /// Name as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ints => "ints",
            Self::Mixed => "mixed",
            Self::Wide => "wide",
            Self::Indexed => "indexed",
            Self::Many => "many",
            Self::Empty => "empty",
            Self::Compare => "compare",
        }
    }

    /// Whether one table is copied by one job.
    pub(super) fn is_relay(self) -> bool {
        matches!(self, Self::Ints | Self::Mixed | Self::Wide)
    }

    /// Whether two equal databases are compared.
    pub(super) fn compares(self) -> bool {
        self == Self::Compare
    }

    /// Whether nothing is copied.
    pub(super) fn only_plans(self) -> bool {
        self == Self::Empty
    }

    /// One line for people.
    pub(super) fn describe(self, scale: f64) -> String {
        let n = |full: u32| scaled(full, scale);
        match self {
            Self::Ints => {
                format!("one table, {} rows of three integers, one job, no index", n(INTS))
            }
            Self::Mixed => {
                format!("one table, {} mixed rows of 370 bytes, one job, no index", n(MIXED))
            }
            Self::Wide => format!("one table, {} rows of 4 kB bytea, one job, no index", n(WIDE)),
            Self::Indexed => format!(
                "{} + {} + {} of those rows, six indexes, default options",
                n(INTS / 2),
                n(MIXED / 2),
                n(WIDE / 2)
            ),
            Self::Many => {
                let tables = n(MANY);
                format!("{tables} small tables with {} indexes, default options", tables * 2)
            }
            Self::Empty => format!("{} empty tables, the plan only", n(EMPTY)),
            Self::Compare => format!(
                "{} + {} + {} of those rows on both sides, compared by four jobs",
                n(INTS / 2),
                n(MIXED / 2),
                n(WIDE / 2)
            ),
        }
    }

    /// Makes the data.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn fill(self, cluster: &Cluster, database: &str, scale: f64) -> Result<()> {
        let n = |full: u32| scaled(full, scale);
        let rows = |full: u32| u64::from(scaled(full, scale));
        match self {
            Self::Ints => fixtures::three_ints(cluster, database, "ints", rows(INTS)),
            Self::Mixed => fixtures::mixed_rows(cluster, database, "mixed", rows(MIXED)),
            Self::Wide => fixtures::wide_rows(cluster, database, "wide", rows(WIDE)),
            Self::Indexed | Self::Compare => {
                fixtures::three_ints(cluster, database, "ints", rows(INTS / 2))?;
                fixtures::mixed_rows(cluster, database, "mixed", rows(MIXED / 2))?;
                fixtures::wide_rows(cluster, database, "wide", rows(WIDE / 2))?;
                cluster.psql(database, INDEXES)?;
                Ok(())
            }
            // One further index beside the primary key: two per table.
            Self::Many => fixtures::many_tables(cluster, database, n(MANY), 1, 20),
            Self::Empty => fixtures::empty_tables(cluster, database, n(EMPTY)),
        }
    }
}

/// Rows of [`Scenario::Ints`] at scale 1.
const INTS: u32 = 12_000_000;

/// Rows of [`Scenario::Mixed`] at scale 1.
const MIXED: u32 = 2_400_000;

/// Rows of [`Scenario::Wide`] at scale 1.
const WIDE: u32 = 200_000;

/// Tables of [`Scenario::Many`] at scale 1.
const MANY: u32 = 4_000;

/// Tables of [`Scenario::Empty`] at scale 1.
const EMPTY: u32 = 100_000;

/// The six indexes of [`Scenario::Indexed`].
const INDEXES: &str = "
alter table ints add primary key (a);
create index on ints (b, c);
alter table mixed add primary key (id);
create index on mixed (at);
create index on mixed (code, title);
alter table wide add primary key (id);
";

/// A count at another scale, at least 1.
#[expect(clippy::cast_possible_truncation, reason = "counts stay far below the limit")]
pub(super) fn scaled(full: u32, scale: f64) -> u32 {
    (f64::from(full) * scale).max(1.0) as u32
}

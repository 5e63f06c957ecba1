//! What an examination of both ends found before any work: filled by `command`, shown by `report`.

use super::error::Side;
use super::summary::Severity;

/// What a finding is about; its word is stable, scripts may rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// An end cannot be reached or refuses us.
    Connection,
    /// Server versions and their direction.
    Version,
    /// `pg_dump`, `pg_restore`, `pg_dumpall`.
    ClientTools,
    /// Something between us and the server that is not the server.
    Pooler,
    /// Settings of a server or database that stand in the way.
    Setting,
    /// What our role may not do.
    Privilege,
    /// Row-level security that would hide rows.
    RowSecurity,
    /// Roles that objects need and the target does not have.
    Role,
    /// Extensions missing or in other versions.
    Extension,
    /// Encodings of both databases.
    Encoding,
    /// Collations missing or in other versions.
    Collation,
    /// Tablespaces that the target does not have.
    Tablespace,
    /// Access methods, compression and the like that the target lacks.
    Feature,
    /// The target has what is going to be created.
    TargetNotEmpty,
    /// The filters contradict what is there.
    Filter,
    /// Tables whose changes cannot be followed, or only in part.
    Table,
    /// Large objects.
    LargeObject,
    /// Transactions that are open for long, or prepared.
    Transaction,
    /// Age of transaction identifiers.
    Wraparound,
    /// Replication slots, senders, `wal_level`.
    Replication,
    /// Event triggers that would fire on our statements.
    EventTrigger,
    /// Sessions or locks that may run out.
    Limit,
    /// Room on disks.
    Disk,
    /// Something that could not be examined.
    Unchecked,
}

impl Topic {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Version => "version",
            Self::ClientTools => "client-tools",
            Self::Pooler => "pooler",
            Self::Setting => "setting",
            Self::Privilege => "privilege",
            Self::RowSecurity => "row-security",
            Self::Role => "role",
            Self::Extension => "extension",
            Self::Encoding => "encoding",
            Self::Collation => "collation",
            Self::Tablespace => "tablespace",
            Self::Feature => "feature",
            Self::TargetNotEmpty => "target-not-empty",
            Self::Filter => "filter",
            Self::Table => "table",
            Self::LargeObject => "large-object",
            Self::Transaction => "transaction",
            Self::Wraparound => "wraparound",
            Self::Replication => "replication",
            Self::EventTrigger => "event-trigger",
            Self::Limit => "limit",
            Self::Disk => "disk",
            Self::Unchecked => "unchecked",
        }
    }
}

/// One thing found before work starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// What it is about.
    pub topic: Topic,
    /// An error blocks; a warning does not.
    pub severity: Severity,
    /// Where it is.
    pub side: Side,
    /// The object as people name it.
    pub object: String,
    /// One line without a full stop: what was found and what it leads to.
    pub reason: String,
    /// The statement or option that resolves it.
    pub fix: Option<String>,
}

impl Concern {
    /// A finding about an object of one side.
    pub fn new(
        severity: Severity,
        topic: Topic,
        side: Side,
        object: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        let (object, reason) = (object.into(), reason.into());
        Self { topic, severity, side, object, reason, fix: None }
    }

    /// Adds what resolves it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Whether nothing may be begun because of it.
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// One end, as far as it could be examined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// Server version as people know it.
    pub version: String,
    /// Database.
    pub database: String,
    /// Our role.
    pub role: String,
    /// Our role is a superuser.
    pub superuser: bool,
    /// Encoding of the database.
    pub encoding: String,
    /// Collation of the database.
    pub collation: String,
}

/// Both ends and what was found, worst first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// The source; `None` when it could not be reached.
    pub source: Option<Examined>,
    /// The target; `None` when it could not be reached.
    pub target: Option<Examined>,
    /// What was found.
    pub concerns: Vec<Concern>,
}

impl Examination {
    /// Whether anything blocks.
    pub fn blocks(&self) -> bool {
        self.concerns.iter().any(Concern::blocks)
    }

    /// How many findings have a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.concerns.iter().filter(|concern| concern.severity == severity).count()
    }
}

/// Sorts findings: worst first, then source before target, then by topic and object.
pub fn sort(concerns: &mut [Concern]) {
    let side = |concern: &Concern| match concern.side {
        Side::Local => 0,
        Side::Source => 1,
        Side::Target => 2,
    };
    concerns.sort_by(|a, b| {
        (b.severity.cmp(&a.severity))
            .then_with(|| side(a).cmp(&side(b)))
            .then_with(|| (a.topic, &a.object).cmp(&(b.topic, &b.object)))
    });
}

//! What people call a job, and how to find what hangs on a table.

use super::Plan;
use super::index::{ConstraintPlan, IndexPlan};
use super::job::{Job, JobKind};
use super::table::TablePlan;

impl Plan {
    /// The indexes of a table.
    pub fn indexes_of(&self, table: &TablePlan) -> impl Iterator<Item = &IndexPlan> {
        let range = table.indexes.start as usize..table.indexes.end as usize;
        self.indexes.get(range).unwrap_or_default().iter()
    }

    /// The constraints of a table.
    pub fn constraints_of(&self, table: &TablePlan) -> impl Iterator<Item = &ConstraintPlan> {
        let range = table.constraints.start as usize..table.constraints.end as usize;
        self.constraints.get(range).unwrap_or_default().iter()
    }

    /// What to call a job on the display and in messages: `public.orders 3/8`.
    pub fn label(&self, job: &Job) -> String {
        let table = |position: u32| match self.tables.get(position as usize) {
            Some(table) => table.name.to_string(),
            None => format!("table {position}"),
        };
        let foreign_key = |position: u32| match self.foreign_keys.get(position as usize) {
            Some(key) => format!("{} {}", key.table.name, key.name),
            None => format!("foreign key {position}"),
        };
        match job.kind {
            JobKind::Truncate { table: position } => format!("truncate {}", table(position)),
            JobKind::SmallTable { table: position }
            | JobKind::Constraints { table: position }
            | JobKind::Vacuum { table: position } => table(position),
            JobKind::CopyPart { table: position, part } => {
                let parts = self.tables.get(position as usize).map_or(1, |table| table.parts.len());
                match parts {
                    0 | 1 => table(position),
                    _ => format!("{} {}/{parts}", table(position), u64::from(part) + 1),
                }
            }
            JobKind::Index { index } => match self.indexes.get(index as usize) {
                Some(index) => index.name.to_string(),
                None => format!("index {index}"),
            },
            JobKind::ForeignKey { index } => foreign_key(index),
            JobKind::ValidateForeignKey { index } => format!("validate {}", foreign_key(index)),
            JobKind::LargeObjects { shards: 1, .. } => "large objects".to_owned(),
            JobKind::LargeObjects { shard, shards } => {
                format!("large objects {}/{shards}", u64::from(shard) + 1)
            }
            JobKind::Sequences => "sequences".to_owned(),
            JobKind::AnalyzeParents => "partitioned tables".to_owned(),
        }
    }
}

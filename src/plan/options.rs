//! What the user asked for and what was measured, as far as the plan needs it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::catalog::model::Oid;
use crate::config::clone::{CloneConfig, CopyFormat, Jobs, SchemaOptions, Skip, Split};

/// The settings that shape the plan.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Workers per kind of work.
    pub jobs: Jobs,
    /// When and how tables are split.
    pub split: Split,
    /// COPY format.
    pub copy_format: CopyFormat,
    /// What to leave out.
    pub skip: Skip,
    /// How the schema is restored.
    pub schema: SchemaOptions,
    /// Extension versions that the target is going to have because the user pinned them: name to
    /// version.
    pub extension_versions: BTreeMap<String, String>,
}

impl From<&CloneConfig> for PlanOptions {
    fn from(config: &CloneConfig) -> Self {
        Self {
            jobs: config.jobs,
            split: config.split,
            copy_format: config.copy_format,
            skip: config.skip,
            schema: config.schema,
            extension_versions: config.requirements.clone(),
        }
    }
}

/// What splitting by key needs to know, read under the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitFacts {
    /// Per table, asked for with [`super::tables_needing_key_cuts`]: where each part but the first
    /// begins. A table without an entry, or with an empty one, stays whole.
    pub key_cuts: HashMap<Oid, Vec<i64>>,
}

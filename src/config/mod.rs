//! Typed settings, fully resolved: built by `cli::settings` (or by tests), read by everything else.
//! No clap, no environment, no default hidden elsewhere.

pub mod clone;
pub mod compare;
pub mod follow;
pub mod list;
pub mod snapshot;
pub mod step;

pub use clone::{
    ClientTools, CloneConfig, CopyFormat, Jobs, PlanFormat, Resume, SchemaOptions, Skip, Split,
    SplitThreshold,
};
pub use compare::CompareConfig;
pub use follow::{Confirm, FollowConfig, Plugin, PrintConfig};
pub use list::{List, ListConfig};
pub use snapshot::{SlotConfig, SnapshotConfig};
pub use step::{RolesWork, StepConfig, Work};

//! Which objects are migrated: rules of a filter file, and the selection they make. Pure (A5).
//!
//! ```text
//! text ─► parse ─► FilterSet ─┬─► queries ─► (asked of the source server) ─► MatchedOids ─┐
//!                             └──────────────────────────────────────────────────────────┴─► select
//!                                                       SourceCatalog ───────────────────────► │
//!                                                                                       Selection
//!                        dependents_query ─► (asked of the source server) ─► add_dependents ─► │
//! ```
//!
//! Objects are selected once (K19); schema, COPY, indexes, publication, apply and compare all ask the
//! same [`Selection`]. Exact names are looked up in the catalog; patterns are PostgreSQL's, so the
//! source server evaluates them, as bound parameters.
//!
//! To add one more section: a variant of [`Section`], its name in `Section::ALL`, its meaning in
//! `select`. To add one more dependency: `depend`.

mod depend;
mod dependent;
mod error;
mod near;
mod parse;
mod query;
mod rule;
mod section;
mod select;
mod selection;

pub use dependent::{Dependent, DependentsQuery};
pub use error::{FilterError, FilterErrorKind, SelectError, UnknownName};
pub use parse::parse;
pub use query::{MatchedOids, PatternQuery};
pub use rule::{FilterSet, Matcher, Rule, RuleId};
pub use section::Section;
pub use select::{select, select_present};
pub use selection::{Conflict, Dropped, Selection};

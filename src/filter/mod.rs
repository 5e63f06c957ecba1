//! Which objects are migrated: rules of a filter file, and the selection they make. Pure (A5).
//!
//! Objects are selected once (K19); schema, COPY, indexes, publication, apply and compare all ask the
//! same [`Selection`].

mod selection;

pub use selection::{Dropped, Selection};

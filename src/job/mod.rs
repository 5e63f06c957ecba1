//! The bodies of the jobs. Each takes typed arguments and sessions and returns a typed outcome; none
//! knows the scheduler, the work directory or the display. Siblings ignore each other.
//!
//! * [`copy`]: one table or table part, from the source's COPY to the target's commit.
//! * [`index`]: indexes, constraints and foreign keys, from the source's definitions.
//! * [`large_object`]: contents, owners, privileges and comments of large objects.
//! * [`schema`]: `pg_dump` and `pg_restore` of the schema sections.
//! * [`sequence`]: values of sequences.
//! * [`vacuum`]: VACUUM and ANALYZE.

pub mod copy;
pub mod index;
pub mod large_object;
pub mod schema;
pub mod sequence;
pub mod vacuum;

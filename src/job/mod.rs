//! The bodies of the jobs. Each takes typed arguments and sessions and returns a typed outcome; none
//! knows the scheduler, the work directory or the display. Siblings ignore each other.
//!
//! * [`copy`]: one table or table part, from the source's COPY to the target's commit.
//! * [`schema`]: `pg_dump` and `pg_restore` of the schema sections.

pub mod copy;
pub mod schema;

//! Bodies of the jobs. Siblings do not import each other; each takes typed arguments and returns a
//! typed outcome, and knows neither the scheduler nor the state.
//!
//! * [`schema`]: `pg_dump` and `pg_restore` of the schema sections.

pub mod schema;

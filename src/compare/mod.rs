//! Compares two databases: the rows of their tables, and their schemas.
//!
//! ```text
//!  end     one side: its server, one snapshot for everything, sessions that share it
//!  data    rows: pair tables ─ hash on the servers ─ where sums differ, find the rows
//!  schema  objects: lines of properties from the catalogs, matched by kind and name
//! ```
//!
//! Both sides are only read, in REPEATABLE READ, READ ONLY transactions on one exported snapshot per
//! side. What is compared is decided above, by the same selection that `clone` uses.

pub mod data;
pub mod end;
pub mod schema;

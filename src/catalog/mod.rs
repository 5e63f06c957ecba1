//! What the source and the target hold: a typed model, and the queries that fill it.

pub mod model;

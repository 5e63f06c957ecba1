//! The `pgcopydb` program.

fn main() {}

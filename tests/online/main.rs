//! `clone --follow` and `follow` as a whole program between real servers, while the source is written to.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod all_databases;
mod end;
mod failover;
mod fence;
mod hands;
mod huge;
mod kills;
mod lost;
mod plugins;
mod support;

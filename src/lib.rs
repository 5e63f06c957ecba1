//! pgcopydb: moves a PostgreSQL database to another server.
//!
//! The folders show the floors; a module may use only what lies below it (`tests/gates.rs` holds this):
//!
//! | floor | modules | may use |
//! |---|---|---|
//! | 9 | [`cli`] | everything |
//! | 8 | [`command`]: one use case per file | all below |
//! | 7 | [`run`]: scheduler, dispatcher, runner | `job`, `plan`, `local` and below |
//! | 6 | [`job`]: bodies of the jobs, siblings ignore each other; [`follow`]: receive, store, decode and apply changes; [`compare`]: rows and schemas of two databases | `connect`, `local`, `filter`, `catalog`, `base` |
//! | 5 | [`plan`]: catalog and facts to a plan, pure | `filter`, `catalog` model, `base` |
//! | 4 | [`filter`]: rules to a selection with reasons, pure | `catalog` model, `base` |
//! | 3 | [`catalog`]: typed model and its queries | `connect`, `base` |
//! | 2 | [`config`]: typed settings; [`ledger`]: what is done, kept on the target | `connect`, `base` |
//! | 1 | [`connect`]: connection strings, sockets, sessions; [`local`]: work directory, state, child processes | `base` |
//! | 0 | [`base`]: values, errors, events, identifiers, units | the `proto` crate |
//!
//! [`report`] stands beside: it listens to [`base::event`] and is known to [`cli`] only.

pub mod base;
pub mod catalog;
pub mod cli;
pub mod command;
pub mod compare;
pub mod config;
pub mod connect;
pub mod filter;
pub mod follow;
pub mod job;
pub mod ledger;
pub mod local;
pub mod plan;
pub mod report;
pub mod run;

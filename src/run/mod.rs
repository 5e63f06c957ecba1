//! Runs a plan: hands out jobs, keeps sessions, retries what is transient, stops in order.
//!
//! ```text
//!  scheduler (pure) ◄── next / finished / failed ── dispatcher ── Event ──► report
//!                                                      │ spawn
//!                                                      ▼
//!                                         runner: JobKind ─► job body
//!                                                      │ take / put back
//!                                                      ▼
//!                                         pool: sessions of both ends
//! ```
//!
//! Not overly generic: the plan is a small closed graph and the job kinds are a closed enum.
//!
//! How to add one more kind of job: a variant in `plan::JobKind`, a body in `job/`, an arm in
//! [`runner`].

pub mod dispatcher;
mod lookup;
pub mod pool;
mod rows;
pub mod runner;
pub mod scheduler;
pub mod sequences;

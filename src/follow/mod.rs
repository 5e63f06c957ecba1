//! Change data capture: what the source commits after the snapshot reaches the target, in commit
//! order, exactly once.
//!
//! ```text
//!  source walsender ─► receive ─► store (segments on disk, durable) ─► reader ─► decode ─► apply ─► target
//!        ▲                │                                                        │
//!        └── feedback ◄───┴── durable position                applied position ◄───┘
//! ```
//!
//! | position | meaning | moved by |
//! |---|---|---|
//! | received | end of the last byte handed to us | receive |
//! | durable | everything up to here is synced in our segments, at a transaction's end | store |
//! | applied | committed on the target, with the rows, in one transaction (A9) | apply |
//! | endpos | where the user wants to stop, inclusive (K18) | sentinel |
//!
//! We never confirm to the source what is not durable here (A8). A transaction is named by the end of
//! its commit record, the only position that grows with commit order.

pub mod apply;
pub mod catch_up;
pub mod change;
pub mod decode;
pub mod doubtful;
pub mod export;
pub mod receive;
pub mod setup;
pub mod store;
pub mod text;

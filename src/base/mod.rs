//! Values that every floor shares: errors, events, identifiers, units. No async, no I/O.

pub mod comparison;
pub mod counters;
pub mod error;
pub mod event;
pub mod ident;
pub mod ini;
pub mod listing;
pub mod log;
pub mod preflight;
pub mod stop;
pub mod summary;
pub mod units;

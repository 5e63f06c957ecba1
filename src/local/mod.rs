//! What lives on the machine that runs us: the work directory, the state kept in it, and the
//! PostgreSQL client tools that we start.
//!
//! * [`workdir`]: where every file goes, the lock that keeps two runs apart, atomic replacement.
//! * [`state`]: a SQLite database in it: whose run this is, how far it is.
//! * [`child`]: starting a tool without secrets in its arguments, reading what it says, ending it.

pub mod child;
pub mod state;
pub mod workdir;

//! COPY streams: passing them on untouched, and looking inside where that is needed.
//!
//! - [`relay`]: which bytes of a source's stream may be forwarded to the target as they are;
//! - [`binary`]: the PGCOPY format, header, tuples and trailer;
//! - [`text`]: the text format's fields.

pub mod binary;
pub mod relay;
pub mod text;

pub use relay::{CoalesceStep, CopyRelay, RelayStep};

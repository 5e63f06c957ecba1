//! What the output plugins of a real server say, decoded: the same rows through each of them.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod applied;
mod changes;
mod stream;
mod streamed;
mod types;

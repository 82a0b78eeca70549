//! A minimal DER encoder (X.690) for public keys and signatures: `INTEGER` and `SEQUENCE`.

use alloc::vec::Vec;

/// Encodes an unsigned big-endian number as a DER `INTEGER`, without redundant leading zeros.
pub(super) fn unsigned(number: &[u8]) -> Vec<u8> {
    let number = trimmed(number);
    // The first bit is the sign.
    let is_padded = number.first().is_none_or(|first| *first >= 0x80);
    let padding: &[u8] = if is_padded { &[0] } else { &[] };
    element(0x02, &[padding, number])
}

/// Returns a DER `SEQUENCE` of these elements, which are encoded already.
pub(super) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, elements)
}

/// Returns a big-endian number without leading zeros.
pub(super) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = trimmed(&bytes);
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
            out.extend_from_slice(bytes);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_minimal_and_positive() {
        for (number, der) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 1, 0], &[2, 2, 1, 0]),
        ] {
            assert_eq!(unsigned(number), der, "{number:?}");
        }
    }

    #[test]
    fn lengths_from_128_have_a_length_of_their_own() {
        for (length, start) in [
            (0x7f, &[0x30, 0x7f][..]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0xff, &[0x30, 0x81, 0xff]),
            (0x100, &[0x30, 0x82, 1, 0]),
        ] {
            let der = sequence(&[&alloc::vec![7; length]]);
            assert_eq!((&der[..start.len()], der.len()), (start, start.len() + length));
        }
    }
}

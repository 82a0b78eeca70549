//! Patterns of names.

/// Returns `true` if a name matches a pattern, in which `*` stands for any characters and `?` for one.
///
/// The work is at most the product of the lengths.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where to continue after the last `*` if the attempt fails: in the pattern, and in the name.
    let mut again: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at + 1, of));
                at += 1;
            }
            Some(&byte) if byte == b'?' || name.get(of) == Some(&byte) => (at, of) = (at + 1, of + 1),
            _ => match &mut again {
                Some((after, from)) => {
                    *from += 1;
                    (at, of) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matcher that tries everything.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => naive(rest, name) || matches!(name, [_, after @ ..] if naive(pattern, after)),
            ([b'?', rest @ ..], [_, after @ ..]) => naive(rest, after),
            ([one, rest @ ..], [other, after @ ..]) => one == other && naive(rest, after),
            _ => false,
        }
    }

    #[test]
    fn patterns_match_as_a_naive_matcher_does() {
        let words = |letters: &[u8], length: u32| -> alloc::vec::Vec<alloc::string::String> {
            let count = letters.len();
            let word = |number: usize| {
                (0..length).map(|place| char::from(letters[number / count.pow(place) % count])).collect()
            };
            (0..count.pow(length)).map(word).collect()
        };
        for pattern in (0..6).flat_map(|length| words(b"ab*?", length)) {
            for name in (0..5).flat_map(|length| words(b"ab", length)) {
                assert_eq!(matches(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
        }
    }
}

//! Quoted bytes in the lines of a recording.

/// Maximum number of characters that are shown of one quoted text.
const SHOWN_MAX: usize = 120;

/// Returns bytes as a recording has them, cut if they are long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // An escape has at least one character for each byte.
    let beginning = bytes.get(..SHOWN_MAX).unwrap_or(bytes).escape_ascii().to_string();
    cut_one(&beginning, bytes.len())
}

/// Returns a line with each long quoted text cut, and followed by its number of bytes.
pub(crate) fn cut(line: &str) -> String {
    let (mut shown, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once('"') {
        let (inner, next) = split_quoted(after);
        shown.push_str(before);
        shown.push_str(&cut_one(inner, units(inner).count()));
        rest = next;
    }
    shown.push_str(rest);
    shown
}

/// Returns an escaped text in quotes, cut if it is long. `bytes` is the number of bytes before the cut.
fn cut_one(escaped: &str, bytes: usize) -> String {
    let (mut shown, mut count) = (String::from("\""), 0);
    for unit in units(escaped) {
        if shown.len() + unit.len() > SHOWN_MAX {
            break;
        }
        shown.push_str(unit);
        count += 1;
    }
    shown.push('"');
    if count < bytes { format!("{shown}... ({bytes} B)") } else { shown }
}

/// Returns whether the bytes of a quoted text of the line contain `wanted`.
pub(crate) fn has(line: &str, wanted: &[u8]) -> bool {
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('"') {
        let (inner, next) = split_quoted(after);
        if contains(&units(inner).flat_map(unescaped).collect::<Vec<_>>(), wanted) {
            return true;
        }
        rest = next;
    }
    false
}

/// Returns whether bytes contain `wanted`. All bytes contain nothing.
pub(crate) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// Returns the number of bytes of an escaped text.
pub(crate) fn length(escaped: &str) -> u64 {
    units(escaped).count() as u64
}

/// Splits at the quote that ends a quoted text. Without one, the whole text is quoted.
fn split_quoted(text: &str) -> (&str, &str) {
    let mut end = 0;
    for unit in units(text) {
        if unit == "\"" {
            break;
        }
        end += unit.len();
    }
    let (inner, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (inner, rest.strip_prefix('"').unwrap_or(rest))
}

/// Returns the characters of an escaped text, where an escape is one.
fn units(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = match (first, rest.as_bytes().get(1)) {
            ('\\', Some(b'x')) => 4,
            ('\\', Some(_)) => 2,
            _ => first.len_utf8(),
        };
        let (unit, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        Some(unit)
    })
}

/// Returns the bytes of a character, which may be an escape.
fn unescaped(unit: &str) -> Vec<u8> {
    let byte = match unit.strip_prefix('\\') {
        Some("n") => Some(b'\n'),
        Some("r") => Some(b'\r'),
        Some("t") => Some(b'\t'),
        Some(escape) => match escape.strip_prefix('x') {
            Some(digits) => u8::from_str_radix(digits, 16).ok(),
            None => return escape.into(),
        },
        None => None,
    };
    byte.map_or_else(|| unit.into(), |byte| vec![byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_whole_escape_and_have_their_length() {
        assert_eq!(shown(b"hi\n\"\xff"), r#""hi\n\"\xff""#);
        let long = shown(&[0xff; 500]);
        assert_eq!(long, format!("\"{}\"... (500 B)", r"\xff".repeat(29)));
        assert_eq!(cut(&format!("x 0.1 \"{}\" \"b\" 7", r"\xff".repeat(500))), format!("x 0.1 {long} \"b\" 7"));
        assert_eq!(cut("accepted 0 127.0.0.1:1"), "accepted 0 127.0.0.1:1");
        let fits = "x".repeat(SHOWN_MAX - 1);
        assert_eq!(shown(fits.as_bytes()), format!("\"{fits}\""));
    }

    #[test]
    fn bytes_are_found_whatever_their_escapes() {
        let line = r#"received 0.1 "a\"b\n\xff\\" text "c\'d""#;
        for wanted in [&b"a\"b"[..], b"\n\xff", b"\xff\\", b"c'd", b""] {
            assert!(has(line, wanted), "{wanted:?}");
        }
        for other in [&b"received"[..], b"\\n", b"\\c", b"xff"] {
            assert!(!has(line, other), "{other:?}");
        }
        assert_eq!(length(r"a\n\xffb"), 4);
    }

    #[test]
    fn lines_that_somebody_edited_do_not_panic() {
        for line in ["\"", "a \"b", r#""\"#, "\"\\xä", r#""\x"#, "\"ä\\ä\" \"", "\\"] {
            let _ = (cut(line), has(line, b"q"), length(line));
        }
    }
}

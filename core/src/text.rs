//! Text of one peer that another one's terminal will show.

use alloc::borrow::Cow;
use alloc::string::String;

/// Takes out of `text` what could act on a terminal, a log or a page instead of being read.
///
/// Removed are: control characters (Unicode category Cc: C0 but the tab, DEL, and C1, so that no escape
/// sequence of ECMA-48 survives in seven or eight bits), line and paragraph separators (U+2028, U+2029), and
/// the formatting characters that reorder or hide text: bidirectional controls (UAX #9), zero-width and other
/// invisible ones, and tags (U+E0000 to U+E007F). Tabs become spaces. Text without any of these is borrowed.
///
/// U+200D, the joiner that holds emoji and some scripts together, stays.
#[must_use]
pub fn neutralize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\t' || acts(c)) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|&c| c == '\t' || !acts(c));
    Cow::Owned(kept.map(|c| if c == '\t' { ' ' } else { c }).collect::<String>())
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Appends `text` to `out` as the inside of a JSON string (RFC 8259 section 7): only what must be escaped is.
pub fn json_escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control @ '\0'..='\u{1f}' => {
                let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
                let code = u32::from(control);
                out.push_str("\\u00");
                out.extend([digit(code >> 4), digit(code & 15)]);
            }
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_gone_and_the_rest_stays() {
        for (text, expected) in [
            ("plain, Grüße, 漢字, 👩\u{200d}👩", "plain, Grüße, 漢字, 👩\u{200d}👩"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("\u{1b}]52;c;aGk=\u{7}", "]52;c;aGk="),
            ("\u{9b}31m", "31m"),
            ("\u{90}q\u{9c}", "q"),
            ("a\rb\nc\0d\u{7f}", "abcd"),
            ("a\tb", "a b"),
            ("evil\u{202e}txt.exe", "eviltxt.exe"),
            ("two\u{2028}lines", "twolines"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
        ] {
            assert_eq!(neutralize(text), expected, "{text:?}");
        }
        assert!(matches!(neutralize("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_strings_escape_what_must_be() {
        let mut out = String::new();
        json_escape("a\"b\\c\n\r\t\u{8}\u{c}\0\u{1f}ü/", &mut out);
        assert_eq!(out, "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001fü/");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_survives(text: String) {
            prop_assert!(!neutralize(&text).chars().any(acts));
        }
    }
}

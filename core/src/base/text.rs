//! Sanitizing and escaping of text for terminals, logs and JSON.

use alloc::borrow::Cow;
use alloc::string::String;

/// Removes characters that could disturb a terminal, a log or a page. Tabs become spaces.
///
/// It removes control characters (Unicode category Cc: C0 except tab, DEL, and C1, so that no
/// ECMA-48 escape sequence survives in seven or eight bits) and these code points, which separate,
/// reorder or hide the text around them:
///
/// | code points | what |
/// |---|---|
/// | U+2028, U+2029 | line and paragraph separators |
/// | U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 | bidirectional controls (UAX #9) |
/// | U+00AD, U+034F, U+180E, U+200B, U+2060 to U+2065, U+206A to U+206F, U+FEFF, U+FFF9 to U+FFFB | invisible formatting |
/// | U+115F, U+1160, U+17B4, U+17B5, U+3164, U+FFA0 | invisible letters |
/// | U+E0000 to U+E007F | tags |
///
/// The joiners U+200C and U+200D stay, because scripts and emoji need them, and so do variation
/// selectors. Text that needs no change is borrowed.
#[must_use]
pub fn neutralize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\t' || acts(c)) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|&c| c == '\t' || !acts(c));
    Cow::Owned(kept.map(|c| if c == '\t' { ' ' } else { c }).collect::<String>())
}

/// Escapes control and invisible characters (NUL becomes `\u{0}`), and doubles backslashes.
///
/// For user names in logs: two different names never look the same, as `ad\0min` and `admin` would
/// if the NUL were removed. Text without any of these is borrowed.
#[must_use]
pub fn escape_hidden(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c == '\\' || acts(c)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            c if acts(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn acts(c: char) -> bool {
    const SHOW_NOTHING: [char; 6] = ['\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];
    c.is_control()
        || SHOW_NOTHING.contains(&c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Appends a JSON string with this text.
pub(crate) fn json_string(text: &str, out: &mut String) {
    out.push('"');
    json_escape(text, out);
    out.push('"');
}

/// Appends `text` to `out`, escaped as the inside of a JSON string (RFC 8259 section 7).
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
    fn neutralize_removes_terminal_controls_and_keeps_text() {
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
    fn escape_hidden_keeps_different_names_different() {
        for (name, shown) in [
            ("admin", "admin"),
            ("ad\0min", r"ad\u{0}min"),
            (r"ad\u{0}min", r"ad\\u{0}min"),
            ("ad\u{200b}min", r"ad\u{200b}min"),
            ("ad\tmin\n", r"ad\u{9}min\u{a}"),
            ("Grüße \u{200d}", "Grüße \u{200d}"),
        ] {
            assert_eq!(escape_hidden(name), shown, "{name:?}");
        }
        assert!(matches!(escape_hidden("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_escape_escapes_quotes_and_controls() {
        let mut out = String::new();
        json_escape("a\"b\\c\n\r\t\u{8}\u{c}\0\u{1f}ü/", &mut out);
        assert_eq!(out, "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001fü/");
    }

    proptest! {
        #[test]
        fn neutralize_removes_only_controls_from_any_text(text in "[a-zü漢\\x00-\\x1f\\x7f-\\u{9f}\\u{2000}-\\u{2070}\\u{200d}]{0,40}") {
            let left = neutralize(&text).into_owned();
            let low = |c: char| (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32));
            prop_assert!(!left.chars().any(low), "{:?}", left);
            prop_assert!(!left.contains(['\u{202e}', '\u{2066}', '\u{2028}', '\u{200b}']), "{:?}", left);
            let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\u{200d}').collect::<String>();
            prop_assert_eq!(plain(&left), plain(&text));
        }
    }
}

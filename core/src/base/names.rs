//! Validation and comparison of the names that people choose for themselves and for rooms.
//!
//! Two names that look alike let one user pose as another. So compare names by their
//! [`confusable_key`], and store the name that [`parse_name`] returns.

use alloc::string::String;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::GeneralSecurityProfile;
use unicode_security::confusable_detection::skeleton;

/// Maximum length of a name, in characters after normalization.
pub const NAME_MAX_CHARS: usize = 24;
/// Maximum number of consecutive combining marks (UTS #39 section 5.4).
///
/// More could overlap other lines.
const MARKS_MAX: usize = 4;
/// Maximum number of UTF-8 bytes that normalization composes to one character of a name.
///
/// At most three characters compose to one (Unicode Standard section 3.11), of at most four bytes
/// each.
const TEXT_BYTES_PER_CHAR: usize = 12;

/// Validates a name and returns it in Unicode Normalization Form C, or `None` if it is invalid.
///
/// A name has 1 to 24 letters, digits, combining marks, `-`, `_` or `.`. UTS #39 section 3.1 must
/// allow its letters, digits and marks in identifiers. It cannot begin with a combining mark.
#[must_use]
pub fn parse_name(text: &str) -> Option<String> {
    // Normalization buffers all marks of a letter, so a text that is far too long is refused first.
    if text.len() > NAME_MAX_CHARS * TEXT_BYTES_PER_CHAR {
        return None;
    }
    let mut name = String::new();
    let (mut count, mut marks) = (0, 0);
    for c in text.nfc() {
        (count, marks) = (count + 1, if is_combining_mark(c) { marks + 1 } else { 0 });
        let is_part = c.is_alphanumeric() || marks > 0 && count > 1;
        let is_allowed = matches!(c, '-' | '_' | '.') || is_part && c.identifier_allowed();
        if !is_allowed || count > NAME_MAX_CHARS || marks > MARKS_MAX {
            return None;
        }
        name.push(c);
    }
    (count > 0).then_some(name)
}

/// Returns the comparison key of a name. Confusable names have the same key.
///
/// Names are confusable if they differ only in case or look alike (the skeleton of UTS #39 section
/// 4).
#[must_use]
pub fn confusable_key(name: &str) -> String {
    let lower = name.nfkc().collect::<String>().to_lowercase();
    skeleton(&lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_accepts_all_scripts_and_refuses_hidden_characters() {
        for (text, name) in [
            ("ann", Some("ann")),
            ("Ann-Marie_2.0", Some("Ann-Marie_2.0")),
            ("\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}", Some("\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}")),
            ("\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}", Some("\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}")),
            ("\u{1781}\u{17d2}\u{1798}\u{17c2}\u{179a}", Some("\u{1781}\u{17d2}\u{1798}\u{17c2}\u{179a}")),
            // Decomposed, as some file systems and keyboards produce it.
            ("Zoe\u{308}", Some("Zo\u{eb}")),
            ("", None),
            ("a b", None),
            ("\u{301}a", None),
            ("a\u{301}\u{302}\u{303}\u{304}\u{306}\u{307}", None),
            ("\u{ff41}\u{ff4e}\u{ff4e}", None),
            ("an\u{200b}n", None),
            ("ann\u{202e}", None),
            ("ann\u{0}", None),
        ] {
            assert_eq!(parse_name(text).as_deref(), name, "{text:?}");
        }
        assert!(parse_name(&"x".repeat(24)).is_some() && parse_name(&"x".repeat(25)).is_none());
        // Refused before it is normalized.
        assert!(parse_name(&"e\u{301}".repeat(100_000)).is_none());
    }

    #[test]
    fn confusable_names_share_a_key() {
        for [one, other] in [
            ["ann", "Ann"],
            ["ann", "\u{430}nn"],
            ["bill", "b\u{131}ll"],
            ["Zo\u{eb}", "Zoe\u{308}"],
            ["root", "r\u{43e}\u{43e}t"],
            ["bob1", "bobl"],
        ] {
            assert_eq!(confusable_key(one), confusable_key(other), "{one} and {other}");
        }
        assert_ne!(confusable_key("ann"), confusable_key("anna"));
    }
}

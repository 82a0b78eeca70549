//! Error texts: short, in the terms of configuration files, and without control characters.

use crate::base::text::neutralize;
use alloc::format;
use alloc::string::{String, ToString};

/// The maximum length of a quoted value in an error, in characters.
const QUOTED_MAX_CHARS: usize = 60;
/// The maximum length of an error text, in characters.
const WORDS_MAX_CHARS: usize = 500;

/// Quotes a value, and truncates it if it is long.
pub(super) fn quoted(text: &str) -> String {
    let (begin, rest) = cut(text, QUOTED_MAX_CHARS);
    format!("{begin:?}{}", if rest { "..." } else { "" })
}

/// Makes a text safe to print: truncates it, and removes control characters.
pub(super) fn sanitize(text: &str) -> String {
    let (begin, rest) = cut(text, WORDS_MAX_CHARS);
    neutralize(begin).into_owned() + if rest { "..." } else { "" }
}

/// Returns the first `chars` characters, and whether there are more.
fn cut(text: &str, chars: usize) -> (&str, bool) {
    match text.char_indices().nth(chars) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// Rewrites an error of serde in the terms of configuration files.
///
/// The value is omitted if it is secret or contains secrets.
pub(super) fn of_serde(words: &str, is_secret: bool) -> String {
    // The value itself may contain ", expected ", so split at the last one.
    let Some((found, expected)) = words.rsplit_once(", expected ") else { return words.to_string() };
    let (expected, or_never) = match expected.strip_suffix(OR_NEVER) {
        Some(expected) => (expected, OR_NEVER),
        None => (expected, ""),
    };
    let expected = match expected {
        "u64" | "usize" => "a number from 0 on",
        "u32" => "a number from 0 to 4294967295",
        "u16" => "a number from 0 to 65535",
        "u8" => "a number from 0 to 255",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a nonzero u8" => "a number from 1 to 255",
        "a nonzero u16" => "a number from 1 to 65535",
        "a nonzero u64" | "a nonzero usize" => "a number from 1 on",
        "a nonzero u32" => "a number from 1 to 4294967295",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list, such as [a, b]",
        expected if expected.starts_with("struct ") || expected == "a map" => "keys with values",
        expected => expected,
    };
    if is_secret {
        return format!("expected {expected}{or_never}");
    }
    let (found, rest) = cut(found, QUOTED_MAX_CHARS);
    format!("{found}{}, expected {expected}{or_never}", if rest { "..." } else { "" })
}

/// The suffix that [`Maybe`](super::units::Maybe) adds to errors.
pub(super) const OR_NEVER: &str = "; or never";

/// Describes an error of the YAML parser.
pub(super) fn of_yaml(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => of_yaml(error),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key {} is there twice", quoted(key)),
        Error::DuplicateMappingKey { .. } => "a key is there twice".into(),
        Error::UnsupportedTag { tag, .. } => {
            format!("tags such as {} are not supported; put text that begins with ! in quotes", quoted(tag))
        }
        Error::MultipleDocuments { .. } => "a file must be one document; another one follows ---".into(),
        Error::UnknownAnchor { .. } => {
            "there is no anchor (&) for an alias (*); put text that begins with * in quotes".into()
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "<< takes keys with values".into(),
        Error::Eof { .. } => "unexpected end: a bracket or a quote is not closed".into(),
        Error::NonFiniteFloat { .. } => "numbers must be finite".into(),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => "it is too long, too deep, or refers to itself".into(),
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => "!!binary takes base64 of UTF-8".into(),
        Error::ExternalMessage { msg, .. } => format!("invalid YAML: {msg}"),
        _ => "invalid YAML: it must be keys with values".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_truncated_and_sanitized() {
        let long = "ä".repeat(1_000_000);
        assert!(quoted(&long).len() < 200 && quoted(&long).ends_with("\"..."));
        assert!(sanitize(&long).chars().count() < 600);
        assert_eq!(sanitize("a\u{1b}[31mb\nc"), "a[31mbc");
        let words = format!("invalid type: string \"{long}\", expected u32; or never");
        assert!(of_serde(&words, false).ends_with("..., expected a number from 0 to 4294967295; or never"));
        assert_eq!(of_serde(&words, true), "expected a number from 0 to 4294967295; or never");
    }
}

use crate::base::Payload;
use crate::base::text::neutralize;
use alloc::format;
use alloc::string::{String, ToString};
use serde_json::Value;

/// The text that replaces a secret.
const SECRET: &str = "(secret)";
/// Commands whose arguments are hidden.
const COMMANDS: [&str; 3] = ["/auth ", "/login ", "/password "];
/// Lower-case words that mark a secret, in JSON keys and in other text.
const KEYS: [&str; 9] =
    ["password", "passwd", "token", "secret", "credential", "authorization", "proof", "scram", "api_key"];

/// Returns the text of a message without its secrets.
///
/// In JSON, values of keys that name a secret are replaced, and so are all values of objects whose
/// `type` begins with `auth`. Arguments of some commands are replaced. Other text that names a
/// secret is hidden.
///
/// Binary messages are treated as text, because applications and the login read them as text too.
/// For bytes that are not text, only the length is shown, because a secret in them cannot be
/// recognized.
pub(super) fn redacted(message: Payload<'_>) -> String {
    let Some(text) = text_of(message) else {
        return format!("(binary: {} bytes)", message.as_bytes().len());
    };
    if text.trim_start().starts_with(['{', '[']) {
        return match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                redact(&mut value);
                value.to_string()
            }
            // It may be truncated within a secret, or name one with an escape.
            Err(_) => format!("(invalid or truncated JSON: {} bytes)", text.len()),
        };
    }
    if let Some(command) = COMMANDS.iter().find(|command| text.trim_start().starts_with(**command)) {
        return format!("{command}{SECRET}");
    }
    let lower = text.to_lowercase();
    if KEYS.iter().any(|key| lower.contains(key)) {
        // The secret may be anywhere around the word, as in a quoted message.
        return format!("(hidden, because it names a secret: {} bytes)", text.len());
    }
    neutralize(text).into_owned()
}

/// Returns a message as text, without an incomplete last character. `None` if it is not UTF-8.
fn text_of(message: Payload<'_>) -> Option<&str> {
    let bytes = match message {
        Payload::Text(text) => return Some(text),
        Payload::Binary(bytes) => bytes,
    };
    match core::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => core::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let proves = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("auth"));
            for (key, value) in map {
                if proves && key != "type" || KEYS.iter().any(|secret| key.to_lowercase().contains(secret)) {
                    *value = SECRET.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_hides_values_of_secret_names() {
        for (said, shown) in [
            (r#"{"type":"auth","token":"abc"}"#, r#"{"token":"(secret)","type":"auth"}"#),
            (r#"[{"a":{"newPassword":{"x":1}}}]"#, r#"[{"a":{"newPassword":"(secret)"}}]"#),
            (r#"{"type":"chat","text":"hi"}"#, r#"{"text":"hi","type":"chat"}"#),
            (r#"{"pass\u0077ord":"cut off here"#, "(invalid or truncated JSON: 30 bytes)"),
            (r#"{"type":"auth_ok","v":"x"}"#, r#"{"type":"auth_ok","v":"(secret)"}"#),
            ("/auth eyJ0", "/auth (secret)"),
            (r#"<ann> {"password":"x"}"#, "(hidden, because it names a secret: 22 bytes)"),
            ("plain \u{1b}[2J words", "plain [2J words"),
        ] {
            assert_eq!(redacted(Payload::Text(said)), shown);
            assert_eq!(redacted(Payload::Binary(said.as_bytes())), shown, "as binary");
        }
    }

    #[test]
    fn redact_shows_only_the_length_of_binary() {
        for (bytes, shown) in [
            (&b"\0\xfftoken=abc"[..], "(binary: 11 bytes)"),
            // The end may be within a character.
            ("gr\u{fc}n".as_bytes().split_at(3).0, "gr"),
            (b"", ""),
        ] {
            assert_eq!(redacted(Payload::Binary(bytes)), shown);
        }
    }
}

use crate::Payload;
use crate::text::neutralize;
use alloc::format;
use alloc::string::{String, ToString};
use serde_json::Value;

/// What is in the place of a secret.
const SECRET: &str = "(secret)";
/// Commands whose arguments are not shown.
const COMMANDS: [&str; 3] = ["/auth ", "/login ", "/password "];
/// Keys whose values are not shown, also as part of a longer name.
const KEYS: [&str; 9] =
    ["password", "passwd", "token", "secret", "credential", "authorization", "proof", "scram", "api_key"];

/// What was said, without what is secret: of JSON, the values of keys that name one.
pub(super) fn redacted(said: Payload<'_>) -> String {
    let Payload::Text(text) = said else {
        return said.as_bytes().escape_ascii().to_string();
    };
    if text.trim_start().starts_with(['{', '[']) {
        return match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                blot(&mut value);
                value.to_string()
            }
            // It may be cut off in the middle of a secret, or name it in a way that is not seen.
            Err(_) => format!("(no JSON, or not all of it: {} bytes)", text.len()),
        };
    }
    if let Some(command) = COMMANDS.iter().find(|command| text.trim_start().starts_with(**command)) {
        return format!("{command}{SECRET}");
    }
    let lower = text.to_lowercase();
    if KEYS.iter().any(|key| lower.contains(key)) {
        // Whatever stands around the word, such as what somebody said in the words of somebody else.
        return format!("(it names a secret: {} bytes)", text.len());
    }
    neutralize(text).into_owned()
}

fn blot(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let proves = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("auth"));
            for (key, value) in map {
                if proves && key != "type" || KEYS.iter().any(|secret| key.to_lowercase().contains(secret)) {
                    *value = SECRET.into();
                } else {
                    blot(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(blot),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_secret_hides_it() {
        for (said, shown) in [
            (r#"{"type":"auth","token":"abc"}"#, r#"{"token":"(secret)","type":"auth"}"#),
            (r#"[{"a":{"newPassword":{"x":1}}}]"#, r#"[{"a":{"newPassword":"(secret)"}}]"#),
            (r#"{"type":"chat","text":"hi"}"#, r#"{"text":"hi","type":"chat"}"#),
            (r#"{"pass\u0077ord":"cut off here"#, "(no JSON, or not all of it: 30 bytes)"),
            (r#"{"type":"auth_ok","v":"x"}"#, r#"{"type":"auth_ok","v":"(secret)"}"#),
            ("/auth eyJ0", "/auth (secret)"),
            (r#"<ann> {"password":"x"}"#, "(it names a secret: 22 bytes)"),
            ("plain \u{1b}[2J words", "plain [2J words"),
        ] {
            assert_eq!(redacted(Payload::Text(said)), shown);
        }
        assert_eq!(redacted(Payload::Binary(b"\0\xff")), "\\x00\\xff");
    }
}

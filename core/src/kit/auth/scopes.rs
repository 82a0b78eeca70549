//! Parsing of the scopes of a token, from the claim `scope` or another claim.

use super::refusal::TokenError;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// Returns the scopes in a claim, which is a space-delimited string or a list of strings.
///
/// The claim whose whole name is `path` is used, such as `https://example.org/roles`. If there is
/// none, `path` names a claim within others, with dots between them, such as `realm_access.roles`.
/// Without such a claim there are no scopes.
///
/// # Errors
/// If the claim is neither text nor a list of text.
pub(super) fn scopes_at(claims: &Map<String, Value>, path: &str) -> Result<Vec<String>, TokenError> {
    let found = claims.get(path).or_else(|| {
        let mut parts = path.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    });
    match found {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_ascii_whitespace().map(Into::into).collect()),
        Some(Value::Array(list)) => {
            let scopes = list.iter().map(|scope| scope.as_str().map(Into::into));
            scopes.collect::<Option<_>>().ok_or(TokenError::Malformed)
        }
        Some(_) => Err(TokenError::Malformed),
    }
}

/// Deserializes the claim `scope`, a space-delimited string or a list, as one string.
///
/// RFC 8693 section 4.2 defines the string.
pub(super) fn scope_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scope {
        Text(String),
        List(Vec<String>),
    }
    match Scope::deserialize(deserializer)? {
        Scope::Text(text) => Ok(text),
        // A scope with a space would become two others.
        Scope::List(list) if list.iter().any(|scope| scope.contains(|c: char| c.is_ascii_whitespace())) => {
            Err(de::Error::custom("a scope in a list contains a space"))
        }
        Scope::List(list) => Ok(list.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scopes_come_from_text_or_list_at_a_path() {
        let claims = json!({
            "scp": "a b  c", "roles": ["x y", "z"], "https://example.org/roles": ["far"], "n": 1, "none": null,
            "realm_access": { "roles": ["admin"], "deep": { "er": "e" } }, "a.b": "whole", "a": { "b": "part" },
        });
        let Value::Object(claims) = claims else { panic!("an object") };
        for (path, scopes) in [
            ("scp", Ok(&["a", "b", "c"][..])),
            ("roles", Ok(&["x y", "z"])),
            ("https://example.org/roles", Ok(&["far"])),
            ("realm_access.roles", Ok(&["admin"])),
            ("realm_access.deep.er", Ok(&["e"])),
            ("a.b", Ok(&["whole"])),
            ("none", Ok(&[])),
            ("missing", Ok(&[])),
            ("realm_access.missing", Ok(&[])),
            ("scp.a", Ok(&[])),
            ("roles.0", Ok(&[])),
            ("", Ok(&[])),
            (".", Ok(&[])),
            ("n", Err(TokenError::Malformed)),
            ("realm_access", Err(TokenError::Malformed)),
        ] {
            let expected = scopes.map(|scopes| scopes.iter().map(|scope| String::from(*scope)).collect());
            assert_eq!(scopes_at(&claims, path), expected, "{path}");
        }
    }
}

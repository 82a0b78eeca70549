//! Indents JSON, and leaves numbers, keys and strings unchanged.

use serde_json::value::RawValue;

/// Deepest nesting that is shown on several lines.
const DEPTH_MAX: usize = 64;

/// Returns a JSON text on several lines, with an indentation of two spaces.
///
/// Returns `None` if it is not JSON, or if its nesting exceeds [`DEPTH_MAX`]: the indentation could
/// otherwise grow with the square of the length.
pub(crate) fn pretty(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    let (mut shown, mut depth, mut rest) = (String::with_capacity(2 * text.len()), 0, text.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                shown.push(c);
                let mut is_escaped = false;
                for c in rest.by_ref() {
                    shown.push(c);
                    if c == '"' && !is_escaped {
                        break;
                    }
                    is_escaped = c == '\\' && !is_escaped;
                }
            }
            '{' | '[' => {
                shown.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                match rest.next_if(|&c| matches!(c, '}' | ']')) {
                    Some(end) => shown.push(end),
                    None if depth == DEPTH_MAX => return None,
                    None => {
                        depth += 1;
                        indent(&mut shown, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                indent(&mut shown, depth);
                shown.push(c);
            }
            ',' => {
                shown.push(c);
                indent(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            c => shown.push(c),
        }
    }
    Some(shown)
}

fn indent(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn json_is_indented_and_otherwise_unchanged() {
        let text = r#" {"b":[1.50,1e400, {}, [ ],"a:{,\"}\\"],"a":null,"n":12345678901234567890123} "#;
        let shown = "{\n  \"b\": [\n    1.50,\n    1e400,\n    {},\n    [],\n    \"a:{,\\\"}\\\\\"\n  ],\n  \"a\": null,\n  \
                     \"n\": 12345678901234567890123\n}";
        assert_eq!(pretty(text).as_deref(), Some(shown));
        assert_eq!(pretty("\"x\"").as_deref(), Some("\"x\""));
        for text in ["", "hello", "{a}", "[1,]", "{} {}", &"[".repeat(500), &("[".repeat(500) + &"]".repeat(500))] {
            assert_eq!(pretty(text), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| json!(number)),
            any::<bool>().prop_map(|is| json!(is)),
            "[a\"\\\\{},:\\[\\] \n]{0,6}".prop_map(|text| json!(text)),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"]{0,3}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn pretty_json_is_what_serde_json_prints(value in value()) {
            let expected = serde_json::to_string_pretty(&value).expect("a value");
            prop_assert_eq!(pretty(&value.to_string()), Some(expected));
        }
    }
}

//! JSON of peers, made fit for other peers.

use alloc::string::String;

/// Maximum nesting of what peers publish. Parsers often allow 128, and what surrounds it adds a few.
pub(in crate::kit) const DEPTH_MAX: usize = 100;

/// Removes the white space between the tokens of JSON, such as line breaks, which end a line.
///
/// `None` if it is nested so deeply that the parsers of its receivers may refuse it.
pub(in crate::kit) fn compact(json: &str) -> Option<String> {
    let mut kept = String::with_capacity(json.len());
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_usize);
    for c in json.chars() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ' ' | '\t' | '\n' | '\r' if !is_quoted => continue,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return None;
        }
        is_escaped = c == '\\' && !is_escaped;
        kept.push(c);
    }
    Some(kept)
}

#[cfg(test)]
/// Any JSON, with white space where it may be.
pub(in crate::kit) fn any_json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    use serde_json::Value;
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "[ \\PC\\n\\t\"\\\\]{0,6}".prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ a\"\\\\]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn deep_nesting_is_refused_before_parsers_overflow() {
        for (depth, is_kept) in [(0, true), (DEPTH_MAX, true), (DEPTH_MAX + 1, false), (1 << 20, false)] {
            let nested = "[".repeat(depth) + "1" + &"]".repeat(depth);
            assert_eq!(compact(&nested).is_some(), is_kept, "{depth}");
        }
        let text = alloc::format!("\"{}\"", "[".repeat(DEPTH_MAX + 1));
        assert_eq!(compact(&text), Some(text), "a string has no depth");
    }

    proptest! {
        #[test]
        fn only_white_space_between_tokens_is_removed(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            prop_assert_eq!(compact(&pretty), Some(value.to_string()));
        }
    }
}

//! The `id` of a message, which its answers and errors repeat.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Maximum length of an id in bytes, without the quotes of a string.
const ID_MAX_BYTES: usize = 64;

/// The `id` of a message: a JSON string or number, in its JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId<'a>(&'a str);

impl<'a> MessageId<'a> {
    /// Creates an id from JSON.
    ///
    /// # Errors
    /// If it is not a string or a number, or is longer than 64 bytes.
    pub(super) fn new(raw: &'a RawValue) -> Result<Self, String> {
        let text = raw.get();
        let is_string = text.starts_with('"');
        if !is_string && !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err("expected a string or a number".into());
        }
        let length = text.len() - if is_string { 2 } else { 0 };
        if length > ID_MAX_BYTES {
            return Err(format!("an id has at most {ID_MAX_BYTES} bytes, not {length}"));
        }
        Ok(Self(text))
    }

    /// Creates an id from the JSON of an earlier one.
    pub(in crate::kit) const fn of_json(json: &'a str) -> Self {
        Self(json)
    }

    /// Returns the id as JSON.
    pub(super) const fn as_json(self) -> &'a str {
        self.0
    }

    /// Adds the id to a JSON object. Returns other JSON, and objects with an `id`, as they are.
    pub(in crate::kit) fn insert(self, json: &str) -> Cow<'_, str> {
        #[derive(Deserialize)]
        struct Own {
            id: Option<IgnoredAny>,
        }

        let is_free = |json| matches!(serde_json::from_str(json), Ok(Own { id: None }));
        match json.strip_prefix('{') {
            Some("}") => format!("{{\"id\":{}}}", self.0).into(),
            Some(members) if is_free(json) => format!("{{\"id\":{},{members}", self.0).into(),
            _ => json.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    #[test]
    fn only_strings_and_numbers_of_64_bytes_are_ids() {
        let (fits, long) = ("x".repeat(64), "x".repeat(65));
        for (json, is_id) in [
            ("7", true),
            ("-1.5e3", true),
            ("\"\"", true),
            (&format!("\"{fits}\""), true),
            (&format!("\"{long}\""), false),
            (&"1".repeat(64), true),
            (&"1".repeat(65), false),
            ("null", false),
            ("true", false),
            ("{}", false),
            ("[1]", false),
        ] {
            let raw = RawValue::from_string(json.to_owned()).expect(json);
            assert_eq!(MessageId::new(&raw).is_ok(), is_id, "{json}");
        }
    }

    proptest! {
        /// Compares the resulting text with a parsed object to which the id was added.
        #[test]
        fn id_is_added_to_objects_without_one(members in prop::collection::btree_map("(id|[a-c{}\"]{1,2})", any::<i64>(), 0..4)) {
            let mut object: Map<String, Value> = members.into_iter().map(|(name, value)| (name, value.into())).collect();
            let json = serde_json::to_string(&object).expect("a map");
            let inserted: Value = serde_json::from_str(&MessageId("\"x\"").insert(&json)).expect("an object");
            object.entry("id").or_insert("x".into());
            prop_assert_eq!(inserted, Value::Object(object));
        }
    }

    #[test]
    fn id_is_not_added_to_other_json() {
        for json in ["[]", "7", "\"{\"", "null"] {
            assert_eq!(MessageId("1").insert(json), json);
        }
    }
}

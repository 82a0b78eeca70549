//! Deserialization of messages, without the `type` member that selects their function.

use super::MessageError;
use super::words::Arguments;
use crate::kit::constraints::Constraints;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The top-level members of a message that decide how it is dispatched.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    /// Whether the message has a member `jsonrpc`.
    #[serde(default, deserialize_with = "is_there")]
    pub(super) jsonrpc: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The unparsed content of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// A JSON object, with its `type`.
    Object(&'a str),
    /// The words after the name of a command.
    Words(&'a str),
}

/// A message of a type without a function, passed to [`Router::fallback`](super::Router::fallback).
#[derive(Clone, Copy, Debug)]
pub struct RawMessage<'a> {
    pub(super) kind: &'a str,
    pub(super) source: Source<'a>,
}

impl<'a> RawMessage<'a> {
    /// Returns the type of the message, or the name of the command.
    #[must_use]
    pub const fn kind(&self) -> &'a str {
        self.kind
    }

    /// Returns the whole JSON object, or `None` for a command.
    #[must_use]
    pub const fn json(&self) -> Option<&'a str> {
        match self.source {
            Source::Object(json) => Some(json),
            Source::Words(_) => None,
        }
    }

    /// Returns the words after the name of a command, or `None` for a JSON object.
    #[must_use]
    pub const fn words(&self) -> Option<&'a str> {
        match self.source {
            Source::Words(words) => Some(words),
            Source::Object(_) => None,
        }
    }

    /// Parses the message without its type, as [`Router::on`](super::Router::on) does.
    ///
    /// # Errors
    /// The error for the sender, with the position and the cause.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, MessageError> {
        self.source.parse(&Constraints::none())
    }
}

impl Source<'_> {
    /// Parses the content as a `T` that meets `constraints`.
    pub(super) fn parse<T: DeserializeOwned>(self, constraints: &Constraints) -> Result<T, MessageError> {
        match self {
            Self::Object(text) => {
                let mut json = serde_json::Deserializer::from_str(text);
                constraints.deserialize(WithoutType(&mut json)).map_err(invalid)
            }
            Self::Words(text) => constraints.deserialize(Arguments::new(text)).map_err(invalid),
        }
    }
}

fn invalid<E: fmt::Display>(error: serde_path_to_error::Error<E>) -> MessageError {
    let path = error.path().to_string();
    // `.` is the whole message, and `?` an unknown position.
    let path = (path != "." && path != "?").then_some(path);
    MessageError { path, ..MessageError::new("invalid", reason_of(&error.into_inner())) }
}

/// Returns the text of a serde error, without the line and column, which do not help the sender.
pub(crate) fn reason_of(error: &impl fmt::Display) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    text
}

/// A deserializer that hides an object's `type`, for types that reject unknown members.
///
/// From structs without a field `id`, it hides the `id` as well.
struct WithoutType<'a, R>(&'a mut serde_json::Deserializer<R>);

impl<'de, R: serde_json::de::Read<'de>> Deserializer<'de> for WithoutType<'_, R> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_map(Skipping { visitor, hides_id: false })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // Unless the message has such a field, an `id` is only for the answer.
        let hides_id = !fields.contains(&"id");
        self.0.deserialize_map(Skipping { visitor, hides_id })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        IgnoredAny::deserialize(self.0)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        enum identifier ignored_any
    }
}

/// A visitor that hides the member `type` of a map, and optionally `id`, from another visitor.
struct Skipping<V> {
    visitor: V,
    hides_id: bool,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Skipping<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<V::Value, M::Error> {
        self.visitor.visit_map(Members { map, hides_id: self.hides_id })
    }
}

struct Members<M> {
    map: M,
    hides_id: bool,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Members<M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, M::Error> {
        while let Some(key) = self.map.next_key::<Cow<'de, str>>()? {
            if key != "type" && !(self.hides_id && key == "id") {
                let key: StrDeserializer<'_, M::Error> = (*key).into_deserializer();
                return seed.deserialize(key).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Say {
        to: Option<Whom>,
        text: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Whom {
        name: String,
        #[serde(rename = "type")]
        kind: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Ping;

    fn parse<T: DeserializeOwned>(text: &str) -> Result<T, MessageError> {
        Source::Object(text).parse(&Constraints::none())
    }

    #[test]
    fn json_parser_hides_the_type_member_only_at_the_top() {
        let say = parse(r#"{"type":"say","text":"hi","to":{"name":"ann","type":7}}"#);
        assert_eq!(say, Ok(Say { to: Some(Whom { name: "ann".into(), kind: 7 }), text: "hi".into() }));
        assert_eq!(parse(r#"{"type":"ping"}"#), Ok(Ping));
        assert_eq!(parse(r#"{"type":"x","a":1}"#), Ok(BTreeMap::from([("a".to_string(), 1)])));
        assert_eq!(parse(r#"{"type":"x"}"#), Ok(()));
    }

    #[test]
    fn json_errors_name_the_path_and_the_mistake() {
        for (text, path, reason) in [
            (r#"{"type":"say"}"#, None, "missing field `text`"),
            (r#"{"type":"say","text":7}"#, Some("text"), "invalid type: integer `7`, expected a string"),
            (r#"{"text":"","to":{"name":[],"type":1}}"#, Some("to.name"), "invalid type: sequence, expected a string"),
            (
                r#"{"text":"","to":{"name":"","type":256}}"#,
                Some("to.type"),
                "invalid value: integer `256`, expected u8",
            ),
            (r#"{"text":"","loud":true}"#, Some("loud"), "unknown field `loud`, expected `to` or `text`"),
            (r#"{"text":"","text":""}"#, None, "duplicate field `text`"),
        ] {
            let error = parse::<Say>(text).expect_err(text);
            assert_eq!((error.path.as_deref(), &*error.reason), (path, reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_maps_agree_with_serde_json_except_type(
            members in prop::collection::btree_map("(type|[a-c]{1,2}|\\PC{0,4})", any::<i64>(), 0..6)
        ) {
            let text = serde_json::to_string(&members).expect("a map");
            let mut expected = members.clone();
            expected.remove("type");
            prop_assert_eq!(parse::<BTreeMap<String, i64>>(&text), Ok(expected));
        }
    }
}

//! Configuration values with line numbers, and the parser of files and single values.

use super::{SettingsError, SettingsErrors, words};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A configuration value and the number of its first line, or 0 if the line is unknown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Returns parser options for YAML 1.2, in which `off` and `no` are strings.
///
/// By default, the parser would drop unknown tags and leading zeros. With these options, it rejects
/// unknown tags and keeps numbers with leading zeros as strings.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        leading_zero_numbers_as_strings: true,
    }
}

impl Node {
    /// Parses a YAML 1.2 file, which may be JSON. An empty file is an empty map.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, SettingsError> {
        let empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        if empty {
            return Ok(Self { line: 1, content: Content::Map(Vec::new()) });
        }
        let blame = |error: serde_saphyr::Error| {
            let place = error.location().map_or_else(|| name.to_owned(), |at| alloc::format!("{name}:{}", at.line()));
            SettingsError::new(&place, "", &words::of_yaml(&error))
        };
        serde_saphyr::from_str_with_options(text, options()).map_err(blame)
    }

    /// Parses the value of an environment variable or of `--set`.
    ///
    /// Text that is not YAML is a string.
    pub(super) fn value(text: &str) -> Self {
        let parsed = serde_saphyr::from_str_with_options::<Self>(text, options()).ok();
        let mut node = parsed.unwrap_or(Self { line: 0, content: Content::Scalar(Value::String(text.to_owned())) });
        node.forget_lines();
        node
    }

    /// Returns the text as a string if `is_text`, otherwise parses it with [`value`](Self::value).
    pub(super) fn value_of(text: &str, is_text: bool) -> Self {
        if is_text {
            Self { line: 0, content: Content::Scalar(Value::String(text.to_owned())) }
        } else {
            Self::value(text)
        }
    }

    pub(super) fn forget_lines(&mut self) {
        self.line = 0;
        match &mut self.content {
            Content::Scalar(_) => {}
            Content::List(list) => list.iter_mut().for_each(Self::forget_lines),
            Content::Map(map) => map.iter_mut().for_each(|(_, node)| node.forget_lines()),
        }
    }

    /// Returns the value without line numbers.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(list) => Value::Array(list.iter().map(Self::to_value).collect()),
            Content::Map(map) => {
                let pairs = map.iter().map(|(key, node)| (key.clone(), node.to_value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

/// Parses a built-in layer, without line numbers.
///
/// Tests show that the built-in layers are well formed.
pub(super) fn built_in(text: &str) -> Result<Node, SettingsErrors> {
    let mut node = Node::read("profile", text)?;
    node.forget_lines();
    Ok(node)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), content: value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyContent)
    }
}

struct AnyContent;

impl<'de> Visitor<'de> for AnyContent {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = sequence.next_element()? {
            list.push(node);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            pairs.push((key, map.next_value()?));
        }
        Ok(Content::Map(pairs))
    }
}

//! Mapping of words to the fields of a struct, to `name=value` pairs, or to a sequence.

use crate::kit::service::words::arguments::{Arguments, WordsError};
use crate::kit::service::words::word::Word;
use alloc::borrow::Cow;
use alloc::format;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

/// Returns the text, unquoted and unescaped if it is a single quoted word.
fn all_of(rest: &str) -> Cow<'_, str> {
    let mut arguments = Arguments { rest };
    match arguments.word() {
        Ok(Some(word @ Cow::Owned(_))) if arguments.rest.trim().is_empty() => word,
        _ => Cow::Borrowed(rest),
    }
}

/// A map from each field of a struct to a word, and from the last field to the remaining text.
pub(super) struct Fields<'de> {
    pub(super) arguments: Arguments<'de>,
    pub(super) fields: &'static [&'static str],
    pub(super) value: Option<Word<'de>>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = WordsError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, WordsError> {
        let Some((&field, others)) = self.fields.split_first() else {
            return self.arguments.nothing_left().map(|()| None);
        };
        let rest = self.arguments.rest.trim();
        self.value = if others.is_empty() {
            self.arguments.rest = "";
            (!rest.is_empty()).then(|| Word(all_of(rest)))
        } else {
            self.arguments.word()?.map(Word)
        };
        self.fields = others;
        if self.value.is_none() {
            return Ok(None);
        }
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, WordsError> {
        let word = self.value.take().ok_or_else(|| WordsError("a value is missing".into()))?;
        seed.deserialize(word)
    }
}

/// A map of words of the form `name=value`.
pub(super) struct Pairs<'de> {
    pub(super) arguments: Arguments<'de>,
    pub(super) value: Option<Word<'de>>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = WordsError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, WordsError> {
        let rest = self.arguments.rest.trim_start();
        let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace()) else {
            return match rest {
                "" => Ok(None),
                word => Err(WordsError(format!("expected name=value, not `{word}`"))),
            };
        };
        if !rest[end..].starts_with('=') {
            return Err(WordsError(format!("expected name=value, not `{}`", &rest[..end])));
        }
        self.arguments.rest = &rest[end + 1..];
        // `name=` has an empty value.
        let value = if self.arguments.rest.starts_with(char::is_whitespace) { None } else { self.arguments.word()? };
        self.value = Some(Word(value.unwrap_or_default()));
        seed.deserialize(BorrowedStrDeserializer::new(&rest[..end])).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, WordsError> {
        seed.deserialize(self.value.take().unwrap_or(Word(Cow::Borrowed(""))))
    }
}

/// A sequence of all words.
pub(super) struct Sequence<'de>(pub(super) Arguments<'de>);

impl<'de> SeqAccess<'de> for &mut Sequence<'de> {
    type Error = WordsError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, WordsError> {
        self.0.word()?.map(|word| seed.deserialize(Word(word))).transpose()
    }
}

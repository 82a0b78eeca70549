//! Deserialization of one word: a number, a flag, text, or JSON.

use crate::kit::service::words::arguments::{Arguments, WordsError};
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use serde::de::value::SeqDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_json::Value;

/// One word, or one value that may contain spaces.
pub(super) struct Word<'de>(pub(super) Cow<'de, str>);

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(WordsError(format!("expected {}, not `{}`", $expected, self.0))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Word<'de> {
    type Error = WordsError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        let word = &*self.0;
        if let Ok(flag) = word.parse() {
            return visitor.visit_bool(flag);
        }
        if let Ok(number) = word.parse() {
            return visitor.visit_i64(number);
        }
        // Numbers that fit in no `i64`, such as ids.
        if let Ok(number) = word.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = self.finite() {
            return visitor.visit_f64(number);
        }
        self.deserialize_str(visitor)
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_i128 visit_i128 i128, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number of at least 0";
        deserialize_u64 visit_u64 u64, "a whole number of at least 0";
        deserialize_u128 visit_u128 u128, "a whole number of at least 0";
        deserialize_char visit_char char, "one letter";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        // Values out of the range of `f32` are rejected.
        let number = self.0.parse().ok().filter(|number: &f32| number.is_finite());
        number.map_or_else(
            || Err(WordsError(format!("expected a number, not `{}`", self.0))),
            |number| visitor.visit_f32(number),
        )
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_f64(self.finite()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_bytes(self.0.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, WordsError> {
        Err(WordsError(format!("expected nothing, not `{}`", self.0)))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        if self.0.starts_with('[') {
            return self.json()?.deserialize_seq(visitor).map_err(de::Error::custom);
        }
        let (mut arguments, mut words) = (Arguments::new(&self.0), Vec::new());
        while let Some(word) = arguments.word()? {
            words.push(Word(Cow::Owned(word.into_owned())));
        }
        visitor.visit_seq(SeqDeserializer::new(words.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.json()?.deserialize_map(visitor).map_err(de::Error::custom)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        self.json()?.deserialize_struct(name, fields, visitor).map_err(de::Error::custom)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        if self.0.starts_with('{') {
            return self.json()?.deserialize_enum(name, variants, visitor).map_err(de::Error::custom);
        }
        visitor.visit_enum(self.0.into_owned().into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_unit()
    }
}

impl Word<'_> {
    /// Parses the word as JSON, the form of compound values.
    fn json(&self) -> Result<Value, WordsError> {
        serde_json::from_str(&self.0).map_err(|_| WordsError(format!("expected JSON, not `{}`", self.0)))
    }

    fn finite(&self) -> Result<f64, WordsError> {
        let number = self.0.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| WordsError(format!("expected a number, not `{}`", self.0)))
    }
}

impl<'de> IntoDeserializer<'de, WordsError> for Word<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

//! Deserialization of the arguments of a command, as people type them.

mod arguments;
mod fields;
#[cfg(test)]
mod tests;
mod usage;
mod word;

pub(super) use crate::kit::service::words::arguments::Arguments;
pub(super) use crate::kit::service::words::usage::usage;

use crate::kit::service::words::arguments::WordsError;
use crate::kit::service::words::fields::{Fields, Pairs, Sequence};
use crate::kit::service::words::word::Word;
use alloc::borrow::Cow;
use serde::de::{Deserializer, Visitor};

impl<'de> Arguments<'de> {
    /// Returns the remaining text as one value, or an error if there is none.
    fn whole(self) -> Result<Word<'de>, WordsError> {
        match self.rest.trim() {
            "" => Err(WordsError("an argument is missing".into())),
            word => Ok(Word(Cow::Borrowed(word))),
        }
    }

    /// Returns the remaining text as one value, possibly empty.
    fn text(self) -> Word<'de> {
        Word(Cow::Borrowed(self.rest.trim()))
    }
}

macro_rules! as_one_value {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
            self.whole()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Arguments<'de> {
    type Error = WordsError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        visitor.visit_map(Fields { arguments: self, fields, value: None })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_map(Pairs { arguments: self, value: None })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_seq(&mut Sequence(self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, WordsError> {
        let mut words = Sequence(self);
        let value = visitor.visit_seq(&mut words)?;
        words.0.nothing_left().map(|()| value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.nothing_left()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, WordsError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        if self.rest.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WordsError> {
        self.whole()?.deserialize_enum(name, variants, visitor)
    }

    as_one_value! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.text().deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        self.text().deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        visitor.visit_unit()
    }
}

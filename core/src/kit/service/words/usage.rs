//! The usage text of a command, from the field names of its argument type.

use crate::kit::service::words::arguments::WordsError;
use alloc::string::String;
use serde::de::{DeserializeOwned, Deserializer, Visitor};

/// Returns the usage text of a command with arguments `T`, such as `NAME TEXT`.
pub(in crate::kit::service) fn usage<T: DeserializeOwned>() -> String {
    let mut fields: &[&str] = &[];
    let _ = T::deserialize(FieldsOf(&mut fields));
    fields.join(" ").to_uppercase()
}

/// A deserializer that collects the field names of a type, and produces no value.
struct FieldsOf<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldsOf<'_> {
    type Error = WordsError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, WordsError> {
        Err(WordsError(String::new()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, WordsError> {
        *self.0 = fields;
        Err(WordsError(String::new()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

//! Deserializes the arguments of a command, as people type them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

/// The arguments of a command.
///
/// A struct takes one word per field, in order of declaration; its last field takes the rest. Words
/// may be in double quotes, with `\"` and `\\` inside. `Option`s may be missing at the end. A map,
/// or a struct with a flattened field, takes words of the form `name=value`.
pub(super) struct Arguments<'de> {
    rest: &'de str,
}

/// Why the arguments could not be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct WordsError(String);

impl de::Error for WordsError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> Arguments<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { rest: text.trim() }
    }

    /// Takes the next word.
    fn word(&mut self) -> Result<Option<Cow<'de, str>>, WordsError> {
        let text = self.rest.trim_start();
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(quoted) = text.strip_prefix('"') {
            let mut word = String::new();
            let mut letters = quoted.char_indices();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        self.rest = &quoted[at + 1..];
                        return Ok(Some(Cow::Owned(word)));
                    }
                    '\\' => word.push(letters.next().map_or('\\', |(_, escaped)| escaped)),
                    plain => word.push(plain),
                }
            }
            return Err(WordsError("a closing double quote is missing".into()));
        }
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        self.rest = &text[end..];
        Ok(Some(Cow::Borrowed(&text[..end])))
    }

    fn nothing_left(&self) -> Result<(), WordsError> {
        match self.rest.trim() {
            "" => Ok(()),
            rest => Err(WordsError(format!("nothing more was expected, not `{rest}`"))),
        }
    }

    /// The rest as one value, which is required.
    fn whole(self) -> Result<Word<'de>, WordsError> {
        match self.rest.trim() {
            "" => Err(WordsError("an argument is missing".into())),
            word => Ok(Word(Cow::Borrowed(word))),
        }
    }

    /// The rest as text, possibly empty.
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

/// The rest, without quotes if it is a single quoted word.
fn all_of(rest: &str) -> Cow<'_, str> {
    let mut arguments = Arguments { rest };
    match arguments.word() {
        Ok(Some(word @ Cow::Owned(_))) if arguments.rest.trim().is_empty() => word,
        _ => Cow::Borrowed(rest),
    }
}

/// One word per field.
struct Fields<'de> {
    arguments: Arguments<'de>,
    fields: &'static [&'static str],
    value: Option<Word<'de>>,
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

/// Words of the form `name=value`.
struct Pairs<'de> {
    arguments: Arguments<'de>,
    value: Option<Word<'de>>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = WordsError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, WordsError> {
        let rest = self.arguments.rest.trim_start();
        let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace()) else {
            return match rest {
                "" => Ok(None),
                word => Err(WordsError(format!("name=value was expected, not `{word}`"))),
            };
        };
        if !rest[end..].starts_with('=') {
            return Err(WordsError(format!("name=value was expected, not `{}`", &rest[..end])));
        }
        self.arguments.rest = &rest[end + 1..];
        // Nothing after the sign is an empty value.
        let value = if self.arguments.rest.starts_with(char::is_whitespace) { None } else { self.arguments.word()? };
        self.value = Some(Word(value.unwrap_or_default()));
        seed.deserialize(BorrowedStrDeserializer::new(&rest[..end])).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, WordsError> {
        seed.deserialize(self.value.take().unwrap_or(Word(Cow::Borrowed(""))))
    }
}

/// All words as a sequence.
struct Sequence<'de>(Arguments<'de>);

impl<'de> SeqAccess<'de> for &mut Sequence<'de> {
    type Error = WordsError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, WordsError> {
        self.0.word()?.map(|word| seed.deserialize(Word(word))).transpose()
    }
}

/// One word, or one value that may contain spaces.
struct Word<'de>(Cow<'de, str>);

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(WordsError(format!("{} was expected, not `{}`", $expected, self.0))),
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
        deserialize_u32 visit_u32 u32, "a whole number, 0 or more";
        deserialize_u64 visit_u64 u64, "a whole number, 0 or more";
        deserialize_u128 visit_u128 u128, "a whole number, 0 or more";
        deserialize_char visit_char char, "one letter";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WordsError> {
        // Values out of the range of `f32` are rejected.
        let number = self.0.parse().ok().filter(|number: &f32| number.is_finite());
        number.map_or_else(
            || Err(WordsError(format!("a number was expected, not `{}`", self.0))),
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
        Err(WordsError(format!("nothing was expected, not `{}`", self.0)))
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
    /// Compound values are written as JSON.
    fn json(&self) -> Result<Value, WordsError> {
        serde_json::from_str(&self.0).map_err(|_| WordsError(format!("JSON was expected, not `{}`", self.0)))
    }

    fn finite(&self) -> Result<f64, WordsError> {
        let number = self.0.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| WordsError(format!("a number was expected, not `{}`", self.0)))
    }
}

impl<'de> IntoDeserializer<'de, WordsError> for Word<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The usage of a command with arguments `T`: `NAME TEXT`.
pub(super) fn usage<T: DeserializeOwned>() -> String {
    let mut fields: &[&str] = &[];
    let _ = T::deserialize(FieldsOf(&mut fields));
    fields.join(" ").to_uppercase()
}

/// Collects the field names of a type, without deserializing a value.
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        T::deserialize(Arguments::new(text)).map_err(|error| error.to_string())
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Move {
        x: i32,
        y: i32,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Say {
        room: String,
        text: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Flat {
        name: String,
        #[serde(flatten)]
        others: BTreeMap<String, String>,
    }

    #[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Paint {
        color: Color,
        points: Vec<u8>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Ping;

    #[test]
    fn words_become_fields_in_order_and_the_last_takes_the_rest() {
        let of = |x, y, note: Option<&str>| Move { x, y, note: note.map(Into::into) };
        assert_eq!(parse("1 -2"), Ok(of(1, -2, None)));
        assert_eq!(parse(" 1   2  over  there "), Ok(of(1, 2, Some("over  there"))));
        assert_eq!(parse("1 2 \"a \\\"b\\\" c\""), Ok(of(1, 2, Some("a \"b\" c"))));
        assert_eq!(parse("\"main hall\" hi all"), Ok(Say { room: "main hall".into(), text: "hi all".into() }));
        let said = |text: &str| Ok(Say { room: "den".into(), text: text.into() });
        assert_eq!(parse("den \"hi\" he said"), said("\"hi\" he said"));
        assert_eq!(parse("den \"oops"), said("\"oops"));
        assert_eq!(parse("green 1 2 3"), Ok(Paint { color: Color::Green, points: [1, 2, 3].into() }));
        assert_eq!(parse("red [4]"), Ok(Paint { color: Color::Red, points: [4].into() }));
        assert_eq!(parse(""), Ok(Ping));
        assert_eq!(parse("hi there"), Ok("hi there".to_string()));
        assert_eq!(parse("1 2 3"), Ok((1, 2, 3)));
        let others = [("a".into(), "b c".into()), ("d".into(), String::new())].into();
        assert_eq!(parse("name=Ann a=\"b c\" d="), Ok(Flat { name: "Ann".into(), others }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (error, expected) in [
            (parse::<Move>("1").err(), "missing field `y`"),
            (parse::<Move>("1 two").err(), "a whole number was expected, not `two`"),
            (parse::<Ping>("pong").err(), "nothing more was expected, not `pong`"),
            (parse::<Say>("\"open room").err(), "a closing double quote is missing"),
            (parse::<(u8, u8)>("1 2 3").err(), "nothing more was expected, not `3`"),
            (parse::<Paint>("blue 1").err(), "unknown variant `blue`, expected `red` or `green`"),
            (parse::<Flat>("name=x oops").err(), "name=value was expected, not `oops`"),
            (parse::<f64>("NaN").err(), "a number was expected, not `NaN`"),
            (parse::<f32>("1e99").err(), "a number was expected, not `1e99`"),
        ] {
            assert_eq!(error.as_deref(), Some(expected));
        }
    }

    #[test]
    fn usage_names_the_fields() {
        assert_eq!(
            (usage::<Move>(), usage::<Ping>(), usage::<String>()),
            ("X Y NOTE".into(), String::new(), String::new())
        );
    }

    proptest! {
        #[test]
        fn quoted_words_come_back_as_they_were(room in "\\PC{0,20}", text in "\\PC{0,20}") {
            let quote = |word: &str| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
            let said = parse(&format!("{} {}", quote(&room), quote(&text)));
            prop_assert_eq!(said, Ok(Say { room, text }));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[\\PC\"\\\\ ={\\[]{0,40}") {
            let _ = (parse::<Move>(&text), parse::<Paint>(&text), parse::<Flat>(&text), parse::<Vec<Color>>(&text));
        }
    }
}

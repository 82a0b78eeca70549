//! Reads the JSON of a NATS server (RFC 8259), and writes the little that is sent.
//!
//! The core can be built without `serde_json`, and an `INFO` and the answers of JetStream need few fields. So this
//! keeps texts where they are, and has bounds on depth and on the number of values.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Maximum number of lists and objects within each other.
const DEPTH_MAX: u32 = 8;
/// Maximum number of values in one text.
const VALUES_MAX: u32 = 1 << 16;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits of a number, with its sign, fraction and exponent.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses a text. `None` if it is not JSON, or beyond the bounds.
    pub(in crate::cluster) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader { text: core::str::from_utf8(bytes).ok()?, at: 0, left: VALUES_MAX };
        let value = reader.value(0)?;
        reader.skip_blanks();
        (reader.at == reader.text.len()).then_some(value)
    }

    /// Returns a field of an object.
    pub(in crate::cluster) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(in crate::cluster) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::cluster) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Returns `true` if a field is `true`.
    pub(in crate::cluster) fn is(&self, name: &str) -> bool {
        self.get(name) == Some(&Self::Bool(true))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    left: u32,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn value(&mut self, depth: u32) -> Option<Json<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.skip_blanks();
        match self.peek()? {
            b'"' => self.string().map(Json::Text),
            b'{' | b'[' if depth >= DEPTH_MAX => None,
            b'{' => self.object(depth + 1),
            b'[' => self.list(depth + 1),
            b't' => self.word("true").map(|()| Json::Bool(true)),
            b'f' => self.word("false").map(|()| Json::Bool(false)),
            b'n' => self.word("null").map(|()| Json::Null),
            _ => self.digits(),
        }
    }

    fn list(&mut self, depth: u32) -> Option<Json<'a>> {
        self.take(b'[')?;
        let mut values = Vec::new();
        if self.take(b']').is_some() {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.take(b',').is_none() {
                return self.take(b']').map(|()| Json::List(values));
            }
        }
    }

    fn object(&mut self, depth: u32) -> Option<Json<'a>> {
        self.take(b'{')?;
        let mut fields = Vec::new();
        if self.take(b'}').is_some() {
            return Some(Json::Object(fields));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.take(b':')?;
            fields.push((name, self.value(depth)?));
            if self.take(b',').is_none() {
                return self.take(b'}').map(|()| Json::Object(fields));
            }
        }
    }

    fn digits(&mut self) -> Option<Json<'a>> {
        let from = self.at;
        let run = |reader: &mut Self| {
            let from = reader.at;
            while reader.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                reader.at += 1;
            }
            (reader.at > from).then_some(reader.at - from)
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek();
        let count = run(self)?;
        if first == Some(b'0') && count > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            run(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            run(self)?;
        }
        self.text.get(from..self.at).map(Json::Number)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
        let plain = rest.get(..end)?;
        self.at += end;
        if self.peek()? == b'"' {
            self.at += 1;
            return Some(Cow::Borrowed(plain));
        }
        let mut text = String::from(plain);
        loop {
            let c = self.text.get(self.at..)?.chars().next()?;
            self.at += c.len_utf8();
            match c {
                '"' => return Some(Cow::Owned(text)),
                '\\' => text.push(self.escaped()?),
                '\0'..='\x1f' => return None,
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => byte.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unit_pair(),
            _ => return None,
        })
    }

    /// Reads a UTF-16 unit, and the second one of a pair.
    fn unit_pair(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.word("\\u")?;
        let second = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn unit(&mut self) -> Option<u32> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::json_string;
    use proptest::prelude::*;

    /// Returns what `serde_json` reads, in the same form.
    #[cfg(feature = "json")]
    fn is_same(json: &Json<'_>, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (json, value) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(a), Value::Bool(b)) => a == b,
            (Json::Number(digits), Value::Number(number)) => digits.parse::<f64>().ok() == number.as_f64(),
            (Json::Text(a), Value::String(b)) => *a == **b,
            (Json::List(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
            (Json::Object(a), Value::Object(b)) => b
                .iter()
                .all(|(name, b)| a.iter().rev().find(|(field, _)| field == name).is_some_and(|(_, a)| is_same(a, b))),
            _ => false,
        }
    }

    #[test]
    fn fields_are_found_and_other_texts_are_refused() {
        let text = br#" {"a" : [1, -2.5e3, {}], "b":"x\n\ud83d\ude00\/", "c":true, "d":12, "e":null} "#;
        let json = Json::parse(text).expect("JSON");
        assert_eq!((json.text("b"), json.number("d")), (Some("x\n\u{1f600}/"), Some(12)));
        assert!(json.is("c") && !json.is("e") && json.number("b").is_none() && json.get("f").is_none());
        for text in [
            "",
            "{",
            "{}}",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "-",
            "1.",
            "1e",
            "+1",
            "\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u12\"",
            "tru",
            "nul",
            "[1 2]",
            "\u{feff}1",
            "'a'",
        ] {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Json::parse(b"\"\xff\""), None);
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(nested(8).as_bytes()).is_some());
        assert_eq!(Json::parse(nested(9).as_bytes()), None);
        assert_eq!(Json::parse(nested(1 << 20).as_bytes()), None);
        let many = |count: usize| alloc::format!("[{}1]", "1,".repeat(count - 1));
        assert!(Json::parse(many((1 << 16) - 1).as_bytes()).is_some());
        assert_eq!(Json::parse(many(1 << 16).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn text_comes_back(text in "\\PC*|[\\x00-\\x20\"\\\\]*") {
            let mut out = String::new();
            json_string(&text, &mut out);
            prop_assert_eq!(Json::parse(out.as_bytes()), Some(Json::Text(text.into())));
        }

        #[test]
        #[cfg(feature = "json")]
        fn result_is_that_of_another_parser(text in "([\\[\\]{},:0-9\"a\\\\u. \\-+eE]|true|null|\"b\":|\"c\"){0,12}") {
            let other = serde_json::from_str::<serde_json::Value>(&text);
            match Json::parse(text.as_bytes()) {
                Some(json) => prop_assert!(other.is_ok_and(|value| is_same(&json, &value)), "{}", text),
                // It refuses numbers that do not fit, and these bounds do not.
                None => prop_assert!(other.is_err(), "{}", text),
            }
        }
    }
}

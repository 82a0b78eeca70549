//! JSON as far as requests and answers of JetStream need it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A value of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses a text. `None`: it is no JSON, or has a fraction, which no request needs.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: core::str::from_utf8(text).ok()? };
        let value = reader.value(0)?;
        reader.rest.trim_start().is_empty().then_some(value)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Self::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns a number that is not negative.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.number(name).and_then(|number| u64::try_from(number).ok())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(&Self::Flag(true))
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn value(&mut self, depth: u8) -> Option<Json> {
        if depth > 16 {
            return None;
        }
        self.rest = self.rest.trim_start();
        for (word, value) in [("null", Json::Null), ("true", Json::Flag(true)), ("false", Json::Flag(false))] {
            if self.take(word) {
                return Some(value);
            }
        }
        match self.rest.chars().next()? {
            '"' => self.text().map(Json::Text),
            '[' => {
                let mut list = Vec::new();
                self.items(']', |reader| {
                    list.push(reader.value(depth + 1)?);
                    Some(())
                })?;
                Some(Json::List(list))
            }
            '{' => {
                let mut fields = Vec::new();
                self.items('}', |reader| {
                    reader.rest = reader.rest.trim_start();
                    let name = reader.text()?;
                    reader.rest = reader.rest.trim_start();
                    reader.take(":").then_some(())?;
                    fields.push((name, reader.value(depth + 1)?));
                    Some(())
                })?;
                Some(Json::Object(fields))
            }
            _ => {
                let end = self.rest.find(|letter: char| letter != '-' && !letter.is_ascii_digit());
                let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                digits.parse().ok().map(Json::Number)
            }
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads what is between the bracket that opens and the one that closes.
    fn items(&mut self, close: char, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest = self.rest[1..].trim_start();
        if let Some(rest) = self.rest.strip_prefix(close) {
            self.rest = rest;
            return Some(());
        }
        loop {
            read(self)?;
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some(());
            }
            self.take(",").then_some(())?;
        }
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"").then_some(())?;
        let mut text = String::new();
        loop {
            let mut letters = self.rest.chars();
            let letter = letters.next()?;
            self.rest = letters.as_str();
            match letter {
                '"' => return Some(text),
                '\\' => {
                    let mut letters = self.rest.chars();
                    let escaped = letters.next()?;
                    self.rest = letters.as_str();
                    text.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'u' => {
                            let digits = self.rest.get(..4)?;
                            self.rest = &self.rest[4..];
                            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                        }
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }
}

/// Returns a text in quotes, escaped as the server escapes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            '<' | '>' | '&' | '\0'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns a moment, in nanoseconds since 1970, as the server writes it (RFC 3339).
pub(super) fn date(nanos: u64) -> String {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // The calendar repeats after 146,097 days. Years begin in March, so that a leap day is the last one.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    let fraction = match format!("{fraction:09}").trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{:04}-{month:02}-{day_of_month:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}Z", era * 400 + year)
}

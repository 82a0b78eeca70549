//! The unparsed arguments of a command, and how they split into words.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;
use serde::de;

/// The unparsed arguments of a command.
///
/// A struct takes one word per field, in order of declaration; its last field takes the rest. Words
/// may be in double quotes, with `\"` and `\\` inside. `Option`s may be missing at the end. A map,
/// or a struct with a flattened field, takes words of the form `name=value`.
pub(in crate::kit::service) struct Arguments<'de> {
    pub(super) rest: &'de str,
}

/// Why the arguments of a command could not be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::kit::service) struct WordsError(pub(super) String);

impl de::Error for WordsError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> Arguments<'de> {
    pub(in crate::kit::service) fn new(text: &'de str) -> Self {
        Self { rest: text.trim() }
    }

    /// Removes and returns the next word, or returns `None` at the end.
    pub(super) fn word(&mut self) -> Result<Option<Cow<'de, str>>, WordsError> {
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

    pub(super) fn nothing_left(&self) -> Result<(), WordsError> {
        match self.rest.trim() {
            "" => Ok(()),
            rest => Err(WordsError(format!("unexpected argument `{rest}`"))),
        }
    }
}

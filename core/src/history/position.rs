//! Positions in the history of a room.

use core::fmt;
use core::str::FromStr;

/// The position after one message of a room.
///
/// Its text form is opaque to applications, and at most [`TEXT_MAX_BYTES`](Self::TEXT_MAX_BYTES) long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Position {
    /// The epoch of the room's history: a random number that changes when the history is lost.
    pub epoch: u64,
    /// The number of messages in this epoch up to and including this one. 0: before the first.
    pub offset: u64,
    /// The random mark of this message. 0: before the first.
    pub mark: u64,
}

/// The error returned for text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is text that the server issued earlier, such as 1f3a.7.9c02")]
#[non_exhaustive]
pub struct PositionError;

impl Position {
    /// In place of a mark: every message at this offset of this epoch.
    ///
    /// For clients that know epoch and offset only. That is enough for a home in memory, which begins a new epoch
    /// whenever it loses messages. No message has this mark, and no text is a position with it.
    pub const ANY_MARK: u64 = u64::MAX;

    /// The length of the longest text form, in bytes: 50.
    pub const TEXT_MAX_BYTES: usize = 3 * 16 + 2;

    /// Creates a position from its parts.
    #[must_use]
    pub const fn new(epoch: u64, offset: u64, mark: u64) -> Self {
        Self { epoch, offset, mark }
    }

    /// Parses the text form of a position, including [`ANY_MARK`](Self::ANY_MARK).
    ///
    /// # Errors
    /// If the text is not the text form of a position.
    pub(crate) fn with_any_mark(text: &str) -> Result<Self, PositionError> {
        let mut parts = text.splitn(3, '.').map(number);
        let (Some(Some(epoch)), Some(Some(offset)), Some(Some(mark))) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(PositionError);
        };
        Ok(Self { epoch, offset, mark })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}", self.epoch, self.offset, self.mark)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Parses the text form. Each position has one text form, and other spellings are refused.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        Self::with_any_mark(text).and_then(|position| match position.mark {
            Self::ANY_MARK => Err(PositionError),
            _ => Ok(position),
        })
    }
}

/// Parses lower-case hexadecimal digits without leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_canonical = text == "0" || !text.starts_with('0');
    let fits = (1..=16).contains(&text.len());
    (fits && is_canonical && text.bytes().all(is_digit)).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_form_comes_back(epoch: u64, offset: u64, mark: u64) {
            let position = Position::new(epoch, offset, mark.min(Position::ANY_MARK - 1));
            let text = position.to_string();
            prop_assert!(text.len() <= Position::TEXT_MAX_BYTES);
            prop_assert_eq!(text.parse(), Ok(position));
        }

        #[test]
        fn any_other_text_is_refused(text in "[0-9a-f.]{0,60}|\\PC{0,20}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }

    #[test]
    fn forged_and_overflowing_texts_are_refused() {
        let long = "1".repeat(1 << 20);
        for text in ["", ".", "..", "1.2", "1.2.3.4", "1.2.", "01.2.3", "A.2.3", "-1.2.3", "+1.2.3", "1. 2.3", &long] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text:.20}");
        }
        assert_eq!("1.10000000000000000.3".parse::<Position>(), Err(PositionError));
    }
}

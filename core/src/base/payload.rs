use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;

/// One message's content, borrowed. Wires that distinguish text from binary keep the distinction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a message is text or binary")]
pub enum Payload<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Arbitrary bytes.
    Binary(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Returns at most the first `max` bytes, with text cut at a character boundary.
    pub(crate) fn start(self, max: usize) -> Self {
        match self {
            Self::Text(text) => {
                let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
                Self::Text(&text[..end])
            }
            Self::Binary(binary) => Self::Binary(&binary[..max.min(binary.len())]),
        }
    }

    /// Returns the content as bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the content as text, if it is text or binary that is valid UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(bytes) => core::str::from_utf8(bytes).ok(),
        }
    }

    /// Returns an owned copy of the content.
    #[must_use]
    pub fn to_owned(self) -> PayloadBuf {
        match self {
            Self::Text(text) => PayloadBuf::Text(text.into()),
            Self::Binary(bytes) => PayloadBuf::Binary(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Payload<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a PayloadBuf> for Payload<'a> {
    fn from(owned: &'a PayloadBuf) -> Self {
        owned.as_payload()
    }
}

/// One message's content, owned and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a message is text or binary")]
pub enum PayloadBuf {
    /// UTF-8 text.
    Text(Arc<str>),
    /// Arbitrary bytes.
    Binary(Bytes),
}

impl PayloadBuf {
    /// Borrows the content as a [`Payload`].
    #[must_use]
    pub fn as_payload(&self) -> Payload<'_> {
        match self {
            Self::Text(text) => Payload::Text(text),
            Self::Binary(bytes) => Payload::Binary(bytes),
        }
    }

    /// Returns the content as text, if it is text or binary that is valid UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_payload().as_str()
    }
}

impl From<&str> for PayloadBuf {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for PayloadBuf {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for PayloadBuf {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

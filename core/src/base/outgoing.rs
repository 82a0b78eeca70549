use crate::base::{Payload, PayloadBuf};
use alloc::string::String;
use alloc::sync::Arc;

/// A message to send: the same for all recipients, or one text per [`Representation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a wire must handle each kind")]
pub enum Outgoing<'a> {
    /// The same payload for all recipients.
    Same(Payload<'a>),
    /// JSON for programs and text for people; each connection's [`Representation`] decides.
    Negotiated {
        /// The JSON for connections of [`Representation::Json`].
        json: &'a str,
        /// The text for connections of [`Representation::Text`].
        text: &'a str,
    },
}

/// Representation of messages for one connection (RFC 9110 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Representation {
    /// JSON, for programs. Default for WebSocket, and for length-prefixed and delimited frames.
    ///
    /// A [codec](crate::wire::Codec) chooses its default itself.
    Json,
    /// Text, for people at a terminal. Default for lines, telnet and raw bytes.
    Text,
}

/// An owned [`Outgoing`], for messages that outlive their event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingBuf {
    /// The same payload for all recipients.
    Same(PayloadBuf),
    /// JSON for programs and text for people.
    Negotiated {
        /// The JSON for connections of [`Representation::Json`].
        json: Arc<str>,
        /// The text for connections of [`Representation::Text`].
        text: Arc<str>,
    },
}

impl<'a> Outgoing<'a> {
    /// Returns the payload for a recipient with this representation.
    #[must_use]
    pub const fn as_payload(self, representation: Representation) -> Payload<'a> {
        match (self, representation) {
            (Self::Same(payload), _) => payload,
            (Self::Negotiated { json, .. }, Representation::Json) => Payload::Text(json),
            (Self::Negotiated { text, .. }, Representation::Text) => Payload::Text(text),
        }
    }

    /// Returns the length in bytes of all representations together.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Same(payload) => payload.as_bytes().len(),
            Self::Negotiated { json, text } => json.len() + text.len(),
        }
    }

    /// Returns `true` if the message has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns an owned copy of the message.
    #[must_use]
    pub fn to_owned(self) -> OutgoingBuf {
        match self {
            Self::Same(payload) => OutgoingBuf::Same(payload.to_owned()),
            Self::Negotiated { json, text } => OutgoingBuf::Negotiated { json: json.into(), text: text.into() },
        }
    }
}

impl OutgoingBuf {
    /// Borrows the content as an [`Outgoing`].
    #[must_use]
    pub fn as_outgoing(&self) -> Outgoing<'_> {
        match self {
            Self::Same(payload) => Outgoing::Same(payload.as_payload()),
            Self::Negotiated { json, text } => Outgoing::Negotiated { json, text },
        }
    }
}

impl<'a> From<Payload<'a>> for Outgoing<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self::Same(payload)
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Self::Same(text.into())
    }
}

impl<'a> From<&'a String> for Outgoing<'a> {
    fn from(text: &'a String) -> Self {
        Self::Same(text.into())
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Same(bytes.into())
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Same(bytes.into())
    }
}

impl<'a> From<&'a PayloadBuf> for Outgoing<'a> {
    fn from(owned: &'a PayloadBuf) -> Self {
        Self::Same(owned.into())
    }
}

impl<'a> From<&'a OutgoingBuf> for Outgoing<'a> {
    fn from(owned: &'a OutgoingBuf) -> Self {
        owned.as_outgoing()
    }
}

impl<P: Into<PayloadBuf>> From<P> for OutgoingBuf {
    fn from(payload: P) -> Self {
        Self::Same(payload.into())
    }
}

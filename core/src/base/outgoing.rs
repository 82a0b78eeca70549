use crate::base::{Payload, PayloadBuf};
use alloc::string::String;
use alloc::sync::Arc;

/// One message to be sent: the same for everybody, or in two representations of which each recipient gets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// The same for everybody.
    Same(Payload<'a>),
    /// For programs and for people, as each connection's [`Representation`] says.
    Negotiated {
        /// For who speaks JSON.
        json: &'a str,
        /// For who reads text.
        text: &'a str,
    },
}

/// How the content of messages is represented for one connection (RFC 9110 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Representation {
    /// For programs. What connections over WebSocket and length-prefixed frames begin with.
    Json,
    /// For people at a terminal. What connections over lines and telnet begin with.
    Text,
}

/// What became of an [`Outgoing`] that has to outlive its event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingBuf {
    /// The same for everybody.
    Same(PayloadBuf),
    /// For programs and for people.
    Negotiated {
        /// For who speaks JSON.
        json: Arc<str>,
        /// For who reads text.
        text: Arc<str>,
    },
}

impl<'a> Outgoing<'a> {
    /// What a recipient gets.
    #[must_use]
    pub const fn as_payload(self, representation: Representation) -> Payload<'a> {
        match (self, representation) {
            (Self::Same(payload), _) => payload,
            (Self::Negotiated { json, .. }, Representation::Json) => Payload::Text(json),
            (Self::Negotiated { text, .. }, Representation::Text) => Payload::Text(text),
        }
    }

    /// How many bytes it has, of all representations together.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Same(payload) => payload.as_bytes().len(),
            Self::Negotiated { json, text } => json.len() + text.len(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// An owned copy.
    #[must_use]
    pub fn to_owned(self) -> OutgoingBuf {
        match self {
            Self::Same(payload) => OutgoingBuf::Same(payload.to_owned()),
            Self::Negotiated { json, text } => OutgoingBuf::Negotiated { json: json.into(), text: text.into() },
        }
    }
}

impl OutgoingBuf {
    /// The content, borrowed.
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

impl<P: Into<PayloadBuf>> From<P> for OutgoingBuf {
    fn from(payload: P) -> Self {
        Self::Same(payload.into())
    }
}

//! A decoded reply.

use super::error::RespError;
use super::server_error::ServerError;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use resp_rs::resp3::Frame;

/// A reply to a command, a push, or an element of either.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// A simple string, a bulk string, or a verbatim string without its format (`txt:`). It may be any bytes.
    Text(Bytes),
    /// An error that the broker reports.
    Error(ServerError),
    /// An integer.
    Number(i64),
    /// A double. It may be infinite or not a number.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// A null: `_`, `$-1` or `*-1`.
    Null,
    /// An array or a set.
    List(Vec<Reply>),
    /// A map: keys and values in the order of the wire. A key may occur twice.
    Map(Vec<(Reply, Reply)>),
    /// A message that answers no command. It is never inside of another reply.
    Push(Vec<Reply>),
    /// An integer of any length: an optional sign and digits.
    BigNumber(Bytes),
}

impl Reply {
    /// Returns the bytes of a text.
    pub(crate) fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Text(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns an integer, or the integer that a text shows in decimal.
    pub(crate) fn as_number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(bytes) => core::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// Returns the elements of an array or a set.
    pub(crate) fn into_list(self) -> Option<Vec<Self>> {
        if let Self::List(elements) = self { Some(elements) } else { None }
    }

    /// Converts what the parser returns. Streamed parts are refused.
    ///
    /// Both types have the same size, so lists are converted in place.
    pub(super) fn from_frame(frame: Frame) -> Result<Self, RespError> {
        Ok(match frame {
            Frame::SimpleString(bytes) | Frame::BulkString(Some(bytes)) => Self::Text(bytes),
            Frame::VerbatimString { mut payload } => {
                // Three bytes of format and a colon.
                payload.advance(payload.len().min(4));
                Self::Text(payload)
            }
            Frame::Error(text) | Frame::BlobError(text) => Self::Error(ServerError::new(&text)),
            Frame::Integer(number) => Self::Number(number),
            Frame::Double(number) => Self::Double(number),
            Frame::SpecialFloat(name) => Self::Double(match name.as_ref() {
                b"inf" => f64::INFINITY,
                b"-inf" => f64::NEG_INFINITY,
                _ => f64::NAN,
            }),
            Frame::Boolean(value) => Self::Bool(value),
            Frame::Null | Frame::BulkString(None) | Frame::Array(None) => Self::Null,
            Frame::BigNumber(digits) => Self::BigNumber(digits),
            Frame::Array(Some(elements)) | Frame::Set(elements) => Self::List(list(elements)?),
            Frame::Push(elements) => Self::Push(list(elements)?),
            Frame::Map(pairs) => {
                let pair = |(key, value)| Ok((Self::from_frame(key)?, Self::from_frame(value)?));
                Self::Map(pairs.into_iter().map(pair).collect::<Result<_, RespError>>()?)
            }
            _ => return Err(RespError::Unparsed),
        })
    }
}

fn list(elements: Vec<Frame>) -> Result<Vec<Reply>, RespError> {
    elements.into_iter().map(Reply::from_frame).collect()
}

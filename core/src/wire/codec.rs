//! User-defined wires: the traits [`Codec`] and [`FrameDecoder`], and the wire [`Custom`].

use super::contained::contained;
use super::errors::{CodecError, EncodeError};
use crate::base::{Payload, Representation};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A user-defined protocol: creates frame decoders and encodes messages.
///
/// A codec is shared by all connections and has no state. Its decoders have. Both are pure: the
/// same bytes give the same frames, without clocks, randomness or I/O. Only then does a recorded
/// run replay.
///
/// Budgets, the message deadline, rates, metrics, TLS and back-pressure are those of every wire. A
/// codec that breaks its rules, or panics, ends the one connection whose bytes it decodes, with
/// [`Reason::CodecFailed`](crate::Reason::CodecFailed).
///
/// ```
/// use drupe_core::wire::{Codec, CodecError, Custom, DecodeContext, Frame, FrameDecoder, Wire};
/// use drupe_core::Payload;
///
/// /// Messages with a length of two bytes in front, in which the length itself counts.
/// #[derive(Debug)]
/// struct Inclusive;
///
/// impl Codec for Inclusive {
///     fn name(&self) -> &'static str {
///         "inclusive"
///     }
///
///     fn decoder(&self) -> Box<dyn FrameDecoder> {
///         Box::new(Decoder)
///     }
///
///     fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
///         let content = payload.as_bytes();
///         let length = u16::try_from(content.len() + 2).map_err(|_| CodecError::new("too long for two bytes"))?;
///         out.extend_from_slice(&length.to_be_bytes());
///         out.extend_from_slice(content);
///         Ok(())
///     }
/// }
///
/// #[derive(Debug)]
/// struct Decoder;
///
/// impl FrameDecoder for Decoder {
///     fn decode(&mut self, bytes: &[u8], _: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
///         let Some(prefix) = bytes.first_chunk() else { return Ok(Frame::More(2 - bytes.len())) };
///         let length = usize::from(u16::from_be_bytes(*prefix));
///         match length.checked_sub(bytes.len()) {
///             _ if length < 2 => Err(CodecError::new("the length is less than its own size")),
///             Some(missing @ 1..) => Ok(Frame::More(missing)),
///             _ => Ok(Frame::Binary { used: length, content: 2..length }),
///         }
///     }
/// }
///
/// let wire = Wire::Custom(Custom::new(&Inclusive)?);
/// # Ok::<(), drupe_core::wire::CodecNameError>(())
/// ```
pub trait Codec: Sync + fmt::Debug {
    /// Returns the name of the protocol, such as `modbus`, for logs, settings and metrics.
    ///
    /// A lower-case letter, then lower-case letters, digits and `-`, at most 32, and not the name
    /// of a wire of Drupe.
    fn name(&self) -> &'static str;

    /// Creates a decoder at the start of a stream.
    fn decoder(&self) -> Box<dyn FrameDecoder>;

    /// Appends `payload` to `out` as one frame.
    ///
    /// # Errors
    /// If the protocol cannot carry the message. It is then not sent, and counts in
    /// [`Metrics::messages_unsendable`](crate::Metrics).
    fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Returns the greatest number of bytes that a frame has besides its content. Default: 64.
    ///
    /// A frame, header included, is at most this much longer than the longest message.
    fn framing_max_bytes(&self) -> u16 {
        64
    }

    /// Returns the representation in which a connection begins. Default: JSON.
    fn representation(&self) -> Representation {
        Representation::Json
    }
}

/// The decoder of one connection, made by a [`Codec`].
///
/// It looks at the front of the bytes and says what is there. It stores no bytes: what is
/// incomplete is kept for it, within the budget, and presented again together with what follows.
pub trait FrameDecoder: Send + fmt::Debug {
    /// Decodes the frame at the front of `bytes`, which is never empty.
    ///
    /// `bytes` begins where the last frame ended and may hold several frames. Look at the front
    /// only. Bytes that are presented again count again against the rate in bytes, so ask for as
    /// many as are known to be missing.
    ///
    /// # Errors
    /// If the peer breaks the protocol. The connection ends with
    /// [`Reason::MalformedFrame`](crate::Reason::MalformedFrame).
    fn decode(&mut self, bytes: &[u8], context: &mut DecodeContext<'_>) -> Result<Frame, CodecError>;

    /// Decodes the incomplete `bytes` at the end of the input. They may be empty.
    ///
    /// By default, and with [`Frame::More`], an incomplete frame is cut off.
    ///
    /// # Errors
    /// If they cannot be the end of the input.
    fn finish(&mut self, bytes: &[u8], context: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
        let _ = (bytes, context);
        Ok(Frame::More(1))
    }

    /// Returns `true` if the decoder itself is inside a message, such as one of several frames.
    ///
    /// The message deadline then applies, as it does while a frame is incomplete. Default: never.
    fn is_partial(&self) -> bool {
        false
    }
}

/// The result of a [`FrameDecoder`]: an incomplete or a complete frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// An incomplete frame. At least this many more bytes are needed.
    ///
    /// The decoder is not called before they are there. If the frame would be longer than the
    /// budget allows, the connection ends at once, and nothing is stored.
    More(usize),
    /// A frame of `used` bytes. Those in the range `content` are a binary message.
    Binary {
        /// Number of bytes of the whole frame; at least 1.
        used: usize,
        /// The range of the message within the frame.
        content: Range<usize>,
    },
    /// A frame of `used` bytes. Those in the range `content` are a message of text.
    ///
    /// If they are not UTF-8, the connection ends.
    Text {
        /// Number of bytes of the whole frame; at least 1.
        used: usize,
        /// The range of the message within the frame.
        content: Range<usize>,
    },
    /// A frame of `used` bytes, whose binary message was [written](DecodeContext::write).
    Written {
        /// Number of bytes of the whole frame; at least 1.
        used: usize,
    },
    /// A frame of `used` bytes without a message. It counts as a message against the rates.
    Skip {
        /// Number of bytes of the whole frame; at least 1.
        used: usize,
    },
}

/// The context of a call of a [`FrameDecoder`]: limits, progress, and a buffer for a message.
#[derive(Debug)]
pub struct DecodeContext<'a> {
    pub(super) seen: usize,
    pub(super) max: usize,
    pub(super) written: &'a mut Vec<u8>,
    pub(super) is_over: bool,
}

impl DecodeContext<'_> {
    /// Returns the number of leading bytes that an earlier call has already received.
    ///
    /// A decoder that searches need not search them again.
    #[must_use]
    pub const fn seen(&self) -> usize {
        self.seen
    }

    /// Returns the maximum length of a message, in bytes.
    #[must_use]
    pub const fn message_max_bytes(&self) -> usize {
        self.max
    }

    /// Appends bytes to the message of [`Frame::Written`], for frames that are escaped or packed.
    ///
    /// They are forgotten when the call returns anything else. If the message becomes longer than
    /// the longest, nothing more is stored and the connection ends.
    pub fn write(&mut self, bytes: &[u8]) {
        self.is_over |= bytes.len() > self.max.saturating_sub(self.written.len());
        if !self.is_over {
            self.written.extend_from_slice(bytes);
        }
    }
}

/// A [wire](super::Wire) that uses a [`Codec`], with the codec's properties.
///
/// Two are equal if their codecs have the same name and the same address.
#[derive(Clone, Copy)]
pub struct Custom {
    codec: &'static dyn Codec,
    name: &'static str,
    framing_max_bytes: u16,
    representation: Representation,
}

impl Custom {
    /// Creates a wire from a codec, whose properties are read once.
    ///
    /// # Errors
    /// If its name cannot be used.
    pub fn new(codec: &'static dyn Codec) -> Result<Self, CodecNameError> {
        let name = codec.name();
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let has_form = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_good);
        if !has_form || name.len() > NAME_MAX_BYTES || OUR_NAMES.contains(&name) {
            return Err(CodecNameError { name });
        }
        let (framing_max_bytes, representation) = (codec.framing_max_bytes(), codec.representation());
        Ok(Self { codec, name, framing_max_bytes, representation })
    }

    /// Returns the name of the codec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(super) const fn codec(self) -> &'static dyn Codec {
        self.codec
    }

    pub(super) const fn framing_max_bytes(self) -> usize {
        self.framing_max_bytes as usize
    }

    pub(super) const fn representation(self) -> Representation {
        self.representation
    }

    /// Appends `payload` to `out`, which stays unchanged on an error.
    ///
    /// The codec does not see `out`, which may hold the messages of others.
    pub(super) fn encode(self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let encode = || {
            let mut frame = Vec::with_capacity(payload.as_bytes().len() + self.framing_max_bytes());
            self.codec.encode(payload, &mut frame).map(|()| frame)
        };
        let frame = contained(encode).ok_or(EncodeError::CodecPanicked)?.map_err(EncodeError::Codec)?;
        if frame.len() as u64 > FRAME_MAX_BYTES {
            return Err(EncodeError::TooLong { bytes: frame.len(), max: FRAME_MAX_BYTES });
        }
        out.extend_from_slice(&frame);
        Ok(())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        // Codecs without fields may have the same address, and copies of one codec different ones.
        self.name == other.name && core::ptr::addr_eq(self.codec, other.codec)
    }
}

impl Eq for Custom {}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({:?})", self.name)
    }
}

/// The error for a codec whose name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} can't be the name of a codec: use a lower-case letter, then lower-case letters, digits and -, at most \
     32, and no name of a wire of Drupe"
)]
#[non_exhaustive]
pub struct CodecNameError {
    /// The name that cannot be used.
    pub name: &'static str,
}

const NAME_MAX_BYTES: usize = 32;
/// Maximum size of an encoded frame, in bytes: the greatest limit for a message.
const FRAME_MAX_BYTES: u64 = 1 << 30;
/// Reserved names, which a codec cannot have: schemes, wires and settings of Drupe.
const OUR_NAMES: [&str; 21] = [
    "tcp",
    "tls",
    "unix",
    "lines",
    "telnet",
    "telnets",
    "length",
    "lengths",
    "raw",
    "raws",
    "delimited",
    "delimiteds",
    "ws",
    "wss",
    "websocket",
    "auto",
    "autos",
    "http",
    "events",
    "ssh",
    "custom",
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[derive(Debug)]
    struct Named(&'static str);

    impl Codec for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn decoder(&self) -> Box<dyn FrameDecoder> {
            panic!("nothing is decoded")
        }

        fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
            out.extend_from_slice(b"half");
            match payload.as_bytes() {
                b"refused" => Err(CodecError::new("it is refused")),
                b"panic" => panic!("a codec that fails"),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn name_of_a_codec_is_checked() {
        for good in ["x", "modbus", "stomp-1", "abcdefghijklmnopqrstuvwxyz012345"] {
            let codec: &'static Named = Box::leak(Box::new(Named(good)));
            assert_eq!(Custom::new(codec).map(Custom::name), Ok(good));
        }
        for bad in ["", "Modbus", "1x", "a b", "a:b", "raw", "websocket", "abcdefghijklmnopqrstuvwxyz0123456"] {
            let codec: &'static Named = Box::leak(Box::new(Named(bad)));
            let error = Custom::new(codec).expect_err(bad);
            assert!(error.to_string().starts_with(&alloc::format!("{bad:?} can't be")), "{error}");
        }
    }

    #[test]
    fn codecs_are_equal_if_name_and_address_are() {
        let leaked = |name| Custom::new(Box::leak(Box::new(Named(name)))).expect("a good name");
        let (one, other) = (leaked("one"), leaked("one"));
        assert_eq!(one, one);
        assert_ne!(one, other);
        assert_eq!(alloc::format!("{one:?}"), "Custom(\"one\")");
    }

    #[test]
    fn failed_encoding_leaves_nothing_behind() {
        let custom = Custom::new(&Named("named")).expect("a good name");
        let mut out = b"before".to_vec();
        for (message, error) in [
            ("refused", Err(EncodeError::Codec(CodecError::new("it is refused")))),
            ("panic", Err(EncodeError::CodecPanicked)),
        ] {
            assert_eq!(custom.encode(message.into(), &mut out), error);
            assert_eq!(out, b"before");
        }
        assert_eq!(custom.encode("x".into(), &mut out), Ok(()));
        assert_eq!(out, b"beforehalf");
    }
}

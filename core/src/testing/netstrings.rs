//! A codec for netstrings, for tests and as an example.

use crate::base::Payload;
use crate::wire::{Codec, CodecError, DecodeContext, Frame, FrameDecoder};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

/// A codec for netstrings (D. J. Bernstein, 1997): `5:hello,` is the message `hello`.
///
/// ```
/// use drupe_core::app::Echo;
/// use drupe_core::testing::{Netstrings, TestHub};
/// use drupe_core::wire::{Custom, Wire};
/// use drupe_core::{Address, Config, Listen};
///
/// let wire = Wire::Custom(Custom::new(&Netstrings)?);
/// let listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 7000).into()), wire);
/// let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
/// let peer = hub.connect();
/// hub.send(peer, b"5:hello,1:");
/// hub.send(peer, b"x,");
/// assert_eq!(hub.received(peer), b"5:hello,1:x,");
/// # Ok::<(), drupe_core::wire::CodecNameError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no options")]
pub struct Netstrings;

/// Maximum number of digits in front of the colon.
const DIGITS_MAX: usize = 9;

impl Codec for Netstrings {
    fn name(&self) -> &'static str {
        "netstrings"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(Decoder)
    }

    fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let content = payload.as_bytes();
        let length = content.len().to_string();
        if length.len() > DIGITS_MAX {
            return Err(CodecError::new("the length has more than nine digits"));
        }
        out.extend_from_slice(length.as_bytes());
        out.push(b':');
        out.extend_from_slice(content);
        out.push(b',');
        Ok(())
    }

    fn framing_max_bytes(&self) -> u16 {
        11
    }
}

#[derive(Debug)]
struct Decoder;

impl FrameDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8], _: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
        let mut length = 0;
        for (&byte, at) in bytes.iter().zip(0..=DIGITS_MAX) {
            match byte {
                b'0'..=b'9' if at < DIGITS_MAX => length = length * 10 + usize::from(byte - b'0'),
                b':' if at > 0 => {
                    let (start, end) = (at + 1, at + 1 + length);
                    return match bytes.get(end) {
                        Some(b',') => Ok(Frame::Binary { used: end + 1, content: start..end }),
                        Some(_) => Err(CodecError::new("a comma must end the content")),
                        None => Ok(Frame::More(end + 1 - bytes.len())),
                    };
                }
                _ => return Err(CodecError::new("the length must be one to nine digits and a colon")),
            }
        }
        // At least the colon and the comma.
        Ok(Frame::More(2))
    }
}

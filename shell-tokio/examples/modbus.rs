//! A Modbus/TCP server: somebody else's binary protocol, with a codec of one's own.
//!
//! It serves a thousand holding registers with the functions 3 (read), 6 (write one) and 16 (write
//! several), and answers every other function with the exception 1. The limits, TLS and the reasons
//! for which connections end are those of every wire of Drupe.
//!
//! Run it, then try `pymodbus.simulator`'s client, `modpoll` or `mbpoll -1 -t 4 -r 1 127.0.0.1 -p 5020`.
//!
//! Modbus Application Protocol V1.1b3, and Modbus Messaging on TCP/IP V1.0b.

use drupe_tokio::Server;
use drupe_tokio::core::wire::{Codec, CodecError, Custom, DecodeContext, Frame, FrameDecoder, Wire};
use drupe_tokio::core::{Address, Config, Event, Handler, Hub, Listen, NoNote, Payload};
use std::error::Error;

/// The framing of Modbus/TCP.
///
/// A message is the transaction identifier (two bytes), the unit identifier (one) and the request
/// or answer (PDU). The protocol identifier and the length stay on the wire.
#[derive(Debug)]
struct Modbus;

/// Length of the transaction identifier, the protocol identifier and the length, in bytes.
const HEADER_BYTES: usize = 6;
/// Least and greatest value of the length: the unit identifier and a PDU of 1 to 253 bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=254;

impl Codec for Modbus {
    fn name(&self) -> &'static str {
        "modbus"
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(Decoder)
    }

    fn encode(&self, payload: Payload<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Some((transaction, rest)) = payload.as_bytes().split_first_chunk::<2>() else {
            return Err(CodecError::new("a message begins with the transaction identifier"));
        };
        let length = u16::try_from(rest.len()).ok().filter(|_| LENGTHS.contains(&rest.len()));
        let length = length.ok_or(CodecError::new("a PDU has 1 to 253 bytes"))?;
        out.extend_from_slice(transaction);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(rest);
        Ok(())
    }

    fn framing_max_bytes(&self) -> u16 {
        4
    }
}

#[derive(Debug)]
struct Decoder;

impl FrameDecoder for Decoder {
    fn decode(&mut self, bytes: &[u8], context: &mut DecodeContext<'_>) -> Result<Frame, CodecError> {
        let Some((&[first, second, 0, 0, high, low], rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return match bytes.len() {
                HEADER_BYTES.. => Err(CodecError::new("the protocol identifier is not 0")),
                length => Ok(Frame::More(HEADER_BYTES - length)),
            };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !LENGTHS.contains(&length) {
            return Err(CodecError::new("the length is not 2 to 254"));
        }
        let Some(rest) = rest.get(..length) else { return Ok(Frame::More(length - rest.len())) };
        context.write(&[first, second]);
        context.write(rest);
        Ok(Frame::Written { used: HEADER_BYTES + length })
    }
}

/// The holding registers, which all peers share.
struct Registers([u16; 1_000]);

/// The exception codes of the protocol.
#[derive(Clone, Copy)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
}

impl Registers {
    /// Serves the PDU of a request. Returns that of the answer.
    fn serve(&mut self, request: &[u8]) -> Result<Vec<u8>, Exception> {
        let number = |at: usize| match request.get(at..at + 2) {
            Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
            _ => Err(Exception::Value),
        };
        match request.first() {
            Some(3) if request.len() == 5 => {
                let count = usize::from(number(3)?);
                if !(1..=125).contains(&count) {
                    return Err(Exception::Value);
                }
                let values = self.at(number(1)?, count)?;
                let bytes = u8::try_from(2 * count).map_err(|_| Exception::Value)?;
                Ok([3, bytes].into_iter().chain(values.iter().flat_map(|value| value.to_be_bytes())).collect())
            }
            Some(6) if request.len() == 5 => {
                self.at(number(1)?, 1)?[0] = number(3)?;
                Ok(request.to_vec())
            }
            Some(16) => {
                let count = usize::from(number(3)?);
                let is_whole =
                    request.get(5).copied().map(usize::from) == Some(2 * count) && request.len() == 6 + 2 * count;
                if !(1..=123).contains(&count) || !is_whole {
                    return Err(Exception::Value);
                }
                let places = self.at(number(1)?, count)?;
                for (place, value) in places.iter_mut().zip(request[6..].chunks_exact(2)) {
                    *place = u16::from_be_bytes([value[0], value[1]]);
                }
                Ok(request[..5].to_vec())
            }
            Some(3 | 6) => Err(Exception::Value),
            _ => Err(Exception::Function),
        }
    }

    fn at(&mut self, address: u16, count: usize) -> Result<&mut [u16], Exception> {
        let start = usize::from(address);
        self.0.get_mut(start..start + count).ok_or(Exception::Address)
    }
}

impl Handler for Registers {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        let Event::Message { conn, payload } = event else { return };
        // The codec lets through nothing shorter than a transaction, a unit and a function.
        let Some((address, request)) = payload.as_bytes().split_at_checked(3) else { return };
        let function = request.first().copied().unwrap_or_default();
        let answer = self.serve(request).unwrap_or_else(|exception| vec![function | 0x80, exception as u8]);
        let message = [address, &answer].concat();
        hub.send(conn, Payload::Binary(&message));
    }
}

#[expect(clippy::print_stdout, reason = "it prints its addresses")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = vec!["127.0.0.1:5020".into()];
    }
    let wire = Wire::Custom(Custom::new(&Modbus)?);
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(Listen::new(Address::Tcp(address.parse()?), wire));
    }
    let server = Server::bind(Config::listening(listeners), Registers([0; 1_000]))?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    server.run_blocking()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_tokio::core::Reason;
    use drupe_tokio::core::limit::Budget;
    use drupe_tokio::core::testing::{TestHub, check_wire};

    fn wire() -> Wire {
        Wire::Custom(Custom::new(&Modbus).expect("a good name"))
    }

    fn ask(request: &[u8]) -> Vec<u8> {
        let listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 502).into()), wire());
        let mut hub = TestHub::with_config(
            Config::listening([listen]),
            Registers(std::array::from_fn(|at| u16::try_from(at).unwrap_or_default())),
        );
        let peer = hub.connect();
        request.chunks(3).for_each(|piece| hub.send(peer, piece));
        if hub.is_closed(peer) {
            assert_eq!(hub.ended(Reason::MalformedFrame), 1);
        }
        hub.received(peer).to_vec()
    }

    #[test]
    fn requests_are_answered_as_the_specification_says() {
        for (request, answer) in [
            (&[0, 7, 0, 0, 0, 6, 1, 3, 0, 5, 0, 2][..], &[0, 7, 0, 0, 0, 7, 1, 3, 4, 0, 5, 0, 6][..]),
            (&[0, 7, 0, 0, 0, 6, 1, 6, 0, 5, 1, 2], &[0, 7, 0, 0, 0, 6, 1, 6, 0, 5, 1, 2]),
            (&[0, 7, 0, 0, 0, 9, 1, 16, 0, 5, 0, 1, 2, 9, 9], &[0, 7, 0, 0, 0, 6, 1, 16, 0, 5, 0, 1]),
            (&[0, 7, 0, 0, 0, 6, 1, 3, 3, 231, 0, 2], &[0, 7, 0, 0, 0, 3, 1, 0x83, 2]),
            (&[0, 7, 0, 0, 0, 6, 1, 3, 0, 5, 0, 0], &[0, 7, 0, 0, 0, 3, 1, 0x83, 3]),
            (&[0, 7, 0, 0, 0, 9, 1, 16, 0, 5, 0, 2, 2, 9, 9], &[0, 7, 0, 0, 0, 3, 1, 0x90, 3]),
            (&[0, 7, 0, 0, 0, 2, 1, 43], &[0, 7, 0, 0, 0, 3, 1, 0xab, 1]),
            (&[0, 7, 0, 1, 0, 2, 1, 43], &[]),
            (&[0, 7, 0, 0, 1, 0, 1, 43], &[]),
        ] {
            assert_eq!(ask(request), answer, "{request:?}");
        }
    }

    #[test]
    fn codec_has_no_defect() {
        let good = [0, 7, 0, 0, 0, 6, 1, 3, 0, 5, 0, 2];
        for stream in [&good.repeat(3)[..], &good[..9], &[1; 40], &[0, 0, 0, 0, 255, 255]] {
            assert_eq!(check_wire(wire(), &Budget::default(), stream, &[1, 4, 7]), Ok(()), "{stream:?}");
        }
    }
}

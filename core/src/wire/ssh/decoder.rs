use super::frame::{DATA, FAILED, HEAD_BYTES, RESIZED, RESIZED_BYTES};
use super::login::SshLogin;
use super::session::SshSession;
use crate::base::{Payload, work};
use crate::wire::telnet::{IAC, Replies, Session, Terminal};
use crate::wire::{Budget, DecodeBuffer, DecodeError, Decoded, Encoding, InvalidUtf8, LineDecoder, Lines};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Decoder of the frames of a session, after the login.
///
/// The result does not depend on how the input is split into frames.
#[derive(Debug)]
pub struct SshDecoder {
    inner: Inner,
    /// Number of bytes that the current frame of input still has.
    rest: usize,
    /// The incomplete head of a frame, or an incomplete frame without input.
    begun: [u8; RESIZED_BYTES],
    /// Number of bytes in `begun`.
    begun_bytes: usize,
}

#[derive(Debug)]
enum Inner {
    Terminal(Box<Session>),
    Lines(LineDecoder),
    /// What the client reported, for sessions without a terminal.
    Described(LineDecoder, Box<Terminal>),
}

impl SshDecoder {
    /// Creates a decoder for the input after the login.
    #[must_use]
    pub fn new(session: SshSession) -> Self {
        let inner = match session {
            SshSession::Terminal(mode) => Inner::Terminal(Box::new(Session::without_negotiation(mode))),
            SshSession::Lines(ending) => {
                let lines = Lines { ending, invalid_utf8: InvalidUtf8::Replace };
                Inner::Lines(LineDecoder::new(lines))
            }
        };
        Self { inner, rest: 0, begun: [0; RESIZED_BYTES], begun_bytes: 0 }
    }

    /// Sets what the client reported at the login.
    pub(crate) fn describe(&mut self, login: &SshLogin) {
        match &mut self.inner {
            Inner::Terminal(session) => session.describe(|terminal| login.describe(terminal)),
            Inner::Lines(_) | Inner::Described(..) => {
                let mut terminal = Terminal::default();
                login.describe(&mut terminal);
                let before = core::mem::replace(&mut self.inner, Inner::Lines(LineDecoder::new(Lines::default())));
                if let Inner::Lines(lines) | Inner::Described(lines, _) = before {
                    self.inner = Inner::Described(lines, Box::new(terminal));
                }
            }
        }
    }

    /// Decodes the next [`Item`](crate::wire::Item) at the front of `input`, if it is complete.
    ///
    /// [`wire`](crate::wire) describes the interface of the decoders.
    ///
    /// # Errors
    /// [`DecodeError::Ssh`] if the SSH server reports a fault, [`DecodeError::Frame`] for a malformed frame, and the errors of telnet sessions and of lines.
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        if self.is_ahead() {
            return self.decode_input(&mut [], buffer, budget);
        }
        if self.rest == 0 {
            return self.take_head(input).map(Decoded::nothing);
        }
        let count = self.rest.min(input.len());
        let input = input.get_mut(..count).unwrap_or_default();
        let decoded = self.decode_input(input, buffer, budget)?;
        self.rest -= decoded.used;
        Ok(decoded)
    }

    fn decode_input<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        match &mut self.inner {
            Inner::Terminal(session) => {
                // UTF-8 has neither of these two bytes. The session would read IAC as a command.
                work::step(input.len());
                input.iter_mut().filter(|byte| **byte == IAC).for_each(|byte| *byte = IAC - 1);
                session.decode(input, buffer, budget)
            }
            Inner::Lines(lines) | Inner::Described(lines, _) => lines.decode(input, buffer, budget),
        }
    }

    /// Takes the head of a frame of input, or a whole frame without input. Returns the bytes used.
    fn take_head(&mut self, input: &[u8]) -> Result<usize, DecodeError> {
        for (used, &byte) in (1..).zip(input) {
            work::step(1);
            if let Some(place) = self.begun.get_mut(self.begun_bytes) {
                *place = byte;
            }
            self.begun_bytes += 1;
            let [kind, l3, l2, l1, l0, c1, c0, r1, r0] = self.begun;
            let length = u32::from_be_bytes([l3, l2, l1, l0]);
            match (kind, self.begun_bytes) {
                (DATA, HEAD_BYTES) => {
                    self.begun_bytes = 0;
                    self.rest = usize::try_from(length).unwrap_or(usize::MAX);
                    return Ok(used);
                }
                (RESIZED, HEAD_BYTES) if length != 4 => return Err(MALFORMED),
                (RESIZED, RESIZED_BYTES) => {
                    self.begun_bytes = 0;
                    self.resize(u16::from_be_bytes([c1, c0]), u16::from_be_bytes([r1, r0]));
                    return Ok(used);
                }
                (FAILED, HEAD_BYTES) => return Err(DecodeError::Ssh),
                (DATA | RESIZED | FAILED, ..RESIZED_BYTES) => {}
                _ => return Err(MALFORMED),
            }
        }
        Ok(input.len())
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        match &mut self.inner {
            Inner::Terminal(session) => session.resize(columns, rows),
            Inner::Described(_, terminal) => drop(terminal.resize(columns, rows)),
            Inner::Lines(_) => {}
        }
    }

    /// Returns the line that the end of the input completes, if any.
    ///
    /// # Errors
    /// Those of telnet sessions and of lines.
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        match &mut self.inner {
            Inner::Terminal(session) => session.finish(buffer, budget),
            Inner::Lines(lines) | Inner::Described(lines, _) => lines.finish(buffer, budget),
        }
    }

    /// Returns `true` if a line is incomplete. Lines that the server edits do not count.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match &self.inner {
            Inner::Terminal(session) => session.is_partial(),
            Inner::Lines(lines) | Inner::Described(lines, _) => lines.is_partial(),
        }
    }

    /// Returns `true` if the decoder can yield more without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.session().is_some_and(Session::is_ahead)
    }

    /// Takes the pending output, with the redrawn input line if `with_line` is set.
    pub(crate) fn replies(&mut self, with_line: bool) -> Option<Replies> {
        let session = self.session_mut()?;
        let replies = if with_line { session.replies() } else { session.answers() }?;
        // All control data is negotiation, which SSH does not have.
        Some(Replies { control: Vec::new(), output: without_telnet(replies.output) })
    }

    /// Returns the current encoding of messages for this peer.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        self.session().map(Session::encoding)
    }

    /// Returns what the client reported about its terminal.
    #[must_use]
    pub fn terminal(&self) -> Option<&Terminal> {
        match &self.inner {
            Inner::Terminal(session) => Some(session.terminal()),
            Inner::Described(_, terminal) => Some(terminal),
            Inner::Lines(_) => None,
        }
    }

    /// Returns the session that edits the client's lines, if the client has a terminal.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        if let Inner::Terminal(session) = &self.inner { Some(session) } else { None }
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        if let Inner::Terminal(session) = &mut self.inner { Some(session) } else { None }
    }
}

/// The error for a frame that the shell's SSH server never writes.
const MALFORMED: DecodeError = DecodeError::Frame("it is not a frame of an SSH session");

/// Undoes the two escapes of the network virtual terminal (RFC 854): IAC IAC and CR NUL.
fn without_telnet(output: Vec<u8>) -> Vec<u8> {
    work::step(output.len());
    let is_plain = !output.contains(&IAC) && !output.contains(&0);
    if is_plain {
        return output;
    }
    let mut plain = Vec::with_capacity(output.len());
    let mut bytes = output.into_iter().peekable();
    while let Some(byte) = bytes.next() {
        plain.push(byte);
        match byte {
            IAC => drop(bytes.next_if_eq(&IAC)),
            b'\r' => drop(bytes.next_if_eq(&0)),
            _ => {}
        }
    }
    plain
}

//! The client's end of one telnet connection.

mod config;
mod negotiate;
mod receive;

pub use config::{Delivery, TelnetClient, TerminalTypes, TerminalTypesError};

use super::compress::Inflater;
use super::end::{self, ANSWERS_MAX_BYTES, COMMAND_COST, End, Found, SPENT_MAX, SUBNEGOTIATION_MAX_BYTES, gmcp};
use super::negotiation::{Options, Side};
use super::parser::{Command, Parser, Piece};
use super::{Charset, ClientMode, IAC, Replies, Signal, encode, escape, option, subnegotiation};
use crate::base::{Payload, work};
use crate::wire::{Budget, DecodeBuffer, DecodeError, Decoded, Encoding, InvalidUtf8, TelnetPath};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

/// The client's end of a telnet connection.
///
/// It decodes bytes into messages and signals, and answers the server's negotiation. After each
/// call of a method, send what [`replies`](Self::replies) returns.
///
/// Its answers are bounded: each request gets one answer, an option changes at most
/// [`Options::CHANGES_MAX`] times, and answers that the server does not read stop the parser.
#[derive(Debug)]
pub struct ClientSession {
    config: TelnetClient,
    parser: Parser,
    options: Options,
    charset: Charset,
    size: Option<(u16, u16)>,
    /// Whether the server has sent a telnet command.
    is_telnet: bool,
    /// Options to request once the server has sent a telnet command.
    wishes: Vec<(Side, u8)>,
    /// Index of the next terminal type to report.
    next_type: usize,
    /// The mode that was reported last.
    reported: ClientMode,
    /// The unfinished line, or the unfinished character of a stream.
    partial: Vec<u8>,
    /// Whether the unfinished line is to be reported as a prompt.
    prompt_is_due: bool,
    /// Whether invalid text follows what was delivered.
    is_broken: bool,
    inflater: Option<Box<Inflater>>,
    control: Vec<u8>,
    output: Vec<u8>,
    /// Cost of the current `decode` beyond reading input, in equivalent bytes of plain input.
    spent: usize,
}

impl ClientSession {
    /// Creates a session for a new connection. It sends nothing at first.
    #[must_use]
    pub fn new(config: TelnetClient) -> Self {
        let mut session = Self {
            config,
            parser: Parser::new(SUBNEGOTIATION_MAX_BYTES),
            options: Options::new(),
            charset: config.charset,
            size: None,
            is_telnet: false,
            wishes: Vec::new(),
            next_type: 0,
            reported: ClientMode::Line,
            partial: Vec::new(),
            prompt_is_due: false,
            is_broken: false,
            inflater: None,
            control: Vec::new(),
            output: Vec::new(),
            spent: 0,
        };
        session.allow_options();
        session
    }

    /// Decodes at most one item from the front of `input`; see [`wire`](crate::wire).
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before content beyond the limit is kept,
    /// [`DecodeError::Compression`], and [`DecodeError::InvalidUtf8`] if
    /// [configured](TelnetClient::invalid_utf8).
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        end::decode(self, input, buffer, budget)
    }

    /// Returns the unfinished line or character, if any, once the server's input has ended.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        if self.partial.is_empty() {
            return Ok(None);
        }
        buffer.bytes = core::mem::take(&mut self.partial);
        end::last(self, Found::Kept, buffer, budget)
    }

    /// Returns `true` if a command or a line is incomplete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.parser.is_partial() || self.config.delivery == Delivery::Lines && !self.partial.is_empty()
    }

    /// Returns `true` if messages have boundaries, as with [`Delivery::Lines`].
    #[must_use]
    pub const fn has_boundaries(&self) -> bool {
        matches!(self.config.delivery, Delivery::Lines)
    }

    /// Returns `true` if [`decode`](Self::decode) has work to do without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        let inflated = |inflater: &Inflater| inflater.is_ready() || inflater.has_more();
        self.prompt_is_due
            || self.is_broken
            || self.mode() != self.reported
            || self.inflater.as_deref().is_some_and(inflated)
    }

    /// Returns how long to wait for input before [`on_timeout`](Self::on_timeout), if at all.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let waits = self.config.delivery == Delivery::Lines && !self.partial.is_empty();
        self.config.prompt_after.filter(|_| waits)
    }

    /// Turns the unfinished line into a prompt, once [`wait`](Self::wait) has elapsed.
    pub const fn on_timeout(&mut self) {
        self.prompt_is_due = matches!(self.config.delivery, Delivery::Lines) && !self.partial.is_empty();
    }

    /// Returns `true` if an option is on for the given side; ours is the client's.
    #[must_use]
    pub fn is_on(&self, side: Side, option: u8) -> bool {
        self.options.is_on(side, option)
    }

    /// Returns where the server wants the input edited and echoed.
    #[must_use]
    pub fn mode(&self) -> ClientMode {
        match (self.is_on(Side::Him, option::ECHO), self.is_on(Side::Him, option::SGA)) {
            (false, _) => ClientMode::Line,
            (true, false) => ClientMode::Hidden,
            (true, true) => ClientMode::Character,
        }
    }

    /// Returns the current encoding of messages for the server: text and CR LF.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        Encoding::Telnet { charset: self.charset, path: TelnetPath::Direct }
    }

    /// Returns the bytes to send, if any.
    pub fn replies(&mut self) -> Option<Replies> {
        if self.control.is_empty() && self.output.is_empty() {
            return None;
        }
        Some(Replies { control: core::mem::take(&mut self.control), output: core::mem::take(&mut self.output) })
    }

    /// Queues text without a line ending, such as keys.
    ///
    /// A line feed is sent as CR LF, and a CR without one as CR NUL (RFC 854); with BINARY, both are
    /// sent unchanged (RFC 856).
    pub fn write(&mut self, payload: Payload<'_>) {
        if !self.is_on(Side::Us, option::BINARY) {
            return encode(payload, self.charset, &mut self.output);
        }
        match payload {
            Payload::Text(text) if self.charset != Charset::Utf8 => {
                let mut bytes = Vec::new();
                self.charset.encode(text, &mut bytes);
                escape(&bytes, &mut self.output);
            }
            _ => escape(payload.as_bytes(), &mut self.output),
        }
    }

    /// Queues a two-byte command, such as [`Command::InterruptProcess`].
    pub fn command(&mut self, command: Command) {
        self.output.extend_from_slice(&[IAC, command.byte()]);
    }

    /// Queues a subnegotiation (RFC 855). Returns `false` if the option is off on both sides.
    pub fn subnegotiate(&mut self, option: u8, content: &[u8]) -> bool {
        let on = self.is_on(Side::Us, option) || self.is_on(Side::Him, option);
        if on {
            subnegotiation(option, content, &mut self.output);
        }
        on
    }

    /// Queues a Generic MUD Communication Protocol message. Returns `false` if the option is off.
    pub fn gmcp(&mut self, package: &str, data: &str) -> bool {
        self.subnegotiate(option::GMCP, gmcp(package, data).as_bytes())
    }

    /// Returns the keep-alive interval, if keep-alive is on and the server speaks telnet.
    #[must_use]
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.config.keep_alive.filter(|_| self.is_telnet)
    }

    /// Queues a keep-alive, `IAC NOP`.
    pub fn keep_alive(&mut self) {
        self.control.extend_from_slice(&[IAC, Command::NoOperation.byte()]);
    }
}

impl End for ClientSession {
    fn decoding(&mut self) -> (&mut Parser, &mut Option<Box<Inflater>>, &mut usize) {
        (&mut self.parser, &mut self.inflater, &mut self.spent)
    }

    fn charset(&self) -> (Charset, InvalidUtf8) {
        (self.charset, self.config.invalid_utf8)
    }

    fn step(
        &mut self,
        data: &[u8],
        buffer: &mut DecodeBuffer,
        max: usize,
        inflating: bool,
    ) -> Result<(usize, Found), DecodeError> {
        let mut used = 0;
        loop {
            work::step(1);
            if self.is_broken {
                return Err(DecodeError::InvalidUtf8 { valid_up_to: 0 });
            }
            if self.mode() != self.reported {
                self.reported = self.mode();
                return Ok((used, Found::Signal(Signal::ClientMode(self.reported))));
            }
            if core::mem::take(&mut self.prompt_is_due) {
                return Ok((used, self.take_prompt(&mut buffer.bytes)));
            }
            let rest = &data[used..];
            if rest.is_empty() || self.spent > SPENT_MAX {
                return Ok((used, Found::Nothing));
            }
            if !self.parser.is_partial() && rest.first() != Some(&IAC) {
                let (taken, found) = self.take_data(rest, buffer, max)?;
                match found {
                    Found::Nothing => used += taken,
                    Found::Here(Range { start, end }) => {
                        return Ok((used + taken, Found::Here(used + start..used + end)));
                    }
                    found => return Ok((used + taken, found)),
                }
                continue;
            }
            // With many pending answers, further commands wait until the caller has taken them.
            if self.control.len() + self.output.len() > ANSWERS_MAX_BYTES {
                return Ok((used, Found::Nothing));
            }
            let (taken, piece) = self.parser.parse(rest);
            used += taken;
            self.spent += match piece {
                None => 0,
                Some(Piece::Data(_)) => 1,
                Some(_) => COMMAND_COST,
            };
            let found = match piece {
                None => Found::Nothing,
                // An escaped IAC: all other data is taken above.
                Some(Piece::Data(_)) => self.take_escaped(buffer, max)?,
                Some(Piece::Command(command)) => self.commanded(command, &mut buffer.bytes),
                Some(Piece::Negotiation(verb, option)) => self.negotiated(verb, option),
                Some(Piece::Subnegotiation { option, .. }) => {
                    let content = self.parser.take_content();
                    if option == option::MCCP2 && !inflating && self.is_on(Side::Him, option) {
                        self.inflater = Some(Box::new(Inflater::new()));
                        return Ok((used, Found::Nothing));
                    }
                    self.parameters(option, content, &mut buffer.bytes)
                }
            };
            if !matches!(found, Found::Nothing) {
                return Ok((used, found));
            }
        }
    }
}

#[cfg(test)]
mod tests;

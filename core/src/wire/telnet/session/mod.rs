//! The server's end of one telnet connection.

mod bare;
mod data;
mod keys;
mod negotiate;
mod parameters;
mod typing;

use super::compress::{Compressor, Inflater};
use super::end::{self, ANSWERS_MAX_BYTES, COMMAND_COST, End, Found, SPENT_MAX, SUBNEGOTIATION_MAX_BYTES};
use super::negotiation::{Options, Side};
use super::parser::{Command, Parser, Piece};
use super::{Charset, IAC, InputMode, Signal, Telnet, Terminal, encode, option, subnegotiation};
use crate::base::{Payload, Time, work};
use crate::wire::Budget;
use crate::wire::{DecodeBuffer, DecodeError, Decoded, Encoding, InvalidUtf8, TelnetPath};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use typing::Typing;

/// Longest prompt that is kept for redrawing, in bytes.
const PROMPT_MAX_BYTES: usize = 1024;

/// Time without output after which a compressed stream ends.
const COMPRESSION_RESTS_AFTER: Duration = Duration::from_secs(60);

/// The server's end of a telnet connection.
///
/// It decodes bytes into messages and signals, answers commands, and keeps the peer's screen in
/// order. After each call of another method, send what [`replies`](Self::replies) returns.
#[derive(Debug)]
pub struct Session {
    config: Telnet,
    /// Whether options are negotiated. If not, the peer is a terminal that sends each key.
    negotiates: bool,
    parser: Parser,
    options: Options,
    terminal: Terminal,
    /// The input mode to request from the peer: the configured mode, or the application's choice.
    wanted: InputMode,
    /// The input mode in which input is decoded now.
    told: InputMode,
    /// Whether the peer's next line is hidden, such as a password.
    hidden: bool,
    prompt: String,
    /// The unfinished line, in line mode.
    partial: Vec<u8>,
    /// Whether the last byte was the CR of a line ending, so that an LF or NUL belongs to it.
    after_cr: bool,
    typing: Option<Box<Typing>>,
    /// Whether the window has a new size that is not reported yet.
    resized: bool,
    /// Whether a terminal type was requested and has not arrived.
    type_asked: bool,
    /// Whether character sets were offered and the peer has not chosen.
    charset_asked: bool,
    /// Options to request once the peer is known to speak telnet.
    wishes: Vec<(Side, u8)>,
    compressor: Option<Box<Compressor>>,
    /// Whether the peer has agreed to MCCP2, but no compressed stream is open: the next output begins one.
    compression_rests: bool,
    /// When output was last compressed.
    compressed_at: Option<Time>,
    /// Whether MCCP2 is or was on: queued output may be compressed and must keep its order.
    in_order: bool,
    inflater: Option<Box<Inflater>>,
    control: Vec<u8>,
    output: Vec<u8>,
    /// Output in its final form, to be sent before `output`.
    ready: Vec<u8>,
    /// Cost of the current `decode` beyond reading input, in equivalent bytes of plain input.
    spent: usize,
}

/// Bytes that a decoder has ready to send to the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replies {
    /// Bytes to send before queued output, between two messages, such as negotiation answers.
    pub control: Vec<u8>,
    /// Bytes to send after queued output.
    pub output: Vec<u8>,
}

impl Session {
    /// Creates a session for a new connection. Its first replies hold the probe, if configured.
    #[must_use]
    pub fn new(config: Telnet) -> Self {
        let mut session = Self {
            config,
            negotiates: true,
            parser: Parser::new(SUBNEGOTIATION_MAX_BYTES),
            options: Options::new(),
            terminal: Terminal { charset: config.charset, ..Terminal::default() },
            wanted: config.mode,
            told: InputMode::Line,
            hidden: false,
            prompt: String::new(),
            partial: Vec::new(),
            after_cr: false,
            typing: None,
            resized: false,
            type_asked: false,
            charset_asked: false,
            wishes: Vec::new(),
            compressor: None,
            compression_rests: false,
            compressed_at: None,
            in_order: false,
            inflater: None,
            control: Vec::new(),
            output: Vec::new(),
            ready: Vec::new(),
            spent: 0,
        };
        session.begin();
        session
    }

    /// Decodes at most one item from the front of `input`; see [`wire`](crate::wire).
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before content beyond the limit is kept,
    /// [`DecodeError::Compression`], and [`DecodeError::InvalidUtf8`] if
    /// [configured](Telnet::invalid_utf8).
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        end::decode(self, input, buffer, budget)
    }

    /// Returns the unfinished line, if any, once the peer's input has ended.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        let found = match self.typing.as_mut().filter(|_| self.told == InputMode::Character) {
            Some(typing) if !typing.editor.is_empty() => {
                buffer.bytes = typing.editor.take(false).into_bytes();
                Found::Typed
            }
            None if !self.partial.is_empty() => {
                buffer.bytes = core::mem::take(&mut self.partial);
                Found::Kept
            }
            _ => return Ok(None),
        };
        end::last(self, found, buffer, budget)
    }

    /// Returns `true` if a command, or a line in line mode, is incomplete.
    ///
    /// Lines that the server edits do not count: a person types them and may take any time.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.parser.is_partial() || !self.partial.is_empty()
    }

    /// Returns `true` if queued output must stay complete and in order, as it may be compressed.
    #[must_use]
    pub const fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Returns `true` if [`decode`](Self::decode) has work to do without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        let inflated = |inflater: &Inflater| inflater.is_ready() || inflater.has_more();
        self.resized || self.mode() != self.told || self.has_keys() || self.inflater.as_deref().is_some_and(inflated)
    }

    /// Returns how long to wait for input before [`on_timeout`](Self::on_timeout), if at all.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let waits = self.told == InputMode::Keys && self.typing.as_ref().is_some_and(|typing| typing.is_escape());
        waits.then_some(super::Key::ESCAPE_WAIT)
    }

    /// Turns a pending escape character into the Escape key, once [`wait`](Self::wait) has elapsed.
    pub fn on_timeout(&mut self) {
        if let Some(typing) = &mut self.typing {
            typing.on_timeout();
        }
    }

    /// Returns the properties of the peer's terminal.
    #[must_use]
    pub const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Returns `true` if an option is on for the given side.
    #[must_use]
    pub fn is_on(&self, side: Side, option: u8) -> bool {
        self.options.is_on(side, option)
    }

    /// Returns the current encoding of messages for this peer.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        let is_compressed = self.compressor.is_some() || self.compression_rests;
        let is_buffered = is_compressed || !self.negotiates || matches!(self.told, InputMode::Character);
        let path = if is_buffered { TelnetPath::Session } else { TelnetPath::Direct };
        Encoding::Telnet { charset: self.terminal.charset, path }
    }

    /// Returns the requested input mode if the peer has agreed to it, and line mode otherwise.
    #[must_use]
    pub fn mode(&self) -> InputMode {
        if !self.negotiates {
            return self.mode_without_negotiation();
        }
        let shown_by_us = self.options.is_on(Side::Us, option::ECHO) && self.options.is_on(Side::Us, option::SGA);
        if shown_by_us { self.wanted } else { InputMode::Line }
    }

    /// Redraws the input line and returns the bytes to send, if any.
    pub fn replies(&mut self) -> Option<Replies> {
        self.show();
        self.answers()
    }

    /// Returns the bytes to send, if any, without redrawing the line, which more input may change.
    pub(crate) fn answers(&mut self) -> Option<Replies> {
        if self.control.is_empty() && self.output.is_empty() && self.ready.is_empty() {
            return None;
        }
        let mut replies =
            Replies { control: core::mem::take(&mut self.control), output: core::mem::take(&mut self.ready) };
        let mut output = core::mem::take(&mut self.output);
        if self.in_order {
            output.splice(..0, replies.control.drain(..)).for_each(drop);
        }
        if self.compression_rests && !output.is_empty() {
            self.begin_compression(&mut replies.output);
        }
        match &mut self.compressor {
            Some(compressor) if !output.is_empty() => compressor.compress(&output, &mut replies.output),
            _ => replies.output.append(&mut output),
        }
        Some(replies)
    }

    /// Notes that replies were taken at this time. Returns `true` if they were compressed.
    pub(crate) fn took_replies(&mut self, now: Time) -> bool {
        let is_compressed = self.compressor.is_some();
        self.compressed_at = is_compressed.then_some(now);
        is_compressed
    }

    /// Returns when to [end](Self::rest_compression) a compressed stream without output.
    pub(crate) fn compression_rests_at(&self) -> Option<Time> {
        self.compressed_at.map(|at| at + COMPRESSION_RESTS_AFTER)
    }

    /// Ends the compressed stream, which frees about 150 KiB. The next output begins another one.
    pub(crate) fn rest_compression(&mut self) {
        self.compressed_at = None;
        self.compression_rests = self.compressor.is_some();
        self.end_stream();
    }

    /// Queues messages, already in the session's [encoding](Self::encoding), above the input line.
    pub fn render(&mut self, messages: &[u8]) {
        self.take_line_away();
        self.output.extend_from_slice(messages);
        self.put_line_back();
    }

    /// Queues text without a line ending.
    ///
    /// In character mode, its unfinished last line becomes the prompt, which is redrawn in front of
    /// the input until the line is complete. A prompt of more than 1 KiB becomes a line of its own.
    pub fn write(&mut self, payload: Payload<'_>) {
        if self.told != InputMode::Character {
            return encode(payload, self.terminal.charset, &mut self.output);
        }
        let text = String::from_utf8_lossy(payload.as_bytes());
        let lines = text.rfind('\n').map_or(0, |last| last + 1);
        self.take_line_away();
        if lines > 0 {
            encode(Payload::Text(&self.prompt), self.terminal.charset, &mut self.output);
            self.prompt.clear();
            encode(Payload::Text(&text[..lines]), self.terminal.charset, &mut self.output);
        }
        self.extend_prompt(&text[lines..]);
        self.put_line_back();
    }

    /// Queues `text` as a prompt and sets whether the peer's next line is hidden.
    ///
    /// Works like [`write`](Self::write). A peer that speaks telnet also receives EOR (RFC 885) or
    /// GA (RFC 858) at the end. If `hidden`, we claim to echo the next line (RFC 857), but do not.
    pub fn prompt(&mut self, text: &str, hidden: bool) {
        self.set_hidden(hidden);
        if self.told == InputMode::Character {
            self.prompt.clear();
        }
        self.write(Payload::Text(text));
        if self.told != InputMode::Character {
            let last = text.rsplit('\n').next().filter(|last| last.len() <= PROMPT_MAX_BYTES);
            self.prompt = last.unwrap_or_default().into();
        }
        if self.terminal.is_telnet && self.options.is_on(Side::Us, option::EOR) {
            self.output.extend_from_slice(&[IAC, Command::EndOfRecord.byte()]);
        } else if self.terminal.is_telnet && !self.options.is_on(Side::Us, option::SGA) {
            self.output.extend_from_slice(&[IAC, Command::GoAhead.byte()]);
        }
    }

    /// Queues a subnegotiation (RFC 855). Returns `false` if the option is off on both sides.
    pub fn subnegotiate(&mut self, option: u8, content: &[u8]) -> bool {
        let on = self.options.is_on(Side::Us, option) || self.options.is_on(Side::Him, option);
        if on {
            subnegotiation(option, content, &mut self.output);
        }
        on
    }

    /// Returns the keep-alive interval, if keep-alive is on and the peer speaks telnet.
    #[must_use]
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.config.keep_alive.filter(|_| self.terminal.is_telnet)
    }

    /// Queues a keep-alive, `IAC NOP`.
    pub fn keep_alive(&mut self) {
        self.control.extend_from_slice(&[IAC, Command::NoOperation.byte()]);
    }

    /// Returns `true` if the line on the peer's screen is out of date or the bell must ring.
    pub(crate) fn is_stale(&self) -> bool {
        self.typing.as_ref().is_some_and(|typing| typing.is_stale())
    }

    /// Returns `true` if the cost limit is exceeded and the rest of the input waits.
    const fn has_done_enough(&self) -> bool {
        self.spent > SPENT_MAX
    }

    fn has_keys(&self) -> bool {
        self.told != InputMode::Line && self.typing.as_ref().is_some_and(|typing| typing.has_keys())
    }

    /// Appends text to the prompt. If the prompt becomes too long, queues it as a line instead.
    fn extend_prompt(&mut self, text: &str) {
        self.prompt.push_str(text);
        if self.prompt.len() > PROMPT_MAX_BYTES {
            let prompt = core::mem::take(&mut self.prompt) + "\n";
            encode(Payload::Text(&prompt), self.terminal.charset, &mut self.output);
        }
    }
}

impl End for Session {
    fn decoding(&mut self) -> (&mut Parser, &mut Option<Box<Inflater>>, &mut usize) {
        (&mut self.parser, &mut self.inflater, &mut self.spent)
    }

    fn charset(&self) -> (Charset, InvalidUtf8) {
        (self.terminal.charset, self.config.invalid_utf8)
    }

    fn step(
        &mut self,
        data: &[u8],
        buffer: &mut DecodeBuffer,
        max: usize,
        inflating: bool,
    ) -> Result<(usize, Found), DecodeError> {
        let kept = &mut buffer.bytes;
        let mut used = 0;
        loop {
            work::step(1);
            if self.mode() != self.told {
                self.change_mode();
                return Ok((used, Found::Signal(Signal::InputMode(self.told))));
            }
            if self.has_done_enough() {
                return Ok((used, Found::Nothing));
            }
            let rest = &data[used..];
            let is_data = !self.parser.is_partial() && rest.first().is_some_and(|&byte| byte != IAC);
            let has_keys = self.has_keys();
            if self.resized && (is_data || rest.is_empty()) {
                self.resized = false;
                let (columns, rows) = (self.terminal.columns.unwrap_or(0), self.terminal.rows.unwrap_or(0));
                return Ok((used, Found::Signal(Signal::Resized { columns, rows })));
            }
            if is_data || has_keys {
                let (taken, found) = match self.told {
                    InputMode::Line => self.take_line(rest, kept, max)?,
                    InputMode::Character | InputMode::Keys => {
                        self.take_keys(if is_data { rest } else { &[] }, kept, max)
                    }
                };
                match found {
                    Found::Nothing => used += taken,
                    Found::Here(Range { start, end }) => {
                        return Ok((used + taken, Found::Here(used + start..used + end)));
                    }
                    found => return Ok((used + taken, found)),
                }
                continue;
            }
            // Many commands are answered piece by piece, as the peer takes the answers.
            if rest.is_empty() || self.control.len() + self.output.len() > ANSWERS_MAX_BYTES {
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
                Some(Piece::Data(_)) => self.take_escaped(kept, max)?,
                Some(Piece::Command(command)) => self.command(command, kept, max),
                Some(Piece::Negotiation(verb, option)) => self.negotiated(verb, option),
                Some(Piece::Subnegotiation { option, .. }) => {
                    let content = self.parser.take_content();
                    if option == option::MCCP3 && !inflating && self.is_on(Side::Us, option) {
                        self.inflater = Some(Box::new(Inflater::new()));
                        return Ok((used, Found::Nothing));
                    }
                    self.parameters(option, content, kept)
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

//! The server's end of one telnet connection.

mod data;
mod negotiate;
mod parameters;
mod typing;

use super::compress::{Compressor, Inflater};
use super::negotiation::{Options, Side};
use super::parser::{Command, Parser, Piece};
use super::{Charset, IAC, InputMode, Signal, Telnet, Terminal, encode, option, subnegotiation};
use crate::base::{Payload, work};
use crate::wire::Budget;
use crate::wire::{DecodeBuffer, DecodeError, Decoded, Encoding, InvalidUtf8, Item, TelnetPath};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use typing::Typing;

/// A subnegotiation is at most so long, and no longer than a message.
const SUBNEGOTIATION_MAX_BYTES: usize = 16 << 10;
/// After so many bytes of answers nothing more is answered until they are taken.
const ANSWERS_MAX_BYTES: usize = 4 << 10;
/// After so much that costs more than looking at the input does, the rest of it waits for the next call.
const SPENT_MAX: usize = 4 << 10;
/// What a command costs.
const COMMAND_COST: usize = 32;
/// A prompt that must be drawn again is kept up to here.
const PROMPT_MAX_BYTES: usize = 1024;

/// The server's end of one telnet connection: turns bytes into messages and signals, answers what is to be
/// answered, and keeps the peer's screen in order.
///
/// Beside what [`decode`](Self::decode) yields, [`replies`](Self::replies) hands out what is to be sent; it is to
/// be asked after each call of another method.
#[derive(Debug)]
pub struct Session {
    config: Telnet,
    parser: Parser,
    options: Options,
    terminal: Terminal,
    /// How input should arrive.
    wanted: InputMode,
    /// How it does, as far as the application knows.
    told: InputMode,
    /// The next line is not to be seen.
    hidden: bool,
    prompt: String,
    /// The beginning of a line, in line mode.
    partial: Vec<u8>,
    /// The last byte was the CR of a line's end, and an LF or NUL belongs to it.
    after_cr: bool,
    typing: Option<Box<Typing>>,
    /// The window's new size is not told yet.
    resized: bool,
    /// A terminal type was asked for and did not come yet.
    type_asked: bool,
    /// Character sets were offered and none was chosen yet.
    charset_asked: bool,
    /// Options that the application wants, to be asked for once the peer speaks telnet.
    wishes: Vec<(Side, u8)>,
    compressor: Option<Box<Compressor>>,
    /// Output is compressed, or was, and what is queued may still be: nothing may go ahead of it.
    in_order: bool,
    inflater: Option<Box<Inflater>>,
    control: Vec<u8>,
    output: Vec<u8>,
    /// Output that is as it is to be sent, before `output`.
    ready: Vec<u8>,
    /// What `decode` has cost in this call, beside looking at the input: in bytes of plain input that take as long.
    spent: usize,
}

/// What a session wants sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replies {
    /// To be sent before what is queued, between two messages: answers in negotiations.
    pub control: Vec<u8>,
    /// To be sent behind what is queued.
    pub output: Vec<u8>,
}

/// What a step came upon.
enum Found {
    Nothing,
    /// A line, in these bytes of the input.
    Line(Range<usize>),
    /// A line in the character set, put aside.
    Kept,
    /// A line in UTF-8, put aside.
    Typed,
    Signal(Signal<'static>),
    /// A message of GMCP, put aside.
    Gmcp,
    /// The parameters of an option, put aside.
    Subnegotiation(u8),
}

impl Session {
    /// A connection that has just opened. The first replies are the probe.
    #[must_use]
    pub fn new(config: Telnet) -> Self {
        let mut session = Self {
            config,
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

    /// Looks at the front of `input`; see [`wire`](crate::wire).
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] before anything over the limit is kept, [`DecodeError::InvalidUtf8`] by policy,
    /// [`DecodeError::Compression`].
    pub fn decode<'a>(
        &mut self,
        input: &'a mut [u8],
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Decoded<'a>, DecodeError> {
        let max = budget.message_max_bytes.get();
        self.parser.set_max(max.min(SUBNEGOTIATION_MAX_BYTES));
        self.spent = 0;
        let Some(mut inflater) = self.inflater.take() else {
            let (used, found) = self.step(input, &mut buffer.bytes, max, false)?;
            let item = self.item(found, input, buffer, max)?;
            return Ok(Decoded { used, cost: used + self.spent, units: u32::from(item.is_some()), item });
        };
        let (mut used, mut cost) = (0, 0);
        if !inflater.is_ready() {
            (used, cost) = inflater.inflate(input)?;
        }
        let inflated = &inflater.ready[inflater.at..];
        let (looked_at, mut found) = self.step(inflated, &mut buffer.bytes, max, true)?;
        if let Found::Line(range) = found {
            buffer.bytes.clear();
            buffer.bytes.extend_from_slice(&inflated[range]);
            found = Found::Kept;
        }
        inflater.at += looked_at;
        if !inflater.is_over() {
            self.inflater = Some(inflater);
        } else if used == 0 && matches!(found, Found::Nothing) {
            // It was over before this call, but for the word that it is.
            return self.decode(input, buffer, budget);
        }
        let item = self.item(found, &[], buffer, max)?;
        Ok(Decoded { used, cost: cost + self.spent, units: u32::from(item.is_some()), item })
    }

    /// The line that the end of the input completes.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn finish<'a>(
        &mut self,
        buffer: &'a mut DecodeBuffer,
        budget: &Budget,
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        let max = budget.message_max_bytes.get();
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
        match self.item(found, &[], buffer, max)? {
            Some(Item::Message(payload)) => Ok(Some(payload)),
            _ => Ok(None),
        }
    }

    /// Whether a command has begun, or a line that the peer's terminal edits: what the server edits is typed by a
    /// person, who may take any time.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.parser.is_partial() || !self.partial.is_empty()
    }

    /// Whether what is queued may be compressed, so that no part of it can be taken out.
    #[must_use]
    pub const fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Whether there is something to tell without further input.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        let inflated = |inflater: &Inflater| inflater.is_ready() || inflater.has_more();
        self.resized || self.mode() != self.told || self.has_keys() || self.inflater.as_deref().is_some_and(inflated)
    }

    /// How long to wait before [`on_timeout`](Self::on_timeout) is to be called, if nothing arrives.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let waits = self.told == InputMode::Keys && self.typing.as_ref().is_some_and(|typing| typing.is_escape());
        waits.then_some(super::Key::ESCAPE_WAIT)
    }

    /// Nothing arrived for [`wait`](Self::wait): an escape character was the key itself. [`decode`](Self::decode)
    /// has something to tell.
    pub fn on_timeout(&mut self) {
        if let Some(typing) = &mut self.typing {
            typing.on_timeout();
        }
    }

    /// What the peer told of itself.
    #[must_use]
    pub const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Whether an option is on.
    #[must_use]
    pub fn is_on(&self, side: Side, option: u8) -> bool {
        self.options.is_on(side, option)
    }

    /// How messages for this peer are written from now on.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        let is_buffered = self.compressor.is_some() || matches!(self.told, InputMode::Character);
        let path = if is_buffered { TelnetPath::Session } else { TelnetPath::Direct };
        Encoding::Telnet { charset: self.terminal.charset, path }
    }

    /// How what is typed arrives.
    #[must_use]
    pub fn mode(&self) -> InputMode {
        let shown_by_us = self.options.is_on(Side::Us, option::ECHO) && self.options.is_on(Side::Us, option::SGA);
        if shown_by_us { self.wanted } else { InputMode::Line }
    }

    /// What is to be sent, if anything: what the server edits is drawn as it is now.
    pub fn replies(&mut self) -> Option<Replies> {
        self.show();
        self.answers()
    }

    /// What is to be sent of [`replies`](Self::replies) though more input may follow at once: a line that changes with
    /// each key is drawn when all of them were served.
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
        match &mut self.compressor {
            Some(compressor) if !output.is_empty() => compressor.compress(&output, &mut replies.output),
            _ => replies.output.append(&mut output),
        }
        Some(replies)
    }

    /// Messages, written in the [encoding](Self::encoding), are to be sent: with the input line around them.
    pub fn render(&mut self, messages: &[u8]) {
        self.take_line_away();
        self.output.extend_from_slice(messages);
        self.put_line_back();
    }

    /// Sends text without a line's end. Where the server edits, what is behind the last line's end stands before
    /// what is typed, and is drawn anew with it until the next line; beyond 1 KiB it is ended as a
    /// line of its own.
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

    /// Asks for a line: as [`write`](Self::write), and marks the end of the prompt with EOR (RFC 885), or with GA
    /// (RFC 858), for a peer that speaks telnet. With `hidden` the line is not to be seen: the peer's terminal is
    /// told that we show it (RFC 857), and we do not.
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

    /// Appends parameters of an option (RFC 855); false if it is on for neither side.
    pub fn subnegotiate(&mut self, option: u8, content: &[u8]) -> bool {
        let on = self.options.is_on(Side::Us, option) || self.options.is_on(Side::Him, option);
        if on {
            subnegotiation(option, content, &mut self.output);
        }
        on
    }

    /// How often the peer is to be sent a sign of life; `None` if it does not speak telnet.
    #[must_use]
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.config.keep_alive.filter(|_| self.terminal.is_telnet)
    }

    /// Sends a sign of life, `IAC NOP`.
    pub fn keep_alive(&mut self) {
        self.control.extend_from_slice(&[IAC, Command::NoOperation.byte()]);
    }

    /// Whether the line is not on the peer's screen as it should be.
    pub(crate) fn is_stale(&self) -> bool {
        self.typing.as_ref().is_some_and(|typing| typing.is_stale())
    }

    /// Whether the rest of the input is to wait for the next call.
    const fn has_done_enough(&self) -> bool {
        self.spent > SPENT_MAX
    }

    fn has_keys(&self) -> bool {
        self.told != InputMode::Line && self.typing.as_ref().is_some_and(|typing| typing.has_keys())
    }

    /// Text that stands before what is typed, while the line is away; beyond the limit it is a line of its own.
    fn extend_prompt(&mut self, text: &str) {
        self.prompt.push_str(text);
        if self.prompt.len() > PROMPT_MAX_BYTES {
            let prompt = core::mem::take(&mut self.prompt) + "\n";
            encode(Payload::Text(&prompt), self.terminal.charset, &mut self.output);
        }
    }

    /// Looks at the front of `data`, and puts into `kept` what is not whole there.
    fn step(
        &mut self,
        data: &[u8],
        kept: &mut Vec<u8>,
        max: usize,
        inflating: bool,
    ) -> Result<(usize, Found), DecodeError> {
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
                    Found::Line(Range { start, end }) => {
                        return Ok((used + taken, Found::Line(used + start..used + end)));
                    }
                    found => return Ok((used + taken, found)),
                }
                continue;
            }
            // Much to answer is answered piece by piece, as the peer takes the answers.
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
                // What was sent twice; everything else is taken above.
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

    fn item<'a>(
        &self,
        found: Found,
        input: &'a [u8],
        buffer: &'a mut DecodeBuffer,
        max: usize,
    ) -> Result<Option<Item<'a>>, DecodeError> {
        let DecodeBuffer { bytes, text, .. } = buffer;
        let payload = match found {
            Found::Nothing => return Ok(None),
            Found::Signal(signal) => return Ok(Some(Item::Signal(signal))),
            Found::Line(range) => self.text(&input[range], max, text)?,
            Found::Kept => self.text(bytes, max, text)?,
            Found::Typed if self.config.invalid_utf8 == InvalidUtf8::Bytes => Payload::Binary(bytes),
            Found::Typed => Payload::Text(core::str::from_utf8(bytes).unwrap_or_default()),
            Found::Gmcp => {
                let message = core::str::from_utf8(bytes).unwrap_or_default().trim();
                let (package, data) = message.split_once(char::is_whitespace).unwrap_or((message, ""));
                return Ok(Some(Item::Signal(Signal::Gmcp { package, data: data.trim_start() })));
            }
            Found::Subnegotiation(option) => {
                return Ok(Some(Item::Signal(Signal::Subnegotiation { option, content: bytes })));
            }
        };
        Ok(Some(Item::Message(payload)))
    }

    /// A line as a message: text in UTF-8, unless bytes were asked for.
    fn text<'a>(&self, line: &'a [u8], max: usize, text: &'a mut String) -> Result<Payload<'a>, DecodeError> {
        let policy = self.config.invalid_utf8;
        if self.terminal.charset == Charset::Utf8 || policy == InvalidUtf8::Bytes || line.is_ascii() {
            return crate::wire::text(line, policy, max, text);
        }
        if line.len() > max {
            return Err(DecodeError::TooLarge { max });
        }
        let meaningless = line.iter().position(|&byte| self.terminal.charset.decode(byte).is_none());
        if let (Some(valid_up_to), InvalidUtf8::Reject) = (meaningless, policy) {
            return Err(DecodeError::InvalidUtf8 { valid_up_to });
        }
        text.clear();
        self.terminal.charset.decode_all(line, text);
        if text.len() > max { Err(DecodeError::TooLarge { max }) } else { Ok(Payload::Text(text)) }
    }
}

#[cfg(test)]
mod tests;

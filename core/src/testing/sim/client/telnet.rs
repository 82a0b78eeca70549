//! A telnet client (RFC 854) that sends whole lines, or single keys from a screen.

use super::codec::{Codec, shown, text};
use crate::base::Random;
use crate::testing::screen::Screen;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) struct Telnet {
    /// Columns of the screen and maximum line length. `None`: the client sends whole lines.
    typist: Option<(u16, usize)>,
    screen: Screen,
    parser: Parser,
    /// Enabled options of the client.
    ours: BTreeSet<u8>,
    /// Enabled options of the server.
    theirs: BTreeSet<u8>,
    /// Number of unanswered requests, by verb and option.
    asked: BTreeMap<(u8, u8), u32>,
    /// Randomly chosen options that this client refuses.
    lacks: BTreeSet<u8>,
    /// Whether the last data byte was a CR.
    after_cr: bool,
    /// The received part of an incomplete line or character.
    partial: Vec<u8>,
    /// The line that is being typed.
    line: Vec<char>,
    /// Position of the cursor in the line, in characters.
    cursor: usize,
    /// Whether the client sent raw bytes. The content of the line is then unknown.
    unsure: bool,
    /// Number of rows on the screen when the last line was sent.
    rows_before: usize,
}

#[derive(Default)]
enum Parser {
    #[default]
    Data,
    Iac,
    Verb(u8),
    Sub(Vec<u8>),
    SubIac(Vec<u8>),
}

const SE: u8 = 240;
const GA: u8 = 249;
const EOR: u8 = 239;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SGA: u8 = 3;
const STATUS: u8 = 5;
const TTYPE: u8 = 24;
const EOR_OPTION: u8 = 25;
const NAWS: u8 = 31;
const LINEMODE: u8 = 34;
const NEW_ENVIRON: u8 = 39;
const CHARSET: u8 = 42;
/// Options that this client supports on its own side.
const OURS: [u8; 5] = [TTYPE, NAWS, NEW_ENVIRON, SGA, LINEMODE];
/// Options that this client accepts from the server.
const THEIRS: [u8; 4] = [ECHO, SGA, EOR_OPTION, CHARSET];
/// Sequence that moves the cursor to the first column and erases all after it (ECMA-48).
const ERASE: &[u8] = b"\r\x1b[J";
const SUB_MAX_BYTES: usize = 64 << 10;

impl Telnet {
    pub(super) fn new(typist: Option<(u16, usize)>) -> Self {
        Self {
            typist,
            screen: Screen::new(typist.map_or(80, |(columns, _)| columns)),
            parser: Parser::Data,
            ours: BTreeSet::new(),
            theirs: BTreeSet::new(),
            asked: BTreeMap::new(),
            lacks: BTreeSet::new(),
            after_cr: false,
            partial: Vec::new(),
            line: Vec::new(),
            cursor: 0,
            unsure: false,
            rows_before: 1,
        }
    }

    /// Returns `true` if the server echoes typed characters.
    fn is_shown(&self) -> bool {
        self.theirs.contains(&ECHO) && self.theirs.contains(&SGA)
    }

    fn command(&mut self, verb: u8, option: u8, out: &mut Vec<u8>) {
        // An answer to our request gets no answer (RFC 1143).
        let positive = matches!(verb, WILL | DO);
        let ask = if matches!(verb, WILL | WONT) { DO } else { WILL };
        let answers = self.asked.get_mut(&(ask, option)).filter(|count| **count > 0).is_some_and(|count| {
            *count -= 1;
            true
        });
        let (on, can) = match ask {
            DO => (&mut self.theirs, THEIRS.contains(&option)),
            _ => (&mut self.ours, OURS.contains(&option)),
        };
        let is_on = on.contains(&option);
        let agrees = positive && can && !self.lacks.contains(&option);
        if positive && !is_on && (agrees || answers) {
            on.insert(option);
            if !answers {
                out.extend_from_slice(&[IAC, ask, option]);
            }
            if (ask, option) == (WILL, NAWS) {
                self.tell_size(out);
            }
        } else if positive && !is_on {
            out.extend_from_slice(&[IAC, ask + 1, option]);
        } else if !positive && is_on {
            on.remove(&option);
            out.extend_from_slice(&[IAC, ask + 1, option]);
        }
    }

    fn tell_size(&self, out: &mut Vec<u8>) {
        let columns = self.typist.map_or(80, |(columns, _)| columns);
        let size = [columns.to_be_bytes(), 24_u16.to_be_bytes()].concat();
        Self::sub(NAWS, &size, out);
    }

    fn sub(option: u8, content: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[IAC, SB, option]);
        for &byte in content {
            out.extend_from_slice(if byte == IAC { &[IAC, IAC] } else { core::slice::from_ref(&byte) });
        }
        out.extend_from_slice(&[IAC, SE]);
    }

    fn parameters(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match content {
            [TTYPE, 1] if self.ours.contains(&TTYPE) => Self::sub(TTYPE, b"\0XTERM", out),
            [NEW_ENVIRON, 1, ..] if self.ours.contains(&NEW_ENVIRON) => {
                Self::sub(NEW_ENVIRON, b"\0\0USER\x01somebody", out);
            }
            [CHARSET, 1, separator, names @ ..] => {
                let offered = names.split(|byte| byte == separator).any(|name| name.eq_ignore_ascii_case(b"utf-8"));
                if !offered {
                    return Err(format!("a CHARSET request without UTF-8: {}", shown(content)));
                }
                Self::sub(CHARSET, b"\x02UTF-8", out);
            }
            [TTYPE | NEW_ENVIRON, ..] if !self.unsure => {
                return Err(format!("parameters of an option that is off: {}", shown(content)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles one data byte.
    fn data(&mut self, byte: u8, heard: &mut Vec<String>) -> Result<(), String> {
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        match (after_cr, byte) {
            (true, b'\n') => {
                if self.typist.is_none() {
                    let line = core::mem::take(&mut self.partial);
                    heard.push(text(last_drawn(&line)));
                }
                self.show("\r\n")
            }
            (true, 0) => {
                if self.typist.is_none() {
                    self.partial.push(b'\r');
                }
                self.show("\r")
            }
            (true, _) => Err(format!("a CR followed by {byte:#x}, not by LF or NUL (RFC 854)")),
            (false, b'\n') => Err("an LF without a CR (RFC 854)".to_string()),
            (false, b'\r') => Ok(()),
            (false, byte) => {
                self.partial.push(byte);
                if self.typist.is_some() {
                    return self.show_text();
                }
                Ok(())
            }
        }
    }

    /// Shows the received text once its UTF-8 is complete.
    fn show_text(&mut self) -> Result<(), String> {
        match core::str::from_utf8(&self.partial) {
            Ok(text) => {
                let text = text.to_string();
                self.partial.clear();
                self.show(&text)
            }
            Err(error) if error.error_len().is_some() => Err(format!("invalid UTF-8: {}", shown(&self.partial))),
            Err(_) => Ok(()),
        }
    }

    fn show(&mut self, text: &str) -> Result<(), String> {
        if self.typist.is_some() { text.chars().try_for_each(|c| self.screen.put(c)) } else { Ok(()) }
    }

    /// Sends a key, and applies it to the reference model of the line.
    fn press(&mut self, key: Key, out: &mut Vec<u8>) {
        let max = self.typist.map_or(0, |(_, max)| max);
        match key {
            Key::Char(c) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if self.line.len() < max {
                    self.line.insert(self.cursor, c);
                    self.cursor += 1;
                }
            }
            Key::Backspace => {
                out.push(0x7f);
                if self.cursor > 0 {
                    self.cursor -= 1;
                    self.line.remove(self.cursor);
                }
            }
            Key::Left => {
                out.extend_from_slice(b"\x1b[D");
                self.cursor = self.cursor.saturating_sub(1);
            }
            Key::Right => {
                out.extend_from_slice(b"\x1b[C");
                self.cursor = (self.cursor + 1).min(self.line.len());
            }
            Key::Home => {
                out.push(1);
                self.cursor = 0;
            }
            Key::End => {
                out.push(5);
                self.cursor = self.line.len();
            }
            Key::EraseBefore => {
                out.push(21);
                self.line.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::EraseBehind => {
                out.push(11);
                self.line.truncate(self.cursor);
            }
            Key::Clear => out.push(12),
        }
    }

    /// Types random keys that mostly cancel each other out.
    fn detour(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        match random.below(8) {
            0 => {
                self.press(Key::Left, out);
                self.press(Key::Right, out);
                self.press(Key::End, out);
            }
            1 => {
                self.press(Key::Home, out);
                self.press(Key::End, out);
            }
            2 => self.press(Key::Clear, out),
            3 => {
                self.press(Key::Home, out);
                self.press(Key::EraseBefore, out);
                self.press(Key::End, out);
            }
            4 => self.press(Key::EraseBehind, out),
            _ if self.line.len() + 1 < self.typist.map_or(0, |(_, max)| max) => {
                self.press(Key::Char('#'), out);
                self.press(Key::Backspace, out);
            }
            _ => {}
        }
    }
}

/// Returns the part of a line after its last erasure.
///
/// Text before it, such as a prompt, is not visible.
fn last_drawn(line: &[u8]) -> &[u8] {
    let behind = |place: usize| place + ERASE.len();
    let erased = line.windows(ERASE.len()).rposition(|bytes| bytes == ERASE);
    &line[erased.map_or(0, behind)..]
}

#[derive(Clone, Copy)]
enum Key {
    Char(char),
    Backspace,
    Left,
    Right,
    Home,
    End,
    EraseBefore,
    EraseBehind,
    Clear,
}

impl Codec for Telnet {
    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        *self = Self::new(self.typist);
        let lacks = if self.typist.is_some() { 12 } else { 3 };
        let known = OURS.into_iter().chain(THEIRS);
        self.lacks = known.filter(|_| random.below(lacks) == 0).collect();
        if self.typist.is_some() && random.below(2) == 0 {
            for (verb, option) in [(WILL, NAWS), (DO, SGA)] {
                if !self.lacks.contains(&option) {
                    out.extend_from_slice(&[IAC, verb, option]);
                    *self.asked.entry((verb, option)).or_default() += 1;
                }
            }
        }
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        self.rows_before = self.screen.row_count();
        if self.typist.is_none() || !self.is_shown() {
            // What was typed before the server stopped echoing is a part of this line.
            out.extend_from_slice(message.as_bytes());
            out.extend_from_slice(b"\r\n");
            // Local echo within a line that is still arriving would split that line.
            if self.typist.is_some() && self.screen.is_at_line_start() {
                let _ = self.show(message).and_then(|()| self.show("\r\n"));
            }
            return;
        }
        self.press(Key::Home, out);
        self.press(Key::EraseBehind, out);
        let message: Vec<char> = message.chars().collect();
        for (typed, &c) in message.iter().enumerate() {
            if random.below(12) == 0 {
                self.detour(random, out);
                if self.line != message[..typed] || self.cursor != typed {
                    self.press(Key::Home, out);
                    self.press(Key::EraseBehind, out);
                    message[..typed].iter().for_each(|&c| self.press(Key::Char(c), out));
                }
            }
            self.press(Key::Char(c), out);
        }
        out.extend_from_slice(if random.below(2) == 0 { b"\r\0" } else { b"\r\n" });
        self.line.clear();
        self.cursor = 0;
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.unsure = true;
        out.extend_from_slice(bytes);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if self.typist.is_some() && self.is_shown() && random.below(4) > 0 {
            return match random.below(10) {
                0 => self.press(Key::Left, out),
                1 => self.press(Key::Home, out),
                2 => self.press(Key::Backspace, out),
                3 => self.press(Key::Clear, out),
                4 => self.press(Key::EraseBehind, out),
                n => {
                    let c = char::from(b'a' + u8::try_from(random.below(26)).unwrap_or(0));
                    (0..n).for_each(|_| self.press(Key::Char(c), out));
                }
            };
        }
        match random.below(6) {
            0 => out.extend_from_slice(&[IAC, 246]),
            1 => out.extend_from_slice(&[IAC, 241]),
            2 if self.ours.contains(&NAWS) => self.tell_size(out),
            3 => {
                out.extend_from_slice(&[IAC, DO, STATUS]);
                *self.asked.entry((DO, STATUS)).or_default() += 1;
            }
            4 => {
                out.extend_from_slice(&[IAC, DO, BINARY]);
                *self.asked.entry((DO, BINARY)).or_default() += 1;
            }
            _ => out.extend_from_slice(&[IAC, DO, 200]),
        }
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        for &byte in bytes {
            self.parser = match (core::mem::take(&mut self.parser), byte) {
                (Parser::Data, IAC) => Parser::Iac,
                (Parser::Data, byte) => {
                    self.data(byte, heard)?;
                    Parser::Data
                }
                (Parser::Iac, IAC) => {
                    self.data(IAC, heard)?;
                    Parser::Data
                }
                (Parser::Iac, verb @ WILL..=DONT) => Parser::Verb(verb),
                (Parser::Iac, SB) => Parser::Sub(Vec::new()),
                (Parser::Iac, GA | EOR) => {
                    // The text before GA or EOR is a prompt.
                    self.partial.clear();
                    Parser::Data
                }
                (Parser::Iac, 241..=248) => Parser::Data,
                (Parser::Iac, byte) => return Err(format!("an unknown command: {byte}")),
                (Parser::Verb(verb), option) => {
                    self.command(verb, option, out);
                    Parser::Data
                }
                (Parser::Sub(content), IAC) => Parser::SubIac(content),
                (Parser::Sub(content), _) if content.len() > SUB_MAX_BYTES => {
                    return Err("a subnegotiation without an end".to_string());
                }
                (Parser::Sub(mut content), byte) => {
                    content.push(byte);
                    Parser::Sub(content)
                }
                (Parser::SubIac(mut content), IAC) => {
                    content.push(IAC);
                    Parser::Sub(content)
                }
                (Parser::SubIac(content), SE) => {
                    self.parameters(&content, out)?;
                    Parser::Data
                }
                (Parser::SubIac(content), byte) => {
                    return Err(format!("IAC {byte} within a subnegotiation: {}", shown(&content)));
                }
            };
        }
        Ok(())
    }

    fn finished(&mut self, _: &mut Vec<String>) -> Result<(), String> {
        match self.parser {
            Parser::Data if !self.after_cr => Ok(()),
            _ => Err("the connection ends within a command".to_string()),
        }
    }

    fn over(&mut self, heard: &mut Vec<String>) {
        if self.typist.is_some() {
            *heard = self.screen.lines();
        }
    }

    fn unfinished(&self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.line.iter().collect())
    }

    fn rested(&mut self) -> Result<(), String> {
        if self.typist.is_none() || self.unsure || !self.is_shown() {
            return Ok(());
        }
        let (before, after) = self.line.split_at(self.cursor);
        let (before, after): (String, String) = (before.iter().collect(), after.iter().collect());
        // A password prompt hides what is typed next. Only a server that edits the line redraws it.
        let is_hidden = self.screen.has_shown("password: ", self.rows_before - 1);
        if self.screen.shows(&before, &after) || is_hidden && self.screen.shows("", "") {
            return Ok(());
        }
        Err(format!("the screen should show {before:?}, the cursor and {after:?}, and shows {}", self.screen.around()))
    }
}

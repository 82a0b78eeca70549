//! What a person types, key by key.

use super::{Found, Session};
use crate::Payload;
use crate::telnet::charset::CharDecoder;
use crate::telnet::editor::{Edited, Editor};
use crate::telnet::key::KeyParser;
use crate::telnet::screen::{Screen, View};
use crate::telnet::{Charset, IAC, InputMode, Key, Signal, encode};
use crate::work;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest line that is edited here: each change costs its drawing.
const EDITED_MAX_BYTES: usize = 4 << 10;
const BELL: u8 = 7;
/// As wide as terminals are that do not say.
const COLUMNS: u16 = 80;

/// Where keys go once a peer leaves editing to us.
#[derive(Debug, Default)]
pub(super) struct Typing {
    chars: CharDecoder,
    parser: KeyParser,
    /// Keys that are not served yet; one byte may complete several.
    keys: VecDeque<Key>,
    pub(super) editor: Editor,
    screen: Screen,
    stale: Stale,
}

/// What of the line is not on the peer's screen as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stale {
    #[default]
    Nothing,
    /// What was typed at the end, from this byte on.
    From(usize),
    Everything,
}

impl Typing {
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// What was typed and not served, as text: what is left of the line, and of characters that are incomplete.
    fn leftover(&mut self) -> (String, CharDecoder) {
        let mut text = self.editor.take(false);
        text.extend(self.keys.drain(..).filter_map(|key| if let Key::Char(c) = key { Some(c) } else { None }));
        self.parser = KeyParser::default();
        (text, core::mem::take(&mut self.chars))
    }

    pub(super) fn is_escape(&self) -> bool {
        self.keys.is_empty() && self.parser.is_escape()
    }

    pub(super) fn waited(&mut self) {
        if self.parser.is_escape() {
            self.parser = KeyParser::default();
            self.keys.push_back(Key::Escape);
        }
    }

    fn push(&mut self, byte: u8, charset: Charset) {
        let Self { chars, parser, keys, .. } = self;
        chars.push(byte, charset, |c| parser.push(c, |key| keys.push_back(key)));
    }
}

impl Session {
    /// Whether keys are ours to deal with.
    pub(super) fn types_here(&self) -> bool {
        self.told != InputMode::Line
    }

    /// Takes keys from the front of `rest`, as far as the first command or what is to be told.
    pub(super) fn take_keys(&mut self, rest: &[u8], kept: &mut Vec<u8>, max: usize) -> (usize, Found) {
        let mut used = 0;
        loop {
            let found = self.press_all(kept, max);
            if !matches!(found, Found::Nothing) {
                return (used, found);
            }
            match rest.get(used) {
                Some(&byte) if byte != IAC => self.type_byte(byte),
                _ => break,
            }
            used += 1;
        }
        self.show();
        (used, Found::Nothing)
    }

    /// A byte that did not come as data of its own.
    pub(super) fn take_key(&mut self, byte: u8, kept: &mut Vec<u8>, max: usize) -> Found {
        self.type_byte(byte);
        let found = self.press_all(kept, max);
        self.show();
        found
    }

    fn type_byte(&mut self, byte: u8) {
        work::step(1);
        let belongs_to_cr = core::mem::replace(&mut self.after_cr, byte == b'\r') && matches!(byte, b'\n' | 0);
        if let Some(typing) = self.typing.as_mut().filter(|_| !belongs_to_cr) {
            typing.push(byte, self.terminal.charset);
        }
    }

    fn press_all(&mut self, kept: &mut Vec<u8>, max: usize) -> Found {
        while let Some(key) = self.typing.as_mut().and_then(|typing| typing.keys.pop_front()) {
            let found = match self.told {
                InputMode::Keys => Found::Signal(Signal::Key(key)),
                _ => self.press(key, kept, max),
            };
            if !matches!(found, Found::Nothing) {
                return found;
            }
        }
        Found::Nothing
    }

    /// A key in character mode.
    fn press(&mut self, key: Key, kept: &mut Vec<u8>, max: usize) -> Found {
        let Some(typing) = &mut self.typing else { return Found::Nothing };
        let end = typing.editor.before().len();
        // As a terminal of Unix does, which has the same limit.
        work::step(1);
        let Ok(edited) = typing.editor.key(key, max.min(EDITED_MAX_BYTES)) else {
            self.output.push(BELL);
            return Found::Nothing;
        };
        match edited {
            Edited::Nothing => {}
            Edited::Appended if typing.stale == Stale::Nothing => typing.stale = Stale::From(end),
            Edited::Appended if typing.stale != Stale::Everything => {}
            Edited::Appended | Edited::Changed => typing.stale = Stale::Everything,
            Edited::Cleared => {
                self.take_line_away();
                self.output.extend_from_slice(b"\x1b[H\x1b[2J");
                self.put_line_back();
            }
            Edited::EndOfFile => return Found::Signal(Signal::EndOfFile),
            Edited::Interrupted => {
                self.interrupt();
                return Found::Signal(Signal::InterruptProcess);
            }
            Edited::Entered => {
                self.show();
                self.leave_line("");
                self.prompt.clear();
                let remembered = !core::mem::take(&mut self.hidden);
                if let Some(typing) = &mut self.typing {
                    *kept = typing.editor.take(remembered).into_bytes();
                }
                return Found::Typed;
            }
        }
        Found::Nothing
    }

    /// What was typed so far is void.
    pub(super) fn interrupt(&mut self) {
        self.partial.clear();
        if self.told == InputMode::Character {
            self.show();
            self.leave_line("^C");
            if let Some(typing) = &mut self.typing {
                typing.editor.clear();
            }
            self.put_line_back();
        }
    }

    /// Empties the line.
    pub(super) fn erase_line(&mut self) {
        self.partial.clear();
        if let Some(typing) = &mut self.typing {
            typing.editor.clear();
            typing.stale = Stale::Everything;
        }
        self.show();
    }

    /// What is typed arrives in another way from now on.
    pub(super) fn change_mode(&mut self) {
        let mode = self.mode();
        let before = core::mem::replace(&mut self.told, mode);
        match self.told {
            InputMode::Line => {
                self.leave_line_drawn(before);
                if let Some(typing) = &mut self.typing {
                    let (text, begun) = typing.leftover();
                    self.terminal.charset.encode(&text, &mut self.partial);
                    self.partial.extend_from_slice(begun.begun());
                }
            }
            InputMode::Keys => {
                self.leave_line_drawn(before);
                let begun = core::mem::take(&mut self.partial);
                let charset = self.terminal.charset;
                let typing = self.typing.get_or_insert_default();
                // A line that was begun is keys that were pressed.
                let text = typing.editor.take(false);
                typing.keys.extend(text.chars().map(Key::Char));
                begun.iter().for_each(|&byte| typing.push(byte, charset));
            }
            InputMode::Character => {
                let begun = core::mem::take(&mut self.partial);
                let (charset, has_prompt) = (self.terminal.charset, !self.prompt.is_empty());
                let typing = self.typing.get_or_insert_default();
                begun.iter().for_each(|&byte| typing.push(byte, charset));
                if has_prompt {
                    typing.screen.assume_drawn();
                    typing.stale = Stale::Everything;
                }
                self.show();
            }
        }
    }

    fn leave_line_drawn(&mut self, before: InputMode) {
        let drawn = self.typing.as_ref().is_some_and(|typing| typing.screen.is_drawn());
        if before == InputMode::Character && drawn {
            self.leave_line("");
        }
    }

    /// Brings the line on the peer's screen up to date.
    pub(super) fn show(&mut self) {
        let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) else { return };
        let mut out = String::new();
        let stale = core::mem::take(&mut typing.stale);
        let Typing { editor, screen, .. } = &mut **typing;
        let hidden = self.hidden;
        let view = View {
            prompt: &self.prompt,
            line: (!hidden).then_some(&*editor),
            columns: self.terminal.columns.unwrap_or(COLUMNS),
            dumb: self.terminal.is_dumb(),
        };
        match stale {
            Stale::Nothing => return,
            Stale::From(_) | Stale::Everything if hidden && screen.is_drawn() => return,
            Stale::From(from) if screen.is_drawn() => screen.append(view, from, &mut out),
            _ => screen.draw(view, &mut out),
        }
        encode(Payload::Text(&out), self.terminal.charset, &mut self.output);
    }

    /// Makes room for messages where the line is.
    pub(super) fn take_line_away(&mut self) {
        let dumb = self.terminal.is_dumb();
        let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) else { return };
        let mut out = String::new();
        typing.screen.erase(dumb, &mut out);
        encode(Payload::Text(&out), self.terminal.charset, &mut self.output);
    }

    /// Draws the line again, if there is anything to see.
    pub(super) fn put_line_back(&mut self) {
        let has_prompt = !self.prompt.is_empty();
        let Some(typing) = &mut self.typing else { return };
        if has_prompt || !typing.editor.is_empty() && !self.hidden {
            typing.stale = Stale::Everything;
            self.show();
        }
    }

    fn leave_line(&mut self, words: &str) {
        let Some(typing) = &mut self.typing else { return };
        let mut out = String::new();
        let view = View {
            prompt: &self.prompt,
            line: (!self.hidden).then_some(&typing.editor),
            columns: self.terminal.columns.unwrap_or(COLUMNS),
            dumb: self.terminal.is_dumb(),
        };
        typing.screen.leave(view, words, &mut out);
        encode(Payload::Text(&out), self.terminal.charset, &mut self.output);
    }
}

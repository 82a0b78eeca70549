//! Handling of input that arrives key by key, in character and keys mode.

use super::Session;
use super::typing::{Early, Stale, Typing};
use crate::base::Payload;
use crate::base::work;
use crate::wire::telnet::editor::Edited;
use crate::wire::telnet::end::Found;
use crate::wire::telnet::screen::{Screen, View};
use crate::wire::telnet::{IAC, InputMode, Key, Signal, encode};
use alloc::string::String;
use alloc::vec::Vec;

/// Longest line that the server edits, in bytes. It bounds the cost of redrawing.
const EDITED_MAX_BYTES: usize = 4 << 10;
/// The bell character (BEL).
const BELL: u8 = 7;
/// Assumed width, in columns, of a terminal that has not reported one.
const COLUMNS: u16 = 80;

impl Session {
    /// Returns `true` if the server handles single keys, in character or keys mode.
    pub(super) fn types_here(&self) -> bool {
        self.told != InputMode::Line
    }

    /// Handles pending input and then `rest`, up to a command, a complete item or the cost limit.
    pub(super) fn take_keys(&mut self, rest: &[u8], kept: &mut Vec<u8>, max: usize) -> (usize, Found) {
        let mut used = 0;
        loop {
            let found = self.press_all(kept, max);
            if !matches!(found, Found::Nothing) || self.has_done_enough() {
                return (used, found);
            }
            if let Some(byte) = self.typing.as_mut().and_then(|typing| typing.early.next()) {
                self.type_byte(byte);
                continue;
            }
            match rest.get(used) {
                Some(&byte) if byte != IAC => self.type_byte(byte),
                _ => return (used, Found::Nothing),
            }
            used += 1;
        }
    }

    /// Handles an input byte that arrived as a doubled IAC or as an erase command.
    pub(super) fn take_key(&mut self, byte: u8, kept: &mut Vec<u8>, max: usize) -> Found {
        self.type_byte(byte);
        self.press_all(kept, max)
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

    /// Handles a key in character mode.
    fn press(&mut self, key: Key, kept: &mut Vec<u8>, max: usize) -> Found {
        let Some(typing) = &mut self.typing else { return Found::Nothing };
        let end = typing.editor.before().len();
        // A Unix terminal has the same limit, and rings its bell, too.
        let max = max.min(EDITED_MAX_BYTES);
        self.spent += typing.editor.cost(key, max);
        work::step(1);
        let Ok(edited) = typing.editor.key(key, max) else {
            typing.bell = true;
            return Found::Nothing;
        };
        match edited {
            Edited::Appended if typing.stale == Stale::Nothing => typing.stale = Stale::From(end),
            Edited::Nothing | Edited::Appended => {}
            Edited::Changed => self.redraw(Stale::Everything),
            Edited::Cleared => self.redraw(Stale::Screen),
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

    /// Marks the line for redrawing because of the peer's input, and adds the cost to `spent`.
    pub(super) fn redraw(&mut self, stale: Stale) {
        let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) else { return };
        if matches!(typing.stale, Stale::Nothing | Stale::From(_)) {
            self.spent += self.prompt.len() + typing.editor.drawing_cost();
            typing.stale = Stale::Everything;
        }
        if stale == Stale::Screen {
            typing.stale = Stale::Screen;
        }
    }

    /// Discards the unfinished line. In character mode, shows `^C` after it.
    pub(super) fn interrupt(&mut self) {
        self.partial.clear();
        if self.told == InputMode::Character {
            self.show();
            self.leave_line("^C");
            if let Some(typing) = &mut self.typing {
                typing.editor.clear();
            }
            if !self.prompt.is_empty() {
                self.redraw(Stale::Everything);
            }
        }
    }

    /// Empties the unfinished line. In character mode, marks it for redrawing.
    pub(super) fn erase_line(&mut self) {
        self.partial.clear();
        if let Some(typing) = &mut self.typing {
            typing.editor.clear();
            self.redraw(Stale::Everything);
        }
    }

    /// Applies the input mode that was negotiated with the peer.
    pub(super) fn change_mode(&mut self) {
        // Changes that are not drawn yet would be lost.
        self.show();
        let mode = self.mode();
        let before = core::mem::replace(&mut self.told, mode);
        let charset = self.terminal.charset;
        self.spent += self.partial.len();
        if self.told != InputMode::Character {
            self.leave_line_drawn(before);
        }
        if self.told == InputMode::Line {
            let leftover = self.typing.as_mut().map(|typing| typing.take_leftover(charset)).unwrap_or_default();
            self.spent += leftover.len();
            self.partial.extend_from_slice(&leftover);
            return;
        }
        let (begun, has_prompt) = (core::mem::take(&mut self.partial), !self.prompt.is_empty());
        let typing = self.typing.get_or_insert_default();
        if !begun.is_empty() {
            typing.early = Early { bytes: begun, at: 0 };
        }
        if self.told == InputMode::Keys {
            // An unfinished line becomes keys.
            let text = typing.editor.take(false);
            self.spent += text.len();
            typing.keys.extend(text.chars().map(Key::Char));
            typing.stale = Stale::Nothing;
        } else if has_prompt {
            typing.screen.assume_drawn();
            self.redraw(Stale::Everything);
        }
    }

    fn leave_line_drawn(&mut self, before: InputMode) {
        let drawn = self.typing.as_ref().is_some_and(|typing| typing.screen.is_drawn());
        if before == InputMode::Character && drawn {
            self.leave_line("");
        }
    }

    /// Queues output that updates the line on the peer's screen, and the bell if it must ring.
    pub(super) fn show(&mut self) {
        let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) else { return };
        let mut out = String::new();
        let stale = core::mem::take(&mut typing.stale);
        let bell = core::mem::take(&mut typing.bell);
        let Typing { editor, screen, .. } = &mut **typing;
        let hidden = self.hidden;
        let is_seen = !self.prompt.is_empty() || !editor.is_empty() && !hidden;
        let view = View {
            prompt: &self.prompt,
            line: (!hidden).then_some(&*editor),
            columns: self.terminal.columns.unwrap_or(COLUMNS),
            dumb: self.terminal.is_dumb(),
        };
        match stale {
            Stale::Nothing => {}
            Stale::From(_) | Stale::Everything if hidden && screen.is_drawn() => {}
            Stale::From(from) if screen.is_drawn() => screen.append(view, from, &mut out),
            Stale::From(_) | Stale::Everything => screen.draw(view, &mut out),
            Stale::Screen => {
                clear_screen(screen, view.dumb, &mut out);
                if is_seen {
                    screen.draw(view, &mut out);
                }
            }
        }
        encode(Payload::Text(&out), self.terminal.charset, &mut self.output);
        self.output.extend(bell.then_some(BELL));
    }

    /// Erases the line from the peer's screen, to make room for messages.
    pub(super) fn take_line_away(&mut self) {
        let dumb = self.terminal.is_dumb();
        let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) else { return };
        let mut out = String::new();
        if typing.stale == Stale::Screen {
            clear_screen(&mut typing.screen, dumb, &mut out);
            typing.stale = Stale::Everything;
        } else {
            typing.screen.erase(dumb, &mut out);
        }
        encode(Payload::Text(&out), self.terminal.charset, &mut self.output);
    }

    /// Marks the line for redrawing, if any of it is visible.
    pub(super) fn put_line_back(&mut self) {
        let is_seen = self.is_line_seen();
        if let Some(typing) = self.typing.as_mut().filter(|_| self.told == InputMode::Character) {
            typing.stale = if is_seen { Stale::Everything } else { Stale::Nothing };
        }
    }

    pub(super) fn is_line_seen(&self) -> bool {
        let is_typed = self.typing.as_ref().is_some_and(|typing| !typing.editor.is_empty());
        !self.prompt.is_empty() || is_typed && !self.hidden
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

/// Clears the screen. On a dumb terminal, which understands no control sequence, starts a new row.
fn clear_screen(screen: &mut Screen, dumb: bool, out: &mut String) {
    screen.erase(dumb, out);
    if !dumb {
        out.push_str("\x1b[H\x1b[2J");
    }
}

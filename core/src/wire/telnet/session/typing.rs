//! State of input that arrives key by key, in character and keys mode.

use crate::wire::telnet::charset::CharDecoder;
use crate::wire::telnet::editor::Editor;
use crate::wire::telnet::key::KeyParser;
use crate::wire::telnet::screen::Screen;
use crate::wire::telnet::{Charset, Key};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Input state of a session in character or keys mode.
#[derive(Debug, Default)]
pub(super) struct Typing {
    pub(super) chars: CharDecoder,
    pub(super) parser: KeyParser,
    /// Keys that are not handled yet; one byte may complete several keys.
    pub(super) keys: VecDeque<Key>,
    /// Start of a line that arrived in line mode; it precedes further input.
    pub(super) early: Early,
    pub(super) editor: Editor,
    pub(super) screen: Screen,
    pub(super) stale: Stale,
    /// Whether a key was rejected, so that the terminal should ring its bell.
    pub(super) bell: bool,
}

/// The part of the line on the peer's screen that is out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stale {
    #[default]
    Nothing,
    /// Text that was added at the end of the line, from this byte on.
    From(usize),
    Everything,
    /// The whole line; the screen must be cleared before the line is drawn.
    Screen,
}

/// Input from line mode that the key parser takes byte by byte.
#[derive(Debug, Default)]
pub(super) struct Early {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
}

impl Early {
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        match byte {
            Some(_) => self.at += 1,
            None => *self = Self::default(),
        }
        byte
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

impl Typing {
    /// Returns `true` if keys, or bytes from line mode, can be handled without further input.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty() || !self.early.rest().is_empty()
    }

    /// Takes the line and unhandled input, encoded in `charset`. Drops keys other than characters.
    pub(super) fn take_leftover(&mut self, charset: Charset) -> Vec<u8> {
        let mut text = self.editor.take(false);
        text.extend(self.keys.drain(..).filter_map(|key| if let Key::Char(c) = key { Some(c) } else { None }));
        let mut bytes = Vec::new();
        charset.encode(&text, &mut bytes);
        bytes.extend_from_slice(core::mem::take(&mut self.chars).begun());
        bytes.extend_from_slice(core::mem::take(&mut self.early).rest());
        self.parser = KeyParser::default();
        bytes
    }

    pub(super) fn is_escape(&self) -> bool {
        self.keys.is_empty() && self.parser.is_escape()
    }

    pub(super) fn on_timeout(&mut self) {
        if self.parser.is_escape() {
            self.parser = KeyParser::default();
            self.keys.push_back(Key::Escape);
        }
    }

    /// Returns `true` if the peer's screen is out of date or its bell must ring.
    pub(super) fn is_stale(&self) -> bool {
        self.stale != Stale::Nothing || self.bell
    }

    pub(super) fn push(&mut self, byte: u8, charset: Charset) {
        let Self { chars, parser, keys, .. } = self;
        chars.push(byte, charset, |c| parser.push(c, |key| keys.push_back(key)));
    }
}

use super::charset::CharDecoder;
use super::key::KeyParser;
use super::{Charset, Key};
use crate::base::work;
use alloc::collections::VecDeque;
use core::time::Duration;

/// Decoder of keys from the UTF-8 bytes that a terminal sends, without telnet.
#[derive(Debug, Default)]
pub(crate) struct KeyDecoder {
    chars: CharDecoder,
    parser: KeyParser,
    /// Complete keys that are not yielded yet; one byte may complete several keys.
    ready: VecDeque<Key>,
    after_cr: bool,
}

impl KeyDecoder {
    /// Decodes the next key. Returns the number of bytes used, and the key if it is complete.
    pub(crate) fn next(&mut self, input: &[u8]) -> (usize, Option<Key>) {
        let mut used = 0;
        loop {
            if let Some(key) = self.ready.pop_front() {
                return (used, Some(key));
            }
            let Some(&byte) = input.get(used) else { return (used, None) };
            self.push(byte);
            used += 1;
        }
    }

    fn push(&mut self, byte: u8) {
        work::step(1);
        // Terminals send CR, CR LF or CR NUL for the Enter key.
        let belongs_to_cr = core::mem::replace(&mut self.after_cr, byte == b'\r') && matches!(byte, b'\n' | 0);
        let Self { chars, parser, ready, .. } = self;
        if !belongs_to_cr {
            chars.push(byte, Charset::Utf8, |c| parser.push(c, |key| ready.push_back(key)));
        }
    }

    pub(crate) fn is_ahead(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(crate) fn wait(&self) -> Option<Duration> {
        (self.ready.is_empty() && self.parser.is_escape()).then_some(Key::ESCAPE_WAIT)
    }

    pub(crate) fn on_timeout(&mut self) {
        if self.parser.is_escape() {
            self.parser = KeyParser::default();
            self.ready.push_back(Key::Escape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn keys_do_not_depend_on_the_split() {
        let typed = "hé\r\n\r\0\u{1b}[A\u{1b}x\u{1b}\r\u{3}\n".as_bytes();
        let expected = vec![
            Key::Char('h'),
            Key::Char('é'),
            Key::Enter,
            Key::Enter,
            Key::Up,
            Key::Alt('x'),
            Key::Escape,
            Key::Enter,
            Key::Ctrl('c'),
            Key::Enter,
        ];
        for piece in 1..=typed.len() {
            let (mut decoder, mut keys) = (KeyDecoder::default(), Vec::new());
            for input in typed.chunks(piece) {
                let mut at = 0;
                while at < input.len() || decoder.is_ahead() {
                    let (used, key) = decoder.next(&input[at..]);
                    at += used;
                    keys.extend(key);
                }
            }
            assert_eq!(keys, expected, "by {piece}");
        }
    }

    #[test]
    fn lone_escape_becomes_a_key_after_the_wait() {
        let mut decoder = KeyDecoder::default();
        assert_eq!(decoder.next(b"\x1b"), (1, None));
        assert_eq!(decoder.wait(), Some(Key::ESCAPE_WAIT));
        decoder.on_timeout();
        assert!(decoder.is_ahead());
        assert_eq!((decoder.next(b""), decoder.wait()), ((0, Some(Key::Escape)), None));
    }
}

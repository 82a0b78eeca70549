//! Parser for the escape sequences that terminals send for keys.
//!
//! Supported are ECMA-48 and the sequences of VT220, xterm, rxvt and the Linux console.

/// A key or key combination that the user of a terminal pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// A typed character, such as a letter, digit or space.
    Char(char),
    /// Control and a lower-case letter or one of `@ \ ] ^ _`: `Ctrl('c')` is 0x03.
    Ctrl(char),
    /// Alt and a character, or Escape followed by a character.
    Alt(char),
    /// The Return or Enter key.
    Enter,
    /// The Tab key.
    Tab,
    /// Shift and the Tab key.
    BackTab,
    /// The Backspace key: 0x08 or 0x7f.
    Backspace,
    /// The Escape key alone.
    ///
    /// Reported if nothing follows within [`Key::ESCAPE_WAIT`], or if a control character follows.
    Escape,
    /// The up arrow key.
    Up,
    /// The down arrow key.
    Down,
    /// The left arrow key.
    Left,
    /// The right arrow key.
    Right,
    /// The Home key.
    Home,
    /// The End key.
    End,
    /// The Insert key.
    Insert,
    /// The Delete key, which erases the character at the cursor.
    Delete,
    /// The Page Up key.
    PageUp,
    /// The Page Down key.
    PageDown,
    /// A function key by its number: `Function(1)` is F1.
    Function(u8),
}

impl Key {
    /// Time after which a lone escape character counts as [`Escape`](Self::Escape): 100 ms.
    pub const ESCAPE_WAIT: core::time::Duration = core::time::Duration::from_millis(100);
}

/// Cap on the numeric parameter of an escape sequence, above the parameter of any known key.
const PARAMETER_MAX: u16 = 999;

/// State of the parser that turns characters into keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyParser {
    #[default]
    Ground,
    /// The state after an escape character.
    Escape,
    /// The state after `ESC [`: the first parameter, and whether it is complete.
    Csi { first: u16, complete: bool },
    /// The state after `ESC [ [`, which begins function keys on the Linux console.
    Console,
    /// The state after `ESC O`.
    Ss3,
}

impl KeyParser {
    /// Parses one character and passes the completed keys, at most two, to `tell`.
    pub(crate) fn push(&mut self, c: char, mut tell: impl FnMut(Key)) {
        let state = core::mem::take(self);
        // A character that cannot be part of a sequence ends it, and is parsed as a key of its own.
        let broken = !matches!(state, Self::Ground | Self::Escape) && !matches!(c, ' '..='~');
        match (state, c) {
            (Self::Ground | Self::Escape, '\u{1b}') => {
                if state == Self::Escape {
                    tell(Key::Escape);
                }
                *self = Self::Escape;
            }
            (_, '\u{1b}') => *self = Self::Escape,
            _ if broken => tell(plain(c)),
            (Self::Ground, _) => tell(plain(c)),
            (Self::Escape, '[') => *self = Self::Csi { first: 0, complete: false },
            (Self::Escape, 'O') => *self = Self::Ss3,
            (Self::Escape, _) => match plain(c) {
                Key::Char(c) => tell(Key::Alt(c)),
                other => {
                    tell(Key::Escape);
                    tell(other);
                }
            },
            (Self::Csi { first: 0, complete: false }, '[') => *self = Self::Console,
            (Self::Csi { first, complete }, '0'..='9') => {
                let digit = u16::from(u8::try_from(c).unwrap_or(b'0') - b'0');
                let first = if complete { first } else { (first * 10 + digit).min(PARAMETER_MAX) };
                *self = Self::Csi { first, complete };
            }
            (Self::Csi { first, .. }, ' '..='?') => *self = Self::Csi { first, complete: true },
            (Self::Csi { first, .. }, _) => csi(first, c).into_iter().for_each(tell),
            (Self::Console, 'A'..='E') => {
                tell(Key::Function(u8::try_from(c).unwrap_or(b'A') - b'A' + 1));
            }
            (Self::Console, _) => {}
            (Self::Ss3, _) => ss3(c).into_iter().for_each(tell),
        }
    }

    /// Returns `true` if an escape character is pending: the Escape key or the start of a sequence.
    pub(crate) const fn is_escape(self) -> bool {
        matches!(self, Self::Escape)
    }
}

fn plain(c: char) -> Key {
    match c {
        '\r' | '\n' => Key::Enter,
        '\t' => Key::Tab,
        '\u{8}' | '\u{7f}' => Key::Backspace,
        '\0'..='\u{1f}' => {
            let upper = char::from(u8::try_from(c).unwrap_or(0) | 0x40);
            Key::Ctrl(upper.to_ascii_lowercase())
        }
        c => Key::Char(c),
    }
}

fn csi(first: u16, last: char) -> Option<Key> {
    Some(match (last, first) {
        ('Z', _) => Key::BackTab,
        ('A'..='H' | 'P'..='S', _) => return ss3(last),
        ('~', 1 | 7) => Key::Home,
        ('~', 4 | 8) => Key::End,
        ('~', 2) => Key::Insert,
        ('~', 3) => Key::Delete,
        ('~', 5) => Key::PageUp,
        ('~', 6) => Key::PageDown,
        ('~', 11..=15) => function(first - 10),
        ('~', 17..=21) => function(first - 11),
        ('~', 23..=26) => function(first - 12),
        ('~', 28 | 29) => function(first - 13),
        ('~', 31..=34) => function(first - 14),
        _ => return None,
    })
}

fn ss3(last: char) -> Option<Key> {
    Some(match last {
        'A' => Key::Up,
        'B' => Key::Down,
        'C' => Key::Right,
        'D' => Key::Left,
        'H' => Key::Home,
        'F' => Key::End,
        'M' => Key::Enter,
        'P'..='S' => Key::Function(u8::try_from(last).unwrap_or(b'P') - b'P' + 1),
        _ => return None,
    })
}

fn function(number: u16) -> Key {
    Key::Function(u8::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn keys(text: &str) -> Vec<Key> {
        let (mut parser, mut keys) = (KeyParser::default(), vec![]);
        for c in text.chars() {
            parser.push(c, |key| keys.push(key));
        }
        keys
    }

    #[test]
    fn escape_sequences_decode_to_keys() {
        for (text, expected) in [
            ("aé漢", vec![Key::Char('a'), Key::Char('é'), Key::Char('漢')]),
            ("\r\t\u{8}\u{7f}", vec![Key::Enter, Key::Tab, Key::Backspace, Key::Backspace]),
            ("\u{3}\u{1}\u{1c}\0", vec![Key::Ctrl('c'), Key::Ctrl('a'), Key::Ctrl('\\'), Key::Ctrl('@')]),
            ("\u{1b}[A\u{1b}OB\u{1b}[1;5C\u{1b}[D", vec![Key::Up, Key::Down, Key::Right, Key::Left]),
            ("\u{1b}[1~\u{1b}[4~\u{1b}[7~\u{1b}[H\u{1b}OF", vec![Key::Home, Key::End, Key::Home, Key::Home, Key::End]),
            ("\u{1b}[2~\u{1b}[3~\u{1b}[5~\u{1b}[6~", vec![Key::Insert, Key::Delete, Key::PageUp, Key::PageDown]),
            ("\u{1b}OP\u{1b}[15~\u{1b}[24~\u{1b}[[C", [1, 5, 12, 3].map(Key::Function).to_vec()),
            ("\u{1b}[Z", vec![Key::BackTab]),
            ("\u{1b}x\u{1b}\u{1b}[A", vec![Key::Alt('x'), Key::Escape, Key::Up]),
            // An unknown sequence yields no key. A broken sequence does not swallow the next key.
            ("\u{1b}[200~a\u{1b}[?25hb\u{1b}[99999999999999m", vec![Key::Char('a'), Key::Char('b')]),
            ("\u{1b}[1\rb", vec![Key::Enter, Key::Char('b')]),
            ("\u{1b}\u{7f}", vec![Key::Escape, Key::Backspace]),
        ] {
            assert_eq!(keys(text), expected, "{text:?}");
        }
    }
}

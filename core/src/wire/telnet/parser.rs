use super::{IAC, SB, SE};
use crate::base::work;
use alloc::vec::Vec;
use memchr::memchr;

/// Telnet stream parser (RFC 854, 855): yields data, commands, negotiations and subnegotiations.
///
/// The pieces do not depend on how the input is split, except that data may come in more of them. A
/// command may occur anywhere, even in the middle of a line or a character.
///
/// Malformed input does not affect what follows it. An unknown command is returned as
/// [`Command::Unknown`]. A subnegotiation without an option is dropped. So is one that another
/// command interrupts: some clients omit `IAC SE`.
///
/// # Memory
/// At most the limit given to [`new`](Self::new), for an incomplete subnegotiation. A longer one is
/// dropped and counted in [`dropped`](Self::dropped).
#[derive(Debug)]
pub struct Parser {
    state: State,
    option: u8,
    content: Vec<u8>,
    max: usize,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    /// The state after IAC.
    Command,
    /// The state after IAC and WILL, WONT, DO or DONT.
    Option(Verb),
    /// The state after IAC SB.
    Begin,
    /// The state after IAC SB IAC. If another IAC follows, the option is 255.
    BeginCommand,
    /// The state inside a subnegotiation, whose content is kept or dropped.
    Content {
        kept: bool,
    },
    /// The state after an IAC inside a subnegotiation.
    ContentCommand {
        kept: bool,
    },
    /// The content of a subnegotiation was returned; the next call frees it.
    HandedOut,
}

/// A part of a telnet stream, as [`Parser`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece<'a> {
    /// Data, unescaped.
    Data(&'a [u8]),
    /// A two-byte command.
    Command(Command),
    /// A negotiation message and its option.
    Negotiation(Verb, u8),
    /// A subnegotiation: an option and its parameters, unescaped.
    Subnegotiation {
        /// The option's number.
        option: u8,
        /// The parameters, in a format that the option defines.
        content: &'a [u8],
    },
}

/// A two-byte command (RFC 854). EOR is from RFC 885; EOF, SUSP and ABORT are from RFC 1184.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// End of file, 236.
    EndOfFile,
    /// Suspend the current process, 237.
    Suspend,
    /// Abort the current process, 238.
    Abort,
    /// End of record, 239.
    EndOfRecord,
    /// No operation, 241.
    NoOperation,
    /// Data mark, 242: the end of a Synch.
    DataMark,
    /// Break, 243.
    Break,
    /// Interrupt process, 244.
    InterruptProcess,
    /// Abort output, 245.
    AbortOutput,
    /// Are you there, 246.
    AreYouThere,
    /// Erase character, 247.
    EraseCharacter,
    /// Erase line, 248.
    EraseLine,
    /// Go ahead, 249.
    GoAhead,
    /// Any other byte after IAC, including 240 (`SE`) outside a subnegotiation.
    Unknown(u8),
}

const COMMANDS: [(u8, Command); 13] = [
    (236, Command::EndOfFile),
    (237, Command::Suspend),
    (238, Command::Abort),
    (239, Command::EndOfRecord),
    (241, Command::NoOperation),
    (242, Command::DataMark),
    (243, Command::Break),
    (244, Command::InterruptProcess),
    (245, Command::AbortOutput),
    (246, Command::AreYouThere),
    (247, Command::EraseCharacter),
    (248, Command::EraseLine),
    (249, Command::GoAhead),
];

impl From<u8> for Command {
    fn from(byte: u8) -> Self {
        COMMANDS.iter().find(|(known, _)| *known == byte).map_or(Self::Unknown(byte), |&(_, command)| command)
    }
}

impl Command {
    /// Returns the byte that follows [`IAC`] in this command.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Unknown(byte) => byte,
            known => COMMANDS.iter().find(|(_, command)| *command == known).map_or(0, |&(byte, _)| byte),
        }
    }
}

/// A negotiation verb (RFC 854): `WILL`, `WONT`, `DO` or `DONT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(clippy::exhaustive_enums, reason = "RFC 854 has these verbs")]
pub enum Verb {
    /// `WILL`, 251: the sender offers or confirms an option on its own side.
    Will = 251,
    /// `WONT`, 252: the sender refuses or ends an option on its own side.
    Wont = 252,
    /// `DO`, 253: the sender requests or confirms an option on the receiver's side.
    Do = 253,
    /// `DONT`, 254: the sender refuses or ends an option on the receiver's side.
    Dont = 254,
}

impl Verb {
    /// Returns the byte that stands for this verb, after [`IAC`], in a negotiation message.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            251 => Some(Self::Will),
            252 => Some(Self::Wont),
            253 => Some(Self::Do),
            254 => Some(Self::Dont),
            _ => None,
        }
    }
}

impl Parser {
    /// Creates a parser that keeps subnegotiations of up to `max` bytes and drops longer ones.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { state: State::Data, option: 0, content: Vec::new(), max, dropped: 0 }
    }

    /// Changes the limit on a subnegotiation, in bytes. Content that is stored already stays.
    pub(super) const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Takes the content of the subnegotiation that was just returned.
    pub(super) fn take_content(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.content)
    }

    /// Parses the front of `input`. Returns how many bytes it used and the completed piece, if any.
    ///
    /// It uses at least one byte, unless `input` is empty.
    pub fn parse<'a>(&'a mut self, input: &'a [u8]) -> (usize, Option<Piece<'a>>) {
        if self.state == State::HandedOut {
            self.state = State::Data;
            self.content = Vec::new();
        }
        if self.state == State::Data {
            let data = memchr(IAC, input).unwrap_or(input.len());
            work::step(data);
            if data > 0 {
                return (data, Some(Piece::Data(&input[..data])));
            }
        }
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            work::step(1);
            if let State::Content { kept } = self.state {
                let run = memchr(IAC, &input[used..]).unwrap_or(input.len() - used);
                if run > 0 {
                    self.keep(kept, &input[used..used + run]);
                    used += run;
                    continue;
                }
            }
            used += 1;
            match self.step(byte) {
                Step::On => {}
                Step::Escaped => return (used, Some(Piece::Data(&[IAC]))),
                Step::Command(byte) => return (used, Some(Piece::Command(byte.into()))),
                Step::Negotiation(verb) => return (used, Some(Piece::Negotiation(verb, byte))),
                Step::Subnegotiation => {
                    self.state = State::HandedOut;
                    return (used, Some(Piece::Subnegotiation { option: self.option, content: &self.content }));
                }
            }
            if self.state == State::Data {
                break;
            }
        }
        (used, None)
    }

    /// Returns `true` if a command, negotiation or subnegotiation is incomplete.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        !matches!(self.state, State::Data | State::HandedOut)
    }

    /// Returns how many subnegotiations were dropped: too long, interrupted, or without an option.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn step(&mut self, byte: u8) -> Step {
        let (next, step) = match (self.state, byte) {
            (State::Data | State::HandedOut, _) => (State::Command, Step::On),
            (State::Command, IAC) => (State::Data, Step::Escaped),
            (State::Command, SB) => (State::Begin, Step::On),
            (State::Command, _) => match Verb::from_byte(byte) {
                Some(verb) => (State::Option(verb), Step::On),
                None => (State::Data, Step::Command(byte)),
            },
            (State::Option(verb), _) => (State::Data, Step::Negotiation(verb)),
            (State::Begin, IAC) => (State::BeginCommand, Step::On),
            (State::Begin, _) | (State::BeginCommand, IAC) => {
                self.option = byte;
                self.content.clear();
                (State::Content { kept: true }, Step::On)
            }
            (State::Content { kept }, _) => (State::ContentCommand { kept }, Step::On),
            (State::ContentCommand { kept }, IAC) => {
                self.state = State::Content { kept };
                self.keep(kept, &[IAC]);
                return Step::On;
            }
            (State::ContentCommand { kept: true }, SE) => (State::Data, Step::Subnegotiation),
            (State::BeginCommand | State::ContentCommand { .. }, _) => return self.interrupt(byte),
        };
        self.state = next;
        step
    }

    /// Drops a subnegotiation that is too long, lacks an option or is interrupted by a command.
    ///
    /// Then handles `byte`, which follows the IAC that ended the subnegotiation.
    fn interrupt(&mut self, byte: u8) -> Step {
        self.dropped += 1;
        self.content = Vec::new();
        if byte == SE {
            self.state = State::Data;
            return Step::On;
        }
        self.state = State::Command;
        self.step(byte)
    }

    fn keep(&mut self, kept: bool, bytes: &[u8]) {
        if !kept {
            return;
        }
        if self.content.len() + bytes.len() > self.max {
            self.content = Vec::new();
            self.state = State::Content { kept: false };
            return;
        }
        let needed = self.content.len() + bytes.len();
        if needed > self.content.capacity() {
            let target = needed.max(2 * self.content.capacity()).min(self.max);
            self.content.reserve_exact(target - self.content.len());
        }
        work::step(bytes.len());
        self.content.extend_from_slice(bytes);
    }
}

enum Step {
    On,
    Escaped,
    Command(u8),
    Negotiation(Verb),
    Subnegotiation,
}

//! The frames between the shell's SSH server and the machine.
//!
//! A frame has a kind (one byte), the length of its content (four bytes, big endian) and the content.

use super::attempt::{LoginAttempt, LoginProof};
use super::fault::SshFault;
use super::login::{SshLogin, SshTerminal};
use crate::wire::telnet::Terminal;
use alloc::string::String;
use alloc::vec::Vec;

/// A frame from the shell's SSH server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshFrame<'a> {
    /// Input of the session. At most 4 GiB.
    Data(&'a [u8]),
    /// An attempt to log in, about which the application decides. It precedes the login.
    ///
    /// The machine answers with one byte: [`LoginAttempt::ACCEPTED`] or [`LoginAttempt::REFUSED`]. The next frame but a
    /// fault must wait for it.
    Attempt(&'a LoginAttempt),
    /// The start of the session.
    Login(&'a SshLogin),
    /// A new size of the client's window (RFC 4254 section 6.7), 0 for unknown.
    #[non_exhaustive]
    Resized {
        /// Width in characters.
        columns: u16,
        /// Height in rows.
        rows: u16,
    },
    /// Why there is no session, in place of the login; or that the peer broke the protocol later.
    ///
    /// Nothing follows it.
    Failed(SshFault),
}

pub(super) const DATA: u8 = 0;
const LOGIN: u8 = 1;
pub(super) const RESIZED: u8 = 2;
pub(super) const FAILED: u8 = 3;
const ATTEMPT: u8 = 4;
/// Length of the kind and the length of a frame, in bytes.
pub(super) const HEAD_BYTES: usize = 5;
/// Length of a frame with a window size, in bytes.
pub(super) const RESIZED_BYTES: usize = HEAD_BYTES + 4;

/// Maximum length of the content of a login or an attempt, in bytes.
const PRELUDE_MAX_BYTES: usize = 64 << 10;

/// Bits of the first byte of a login.
const AUTHENTICATED: u8 = 1;
const HAS_TERMINAL: u8 = 2;
const HAS_CRLF: u8 = 4;

/// The first byte of an attempt.
const OFFER: u8 = 0;
const KEY: u8 = 1;
const PASSWORD: u8 = 2;

impl SshFrame<'_> {
    /// Returns a frame with a new window size. A size above 65,535 counts as 65,535.
    #[must_use]
    pub fn resized(columns: u32, rows: u32) -> Self {
        let SshTerminal { columns, rows, .. } = SshTerminal::new("", columns, rows);
        Self::Resized { columns, rows }
    }

    /// Appends the frame to `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Data(data) => write(DATA, data, out),
            Self::Attempt(attempt) => write(ATTEMPT, &attempt.content(), out),
            Self::Login(login) => write(LOGIN, &login.content(), out),
            Self::Resized { columns, rows } => {
                write(RESIZED, &[columns.to_be_bytes(), rows.to_be_bytes()].concat(), out);
            }
            Self::Failed(fault) => write(FAILED, &[fault.code()], out),
        }
    }
}

fn write(kind: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(content);
}

/// The result of reading a frame before the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prelude {
    /// More bytes are needed.
    Unclear,
    /// An attempt to log in, after this many bytes.
    Attempt(LoginAttempt, usize),
    /// The session begins, after this many bytes.
    Login(SshLogin, usize),
    /// There is no session.
    Failed(SshFault),
}

/// Reads the first frame of a connection, or the next one before its session.
pub(crate) fn parse_prelude(held: &[u8]) -> Prelude {
    let Some((head, rest)) = held.split_first_chunk::<HEAD_BYTES>() else { return Prelude::Unclear };
    let [kind, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !matches!(kind, LOGIN | FAILED | ATTEMPT) || length > PRELUDE_MAX_BYTES {
        return Prelude::Failed(SshFault::Protocol);
    }
    let Some(content) = rest.get(..length) else { return Prelude::Unclear };
    let parsed = match (kind, content) {
        (FAILED, &[code]) => SshFault::of_code(code).map(Prelude::Failed),
        (LOGIN, content) => SshLogin::parse(content).map(|login| Prelude::Login(login, HEAD_BYTES + length)),
        (ATTEMPT, content) => {
            LoginAttempt::parse(content).map(|attempt| Prelude::Attempt(attempt, HEAD_BYTES + length))
        }
        _ => None,
    };
    parsed.unwrap_or(Prelude::Failed(SshFault::Protocol))
}

impl LoginAttempt {
    fn content(&self) -> Vec<u8> {
        let (kind, proof) = match &self.proof {
            LoginProof::Offer(key) => (OFFER, key),
            LoginProof::Key(key) => (KEY, key),
            LoginProof::Password(password) => (PASSWORD, password),
        };
        let mut out = alloc::vec![kind];
        write_text(&self.user, &mut out);
        write_text(proof, &mut out);
        out
    }

    /// Parses the content of an attempt. `None` if it is malformed.
    fn parse(content: &[u8]) -> Option<Self> {
        let (&kind, mut rest) = content.split_first()?;
        let (user, proof) = (text(&mut rest)?, text(&mut rest)?);
        let proof = match kind {
            OFFER => LoginProof::Offer(proof),
            KEY => LoginProof::Key(proof),
            PASSWORD => LoginProof::Password(proof),
            _ => return None,
        };
        rest.is_empty().then_some(Self { user, proof })
    }
}

impl SshLogin {
    fn content(&self) -> Vec<u8> {
        let Self { user, is_authenticated, terminal, has_crlf, environment } = self;
        let flags = [(*is_authenticated, AUTHENTICATED), (terminal.is_some(), HAS_TERMINAL), (*has_crlf, HAS_CRLF)];
        let set = flags.iter().filter(|(is_set, _)| *is_set);
        let mut out = alloc::vec![set.fold(0, |all, (_, flag)| all | flag)];
        write_text(user, &mut out);
        if let Some(SshTerminal { name, columns, rows }) = terminal {
            write_text(name, &mut out);
            out.extend_from_slice(&columns.to_be_bytes());
            out.extend_from_slice(&rows.to_be_bytes());
        }
        for (name, value) in environment.iter().take(Terminal::VARIABLES_MAX) {
            write_text(name, &mut out);
            write_text(value, &mut out);
        }
        out
    }

    /// Parses the content of a login. `None` if it is malformed.
    fn parse(content: &[u8]) -> Option<Self> {
        let (&flags, mut rest) = content.split_first()?;
        let user = text(&mut rest)?;
        let terminal = if flags & HAS_TERMINAL == 0 {
            None
        } else {
            Some(SshTerminal { name: text(&mut rest)?, columns: number(&mut rest)?, rows: number(&mut rest)? })
        };
        let mut environment = Vec::new();
        while !rest.is_empty() {
            if environment.len() >= Terminal::VARIABLES_MAX {
                return None;
            }
            environment.push((text(&mut rest)?, text(&mut rest)?));
        }
        let (is_authenticated, has_crlf) = (flags & AUTHENTICATED != 0, flags & HAS_CRLF != 0);
        Some(Self { user, is_authenticated, terminal, has_crlf, environment })
    }
}

/// Writes a text with its length in two bytes. The rest of a longer text is cut off.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let short = text.get(..end).unwrap_or_default();
    out.extend_from_slice(&u16::try_from(short.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(short.as_bytes());
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*bytes))
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let (text, after) = {
        let length = usize::from(number(rest)?);
        rest.split_at_checked(length)?
    };
    *rest = after;
    core::str::from_utf8(text).ok().map(String::from)
}

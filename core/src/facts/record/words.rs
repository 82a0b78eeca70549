//! Formatting and parsing of the parts of a trace line, such as numbers and quoted text.

use crate::base::{ConnId, DialId, ListenerId, OutgoingBuf, PayloadBuf};
use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelId, TunnelReport};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Word that replaces secret content in a trace.
pub(crate) const CONCEALED: &str = "concealed";
/// Word that replaces a note that cannot be written as text.
pub(crate) const WITHOUT_TEXT: &str = "without_text";
/// Exclusive upper limit of the number of concealed bytes in one fact, for the parser.
const RECEIVED_MAX_BYTES: usize = 1 << 20;

struct Content<'a>(&'a PayloadBuf);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self.0, PayloadBuf::Text(_)) { "text" } else { "binary" };
        write!(f, "{kind} {}", Quoted(self.0.as_payload().as_bytes()))
    }
}

/// A message to send, which is displayed as words of a trace line.
pub(super) struct Message<'a>(pub(super) &'a OutgoingBuf);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            OutgoingBuf::Same(payload) => Content(payload).fmt(f),
            OutgoingBuf::Negotiated { json, text } => {
                write!(f, "negotiated {} {}", Quoted(json.as_bytes()), Quoted(text.as_bytes()))
            }
        }
    }
}

pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The unparsed rest of a line.
pub(super) struct Words<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn word(&mut self) -> &'a str {
        let line = self.rest.trim_start();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.rest = rest;
        word
    }

    pub(super) fn parsed<T: FromStr>(&mut self, expected: &'static str) -> Result<T, &'static str> {
        self.word().parse().map_err(|_| expected)
    }

    /// Parses the rest of the line as a list whose items `next` parses.
    pub(super) fn all<T>(&mut self, next: fn(&mut Self) -> Result<T, &'static str>) -> Result<Vec<T>, &'static str> {
        let mut found = Vec::new();
        while !self.rest.trim().is_empty() {
            found.push(next(self)?);
        }
        Ok(found)
    }

    /// Parses received bytes. Concealed bytes become the same number of zeros.
    pub(super) fn received(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut after = Words { rest: self.rest };
        if after.word() != CONCEALED {
            return self.quoted();
        }
        let count: usize = after.parsed("a number of bytes")?;
        self.rest = after.rest;
        if count < RECEIVED_MAX_BYTES { Ok(alloc::vec![0; count]) } else { Err("less than 1048576 bytes") }
    }

    pub(super) fn secured(&mut self) -> Result<Secured, &'static str> {
        let (version, resumed) = (self.text()?, self.parsed("true or false")?);
        let (server_name, protocol, user) = (self.text_or_none()?, self.text_or_none()?, self.text_or_none()?);
        Ok(Secured { version, server_name, protocol, user, resumed })
    }

    pub(super) fn text_or_none(&mut self) -> Result<Option<String>, &'static str> {
        match self.rest.trim_start().strip_prefix('-') {
            Some(rest) => {
                self.rest = rest;
                Ok(None)
            }
            None => self.text().map(Some),
        }
    }

    pub(super) fn outgoing(&mut self) -> Result<OutgoingBuf, &'static str> {
        let mut after = Words { rest: self.rest };
        if after.word() != "negotiated" {
            return self.content().map(OutgoingBuf::Same);
        }
        let (json, text) = (after.text()?.into(), after.text()?.into());
        self.rest = after.rest;
        Ok(OutgoingBuf::Negotiated { json, text })
    }

    fn content(&mut self) -> Result<PayloadBuf, &'static str> {
        match self.word() {
            "text" => Ok(PayloadBuf::Text(self.text()?.into())),
            "binary" => Ok(PayloadBuf::Binary(self.quoted()?.into())),
            _ => Err("text or binary"),
        }
    }

    pub(super) fn conn(&mut self) -> Result<ConnId, &'static str> {
        self.parsed("a connection, INDEX.GENERATION")
    }

    pub(super) fn listener(&mut self) -> Result<ListenerId, &'static str> {
        self.parsed("a listener's number").map(ListenerId)
    }

    pub(super) fn dial(&mut self) -> Result<DialId, &'static str> {
        self.parsed("a dial's number").map(DialId)
    }

    pub(super) fn link(&mut self) -> Result<LinkId, &'static str> {
        let tunnel = TunnelId(self.parsed("a tunnel's number")?);
        Ok(LinkId { tunnel, attempt: self.parsed("the number of an attempt")? })
    }

    pub(super) fn report(&mut self) -> Result<TunnelReport, &'static str> {
        Ok(match self.word() {
            "connected" => TunnelReport::Connected,
            "failed" => {
                let failure = self.parsed("the name of a tunnel's failure")?;
                TunnelReport::Failed { failure, words: self.text()? }
            }
            "bound" => TunnelReport::Bound { listener: self.listener()?, port: self.parsed("a port")? },
            "refused" => TunnelReport::Refused { listener: self.listener()? },
            "answered" => TunnelReport::Answered(self.parsed("the number of a question")?),
            "channel_refused" => TunnelReport::ChannelRefused { words: self.text()? },
            "closed" => TunnelReport::Closed,
            _ => return Err("connected, failed, bound, refused, answered, channel_refused or closed"),
        })
    }

    pub(super) fn failure<T: FromStr>(&mut self) -> Result<T, &'static str> {
        self.parsed("a failure such as reset, timed_out or refused")
    }

    pub(super) fn text(&mut self) -> Result<String, &'static str> {
        String::from_utf8(self.quoted()?).map_err(|_| "UTF-8 text in double quotes")
    }

    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        const EXPECTED: &str = "bytes in double quotes";
        let inner = self.rest.trim_start().strip_prefix('"').ok_or(EXPECTED)?;
        let mut bytes = Vec::new();
        let mut rest = inner.as_bytes().iter().copied();
        loop {
            match rest.next().ok_or("a closing double quote")? {
                b'"' => break,
                b'\\' => bytes.push(match rest.next() {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(plain @ (b'"' | b'\\' | b'\'')) => plain,
                    Some(b'x') => hex(rest.next())
                        .zip(hex(rest.next()))
                        .map(|(high, low)| high << 4 | low)
                        .ok_or("two hexadecimal digits after \\x")?,
                    _ => return Err("one of n r t \" ' \\ x after a backslash"),
                }),
                plain => bytes.push(plain),
            }
        }
        let left = rest.len();
        self.rest = inner.get(inner.len() - left..).ok_or(EXPECTED)?;
        Ok(bytes)
    }
}

fn hex(digit: Option<u8>) -> Option<u8> {
    let value = char::from(digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

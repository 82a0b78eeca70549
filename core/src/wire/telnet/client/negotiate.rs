//! Negotiation of options by the client, and their parameters.

use super::ClientSession;
use crate::base::work;
use crate::wire::telnet::end::{Found, KNOWN};
use crate::wire::telnet::negotiation::Side;
use crate::wire::telnet::parameter::{self, CHARSET_COST, CHARSETS_MAX};
use crate::wire::telnet::parser::{Command, Verb};
use crate::wire::telnet::{Charset, IAC, Signal, option, subnegotiation};
use alloc::vec::Vec;

/// Options that the client always agrees to.
///
/// The client's own echo is not among them: the server's output would return to the server.
const AGREED_TO: [(Side, u8); 8] = [
    (Side::Us, option::BINARY),
    (Side::Us, option::SGA),
    (Side::Us, option::CHARSET),
    (Side::Him, option::BINARY),
    (Side::Him, option::ECHO),
    (Side::Him, option::SGA),
    (Side::Him, option::EOR),
    (Side::Him, option::CHARSET),
];

impl ClientSession {
    /// Allows the options that the configuration allows.
    pub(super) fn allow_options(&mut self) {
        for (side, option) in AGREED_TO {
            self.options.allow(side, option);
        }
        let config = self.config;
        for (allowed, side, option) in [
            (config.types.names().next().is_some(), Side::Us, option::TTYPE),
            (config.gmcp, Side::Him, option::GMCP),
            (config.msdp, Side::Him, option::MSDP),
            (config.compress, Side::Him, option::MCCP2),
        ] {
            if allowed {
                self.options.allow(side, option);
            }
        }
        if let Some((columns, rows)) = config.size {
            self.size = Some((columns, rows));
            self.options.allow(Side::Us, option::NAWS);
        }
    }

    /// Sets the size of the window, and reports it to a server that has asked for it (RFC 1073).
    ///
    /// A size of 0 is unspecified.
    pub fn set_window_size(&mut self, columns: u16, rows: u16) {
        let size = Some((columns, rows));
        let before = core::mem::replace(&mut self.size, size);
        if self.is_on(Side::Us, option::NAWS) {
            if before != size {
                self.report_size();
            }
        } else if before.is_none() {
            // The client may have refused the server's request before.
            self.enable_option(Side::Us, option::NAWS);
        }
    }

    /// Requests an option, once the server has sent a telnet command.
    pub fn enable_option(&mut self, side: Side, option: u8) {
        if self.is_telnet {
            self.enable(side, option);
            return;
        }
        // If the server requests it first, the answer to that request is enough.
        self.options.allow(side, option);
        if !self.wishes.contains(&(side, option)) {
            self.wishes.push((side, option));
        }
    }

    /// Switches an option off and withdraws any request for it.
    pub fn disable_option(&mut self, side: Side, option: u8) {
        self.wishes.retain(|wish| *wish != (side, option));
        let words = self.options.disable(side, option);
        self.control.extend(words.into_iter().flatten());
    }

    fn enable(&mut self, side: Side, option: u8) {
        let words = self.options.enable(side, option);
        self.control.extend(words.into_iter().flatten());
    }

    /// Handles a negotiation message from the server.
    pub(super) fn negotiated(&mut self, verb: Verb, option: u8) -> Found {
        // A timing mark is not a state: each is answered, after all earlier output (RFC 860).
        if option == option::TM {
            if verb == Verb::Do {
                self.output.extend_from_slice(&[IAC, Verb::Will.byte(), option::TM]);
            }
            self.detect();
            return Found::Nothing;
        }
        let answer = self.options.received(verb, option);
        self.control.extend(answer.say.into_iter().flatten());
        // After the answer, so that an option that is on now is not requested again.
        self.detect();
        let Some(change) = answer.change else { return Found::Nothing };
        match (change.side, option, change.on) {
            (Side::Us, option::NAWS, true) => self.report_size(),
            (Side::Us, option::TTYPE, true) => self.next_type = 0,
            _ => {}
        }
        Found::Signal(Signal::Option { option, side: change.side, on: change.on })
    }

    /// Records that the server speaks telnet. The first call requests the application's options.
    fn detect(&mut self) {
        if !core::mem::replace(&mut self.is_telnet, true) {
            for (side, option) in core::mem::take(&mut self.wishes) {
                self.enable(side, option);
            }
        }
    }

    /// Handles a two-byte command from the server (RFC 854).
    ///
    /// GA and EOR mark the end of a prompt. The others have no effect on a client.
    pub(super) fn commanded(&mut self, command: Command, kept: &mut Vec<u8>) -> Found {
        if !matches!(command, Command::Unknown(_)) {
            self.detect();
        }
        match command {
            Command::GoAhead | Command::EndOfRecord => self.take_prompt(kept),
            _ => Found::Nothing,
        }
    }

    /// Handles a subnegotiation that the server sent.
    ///
    /// Ignores options that are off, and malformed parameters (RFC 855).
    pub(super) fn parameters(&mut self, option: u8, content: Vec<u8>, kept: &mut Vec<u8>) -> Found {
        let (of_him, of_us) = (self.is_on(Side::Him, option), self.is_on(Side::Us, option));
        match (option, &content[..]) {
            _ if !of_him && !of_us => {}
            (option::TTYPE, [parameter::SEND]) if of_us => self.report_type(),
            (option::CHARSET, [parameter::REQUEST, rest @ ..]) => return self.choose_charset(rest),
            (option::CHARSET, [parameter::TTABLE_IS, ..]) => {
                subnegotiation(option, &[parameter::TTABLE_REJECTED], &mut self.control);
            }
            (option::GMCP, message) if core::str::from_utf8(message).is_ok() => {
                *kept = content;
                return Found::Gmcp;
            }
            _ if KNOWN.contains(&option) => {}
            _ => {
                *kept = content;
                return Found::Subnegotiation(option);
            }
        }
        Found::Nothing
    }

    fn report_size(&mut self) {
        let (columns, rows) = self.size.unwrap_or_default();
        let size = [columns.to_be_bytes(), rows.to_be_bytes()].concat();
        subnegotiation(option::NAWS, &size, &mut self.control);
    }

    /// Reports the next terminal type. The last one is repeated, then the list begins again.
    fn report_type(&mut self) {
        let types = self.config.types;
        let count = types.names().count();
        let Some(name) = types.names().nth(self.next_type.min(count.saturating_sub(1))) else { return };
        self.next_type = if self.next_type >= count { 0 } else { self.next_type + 1 };
        self.spent += name.len();
        let content = [&[parameter::IS], name.as_bytes()].concat();
        subnegotiation(option::TTYPE, &content, &mut self.control);
    }

    /// Accepts UTF-8 if the server offers it, else the first character set that is supported.
    fn choose_charset(&mut self, rest: &[u8]) -> Found {
        let mut chosen: Option<(&[u8], Charset)> = None;
        for name in parameter::charset_names(rest).take(CHARSETS_MAX) {
            self.spent += CHARSET_COST;
            work::step(CHARSET_COST);
            let Some(charset) = core::str::from_utf8(name).ok().and_then(Charset::named) else { continue };
            if chosen.is_none() || charset == Charset::Utf8 {
                chosen = Some((name, charset));
            }
            if charset == Charset::Utf8 {
                break;
            }
        }
        let Some((name, charset)) = chosen else {
            subnegotiation(option::CHARSET, &[parameter::REJECTED], &mut self.control);
            return Found::Nothing;
        };
        // Sent after the output that uses the old character set.
        subnegotiation(option::CHARSET, &[&[parameter::ACCEPTED], name].concat(), &mut self.output);
        if charset != Charset::Ascii {
            // Only BINARY guarantees eight bits (RFC 856).
            self.enable(Side::Us, option::BINARY);
            self.enable(Side::Him, option::BINARY);
        }
        if core::mem::replace(&mut self.charset, charset) == charset {
            return Found::Nothing;
        }
        Found::Signal(Signal::Charset(charset))
    }
}

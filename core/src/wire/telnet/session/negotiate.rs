//! Negotiation of options, the actions when they go on or off, and two-byte commands.

use super::Session;
use super::typing::Stale;
use crate::base::Payload;
use crate::wire::telnet::compress::Compressor;
use crate::wire::telnet::end::Found;
use crate::wire::telnet::negotiation::{Change, Side};
use crate::wire::telnet::parser::{Command, Verb};
use crate::wire::telnet::{Charset, IAC, InputMode, Signal, encode, option, subnegotiation};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Options, besides TTYPE, that the peer may switch on without a request by the server.
///
/// Echo by the peer is not among them: RFC 857 forbids that both sides echo.
const AGREED_TO: [(Side, u8); 14] = [
    (Side::Us, option::BINARY),
    (Side::Us, option::STATUS),
    (Side::Us, option::EOR),
    (Side::Us, option::CHARSET),
    (Side::Him, option::BINARY),
    (Side::Him, option::SGA),
    (Side::Him, option::NAWS),
    (Side::Him, option::NEW_ENVIRON),
    (Side::Him, option::CHARSET),
    (Side::Him, option::LINEMODE),
    (Side::Him, option::TSPEED),
    (Side::Him, option::LFLOW),
    (Side::Him, option::XDISPLOC),
    (Side::Him, option::SNDLOC),
];

/// Options that the server always requests once the peer is known to speak telnet.
const ASKED_FOR: [(Side, u8); 5] = [
    (Side::Him, option::TTYPE),
    (Side::Him, option::NAWS),
    (Side::Him, option::NEW_ENVIRON),
    (Side::Us, option::CHARSET),
    (Side::Us, option::EOR),
];

/// The MODE command of the LINEMODE option (RFC 1184 section 2.2).
const MODE: u8 = 1;
/// Mode bit: the peer edits lines.
const MODE_EDIT: u8 = 1;
/// Mode bit: the peer sends its interrupt and similar keys as commands.
const MODE_TRAPSIG: u8 = 2;
/// The backspace character, which stands for an erase-character command from the peer.
const BACKSPACE: u8 = 0x08;

impl Session {
    pub(super) fn begin(&mut self) {
        for (side, option) in AGREED_TO {
            self.options.allow(side, option);
        }
        self.options.allow(Side::Him, option::TTYPE);
        if self.config.probe {
            self.enable(Side::Him, option::TTYPE);
        }
    }

    /// Requests an option as soon as the peer is known to speak telnet.
    ///
    /// Until then, the peer may be another program, which would show `IAC` as garbage.
    pub fn enable_option(&mut self, side: Side, option: u8) {
        if self.terminal.is_telnet {
            self.enable(side, option);
        } else if !self.wishes.contains(&(side, option)) {
            self.wishes.push((side, option));
        }
    }

    /// Switches an option off and withdraws any request for it.
    pub fn disable_option(&mut self, side: Side, option: u8) {
        self.wishes.retain(|wish| *wish != (side, option));
        self.disable(side, option);
        if (side, option) == (Side::Us, option::MCCP2) {
            self.end_compression();
        }
    }

    /// Requests an input mode from the peer. Input arrives as lines until the peer agrees.
    pub fn set_mode(&mut self, mode: InputMode) {
        self.wanted = mode;
        if self.terminal.is_telnet {
            self.ask_for_mode();
        }
        if self.mode() != self.told {
            self.change_mode();
        }
    }

    pub(super) fn set_hidden(&mut self, hidden: bool) {
        self.hidden = hidden;
        if self.terminal.is_telnet && self.peer_edits() {
            if hidden {
                self.enable(Side::Us, option::ECHO);
            } else {
                self.disable(Side::Us, option::ECHO);
            }
        }
    }

    /// Returns `true` if the peer's terminal edits and echoes the input, and will continue to.
    fn peer_edits(&self) -> bool {
        self.wanted == InputMode::Line || !self.may_do(option::ECHO) || !self.may_do(option::SGA)
    }

    /// Returns `true` if the next line will be hidden unless the peer refuses.
    pub(crate) fn hides(&self) -> bool {
        self.hidden && (!self.negotiates || self.may_do(option::ECHO))
    }

    /// Returns `true` if an option is on for our side or awaits the peer's answer.
    fn may_do(&self, option: u8) -> bool {
        self.options.is_on(Side::Us, option) || self.options.is_pending(Side::Us, option)
    }

    /// Requests the other of ECHO and SGA when the peer switches one of them on again.
    ///
    /// A peer that switches one of them off has switched off both; see `take_back_half`.
    fn ask_for_other_half(&mut self, change: Change) {
        let other = match (change.side, change.option) {
            (Side::Us, option::ECHO) => option::SGA,
            (Side::Us, option::SGA) => option::ECHO,
            _ => return,
        };
        if change.on && self.wanted != InputMode::Line && !self.hidden {
            self.enable(Side::Us, other);
        }
    }

    /// Switches ECHO or SGA off again if the peer refused the other of the two.
    ///
    /// With only one of them, neither side would show the input.
    fn take_back_half(&mut self) {
        let half = [option::ECHO, option::SGA].map(|option| self.options.is_on(Side::Us, option));
        let waits = [option::ECHO, option::SGA].map(|option| self.options.is_pending(Side::Us, option));
        if self.wanted == InputMode::Line || self.hidden || waits != [false; 2] || half[0] == half[1] {
            return;
        }
        self.disable(Side::Us, if half[0] { option::ECHO } else { option::SGA });
    }

    /// Records that the peer speaks telnet. The first time, requests and offers options.
    fn detect(&mut self) {
        if core::mem::replace(&mut self.terminal.is_telnet, true) {
            return;
        }
        for (side, option) in ASKED_FOR {
            self.enable(side, option);
        }
        for (offered, option) in [
            (self.config.gmcp, option::GMCP),
            (self.config.msdp, option::MSDP),
            (self.config.compress, option::MCCP2),
            (self.config.compress, option::MCCP3),
        ] {
            if offered {
                self.enable(Side::Us, option);
            }
        }
        self.ask_for_mode();
        for (side, option) in core::mem::take(&mut self.wishes) {
            self.enable(side, option);
        }
    }

    fn ask_for_mode(&mut self) {
        if self.wanted == InputMode::Line {
            self.disable(Side::Us, option::SGA);
            self.enable(Side::Him, option::LINEMODE);
            self.set_hidden(self.hidden);
        } else {
            self.enable(Side::Us, option::ECHO);
            self.enable(Side::Us, option::SGA);
        }
        if self.is_on(Side::Him, option::LINEMODE) {
            self.say_linemode();
        }
        if self.is_on(Side::Him, option::LFLOW) {
            self.say_flow_control();
        }
    }

    /// Queues the LINEMODE mode: whether the peer edits lines and traps its interrupt key.
    fn say_linemode(&mut self) {
        let mask = if self.wanted == InputMode::Line { MODE_EDIT | MODE_TRAPSIG } else { 0 };
        subnegotiation(option::LINEMODE, &[MODE, mask], &mut self.control);
    }

    /// Queues the mode of flow control by Control-S and Control-Q (RFC 1372): off in keys mode.
    fn say_flow_control(&mut self) {
        const OFF: u8 = 0;
        const ON: u8 = 1;
        let flow = if self.wanted == InputMode::Keys { OFF } else { ON };
        subnegotiation(option::LFLOW, &[flow], &mut self.control);
    }

    fn enable(&mut self, side: Side, option: u8) {
        let words = self.options.enable(side, option);
        self.control.extend(words.into_iter().flatten());
    }

    fn disable(&mut self, side: Side, option: u8) {
        let words = self.options.disable(side, option);
        self.control.extend(words.into_iter().flatten());
    }

    /// Handles a negotiation message from the peer.
    pub(super) fn negotiated(&mut self, verb: Verb, option: u8) -> Found {
        self.detect();
        match (verb, option) {
            // A timing mark is not a state: each is answered, after all earlier output (RFC 860).
            (Verb::Do, option::TM) => {
                self.output.extend_from_slice(&[IAC, Verb::Will.byte(), option::TM]);
                return Found::Nothing;
            }
            (_, option::TM) => return Found::Nothing,
            (Verb::Do, option::LOGOUT) => {
                self.control.extend_from_slice(&[IAC, Verb::Will.byte(), option::LOGOUT]);
                return Found::Signal(Signal::Logout);
            }
            _ => {}
        }
        let answer = self.options.received(verb, option);
        self.control.extend(answer.say.into_iter().flatten());
        if let Some(change) = answer.change {
            self.changed(change);
            if answer.say.is_some() {
                self.ask_for_other_half(change);
            }
        }
        self.take_back_half();
        let Some(change) = answer.change else { return Found::Nothing };
        Found::Signal(Signal::Option { option, side: change.side, on: change.on })
    }

    fn changed(&mut self, change: Change) {
        match (change.side, change.option, change.on) {
            (Side::Him, option::TTYPE, true) => self.ask_for_type(),
            (Side::Him, option::NEW_ENVIRON | option::TSPEED | option::XDISPLOC, true) => {
                self.ask_for_value(change.option);
            }
            (Side::Him, option::LINEMODE, true) => self.say_linemode(),
            (Side::Him, option::LFLOW, true) => self.say_flow_control(),
            (Side::Us, option::CHARSET, true) => self.offer_charsets(),
            (Side::Us, option::MCCP2, true) => {
                // Output up to the marker is plain, and output after it is compressed.
                self.end_compression();
                self.ready.append(&mut self.control);
                self.ready.append(&mut self.output);
                let mut marker = Vec::new();
                self.begin_compression(&mut marker);
                self.ready.append(&mut marker);
                self.in_order = true;
            }
            (Side::Us, option::MCCP2, false) => self.end_compression(),
            _ => {}
        }
    }

    /// Begins a compressed stream behind a marker, which is appended to `out`.
    pub(super) fn begin_compression(&mut self, out: &mut Vec<u8>) {
        subnegotiation(option::MCCP2, &[], out);
        self.compressor = Some(Box::new(Compressor::new()));
        self.compression_rests = false;
    }

    fn end_compression(&mut self) {
        self.compression_rests = false;
        self.end_stream();
    }

    pub(super) fn end_stream(&mut self) {
        if let Some(mut compressor) = self.compressor.take() {
            let said = [core::mem::take(&mut self.control), core::mem::take(&mut self.output)].concat();
            compressor.compress(&said, &mut self.ready);
            compressor.finish(&mut self.ready);
        }
    }

    /// Handles a two-byte command from the peer (RFC 854).
    pub(super) fn command(&mut self, command: Command, kept: &mut Vec<u8>, max: usize) -> Found {
        if matches!(command, Command::Unknown(_)) {
            return Found::Nothing;
        }
        self.detect();
        match command {
            Command::AreYouThere => {
                self.take_line_away();
                encode(Payload::Text("[Yes]\n"), Charset::Ascii, &mut self.output);
                if self.is_line_seen() {
                    self.redraw(Stale::Everything);
                }
                Found::Nothing
            }
            Command::EraseCharacter if self.types_here() => self.take_key(BACKSPACE, kept, max),
            Command::EraseCharacter => {
                self.erase_character();
                Found::Nothing
            }
            Command::EraseLine => {
                self.erase_line();
                Found::Nothing
            }
            Command::InterruptProcess => {
                self.interrupt();
                Found::Signal(Signal::InterruptProcess)
            }
            Command::Break => Found::Signal(Signal::Break),
            Command::AbortOutput => {
                // Marks the end of the discarded output (RFC 854, "Synch"). It is not urgent data,
                // which not all transports have.
                self.control.extend_from_slice(&[IAC, Command::DataMark.byte()]);
                Found::Signal(Signal::AbortOutput)
            }
            Command::Suspend => Found::Signal(Signal::Suspend),
            Command::Abort => Found::Signal(Signal::Abort),
            Command::EndOfFile => Found::Signal(Signal::EndOfFile),
            // A DM that is not urgent has no effect (RFC 854), nor has GA from a terminal.
            _ => Found::Nothing,
        }
    }
}

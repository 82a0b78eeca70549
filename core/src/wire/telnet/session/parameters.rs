//! Handling of the peer's subnegotiations, and queueing of GMCP and MSSP messages.

use super::Session;
use crate::base::work;
use crate::wire::telnet::end::{Found, KNOWN, gmcp};
use crate::wire::telnet::negotiation::Side;
use crate::wire::telnet::parameter::{
    ACCEPTED, CHARSET_COST, CHARSETS_MAX, IS, REJECTED, REQUEST, SEND, TTABLE_IS, TTABLE_REJECTED, charset_names,
};
use crate::wire::telnet::{Charset, Signal, option, subnegotiation};
use alloc::string::String;
use alloc::vec::Vec;

/// The INFO verb of NEW-ENVIRON (RFC 1572).
const INFO: u8 = 2;
/// Markers of NEW-ENVIRON (RFC 1572): variable, value, escape and user variable.
const VAR: u8 = 0;
const VALUE: u8 = 1;
const ESC: u8 = 2;
const USERVAR: u8 = 3;
/// Maximum number of environment variables that are read from one subnegotiation.
const VARIABLES_MAX: usize = 128;
/// Cost of looking up a variable, in equivalent bytes of plain input.
const VARIABLE_COST: usize = 128;
/// The SLC command of LINEMODE (RFC 1184).
const SLC: u8 = 3;
/// Bits in the flags of a special character (RFC 1184): the acknowledgement and the level.
const SLC_ACK: u8 = 0x80;
const SLC_LEVELS: u8 = 3;
/// The highest function number of a special character in RFC 1184.
const SLC_FUNCTIONS: u8 = 30;

impl Session {
    pub(super) fn ask_for_type(&mut self) {
        self.type_asked = true;
        self.ask_for_value(option::TTYPE);
    }

    pub(super) fn ask_for_value(&mut self, option: u8) {
        subnegotiation(option, &[SEND], &mut self.control);
    }

    pub(super) fn offer_charsets(&mut self) {
        let mut request = alloc::vec![REQUEST];
        for charset in Charset::ALL {
            request.push(b';');
            request.extend_from_slice(charset.name().as_bytes());
        }
        self.charset_asked = true;
        subnegotiation(option::CHARSET, &request, &mut self.control);
    }

    /// Handles a subnegotiation that the peer sent.
    ///
    /// Ignores options that are off, and malformed parameters (RFC 855).
    pub(super) fn parameters(&mut self, option: u8, content: Vec<u8>, kept: &mut Vec<u8>) -> Found {
        let (of_him, of_us) = (self.is_on(Side::Him, option), self.is_on(Side::Us, option));
        match (option, &content[..]) {
            _ if !of_him && !of_us => return Found::Nothing,
            (option::NAWS, &[w1, w0, h1, h0]) if of_him => {
                let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                self.resized |= self.terminal.resize(size.0, size.1);
            }
            (option::TTYPE, [IS, name @ ..]) if core::mem::take(&mut self.type_asked) => {
                if self.terminal.add_type(name) {
                    self.ask_for_type();
                } else {
                    return Found::Signal(Signal::TerminalTypes);
                }
            }
            (option::NEW_ENVIRON, [IS | INFO, variables @ ..]) if of_him => {
                if self.set_variables(variables) {
                    return Found::Signal(Signal::Environment);
                }
            }
            (option::TSPEED, [IS, speeds @ ..]) if of_him => {
                let speed = core::str::from_utf8(speeds).ok().and_then(|text| text.split_once(','));
                let speed = speed.and_then(|(to, from)| Some((to.trim().parse().ok()?, from.trim().parse().ok()?)));
                if speed.is_some() && core::mem::replace(&mut self.terminal.speed, speed) != speed {
                    return Found::Signal(Signal::Speed);
                }
            }
            (option::XDISPLOC, [IS, text @ ..]) if of_him => {
                if replace(&mut self.terminal.display_location, text) {
                    return Found::Signal(Signal::DisplayLocation);
                }
            }
            (option::SNDLOC, text) if of_him => {
                if replace(&mut self.terminal.location, text) {
                    return Found::Signal(Signal::Location);
                }
            }
            (option::CHARSET, &[verb, ref rest @ ..]) => return self.charset(verb, rest),
            (option::LINEMODE, [SLC, triplets @ ..]) if of_him => self.special_characters(triplets),
            (option::STATUS, [SEND]) if of_us => self.say_status(),
            (option::GMCP, message) if core::str::from_utf8(message).is_ok() => {
                *kept = content;
                return Found::Gmcp;
            }
            _ if option == option::MSSP || KNOWN.contains(&option) => {}
            _ => {
                *kept = content;
                return Found::Subnegotiation(option);
            }
        }
        Found::Nothing
    }

    fn set_variables(&mut self, mut rest: &[u8]) -> bool {
        let (mut changed, mut count) = (false, 0);
        while count < VARIABLES_MAX
            && let Some((VAR | USERVAR, behind)) = rest.split_first().map(|(&kind, behind)| (kind, behind))
        {
            let name = unescape(behind, &mut rest);
            let value = rest.strip_prefix(&[VALUE]).map(|behind| unescape(behind, &mut rest));
            count += 1;
            self.spent += VARIABLE_COST;
            work::step(VARIABLE_COST);
            changed |= self.terminal.set_variable(&name, value.as_deref());
        }
        changed
    }

    fn charset(&mut self, verb: u8, rest: &[u8]) -> Found {
        match verb {
            ACCEPTED if core::mem::take(&mut self.charset_asked) => {
                let charset = core::str::from_utf8(rest).ok().and_then(Charset::named);
                return charset.map_or(Found::Nothing, |charset| self.set_charset(charset));
            }
            REJECTED => self.charset_asked = false,
            // Both sides requested at once: the server's request wins (RFC 2066 section 5).
            REQUEST if self.charset_asked => subnegotiation(option::CHARSET, &[REJECTED], &mut self.control),
            REQUEST => {
                let chosen = charset_names(rest).take(CHARSETS_MAX).find_map(|name| {
                    self.spent += CHARSET_COST;
                    work::step(CHARSET_COST);
                    let name = core::str::from_utf8(name).ok()?;
                    Some((name, Charset::named(name)?))
                });
                let Some((name, charset)) = chosen else {
                    subnegotiation(option::CHARSET, &[REJECTED], &mut self.control);
                    return Found::Nothing;
                };
                // Sent after the output that uses the old character set.
                subnegotiation(option::CHARSET, &[&[ACCEPTED], name.as_bytes()].concat(), &mut self.output);
                return self.set_charset(charset);
            }
            TTABLE_IS => subnegotiation(option::CHARSET, &[TTABLE_REJECTED], &mut self.control),
            _ => {}
        }
        Found::Nothing
    }

    fn set_charset(&mut self, charset: Charset) -> Found {
        if charset != Charset::Ascii {
            // Only BINARY guarantees eight bits (RFC 856).
            self.enable_option(Side::Us, option::BINARY);
            self.enable_option(Side::Him, option::BINARY);
        }
        if core::mem::replace(&mut self.terminal.charset, charset) == charset {
            return Found::Nothing;
        }
        Found::Signal(Signal::Charset(charset))
    }

    /// Acknowledges or refuses the special characters that the peer proposes (SLC, RFC 1184).
    ///
    /// Acknowledgements are not answered (RFC 1184 section 2.4). The characters are not kept: the
    /// peer translates them into commands.
    fn special_characters(&mut self, triplets: &[u8]) {
        let mut answer = alloc::vec![SLC];
        for triplet in triplets.chunks_exact(3).take(usize::from(SLC_FUNCTIONS)) {
            let &[function, flags, value] = triplet else { continue };
            // An unsupported function is not answered either, so that two sides never loop.
            if flags & SLC_ACK != 0 || flags & SLC_LEVELS == 0 || function == 0 {
                continue;
            }
            if function > SLC_FUNCTIONS {
                answer.extend_from_slice(&[function, 0, 0]);
            } else {
                answer.extend_from_slice(&[function, flags | SLC_ACK, value]);
            }
        }
        if answer.len() > 1 {
            subnegotiation(option::LINEMODE, &answer, &mut self.control);
        }
    }

    /// Queues the list of options that are on, as a STATUS answer (RFC 859).
    fn say_status(&mut self) {
        const SE: u8 = crate::wire::telnet::SE;
        let mut status = alloc::vec![IS];
        for (verb, option) in self.options.on() {
            status.extend_from_slice(&[verb.byte(), option]);
            if option == SE {
                status.push(SE);
            }
        }
        self.spent += status.len();
        subnegotiation(option::STATUS, &status, &mut self.output);
    }

    /// Queues a Generic MUD Communication Protocol message. Returns `false` if the option is off.
    pub fn gmcp(&mut self, package: &str, data: &str) -> bool {
        self.subnegotiate(option::GMCP, gmcp(package, data).as_bytes())
    }

    /// Queues the server's variables for crawlers (MSSP). Returns `false` if the option is off.
    pub fn server_status<'s>(&mut self, variables: impl IntoIterator<Item = (&'s str, &'s str)>) -> bool {
        const MSSP_VAR: u8 = 1;
        const MSSP_VAL: u8 = 2;
        let mut content = Vec::new();
        for (name, value) in variables {
            for (marker, text) in [(MSSP_VAR, name), (MSSP_VAL, value)] {
                content.push(marker);
                content.extend(text.bytes().filter(|byte| !matches!(byte, 0..=MSSP_VAL)));
            }
        }
        self.subnegotiate(option::MSSP, &content)
    }
}

/// Reads and unescapes a name or value up to the next marker. Sets `rest` to the bytes after it.
fn unescape<'a>(text: &'a [u8], rest: &mut &'a [u8]) -> Vec<u8> {
    let (mut plain, mut bytes) = (Vec::new(), text.iter());
    while let Some(&byte) = bytes.as_slice().first() {
        if matches!(byte, VAR | VALUE | USERVAR) {
            break;
        }
        bytes.next();
        if byte == ESC {
            plain.extend(bytes.next());
        } else {
            plain.push(byte);
        }
    }
    *rest = bytes.as_slice();
    plain
}

fn replace(place: &mut Option<String>, text: &[u8]) -> bool {
    let text =
        core::str::from_utf8(text).ok().filter(|text| text.len() <= crate::wire::telnet::Terminal::TEXT_MAX_BYTES);
    let Some(text) = text.filter(|text| !text.chars().any(char::is_control)) else { return false };
    if place.as_deref() == Some(text) {
        return false;
    }
    *place = Some(text.into());
    true
}

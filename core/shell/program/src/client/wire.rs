//! The capabilities of the wire of an address.

use clap::error::ErrorKind;
use drupe_core::telnet::Delivery;
use drupe_core::wire::Wire;
use drupe_core::{Dial, DialProtocol};

pub(crate) const fn is_websocket(dial: &Dial) -> bool {
    matches!(dial.protocol, DialProtocol::WebSocket(_))
}

pub(crate) const fn is_telnet(dial: &Dial) -> bool {
    matches!(dial.protocol, DialProtocol::Spoken(Wire::TelnetClient(_)))
}

/// Returns `true` if the client can end its input and still receive.
///
/// `false` through a proxy: many proxies end both directions when one ends.
pub(crate) const fn has_halves(dial: &Dial) -> bool {
    !is_websocket(dial) && !is_telnet(dial) && dial.proxy.is_none()
}

/// Returns `true` if a telnet server's text is passed on as it arrives, not line by line.
pub(crate) const fn is_stream(dial: &Dial) -> bool {
    match &dial.protocol {
        DialProtocol::Spoken(Wire::TelnetClient(telnet)) => matches!(telnet.delivery, Delivery::Stream),
        _ => false,
    }
}

/// Returns `true` if messages have boundaries.
pub(crate) const fn has_messages(dial: &Dial) -> bool {
    !is_stream(dial) && !matches!(dial.protocol, DialProtocol::Spoken(Wire::Raw(_)))
}

/// Returns `true` if a message may contain any bytes.
pub(crate) const fn has_binary(dial: &Dial) -> bool {
    matches!(dial.protocol, DialProtocol::WebSocket(_) | DialProtocol::Spoken(Wire::LengthPrefixed(_) | Wire::Raw(_)))
}

/// Returns the error of an option that the wire of the address can't use, which names both.
pub(crate) fn refuse(option: &str, dial: &Dial, advice: &str) -> clap::Error {
    let words = format!("{option} can't be used with {}: {advice}\n", scheme(dial));
    clap::Error::raw(ErrorKind::ArgumentConflict, words)
}

/// Returns the scheme of an address, with `://`.
const fn scheme(dial: &Dial) -> &'static str {
    match (&dial.protocol, dial.tls.is_some()) {
        (DialProtocol::Spoken(Wire::TelnetClient(_)), false) => "telnet://",
        (DialProtocol::Spoken(Wire::TelnetClient(_)), true) => "telnets://",
        (DialProtocol::Spoken(Wire::LengthPrefixed(_)), false) => "length://",
        (DialProtocol::Spoken(Wire::LengthPrefixed(_)), true) => "lengths://",
        (DialProtocol::Spoken(Wire::Raw(_)), false) => "raw://",
        (DialProtocol::Spoken(Wire::Raw(_)), true) => "raws://",
        (DialProtocol::Spoken(Wire::Delimited(_)), false) => "delimited://",
        (DialProtocol::Spoken(Wire::Delimited(_)), true) => "delimiteds://",
        (DialProtocol::WebSocket(_), false) => "ws://",
        (DialProtocol::WebSocket(_), true) => "wss://",
        (_, false) => "tcp://",
        (_, true) => "tls://",
    }
}

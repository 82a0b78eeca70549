//! Ends of input without the `close_notify` of TLS.

use super::endings::{secure, take};
use drupe_core::app::Echo;
use drupe_core::http::Http;
use drupe_core::tls::Secured;
use drupe_core::wire::{Auto, LengthPrefixed, Protocol, Raw, Wire};
use drupe_core::{ListenerId, Machine, Reason, Time};
use std::sync::Arc;

#[test]
fn tls_input_without_close_notify_is_truncated_only_if_a_message_may_be_incomplete() {
    let frames = Wire::LengthPrefixed(LengthPrefixed::default());
    let http = Protocol::Http(Arc::new(Http::default()));
    for (protocol, input, reason) in [
        (Wire::default().into(), &b""[..], Reason::PeerClosed),
        (Wire::default().into(), b"one\n", Reason::PeerClosed),
        (Wire::default().into(), b"one\nt", Reason::Truncated),
        (Protocol::Auto(Auto::default()), b"one\n", Reason::PeerClosed),
        (frames.into(), b"\0\0\0\x01x", Reason::PeerClosed),
        (frames.into(), b"\0\0\0\x01x\0", Reason::Truncated),
        (frames.into(), b"\0\0\0\x02x", Reason::Truncated),
        (Wire::Raw(Raw::default()).into(), b"one\n", Reason::Truncated),
        (http.clone(), b"", Reason::PeerClosed),
        (http, b"GET / HT", Reason::Truncated),
    ] {
        let mut machine = Machine::new(secure(protocol), Echo);
        machine.started(Time::START);
        let peer = "192.0.2.1:1".parse().expect("an address");
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
        machine.secured(Time::START, conn, &Secured::default());
        machine.received(Time::START, conn, &mut input.to_vec());
        machine.truncated(Time::START, conn);
        take(&mut machine, Time::START, conn);
        let ended = |reason| machine.metrics().ended.get(reason) + machine.metrics().http_ended.get(reason);
        assert_eq!((ended(reason), machine.metrics().open), (1, 0), "{input:?} {reason}");
    }
}

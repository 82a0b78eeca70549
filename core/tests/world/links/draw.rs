//! Draws the dials of a world, and maps each address to an end.

use super::server::{Secrecy, Speech};
use crate::swarm::{Feature, Swarm};
use drupe_core::http::OpeningHandshake;
use drupe_core::outbound::Marks;
use drupe_core::tls::ClientTls;
use drupe_core::wire::{LengthPrefixed, Wire};
use drupe_core::{AddressOrder, Backoff, Dial, DialProtocol, Listen, TlsStart};
use std::time::Duration;

/// A protocol, with or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) speech: Speech,
    pub(crate) secrecy: Secrecy,
}

const KINDS: [(&str, Speech, Secrecy); 8] = [
    ("tcp", Speech::Lines, Secrecy::Plain),
    ("tls", Speech::Lines, Secrecy::AtOnce),
    ("starttls", Speech::Lines, Secrecy::WhenAsked),
    ("length", Speech::Frames, Secrecy::Plain),
    ("lengths", Speech::Frames, Secrecy::AtOnce),
    ("startlengths", Speech::Frames, Secrecy::WhenAsked),
    ("ws", Speech::WebSocket, Secrecy::Plain),
    ("wss", Speech::WebSocket, Secrecy::AtOnce),
];

/// The end at an address.
pub(crate) enum Place {
    Dead,
    Server(Kind),
    /// The listener with this number.
    Listener(u32),
}

/// Returns the end at an address, such as `wss.server-1:7` or `tcp.listener:7`.
pub(crate) fn end_of(address: &str) -> Place {
    let (scheme, rest) = address.split_once('.').expect("an address of ours");
    let kind = kind_of(scheme);
    match rest {
        "dead:7" => Place::Dead,
        "listener:7" => {
            let number = listeners().iter().position(|(other, _)| *other == kind).expect("a listener");
            Place::Listener(u32::try_from(number).expect("few"))
        }
        _ => Place::Server(kind),
    }
}

pub(crate) fn kind_of(scheme: &str) -> Kind {
    let (_, speech, secrecy) = KINDS.into_iter().find(|(name, ..)| *name == scheme).expect("a kind");
    Kind { speech, secrecy }
}

/// Returns a listener for each kind whose TLS begins at once or never.
pub(crate) fn listeners() -> Vec<(Kind, Listen)> {
    let kinds = KINDS.into_iter().filter(|(.., secrecy)| *secrecy != Secrecy::WhenAsked);
    let listen = |(number, (_, speech, secrecy)): (usize, (&str, Speech, Secrecy))| {
        let scheme = match speech {
            Speech::Lines => "tcp",
            Speech::Frames => "length",
            Speech::WebSocket => "ws",
        };
        let listen: Listen = format!("{scheme}://127.0.0.1:{}", 7_000 + number).parse().expect("an address");
        (Kind { speech, secrecy }, listen.notices(false))
    };
    kinds.enumerate().map(listen).collect()
}

/// Draws one to four dials.
pub(crate) fn dials(swarm: &mut Swarm, tls: &[ClientTls; 2], is_calm: bool) -> Vec<Dial> {
    (0..=swarm.number(4)).map(|_| dial(swarm, tls, is_calm)).collect()
}

fn dial(swarm: &mut Swarm, tls: &[ClientTls; 2], is_calm: bool) -> Dial {
    let (scheme, speech, secrecy) = swarm.pick(&KINDS);
    let protocol = match speech {
        Speech::Lines => Wire::default().into(),
        Speech::Frames => Wire::LengthPrefixed(LengthPrefixed::default()).into(),
        Speech::WebSocket => DialProtocol::WebSocket(OpeningHandshake::new("/").deflate(false).ping(None).into()),
    };
    let mut addresses: Vec<String> = (0..=swarm.number(4))
        .map(|_| {
            let place = swarm.pick(&["dead", "server-1", "server-2", "server-3", "listener"]);
            // Listeners do not begin TLS when they are asked.
            let place = if secrecy == Secrecy::WhenAsked && place == "listener" { "server-1" } else { place };
            format!("{scheme}.{place}:7")
        })
        .collect();
    let backoff = (!swarm.chance(4)).then(|| {
        Backoff::default()
            .initial(swarm.span(&[100, 1_000]).min(Duration::from_secs(100)))
            .factor(swarm.pick(&[0, 1, 2, 10]))
            .cap(swarm.span(&[500, 10_000]).min(Duration::from_secs(100)))
            .jitter_percent(swarm.pick(&[0, 50, 100, 255]))
            .stable_after(swarm.span(&[0, 5_000, 30_000]))
            .attempts_max(swarm.pick(&[None, None, Some(0), Some(1), Some(4)]))
    });
    let settings = (secrecy != Secrecy::Plain).then(|| {
        let version = swarm.number(2);
        tls[version].clone().server_name(Some("localhost".into()))
    });
    let start = if secrecy == Secrecy::WhenAsked { TlsStart::WhenAsked } else { TlsStart::AtOnce };
    let small = Marks::new(100, 300, 100_000).expect("in order");
    Dial::lines(addresses.remove(0))
        .others(addresses)
        .order(swarm.pick(&[AddressOrder::InOrder, AddressOrder::Random]))
        .protocol(protocol)
        .backoff(backoff)
        .timeout(if is_calm { Duration::from_secs(5) } else { swarm.span(&[1_000, 5_000, 30_000]) })
        .tls(settings)
        .tls_start(start)
        .limits(if is_calm { None } else { swarm.limits() })
        .marks(if swarm.has(Feature::SmallMarks) { Some(small) } else { None })
        .always_read(swarm.chance(2))
        .kept_in_drain(swarm.chance(3))
}

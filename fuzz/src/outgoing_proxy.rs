//! Answers of a proxy to outgoing connections.

use crate::cut::cut;
use crate::memory::peak_of;
use drupe_core::testing::TestHub;
use drupe_core::wire::outgoing_proxy::{HandshakeProgress, OutgoingProxy, ProxyHandshake};
use drupe_core::work::steps_of;
use drupe_core::{Config, Dial, Event, Handler, Hub, Peer};
use std::fmt::Write;
use std::time::Duration;

const PROXIES: [&str; 4] =
    ["http://192.0.2.9:1", "http://ann:pw@192.0.2.9:1", "socks5://192.0.2.9:1", "socks5://ann:pw@192.0.2.9:1"];

/// Dials once and logs the events.
#[derive(Default)]
struct Caller {
    log: String,
}

impl Handler for Caller {
    type Context = ();
    type Note = (String, bool);

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        let _ = match event {
            Event::Note((proxy, is_websocket)) => {
                let websocket = Dial::websocket("example.org:80", "/");
                let dial = if is_websocket { websocket } else { Dial::lines("example.org:7") };
                hub.dial(dial.proxy(Some(proxy.parse().expect("well formed"))));
                Ok(())
            }
            Event::Opened { .. } => self.log.write_str("opened;"),
            Event::Message { payload, .. } => write!(self.log, "{payload:?};"),
            Event::Closed { reason, .. } => write!(self.log, "closed {reason};"),
            Event::DialFailed { failure, .. } => write!(self.log, "failed {failure};"),
            _ => Ok(()),
        };
    }
}

/// Sends any bytes as the answers of a proxy, in any pieces. Also parses them as a proxy's
/// text form.
///
/// # Panics
/// If the split changes the result, or the memory or the work exceeds its bound.
pub fn outgoing_proxy(data: &[u8]) {
    let [kind, length, answer @ ..] = data else { return };
    if let Ok(text) = core::str::from_utf8(answer) {
        parse(text);
    }
    let proxy = PROXIES[usize::from(*kind) % PROXIES.len()];
    let messages = messages(proxy, answer);
    let lengths = [&[usize::MAX][..], &[1], &[usize::from(*length).max(1), 3]];
    let [whole, single, split] = lengths.map(|lengths| handshake(proxy, &messages, lengths));
    assert!(whole == single && whole == split, "the split changes the result: {whole:?}, {single:?}, {split:?}");
    for lengths in lengths {
        dial(proxy, kind & 0x80 != 0, &messages, lengths);
    }
}

fn begin(proxy: &str) -> ProxyHandshake {
    let proxy: OutgoingProxy = proxy.parse().expect("well formed");
    let mut handshake = ProxyHandshake::new(&proxy, "example.org:7").expect("HOST:PORT");
    assert!(!handshake.take_output().is_empty(), "the client speaks first");
    handshake
}

/// Splits an answer where the client sends its next message, as a proxy does that waits for it.
fn messages<'a>(proxy: &str, answer: &'a [u8]) -> Vec<&'a [u8]> {
    let mut handshake = begin(proxy);
    let (mut messages, mut start) = (Vec::new(), 0);
    for (byte, end) in answer.iter().zip(1..) {
        handshake.receive(&[*byte]);
        if !handshake.take_output().is_empty() {
            messages.push(&answer[start..end]);
            start = end;
        }
    }
    messages.push(&answer[start..]);
    messages
}

/// Feeds the handshake alone. Returns its progress and the length of the answer.
fn handshake(proxy: &str, messages: &[&[u8]], lengths: &[usize]) -> (HandshakeProgress, usize) {
    let mut handshake = begin(proxy);
    let (mut used, mut steps, mut bytes) = (0, 0, 0);
    for piece in messages.iter().flat_map(|message| cut(message, lengths)) {
        bytes += piece.len();
        let peak = peak_of(|| {
            let (taken, work) = steps_of(|| handshake.receive(&piece));
            used += taken;
            steps += work;
            assert!(taken == piece.len() || handshake.progress() != HandshakeProgress::Reading, "it reads all");
        });
        drop(handshake.take_output());
        assert!(peak < 40 << 10, "{peak} bytes for {}", piece.len());
    }
    assert!(steps <= 100 + 10 * bytes as u64, "{steps} steps for {bytes} bytes");
    let progress = handshake.progress();
    (progress, if progress == HandshakeProgress::Done { used } else { 0 })
}

/// Dials through the proxy, which closes after its answers.
fn dial(proxy: &str, is_websocket: bool, messages: &[&[u8]], lengths: &[usize]) {
    let mut hub = TestHub::with_config(Config::listening([]).seed(Some(7)).unlimited(), Caller::default());
    hub.note((proxy.to_owned(), is_websocket));
    let dial = hub.machine().dials().next().expect("it was asked for").0;
    let conn = hub.dialed(dial, Peer::Address(([192, 0, 2, 9], 1).into())).expect("it is wanted");
    for piece in messages.iter().flat_map(|message| cut(message, lengths)) {
        if hub.is_closed(conn) {
            break;
        }
        let peak = peak_of(|| hub.send(conn, &piece));
        assert!(peak < 1 << 20, "{peak} bytes for {}", piece.len());
        let sent = String::from_utf8_lossy(hub.received(conn));
        let leaks = |(_, request): (&str, &str)| request.contains("pw") || request.contains("Authorization");
        assert!(!sent.split_once("GET ").is_some_and(leaks), "the server gets the credentials: {sent}");
        hub.advance(Duration::from_millis(1));
    }
    if !hub.is_closed(conn) {
        hub.end(conn);
    }
    hub.advance(Duration::from_secs(120));
    assert!(hub.is_closed(conn));
    assert_eq!(hub.machine().recount(), Ok(()));
    let log = &hub.handler().log;
    assert!(log.starts_with("opened;") && !is_websocket || log.starts_with("failed "), "{log}");
}

fn parse(text: &str) {
    let Ok(proxy) = text.parse::<OutgoingProxy>() else { return };
    let shown = proxy.to_string();
    let again: OutgoingProxy = shown.parse().expect("what it shows");
    assert_eq!((again.address(), again.protocol(), again.user()), (proxy.address(), proxy.protocol(), None));
    let request = ProxyHandshake::new(&proxy, "h:1").expect("HOST:PORT").take_output();
    let is_socks = request.first() == Some(&5);
    assert!(is_socks || request.split(|byte| *byte == b'\n').count() <= 5, "{request:?}");
}

//! Input and output of the monitor.

use crate::memory::peak_of;
use drupe_core::app::Relay;
use drupe_core::http::{Credential, Http};
use drupe_core::kit::layer::Within;
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::testing::TestHub;
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, Listen, ListenerId};
use std::time::Duration;

const CREDENTIAL: &str = "0123456789abcdef";
/// The password of the peer.
const SECRET: &str = "HIDDEN";

/// Sends any lines: those that begin with `>` to the monitor, the others from a watched peer.
///
/// `$` in a line for the monitor stands for the peer's connection id. The peer sends a password
/// with each line.
///
/// # Panics
/// If the monitor sends the password, or too much memory is held.
pub fn monitor(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let text = text.replace(SECRET, "");
    let http = Http::default().monitor(Credential::new(CREDENTIAL).ok()).ping(None);
    let web = Listen::new(Address::Tcp(([127, 0, 0, 1], 2).into()), Protocol::Http(http.into()));
    let config = Config::listening([Listen::lines(([127, 0, 0, 1], 1).into()), web]).unlimited();
    let log = LogTail::default();
    let monitor = Monitor::new(MonitorLimits::default(), log.clone());
    let mut hub = TestHub::with_config(config, Relay::default().within(monitor));
    let peer = hub.connect();
    let watcher = hub.try_connect(ListenerId::new(1), "127.0.0.1:9".parse().expect("an address")).expect("accepted");
    let request = format!(
        "GET /monitor HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Authorization: Bearer {CREDENTIAL}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    hub.send(watcher, request.as_bytes());
    let watch = format!("{{\"type\":\"watch_session\",\"session_id\":\"{peer}\"}}");
    for line in core::iter::once(format!(">{watch}").as_str()).chain(text.lines()) {
        let (conn, bytes) = match line.strip_prefix('>') {
            Some(command) => {
                let mut bytes = Vec::new();
                let command = command.replace('$', &peer.to_string());
                frame(Opcode::Text, command.as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
                (watcher, bytes)
            }
            None => (peer, format!("{{\"a\":{line},\"password\":\"{SECRET}\"}}\n{line}\n").into_bytes()),
        };
        if hub.is_closed(conn) {
            continue;
        }
        let peak = peak_of(|| hub.send(conn, &bytes));
        assert!(peak < (2 << 20) + 64 * bytes.len().cast_signed(), "{peak} bytes for {}", bytes.len());
        hub.advance(Duration::from_millis(100));
    }
    hub.advance(Duration::from_secs(2));
    let seen = hub.received(watcher);
    assert!(!seen.windows(SECRET.len()).any(|seen| seen == SECRET.as_bytes()), "the monitor sends the password");
    assert_eq!(hub.machine().recount(), Ok(()));
    assert_eq!(hub.machine().metrics().handler_panics, 0);
}

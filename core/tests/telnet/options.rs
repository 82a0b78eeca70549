//! GMCP, MSSP and compression.

use super::Peer;
use drupe_core::testing::TestHub;
use drupe_core::work::steps_of;
use drupe_core::{Config, Event, Handler, Hub, NoNote};
use std::time::Duration;

#[test]
fn enabled_options_carry_gmcp_and_subnegotiations_both_ways() {
    let mut peer = Peer::new("?gmcp=yes&msdp=yes");
    peer.say(b"\xff\xfc\x18");
    assert!(peer.heard().ends_with(b"\xff\xfb\xc9\xff\xfb\x45\xff\xfd\x22"));
    peer.say(b":gmcp\n\xff\xfa\xc9Too.Early\xff\xf0");
    assert_eq!(peer.heard(), b"");
    peer.say(b"\xff\xfd\xc9\xff\xfa\xc9Core.Hello { \"client\": \"x\" }\xff\xf0:gmcp\n");
    assert_eq!(peer.heard(), b"\xff\xfa\xc9Core.Ping\xff\xf0");
    let told = peer.told();
    assert!(
        told.contains(&"Gmcp { package: \"Core.Hello\", data: \"{ \\\"client\\\": \\\"x\\\" }\" }".into()),
        "{told:?}"
    );
    assert!(!told.iter().any(|told| told.contains("Early")));
    peer.say(b":mxp\n");
    assert_eq!(peer.heard(), b"\xff\xfb\x5b");
    peer.say(b"\xff\xfd\x5b\xff\xfa\x5bhi\xff\xf0\xff\xfd\x45\xff\xfa\x45\x01LIST\x02ROOM\xff\xf0");
    let told = peer.told();
    assert!(told.contains(&"Subnegotiation { option: 91, content: [104, 105] }".into()), "{told:?}");
    assert!(told.iter().any(|told| told.starts_with("Subnegotiation { option: 69")), "{told:?}");
}

/// Has a status for lists of servers (MSSP).
struct Listed(&'static [(&'static str, &'static str)]);

impl Handler for Listed {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if event == Event::Started {
            hub.set_server_status(self.0);
        }
    }
}

#[test]
fn mssp_reports_this_server() {
    let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]);
    let mut hub = TestHub::with_config(config, Listed(&[("NAME", "Drupe"), ("UPTIME", "0")]));
    let (crawler, _) = (hub.connect(), hub.connect());
    hub.send(crawler, b"\xff\xfd\x46");
    let heard = hub.received(crawler);
    assert!(heard.ends_with(b"\xff\xfa\x46\x01PLAYERS\x022\x01NAME\x02Drupe\x01UPTIME\x020\xff\xf0"), "{heard:?}");
}

#[test]
fn mssp_cost_does_not_depend_on_connection_count() {
    let steps = |connections: usize| {
        let config = Config::listening(["telnet://127.0.0.1:0".parse().expect("well formed")]).unlimited();
        let mut hub = TestHub::with_config(config, Listed(&[("NAME", "Drupe")]));
        (0..connections).for_each(|_| _ = hub.connect());
        let crawler = hub.connect();
        hub.send(crawler, b"\xff\xfc\x18");
        let ((), steps) = steps_of(|| (0..10).for_each(|_| hub.send(crawler, b"\xff\xfe\x46\xff\xfd\x46")));
        let told = format!("PLAYERS\u{2}{}", connections + 1);
        assert!(String::from_utf8_lossy(hub.received(crawler)).contains(&told), "{connections}");
        steps
    };
    let (few, many) = (steps(10), steps(2_000));
    assert!(many < few + 1_000, "{few} steps with ten connections, and {many} with 2,000");
}

#[test]
fn mccp2_compresses_output_from_the_marker_on() {
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18");
    assert!(peer.heard().ends_with(b"\xff\xfb\x56\xff\xfb\x57\xff\xfd\x22"));
    peer.say(b"\xff\xfd\x56");
    let marker = b"\xff\xfa\x56\xff\xf0";
    assert_eq!(peer.heard(), marker);
    peer.say(b"hello\n\xff\xfd\xc8");
    let request = drupe_core::Command::Publish { room: "all".into(), payload: "hello".into() };
    peer.hub.command(&request);
    let heard = peer.heard();
    let mut state = miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
    let mut out = [0; 1000];
    let inflated =
        miniz_oxide::inflate::stream::inflate(&mut state, &heard, &mut out, miniz_oxide::MZFlush::None).bytes_written;
    assert_eq!(&out[..inflated], b"hello\r\n\xff\xfc\xc8hello\r\n");
    peer.say(b"\xff\xfe\x56");
    peer.heard();
    peer.say(b"plain\n");
    assert_eq!(peer.heard(), b"plain\r\n");
}

#[test]
fn compressed_stream_without_output_ends_and_the_next_output_begins_another() {
    let inflated = |stream: &[u8]| {
        let mut state = miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
        let mut out = [0; 100];
        let result = miniz_oxide::inflate::stream::inflate(&mut state, stream, &mut out, miniz_oxide::MZFlush::None);
        (out[..result.bytes_written].to_vec(), result.status == Ok(miniz_oxide::MZStatus::StreamEnd))
    };
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x56");
    peer.heard();
    peer.say(b"one\n");
    let first = peer.heard();
    assert_eq!(inflated(&first), (b"one\r\n".to_vec(), false));
    peer.hub.advance(Duration::from_secs(59));
    assert_eq!(peer.heard(), b"");
    peer.hub.advance(Duration::from_secs(1));
    assert_eq!(inflated(&[first, peer.heard()].concat()), (b"one\r\n".to_vec(), true));
    peer.hub.advance(Duration::from_secs(120));
    assert_eq!(peer.heard(), b"");
    peer.say(b"two\n");
    let heard = peer.heard();
    let second = heard.strip_prefix(b"\xff\xfa\x56\xff\xf0").expect("a marker");
    assert_eq!(inflated(second), (b"two\r\n".to_vec(), false));
    // Without agreement, nothing begins.
    peer.hub.advance(Duration::from_secs(60));
    peer.say(b"\xff\xfe\x56");
    peer.heard();
    peer.say(b"plain\n");
    assert_eq!(peer.heard(), b"plain\r\n");
}

#[test]
fn mccp3_input_is_inflated_in_pieces_and_bounded() {
    let compressed = |text: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(text, 6);
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57");
    peer.told();
    let stream = [&b"plain\n\xff\xfa\x57\xff\xf0"[..], &compressed(b"one\ntwo\r\n\xff\xf6thr"), b"ee\n"].concat();
    for size in [1, 2, 7, 1000] {
        let mut peer = Peer::new("?compress=yes");
        peer.say(b"\xff\xfc\x18\xff\xfd\x57");
        peer.told();
        stream.chunks(size).for_each(|piece| peer.say(piece));
        assert_eq!(peer.told(), ["line plain", "line one", "line two", "line three"], "by {size}");
    }
    // A thousandfold: it is met as what it is, a line that is too long.
    peer.say(b"\xff\xfa\x57\xff\xf0");
    peer.say(&compressed(&vec![b'x'; 10_000_000]));
    peer.hub.advance(Duration::from_millis(1));
    assert_eq!(peer.told(), ["closed message_too_large"]);
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0not zlib at all");
    assert_eq!(peer.told().last().map(String::as_str), Some("closed malformed_frame"));
    // Many short lines count as the bytes they are, so the sender is slowed.
    let mut peer = Peer::new("?compress=yes");
    peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0");
    peer.say(&compressed(&b":silent\n".repeat(5_000)));
    let served = peer.told().len();
    assert!(served < 3_000, "{served} lines at once");
    peer.hub.advance(Duration::from_secs(10));
    assert_eq!(served + peer.told().len(), 5_000 + 1, "and nothing is lost");
}

#[test]
fn output_keeps_order_when_compression_ends() {
    let mut peer = Peer::new("?compress=yes&probe=no");
    // The agreement is answered before the marker, and the first negotiation with it.
    peer.say(b"\xff\xfd\x56");
    let heard = peer.heard();
    assert!(heard.ends_with(b"\xff\xfa\x56\xff\xf0"), "{heard:?}");
    peer.say(b"x\n\xff\xfe\x56\xff\xfd\x63");
    let heard = peer.heard();
    let mut state = miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
    let mut out = [0; 100];
    let result = miniz_oxide::inflate::stream::inflate(&mut state, &heard, &mut out, miniz_oxide::MZFlush::None);
    assert_eq!(result.status, Ok(miniz_oxide::MZStatus::StreamEnd));
    assert_eq!(&out[..result.bytes_written], b"x\r\n\xff\xfc\x56");
    assert_eq!(&heard[result.bytes_consumed..], b"\xff\xfc\x63");
}

#[test]
fn mccp3_accepts_blocks_of_the_inflate_chunk_size() {
    for length in [4_095, 4_096, 4_097, 8_192] {
        let mut peer = Peer::new("?compress=yes");
        peer.say(b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0");
        peer.told();
        let mut compressor = miniz_oxide::deflate::core::CompressorOxide::default();
        let line = [&vec![b'x'; length - 1][..], b"\n"].concat();
        let mut out = vec![0; 1_000];
        let sync = miniz_oxide::MZFlush::Sync;
        let result = miniz_oxide::deflate::stream::deflate(&mut compressor, &line, &mut out, sync);
        peer.say(&out[..result.bytes_written]);
        assert_eq!(peer.told(), [format!("line {}", "x".repeat(length - 1))]);
    }
}

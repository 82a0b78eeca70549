//! The cost of one fact in steps, memory and output is bounded, whatever a peer sends.
//!
//! The tests send long runs of everything that is expensive, on every wire.

use crate::work_world::{RUN_BYTES, World, run_of};
use drupe_core::app::Echo;
use drupe_core::telnet::{escape, subnegotiation};
use drupe_core::testing::{Netstrings, TestHub};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::wire::{Custom, Proxies, Wire};
use drupe_core::{Config, Listen};
use std::time::Duration;

/// So many turns of each run are looked at: they are all alike.
const TURNS: usize = 2;
/// Agrees to be echoed and to suppress go-ahead: keys come one by one.
const AGREED: &[u8] = b"\xff\xfc\x18\xff\xfd\x01\xff\xfd\x03";

/// A peer of a telnet listener in a mode, behind what comes first.
fn telnet(mode: &str, first: &[u8]) -> World {
    let mut world = World::new(&format!("telnet://127.0.0.1:1?mode={mode}&gmcp=yes&msdp=yes&compress=yes"));
    world.say(if mode == "line" { b"\xff\xfc\x18" } else { AGREED }, 100);
    world.say(first, 100);
    world
}

/// Lines that have been begun, with what makes keys dear.
fn beginnings() -> Vec<Vec<u8>> {
    let letters = vec![b'x'; 4_090];
    let marks = "e\u{301}\u{302}\u{303}".repeat(600).into_bytes();
    let wide = "漢é".repeat(600).into_bytes();
    vec![
        Vec::new(),
        letters.clone(),
        [&letters[..], b"\x01"].concat(),
        // Lines that can be recalled, beside one that is being typed.
        [&letters[..4_000], b"\r", &letters[..50], b"\rdraft"].concat(),
        [&marks[..4_000], b"\r", &marks[..3_000]].concat(),
        [&wide[..3_000], b"\x1b[D\x1b[D"].concat(),
    ]
}

fn check(name: &str, mode: &str, first: &[u8], unit: &[u8]) {
    let outcome = std::panic::catch_unwind(|| telnet(mode, first).say(&run_of(unit), TURNS));
    assert!(
        outcome.is_ok(),
        "{name} in mode {mode} behind {} bytes that begin {:?}: {}",
        first.len(),
        first.get(..8).unwrap_or(first),
        unit.escape_ascii()
    );
}

#[test]
fn control_keys_cost_at_most_a_turn() {
    for first in beginnings() {
        for key in (0..0x20).chain([0x7f]) {
            for unit in [&[key][..], &[b'x', key], &[0x01, key]] {
                check("a key", "character", &first, unit);
            }
        }
    }
    for key in (0..0x20).chain([0x7f]) {
        check("a key", "line", &beginnings()[4], &[b'x', key]);
        check("a key", "keys", &beginnings()[1], &[key]);
    }
}

#[test]
fn terminal_sequences_cost_at_most_a_turn() {
    let letters = (b'A'..=b'Z').flat_map(|last| [vec![27, b'[', last], vec![27, b'O', last]]);
    let tildes = (0..40).map(|number| format!("\x1b[{number}~").into_bytes());
    let others = [
        &b"\x1b"[..],
        b"\x1b\x1b",
        b"\x1b\x7f",
        b"\x1b\x7fword ",
        b"\x1bx",
        b"\x1b[[A",
        b"\x1b[1;5Cx",
        b"\x1b[999999999999z",
        b"\x1b[200~",
        b"\x1b[D\xff\xf1",
        b"\x1b[H\x1b[F",
        b"\x1b[A\x1b[B",
        b"\x1b[Ax\x15",
        "\u{301}".as_bytes(),
        "\u{301}\u{7f}".as_bytes(),
        "\u{200d}👩".as_bytes(),
        "🇦".as_bytes(),
        "क\u{94d}".as_bytes(),
        b"\xc3",
        b"\xf0\x9f",
    ];
    let all = letters.chain(tildes).chain(others.map(<[u8]>::to_vec));
    for unit in all {
        for first in beginnings() {
            check("a sequence", "character", &first, &unit);
        }
        check("a sequence", "line", &beginnings()[4], &unit);
        check("a sequence", "keys", &beginnings()[1], &unit);
    }
}

#[test]
fn telnet_commands_cost_at_most_a_turn() {
    for mode in ["line", "character", "keys"] {
        for first in [&beginnings()[1], &beginnings()[4]] {
            for command in [0, 7, 200].into_iter().chain(236..=u8::MAX) {
                // What begins a negotiation takes the next byte with it.
                for unit in [&[255, command][..], &[255, command, b'x'], &[0x1b, b'[', b'D', 255, command]] {
                    check("a command", mode, first, unit);
                }
            }
            for verb in 251..=254 {
                let every: Vec<u8> = (0..=u8::MAX).flat_map(|option| [255, verb, option]).collect();
                check("a negotiation", mode, first, &every);
                for option in [0, 1, 3, 5, 6, 24, 31, 34, 39, 42, 70, 86, 201] {
                    check("a negotiation", mode, first, &[255, verb, option]);
                    check(
                        "a negotiation",
                        mode,
                        first,
                        &[255, verb, option, 255, 505_u16.to_be_bytes()[1] ^ verb, option],
                    );
                }
            }
            check("a mode", mode, first, b"\xff\xfe\x01x\xff\xfd\x01x\xff\xfd\x03");
        }
    }
}

#[test]
fn subnegotiations_cost_at_most_a_turn() {
    let long = vec![b'v'; 16_000];
    let variables = b"\x00a\x01b".repeat(3_900);
    let names = b";A".repeat(7_900);
    let windows: Vec<u8> = (1..=250).flat_map(|columns| sub(31, &[0, columns, 0, 24])).collect();
    let contents: [&[u8]; 14] = [
        b"",
        b"\x00",
        b"\x01",
        b"\x01b",
        b"\x00XTERM",
        &[&[0][..], &long].concat(),
        &[&[0][..], &variables].concat(),
        &[&[2][..], &variables].concat(),
        &[&[1][..], &names].concat(),
        &[&[1][..], &[b';'; 15_000]].concat(),
        b"\x02UTF-8",
        &[&[3][..], &[5; 15_000]].concat(),
        &[1; 15_000],
        &[2, 5].repeat(7_000),
    ];
    for mode in ["line", "character", "keys"] {
        let first: Vec<u8> = (0..=u8::MAX).flat_map(|option| [255, 251, option, 255, 253, option]).collect();
        let first = [&first[..], &vec![b'x'; 4_000]].concat();
        for option in [0, 1, 5, 6, 24, 25, 31, 32, 33, 34, 35, 39, 42, 69, 70, 86, 201, 254] {
            for content in contents {
                check("a subnegotiation", mode, &first, &sub(option, content));
            }
        }
        check("a window", mode, &first, &windows);
        check("a window", mode, &first, &[&sub(31, &[0, 1, 0, 24])[..], b"x\x7f", &sub(31, &[3, 232, 0, 24])].concat());
        check("an endless one", mode, &first, b"\xff\xfa\x18\x00x");
    }
}

fn sub(option: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    subnegotiation(option, content, &mut bytes);
    bytes
}

/// Bits as RFC 1951 packs them: each value in so many, least significant first.
fn bits(values: &[(u32, u32)], times: usize) -> Vec<u8> {
    let (mut bytes, mut held, mut count) = (Vec::new(), 0_u64, 0);
    for &(value, length) in values.iter().cycle().take(values.len() * times) {
        held |= u64::from(value) << count;
        count += length;
        while count >= 8 {
            bytes.push(held.to_le_bytes()[0]);
            held >>= 8;
            count -= 8;
        }
    }
    bytes.push(held.to_le_bytes()[0]);
    bytes
}

/// Compressed input that is dear: empty blocks with fixed and with described codes, stored ones, and what inflates to much.
fn blocks() -> Vec<(&'static str, Vec<u8>)> {
    let mut described = vec![(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)];
    // Of the lengths of codes, in the order of the RFC, only 1 and "138 zeros" are there.
    described.extend((0..18).map(|place| (u32::from(place == 2 || place == 17), 3)));
    described.extend([(1, 1), (127, 7), (1, 1), (107, 7), (0, 1), (0, 1), (0, 1)]);
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; 40_000_000], 6);
    vec![
        ("fixed blocks", bits(&[(0, 1), (1, 2), (0, 7)], 52_000)),
        ("last blocks", bits(&[(1, 1), (1, 2), (0, 7), (0, 6)], 30_000)),
        ("described blocks", bits(&described, 5_000)),
        ("stored blocks", [0, 0, 0, 0xff, 0xff].repeat(12_000)),
        ("a bomb", bomb),
    ]
}

#[test]
fn compressed_blocks_cost_at_most_a_turn() {
    for (name, content) in blocks() {
        let mut world = telnet("line", b"\xff\xfd\x57\xff\xfa\x57\xff\xf0\x78\x9c");
        world.say(&content[..content.len().min(RUN_BYTES)], TURNS);
        assert!(world.dearest > 0, "{name}");
        let mut world = web();
        let mut message = Vec::new();
        frame(Opcode::Binary, &content[..content.len().min(RUN_BYTES - 64)], Some([1, 2, 3, 4]), &mut message);
        message[0] |= 0x40;
        world.say(&message, TURNS);
        assert!(world.dearest > 0, "{name}");
    }
}

/// The rate of bytes charges what inflating costs: a read that would take a second of work pauses its peer for seconds.
#[test]
fn byte_rate_charges_the_cost_of_inflating() {
    // The last byte begins the empty block that ends a message (RFC 7692 section 7.2.1).
    let blocks = [&blocks().swap_remove(0).1[..64_000], &[0]].concat();
    let mut message = Vec::new();
    frame(Opcode::Binary, &blocks, Some([1, 2, 3, 4]), &mut message);
    message[0] |= 0x40;
    let zlib = [&b"\xff\xfc\x18\xff\xfd\x57\xff\xfa\x57\xff\xf0\x78\x9c"[..], &blocks].concat();
    for (listen, first, dear) in
        [("ws://127.0.0.1:1", UPGRADE, &message), ("telnet://127.0.0.1:1?compress=yes", b"", &zlib)]
    {
        let config = Config::listening([listen.parse::<Listen>().expect("well formed")]);
        let mut hub = TestHub::with_config(config, Echo);
        let conn = hub.connect();
        hub.send(conn, first);
        hub.send(conn, dear);
        hub.advance(Duration::from_secs(2));
        let reads = |hub: &TestHub<Echo>| hub.machine().intent(conn).expect("open").read;
        assert!(!reads(&hub), "{listen}: it is paused");
        // 64,000 bytes of blocks of ten bits are charged with 25 MiB.
        hub.advance(Duration::from_secs(10));
        assert!(reads(&hub), "{listen}: it goes on");
    }
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// A peer behind an upgrade with compression.
fn web() -> World {
    let mut world = World::new("ws://127.0.0.1:1");
    world.say(UPGRADE, 10);
    assert!(world.heard().starts_with(b"HTTP/1.1 101"));
    world
}

fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(Opcode::Binary, content, Some([1, 2, 3, 4]), &mut bytes);
    bytes[0] = first;
    bytes
}

#[test]
fn websocket_frames_cost_at_most_a_turn() {
    let fragments = [masked(0x02, b""), masked(0x00, b"").repeat(1_000), masked(0x80, b"")].concat();
    for unit in [
        masked(0x89, b""),
        masked(0x89, &[b'p'; 125]),
        masked(0x8a, b""),
        masked(0x8a, b"12345678"),
        masked(0x81, b""),
        masked(0x82, b""),
        masked(0x81, b"x"),
        masked(0xc2, b"\x00"),
        masked(0xc2, b"\x02\x00"),
        masked(0xc1, b"\x03\x00\x00"),
        fragments,
        [masked(0x01, b"x"), masked(0x00, b"x").repeat(500), masked(0x80, b"x")].concat(),
        [masked(0x01, b"\xc3"), masked(0x89, b""), masked(0x80, b"\xbc")].concat(),
        masked(0x88, b""),
    ] {
        let mut world = web();
        world.say(&run_of(&unit), TURNS);
    }
}

#[test]
fn lines_and_frames_cost_at_most_a_turn() {
    for (listen, units) in [
        ("tcp://127.0.0.1:1", vec![&b"\n"[..], b"\r\n", b"\r\0", b"\0", b"\r", b"x", b"x\n", b"\xff\n"]),
        ("tcp://127.0.0.1:1?invalid=replace", vec![b"\xff\n", b"\xffx"]),
        ("length://127.0.0.1:1?prefix=u8", vec![b"\0", b"\x01x"]),
        ("length://127.0.0.1:1?prefix=varint", vec![b"\0", b"\x80\0", b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\0x"]),
        ("auto://127.0.0.1:1", vec![b"\n", b"GET ", b"\xff\xf1"]),
        ("raw://127.0.0.1:1", vec![b"x"]),
        ("delimited://127.0.0.1:1", vec![b"\0", b"x", b"x\0", b"\xff\0"]),
        ("delimited://127.0.0.1:1?delimiter=%00%00%00%00%00%00%00%01", vec![b"\0", b"\0\0\0\0\0\0\0\x01"]),
        ("raw://127.0.0.1:1?mode=keys", vec![b"x", b"\x1b", b"\x1b[A", b"\r\n", b"\xff", b"\xc3x"]),
    ] {
        for unit in units {
            World::new(listen).say(&run_of(unit), TURNS);
        }
    }
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn request_bodies_cost_at_most_a_turn() {
    let requests = [POST, b"1\r\nx\r\n0\r\n\r\n"].concat();
    for (first, unit) in [
        (POST, &b"1\r\nx\r\n"[..]),
        (POST, b"1;a\r\nx\r\n"),
        (POST, b"10\r\n0123456789abcdef\r\n"),
        (POST, b"10000\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        ([POST, b"0\r\n"].concat().as_slice(), b"a:b\r\n"),
        (b"", &requests),
    ] {
        let mut world = World::new("ws://127.0.0.1:1?body_max=1000000");
        world.say(first, 1);
        (0..4).for_each(|_| world.say(&run_of(unit), TURNS));
    }
}

/// What was looked at once is not looked at again with each byte that comes.
#[test]
fn byte_by_byte_input_costs_linear_time() {
    let head = |field: &str| {
        let fields = field.repeat(7_500 / field.len());
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n{fields}X: {}", "x".repeat(500)).into_bytes()
    };
    let long = [&b"GET /"[..], &[b'x'; 8_000]].concat();
    let mut behind_proxies: Listen = "tcp://127.0.0.1:1".parse().expect("well formed");
    behind_proxies.proxies = Some(Proxies::trusting(["192.0.2.0/24".parse().expect("a network")]));
    let proxied = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xff"[..], &[0; 4_000]].concat();
    for (listen, stream) in [
        ("ws://127.0.0.1:1", head("Accept: something\r\n")),
        ("ws://127.0.0.1:1", head("A:b\r\n")),
        ("ws://127.0.0.1:1?body_max=10000", [POST, &b"1;x\r\ny\r\n".repeat(1_000)].concat()),
        ("ws://127.0.0.1:1?body_max=10000", [POST, b"1f40\r\n", &[b'x'; 8_000]].concat()),
        ("auto://127.0.0.1:1", long),
        ("auto://127.0.0.1:1", head("A: b\r\n")),
        ("tcp://127.0.0.1:1", vec![b'x'; 8_000]),
        ("telnet://127.0.0.1:1", vec![b'x'; 8_000]),
        ("raw://127.0.0.1:1", vec![b'x'; 8_000]),
        ("delimited://127.0.0.1:1", vec![b'x'; 8_000]),
        ("delimited://127.0.0.1:1?delimiter=xxxxxxxy", vec![b'x'; 8_000]),
        ("raw://127.0.0.1:1?mode=keys", vec![b'x'; 8_000]),
        ("length://127.0.0.1:1", [&8_000_u32.to_be_bytes()[..], &[b'x'; 7_999]].concat()),
    ] {
        bytes_one_by_one(World::new(listen), listen, &stream);
    }
    bytes_one_by_one(World::with_config(Config::listening([behind_proxies])), "behind proxies", &proxied);
    let mut netstrings: Listen = "raw://127.0.0.1:1".parse().expect("well formed");
    netstrings.protocol = Wire::Custom(Custom::new(&Netstrings).expect("a good name")).into();
    let stream = [&b"8000:"[..], &[b'x'; 8_000]].concat();
    bytes_one_by_one(World::with_config(Config::listening([netstrings])), "netstrings", &stream);
}

fn bytes_one_by_one(mut world: World, name: &str, stream: &[u8]) {
    for byte in stream {
        world.say(&[*byte], 2);
    }
    assert!(world.is_open(), "{name}");
    let per_byte = world.total / stream.len() as u64;
    assert!(per_byte <= 100, "{name}: {per_byte} steps for each byte");
}

/// However little is served in a turn, all of it is, in order.
#[test]
fn input_deferred_to_later_turns_is_not_lost() {
    let letters = vec![b'x'; 4_000];
    let keys = [b"\x01\x05".repeat(100), b"\x10\x0e".repeat(50), b"\x0c\x01y\x05".repeat(20)].concat();
    let mut world = telnet("character", &[&letters[..], b"\r"].concat());
    world.heard();
    world.say(&[&letters[..], &keys, b"z\rnext\r"].concat(), 100_000);
    assert_eq!(world.messages(), 3);
    let expected = format!("{}{}z\r\nnext\r\n", "y".repeat(20), "x".repeat(4_000));
    let heard = String::from_utf8(world.heard()).expect("only text");
    assert!(heard.replace("next\r\nnext", "next").ends_with(&expected), "{}", heard.len());
    let mut escaped = Vec::new();
    escape(&[255; 3], &mut escaped);
    let mut world = telnet("line", b"");
    world.heard();
    world.say(&["x\u{301}\x08".repeat(20_000).as_bytes(), &escaped, b"end\r\n"].concat(), 100_000);
    assert_eq!(world.messages(), 1);
    assert_eq!(world.heard(), ["\u{fffd}".repeat(3).as_bytes(), b"end\r\n"].concat());
}

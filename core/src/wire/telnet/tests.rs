use super::*;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Owned version of [`Piece`], with adjacent data joined.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Data(Vec<u8>),
    Command(Command),
    Negotiation(Verb, u8),
    Subnegotiation(u8, Vec<u8>),
}

fn pieces(stream: &[u8], lengths: &[usize], max: usize) -> (Vec<Owned>, u64) {
    let mut parser = Parser::new(max);
    let (mut pieces, mut from) = (Vec::new(), 0);
    for &length in lengths.iter().cycle() {
        if from == stream.len() {
            break;
        }
        let input = &stream[from..(from + length.max(1)).min(stream.len())];
        from += input.len();
        let mut at = 0;
        while at < input.len() {
            let (used, piece) = parser.parse(&input[at..]);
            assert!(used > 0, "no progress");
            at += used;
            match piece {
                None => {}
                Some(Piece::Data(data)) => match pieces.last_mut() {
                    Some(Owned::Data(before)) => before.extend_from_slice(data),
                    _ => pieces.push(Owned::Data(data.to_vec())),
                },
                Some(Piece::Command(command)) => pieces.push(Owned::Command(command)),
                Some(Piece::Negotiation(verb, option)) => pieces.push(Owned::Negotiation(verb, option)),
                Some(Piece::Subnegotiation { option, content }) => {
                    assert!(content.len() <= max);
                    pieces.push(Owned::Subnegotiation(option, content.to_vec()));
                }
            }
        }
    }
    (pieces, parser.dropped())
}

fn data(bytes: &[u8]) -> Owned {
    Owned::Data(bytes.to_vec())
}

fn telnet_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(IAC), 2 => 240..=254u8, 2 => 0..5u8, 3 => any::<u8>()];
    prop::collection::vec(byte, 0..80)
}

proptest! {
    #[test]
    fn parser_result_does_not_depend_on_the_split(stream in telnet_bytes(), lengths in prop::collection::vec(1..7usize, 1..5), max in 0..12usize) {
        let whole = pieces(&stream, &[stream.len()], max);
        prop_assert_eq!(&whole, &pieces(&stream, &[1], max));
        prop_assert_eq!(&whole, &pieces(&stream, &lengths, max));
    }

    #[test]
    fn escaped_data_and_subnegotiations_round_trip(content in prop::collection::vec(prop_oneof![Just(IAC), any::<u8>()], 0..60), option: u8) {
        let mut stream = Vec::new();
        escape(&content, &mut stream);
        let expected = if content.is_empty() { vec![] } else { vec![data(&content)] };
        prop_assert_eq!(pieces(&stream, &[3], 100).0, expected);
        // The option 255 cannot be written by the rules, and is not assigned.
        prop_assume!(option != IAC);
        let mut stream = Vec::new();
        subnegotiation(option, &content, &mut stream);
        prop_assert_eq!(pieces(&stream, &[3], 100).0, vec![Owned::Subnegotiation(option, content)]);
    }
}

/// Checks the pieces of each stream. Each row covers a bug that some telnet library had.
#[test]
fn parser_splits_streams_into_data_commands_and_options() {
    let ayt = Owned::Command(Command::AreYouThere);
    for (stream, expected, dropped) in [
        (&b"ab\xff\xf6cd"[..], vec![data(b"ab"), ayt.clone(), data(b"cd")], 0),
        (b"a\xff\xffb", vec![data(b"a\xffb")], 0),
        (b"\xff\xfd\xff!", vec![Owned::Negotiation(Verb::Do, 255), data(b"!")], 0),
        (b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0x", vec![Owned::Subnegotiation(31, vec![0, 80, 0, 24]), data(b"x")], 0),
        (b"\xff\xfa\x1f\xff\xff\x00\x00\x18\xff\xf0", vec![Owned::Subnegotiation(31, vec![255, 0, 0, 24])], 0),
        (b"\xff\xfa\xff\xf0a", vec![data(b"a")], 1),
        (b"\xff\xfa\x18\xff\xf0a", vec![Owned::Subnegotiation(24, vec![]), data(b"a")], 0),
        // The end is missing before another command.
        (b"\xff\xfa\x18\x00x\xff\xfb\x01a", vec![Owned::Negotiation(Verb::Will, 1), data(b"a")], 1),
        (b"\xff\xfa\x18\x00\xff\xfa\x1f\xff\xf0", vec![Owned::Subnegotiation(31, vec![])], 1),
        // Too long, then ended.
        (b"\xff\xfa\x18123456789\xff\xf0a", vec![data(b"a")], 1),
        (b"\xff\xf0a", vec![Owned::Command(Command::Unknown(240)), data(b"a")], 0),
        (b"\xff\x07a", vec![Owned::Command(Command::Unknown(7)), data(b"a")], 0),
        (b"a\xff", vec![data(b"a")], 0),
    ] {
        for lengths in [1, 2, 100] {
            assert_eq!(pieces(stream, &[lengths], 8), (expected.clone(), dropped), "{stream:?} by {lengths}");
        }
    }
}

#[test]
fn parser_recovers_after_any_byte_behind_iac() {
    for byte in 0..=u8::MAX {
        let stream = [IAC, byte, b'x', IAC, SE, b'y'];
        let (found, _) = pieces(&stream, &[1], 100);
        assert!(found.contains(&data(b"y")), "{byte}: {found:?}");
    }
}

#[test]
fn endless_subnegotiation_is_bounded_and_dropped() {
    let mut parser = Parser::new(1000);
    parser.parse(&[IAC, SB, 24]);
    for _ in 0..1000 {
        assert_eq!(parser.parse(&[b'x'; 999]), (999, None));
        assert!(parser.is_partial());
    }
    assert_eq!(parser.parse(b"\xff\xf0"), (2, None));
    assert_eq!((parser.dropped(), parser.is_partial()), (1, false));
}

/// Checks each transition of RFC 1143 section 7 for the peer's side: message in, answer out.
#[test]
fn option_states_follow_rfc_1143() {
    const OPTION: u8 = 3;
    // How to reach each state. The answers to `WILL` and `WONT` follow below.
    type Reach = fn(&mut Options);
    let will = Some([IAC, Verb::Do.byte(), OPTION]);
    let wont = Some([IAC, Verb::Dont.byte(), OPTION]);
    let no: Reach = |_| {};
    let yes: Reach = |options| {
        options.enable(Side::Him, OPTION);
        options.received(Verb::Will, OPTION);
    };
    let want_yes: Reach = |options| {
        options.enable(Side::Him, OPTION);
    };
    let want_yes_but_no: Reach = |options| {
        options.enable(Side::Him, OPTION);
        options.disable(Side::Him, OPTION);
    };
    let want_no: Reach = |options| {
        options.enable(Side::Him, OPTION);
        options.received(Verb::Will, OPTION);
        options.disable(Side::Him, OPTION);
    };
    let want_no_but_yes: Reach = |options| {
        options.enable(Side::Him, OPTION);
        options.received(Verb::Will, OPTION);
        options.disable(Side::Him, OPTION);
        options.enable(Side::Him, OPTION);
    };
    // State, received, sent, whether it is on afterwards, whether a request of ours is pending.
    for (name, reach, verb, say, on, pending) in [
        ("No", no, Verb::Will, wont, false, false),
        ("No", no, Verb::Wont, None, false, false),
        ("Yes", yes, Verb::Will, None, true, false),
        ("Yes", yes, Verb::Wont, wont, false, false),
        ("WantNo", want_no, Verb::Will, None, false, false),
        ("WantNo", want_no, Verb::Wont, None, false, false),
        ("WantNo, but yes", want_no_but_yes, Verb::Will, None, true, false),
        ("WantNo, but yes", want_no_but_yes, Verb::Wont, will, false, true),
        ("WantYes", want_yes, Verb::Will, None, true, false),
        ("WantYes", want_yes, Verb::Wont, None, false, false),
        ("WantYes, but no", want_yes_but_no, Verb::Will, wont, false, true),
        ("WantYes, but no", want_yes_but_no, Verb::Wont, None, false, false),
    ] {
        let mut options = Options::new();
        reach(&mut options);
        assert_eq!(options.received(verb, OPTION).say, say, "{name}, {verb:?}");
        let state = (options.is_on(Side::Him, OPTION), options.is_pending(Side::Him, OPTION));
        assert_eq!(state, (on, pending), "{name}, {verb:?}");
    }
    let mut options = Options::new();
    options.allow(Side::Him, OPTION);
    assert_eq!(options.received(Verb::Will, OPTION).say, will);
    assert!(options.is_on(Side::Him, OPTION));
}

#[test]
fn option_replies_stop_at_the_change_limit() {
    let mut options = Options::new();
    let said = (0..1_000_000).filter(|_| options.received(Verb::Do, 200).say.is_some()).count();
    assert_eq!(said, usize::from(Options::CHANGES_MAX));
    options.allow(Side::Him, 31);
    let mut said = 0;
    for _ in 0..1000 {
        said += usize::from(options.received(Verb::Will, 31).say.is_some());
        said += usize::from(options.received(Verb::Wont, 31).say.is_some());
    }
    assert_eq!(said, 2 * usize::from(Options::CHANGES_MAX), "one answer to each WILL and WONT");
}

/// Test step: an action of one side's application, or the arrival of messages.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Enable(Side, u8),
    Disable(Side, u8),
    /// The given number of messages from the other side arrive.
    Hear(u8),
}

fn wishes() -> impl Strategy<Value = Vec<(bool, Wish)>> {
    let side = || prop_oneof![Just(Side::Us), Just(Side::Him)];
    let wish = prop_oneof![
        (side(), 0..3u8).prop_map(|(side, option)| Wish::Enable(side, option)),
        (side(), 0..3u8).prop_map(|(side, option)| Wish::Disable(side, option)),
        (1..4u8).prop_map(Wish::Hear),
    ];
    prop::collection::vec((any::<bool>(), wish), 0..40)
}

proptest! {
    #[test]
    fn two_sides_agree_on_options_and_stop_negotiating(wishes in wishes(), allowed in any::<[bool; 6]>()) {
        let mut ends = [Options::new(), Options::new()];
        let mut lines: [VecDeque<[u8; 3]>; 2] = Default::default();
        for (option, allowed) in (0..3).zip(allowed.chunks(2)) {
            for (end, &allowed) in ends.iter_mut().zip(allowed) {
                if allowed {
                    end.allow(Side::Us, option);
                    end.allow(Side::Him, option);
                }
            }
        }
        let hear = |ends: &mut [Options; 2], lines: &mut [VecDeque<[u8; 3]>; 2], who: usize| {
            let Some([_, verb, option]) = lines[1 - who].pop_front() else { return false };
            let verb = [Verb::Will, Verb::Wont, Verb::Do, Verb::Dont][usize::from(verb - 251)];
            lines[who].extend(ends[who].received(verb, option).say);
            true
        };
        for (who, wish) in wishes {
            let who = usize::from(who);
            match wish {
                Wish::Enable(side, option) => lines[who].extend(ends[who].enable(side, option)),
                Wish::Disable(side, option) => lines[who].extend(ends[who].disable(side, option)),
                Wish::Hear(count) => (0..count).for_each(|_| { hear(&mut ends, &mut lines, who); }),
            }
        }
        let mut heard = 0;
        while hear(&mut ends, &mut lines, 0) | hear(&mut ends, &mut lines, 1) {
            heard += 1;
            prop_assert!(heard < 1000, "the negotiation does not end");
        }
        for option in 0..3 {
            for (mine, his) in [(Side::Us, Side::Him), (Side::Him, Side::Us)] {
                prop_assert_eq!(ends[0].is_on(mine, option), ends[1].is_on(his, option), "option {}", option);
                prop_assert!(!ends[0].is_pending(mine, option) && !ends[1].is_pending(his, option));
            }
        }
    }
}

use super::compact::SLACK_BYTES;
use super::slow::SEGMENTS_MAX;
use super::*;
use crate::config::{Gather, Marks};
use crate::state::room::tag_of_notices;
use crate::wire::{Encoder, LengthPrefix, LineEnding};
use alloc::collections::VecDeque;
use alloc::vec;
use core::num::NonZeroU32;
use core::time::Duration;
use proptest::prelude::*;

const LINES: Encoding = Encoding::Lines(LineEnding::Lf);
const FRAMES: Encoding = Encoding::LengthPrefixed(LengthPrefix::U16Be);
const PEERS: u32 = 5;
/// The tags of rooms. The last two have a home.
const ROOMS: [u32; 4] = [0, 1, 1 << 31, 1 << 31 | 1];

fn outbound(limits: OutboundLimits) -> Outbound {
    Outbound::new(limits, Encoder::default())
}

fn limits(low: u32, high: u32, max: u32) -> OutboundLimits {
    OutboundLimits {
        marks: Marks::new(low, high, max).expect("in order"),
        write_deadline: Duration::from_secs(10),
        drain_min_bytes_per_second: NonZeroU32::MIN.saturating_add(99),
        slow_policy: SlowPolicy::Close,
        gather: Gather::OFF,
    }
}

/// A reference model of a queue, as simple as possible: one buffer per message.
#[derive(Clone, Debug, Default)]
struct Model {
    begun: Vec<u8>,
    control: Vec<u8>,
    messages: VecDeque<(u32, Vec<u8>)>,
    behind: bool,
    stalled: bool,
    skipped: u64,
    overflows: u32,
    /// Whether the last message took the place of others.
    has_skipped: bool,
}

impl Model {
    fn bytes(&self) -> Vec<u8> {
        let messages = self.messages.iter().flat_map(|(_, bytes)| bytes.iter().copied());
        self.begun.iter().chain(&self.control).copied().chain(messages).collect()
    }

    fn push(&mut self, room: u32, bytes: &[u8], policy: SlowPolicy, marks: Marks) {
        let over = |model: &Self| (model.bytes().len() + bytes.len()).saturating_sub(marks.max());
        let room = if policy == SlowPolicy::Close && !is_tag_of_home(room) { PRIVATE } else { room };
        self.has_skipped = false;
        if self.behind && over(self) > 0 {
            let mut gone = 0;
            let wanted = match policy {
                // If the message cannot be queued even then, nothing is skipped for it.
                SlowPolicy::SkipOldest | SlowPolicy::KeepLatest if bytes.len() > marks.max() => 0,
                SlowPolicy::Close => {
                    self.overflows += 1;
                    return;
                }
                SlowPolicy::SkipNewest => 0,
                SlowPolicy::SkipOldest => over(self),
                SlowPolicy::KeepLatest => usize::MAX,
            };
            let before = self.messages.len();
            self.messages.retain(|(other, bytes)| {
                let keep = *other != room || gone >= wanted;
                gone += if keep { 0 } else { bytes.len() };
                keep
            });
            self.skipped += (before - self.messages.len()) as u64;
            self.has_skipped = before > self.messages.len() && is_tag_of_home(room);
            // A socket that accepted nothing is still full.
            if wanted > 0 && !self.bytes().is_empty() {
                self.recheck_marks(marks);
            }
            if over(self) > 0 {
                self.skipped += 1;
                return;
            }
        }
        // In place of everything skipped, a message below the high mark does not stall the
        // connection.
        let enough = if self.bytes().is_empty() { marks.high() } else { marks.low() };
        self.messages.push_back((room, bytes.to_vec()));
        self.stalled |= self.behind && self.bytes().len() > marks.high();
        self.stalled &= self.bytes().len() > enough;
    }

    /// Puts a notice before the first message of a room that is left, unless there is one.
    fn notice(&mut self, room: u32, bytes: &[u8], marks: Marks) {
        let has_tag = |tag: u32| move |(other, _): &(u32, Vec<u8>)| *other == tag;
        if self.has_skipped && !self.messages.iter().any(has_tag(tag_of_notices(room))) {
            let place = self.messages.iter().position(has_tag(room)).unwrap_or(self.messages.len());
            self.messages.insert(place, (tag_of_notices(room), bytes.to_vec()));
            self.stalled |= self.behind && self.bytes().len() > marks.high();
        }
    }

    fn control(&mut self, len: usize, marks: Marks) {
        self.control.extend(vec![b'!'; len]);
        let pending = self.bytes().len();
        self.stalled |= self.behind && pending > marks.high();
        self.overflows += u32::from(self.behind && pending > marks.max());
    }

    fn recheck_marks(&mut self, marks: Marks) {
        self.behind &= !self.bytes().is_empty();
        self.stalled &= self.bytes().len() > marks.low();
    }

    fn wrote(&mut self, mut count: usize, marks: Marks) {
        let take = count.min(self.begun.len());
        self.begun.drain(..take);
        count -= take;
        let take = count.min(self.control.len());
        self.control.drain(..take);
        count -= take;
        while count > 0 {
            let Some((_, mut bytes)) = self.messages.pop_front() else { break };
            let take = count.min(bytes.len());
            bytes.drain(..take);
            count -= take;
            self.begun = bytes;
        }
        self.recheck_marks(marks);
    }

    fn blocked(&mut self, marks: Marks) {
        self.behind |= !self.bytes().is_empty();
        self.stalled |= self.bytes().len() > marks.high();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { to: u32, len: usize },
    Publish { room: u32, members: Vec<bool>, except: Option<u32>, policy: SlowPolicy, len: usize },
    Control { to: u32, len: usize },
    Write { to: u32, part: u8 },
    Blocked { to: u32 },
    WriteAll { to: u32 },
    EndTurn,
    Discard { to: u32 },
    Reopen { to: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let to = || 0..PEERS;
    let len = || prop_oneof![4 => 0..40usize, 1 => 0..400usize, 1 => 3000..6000usize];
    let policy = prop_oneof![
        Just(SlowPolicy::Close),
        Just(SlowPolicy::SkipOldest),
        Just(SlowPolicy::SkipNewest),
        Just(SlowPolicy::KeepLatest)
    ];
    let members = prop::collection::vec(any::<bool>(), PEERS as usize);
    let step = prop_oneof![
        4 => (to(), len()).prop_map(|(to, len)| Step::Send { to, len }),
        8 => (prop::sample::select(&ROOMS[..]), members, prop::option::of(to()), policy, len())
            .prop_map(|(room, members, except, policy, len)| Step::Publish { room, members, except, policy, len }),
        2 => (to(), 1..20usize).prop_map(|(to, len)| Step::Control { to, len }),
        5 => (to(), any::<u8>()).prop_map(|(to, part)| Step::Write { to, part }),
        4 => to().prop_map(|to| Step::Blocked { to }),
        5 => to().prop_map(|to| Step::WriteAll { to }),
        3 => Just(Step::EndTurn),
        1 => to().prop_map(|to| Step::Discard { to }),
        1 => to().prop_map(|to| Step::Reopen { to }),
    ];
    prop::collection::vec(step, 1..150)
}

/// Returns the encoding of a connection: frames for the first two, lines for the others.
fn wire_of(index: u32) -> Encoding {
    if index < 2 { FRAMES } else { LINES }
}

fn encoded(wire: Encoding, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::default().encode(wire, Payload::Text(text), &mut bytes).expect("short enough");
    bytes
}

fn run(steps: Vec<Step>, marks: Marks) -> Result<(), TestCaseError> {
    let mut out = outbound(OutboundLimits { marks, ..limits(1, 2, 3) });
    let mut models = vec![Model::default(); PEERS as usize];
    let wires: Vec<u16> = (0..PEERS).map(|index| out.intern(wire_of(index))).collect();
    (0..PEERS).for_each(|index| out.open(index, wires[index as usize]));
    let (mut skipped, mut overflows, mut crossed) = (0, 0, 0);
    for (number, step) in steps.into_iter().enumerate() {
        let text = |len: usize| -> alloc::string::String { alloc::format!("{number}:{}", "x".repeat(len)) };
        match step {
            Step::Send { to, len } => {
                let text = text(len);
                out.send(to, Payload::Text(&text)).expect("short enough");
                models[to as usize].push(PRIVATE, &encoded(wire_of(to), &text), SlowPolicy::Close, marks);
            }
            Step::Publish { room, members, except, policy, len } => {
                let text = text(len);
                for wire in [FRAMES, LINES] {
                    let group: Vec<u32> = (0..PEERS).filter(|&i| members[i as usize] && wire_of(i) == wire).collect();
                    let interned = out.intern(wire);
                    out.publish(&group, except, interned, room, policy, Payload::Text(&text)).expect("short enough");
                    for index in group.into_iter().filter(|&index| Some(index) != except) {
                        models[index as usize].push(room, &encoded(wire, &text), policy, marks);
                        models[index as usize].notice(room, &encoded(wire, "skipped"), marks);
                    }
                    for (index, room) in out.take_skips() {
                        if !out.has_notice(index, room) {
                            out.notice_skipped(index, room, Payload::Text("skipped"));
                        }
                    }
                }
            }
            Step::Control { to, len } => {
                out.control(to, &vec![b'!'; len]);
                models[to as usize].control(len, marks);
            }
            Step::Write { to, part } => {
                let count = out.pending(to) * usize::from(part) / 256;
                out.wrote(Time::START, to, count);
                models[to as usize].wrote(count, marks);
            }
            Step::Blocked { to } => {
                out.blocked(Time::START, to);
                models[to as usize].blocked(marks);
            }
            Step::WriteAll { to } => {
                let count = out.pending(to);
                prop_assert_eq!(out.wrote(Time::START, to, count), count);
                models[to as usize].wrote(count, marks);
            }
            Step::EndTurn => out.end_turn(Time::START),
            Step::Discard { to } => {
                out.discard(to);
                models[to as usize].messages.clear();
                models[to as usize].recheck_marks(marks);
            }
            Step::Reopen { to } => {
                out.close(to);
                out.open(to, wires[to as usize]);
                skipped += models[to as usize].skipped;
                overflows += models[to as usize].overflows;
                models[to as usize] = Model::default();
            }
        }
        while let Some(event) = out.take_watermark_events() {
            crossed += u32::from(matches!(event, WatermarkEvent::Overflow(_)));
        }
        for (index, model) in (0..).zip(&models) {
            let bytes: Vec<u8> = out.slices(index).flatten().copied().collect();
            prop_assert_eq!(bytes, model.bytes(), "connection {} after step {}", index, number);
            prop_assert_eq!(out.pending(index), model.bytes().len());
            prop_assert_eq!(out.is_stalled(index), model.stalled, "connection {} after step {}", index, number);
            prop_assert_eq!(out.write_deadline(index).is_some(), model.behind);
        }
        if number % 16 == 0 {
            prop_assert_eq!(out.recount(|index| Some(wires[index as usize])), Ok(()));
        }
        prop_assert_eq!(out.queued, models.iter().map(|model| model.bytes().len() as u64).sum::<u64>());
        prop_assert_eq!(out.skipped, skipped + models.iter().map(|model| model.skipped).sum::<u64>());
        prop_assert_eq!(crossed, overflows + models.iter().map(|model| model.overflows).sum::<u32>());
    }
    (0..PEERS).for_each(|index| out.close(index));
    out.end_turn(Time::START);
    prop_assert_eq!(out.queued, 0);
    prop_assert!(out.logs.are_unused(), "a log is kept though nobody needs it");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn outbound_agrees_with_a_naive_model(steps in steps()) {
        run(steps, Marks::new(40, 200, 400).expect("in order"))?;
    }

    #[test]
    fn outbound_agrees_with_a_naive_model_for_large_marks(steps in steps()) {
        run(steps, Marks::new(2_000, 6_000, 20_000).expect("in order"))?;
    }
}

#[test]
fn burst_is_one_slice_per_recipient_and_two_for_its_sender() {
    let mut out = outbound(limits(1, 2, 1 << 20));
    let wire = out.intern(LINES);
    (0..3).for_each(|index| out.open(index, wire));
    for (sender, text) in [(None, "one"), (Some(2), "two"), (Some(2), "three"), (None, "four")] {
        out.publish(&[0, 1, 2], sender, wire, 7, SlowPolicy::Close, Payload::Text(text)).expect("short");
        // Direct messages do not split shared ranges.
        out.send(0, Payload::Text("private")).expect("short");
    }
    assert_eq!(out.slices(1).collect::<Vec<_>>(), [b"one\ntwo\nthree\nfour\n"]);
    assert_eq!(out.slices(2).collect::<Vec<_>>(), [&b"one\n"[..], b"four\n"]);
    assert_eq!(out.slices(0).flatten().count(), 19 + 4 * 8);
}

#[test]
fn private_messages_of_a_straggler_pin_no_large_log() {
    let mut out = outbound(limits(1 << 10, 1 << 15, 1 << 20));
    let wire = out.intern(LINES);
    (0..3).for_each(|index| out.open(index, wire));
    let long = "x".repeat(100_000);
    for _ in 0..200 {
        // Connection 0 writes none of its few bytes; 1 writes all of its many.
        out.send(0, Payload::Text("short")).expect("short");
        out.send(1, Payload::Text(&long)).expect("fits");
        for index in [0, 1] {
            if index == 0 {
                out.blocked(Time::START, 0);
            } else {
                out.wrote(Time::START, 1, out.pending(1));
            }
        }
        out.end_turn(Time::START);
    }
    assert_eq!(out.pending(0), 200 * 6);
    assert!(out.held() < 400_000, "{} bytes are held for 1200 that are queued", out.held());
}

/// Runs `turn` a hundred times. Connection 0 writes nothing, connection 1 everything.
///
/// Returns the memory of the logs and the number of queued bytes.
fn held_by_a_straggler(limits: OutboundLimits, mut turn: impl FnMut(&mut Outbound, u16)) -> (usize, u64) {
    let mut out = outbound(limits);
    let wire = out.intern(LINES);
    (0..2).for_each(|index| out.open(index, wire));
    for _ in 0..100 {
        turn(&mut out, wire);
        out.blocked(Time::START, 0);
        out.wrote(Time::START, 1, out.pending(1));
        out.end_turn(Time::START);
    }
    (out.held(), out.queued)
}

#[test]
fn published_messages_of_a_straggler_pin_no_large_log() {
    let (long, medium) = ("x".repeat(600_000), "x".repeat(4_200));
    let publish = |out: &mut Outbound, to: &[u32], wire, room, policy, text: &str| {
        out.publish(to, None, wire, room, policy, Payload::Text(text)).expect("fits");
    };
    let limits = limits(1 << 10, 1 << 20, 1 << 23);
    let bound = |queued: u64| usize::try_from(SLACK_BYTES + 2 * queued).expect("small") + (1 << 21) + (1 << 17);
    // Logs that become full in the middle of a turn.
    let (held, queued) = held_by_a_straggler(limits, |out, wire| {
        publish(out, &[1], wire, 0, SlowPolicy::Close, &long);
        publish(out, &[0], wire, 1, SlowPolicy::Close, "small");
        publish(out, &[1], wire, 0, SlowPolicy::Close, &long);
    });
    assert!(held < bound(queued), "{held} bytes are held for {queued}");
    // Segments behind others that stay.
    let (held, queued) = held_by_a_straggler(limits, |out, wire| {
        out.send(0, Payload::Text("small")).expect("fits");
        out.send(1, Payload::Text(&long)).expect("fits");
        publish(out, &[0], wire, 0, SlowPolicy::Close, &medium);
    });
    assert!(held < bound(queued), "{held} bytes are held for {queued}");
    // Logs of which most is skipped later.
    let (held, queued) = held_by_a_straggler(limits, |out, wire| {
        publish(out, &[0], wire, 0, SlowPolicy::Close, "small");
        publish(out, &[0], wire, 1, SlowPolicy::KeepLatest, &long);
    });
    assert!(held < bound(queued), "{held} bytes are held for {queued}");
}

#[test]
fn tiny_messages_to_a_slow_member_stay_within_segment_limit() {
    let mut out = outbound(limits(1 << 10, 1 << 19, 1 << 20));
    let wire = out.intern(LINES);
    out.open(0, wire);
    for n in 0..50_000_u32 {
        out.publish(&[0], None, wire, n % 2, SlowPolicy::SkipOldest, Payload::Text("a")).expect("fits");
        if n % 100 == 0 {
            out.blocked(Time::START, 0);
            out.end_turn(Time::START);
        }
    }
    assert!(out.queues[0].backlog.earlier.len() <= SEGMENTS_MAX);
    assert_eq!(out.pending(0) / 2 + usize::try_from(out.skipped).expect("small"), 50_000);
}

#[test]
fn watermark_events_do_not_outlive_their_connection() {
    let mut out = outbound(limits(1, 2, 10));
    let wire = out.intern(LINES);
    out.open(0, wire);
    out.send(0, Payload::Text("12345")).expect("fits");
    out.blocked(Time::START, 0);
    assert_eq!(out.send(0, Payload::Text("67890")), Ok(false));
    out.close(0);
    assert_eq!(out.take_watermark_events(), None);
}

#[test]
fn stragglers_share_compacted_messages() {
    let mut out = outbound(limits(1 << 10, 1 << 20, 1 << 25));
    let wire = out.intern(LINES);
    let everybody: Vec<u32> = (0..100).collect();
    everybody.iter().for_each(|&index| out.open(index, wire));
    let long = "x".repeat(50_000);
    for _ in 0..20 {
        out.publish(&everybody, None, wire, 0, SlowPolicy::Close, Payload::Text(&long)).expect("fits");
        for &index in &everybody {
            out.blocked(Time::START, index);
        }
        out.end_turn(Time::START);
    }
    assert_eq!(out.queued, 100 * 20 * 50_001);
    assert!(out.held() < 3_000_000, "{} bytes are held", out.held());
}

#[test]
fn write_deadline_covers_bytes_queued_when_it_began() {
    let mut out = outbound(limits(1, 2, 1 << 20));
    let wire = out.intern(LINES);
    out.open(0, wire);
    out.send(0, Payload::Text(&"x".repeat(999))).expect("fits");
    assert_eq!(out.write_deadline(0), None);
    // 10 s, and 1000 bytes at 100 bytes per second.
    out.blocked(Time::from_secs(100), 0);
    assert_eq!(out.write_deadline(0), Some(Time::from_secs(120)));
    // Neither a byte per second nor more queued bytes postpone the deadline.
    out.send(0, Payload::Text(&"x".repeat(499))).expect("fits");
    for second in 101..119 {
        out.wrote(Time::from_secs(second), 0, 1);
        out.blocked(Time::from_secs(second), 0);
        assert_eq!(out.write_deadline(0), Some(Time::from_secs(120)));
    }
    // The due bytes are written; the rest gets the next deadline.
    out.wrote(Time::from_secs(119), 0, 982);
    assert_eq!(out.write_deadline(0), Some(Time::from_secs(134)));
    out.wrote(Time::from_secs(120), 0, 500);
    assert_eq!(out.write_deadline(0), None);
}

#[test]
fn empty_write_keeps_no_log_in_memory() {
    let mut outbound = outbound(limits(10, 20, 4000));
    let number = outbound.intern(LINES);
    outbound.open(0, number);
    outbound.open(1, number);
    assert_eq!(outbound.send(0, Payload::Text(&"x".repeat(9_000))), Ok(true));
    assert!(outbound.write(1, Payload::Text("")));
    outbound.wrote(Time::START, 0, 9_001);
    outbound.end_turn(Time::START);
    assert!(outbound.logs.are_unused());
    assert_eq!(outbound.recount(|_| Some(number)), Ok(()));
}

#[test]
fn skip_oldest_does_not_rescan_earlier_segments() {
    let mut out = outbound(limits(1 << 10, 1 << 15, 200_000));
    let wire = out.intern(LINES);
    out.open(0, wire);
    out.send(0, Payload::Text("first")).expect("short");
    out.blocked(Time::START, 0);
    let publish = |out: &mut Outbound, room: u32, policy: SlowPolicy| {
        out.publish(&[0], None, wire, room, policy, Payload::Text("forty bytes or so, that everybody gets")).is_ok()
    };
    // Each is a segment of its own, and half of them are never skipped.
    for _ in 0..2_000 {
        assert!(publish(&mut out, 1, SlowPolicy::Close) && publish(&mut out, 2, SlowPolicy::SkipNewest));
    }
    assert!((0..1_500).all(|_| publish(&mut out, 3, SlowPolicy::SkipOldest)));
    let before = out.skipped;
    let ((), steps) = crate::base::work::steps_of(|| {
        for _ in 0..3_000 {
            assert!(publish(&mut out, 3, SlowPolicy::SkipOldest) && publish(&mut out, 2, SlowPolicy::SkipOldest));
        }
    });
    assert!(out.skipped - before > 5_000, "{} skipped", out.skipped - before);
    assert!(steps < 6_000 * 150, "{steps} steps for 6,000 messages");
    while out.take_watermark_events().is_some() {}
    assert_eq!(out.recount(|_| Some(wire)), Ok(()));
}

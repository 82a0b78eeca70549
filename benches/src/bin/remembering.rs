//! Prints what rooms that remember cost.
//!
//! `cargo run --profile dist -p drupe-benches --bin remembering -- [REPETITIONS]`; default: 41.
//!
//! It drives the machine without sockets. Rooms with and without a home are measured alternately,
//! and each repetition compares the two; the table has the median ratio, and the range of the middle
//! 80 %. Memory is what the allocator counts.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

use drupe_benches::{Samples, own_cpu};
use drupe_core::app::Relay;
use drupe_core::history::{Keep, RoomHistories};
use drupe_core::{
    Config, ConnId, Event, Handler, Hub, JoinOptions, Listen, ListenerId, Machine, NoNote, Peer, Presence, RoomMemory,
    RoomOptions, Time,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names or rooms in the measurements of memory.
const MANY: usize = 100_000;

fn main() -> io::Result<()> {
    let repetitions = std::env::args().nth(1).map_or(41, |text| text.parse().expect("a number"));
    let mut out = io::stdout();
    writeln!(out, "| recipients | messages at once | without a home | with a home | ratio |\n|---|---|---|---|---|")?;
    for recipients in [1, 200, 1_000] {
        for messages in [1, 16, 64] {
            fan_out(&mut out, repetitions, recipients, messages)?;
        }
    }
    histories(&mut out)?;
    names(&mut out)
}

/// Measures the time per delivery.
fn fan_out(out: &mut impl Write, repetitions: usize, recipients: usize, messages: usize) -> io::Result<()> {
    let mut plain = Room::new(RoomMemory::default(), recipients);
    let options = RoomOptions::new("*", Keep::messages(100)).positions(false);
    let mut home = Room::new(RoomMemory::default().rooms(vec![options]), recipients);
    let rounds = (2_000_000 / (recipients * messages)).clamp(20, 20_000);
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for turn in 0..repetitions {
        let (first, second) = if turn % 2 == 0 { (&mut plain, &mut home) } else { (&mut home, &mut plain) };
        let (first, second) = (first.measure(rounds, messages), second.measure(rounds, messages));
        pairs.push(if turn % 2 == 0 { (first, second) } else { (second, first) });
    }
    let ratios: Samples = pairs.iter().map(|(plain, home)| home / plain).collect();
    let (of_plain, of_home): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let [of_plain, of_home] = [of_plain, of_home].map(|times| times.into_iter().collect::<Samples>().median() * 1e9);
    writeln!(out, "| {recipients} | {messages} | {of_plain:.1} ns | {of_home:.1} ns | {} |", ratios.ratio())
}

/// A machine with a room, and one member that sends.
struct Room {
    machine: Machine<Relay>,
    sender: ConnId,
    recipients: usize,
}

impl Room {
    fn new(memory: RoomMemory, recipients: usize) -> Self {
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let config = Config::listening([listen]).memory(memory).unlimited();
        let mut machine = Machine::new(config, Relay::default());
        machine.started(Time::START);
        let mut accept = || machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("room for all");
        let sender = accept();
        (0..recipients).for_each(|_| {
            accept();
        });
        Self { machine, sender, recipients }
    }

    /// Returns the seconds per delivery.
    fn measure(&mut self, rounds: usize, messages: usize) -> f64 {
        let line = [vec![b'x'; 63], vec![b'\n']].concat().repeat(messages);
        let mut input = line.clone();
        let began = own_cpu();
        for _ in 0..rounds {
            input.copy_from_slice(&line);
            self.machine.received(Time::START, self.sender, &mut input);
            let mut delivered = 0;
            while let Some(id) = self.machine.next_changed() {
                let bytes = self.machine.intent(id).map_or(0, |intent| black_box(intent.transmit.len()));
                self.machine.wrote(Time::START, id, bytes);
                delivered += bytes;
            }
            self.machine.turn_ended(Time::START);
            assert_eq!(delivered, self.recipients * line.len(), "each recipient gets each message");
        }
        (own_cpu() - began) / as_float(rounds * messages * self.recipients)
    }
}

/// Measures the memory of many rooms with ten messages each.
fn histories(out: &mut impl Write) -> io::Result<()> {
    let before = heap_bytes();
    let mut histories = RoomHistories::new(usize::MAX);
    for room in 0..MANY {
        for message in 0..10_u64 {
            let random = (room as u64, message);
            let text = "x".repeat(64);
            let kept = histories.publish(
                &format!("room {room}"),
                Time::START,
                &Keep::messages(10),
                random,
                None,
                (&*text).into(),
            );
            kept.expect("it is short");
        }
    }
    let (used, counted) = (heap_bytes() - before, histories.bytes());
    writeln!(out, "\n{MANY} rooms with ten messages of 64 bytes: {used} bytes of heap, {counted} counted,")?;
    writeln!(out, "{:.0} bytes per message besides its content", as_float(used) / 1e6 - 64.0)?;
    histories.set_bytes_max(counted / 4);
    writeln!(out, "with a limit of {} bytes: {} bytes of heap", counted / 4, heap_bytes() - before)
}

/// Joins each new connection to one room, under its own name.
struct Crowd {
    named: bool,
}

impl Handler for Crowd {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                let name = format!("member {:06}", conn.index());
                let joined = hub.join_with(conn, "crowd", JoinOptions::new().name(self.named.then_some(&*name)));
                assert_eq!(joined, Ok(true));
            }
            Event::Message { .. } => drop(hub.read_presence("crowd", None, 1_000)),
            _ => {}
        }
    }
}

/// Measures joining, leaving and listing in a room with many names, and the memory of a name.
fn names(out: &mut impl Write) -> io::Result<()> {
    let mut used = [0; 2];
    for named in [false, true] {
        let before = heap_bytes();
        let options = RoomOptions::new("*", Keep::messages(1)).presence(Presence::Names);
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let memory = RoomMemory::default().rooms(vec![options]);
        let mut machine = Machine::new(Config::listening([listen]).memory(memory).unlimited(), Crowd { named });
        machine.started(Time::START);
        let began = own_cpu();
        let mut accept = || machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("room for all");
        let conns: Vec<_> = (0..MANY).map(|_| accept()).collect();
        let joins = own_cpu() - began;
        used[usize::from(named)] = heap_bytes() - before;
        let began = own_cpu();
        for _ in 0..100 {
            machine.received(Time::START, conns[0], &mut b"list\n".to_vec());
        }
        let lists = own_cpu() - began;
        let began = own_cpu();
        for conn in conns {
            machine.failed(Time::START, conn, drupe_core::Failure::Reset);
            while machine.next_changed().is_some() {}
        }
        let leaves = own_cpu() - began;
        let each = |total: f64, count: usize| total * 1e6 / as_float(count);
        let what = if named { "with" } else { "without" };
        writeln!(
            out,
            "{MANY} members {what} names: {:.2} µs to join, {:.2} µs to leave, {:.0} µs to list 1,000",
            each(joins, MANY),
            each(leaves, MANY),
            each(lists, 100)
        )?;
    }
    writeln!(out, "{} bytes per name", (used[1] - used[0]) / MANY)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn as_float(count: usize) -> f64 {
    count as f64
}

fn heap_bytes() -> usize {
    HEAP.load(Ordering::Relaxed)
}

static HEAP: AtomicUsize = AtomicUsize::new(0);

/// Counts the bytes that are allocated.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: it passes every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

//! Replay of recorded runs.

use super::lines;
use super::slow::Verbose;
use drupe_core::app::Relay;
use drupe_core::trace::{FlightRecorder, Obstacle, Recording, SharedTrace, compare, replay};
use drupe_core::{Event, Handler, Hub, ListenerId, Machine, Peer, Time};

#[test]
fn recorded_trace_replays_to_the_same_bytes() {
    let trace = SharedTrace::new();
    let mut machine = Machine::new(lines(), Relay::default());
    machine.record(trace.recorder());
    let peers: Vec<_> = (1..4_u16)
        .map(|port| {
            machine
                .accepted(
                    Time::from_nanos(u64::from(port)),
                    ListenerId::new(0),
                    std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
                )
                .expect("room")
        })
        .collect();
    let mut written = std::collections::BTreeMap::<_, Vec<u8>>::new();
    for (n, peer) in (0..20).zip(peers.iter().cycle()) {
        let now = Time::from_millis(n);
        machine.received(now, *peer, &mut format!("line {n}\r\npart").into_bytes());
        while let Some(id) = machine.next_changed() {
            let bytes: Vec<u8> =
                machine.intent(id).expect("alive").transmit.slices().flatten().copied().take(5).collect();
            machine.wrote(now, id, bytes.len());
            written.entry(id).or_default().extend(bytes);
        }
        machine.turn_ended(now);
    }
    let transcript = replay(&trace.text(), &mut Machine::new(lines(), Relay::default())).expect("well formed");
    assert_eq!(transcript.written, written);
    assert!(trace.text().contains("received 0.1 \"line 0\\r\\npart\"\n"));
}

#[test]
fn replay_reproduces_a_run_with_full_turns() {
    let trace = SharedTrace::new();
    let config = lines().unlimited().seed(Some(7));
    let mut machine = Machine::new(config.clone(), Verbose);
    machine.record(trace.recorder());
    let id = machine.accepted(Time::START, ListenerId::new(0), drupe_core::Peer::Local).expect("room");
    let mut written = 0;
    for n in 0..20 {
        let now = Time::from_millis(n);
        if machine.intent(id).is_some_and(|intent| intent.read) {
            machine.received(now, id, &mut b"?\n?\n?\n?\n?\n".repeat(4));
        }
        machine.elapsed(now);
        while let Some(id) = machine.next_changed() {
            let bytes = machine.intent(id).map_or(0, |intent| intent.transmit.len());
            machine.wrote(now, id, bytes);
            written += bytes;
        }
        machine.turn_ended(now);
    }
    assert!(written > 10 * (256 << 10), "{written} bytes do not fill turns");
    assert_eq!(drupe_core::trace::seed(&trace.text()), Some(7));
    let transcript = replay(&trace.text(), &mut Machine::new(config, Verbose)).expect("well formed");
    assert_eq!(transcript.written[&id].len(), written);
}

/// Sends each note to all peers.
struct Announcing;

impl Handler for Announcing {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        if let Event::Note(text) = event {
            let conns: Vec<_> = hub.connections().collect();
            for conn in conns {
                hub.send(conn, &text);
            }
        }
    }
}

/// Runs a machine that gets a note. Returns its recording, as read from its text.
fn recording_with_a_note(flight: &FlightRecorder, writes_notes: bool) -> Recording {
    let mut machine = Machine::new(lines().seed(Some(7)), Announcing);
    machine.record(if writes_notes { flight.recorder_with_notes(0) } else { flight.recorder(0) });
    machine.started(Time::START);
    let conn = machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("room");
    machine.noted(Time::from_millis(1), "a \"note\"\n".into());
    let bytes = machine.intent(conn).map_or(0, |intent| intent.transmit.len());
    assert!(bytes > 0, "the note is sent");
    machine.wrote(Time::from_millis(1), conn, bytes);
    machine.turn_ended(Time::from_millis(1));
    Recording::parse(&flight.recording("1", "a test").text()).expect("well formed")
}

#[test]
fn recording_replays_notes_that_have_a_text() {
    let recording = recording_with_a_note(&FlightRecorder::new(1 << 20), true);
    assert_eq!(recording.shards[0].obstacle(), None);
    let mut machine = Machine::new(lines().seed(Some(7)), Announcing);
    let found = compare(&recording.shards[0].facts, &mut machine, []).expect("well formed");
    assert_eq!((found.compared, found.first), (1, None));
}

#[test]
fn recording_without_a_note_says_where_it_is_missing() {
    let recording = recording_with_a_note(&FlightRecorder::new(1 << 20), false);
    let obstacle = recording.shards[0].obstacle().expect("a note is missing");
    let Obstacle::Note { line } = obstacle else { panic!("{obstacle}") };
    let text = recording.text();
    assert_eq!(text.lines().nth(line as usize - 1), Some("# 1000000 noted without_text"));
    // Without the obstacle, the difference would look like one of the program.
    let mut machine = Machine::new(lines().seed(Some(7)), Announcing);
    let found = compare(&recording.shards[0].facts, &mut machine, []).expect("well formed");
    assert!(found.first.is_some());
}

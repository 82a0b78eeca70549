//! Replay of recorded runs.

use super::lines;
use super::slow::Verbose;
use drupe_core::app::Relay;
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::{ListenerId, Machine, Time};

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

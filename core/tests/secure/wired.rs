//! Bytes between a machine that dials and the machine of a server.

use drupe_core::testing::TestHub;
use drupe_core::{ConnId, Handler, Machine, Time};

/// Carries bytes in pieces until neither machine has more to say.
pub(crate) fn carry<A: Handler, B: Handler>(
    client: &mut TestHub<A>,
    ours: ConnId,
    server: &mut TestHub<B>,
    theirs: ConnId,
    piece: usize,
) {
    let (mut sent, mut heard) = (0, 0);
    loop {
        let out = client.received(ours)[sent..].to_vec();
        sent += out.len();
        out.chunks(piece).for_each(|piece| server.send(theirs, piece));
        let back = server.received(theirs)[heard..].to_vec();
        heard += back.len();
        back.chunks(piece).for_each(|piece| client.send(ours, piece));
        if out.is_empty() && back.is_empty() {
            return;
        }
    }
}

/// Carries bytes for 19 turns of a machine that records a trace.
pub(crate) fn carry_recorded<A: Handler, B: Handler>(
    machine: &mut Machine<A>,
    ours: ConnId,
    server: &mut TestHub<B>,
    theirs: ConnId,
) {
    let mut heard = 0;
    for step in 1..20 {
        let now = Time::from_millis(step);
        let out = written(machine, now, ours);
        server.send(theirs, &out);
        let mut back = server.received(theirs)[heard..].to_vec();
        heard += back.len();
        if !back.is_empty() {
            machine.received(now, ours, &mut back);
        }
        machine.turn_ended(now);
    }
}

/// Writes all that a machine has to write, and returns it.
pub(crate) fn written<A: Handler>(machine: &mut Machine<A>, now: Time, conn: ConnId) -> Vec<u8> {
    while machine.next_changed().is_some() {}
    let mut all = Vec::new();
    while let Some(bytes) = machine.intent(conn).map(|intent| intent.transmit.first().to_vec()) {
        if bytes.is_empty() {
            break;
        }
        machine.wrote(now, conn, bytes.len());
        all.extend(bytes);
    }
    all
}

//! A machine with one peer that sends long runs of expensive input, and the cost of each fact.

use crate::counting::Measure;
use drupe_core::app::Echo;
use drupe_core::work::steps_of;
use drupe_core::{Config, ConnId, Listen, ListenerId, Machine, Time};
use std::time::Duration;

/// A run is so long: what a shell reads at once.
pub(crate) const RUN_BYTES: usize = 64 << 10;
/// So much may be queued for a peer after one fact.
const OUTPUT_MAX_BYTES: usize = 768 << 10;
/// So much memory may a fact take for a while: what was read and waits, and the output, which grows by doubling.
const MEMORY_MAX_BYTES: isize = 4 << 20;

pub(crate) struct World {
    machine: Machine<Echo>,
    conn: ConnId,
    now: Time,
    heard: Vec<u8>,
    /// The most steps that a fact took.
    pub(crate) dearest: u64,
    /// The steps of all facts.
    pub(crate) total: u64,
}

impl World {
    /// One peer of a listener, without rates: what one turn costs does not depend on them.
    pub(crate) fn new(listen: &str) -> Self {
        Self::with_config(Config::listening([listen.parse::<Listen>().expect("well formed")]).unlimited())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let mut machine = Machine::new(config, Echo);
        machine.started(Time::START);
        let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 1)).into();
        let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
        Self { machine, conn, now: Time::START, heard: Vec::new(), dearest: 0, total: 0 }
    }

    /// Sends bytes as one fact, and has the machine serve what waits for at most `turns` further ones. Every fact must keep to
    /// the bounds.
    pub(crate) fn say(&mut self, bytes: &[u8], turns: usize) {
        let mut input = bytes.to_vec();
        let (conn, now) = (self.conn, self.now);
        self.fact(bytes.len(), |machine| machine.received(now, conn, &mut input));
        for _ in 0..turns {
            let soon = self.now + Duration::from_millis(1);
            let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= soon) else { return };
            self.now = self.now.max(deadline.at);
            let now = self.now;
            self.fact(0, |machine| machine.elapsed(now));
        }
    }

    fn fact(&mut self, bytes: usize, fact: impl FnOnce(&mut Machine<Echo>)) {
        let measure = Measure::begin();
        let ((), steps) = steps_of(|| fact(&mut self.machine));
        self.dearest = self.dearest.max(steps);
        self.total += steps;
        let most = self.machine.config().peer.budget.steps_max(bytes);
        assert!(steps <= most, "{steps} steps, and {most} are allowed for {bytes} bytes");
        assert!(measure.peak() <= MEMORY_MAX_BYTES, "{} bytes of memory", measure.peak());
        let before = self.heard.len();
        while let Some(intent) = self.machine.intent(self.conn).filter(|intent| !intent.transmit.is_empty()) {
            let slice = intent.transmit.first();
            self.heard.extend_from_slice(slice);
            let written = slice.len();
            self.machine.wrote(self.now, self.conn, written);
        }
        assert!(self.heard.len() - before <= OUTPUT_MAX_BYTES, "{} bytes of output", self.heard.len() - before);
        self.machine.turn_ended(self.now);
    }

    /// What the peer was sent since the last call.
    pub(crate) fn heard(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.heard)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.machine.intent(self.conn).is_some()
    }

    pub(crate) fn messages(&self) -> u64 {
        self.machine.metrics().messages_in
    }
}

/// `unit` again and again, about as long as a run.
pub(crate) fn run_of(unit: &[u8]) -> Vec<u8> {
    unit.repeat((RUN_BYTES / unit.len().max(1)).max(1))
}

mod entry;

use crate::base::{INTERVAL_MIN, ListenerId, Random, Time};
use crate::config::Listen;
use crate::state::Pause;
use crate::state::links::entry::{Alive, Bind, Entry, Phase, Place, shown};
use crate::tunnel::{LinkId, Tunnel, TunnelId, TunnelIntent, TunnelReport, TunnelStatus};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The state machines of all tunnels.
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    entries: Vec<Entry>,
    /// A number that rises whenever an intent may have changed.
    version: u64,
    /// Tunnels whose state has changed since `take_changed` was last called.
    changed: Vec<TunnelId>,
    /// Tunnels that lost their link since `take_lost` was last called.
    lost: Vec<TunnelId>,
    /// Whether all forwards are withdrawn, because the server drains.
    leaving: bool,
}

impl Tunnels {
    /// Applies the configured tunnels, and the listeners that accept through them.
    ///
    /// Does nothing in a drain.
    pub(crate) fn configure(&mut self, now: Time, tunnels: &[Tunnel], listeners: &[(ListenerId, &Listen)]) {
        if self.leaving {
            return;
        }
        for entry in &mut self.entries {
            entry.retired = !tunnels.iter().any(|tunnel| tunnel.name == entry.tunnel.name);
        }
        for tunnel in tunnels {
            let known = self.entries.iter_mut().zip(0..).find(|(entry, _)| entry.tunnel.name == tunnel.name);
            let Some((entry, number)) = known else {
                self.entries.push(Entry::new(now, tunnel.clone()));
                continue;
            };
            let is_elsewhere = entry.tunnel.ssh != tunnel.ssh;
            if is_elsewhere && matches!(entry.phase, Phase::Up(..) | Phase::Closing(_)) {
                self.lost.push(TunnelId(number));
            }
            if is_elsewhere || !entry.is_wanted() || matches!(entry.phase, Phase::Waiting(_)) {
                // Something is different: it may do now.
                entry.begin_anew(now);
            }
            if let Phase::Up(_, alive) = &mut entry.phase {
                alive.ask_at = alive.ask_at.min(now + tunnel.keep_alive.interval.max(INTERVAL_MIN));
            }
            if entry.tunnel.as_ref() != tunnel {
                entry.tunnel = Arc::new(tunnel.clone());
            }
        }
        for entry in &mut self.entries {
            let is_up = matches!(entry.phase, Phase::Up(..));
            let by = is_up.then(|| now + entry.tunnel.connect_timeout);
            let forwards = listeners.iter().filter_map(|&(id, listen)| Some((id, listen.address.forward()?)));
            let wanted = forwards.filter(|(_, forward)| forward.tunnel == entry.tunnel.name);
            let wanted: Vec<_> = wanted.map(|(id, forward)| (id, &forward.bind)).collect();
            entry.places.retain(|place| wanted.iter().any(|(id, bind)| *id == place.listener && **bind == place.bind));
            for (listener, bind) in wanted {
                if !entry.places.iter().any(|place| place.listener == listener) {
                    entry.places.push(Place {
                        listener,
                        bind: bind.clone(),
                        state: Bind::Asked(by),
                        tries: 1,
                        failures: 0,
                    });
                }
            }
        }
        self.note_changes();
    }

    /// Handles the shell's report about a link, unless a later attempt has replaced the link.
    ///
    /// Returns the name of the tunnel and the description if a channel was refused.
    pub(crate) fn reported(
        &mut self,
        now: Time,
        link: LinkId,
        report: &TunnelReport,
        random: &mut Random,
    ) -> Option<(String, String)> {
        let entry = self.entries.get_mut(link.tunnel.0 as usize)?;
        if entry.attempt != link.attempt || !entry.has_link() {
            return None;
        }
        let mut refused = None;
        match (report, entry.phase) {
            (TunnelReport::Connected, Phase::Connecting(_)) => entry.came_up(now),
            (TunnelReport::Failed { failure, words }, _) => {
                self.lost.extend(entry.failed(now, *failure, words, random).then_some(link.tunnel));
            }
            (TunnelReport::Bound { listener, port }, Phase::Up(..)) => entry.bound(*listener, *port),
            (TunnelReport::Refused { listener }, Phase::Up(..)) => entry.refused(now, *listener, random),
            (TunnelReport::Answered(number), Phase::Up(since, alive)) if *number == alive.asked => {
                entry.phase = Phase::Up(since, Alive { unanswered: 0, ..alive });
            }
            (TunnelReport::ChannelRefused { words }, _) => {
                entry.channels_refused += 1;
                refused = Some((entry.tunnel.name.clone(), shown(words)));
            }
            (TunnelReport::Closed, Phase::Closing(_)) => entry.phase = Phase::Closed,
            _ => {}
        }
        self.note_changes();
        refused
    }

    /// Handles the time limits, waits and keep-alives that are due at `now`.
    pub(crate) fn elapsed(&mut self, now: Time, random: &mut Random) {
        for (entry, number) in self.entries.iter_mut().zip(0..) {
            self.lost.extend(entry.elapsed(now, random).then_some(TunnelId(number)));
        }
        self.note_changes();
    }

    /// Postpones the time limits of all tunnels by a pause, but not their waits.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        self.entries.iter_mut().for_each(|entry| entry.postpone_deadlines(pause));
    }

    /// Returns when to call [`elapsed`](Self::elapsed) next, if at all.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.iter().filter_map(Entry::next).min()
    }

    /// Withdraws all forwards. `end_unused` then ends each tunnel once it is unused.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        self.note_changes();
    }

    /// Ends unused tunnels: removed ones, or all in a drain. Returns whether there were any.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn end_unused(&mut self, now: Time, channels: impl Fn(&str) -> u64) -> bool {
        let leaving = self.leaving;
        let may_end = |entry: &&mut Entry| (leaving || entry.retired) && entry.is_wanted();
        let unused = |entry: &&mut Entry| channels(&entry.tunnel.name) == 0;
        let mut some = false;
        for entry in self.entries.iter_mut().filter(may_end).filter(unused) {
            some = true;
            entry.phase = match entry.phase {
                Phase::Up(..) => Phase::Closing((now + entry.tunnel.close_timeout).max(now.plus_nanos(1))),
                _ => Phase::Closed,
            };
        }
        // Asked after everything that happens, which is seldom news.
        if some {
            self.note_changes();
        }
        some
    }

    /// Returns `true` if every tunnel is closed or given up.
    pub(crate) fn are_over(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry.phase, Phase::Closed | Phase::GivenUp))
    }

    /// Returns the SSH connections that the shell should make, keep, or close in an orderly way.
    pub(crate) fn intents(&self) -> impl Iterator<Item = TunnelIntent> + '_ {
        let entries = self.entries.iter().zip(0..).filter(|(entry, _)| entry.has_link());
        entries.map(|(entry, number)| TunnelIntent {
            link: LinkId { tunnel: TunnelId(number), attempt: entry.attempt },
            tunnel: Arc::clone(&entry.tunnel),
            forwards: if self.leaving || entry.retired { Vec::new() } else { entry.forwards() },
            asked: if let Phase::Up(_, alive) = entry.phase { alive.asked } else { 0 },
            closing: matches!(entry.phase, Phase::Closing(_)),
        })
    }

    /// Returns the statuses of configured tunnels, and of removed ones not yet closing or given up.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.entries.iter().filter(|entry| !entry.retired || entry.is_wanted()).map(Entry::status)
    }

    /// Returns the status of a tunnel.
    pub(crate) fn status(&self, id: TunnelId) -> Option<TunnelStatus> {
        self.entries.get(id.0 as usize).map(Entry::status)
    }

    /// Returns the number of channels refused on the tunnel with this name.
    pub(crate) fn channels_refused(&self, name: &str) -> u64 {
        self.entries.iter().find(|entry| entry.tunnel.name == name).map_or(0, |entry| entry.channels_refused)
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn take_changed(&mut self) -> Vec<TunnelId> {
        core::mem::take(&mut self.changed)
    }

    /// Removes and returns the names of tunnels that lost their link.
    pub(crate) fn take_lost(&mut self) -> Vec<String> {
        let lost = core::mem::take(&mut self.lost);
        let name = |id: TunnelId| self.entries.get(id.0 as usize).map(|entry| entry.tunnel.name.clone());
        lost.into_iter().filter_map(name).collect()
    }

    fn note_changes(&mut self) {
        self.version += 1;
        for (entry, number) in self.entries.iter_mut().zip(0..) {
            let state = entry.state();
            if core::mem::replace(&mut entry.told, state) != state {
                self.changed.push(TunnelId(number));
            }
        }
    }
}

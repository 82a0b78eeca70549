use crate::base::text::neutralize;
use crate::base::{Backoff, INTERVAL_MIN, ListenerId, Payload, Random, Time};
use crate::config::Listen;
use crate::state::Pause;
use crate::tunnel::{
    ForwardIntent, ForwardStatus, LinkId, RemoteBind, Tunnel, TunnelFailure, TunnelId, TunnelIntent, TunnelReport,
    TunnelState, TunnelStatus,
};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// All tunnels. Pure: their state depends only on reports and times.
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    entries: Vec<Entry>,
    /// Changes with everything that is visible from outside.
    version: u64,
    /// Tunnels whose state has changed since it was last reported.
    changed: Vec<TunnelId>,
    /// Tunnels whose link was lost since the last query.
    lost: Vec<TunnelId>,
    /// No more connections are accepted.
    leaving: bool,
}

#[derive(Debug)]
struct Entry {
    tunnel: Arc<Tunnel>,
    /// It was removed from the configuration.
    retired: bool,
    attempt: u32,
    /// In a row.
    failures: u32,
    phase: Phase,
    places: Vec<Place>,
    connects: u64,
    connected: u64,
    channels_refused: u64,
    last_error: Option<(TunnelFailure, String)>,
    /// The state that was last reported.
    told: TunnelState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The attempt times out then.
    Connecting(Time),
    /// The next attempt is at this time.
    Waiting(Time),
    /// Connected since then.
    Up(Time, Alive),
    /// The disconnect times out then.
    Closing(Time),
    GivenUp,
    Closed,
}

/// The keep-alive state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alive {
    ask_at: Time,
    asked: u32,
    unanswered: u32,
}

#[derive(Debug)]
struct Place {
    listener: ListenerId,
    bind: RemoteBind,
    state: Bind,
    tries: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bind {
    /// The server is asked once it is connected. The answer is due then.
    Asked(Option<Time>),
    Bound(u16),
    Waiting(Time),
}

/// Limit of a failure's text, which may contain text of the SSH server.
const WORDS_MAX_BYTES: usize = 1024;

impl Tunnels {
    /// Applies a new configuration of tunnels and their listeners.
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
                // The change may have fixed it.
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

    /// Handles a report of the shell about a link; reports about earlier links are ignored.
    ///
    /// Returns the tunnel's name and the description of a refused channel.
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

    /// Handles what is due.
    pub(crate) fn elapsed(&mut self, now: Time, random: &mut Random) {
        for (entry, number) in self.entries.iter_mut().zip(0..) {
            self.lost.extend(entry.elapsed(now, random).then_some(TunnelId(number)));
        }
        self.note_changes();
    }

    /// See [`Pause`].
    pub(crate) fn passed_over(&mut self, pause: Pause) {
        self.entries.iter_mut().for_each(|entry| entry.passed_over(pause));
    }

    /// When [`elapsed`](Self::elapsed) has something to do.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.iter().filter_map(Entry::next).min()
    }

    /// Ends unused tunnels, and the others once they are unused.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        self.note_changes();
    }

    /// Ends unused tunnels that should end. Returns false if there were none.
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
        // This runs after every fact and seldom changes anything.
        if some {
            self.note_changes();
        }
        some
    }

    /// Whether all tunnels have ended.
    pub(crate) fn are_over(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry.phase, Phase::Closed | Phase::GivenUp))
    }

    /// The SSH connections that the shell should keep.
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

    /// The statuses of tunnels that are configured or still in use.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.entries.iter().filter(|entry| !entry.retired || entry.is_wanted()).map(Entry::status)
    }

    /// The status of one tunnel.
    pub(crate) fn status(&self, id: TunnelId) -> Option<TunnelStatus> {
        self.entries.get(id.0 as usize).map(Entry::status)
    }

    /// Number of refused channels of the tunnel with this name.
    pub(crate) fn channels_refused(&self, name: &str) -> u64 {
        self.entries.iter().find(|entry| entry.tunnel.name == name).map_or(0, |entry| entry.channels_refused)
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn take_changed(&mut self) -> Vec<TunnelId> {
        core::mem::take(&mut self.changed)
    }

    /// The names of tunnels whose link was lost since the last call.
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

impl Entry {
    fn new(now: Time, tunnel: Tunnel) -> Self {
        Self {
            tunnel: Arc::new(tunnel),
            retired: false,
            attempt: 0,
            failures: 0,
            phase: Phase::Waiting(now),
            places: Vec::new(),
            connects: 0,
            connected: 0,
            channels_refused: 0,
            last_error: None,
            told: TunnelState::Waiting(now),
        }
    }

    fn begin_anew(&mut self, now: Time) {
        self.failures = 0;
        self.phase = Phase::Waiting(now);
        self.forget_places();
    }

    /// Whether the shell has something to do for it.
    const fn has_link(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_) | Phase::Up(..) | Phase::Closing(_))
    }

    /// Whether it is, or will be, connected.
    const fn is_wanted(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_) | Phase::Up(..) | Phase::Waiting(_))
    }

    fn next(&self) -> Option<Time> {
        match self.phase {
            Phase::Connecting(at) | Phase::Waiting(at) | Phase::Closing(at) => Some(at),
            Phase::Up(_, alive) => {
                let waiting = self.places.iter().filter_map(|place| match place.state {
                    Bind::Waiting(at) => Some(at),
                    Bind::Asked(by) => by,
                    Bind::Bound(_) => None,
                });
                waiting.chain([alive.ask_at]).min()
            }
            Phase::GivenUp | Phase::Closed => None,
        }
    }

    fn passed_over(&mut self, pause: Pause) {
        let Tunnel { connect_timeout, close_timeout, keep_alive, .. } = *self.tunnel;
        match &mut self.phase {
            Phase::Connecting(by) => *by = pause.postpone(*by, connect_timeout),
            Phase::Closing(by) => *by = pause.postpone(*by, close_timeout),
            Phase::Up(_, alive) => {
                if alive.ask_at <= pause.now && alive.unanswered >= keep_alive.count_max.max(1) {
                    // The answer may have arrived without being read.
                    alive.ask_at = pause.postpone(alive.ask_at, keep_alive.interval.max(INTERVAL_MIN));
                }
                for place in &mut self.places {
                    if let Bind::Asked(Some(by)) = &mut place.state {
                        *by = pause.postpone(*by, connect_timeout);
                    }
                }
            }
            Phase::Waiting(_) | Phase::GivenUp | Phase::Closed => {}
        }
    }

    /// Handles what is due. Returns true if an established link was lost.
    fn elapsed(&mut self, now: Time, random: &mut Random) -> bool {
        match self.phase {
            Phase::Connecting(by) if by <= now => {
                let words = format!("{} was not reached in {:?}", self.tunnel.ssh.host, self.tunnel.connect_timeout);
                self.failed(now, TunnelFailure::TimedOut, &words, random)
            }
            Phase::Waiting(at) if at <= now => {
                self.attempt = self.attempt.wrapping_add(1);
                self.connects += 1;
                let by = now + self.tunnel.connect_timeout;
                self.phase = Phase::Connecting(by.max(now.plus_nanos(1)));
                false
            }
            Phase::Up(since, alive) => {
                let by = now + self.tunnel.connect_timeout;
                let is_late = |place: &&Place| matches!(place.state, Bind::Asked(Some(by)) if by <= now);
                if let Some(place) = self.places.iter().find(is_late) {
                    let words = format!("{} does not say whether it listens at {}", self.tunnel.ssh.host, place.bind);
                    return self.failed(now, TunnelFailure::Protocol, &words, random);
                }
                for place in &mut self.places {
                    if matches!(place.state, Bind::Waiting(at) if at <= now) {
                        place.state = Bind::Asked(Some(by));
                        place.tries = place.tries.wrapping_add(1);
                    }
                }
                alive.ask_at <= now && self.ask(now, since, alive, random)
            }
            Phase::Closing(by) if by <= now => {
                self.phase = Phase::Closed;
                false
            }
            _ => false,
        }
    }

    /// Sends a keep-alive request, unless too many are unanswered.
    fn ask(&mut self, now: Time, since: Time, alive: Alive, random: &mut Random) -> bool {
        let keep_alive = self.tunnel.keep_alive;
        if alive.unanswered >= keep_alive.count_max.max(1) {
            let words = format!("{} did not answer {} keep-alive requests", self.tunnel.ssh.host, alive.unanswered);
            return self.failed(now, TunnelFailure::Silent, &words, random);
        }
        let ask_at = now + keep_alive.interval.max(INTERVAL_MIN);
        self.phase =
            Phase::Up(since, Alive { ask_at, asked: alive.asked.wrapping_add(1), unanswered: alive.unanswered + 1 });
        false
    }

    fn came_up(&mut self, now: Time) {
        self.connected += 1;
        for place in &mut self.places {
            place.state = Bind::Asked(Some(now + self.tunnel.connect_timeout));
        }
        let ask_at = now + self.tunnel.keep_alive.interval.max(INTERVAL_MIN);
        self.phase = Phase::Up(now, Alive { ask_at, asked: 0, unanswered: 0 });
    }

    /// An attempt failed, or a link was lost. Returns true if a link was lost.
    fn failed(&mut self, now: Time, failure: TunnelFailure, words: &str, random: &mut Random) -> bool {
        let was_up = matches!(self.phase, Phase::Up(..) | Phase::Closing(_));
        if let Phase::Up(since, _) = self.phase
            && now.since(since) >= self.tunnel.reconnect.stable_after
        {
            self.failures = 0;
        }
        let is_renewal = failure == TunnelFailure::Renewed;
        self.failures = self.failures.saturating_add(u32::from(!is_renewal));
        self.last_error = Some((failure, shown(words)));
        self.forget_places();
        // Never at the same moment, so that a shell notices the end of the last attempt.
        let later = |wait: Duration| Phase::Waiting((now + wait).max(now.plus_nanos(1)));
        let slowly = failure.needs_somebody().then_some(self.tunnel.refused_wait.max(INTERVAL_MIN));
        self.phase = match self.tunnel.reconnect.wait(self.failures, random) {
            _ if matches!(self.phase, Phase::Closing(_)) => Phase::Closed,
            _ if is_renewal => later(Duration::ZERO),
            Some(wait) => later(slowly.unwrap_or(wait)),
            None => Phase::GivenUp,
        };
        was_up
    }

    fn forget_places(&mut self) {
        for place in &mut self.places {
            place.state = Bind::Asked(None);
            (place.tries, place.failures) = (1, 0);
        }
    }

    fn bound(&mut self, listener: ListenerId, port: u16) {
        if let Some(place) = self.places.iter_mut().find(|place| place.listener == listener) {
            place.state = Bind::Bound(port);
            place.failures = 0;
        }
    }

    fn refused(&mut self, now: Time, listener: ListenerId, random: &mut Random) {
        // The rest of the tunnel works, so this is never given up.
        let backoff = Backoff { attempts_max: None, ..self.tunnel.reconnect };
        let host = &self.tunnel.ssh.host;
        let Some(place) = self.places.iter_mut().find(|place| place.listener == listener) else { return };
        if matches!(place.state, Bind::Waiting(_)) {
            return;
        }
        place.failures = place.failures.saturating_add(1);
        let wait = backoff.wait(place.failures, random).unwrap_or(backoff.cap);
        place.state = Bind::Waiting((now + wait).max(now.plus_nanos(1)));
        let allows = match place.bind {
            RemoteBind::Tcp { .. } => "AllowTcpForwarding, PermitListen, GatewayPorts",
            RemoteBind::Unix(_) => "AllowStreamLocalForwarding, StreamLocalBindUnlink",
        };
        let words = format!(
            "{host} does not listen at {}: it is taken there, perhaps by our own earlier session, or sshd does not allow it ({allows})",
            place.bind
        );
        self.last_error = Some((TunnelFailure::Forward, words));
    }

    fn forwards(&self) -> Vec<ForwardIntent> {
        let wanted = self.places.iter().filter(|place| !matches!(place.state, Bind::Waiting(_)));
        wanted
            .map(|place| ForwardIntent { listener: place.listener, bind: place.bind.clone(), tries: place.tries })
            .collect()
    }

    fn state(&self) -> TunnelState {
        match self.phase {
            Phase::Waiting(at) => TunnelState::Waiting(at),
            Phase::Up(..) if self.places.iter().all(|place| matches!(place.state, Bind::Bound(_))) => TunnelState::Up,
            Phase::Up(..) if self.places.iter().any(|place| place.failures > 0) => TunnelState::Degraded,
            Phase::Connecting(_) | Phase::Up(..) => TunnelState::Connecting,
            Phase::Closing(_) => TunnelState::Closing,
            Phase::GivenUp => TunnelState::GivenUp,
            Phase::Closed => TunnelState::Closed,
        }
    }

    fn status(&self) -> TunnelStatus {
        let forwards = self.places.iter().map(|place| {
            let is_up = matches!(self.phase, Phase::Up(..));
            let port = if let Bind::Bound(port) = place.state { Some(port).filter(|_| is_up) } else { None };
            let bind = place.bind.bound_at(port.unwrap_or(0));
            ForwardStatus { listener: place.listener, bind, bound: port.is_some() }
        });
        TunnelStatus {
            name: self.tunnel.name.clone(),
            state: self.state(),
            forwards: forwards.collect(),
            last_error: self.last_error.clone(),
            connects: self.connects,
            connected: self.connected,
        }
    }
}

/// A text as it is stored, logged and shown on pages.
fn shown(words: &str) -> String {
    let start = Payload::Text(words).start(WORDS_MAX_BYTES);
    neutralize(start.as_str().unwrap_or_default()).into_owned()
}

//! The state machine of one tunnel: connecting, keep-alive, forwards, failures.

use crate::base::text::neutralize;
use crate::base::{Backoff, INTERVAL_MIN, ListenerId, Payload, Random, Time};
use crate::state::Pause;
use crate::tunnel::{ForwardIntent, ForwardStatus, RemoteBind, Tunnel, TunnelFailure, TunnelState, TunnelStatus};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tunnel: Arc<Tunnel>,
    /// Whether the tunnel was removed from the configuration.
    pub(super) retired: bool,
    pub(super) attempt: u32,
    /// Number of consecutive failures.
    pub(super) failures: u32,
    pub(super) phase: Phase,
    pub(super) places: Vec<Place>,
    connects: u64,
    connected: u64,
    pub(super) channels_refused: u64,
    last_error: Option<(TunnelFailure, String)>,
    /// The state in the last report to the handler.
    pub(super) told: TunnelState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The shell must connect by this time.
    Connecting(Time),
    /// The next attempt starts at this time.
    Waiting(Time),
    /// The tunnel has been connected since this time.
    Up(Time, Alive),
    /// The shell must disconnect by this time.
    Closing(Time),
    GivenUp,
    Closed,
}

/// Keep-alive of a tunnel: time of the next request, and numbers of sent and unanswered ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) ask_at: Time,
    pub(super) asked: u32,
    pub(super) unanswered: u32,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) listener: ListenerId,
    pub(super) bind: RemoteBind,
    pub(super) state: Bind,
    pub(super) tries: u32,
    pub(super) failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// The forward is requested; the SSH server must answer by this time. `None` until connected.
    Asked(Option<Time>),
    Bound(u16),
    Waiting(Time),
}

/// Maximum stored length of a failure's description, in bytes. The SSH server may send parts of it.
const WORDS_MAX_BYTES: usize = 1024;

impl Entry {
    pub(super) fn new(now: Time, tunnel: Tunnel) -> Self {
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

    pub(super) fn begin_anew(&mut self, now: Time) {
        self.failures = 0;
        self.phase = Phase::Waiting(now);
        self.forget_places();
    }

    /// Returns `true` if the tunnel is connecting, up or closing, so that the shell has work to do.
    pub(super) const fn has_link(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_) | Phase::Up(..) | Phase::Closing(_))
    }

    /// Returns `true` if the tunnel is connecting, up or waiting for the next attempt.
    pub(super) const fn is_wanted(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_) | Phase::Up(..) | Phase::Waiting(_))
    }

    pub(super) fn next(&self) -> Option<Time> {
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

    pub(super) fn postpone_deadlines(&mut self, pause: Pause) {
        let Tunnel { connect_timeout, close_timeout, keep_alive, .. } = *self.tunnel;
        match &mut self.phase {
            Phase::Connecting(by) => *by = pause.postpone(*by, connect_timeout),
            Phase::Closing(by) => *by = pause.postpone(*by, close_timeout),
            Phase::Up(_, alive) => {
                if alive.ask_at <= pause.now && alive.unanswered >= keep_alive.count_max.max(1) {
                    // What was answered may not have been read.
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

    /// Handles what is due at `now`. Returns true if a link was lost.
    pub(super) fn elapsed(&mut self, now: Time, random: &mut Random) -> bool {
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

    /// Requests a keep-alive from the shell, or fails the link if too many are unanswered.
    ///
    /// Returns true if the link failed.
    fn ask(&mut self, now: Time, since: Time, alive: Alive, random: &mut Random) -> bool {
        let keep_alive = self.tunnel.keep_alive;
        if alive.unanswered >= keep_alive.count_max.max(1) {
            let words = format!("nothing came from {} for {} questions", self.tunnel.ssh.host, alive.unanswered);
            return self.failed(now, TunnelFailure::Silent, &words, random);
        }
        let ask_at = now + keep_alive.interval.max(INTERVAL_MIN);
        self.phase =
            Phase::Up(since, Alive { ask_at, asked: alive.asked.wrapping_add(1), unanswered: alive.unanswered + 1 });
        false
    }

    pub(super) fn came_up(&mut self, now: Time) {
        self.connected += 1;
        for place in &mut self.places {
            place.state = Bind::Asked(Some(now + self.tunnel.connect_timeout));
        }
        let ask_at = now + self.tunnel.keep_alive.interval.max(INTERVAL_MIN);
        self.phase = Phase::Up(now, Alive { ask_at, asked: 0, unanswered: 0 });
    }

    /// Handles a failed attempt or a lost link. Returns true if the link was up or closing.
    pub(super) fn failed(&mut self, now: Time, failure: TunnelFailure, words: &str, random: &mut Random) -> bool {
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
        // Never at the same moment, so that a shell sees that the last attempt is over.
        let later = |wait: Duration| Phase::Waiting((now + wait).max(now.plus_nanos(1)));
        let slowly = failure.is_permanent().then_some(self.tunnel.refused_wait.max(INTERVAL_MIN));
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

    pub(super) fn bound(&mut self, listener: ListenerId, port: u16) {
        if let Some(place) = self.places.iter_mut().find(|place| place.listener == listener) {
            place.state = Bind::Bound(port);
            place.failures = 0;
        }
    }

    pub(super) fn refused(&mut self, now: Time, listener: ListenerId, random: &mut Random) {
        // The rest serves, so this is never given up.
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

    pub(super) fn forwards(&self) -> Vec<ForwardIntent> {
        let wanted = self.places.iter().filter(|place| !matches!(place.state, Bind::Waiting(_)));
        wanted
            .map(|place| ForwardIntent { listener: place.listener, bind: place.bind.clone(), tries: place.tries })
            .collect()
    }

    pub(super) fn state(&self) -> TunnelState {
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

    pub(super) fn status(&self) -> TunnelStatus {
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

/// Truncates and neutralizes a description, for storage, logs and pages.
pub(super) fn shown(words: &str) -> String {
    let start = Payload::Text(words).start(WORDS_MAX_BYTES);
    neutralize(start.as_str().unwrap_or_default()).into_owned()
}

//! Dials of the application, and their attempts to connect.

use super::addresses::Addresses;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure, same};
use crate::base::{ConnId, DialId, Failure, Random, Time, work};
use crate::config::{Dial, DialProtocol};
use crate::state::Pause;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::wire::http::OpeningHandshake;
use crate::wire::outgoing_proxy::{OutgoingProxy, ProxyHandshake};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The shell should connect; the attempt times out at this time.
    Wanted(Time),
    /// The next attempt starts at this time.
    Waiting(Time),
    /// The dial is connected, since the given time; `None` while a handshake is in progress.
    Up(ConnId, Option<Time>),
}

impl State {
    /// Returns when the attempt times out or the next one starts, unless the dial is connected.
    const fn due(self) -> Option<Time> {
        match self {
            Self::Wanted(at) | Self::Waiting(at) => Some(at),
            Self::Up(..) => None,
        }
    }

    /// Returns the connection, if there is one.
    const fn connection(self) -> Option<ConnId> {
        match self {
            Self::Up(conn, _) => Some(conn),
            Self::Wanted(_) | Self::Waiting(_) => None,
        }
    }
}

/// The state of the TLS that the application may ask for on a dial's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AskedTls {
    /// It was not asked for.
    #[default]
    No,
    /// The handshake is in progress, and must be complete by this time.
    Begun(Time),
    /// The handshake failed.
    Failed(Failure),
    /// The handshake is complete.
    Done,
}

#[derive(Debug)]
struct Entry {
    /// The dial, with the address of the current attempt or connection.
    dial: Dial,
    addresses: Addresses,
    failures: u32,
    state: State,
    /// The `Sec-WebSocket-Accept` value that the server must send in the handshake.
    accept: String,
    /// Index of the subprotocol that the server chose, among those that were offered.
    subprotocol: Option<usize>,
    asked_tls: AskedTls,
    /// The handshake with the proxy, while it is in progress.
    with_proxy: Option<Box<ProxyHandshake>>,
}

impl Entry {
    const fn is_kept_up(&self) -> bool {
        self.dial.kept_in_drain && matches!(self.state, State::Up(..))
    }

    /// Returns the address to which the shell connects: that of the proxy, if there is one.
    fn address_to_connect(&self) -> &str {
        self.dial.proxy.as_ref().map_or(&self.dial.address, OutgoingProxy::address)
    }
}

/// All dials and their attempts.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    entries: BTreeMap<DialId, Entry>,
    /// Dials that are not connected, by the time at which an attempt starts or times out.
    by_time: BTreeSet<(Time, DialId)>,
    /// Dials for which the shell may have to start or stop an attempt.
    changed: BTreeSet<DialId>,
    next: u32,
    /// Number of dials that a drain keeps, and how many of them are connected.
    kept: usize,
    kept_up: usize,
    /// Whether dialling has ended: new dials are ignored, and only kept ones are retried.
    closed: bool,
}

impl Dials {
    pub(crate) fn add(&mut self, now: Time, mut dial: Dial, app: u8, random: &mut Random) -> DialId {
        while self.entries.contains_key(&DialId::of_app(app, self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let id = DialId::of_app(app, self.next);
        self.next = self.next.wrapping_add(1);
        if !self.closed {
            let mut addresses = Addresses::of(&dial);
            dial.address = addresses.begin(dial.order, random).unwrap_or_default();
            let state = wanted(now, &dial);
            let entry = Entry {
                dial,
                addresses,
                failures: 0,
                state,
                accept: String::new(),
                subprotocol: None,
                asked_tls: AskedTls::No,
                with_proxy: None,
            };
            self.put(id, entry);
        }
        id
    }

    /// Replaces the addresses of a dial. Returns `false` if there is no such dial.
    ///
    /// Its connection, or its attempt in progress, is not affected.
    pub(crate) fn set_addresses(&mut self, id: DialId, addresses: Vec<String>, random: &mut Random) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        entry.addresses.replace(addresses);
        if matches!(entry.state, State::Waiting(_)) {
            entry.dial.address = entry.addresses.begin(entry.dial.order, random).unwrap_or_default();
        }
        true
    }

    /// Removes a dial. Returns its connection, if any.
    pub(crate) fn remove(&mut self, id: DialId) -> Option<ConnId> {
        self.take(id)?.state.connection()
    }

    /// Returns the id and the address of each dial that the shell should connect.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (DialId, &str)> {
        let visited = self.entries.iter().inspect(|_| work::step(1));
        let wanted = visited.filter(|(_, entry)| matches!(entry.state, State::Wanted(_)));
        wanted.map(|(&id, entry)| (id, entry.address_to_connect()))
    }

    /// Returns the address to connect to, if the dial wants an attempt.
    pub(crate) fn address_if_wanted(&self, id: DialId) -> Option<&str> {
        work::step(1);
        let entry = self.entries.get(&id)?;
        matches!(entry.state, State::Wanted(_)).then(|| entry.address_to_connect())
    }

    /// Returns the dial of an attempt, if the shell should still make that attempt.
    pub(crate) fn get_if_wanted(&self, id: DialId) -> Option<&Dial> {
        work::step(1);
        let entry = self.entries.get(&id)?;
        matches!(entry.state, State::Wanted(_)).then_some(&entry.dial)
    }

    /// Removes and returns a dial for which the shell may have to start or stop an attempt.
    pub(crate) fn next_changed(&mut self) -> Option<DialId> {
        work::step(1);
        self.changed.pop_first()
    }

    /// Returns a WebSocket dial's opening handshake and expected `Sec-WebSocket-Accept` value.
    pub(crate) fn handshake(&self, id: DialId) -> Option<(&OpeningHandshake, &str)> {
        let entry = self.entries.get(&id)?;
        match &entry.dial.protocol {
            DialProtocol::WebSocket(handshake) => Some((handshake, &entry.accept)),
            DialProtocol::Spoken(_) => None,
        }
    }

    pub(crate) fn expect(&mut self, id: DialId, accept: String) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.accept = accept;
            entry.subprotocol = None;
        }
    }

    /// Records which of the offered subprotocols the server chose in the handshake, if any.
    pub(crate) fn agreed(&mut self, id: DialId, subprotocol: Option<usize>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.subprotocol = subprotocol;
        }
    }

    /// Returns the subprotocol of a dial's connection `conn`, if the server chose one.
    pub(crate) fn subprotocol(&self, id: DialId, conn: ConnId) -> Option<&str> {
        let entry = self.entries.get(&id).filter(|_| self.is_up(id, conn))?;
        let DialProtocol::WebSocket(handshake) = &entry.dial.protocol else { return None };
        handshake.subprotocols.get(entry.subprotocol?).map(String::as_str)
    }

    /// Sets or removes the handshake with the proxy of a dial.
    pub(crate) fn set_proxy_handshake(&mut self, id: DialId, handshake: Option<ProxyHandshake>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.with_proxy = handshake.map(Box::new);
        }
    }

    /// Returns the handshake of a dial's connection with its proxy, while it is in progress.
    pub(crate) fn proxy_handshake(&mut self, id: DialId) -> Option<&mut ProxyHandshake> {
        self.entries.get_mut(&id)?.with_proxy.as_deref_mut()
    }

    /// Returns `true` if `conn` is the connection of the dial.
    pub(crate) fn is_up(&self, id: DialId, conn: ConnId) -> bool {
        self.connection(id) == Some(conn)
    }

    /// Returns the connection of a dial, if it has one.
    pub(crate) fn connection(&self, id: DialId) -> Option<ConnId> {
        self.entries.get(&id)?.state.connection()
    }

    /// Sets the connection of a dial. `since` is `None` while a handshake is in progress.
    pub(crate) fn connected(&mut self, id: DialId, conn: ConnId, since: Option<Time>) {
        if let Some(entry) = self.take(id) {
            self.put(id, Entry { state: State::Up(conn, since), asked_tls: AskedTls::No, ..entry });
        }
    }

    /// Returns the state of the TLS that was asked for on a dial's connection.
    pub(crate) fn asked_tls(&self, id: DialId, conn: ConnId) -> AskedTls {
        let entry = self.entries.get(&id).filter(|entry| entry.state.connection() == Some(conn));
        entry.map_or(AskedTls::No, |entry| entry.asked_tls)
    }

    /// Sets the state of the TLS that was asked for. `since` is `None` during its handshake.
    pub(crate) fn set_asked_tls(&mut self, id: DialId, asked_tls: AskedTls, since: Option<Time>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.asked_tls = asked_tls;
        if let State::Up(_, up_since) = &mut entry.state {
            *up_since = since;
        }
    }

    /// Handles a failed attempt or an ended connection of a dial.
    ///
    /// Returns the time of the next attempt; without one, the dial is removed.
    pub(crate) fn disconnected(&mut self, id: DialId, now: Time, random: &mut Random) -> Option<Time> {
        let mut entry = self.take(id)?;
        entry.with_proxy = None;
        let was_up = matches!(entry.state, State::Up(_, Some(_)));
        let is_over = self.closed && !entry.dial.kept_in_drain;
        // Never at the same moment, so that a shell notices the end of the last attempt.
        let next_moment = now.plus_nanos(1);
        if !was_up
            && !is_over
            && let Some(address) = entry.addresses.next()
        {
            entry.dial.address = address;
            self.put(id, Entry { state: State::Waiting(next_moment), ..entry });
            return Some(next_moment);
        }
        if let (State::Up(_, Some(since)), Some(backoff)) = (entry.state, entry.dial.backoff)
            && now.since(since) >= backoff.stable_after
        {
            entry.failures = 0;
        }
        entry.failures = entry.failures.saturating_add(1);
        let backoff = entry.dial.backoff.filter(|_| !is_over);
        let wait = backoff.and_then(|backoff| backoff.wait(entry.failures, random))?;
        let at = (now + wait).max(next_moment);
        entry.dial.address = entry.addresses.begin(entry.dial.order, random).unwrap_or_default();
        self.put(id, Entry { state: State::Waiting(at), ..entry });
        Some(at)
    }

    /// Returns the earliest time at which an attempt starts or times out.
    pub(crate) fn next(&self) -> Option<Time> {
        work::step(1);
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Starts attempts whose wait is over. Returns the first dial whose attempt timed out.
    ///
    /// Later attempts than that one are left for the next call.
    pub(crate) fn take_overdue(&mut self, now: Time) -> Option<DialId> {
        while let Some(&(_, id)) = self.by_time.first().filter(|(at, _)| *at <= now) {
            let entry = self.take(id)?;
            let is_overdue = matches!(entry.state, State::Wanted(_));
            let state = if is_overdue { entry.state } else { wanted(now, &entry.dial) };
            self.put(id, Entry { state, ..entry });
            if is_overdue {
                return Some(id);
            }
        }
        None
    }

    /// Returns the address and the TLS settings of a dial, if it has any.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self, id: DialId) -> Option<(&str, &ClientTls)> {
        let Dial { address, tls, .. } = self.get(id)?;
        Some((address, tls.as_ref()?))
    }

    /// Returns the dial with this id, if there is one.
    pub(crate) fn get(&self, id: DialId) -> Option<&Dial> {
        self.entries.get(&id).map(|entry| &entry.dial)
    }

    /// Returns the time limit of a dial's attempts.
    pub(crate) fn timeout(&self, id: DialId) -> Option<Duration> {
        self.get(id).map(|dial| dial.timeout)
    }

    /// Postpones the time limits of attempts and of TLS that was asked for by a pause.
    ///
    /// The waits between attempts stay as they are.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        for (&id, entry) in &mut self.entries {
            if let AskedTls::Begun(until) = &mut entry.asked_tls {
                *until = pause.postpone(*until, entry.dial.timeout);
            }
            if let State::Wanted(by) = &mut entry.state {
                self.by_time.remove(&(*by, id));
                *by = pause.postpone(*by, entry.dial.timeout);
                self.by_time.insert((*by, id));
            }
        }
    }

    fn take(&mut self, id: DialId) -> Option<Entry> {
        work::step(1);
        let entry = self.entries.remove(&id)?;
        self.kept -= usize::from(entry.dial.kept_in_drain);
        self.kept_up -= usize::from(entry.is_kept_up());
        if let Some(at) = entry.state.due() {
            self.by_time.remove(&(at, id));
        }
        if matches!(entry.state, State::Wanted(_)) {
            self.changed.insert(id);
        }
        Some(entry)
    }

    fn put(&mut self, id: DialId, entry: Entry) {
        work::step(1);
        self.kept += usize::from(entry.dial.kept_in_drain);
        self.kept_up += usize::from(entry.is_kept_up());
        if let Some(at) = entry.state.due() {
            self.by_time.insert((at, id));
        }
        if matches!(entry.state, State::Wanted(_)) {
            self.changed.insert(id);
        }
        self.entries.insert(id, entry);
    }

    /// Returns the dials that are connected, with their connections.
    #[cfg(feature = "sim")]
    pub(crate) fn connections(&self) -> impl Iterator<Item = (DialId, ConnId)> + '_ {
        self.entries.iter().filter_map(|(&id, entry)| Some((id, entry.state.connection()?)))
    }

    /// Returns `true` if the dial has no connection other than `conn`.
    #[cfg(feature = "sim")]
    pub(crate) fn is_free_or_of(&self, id: DialId, conn: ConnId) -> bool {
        self.connection(id).is_none_or(|up| up == conn)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn recount(&self) -> Recounted {
        let tries = |entry: &Entry| !matches!(entry.state, State::Up(..)) && !entry.dial.kept_in_drain;
        ensure(!self.closed || !self.entries.values().any(tries), || "something is dialled in a drain".into())?;
        let due = self.entries.iter().filter_map(|(&id, entry)| Some((entry.state.due()?, id)));
        ensure(due.collect::<BTreeSet<_>>() == self.by_time, || "the two orders of dials differ".into())?;
        let kept = self.entries.values().filter(|entry| entry.dial.kept_in_drain);
        same("kept dials", self.kept, kept.clone().count())?;
        same("connected kept dials", self.kept_up, kept.filter(|entry| entry.is_kept_up()).count())
    }

    /// Ends dialling, and removes the dials without a connection, except those that a drain keeps.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        // Connected dials can still be cancelled.
        let waiting: Vec<_> = self.by_time.iter().map(|&(_, id)| id).filter(|id| !self.is_kept(*id)).collect();
        for id in waiting {
            self.take(id);
        }
    }

    /// Returns `true` if a drain keeps this dial.
    pub(crate) fn is_kept(&self, id: DialId) -> bool {
        self.get(id).is_some_and(|dial| dial.kept_in_drain)
    }

    /// Stops keeping dials, and returns them, unless other connections are open.
    ///
    /// `connections` is the number of all connections.
    pub(crate) fn release_kept(&mut self, connections: usize) -> Vec<DialId> {
        if self.kept == 0 || connections > self.kept_up {
            return Vec::new();
        }
        (self.kept, self.kept_up) = (0, 0);
        let kept = self.entries.iter_mut().filter(|(_, entry)| entry.dial.kept_in_drain);
        kept.map(|(&id, entry)| {
            entry.dial.kept_in_drain = false;
            id
        })
        .collect()
    }
}

/// Returns the state of an attempt that starts at `now`. A timeout of zero counts as 1 ns.
fn wanted(now: Time, dial: &Dial) -> State {
    State::Wanted((now + dial.timeout).max(now.plus_nanos(1)))
}

#[cfg(test)]
mod tests;

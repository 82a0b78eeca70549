//! The state of a machine without its handler, and the operations behind the hub.

mod addresses;
pub(crate) mod admission;
mod asked_tls;
mod charge;
mod closing;
pub(crate) mod conn;
mod copying;
mod deadline;
pub(crate) mod dials;
mod exchange;
mod gauges;
pub(crate) mod held;
mod identity;
mod index_set;
mod labels;
mod links;
mod listeners;
mod logins;
mod membership;
mod memory;
mod notice;
mod offload;
pub(crate) mod outbound;
mod outbox;
mod pause;
mod pending;
mod postpone;
mod recent;
#[cfg(feature = "sim")]
mod recount;
mod requests;
pub(crate) mod room;
mod sending;
mod session;
mod shards;
mod sharing;
mod slots;
mod strikes;
mod ticket;
mod timer;
mod tunnels;
mod users;
mod watch;
mod whole;

pub(crate) use closing::Ending;
pub use conn::{RoundTrip, Traffic};
pub use deadline::{Deadline, Why};
pub use exchange::RequestTicket;
pub(crate) use exchange::{Exchange, Reading, Reply, RequestState, Streaming, Waiting};
pub(crate) use links::Tunnels;
pub(crate) use listeners::Listeners;
pub(crate) use memory::Memory;
pub use memory::RoomRequest;
#[cfg(feature = "sim")]
pub use memory::{Numbered, ToldPresence};
pub(crate) use notice::Notice;
pub use offload::{Job, Offloaded};
pub(crate) use outbox::Outbox;
pub(crate) use pause::{PAUSE_MIN, Pause};
pub(crate) use pending::Pending;
pub use ticket::Ticket;
pub use timer::Timer;
pub(crate) use watch::{Copied, Watched};
pub use whole::ClusterRequest;

use crate::base::AcceptFailure;
use crate::base::Origin;
use crate::base::lazy_box::LazyBox;
use crate::base::{AddressKey, ConnId, DialId, INTERVAL_MIN, ListenerId, Peer, Random, Time};
use crate::config::{Config, Dial, Listen, PeerLimits, RoomMemory};
use crate::facts::Shard;
use crate::metrics::{Metrics, Recent};
use crate::web::Endpoint;
use crate::wire::Budget;
use crate::wire::telnet::{Side, option};
use crate::wire::{Encoder, Protocol, ProxyHeader, Wire, may_be_proxy_header, parse_proxy_header};
use admission::{Admission, Meters};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use conn::{Conn, HandshakeStep, Offered, Phase};
use core::time::Duration;
use dials::Dials;
use labels::Labels;
use offload::Queue;
use outbound::Outbound;
use room::Rooms;
use sharing::Sharing;
use slots::Slots;
use ticket::Tickets;
use timer::{Agenda, Timers};
use users::{Users, WallClock};
use whole::Whole;

pub(crate) struct State {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) conns: Slots<Conn>,
    pub(crate) outbound: Outbound,
    pub(crate) rooms: Rooms,
    pub(crate) memory: Memory,
    /// The link to the broker of shared rooms, on the shard that has it.
    sharing: Option<Box<Sharing>>,
    /// What concerns all hosts of a cluster.
    whole: Whole,
    /// The rooms at the start, if some of them are shared.
    shared_memory: Option<RoomMemory>,
    pub(crate) timers: Timers,
    pub(crate) tickets: Tickets,
    pub(crate) agenda: Agenda,
    pub(crate) dials: Dials,
    pub(crate) tunnels: Tunnels,
    /// Bytes received and written by the connections of each tunnel, by its name.
    pub(crate) tunnel_traffic: BTreeMap<String, (u64, u64)>,
    pub(crate) admission: Admission,
    pub(crate) listeners: Listeners,
    /// The counters. Their `recent` is empty.
    pub(crate) metrics: Metrics,
    /// The recent errors and connections, and the longest connections and pieces of work.
    pub(crate) recent: Recent,
    /// Events that wait until the handler has returned.
    pub(crate) pending: VecDeque<Pending>,
    /// Connections on which the application has asked for TLS, and which have no session yet.
    pub(crate) begins_tls: Vec<ConnId>,
    /// Connections whose slots are freed once their events are delivered.
    pub(crate) over: Vec<u32>,
    /// Connections whose slots were reused before the shell learned of their end.
    pub(crate) replaced: VecDeque<ConnId>,
    /// Number of connections whose protocol is not known yet.
    pub(crate) undecided: u64,
    /// Number of connections on HTTP keep-alive, all of which are undecided.
    pub(crate) http_kept: u64,
    /// MSSP variables that telnet servers send to crawlers.
    pub(crate) server_status: Vec<(String, String)>,
    /// The limits for dials and listeners without limits of their own.
    pub(crate) limits: PeerLimits,
    /// Time at which accepting stops. If set, the server reports that it is not ready.
    pub(crate) shutdown_at: Option<Time>,
    /// Rate meters of failed HTTP credentials (monitor and metrics), by client address.
    pub(crate) monitor_failures: Meters<AddressKey>,
    /// The hard deadline of a drain.
    pub(crate) drain: Option<Time>,
    /// Time until which work in progress may finish in a drain.
    pub(crate) last_call: Option<Time>,
    pub(crate) watched: Watched,
    pub(crate) labels: Labels,
    /// Whether the application has requested a drain.
    pub(crate) drain_wanted: bool,
    pub(crate) users: Users,
    /// The wall clock. `None` until the shell sets it.
    pub(crate) wall_clock: Option<WallClock>,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: Queue,
    pub(crate) request: RequestState,
    /// Number of requests so far that the handler responds to later.
    pub(crate) requests_promised: u64,
    /// Whether the server has started, after which the application registers no metrics.
    pub(crate) has_started: bool,
}

/// Maximum number of addresses whose failed HTTP authentications are counted.
const MONITOR_ADDRESSES_MAX: usize = 1_024;

impl State {
    pub(crate) fn new(config: Config, shard: Shard) -> Self {
        // Shards with the same configured seed use different random numbers.
        let seed = config.seed.unwrap_or_default().wrapping_add(u64::from(shard.number()) << 56);
        Self {
            now: Time::START,
            random: Random::new(seed),
            conns: Slots::of_shard(shard.number()),
            outbound: Outbound::new(config.outbound, Encoder::new(seed)),
            rooms: Rooms::default(),
            memory: Memory::new(&config, seed, shard),
            sharing: None,
            whole: Whole::default(),
            shared_memory: config.cluster.is_some().then(|| config.memory.clone()),
            timers: Timers::default(),
            tickets: Tickets::default(),
            agenda: Agenda::default(),
            dials: Dials::default(),
            tunnels: Tunnels::default(),
            tunnel_traffic: BTreeMap::new(),
            admission: Admission::default(),
            listeners: Listeners::new(&config),
            metrics: Metrics::default(),
            recent: Recent::default(),
            http_kept: 0,
            pending: VecDeque::new(),
            begins_tls: Vec::new(),
            over: Vec::new(),
            replaced: VecDeque::new(),
            undecided: 0,
            server_status: Vec::new(),
            limits: config.peer,
            shutdown_at: None,
            monitor_failures: Meters::new(MONITOR_ADDRESSES_MAX),
            drain: None,
            last_call: None,
            watched: Watched::default(),
            labels: Labels::default(),
            drain_wanted: false,
            users: Users::default(),
            wall_clock: None,
            outbox: Outbox::new(shard),
            jobs: Queue::default(),
            request: RequestState::None,
            requests_promised: 0,
            has_started: false,
            config,
        }
    }

    pub(crate) fn set_label(&mut self, conn: ConnId, label: &str) {
        let is_open = self.open_slot(conn).is_some();
        self.labels.set(conn, label, is_open);
    }

    /// Adds a connection and returns its id. With a time limit, its protocol is undecided at first.
    ///
    /// The limit is the listener's for the proxy header or for TLS, if it has one, else `wait`.
    pub(crate) fn open(&mut self, peer: Peer, origin: Origin, wire: Wire, wait: Option<Duration>) -> ConnId {
        let listen = self.listeners.of(origin);
        let (step, wait) = match listen {
            Some(Listen { proxies: Some(proxies), .. }) => (HandshakeStep::Header, Some(proxies.timeout)),
            Some(Listen { tls: Some(tls), .. }) => (HandshakeStep::Tls, Some(tls.handshake_timeout)),
            None if self.is_proxied_dial(origin) => (HandshakeStep::Proxy, wait),
            None if self.is_tls_dial(origin) => (HandshakeStep::Tls, wait),
            _ => (HandshakeStep::Speech, wait),
        };
        // Before the protocol is detected, nothing of it is sent.
        let wire = if step == HandshakeStep::Speech { wire } else { Wire::default() };
        let number = self.outbound.intern(wire.encoding());
        let mut conn = Conn::new(peer, origin, wire.decoder(), number, self.now);
        if let Some(wait) = wait {
            conn.phase = Phase::Undecided { until: self.now + wait };
        }
        conn.step = step;
        if let Some(listen) = listen {
            conn.half_open = listen.half_open;
            conn.notices = listen.notices;
            conn.refuses_http = listen.refuses_http;
            conn.uncounted = listen.trusts(peer);
            conn.pending_auth = true;
            if conn.is_undecided() {
                let offered = Offered { protocol: listen.protocol.clone(), tls: listen.tls.clone() };
                conn.handshake.offered = Some(offered);
            }
        }
        if let Origin::Listener(listener) = origin {
            self.listeners.opened(listener);
        }
        let is_undecided = conn.is_undecided();
        self.undecided += u64::from(is_undecided);
        let id = self.conns.insert(conn);
        let index = id.slot();
        if self.outbound.changed.contains(index) {
            // The shell knows the slot by the id that it has now.
            self.replaced.push_back(id.predecessor());
        }
        self.outbound.open(index, number);
        if let Origin::Dial(dial) = origin {
            self.apply_dial(dial, id);
            self.dials.connected(dial, id, wait.is_none().then_some(self.now));
        }
        // An undecided connection counts once its protocol is known.
        self.metrics.opened += u64::from(!is_undecided);
        self.outbound.changed.insert(index);
        self.speak_first(index);
        self.schedule(index);
        id
    }

    /// Applies the options of a dial to its connection.
    fn apply_dial(&mut self, dial: DialId, id: ConnId) {
        let Some(dial) = self.dials.get(dial) else { return };
        if let Some(conn) = self.conns.get_mut(id) {
            conn.always_read = dial.always_read;
        }
        if let Some(marks) = dial.marks {
            self.outbound.set_own_marks(id.slot(), marks);
        }
    }

    /// Returns `true` if a connection with this origin begins with TLS as a client.
    fn is_tls_dial(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Dial(dial) if self.dials.get(dial).is_some_and(Dial::begins_with_tls))
    }

    /// Returns `true` if a connection with this origin begins with a request to its proxy.
    fn is_proxied_dial(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Dial(dial) if self.dials.get(dial).is_some_and(|dial| dial.proxy.is_some()))
    }

    /// Returns how many of `bytes` go to the parser of proxy headers. The others follow the header.
    ///
    /// All bytes go there if the header is incomplete or invalid, and none if no header is due.
    pub(crate) fn length_of_header(&self, id: ConnId, bytes: &[u8]) -> usize {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.step == HandshakeStep::Header && conn.is_undecided())
        else {
            return 0;
        };
        if !may_be_proxy_header(&conn.held, bytes) {
            return bytes.len();
        }
        let held = [&conn.held[..], bytes].concat();
        match parse_proxy_header(&held) {
            ProxyHeader::Header(_, length) => length.saturating_sub(conn.held.len()).min(bytes.len()),
            ProxyHeader::Unclear | ProxyHeader::Bad => bytes.len(),
        }
    }

    /// Returns the listener that accepted a connection, if any.
    pub(crate) fn listen_of(&self, id: ConnId) -> Option<&Listen> {
        self.listeners.of(self.conns.get(id)?.origin)
    }

    /// Returns the limits of a connection.
    pub(crate) fn limits_of(&self, conn: &Conn) -> &PeerLimits {
        let own = match conn.origin {
            Origin::Listener(_) => self.listeners.of(conn.origin).and_then(|listen| listen.limits.as_ref()),
            Origin::Dial(dial) => self.dials.get(dial).and_then(|dial| dial.limits.as_ref()),
        };
        own.unwrap_or(&self.limits)
    }

    pub(crate) fn budget(&self, id: ConnId) -> Budget {
        self.conns.get(id).map_or(self.limits.budget, |conn| self.limits_of(conn).budget)
    }

    /// Returns `true` if a drain has started, including its grace period.
    pub(crate) const fn is_draining(&self) -> bool {
        self.shutdown_at.is_some() || self.drain.is_some()
    }

    pub(crate) fn answered_ping(&mut self, index: u32, sent_at: u64) {
        let took = self.now.since(Time::from_nanos(sent_at));
        self.metrics.answered_ping(took);
        if let Some(conn) = self.conns.at_mut(index) {
            conn.traffic.round_trip = Some(RoundTrip::new(took));
        }
    }

    /// Marks an undecided connection as HTTP, and sets the time limit for its next request.
    pub(crate) fn await_request(&mut self, id: ConnId, wait: Duration) {
        let until = self.now + wait;
        // The handler may have ended the connection when it learned of a refused request.
        if let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.is_undecided()) {
            conn.phase = Phase::Undecided { until };
            conn.is_http = true;
        }
        self.schedule(id.slot());
    }

    /// Counts an HTTP request that was served without upgrade.
    pub(crate) fn count_request(&mut self, endpoint: Endpoint) {
        let counter = match endpoint {
            Endpoint::Health => &mut self.metrics.requests_health,
            Endpoint::Metrics => &mut self.metrics.requests_metrics,
            Endpoint::Page => &mut self.metrics.requests_page,
        };
        *counter += 1;
    }

    /// Marks a connection as kept alive after an answer to an HTTP request.
    pub(crate) fn answered(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.is_undecided()) else { return };
        conn.is_http = true;
        if !core::mem::replace(&mut conn.was_answered, true) {
            self.http_kept += 1;
        }
    }

    /// Opens a connection whose protocol is now known, and sets its wire.
    pub(crate) fn select_wire(&mut self, id: ConnId, wire: Wire) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else { return };
        self.http_kept -= u64::from(conn.is_undecided() && conn.was_answered);
        self.metrics.opened += 1;
        let number = self.outbound.intern(wire.encoding());
        let listen = self.listeners.of(conn.origin);
        let is_auto = listen.is_some_and(|listen| matches!(listen.protocol, Protocol::Auto(_)));
        conn.handshake = LazyBox::new();
        self.undecided -= u64::from(conn.is_undecided());
        conn.phase = Phase::Open;
        conn.step = HandshakeStep::Speech;
        conn.decoder = wire.decoder();
        // As on a listener of that protocol. On a stream, clients would take a notice for an event of the application.
        let has_notices = matches!(wire, Wire::Lines(_) | Wire::Telnet(_)) || !is_auto;
        conn.notices &= has_notices && !matches!(wire, Wire::Events(_));
        conn.encoding = number;
        conn.may_speak_again(now);
        conn.kept_alive_at = now;
        self.outbound.set_encoding(id.slot(), number);
        self.outbound.changed.insert(id.slot());
        self.speak_first(id.slot());
        self.schedule(id.slot());
    }

    /// Sends the server's first output in a session, such as telnet negotiation.
    fn speak_first(&mut self, index: u32) {
        if !self.server_status.is_empty()
            && let Some(session) = self.conns.at_mut(index).and_then(|conn| conn.decoder.session())
        {
            session.enable_option(Side::Us, option::MSSP);
        }
        self.deliver(index);
    }

    /// Returns the slot of a connection, if the connection is open.
    pub(crate) fn open_slot(&self, id: ConnId) -> Option<u32> {
        self.conns.get(id).filter(|conn| conn.is_open()).map(|_| id.slot())
    }

    pub(crate) fn set_paused(&mut self, id: ConnId, paused: bool) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.paused != paused) else { return };
        conn.paused = paused;
        if !paused {
            conn.may_speak_again(now);
        }
        self.outbound.changed.insert(id.slot());
        self.schedule(id.slot());
    }

    /// Returns `true` if a connection's input must wait, in the kernel or in `held`.
    pub(crate) fn must_wait(&self, index: u32) -> bool {
        let waits = |conn: &Conn| {
            // A connection in a handshake, or on HTTP, causes no messages to other shards.
            let is_held_back = self.outbox.held_back && !conn.is_undecided();
            let is_stalled = self.outbound.is_stalled(index) && !conn.always_read;
            conn.paused || conn.rate_pause.is_some() || is_stalled || is_held_back
        };
        self.conns.at(index).is_some_and(waits)
    }

    /// Drops removed listeners without connections.
    pub(crate) fn forget_unused_listeners(&mut self) {
        let Self { listeners, admission, .. } = self;
        // The first shard also counts connections on other shards.
        listeners.forget_unused(|id| admission.on(id));
    }

    /// Counts a failed accept, and queues an event if the listener pauses.
    pub(crate) fn accept_failed(&mut self, listener: ListenerId, failure: AcceptFailure) {
        self.metrics.accept_errors += 1;
        let until = self.now + self.config.accept_backoff.max(INTERVAL_MIN);
        if self.listeners.accept_failed(listener, failure, until) {
            self.pending.push_back(Pending::AcceptPaused(listener, failure));
        }
    }

    /// Records a successful accept. Queues an event and returns true if the listener was paused.
    pub(crate) fn accept_succeeded(&mut self, listener: ListenerId) -> bool {
        let is_news = self.listeners.accepted(listener);
        if is_news {
            self.pending.push_back(Pending::AcceptResumed(listener));
        }
        is_news
    }
}

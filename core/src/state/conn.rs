use crate::base::Origin;
use crate::base::lazy_box::Rare;
use crate::base::{INTERVAL_MIN, Identity, Peer, Time, some_time};
use crate::config::Gcra;
use crate::state::held::Held;
use crate::state::strikes::Strikes;
use crate::tls::{Secured, Tls};
use crate::wire::http::HeadSearch;
use crate::wire::{Decoder, Protocol};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

/// One connection, but for what is queued for it, which is in `outbound`.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) origin: Origin,
    pub(crate) phase: Phase,
    pub(crate) decoder: Decoder,
    /// What was read and may not be served yet.
    pub(crate) held: Rare<Held>,
    pub(crate) encoding: u16,
    /// While undecided: what it waits for.
    pub(crate) gate: Gate,
    /// Nobody knows yet whose it is, and it is counted so.
    pub(crate) unknown: bool,
    /// It came from a proxy, and is not counted under its address.
    pub(crate) uncounted: bool,
    /// It was let in under the address that a proxy told.
    pub(crate) readmitted: bool,
    /// In a handshake: HTTP is spoken.
    pub(crate) is_http: bool,
    /// In a handshake: how far what has arrived was looked at.
    pub(crate) head_search: HeadSearch,
    /// In a handshake: a request for something else than a WebSocket was served, or refused in a way that more may follow.
    pub(crate) was_answered: bool,
    /// In a handshake: something has arrived that could be answered, and waits.
    pub(crate) backlog: bool,
    /// The peer ended its half.
    pub(crate) input_ended: bool,
    /// The input ended without the end that TLS asks for.
    pub(crate) truncated: bool,
    /// The end of the input was served.
    pub(crate) input_finished: bool,
    /// A piece of the message that is incomplete was over the rate, and it is to be discarded.
    pub(crate) doomed: bool,
    /// The application will send nothing more: our half is closed once everything is written.
    pub(crate) finished: bool,
    /// The application wants no messages for the time being.
    pub(crate) paused: bool,
    pub(crate) half_open: bool,
    pub(crate) notices: bool,
    /// The application said whether a program or a person is at the other end.
    pub(crate) chose_representation: bool,
    /// Nothing was said yet, and it is not to begin with a request of HTTP.
    pub(crate) refuses_http: bool,
    /// Not to be read before then.
    pub(crate) rate_pause: Option<Time>,
    /// When a drain ends it.
    pub(crate) drain_at: Option<Time>,
    /// A drain would have ended it, and waits for work in progress.
    pub(crate) drain_waits: bool,
    /// The application does something for it of which there is no ticket.
    pub(crate) working: bool,
    /// Bytes read and discarded since it has its reason.
    pub(crate) discarded: u32,
    pub(crate) opened_at: Time,
    pub(crate) last_byte_at: Time,
    pub(crate) last_message_at: Time,
    /// When the message that is incomplete was begun.
    pub(crate) message_since: Option<Time>,
    /// When the decoder has waited long enough.
    pub(crate) decoder_due: Option<Time>,
    /// When a sign of life was last sent.
    pub(crate) kept_alive_at: Time,
    /// The peer was told that it will be closed for being idle.
    pub(crate) idle_warned: bool,
    pub(crate) messages: Gcra,
    pub(crate) bytes: Gcra,
    pub(crate) strikes: Strikes,
    pub(crate) rooms: Vec<u32>,
    pub(crate) identity: Option<Box<Identity>>,
    /// What its listener offered when it came, while it is undecided.
    pub(crate) offered: Option<Box<Offered>>,
    pub(crate) secured: Option<Box<Secured>>,
    /// Bytes read and written, and messages served.
    pub(crate) traffic: Traffic,
}

/// What a connection that is undecided waits for, in this order; most skip all but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// What a proxy says about whom it speaks for.
    Header,
    /// The word of the shard that counts, whether whom a proxy speaks for is let in.
    Admission,
    /// TLS.
    Tls,
    /// What is spoken.
    Speech,
}

impl Gate {
    /// Whether what lies beneath may go on.
    #[cfg(feature = "tls")]
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Tls | Self::Speech)
    }
}

/// What a listener offered when a connection came: it may offer something else meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Tls>,
}

/// How much went over one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Messages served.
    pub messages_in: u64,
    /// How long the last ping took to be answered; `None` if none was.
    pub round_trip: Option<RoundTrip>,
}

/// How long a ping took to be answered, in microseconds; at most over an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip(NonZeroU32);

impl RoundTrip {
    pub(crate) fn new(duration: Duration) -> Self {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN))
    }

    /// As a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_micros(self.0.get().into())
    }
}

/// The life of a connection. It only moves down this list; most skip lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// What is spoken is not clear yet, and must be by then. The application does not know of it.
    Undecided { until: Time },
    /// Messages are served.
    Open,
    /// It has its reason; what is queued is written until then.
    Flushing { until: Time },
    /// Our half is closed; the peer may close its half until then, and so many bytes are read and discarded.
    Lingering { until: Time },
    /// The socket is to be dropped.
    Over,
}

impl Conn {
    pub(crate) fn new(peer: Peer, origin: Origin, decoder: Decoder, encoding: u16, now: Time) -> Self {
        Self {
            peer,
            origin,
            phase: Phase::Open,
            decoder,
            held: Rare::default(),
            encoding,
            gate: Gate::Speech,
            unknown: false,
            uncounted: false,
            readmitted: false,
            is_http: false,
            head_search: HeadSearch::default(),
            was_answered: false,
            backlog: false,
            input_ended: false,
            truncated: false,
            input_finished: false,
            doomed: false,
            finished: false,
            paused: false,
            half_open: false,
            notices: false,
            chose_representation: false,
            refuses_http: false,
            rate_pause: None,
            drain_at: None,
            drain_waits: false,
            working: false,
            discarded: 0,
            opened_at: now,
            last_byte_at: now,
            last_message_at: now,
            message_since: None,
            decoder_due: None,
            kept_alive_at: now,
            idle_warned: false,
            messages: Gcra::default(),
            bytes: Gcra::default(),
            strikes: Strikes::default(),
            rooms: Vec::new(),
            identity: None,
            offered: None,
            secured: None,
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn wire_name(&self) -> &'static str {
        match &self.decoder {
            Decoder::Lines(_) => "lines",
            Decoder::LengthPrefixed(_) => "length",
            Decoder::Telnet(_) => "telnet",
            Decoder::WebSocket(_) => "websocket",
            Decoder::WsTelnet(_) => "ws+telnet",
        }
    }

    /// The address that it is counted under.
    pub(crate) fn counted_as(&self) -> Peer {
        if self.uncounted { Peer::Local } else { self.peer }
    }

    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Undecided { .. })
    }

    pub(crate) fn has_no_reason(&self) -> bool {
        matches!(self.phase, Phase::Undecided { .. } | Phase::Open)
    }

    /// Something arrived and is not served.
    pub(crate) fn is_unserved(&self) -> bool {
        !self.held.is_empty() || self.decoder.is_ahead() || self.input_ended && !self.input_finished
    }

    /// When a sign of life is to be sent, if nothing else was sent or came meanwhile.
    pub(crate) fn keep_alive_at(&self) -> Option<Time> {
        let interval = match (self.decoder.socket(), &self.decoder) {
            (Some(socket), _) => socket.ping_interval(),
            (None, Decoder::Telnet(session)) => session.keep_alive_interval(),
            _ => None,
        };
        let interval = some_time(interval)?.max(INTERVAL_MIN);
        Some(self.last_byte_at.max(self.kept_alive_at) + interval)
    }

    /// Time in which the peer could not speak does not count against it.
    pub(crate) fn may_speak_again(&mut self, now: Time) {
        self.last_byte_at = now;
        self.last_message_at = now;
        self.idle_warned = false;
        if self.message_since.is_some() {
            self.message_since = Some(now);
        }
    }
}

use crate::base::Origin;
use crate::base::lazy_box::LazyBox;
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

/// The state of one connection, except its output queue, which is in `outbound`.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) origin: Origin,
    pub(crate) phase: Phase,
    pub(crate) decoder: Decoder,
    /// Bytes read that must not be served yet.
    pub(crate) held: LazyBox<Held>,
    pub(crate) encoding: u16,
    /// While undecided: the current step.
    pub(crate) step: HandshakeStep,
    /// Counted as unauthenticated.
    pub(crate) pending_auth: bool,
    /// Accepted from a proxy and not counted under its address.
    pub(crate) uncounted: bool,
    /// Admitted under the client address that a proxy reported.
    pub(crate) readmitted: bool,
    /// In a handshake: the peer speaks HTTP.
    pub(crate) is_http: bool,
    /// In a handshake: how far the received bytes were searched.
    pub(crate) head_search: HeadSearch,
    /// In a handshake: a request without upgrade was answered, and more may follow.
    pub(crate) was_answered: bool,
    /// In a handshake: a request waits for its answer.
    pub(crate) backlog: bool,
    /// The peer ended its half.
    pub(crate) input_ended: bool,
    /// The input ended without `close_notify`.
    pub(crate) truncated: bool,
    /// The end of the input was served.
    pub(crate) input_finished: bool,
    /// Part of the incomplete message was over the rate, so the message will be discarded.
    pub(crate) discard_message: bool,
    /// The application sends nothing more: our half is closed once everything is written.
    pub(crate) finished: bool,
    /// The application has paused it.
    pub(crate) paused: bool,
    pub(crate) half_open: bool,
    pub(crate) notices: bool,
    /// The application has chosen the representation.
    pub(crate) chose_representation: bool,
    /// Nothing was received yet, and an HTTP request must not come first.
    pub(crate) refuses_http: bool,
    /// Not read before then.
    pub(crate) rate_pause: Option<Time>,
    /// When a drain ends it.
    pub(crate) drain_at: Option<Time>,
    /// A drain would have ended it, and waits for work in progress.
    pub(crate) drain_waits: bool,
    /// The application works for it without a ticket.
    pub(crate) working: bool,
    /// Bytes read and discarded since it got its reason.
    pub(crate) discarded: u32,
    pub(crate) opened_at: Time,
    pub(crate) last_byte_at: Time,
    pub(crate) last_message_at: Time,
    /// When the incomplete message began.
    pub(crate) message_since: Option<Time>,
    /// When the decoder stops waiting for more input.
    pub(crate) decoder_due: Option<Time>,
    /// When a keep-alive was last sent.
    pub(crate) kept_alive_at: Time,
    /// The peer was warned of the idle timeout.
    pub(crate) idle_warned: bool,
    pub(crate) messages: Gcra,
    pub(crate) bytes: Gcra,
    pub(crate) strikes: Strikes,
    pub(crate) rooms: Vec<u32>,
    pub(crate) identity: Option<Box<Identity>>,
    /// While undecided: what its listener offered when it was accepted.
    pub(crate) offered: Option<Box<Offered>>,
    pub(crate) secured: Option<Box<Secured>>,
    /// Bytes read and written, and messages served.
    pub(crate) traffic: Traffic,
}

/// The steps before a connection opens, in order. Most connections need only the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeStep {
    /// The proxy header.
    Header,
    /// The first shard's answer whether the proxy's client is accepted.
    Admission,
    /// The TLS handshake.
    Tls,
    /// Detection of the protocol.
    Speech,
}

impl HandshakeStep {
    /// Whether TLS may begin.
    #[cfg(feature = "tls")]
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Tls | Self::Speech)
    }
}

/// What a listener offered when a connection was accepted.
///
/// Its configuration may have changed since.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Tls>,
}

/// Bytes and messages of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Messages served.
    pub messages_in: u64,
    /// Round-trip time of the last answered ping, if any.
    pub round_trip: Option<RoundTrip>,
}

/// The round-trip time of a ping, in microseconds. Saturates at about 71 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip(NonZeroU32);

impl RoundTrip {
    pub(crate) fn new(duration: Duration) -> Self {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN))
    }

    /// The time as a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_micros(self.0.get().into())
    }
}

/// The phases of a connection, in order. Most connections skip some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The protocol must be known by then. The application does not know of the connection.
    Undecided { until: Time },
    /// Messages are served.
    Open,
    /// It has its reason; queued output must be written by then.
    Flushing { until: Time },
    /// Our half is closed; the peer must close its half by then. Input is discarded.
    Lingering { until: Time },
    /// The shell drops the socket.
    Over,
}

impl Conn {
    pub(crate) fn new(peer: Peer, origin: Origin, decoder: Decoder, encoding: u16, now: Time) -> Self {
        Self {
            peer,
            origin,
            phase: Phase::Open,
            decoder,
            held: LazyBox::default(),
            encoding,
            step: HandshakeStep::Speech,
            pending_auth: false,
            uncounted: false,
            readmitted: false,
            is_http: false,
            head_search: HeadSearch::default(),
            was_answered: false,
            backlog: false,
            input_ended: false,
            truncated: false,
            input_finished: false,
            discard_message: false,
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

    /// Whether received bytes are not served yet.
    pub(crate) fn is_unserved(&self) -> bool {
        !self.held.is_empty() || self.decoder.is_ahead() || self.input_ended && !self.input_finished
    }

    /// When to send a keep-alive, unless something is sent or received first.
    pub(crate) fn keep_alive_at(&self) -> Option<Time> {
        let interval = match (self.decoder.socket(), &self.decoder) {
            (Some(socket), _) => socket.ping_interval(),
            (None, Decoder::Telnet(session)) => session.keep_alive_interval(),
            _ => None,
        };
        let interval = some_time(interval)?.max(INTERVAL_MIN);
        Some(self.last_byte_at.max(self.kept_alive_at) + interval)
    }

    /// Restarts the peer's time limits after a time in which it could not send.
    pub(crate) fn may_speak_again(&mut self, now: Time) {
        self.last_byte_at = now;
        self.last_message_at = now;
        self.idle_warned = false;
        if self.message_since.is_some() {
            self.message_since = Some(now);
        }
    }
}

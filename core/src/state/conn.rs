use crate::base::Origin;
use crate::base::few::Few;
use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::base::{INTERVAL_MIN, Identity, Peer, Time, some_time};
use crate::config::Gcra;
use crate::state::exchange::{Exchange, Waiting};
use crate::state::held::Held;
use crate::state::strikes::Strikes;
use crate::tls::{Secured, Tls};
use crate::wire::http::HeadSearch;
use crate::wire::{DecodeError, Decoder, Protocol};
use alloc::boxed::Box;
use core::num::NonZeroU32;
use core::time::Duration;

/// The state of one connection, except its output queue, which is in `outbound`.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) origin: Origin,
    pub(crate) phase: Phase,
    pub(crate) decoder: Decoder,
    /// Received bytes that wait to be decoded.
    pub(crate) held: LazyBox<Held>,
    pub(crate) encoding: u16,
    /// Current step of the handshake, while the protocol is undecided.
    pub(crate) step: HandshakeStep,
    /// Whether the connection counts as unauthenticated.
    pub(crate) pending_auth: bool,
    /// Whether the connection is from a proxy and not yet counted under an address.
    pub(crate) uncounted: bool,
    /// Whether the client address that a proxy reported was submitted for admission.
    pub(crate) readmitted: bool,
    /// Whether the peer speaks HTTP, during a handshake.
    pub(crate) is_http: bool,
    /// Whether an HTTP request without upgrade was answered, so that more may follow.
    pub(crate) was_answered: bool,
    /// Whether an HTTP request waits for its answer.
    pub(crate) backlog: bool,
    /// What only connections need that are not open yet.
    pub(crate) handshake: LazyBox<Handshake>,
    /// Whether the peer has ended its half.
    pub(crate) input_ended: bool,
    /// What the peer did wrong.
    pub(crate) faults: LazyBox<Faults>,
    /// Whether the input ended without `close_notify`.
    pub(crate) truncated: bool,
    /// Whether the end of the input was processed.
    pub(crate) input_finished: bool,
    /// Whether to discard the incomplete message, because part of it exceeded the rate.
    pub(crate) discard_message: bool,
    /// Whether the application is done sending, so that our half closes once everything is written.
    pub(crate) finished: bool,
    /// Whether the application has paused reading from the connection.
    pub(crate) paused: bool,
    /// Whether to read while the connection is stalled.
    pub(crate) always_read: bool,
    pub(crate) half_open: bool,
    pub(crate) notices: bool,
    /// Whether it is a watcher of the monitor.
    pub(crate) is_watcher: bool,
    /// Whether the application has chosen the representation.
    pub(crate) chose_representation: bool,
    /// Whether to refuse an HTTP request that arrives as the first input.
    pub(crate) refuses_http: bool,
    /// Time before which the shell does not read, because a rate was exceeded.
    pub(crate) rate_pause: Option<Time>,
    /// When a drain ends the connection, or checks whether its work is done.
    pub(crate) drain_at: Option<Time>,
    /// Whether a drain waits for work in progress before it ends the connection.
    pub(crate) drain_waits: bool,
    /// Whether work that has no ticket is in progress for the connection.
    pub(crate) working: bool,
    pub(crate) opened_at: Time,
    pub(crate) last_byte_at: Time,
    pub(crate) last_message_at: Time,
    /// When the incomplete message began.
    pub(crate) message_since: Option<Time>,
    /// When the decoder stops waiting for more input.
    pub(crate) decoder_due: Option<Time>,
    /// When a keep-alive was last sent.
    pub(crate) kept_alive_at: Time,
    /// Whether the peer was warned of the idle timeout.
    pub(crate) idle_warned: bool,
    pub(crate) messages: Gcra,
    pub(crate) bytes: Gcra,
    pub(crate) rooms: Few,
    pub(crate) identity: Option<Box<Identity>>,
    pub(crate) secured: Option<Box<Secured>>,
    /// Bytes read and written, messages received, and the last round-trip time.
    pub(crate) traffic: Traffic,
}

/// What a connection needs until it opens.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    /// Progress of the search for the end of an HTTP request head.
    pub(crate) head_search: HeadSearch,
    /// The HTTP request that is not answered yet, while its body arrives or its response is awaited.
    pub(crate) exchange: Option<Exchange>,
    /// Protocol and TLS settings of the listener at accept time, kept until the protocol is known.
    pub(crate) offered: Option<Offered>,
}

impl HasEmpty for Handshake {
    const EMPTY: &'static Self = &Self { head_search: HeadSearch::START, exchange: None, offered: None };
}

/// What a peer did wrong. Most do nothing wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) strikes: Strikes,
    /// The error of the decoder that ended the connection.
    pub(crate) decode_error: Option<DecodeError>,
    /// Bytes read and discarded since the connection began to end.
    pub(crate) discarded: u32,
}

impl HasEmpty for Faults {
    const EMPTY: &'static Self = &Self { strikes: Strikes::NONE, decode_error: None, discarded: 0 };
}

/// The steps before a connection opens, in order. Most connections need only the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeStep {
    /// The proxy header.
    Header,
    /// The first shard's decision about the client that a proxy reported.
    Admission,
    /// The answer of the proxy of an outgoing connection.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Detection of the protocol, and HTTP requests before an upgrade.
    Speech,
}

impl HandshakeStep {
    /// Returns `true` if TLS may begin in this step.
    #[cfg(feature = "tls")]
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Tls | Self::Speech)
    }
}

/// Protocol and TLS settings of a listener when it accepted a connection.
///
/// The listener's configuration may have changed since.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Tls>,
}

/// Traffic of one connection: bytes, messages, and the last round-trip time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Messages delivered to the handler.
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

    /// Returns the round-trip time as a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_micros(self.0.get().into())
    }
}

/// The phases of a connection, in order. Most connections skip some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The protocol must be known by `until`. The application does not know of the connection.
    Undecided { until: Time },
    /// The connection is open; its messages go to the handler.
    Open,
    /// The connection is ending; its queued output must be written by `until`.
    Flushing { until: Time },
    /// Our half is closed; the peer must close its half by `until`. Input is discarded.
    Lingering { until: Time },
    /// The connection is over; the shell drops its socket.
    Over,
}

impl Conn {
    pub(crate) fn new(peer: Peer, origin: Origin, decoder: Decoder, encoding: u16, now: Time) -> Self {
        Self {
            peer,
            origin,
            phase: Phase::Open,
            decoder,
            held: LazyBox::new(),
            encoding,
            step: HandshakeStep::Speech,
            pending_auth: false,
            uncounted: false,
            readmitted: false,
            is_http: false,
            was_answered: false,
            backlog: false,
            handshake: LazyBox::new(),
            input_ended: false,
            faults: LazyBox::new(),
            truncated: false,
            input_finished: false,
            discard_message: false,
            finished: false,
            paused: false,
            always_read: false,
            half_open: false,
            notices: false,
            is_watcher: false,
            chose_representation: false,
            refuses_http: false,
            rate_pause: None,
            drain_at: None,
            drain_waits: false,
            working: false,
            opened_at: now,
            last_byte_at: now,
            last_message_at: now,
            message_since: None,
            decoder_due: None,
            kept_alive_at: now,
            idle_warned: false,
            messages: Gcra::default(),
            bytes: Gcra::default(),
            rooms: Few::new(),
            identity: None,
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
            Decoder::Telnet(_) | Decoder::TelnetClient(_) => "telnet",
            Decoder::WebSocket(_) => "websocket",
            Decoder::WsTelnet(_) => "ws+telnet",
            Decoder::Raw(_) => "raw",
            Decoder::Delimited(_) => "delimited",
            Decoder::Events(_) => "events",
            Decoder::Ssh(_) => "ssh",
            Decoder::Custom(custom) => custom.name(),
        }
    }

    /// Returns the peer under whose address the connection is counted. `Local` if under none.
    pub(crate) fn counted_as(&self) -> Peer {
        if self.uncounted { Peer::Local } else { self.peer }
    }

    /// Returns `true` if the connection is a stream of events, so that the peer only receives.
    pub(crate) const fn only_receives(&self) -> bool {
        matches!(self.decoder, Decoder::Events(_))
    }

    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Undecided { .. })
    }

    pub(crate) fn has_no_reason(&self) -> bool {
        matches!(self.phase, Phase::Undecided { .. } | Phase::Open)
    }

    /// Returns the HTTP request that waits for the handler's response, if any.
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        match &self.handshake.exchange {
            Some(Exchange::Waiting(waiting)) => Some(waiting),
            Some(Exchange::Reading(_) | Exchange::Streaming(_) | Exchange::Login(_)) | None => None,
        }
    }

    /// Returns the HTTP request that is not answered yet, or the login, for a change.
    pub(crate) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        self.handshake.get_mut()?.exchange.as_mut()
    }

    /// Removes and returns the HTTP request that is not answered yet, or the login.
    pub(crate) fn take_exchange(&mut self) -> Option<Exchange> {
        self.handshake.get_mut()?.exchange.take()
    }

    /// Returns `true` if received bytes, or the end of the input, are not processed yet.
    pub(crate) fn is_unserved(&self) -> bool {
        !self.held.is_empty() || self.decoder.is_ahead() || self.input_ended && !self.input_finished
    }

    /// Returns when to send the next keep-alive, unless bytes are received first.
    pub(crate) fn keep_alive_at(&self) -> Option<Time> {
        let interval = match (self.decoder.socket(), &self.decoder) {
            (Some(socket), _) => socket.ping_interval(),
            (None, Decoder::Telnet(session)) => session.keep_alive_interval(),
            (None, Decoder::TelnetClient(session)) => session.keep_alive_interval(),
            (None, Decoder::Events(events)) => events.ping_interval(),
            _ => None,
        };
        let interval = some_time(interval)?.max(INTERVAL_MIN);
        let heard_at = if self.only_receives() { self.kept_alive_at } else { self.last_byte_at };
        Some(heard_at.max(self.kept_alive_at) + interval)
    }

    /// Restarts the silence, idle and message time limits after a period without reading.
    pub(crate) fn may_speak_again(&mut self, now: Time) {
        self.last_byte_at = now;
        self.last_message_at = now;
        self.idle_warned = false;
        if self.message_since.is_some() {
            self.message_since = Some(now);
        }
    }
}

//! Draws features and a configuration from a seed.
//!
//! Parameters have usual values, or now and then the smallest or largest possible ones.

use drupe_core::history::Keep;
use drupe_core::http::{Files, Http};
use drupe_core::limit::{Budget, ConnectionLimits, EarlyDrop, Ladder, MessageSize, Network, QuarantineLimits, Rate};
use drupe_core::outbound::{Gather, Marks, OutboundLimits, SlowPolicy};
use drupe_core::settings::Sources;
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::testing::Netstrings;
use drupe_core::wire::{
    Auto, Custom, Delimited, Delimiter, LengthPrefix, LineEnding, Lines, Protocol, Proxies, Raw, RawMode, Wire,
};
use drupe_core::{
    Address, Closing, Config, Drain, Home, Listen, MetricsOptions, PeerLimits, Presence, Random, Rates, RoomLimits,
    RoomMemory, RoomOptions, TicketLimits,
};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A random generator, with the features of one world.
pub(crate) struct Swarm {
    pub(crate) random: Random,
    /// One bit for each [`Feature`].
    features: u64,
}

/// A feature that a world may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Feature {
    Rates,
    Drops,
    Closes,
    Idle,
    Silence,
    Lifetime,
    Extremes,
    Notices,
    HalfOpen,
    Policies,
    SmallMarks,
    FewConnections,
    Quarantine,
    Deflate,
    Pings,
    Proxies,
    Shards,
    Reloads,
    Pauses,
    Stalls,
    Rooms,
    Dials,
    Panics,
    AppPauses,
    Ends,
    Prompts,
    Modes,
    TicketKeys,
    Returns,
    Garbage,
    Troubled,
    Big,
    Watch,
    Tls,
    Logins,
    Storms,
    Operator,
    Web,
    /// Rooms with a home. A second bit decides too, so that the worlds of the table in `main.rs` do
    /// not have this feature.
    Homes = 39,
    /// Only protocols that Drupe knows. The worlds of the table in `main.rs` have this feature.
    Known = 58,
}

impl Swarm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x00d2_b9e5);
        let features = random.next_u64();
        Self { random, features }
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        let bit = |number: u8| self.features >> number & 1 == 1;
        bit(feature as u8) && (feature != Feature::Homes || bit(43))
    }

    pub(crate) fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number(of.len())]
    }

    pub(crate) fn number(&mut self, below: usize) -> usize {
        usize::try_from(self.random.below(below as u64)).expect("it fits")
    }

    /// Returns one of the usual values, or rarely an extreme one.
    fn or_extreme<T: Copy>(&mut self, usual: &[T], extreme: &[T]) -> T {
        if self.has(Feature::Extremes) && self.chance(6) { self.pick(extreme) } else { self.pick(usual) }
    }

    pub(crate) fn span(&mut self, usual: &[u64]) -> Duration {
        let usual: Vec<Duration> = usual.iter().map(|millis| Duration::from_millis(*millis)).collect();
        let extreme = [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(1), Duration::MAX];
        self.or_extreme(&usual, &extreme)
    }

    fn maybe_span(&mut self, feature: Feature, usual: &[u64]) -> Option<Duration> {
        if self.has(feature) { Some(self.span(usual)) } else { None }
    }

    /// Returns an interval. The shortest is 50 ms, because short intervals cause many events.
    fn interval(&mut self, usual: &[u64]) -> Option<Duration> {
        let usual: Vec<Duration> = usual.iter().map(|millis| Duration::from_millis(*millis)).collect();
        let extreme = [Duration::ZERO, Duration::from_millis(50), Duration::MAX];
        self.has(Feature::Pings).then(|| self.or_extreme(&usual, &extreme))
    }

    fn rate(&mut self, usual: &[(u32, u32)]) -> Option<Rate> {
        let (rate, burst) = self.or_extreme(usual, &[(1, 1), (u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1)]);
        Rate::new(rate, burst).ok()
    }

    fn step(&mut self, has: bool) -> Option<u32> {
        let (one, several) = (self.or_extreme(&[1, 2, 5], &[0, 1, u32::MAX]), self.chance(3));
        (has && !several).then_some(one)
    }

    pub(crate) fn rates(&mut self) -> Rates {
        let has = self.has(Feature::Rates);
        let (drops, closes) = (has && self.has(Feature::Drops), has && self.has(Feature::Closes));
        let messages = self.rate(&[(20, 5), (5, 2), (100, 10)]).filter(|_| has && !self.chance(3));
        let bytes = self.rate(&[(2_000, 500), (200, 50), (20_000, 100)]).filter(|_| has && !self.chance(3));
        let ladder = Ladder::default()
            .warn(self.step(true))
            .pause(self.step(true))
            .drop(self.step(drops))
            .close(self.step(closes))
            .quarantine(self.step(closes && self.has(Feature::Quarantine)))
            .forgive_after(self.span(&[1_000, 60_000]));
        Rates::default().messages(messages).bytes(bytes).ladder(ladder)
    }

    fn budget(&mut self) -> Budget {
        let message_max = self.or_extreme(&[200, 2_000, 65_536], &[1, 2, 20, 1 << 30]);
        Budget::default()
            .message_max_bytes(MessageSize::new(message_max).expect("in range"))
            .message_deadline(self.span(&[10_000, 60_000]))
            .messages_per_turn(self.or_extreme(&[3, 20, 1_024], &[0, 1, u32::MAX]))
    }

    fn outbound(&mut self) -> OutboundLimits {
        let small = self.has(Feature::SmallMarks);
        let usual = if small { (200, 500, 2_000) } else { (64 << 10, 256 << 10, 1 << 20) };
        let (low, high, max) = self
            .or_extreme(&[usual], &[(0, 0, 1), (0, 0, 50), (50, 50, 50), (0, 100, 100), (1 << 30, 1 << 30, 1 << 30)]);
        let policies = [SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest];
        let slow_policy = if self.has(Feature::Policies) { self.pick(&policies) } else { SlowPolicy::Close };
        OutboundLimits::default()
            .marks(Marks::new(low, high, max).expect("in order"))
            .write_deadline(self.span(&[5_000, 20_000]))
            .drain_min_bytes_per_second(NonZeroU32::new(self.or_extreme(&[4_096], &[1, u32::MAX])).expect("not 0"))
            .slow_policy(slow_policy)
            .gather(Gather::from_micros(self.or_extreme(&[0, 200], &[1, 500])).expect("at most 500"))
    }

    /// Returns a configuration without listeners.
    pub(crate) fn config(&mut self) -> Config {
        let few = self.has(Feature::FewConnections);
        let total = if few { self.or_extreme(&[6, 10], &[0, 1]) } else { 10_000 };
        let per_address = if few { self.or_extreme(&[3, 100], &[0, 1]) } else { u32::MAX };
        let early = self.pick(&[(0, 1), (2, 9), (5, 100)]);
        let connections = ConnectionLimits::default()
            .total(total)
            .per_address(per_address)
            .arrivals_per_address(self.rate(&[(5, 5)]).filter(|_| few))
            .early_drop(EarlyDrop::new(early.0, early.1).ok().filter(|_| few && self.chance(3)));
        let trusted: Network = "198.51.100.0/24".parse().expect("good");
        Config::default()
            .connections(connections)
            .exempt(if self.chance(8) { vec![trusted] } else { Vec::new() })
            .dry_run(self.chance(12))
            .budget(self.budget())
            .rates(self.rates())
            .quarantine(
                QuarantineLimits::default()
                    .cool_down(self.span(&[1_000, 60_000]))
                    .addresses_max(self.or_extreme(&[10, 1_000], &[0, 1])),
            )
            .outbound(self.outbound())
            .rooms(if self.has(Feature::Extremes) && self.chance(4) {
                RoomLimits::default()
                    .total(self.pick(&[0, 1, 2]))
                    .per_connection(self.pick(&[0, 1, 2]))
                    .name_max_bytes(self.pick(&[0, 1, 3]))
            } else {
                RoomLimits::default()
            })
            .tickets(
                TicketLimits::default()
                    .per_connection(self.or_extreme(&[3], &[0, 1, u32::MAX]))
                    .total(self.or_extreme(&[10], &[0, 1, u32::MAX])),
            )
            .idle(self.maybe_span(Feature::Idle, &[20_000, 300_000]))
            .idle_warning(self.maybe_span(Feature::Idle, &[100, 1_000, 40_000]))
            .silence(self.maybe_span(Feature::Silence, &[30_000, 100_000]))
            .lifetime(self.maybe_span(Feature::Lifetime, &[5_000, 100_000]).filter(|_| self.chance(3)))
            .closing(
                Closing::default()
                    .flush(self.span(&[1_000, 5_000]))
                    .linger(self.span(&[500, 2_000]))
                    .discard_max_bytes(self.or_extreme(&[1 << 20], &[0, 1, u32::MAX])),
            )
            .drain(
                Drain::default()
                    .grace(if self.chance(3) {
                        self.span(&[1, 500]).min(Duration::from_secs(60))
                    } else {
                        Duration::ZERO
                    })
                    .retry_after(if self.chance(2) { Some(self.span(&[1_000])) } else { None })
                    .window(self.span(&[100, 5_000]).min(Duration::from_secs(60)))
                    .closes_per_second(self.or_extreme(&[1, 500], &[0, u32::MAX]))
                    .deadline(self.span(&[10_000, 20_000]).min(Duration::from_secs(300))),
            )
            .accept_backoff(self.span(&[500]).min(Duration::from_secs(60)))
            .memory(self.memory())
            .metrics(MetricsOptions::default().errors_kept(self.or_extreme(&[100, 3], &[0, 1])).durations_kept(3))
    }

    /// Returns which rooms have a home. Without [`Feature::Homes`], it draws nothing.
    fn memory(&mut self) -> RoomMemory {
        if !self.has(Feature::Homes) {
            return RoomMemory::default();
        }
        let presences = [Presence::Names, Presence::Names, Presence::Counts, Presence::Off];
        let rooms = ["h*", "home", "house*"].map(|rooms| {
            let keep = Keep::messages(self.or_extreme(&[3, 100], &[0, 1, u32::MAX]))
                .bytes(self.or_extreme(&[400, 1 << 20], &[0, 1, u32::MAX]))
                .age(if self.chance(3) { Some(self.span(&[2_000, 60_000])) } else { None })
                .key_window(self.span(&[5_000, 300_000]));
            RoomOptions::new(rooms, keep)
                .home(if self.chance(8) { Home::None } else { Home::Memory })
                .presence(self.pick(&presences))
                .tells_gaps(!self.chance(4))
                .positions(!self.chance(4))
        });
        RoomMemory::default()
            .rooms(rooms.into())
            .bytes_max(self.or_extreme(&[20_000, 64 << 20], &[0, 1, u64::MAX]))
            .recover_max(self.or_extreme(&[5, 300], &[0, 1, u32::MAX]))
    }

    /// Returns the limits of a listener, or `None` for the default ones.
    pub(crate) fn limits(&mut self) -> Option<PeerLimits> {
        if !self.chance(5) {
            return None;
        }
        Some(
            PeerLimits::default()
                .budget(self.budget())
                .rates(self.rates())
                .idle(self.maybe_span(Feature::Idle, &[5_000]))
                .idle_warning(self.maybe_span(Feature::Idle, &[1_000]))
                .silence(self.maybe_span(Feature::Silence, &[5_000]))
                .lifetime(self.maybe_span(Feature::Lifetime, &[50_000]).filter(|_| self.chance(3))),
        )
    }

    fn telnet(&mut self) -> Telnet {
        let mode = self.pick(&[InputMode::Line, InputMode::Character, InputMode::Character, InputMode::Keys]);
        let keep_alive = self.interval(&[1_000, 20_000]);
        Telnet::default().mode(mode).probe(self.chance(2)).keep_alive(keep_alive)
    }

    fn http(&mut self) -> Http {
        Http::default()
            .deflate(self.has(Feature::Deflate))
            .ping(self.interval(&[1_000, 10_000]))
            .timeout(self.span(&[2_000, 10_000]))
            .body_max_bytes(self.pick(&[0, 3, 100]))
    }

    /// Returns an HTTP listener from a configuration file, with or without the monitor and metrics.
    pub(crate) fn web(&mut self) -> Listen {
        let (monitor, api, metrics) = (self.chance(2), self.chance(2), self.pick(&["open", "credential", "off"]));
        let body_max = self.pick(&["0B", "1KiB"]);
        let text = format!(
            "listeners: {{ web: {{ address: '127.0.0.1:7900', protocol: websocket, \
             websocket: {{ monitor: {monitor}, api: {api}, metrics: {metrics}, body_max: {body_max} }} }} }}\n{}{}",
            if monitor || metrics == "credential" { "monitor: { credential: 0123456789abcdef }\n" } else { "" },
            if api { "api: { key: 0123456789abcdef }\n" } else { "" }
        );
        let resolved = Sources::new().file("drupe.yaml", &text).resolve().unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut listen = resolved.plan.config.listeners[0].clone();
        listen.app = format!("web {monitor} {metrics}");
        if let Protocol::Http(http) = &mut listen.protocol {
            let files = Files::new().file("/app.js", "app();".repeat(300));
            Arc::make_mut(http).files = Some(files.expect("a name"));
        }
        listen
    }

    /// Returns a wire for a protocol that Drupe does not know.
    fn foreign(&mut self) -> Wire {
        match self.number(3) {
            // A login needs messages.
            0 if !self.has(Feature::Logins) => {
                Wire::Raw(Raw::default().mode(self.pick(&[RawMode::Bytes, RawMode::Keys])))
            }
            0 | 1 => {
                let delimiter = self.pick(&[&b"\0"[..], b"\r\n", b"\x01\x02\x01\x02\x01\x02\x01\x03"]);
                Wire::Delimited(Delimited::default().delimiter(Delimiter::new(delimiter).expect("short")))
            }
            _ => Wire::Custom(Custom::new(&Netstrings).expect("a good name")),
        }
    }

    /// Returns a listener with a random protocol.
    pub(crate) fn listener(&mut self, number: u16) -> Listen {
        let is_foreign = !self.has(Feature::Known) && self.chance(3);
        let protocol: Protocol = match if is_foreign { 8 } else { self.number(8) } {
            8 => self.foreign().into(),
            0 => Wire::Lines(Lines::default().ending(self.pick(&[LineEnding::Lf, LineEnding::CrLf]))).into(),
            1 => {
                let text = format!("length://127.0.0.1:1?prefix={}", self.pick(&LengthPrefix::ALL).name());
                text.parse::<Listen>().expect("good").protocol
            }
            2 | 3 => Wire::Telnet(self.telnet()).into(),
            4 => Protocol::Http(self.http().into()),
            5 | 6 => {
                let telnet = Some(self.telnet());
                Protocol::Http(self.http().telnet(telnet).into())
            }
            _ => {
                let prefix = if self.chance(2) { Some(LengthPrefix::U32Be) } else { None };
                let auto = Auto::default().prefix(prefix).telnet(self.telnet()).wait(self.span(&[300, 1_000]));
                Protocol::Auto(auto)
            }
        };
        // Without a draw, so that seeds keep their meaning.
        let address = if number % 3 == 2 {
            Address::Mounted(format!("mount-{number}"))
        } else {
            Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 7_000 + number)))
        };
        let mut listen = Listen::new(address, protocol);
        listen.half_open = self.has(Feature::HalfOpen);
        if self.has(Feature::Notices) {
            listen.notices = self.chance(2);
        }
        if matches!(listen.protocol, Protocol::Spoken(Wire::Raw(_))) {
            // Nothing would separate a notice from a message.
            listen.notices = false;
        }
        listen.limits = self.limits();
        if self.has(Feature::Proxies) && self.chance(2) {
            let trusted: Network = "198.51.100.0/24".parse().expect("good");
            listen.proxies = Some(Proxies::trusting([trusted]).timeout(self.span(&[1_000, 5_000])));
        }
        if self.chance(10) {
            listen.connections_max = Some(self.or_extreme(&[3], &[0, 1]));
        }
        listen
    }
}

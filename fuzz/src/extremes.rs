//! Configurations in which each field is 0, 1, the maximum, or a value in between.

use drupe_core::broker::{BrokerLogin, Engine, Nats, NatsLogin, NatsStorage, Redis, Sentinel, WithoutBroker};
use drupe_core::history::Keep;
use drupe_core::http::{Access, Files, Http, Origins};
use drupe_core::limit::{Budget, ConnectionLimits, EarlyDrop, Ladder, MessageSize, QuarantineLimits, Rate};
use drupe_core::outbound::{Gather, Marks, OutboundLimits, SlowPolicy};
use drupe_core::telnet::{InputMode, Telnet};
use drupe_core::testing::Netstrings;
use drupe_core::tls::ClientTls;
use drupe_core::tunnel::{KeepAlive, Ssh, Tunnel};
use drupe_core::wire::{Custom, Delimited, Delimiter, InvalidUtf8, Protocol, RawMode, Wire};
use drupe_core::{
    AddressOrder, Backoff, Closing, Cluster, Config, Dial, Drain, FormPart, Home, Listen, MessageForm, MetricsOptions,
    PageLogin, PageOptions, PeerLimits, Presence, Rates, RoomLimits, RoomMemory, RoomOptions, Sections, StreamForm,
    TicketLimits, TlsStart, Unapplied,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// What the addresses of brokers begin with. No other dial has such an address.
pub(crate) const BROKER_HOST: &str = "192.0.2.9:";

/// Draws values from bytes. After the last byte, it draws the values in between.
pub(crate) struct Draw<'a>(std::slice::Iter<'a, u8>);

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(crate) fn pick(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(u8::MAX)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.pick() & 1 == 0
    }

    pub(crate) fn duration(&mut self, between: Duration) -> Duration {
        match self.pick() % 10 {
            0 => Duration::ZERO,
            1 => Duration::from_nanos(1),
            2 => Duration::MAX,
            3 => Duration::from_nanos(u64::MAX),
            4 => Duration::from_millis(1),
            5 => Duration::from_secs(1),
            _ => between,
        }
    }

    pub(crate) fn count(&mut self, between: u32) -> u32 {
        match self.pick() % 9 {
            0 => 0,
            1 => 1,
            2 => u32::MAX,
            3 => u32::MAX - 1,
            4 => 2,
            _ => between,
        }
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.pick().is_multiple_of(3)).then(|| draw(self))
    }

    fn rate(&mut self) -> Option<Rate> {
        let (units, seconds, burst) = (self.count(20), self.count(1), self.count(5));
        Rate::per(units, seconds, burst).ok()
    }

    fn rates(&mut self) -> Rates {
        let mut step = || self.maybe(|draw| draw.count(3));
        let (warn, pause, drop, close, quarantine) = (step(), step(), step(), step(), step());
        let forgive_after = self.duration(Duration::from_secs(10));
        let ladder = Ladder::default()
            .warn(warn)
            .pause(pause)
            .drop(drop)
            .close(close)
            .quarantine(quarantine)
            .forgive_after(forgive_after);
        Rates::default().messages(self.rate()).bytes(self.rate()).ladder(ladder)
    }

    fn budget(&mut self) -> Budget {
        Budget::default()
            .message_max_bytes(MessageSize::new(u64::from(self.count(1_000))).unwrap_or(MessageSize::MAX))
            .message_deadline(self.duration(Duration::from_secs(60)))
            .messages_per_turn(self.count(16))
    }

    fn peer_limits(&mut self) -> PeerLimits {
        PeerLimits::default()
            .budget(self.budget())
            .rates(self.rates())
            .idle(self.maybe(|draw| draw.duration(Duration::from_secs(30))))
            .idle_warning(self.maybe(|draw| draw.duration(Duration::from_secs(3))))
            .silence(self.maybe(|draw| draw.duration(Duration::from_secs(10))))
            .lifetime(self.maybe(|draw| draw.duration(Duration::from_secs(100))))
    }

    fn telnet(&mut self) -> Telnet {
        Telnet::default()
            .mode([InputMode::Line, InputMode::Character, InputMode::Keys][usize::from(self.pick() % 3)])
            .probe(self.flag())
            .gmcp(self.flag())
            .msdp(self.flag())
            .compress(self.flag())
            .keep_alive(self.maybe(|draw| draw.duration(Duration::from_secs(2))))
    }

    fn raw_mode(&mut self) -> RawMode {
        if self.flag() { RawMode::Keys } else { RawMode::Bytes }
    }

    /// Draws delimited messages, with the shortest or the longest delimiter, or a codec.
    fn delimited_or_custom(&mut self) -> Wire {
        if self.flag() {
            return Wire::Custom(Custom::new(&Netstrings).expect("a good name"));
        }
        let bytes = [&b"\0"[..], b"\r\n", b"\0\0\0\0\0\0\0\x01"][usize::from(self.pick() % 3)];
        let policies = [InvalidUtf8::Reject, InvalidUtf8::Replace, InvalidUtf8::Bytes];
        let policy = policies[usize::from(self.pick() % 3)];
        let delimiter = Delimiter::new(bytes).expect("1 to 8 bytes");
        Wire::Delimited(Delimited::default().delimiter(delimiter).invalid_utf8(policy))
    }

    fn http(&mut self, telnet: bool) -> Http {
        Http::default()
            .origins(if self.flag() { Origins::Any } else { Origins::default() })
            .deflate(self.flag())
            .ping(self.maybe(|draw| draw.duration(Duration::from_secs(2))))
            .metrics(if self.flag() { Access::Open } else { Access::Off })
            .page(self.flag())
            .files(self.maybe(Draw::files))
            .telnet(telnet.then(|| self.telnet()))
            .timeout(self.duration(Duration::from_secs(10)))
            .body_max_bytes(self.count(50))
    }

    /// Draws a table without files, or with one that is empty or as long as a number says.
    fn files(&mut self) -> Files {
        let body = "x".repeat(usize::try_from(self.count(1_000).min(1 << 16)).unwrap_or_default());
        let files = Files::new().policy(if self.flag() { String::new() } else { "default-src 'self'".into() });
        if self.flag() { files.file("/index.html", body).expect("a good path") } else { files }
    }

    fn pages(&mut self) -> PageOptions {
        let titles = ["", "Drupe", "<b>\"&\r\n%PATH% %TITLE%"];
        let logins = [PageLogin::None, PageLogin::Password, PageLogin::PasswordOrNewUser, PageLogin::Token];
        let title = titles[usize::from(self.pick() % 3)];
        PageOptions::default().title(title.into()).login(logins[usize::from(self.pick() % 4)])
    }

    /// Draws the settings of an application, which change in a reload.
    fn sections(&mut self) -> Sections {
        let mut sections = Sections::default();
        if self.flag() {
            sections.set(self.count(1));
        }
        sections
    }

    /// Draws the options of rooms that remember: of all rooms, or of those with a prefix.
    fn memory(&mut self) -> RoomMemory {
        let keep = Keep::messages(self.count(3))
            .bytes(self.count(100))
            .age(self.maybe(|draw| draw.duration(Duration::from_secs(10))))
            .key_window(self.duration(Duration::from_secs(10)));
        let presence = [Presence::Off, Presence::Counts, Presence::Names][usize::from(self.pick() % 3)];
        let options = |has_parts: bool, options: RoomOptions| {
            let parts = StreamForm::default().event(PARTS).line(PARTS);
            let options = options.stream(if has_parts { parts } else { StreamForm::default() });
            options.form(if has_parts { MessageForm::Parts(PARTS) } else { MessageForm::Positioned })
        };
        let drawn = RoomOptions::new(if self.flag() { "*" } else { "a*" }, keep)
            .home(match self.pick() {
                0 => Home::None,
                1..40 => Home::Shared,
                _ => Home::Memory,
            })
            .keep(keep)
            .presence(presence)
            .tells_gaps(self.flag())
            .positions(self.flag());
        let options = options(!self.flag(), drawn);
        let bytes_max = self.maybe(|draw| u64::from(draw.count(2_000))).unwrap_or(u64::MAX);
        RoomMemory::default().rooms(vec![options]).bytes_max(bytes_max).recover_max(self.count(3))
    }

    fn listen(&mut self, kind: usize) -> Listen {
        let mut listen: Listen = ADDRESSES[kind].parse().expect("well formed");
        match &mut listen.protocol {
            protocol @ Protocol::Http(_) => *protocol = Protocol::Http(self.http(kind == CARRIED).into()),
            Protocol::Auto(auto) => {
                let (telnet, wait) = (self.telnet(), self.duration(Duration::from_millis(300)));
                *auto = (*auto).telnet(telnet).wait(wait);
            }
            Protocol::Spoken(Wire::Telnet(telnet)) => *telnet = self.telnet(),
            Protocol::Spoken(Wire::Raw(raw)) => *raw = (*raw).mode(self.raw_mode()),
            Protocol::Spoken(wire @ Wire::Delimited(_)) => *wire = self.delimited_or_custom(),
            _ => {}
        }
        listen.connections_max = self.maybe(|draw| draw.count(5));
        listen.half_open = self.flag();
        listen.notices = self.flag();
        listen.limits = if self.flag() { Some(self.peer_limits()) } else { None };
        listen
    }

    fn backoff(&mut self) -> Backoff {
        Backoff::default()
            .initial(self.duration(Duration::from_secs(1)))
            .factor(self.pick())
            .cap(self.duration(Duration::from_secs(60)))
            .jitter_percent(self.pick())
            .stable_after(self.duration(Duration::from_secs(30)))
            .attempts_max(self.maybe(|draw| draw.count(3)))
    }

    /// Draws the options of a dial, but keeps its address, its protocol and its backoff.
    pub(crate) fn dial(&mut self, dial: Dial) -> Dial {
        let others = self.count(3).min(100);
        let (low, high, max) = (self.count(10), self.count(40), self.count(160));
        let marks = Marks::new(low, high, max).ok();
        dial.others((0..others).map(|number| format!("192.0.2.1:{number}")).collect())
            .order(if self.flag() { AddressOrder::Random } else { AddressOrder::InOrder })
            .timeout(self.duration(Duration::from_secs(10)))
            .tls(self.maybe(|_| ClientTls::external()))
            .tls_start(if self.flag() { TlsStart::WhenAsked } else { TlsStart::AtOnce })
            .limits(self.maybe(Self::peer_limits))
            .marks(marks)
            .always_read(self.flag())
            .kept_in_drain(self.flag())
    }

    fn tunnel(&mut self) -> Tunnel {
        let mut tunnel = Tunnel::new("edge", Ssh::new("192.0.2.1", "drupe", "known_hosts"));
        tunnel.connect_timeout = self.duration(Duration::from_secs(10));
        tunnel.keep_alive =
            KeepAlive::default().interval(self.duration(Duration::from_secs(15))).count_max(self.count(3));
        tunnel.reconnect = self.backoff();
        tunnel.refused_wait = self.duration(Duration::from_secs(300));
        tunnel.close_timeout = self.duration(Duration::from_secs(5));
        tunnel
    }

    /// Draws the broker of a cluster.
    fn cluster(&mut self) -> Cluster {
        let login = self.maybe(|draw| BrokerLogin::new("u".repeat(draw.length()), "p".repeat(draw.length())));
        let sentinel = self.maybe(|draw| Sentinel::new("m".repeat(draw.length())).login(login.clone()));
        let ways = [WithoutBroker::Refuse, WithoutBroker::Local];
        let without = ways[usize::from(self.pick() % 2)];
        let prefix = "d".repeat(self.length()).into();
        let dial = self.dial(Dial::lines(format!("{BROKER_HOST}6379"))).others(Vec::new()).tls(None);
        let engine = if self.flag() {
            Engine::Nats(self.nats(login))
        } else {
            Engine::Redis(Redis::default().login(login).sentinel(sentinel))
        };
        Cluster::new(dial, engine).prefix(prefix).without_broker(without)
    }

    fn nats(&mut self, login: Option<BrokerLogin>) -> Nats {
        let secret = "s".repeat(self.length());
        let login = match self.pick() % 4 {
            0 => Some(NatsLogin::Token(secret)),
            1 => Some(NatsLogin::Nkey(secret)),
            2 => Some(NatsLogin::Jwt { jwt: secret.clone(), seed: secret }),
            _ => login.map(NatsLogin::User),
        };
        Nats::default()
            .login(login)
            .replicas([0, 1, 5, u8::MAX][usize::from(self.pick() % 4)])
            .storage(if self.flag() { NatsStorage::Memory } else { NatsStorage::File })
            .max_bytes(self.maybe(|draw| u64::from(draw.count(100_000))))
            .is_tls_first(self.flag())
    }

    /// Draws the length of a name of up to 64 bytes.
    fn length(&mut self) -> usize {
        [0, 1, 64, 5][usize::from(self.pick() % 4)]
    }

    /// Draws a whole configuration.
    ///
    /// It lists all fields, so that a new one in `Config` cannot be forgotten.
    pub(crate) fn config(&mut self, seed: u64) -> Config {
        let peer = self.peer_limits();
        let early_drop = EarlyDrop::new(self.count(2), self.count(9)).ok();
        let per_address = self.rate();
        let (low, high, max) = (self.count(10), self.count(40), self.count(160));
        let (mut listeners, mut tunnels) = (Vec::new(), Vec::new());
        for kind in 0..ADDRESSES.len() {
            let mut listen = self.listen(kind);
            listen.name = format!("listener {kind}");
            listeners.push(listen);
        }
        tunnels.extend(self.maybe(Self::tunnel));
        if tunnels.is_empty() {
            listeners.retain(|listen| !matches!(listen.address, drupe_core::Address::Forwarded(_)));
        }
        let policies = [SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest];
        let memory = self.memory();
        let is_shared = memory.rooms.iter().any(|options| options.home == Home::Shared);
        let config = Config::default()
            .listeners(listeners)
            .tunnels(tunnels)
            .seed(Some(seed))
            .connections(
                ConnectionLimits::default()
                    .total(self.count(16))
                    .per_address(self.count(8))
                    .arrivals_per_address(per_address)
                    .early_drop(early_drop),
            )
            .exempt(Vec::new())
            .dry_run(self.pick() == 0)
            .budget(peer.budget)
            .rates(peer.rates)
            .quarantine(
                QuarantineLimits::default()
                    .cool_down(self.duration(Duration::from_secs(60)))
                    .addresses_max(self.count(3)),
            )
            .outbound(
                OutboundLimits::default()
                    .marks(Marks::new(low, high, max).unwrap_or_default())
                    .write_deadline(self.duration(Duration::from_secs(30)))
                    .drain_min_bytes_per_second(NonZeroU32::new(self.count(100)).unwrap_or(NonZeroU32::MIN))
                    .slow_policy(policies[usize::from(self.pick() % 4)])
                    .gather(Gather::from_micros(self.count(500).into()).unwrap_or_default()),
            )
            .rooms(
                RoomLimits::default().total(self.count(4)).per_connection(self.count(2)).name_max_bytes(self.count(8)),
            )
            .memory(memory)
            .tickets(TicketLimits::default().per_connection(self.count(2)).total(self.count(4)))
            .idle(peer.idle)
            .idle_warning(peer.idle_warning)
            .silence(peer.silence)
            .lifetime(peer.lifetime)
            .closing(
                Closing::default()
                    .flush(self.duration(Duration::from_secs(5)))
                    .linger(self.duration(Duration::from_secs(1)))
                    .discard_max_bytes(self.count(1_000)),
            )
            .drain(
                Drain::default()
                    .grace(self.duration(Duration::from_millis(10)))
                    .retry_after(self.maybe(|draw| draw.duration(Duration::from_secs(5))))
                    .window(self.duration(Duration::from_millis(100)))
                    .closes_per_second(self.count(100))
                    .deadline(self.duration(Duration::from_secs(60))),
            )
            .accept_backoff(self.duration(Duration::from_millis(100)))
            .metrics(MetricsOptions::default().errors_kept(self.count(10)).durations_kept(self.count(10)))
            .pages(self.pages())
            .sections(self.sections())
            .unapplied(Unapplied::default());
        // Shared rooms need a broker.
        config.cluster((is_shared || self.flag()).then(|| self.cluster()))
    }
}

/// The listener that carries telnet in WebSocket messages.
const CARRIED: usize = 5;

/// A form of messages with all parts.
const PARTS: &[FormPart] = &[
    FormPart::Text("{\"a\":"),
    FormPart::Room,
    FormPart::Position,
    FormPart::Offset,
    FormPart::Data,
    FormPart::Text("}"),
];
/// One listener of each kind.
const ADDRESSES: [&str; 10] = [
    "tcp://127.0.0.1:1",
    "length://127.0.0.1:2?prefix=u8",
    "telnet://127.0.0.1:3",
    "auto://127.0.0.1:4?prefix=u32be",
    "ws://127.0.0.1:5",
    "ws://127.0.0.1:6",
    "length://127.0.0.1:7?prefix=varint",
    "tcp://127.0.0.1:0?tunnel=edge",
    "raw://127.0.0.1:8",
    "delimited://127.0.0.1:9",
];

#[cfg(test)]
mod tests {
    use super::Draw;
    use drupe_core::Dial;

    /// Options with one value here, and what rates and marks consist of.
    const NOT_DRAWN: [&str; 33] = [
        "address",
        "allow",
        "api",
        "app",
        "backoff",
        "burst",
        "charset",
        "deny",
        "ending",
        "forwarded",
        "group",
        "high",
        "hosts",
        "labels",
        "lines",
        "low",
        "max",
        // The field of `gather`.
        "micros",
        "monitor",
        "path",
        "peer",
        "prefix",
        "prompt",
        "protocol",
        "proxies",
        // The target of whole machines draws it.
        "proxy",
        "refuses_http",
        "seconds",
        "socket",
        "subprotocols",
        "tls",
        "units",
        "welcome",
    ];

    #[test]
    fn each_option_of_a_configuration_is_drawn() {
        let text = format!("{:?} {:?}", Draw::new(&[]).config(1), Draw::new(&[]).dial(Dial::lines("h:1")));
        let names =
            text.split(": ").filter_map(|part| part.rsplit(|c: char| !c.is_ascii_lowercase() && c != '_').next());
        let here = include_str!("extremes.rs");
        let is_drawn = |name: &str| [format!(".{name}("), format!(".{name} =")].iter().any(|how| here.contains(how));
        let missing: Vec<_> =
            names.filter(|name| !name.is_empty() && !is_drawn(name) && !NOT_DRAWN.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

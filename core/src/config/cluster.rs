use crate::base::setters;
use crate::config::Dial;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// A broker that several hosts share. It is the home of their [shared](crate::Home::Shared) rooms.
///
/// All hosts of a cluster need the same [`prefix`](Self::prefix), and the same options of their rooms. Their
/// [seeds](crate::Config::seed) must be different. Shells choose one, and refuse a configuration that has a seed too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster {
    /// How to reach the broker: its addresses, time limit, TLS and proxy.
    ///
    /// The protocol, the backoff and the limits are those of the engine.
    pub dial: Box<Dial>,
    /// The kind of the broker, and how to log in there.
    pub engine: Engine,
    /// What all keys and channels of this cluster begin with, up to 64 bytes. Default: `drupe`.
    pub prefix: Arc<str>,
    /// The name of this host, which the other hosts show, up to 64 bytes.
    ///
    /// Default: none. The shells then choose the name of the computer.
    pub name: Arc<str>,
    /// What happens to messages in shared rooms while the broker cannot be reached.
    pub without_broker: WithoutBroker,
}

/// The kind of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// Redis 7.0 or later, or Valkey. One node, or one master that Sentinels watch; no Redis Cluster.
    Redis(Redis),
    /// NATS 2.9 or later with JetStream: one server, or any nodes of a cluster.
    Nats(Nats),
}

/// How to log in to a Redis server, and how to find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redis {
    /// The user and the password. `None`: no login.
    pub login: Option<BrokerLogin>,
    /// The name under which Sentinels know the master, if the addresses of the dial are those of Sentinels.
    pub sentinel: Option<Sentinel>,
}

/// How to ask Sentinels for the master.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sentinel {
    /// The name of the master, as in `sentinel monitor NAME`.
    pub master: String,
    /// The user and the password of the Sentinels. `None`: no login.
    pub login: Option<BrokerLogin>,
}

/// How to log in to a NATS server, and how its streams keep the messages of rooms.
///
/// If the dial of the cluster has TLS, it begins after the server's first line, and a server that offers none is
/// refused. The hosts create the streams that they need, and adapt those that have other limits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nats {
    /// The login. `None`: no login.
    pub login: Option<NatsLogin>,
    /// On how many servers each stream is kept: 1 to 5. Default: 1.
    pub replicas: u8,
    /// Where the servers keep the messages of rooms. Default: in files. Names and leases are always in memory.
    pub storage: NatsStorage,
    /// Maximum size of each stream with messages, in bytes. `None`: no limit.
    ///
    /// When it is reached, the oldest messages of all rooms in the stream are removed first. Members who missed them
    /// are told of a gap.
    pub max_bytes: Option<u64>,
    /// Whether TLS begins with the first byte, as with `handshake_first` of the server (2.10.4 or later).
    pub is_tls_first: bool,
}

/// A login to a NATS server. `Debug` shows no secrets.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatsLogin {
    /// A user and a password.
    User(BrokerLogin),
    /// A token.
    Token(String),
    /// The seed of an NKEY: `SU` and 56 further letters and digits in base32. Needs the feature `auth`.
    Nkey(String),
    /// A JWT of a user, and the seed of its NKEY, as in a `.creds` file. Needs the feature `auth`.
    Jwt {
        /// The JWT.
        jwt: String,
        /// The seed.
        seed: String,
    },
}

/// Where NATS servers keep the messages of rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatsStorage {
    /// In files. They survive a restart of the server.
    #[default]
    File,
    /// In memory.
    Memory,
}

/// A user and a password. Only the user is shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerLogin {
    /// The user. `default` is the user of servers without access lists.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What happens to messages in shared rooms while the broker cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithoutBroker {
    /// They are [refused](crate::PublishRefusal::NoBroker).
    #[default]
    Refuse,
    /// They go to the members on this host. Once the broker is back, all members are told of a gap.
    Local,
}

setters!(Cluster { prefix: Arc<str>, name: Arc<str>, without_broker: WithoutBroker });
setters!(Redis { login: Option<BrokerLogin>, sentinel: Option<Sentinel> });
setters!(Sentinel { login: Option<BrokerLogin> });
setters!(Nats {
    login: Option<NatsLogin>,
    replicas: u8,
    storage: NatsStorage,
    max_bytes: Option<u64>,
    is_tls_first: bool
});

impl Cluster {
    /// Creates options of a cluster on a Redis server at `HOST:PORT`.
    #[must_use]
    pub fn redis(address: impl Into<String>) -> Self {
        Self::new(Dial::lines(address), Engine::Redis(Redis::default()))
    }

    /// Creates options of a cluster on a NATS server at `HOST:PORT`, with messages in files on one server.
    #[must_use]
    pub fn nats(address: impl Into<String>) -> Self {
        Self::new(Dial::lines(address), Engine::Nats(Nats::default()))
    }

    /// Creates options of a cluster on a broker that is reached by a dial.
    #[must_use]
    pub fn new(dial: Dial, engine: Engine) -> Self {
        Self {
            dial: Box::new(dial),
            engine,
            prefix: "drupe".into(),
            name: "".into(),
            without_broker: WithoutBroker::default(),
        }
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self { login: None, replicas: 1, storage: NatsStorage::default(), max_bytes: None, is_tls_first: false }
    }
}

impl NatsLogin {
    /// Returns the secret parts, which no log may show.
    pub(crate) fn secrets(&self) -> [&str; 2] {
        match self {
            Self::User(login) => [&login.password, ""],
            Self::Token(token) => [token, ""],
            Self::Nkey(seed) => [seed, ""],
            Self::Jwt { jwt, seed } => [jwt, seed],
        }
    }
}

impl fmt::Debug for NatsLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(login) => f.debug_tuple("User").field(login).finish(),
            Self::Token(_) => f.debug_tuple("Token").finish_non_exhaustive(),
            Self::Nkey(_) => f.debug_tuple("Nkey").finish_non_exhaustive(),
            Self::Jwt { .. } => f.debug_struct("Jwt").finish_non_exhaustive(),
        }
    }
}

impl Sentinel {
    /// Creates the name of a master, without a login at the Sentinels.
    #[must_use]
    pub fn new(master: impl Into<String>) -> Self {
        Self { master: master.into(), login: None }
    }
}

impl BrokerLogin {
    /// Creates a login.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl fmt::Debug for BrokerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

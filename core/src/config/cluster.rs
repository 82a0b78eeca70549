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
    /// The name of this host, which the other hosts show, up to 64 bytes. Default: none.
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

impl Cluster {
    /// Creates options of a cluster on a Redis server at `HOST:PORT`.
    #[must_use]
    pub fn redis(address: impl Into<String>) -> Self {
        Self::new(Dial::lines(address), Engine::Redis(Redis::default()))
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

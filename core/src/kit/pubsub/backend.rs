//! The backend that decides instead of the rules of the channels.

use crate::base::setters;
use crate::config::Dial;
use crate::kit::backend::BackendOptions;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// A server that is asked and told over HTTP: `POST PREFIX/HOOK` with a JSON object.
///
/// It is asked about subscriptions and publications in channels whose
/// [rules](super::ChannelRules::subscribe_proxy_enabled) say so. It answers with the status 200 and
/// `{"result":{...}}`, `{"error":{"code":...,"message":...}}` or
/// `{"disconnect":{"code":...,"reason":...}}`. If it does not, clients get the error 100, after which they
/// try again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubBackend {
    /// How the server is reached, such as `tcp://127.0.0.1:3000`. Only the address, the proxy and TLS count.
    pub dial: Dial,
    /// What the paths begin with, such as `/hooks`. Default: nothing.
    pub prefix: String,
    /// Header fields of each request, such as `Authorization`.
    pub fields: Vec<(String, String)>,
    /// The header fields of a WebSocket's request that the server gets as well, such as `Cookie`.
    pub passed_fields: Vec<String>,
    /// Time for an answer. Default: 1 s.
    pub timeout: Duration,
    /// Maximum number of connections to the server, for each [shard](crate::Shard). Default: 16.
    pub connections_max: u16,
    /// Whether it is asked who a client without a token is (`connect`).
    pub connect: bool,
    /// Whether it answers calls (`rpc`).
    pub rpc: bool,
    /// Whether it is told of clients that have gone (`disconnect`): up to 5 times within 20 s.
    pub disconnect: bool,
}

setters!(PubSubBackend {
    prefix: String,
    fields: Vec<(String, String)>,
    passed_fields: Vec<String>,
    timeout: Duration,
    connections_max: u16,
    connect: bool,
    rpc: bool,
    disconnect: bool,
});

impl PubSubBackend {
    /// Creates options for a server that is asked nothing yet.
    #[must_use]
    pub const fn new(dial: Dial) -> Self {
        Self {
            dial,
            prefix: String::new(),
            fields: Vec::new(),
            passed_fields: Vec::new(),
            timeout: Duration::from_secs(1),
            connections_max: 16,
            connect: false,
            rpc: false,
            disconnect: false,
        }
    }

    pub(super) fn options(&self) -> BackendOptions {
        let Self { dial, prefix, fields, timeout, connections_max, .. } = self.clone();
        BackendOptions { dial, prefix, fields, timeout, connections_max }
    }
}

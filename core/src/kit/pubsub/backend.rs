//! Options of the backend that decides instead of the rules of the channels.

use crate::base::setters;
use crate::config::Dial;
use crate::kit::backend::BackendOptions;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// A backend: a server that decides about clients over HTTP.
///
/// Each request is `POST PREFIX/HOOK` with a JSON object. The hooks are `connect`, `subscribe`, `publish`,
/// `rpc` and `disconnect`. `subscribe` and `publish` are for channels whose
/// [rules](super::ChannelRules::subscribe_proxy_enabled) enable them.
///
/// The backend answers with the status 200 and at most 64 KiB: `{"result":{...}}`,
/// `{"error":{"code":...,"message":...}}` or `{"disconnect":{"code":...,"reason":...}}`. Otherwise the
/// client gets the temporary error 100, after which it may try again.
///
/// After 8 failures in a row, commands fail at once for 1 s. After each further failure, that time is
/// twice as long, up to 30 s.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubBackend {
    /// The dial to the server, such as `tcp://127.0.0.1:3000`. Only its address, its proxy and TLS are used.
    pub dial: Dial,
    /// The prefix of the paths, such as `/hooks`. Default: empty.
    pub prefix: String,
    /// Header fields of each request, such as `Authorization`.
    pub fields: Vec<(String, String)>,
    /// Names of header fields that are copied from the request of a client's WebSocket, such as `Cookie`.
    pub passed_fields: Vec<String>,
    /// Time limit for an answer. For `disconnect`, it applies to each attempt. Default: 1 s.
    pub timeout: Duration,
    /// Maximum number of connections to the server, for each [shard](crate::Shard). 0 counts as 1.
    /// Default: 16.
    pub connections_max: u16,
    /// Whether the backend is asked who a client without a token is (`connect`). Default: no.
    pub connect: bool,
    /// Whether the backend answers the calls of clients (`rpc`), instead of
    /// [`Hooks::rpc`](super::Hooks::rpc). Default: no.
    pub rpc: bool,
    /// Whether the backend is notified when a client has disconnected (`disconnect`). Default: no.
    ///
    /// A notice that fails is sent again after 1, 2, 4 and 8 s.
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
    /// Creates options with all hooks disabled.
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

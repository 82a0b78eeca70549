//! Why a link to the broker is of no use.

use super::nats::codec::NatsError;
use super::resp::RespError;
use crate::tls::BeginTlsError;
use alloc::string::String;

/// Why a link to the broker is of no use, and is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkFault {
    #[error("{0}")]
    Resp(#[from] RespError),
    #[error("{0}")]
    Nats(#[from] NatsError),
    #[error("the broker refused to serve this host: {0}")]
    Refused(String),
    #[error("the server is a {0}, not a master")]
    NotMaster(String),
    #[error("the server is a node of a Redis Cluster, which is not supported: use one node, or Sentinels")]
    InCluster,
    #[error("the server has version {found}; {needed} or later is needed")]
    TooOld { found: String, needed: &'static str },
    #[error("no Sentinel knows a master of the name {0:?}")]
    UnknownMaster(String),
    #[error("the broker did not answer within 5 s")]
    Unanswered,
    #[error("the broker does not deliver what it publishes")]
    Deaf,
    #[error("the server sent nothing within 5 s; a NATS server sends INFO first")]
    Silent,
    #[error("the server does not offer TLS, which cluster.url asks for")]
    NoTls,
    #[error("the server requires TLS: use tls://")]
    NeedsTls,
    #[error("TLS cannot begin: {0}")]
    TlsNotBegun(BeginTlsError),
    #[error("the server has no headers (headers: false)")]
    NoHeaders,
    #[error("JetStream is not enabled at the server, or not for this account")]
    NoJetStream,
    #[error("the stream {name} has another configuration, which cannot be changed: {text}")]
    OtherStream { name: String, text: String },
    #[error("the server sent no nonce to sign with the NKEY")]
    NoNonce,
    #[cfg(feature = "auth")]
    #[error("the seed of the NKEY is not valid")]
    BadSeed,
    #[cfg(not(feature = "auth"))]
    #[cfg(not(feature = "auth"))]
    #[error("this program is built without NKEYs (feature auth)")]
    NoNkeys,
    #[error("the server is about to end (lame duck mode)")]
    Leaving,
    #[error("unexpected answer to {0}")]
    Unexpected(&'static str),
}

/// Why the broker refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

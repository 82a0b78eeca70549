//! Why a link to the broker is of no use.

use super::resp::{RespError, ServerError};
use alloc::string::String;

/// Why a link to the broker is of no use, and is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkFault {
    #[error("{0}")]
    NotRedis(#[from] RespError),
    #[error("the broker refused to serve this host: {0}")]
    Refused(ServerError),
    #[error("the server is a {0}, not a master")]
    NotMaster(String),
    #[error("the server is a node of a Redis Cluster, which is not supported: use one node, or Sentinels")]
    InCluster,
    #[error("the server has version {0}; Redis 7.0 or later is needed")]
    TooOld(String),
    #[error("no Sentinel knows a master of the name {0:?}")]
    UnknownMaster(String),
    #[error("the broker did not answer within 5 s")]
    Unanswered,
    #[error("the broker does not deliver what it publishes")]
    Deaf,
    #[error("unexpected answer to {0}")]
    Unexpected(&'static str),
}

/// Why the broker refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) ServerError);

use super::exchange::RequestTicket;
use super::memory::RoomRequest;
use super::whole::ClusterRequest;
use crate::base::{AcceptFailure, ConnId, DialId, Failure, HostId, ListenerId, OutgoingBuf, Peer, Reason, Time};
use crate::facts::{ClusterAnswer, RoomAnswer};
use crate::history::{Gap, Position, Recovery};
use crate::tunnel::TunnelId;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// An event that waits for delivery to the handler.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Stalled(ConnId),
    Drained(ConnId),
    Authenticated(ConnId),
    Closed(ConnId, Reason),
    Refused(ListenerId, Peer, Reason),
    RequestExpired(RequestTicket, ListenerId),
    LoginEnded(ConnId, ListenerId),
    AcceptPaused(ListenerId, AcceptFailure),
    AcceptResumed(ListenerId),
    DialFailed(DialId, Failure, Option<Time>),
    DialEnded(DialId),
    ClusterAnswered(ClusterRequest, ClusterAnswer),
    HostMessage {
        from: HostId,
        topic: Arc<str>,
        content: Arc<str>,
    },
    Broker {
        is_up: bool,
        why: Option<Box<str>>,
    },
    Tunnel(TunnelId),
    Joined {
        conn: ConnId,
        room: Arc<str>,
        position: Option<Position>,
        recovery: Recovery,
        missed: Arc<[(Position, OutgoingBuf)]>,
    },
    RoomGap {
        conn: Option<ConnId>,
        room: Arc<str>,
        position: Option<Position>,
        why: Gap,
    },
    RoomAnswered(RoomRequest, RoomAnswer),
    PresenceChanged {
        room: Arc<str>,
        name: Arc<str>,
        is_present: bool,
        info: Option<Arc<str>>,
    },
}

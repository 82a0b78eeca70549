//! What a link waits for: requests, and the answers that come next.

use super::class::Class;
use super::headers::Ours;
use super::reading::Collect;
use super::streams::Stream;
use crate::base::Time;
use crate::cluster::broker::Request;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

/// Something that was sent, and has no answer yet.
#[derive(Debug)]
pub(super) struct Call<P> {
    pub(super) task: Task<P>,
    pub(super) subject: String,
    pub(super) bytes: usize,
    pub(super) sent_at: Time,
}

/// For what an answer is awaited.
#[derive(Debug)]
pub(super) enum Task<P> {
    /// The creation of a stream, or its update with the error of the creation.
    CreateStream(Stream, Option<String>),
    /// A request, and the answer that comes next.
    Asked(Asked<P>, Next),
    /// One of several names in this room, before their version.
    Name(Arc<str>),
    /// Nothing depends on the answer.
    Ignored,
}

/// A request of the cluster, or one that other requests wait for.
#[derive(Debug)]
pub(super) struct Asked<P> {
    pub(super) request: Request,
    /// `None`: messages to the room wait for its epoch.
    pub(super) purpose: Option<P>,
    /// Its place among all requests.
    pub(super) order: u64,
    pub(super) at: Time,
    /// How often it was begun again.
    pub(super) tries: u8,
}

/// The answer that comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// The last message of a subject.
    Last,
    /// The message that was published first with a key.
    Earlier,
    /// The confirmation of a message.
    Kept(Ours),
    /// The confirmation of a change of names, or of the removal before it.
    NamesKept,
    NamesRemoved,
    /// The last message about names, before these are read.
    LastName,
    LeaseKept,
    LeasesListed,
    LeaseRemoved,
    /// The confirmation of a claim.
    Claimed,
    /// The consumer, and then its messages.
    Consumer(Box<Collect>),
    Messages(Box<Collect>),
    /// The first of these messages, if it is still kept.
    First(Box<Collect>),
}

/// Returns the stream that a request needs.
pub(super) fn stream_of(request: &Request) -> Option<Stream> {
    match request {
        Request::Publish { keep, .. }
        | Request::Open { keep, .. }
        | Request::Top { keep, .. }
        | Request::Read { keep, .. }
        | Request::Renew { keep, .. }
        | Request::Remove { keep, .. } => Some(Stream::Rooms(Class::of(keep))),
        Request::Names { .. } | Request::Hosts { .. } | Request::NamesOf { .. } | Request::Forget { .. } => {
            Some(Stream::Names)
        }
        Request::Lease { .. } | Request::Leases { .. } | Request::EndLease => Some(Stream::Leases),
        Request::Once { .. } => Some(Stream::Claims),
        Request::Probe { .. } | Request::Tell { .. } => None,
    }
}

/// Returns the length of what a waiting request holds, in bytes.
pub(super) fn bytes_of<P>(asked: &Asked<P>) -> usize {
    match &asked.request {
        Request::Publish { room, data, .. } => room.len() + data.len() + 200,
        Request::Names { room, .. } => room.len() + 500,
        _ => 200,
    }
}

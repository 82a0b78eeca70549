//! The answers in the replies of the server.

use crate::cluster::broker::{Answer, Message, Named, Page, Part, Previous, Request};
use crate::cluster::fault::LinkFault;
use crate::cluster::names::host_of;
use crate::cluster::news::{self, Unreadable};
use crate::cluster::resp::{Reply, ServerErrorKind};
use crate::history::Position;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Returns `true` if an error means that this server cannot serve us any more.
pub(super) const fn ends_link(error: ServerErrorKind) -> bool {
    use ServerErrorKind as Kind;
    matches!(
        error,
        Kind::ReadOnly
            | Kind::Loading
            | Kind::MasterDown
            | Kind::NoAuth
            | Kind::WrongPass
            | Kind::Moved
            | Kind::Ask
            | Kind::TryAgain
            | Kind::ClusterDown
    )
}

/// Returns the answer in the reply to a request.
pub(super) fn answer(request: &Request, reply: Reply) -> Result<Answer, LinkFault> {
    let (found, command) = match request {
        Request::Publish { .. } => (published(reply), "the script that publishes"),
        Request::Open { .. } | Request::Top { .. } | Request::Renew { .. } => (top(reply), "a request for a position"),
        Request::Read { part, .. } => (page(reply, *part), "the script that reads"),
        Request::Hosts { .. } => (hosts(reply), "HGETALL"),
        Request::NamesOf { .. } => (names(reply), "HSCAN"),
        Request::Leases { hosts } => {
            (leases(reply).filter(|leases| leases.len() == hosts.len()).map(Answer::Leases), "MGET")
        }
        Request::Lease { .. } => (Some(Answer::Leased(!matches!(reply, Reply::Null))), "the renewal of a lease"),
        Request::Once { .. } => (Some(Answer::Taken(!matches!(reply, Reply::Null))), "SET"),
        Request::Probe { .. } => match reply.as_number() {
            Some(0) => return Err(LinkFault::Deaf),
            heard => (heard.map(|_| Answer::Done), "PUBLISH"),
        },
        Request::Names { .. } if reply.as_bytes().is_some_and(|reply| **reply == *b"OTHER") => {
            (Some(Answer::OtherNames), "")
        }
        Request::Remove { .. }
        | Request::Names { .. }
        | Request::Forget { .. }
        | Request::EndLease
        | Request::Tell { .. } => (Some(Answer::Done), ""),
    };
    found.ok_or(LinkFault::Unexpected(command))
}

/// Returns `HOST:PORT` of the master.
pub(super) fn master(reply: Reply) -> Option<String> {
    let [host, port] = <[Reply; 2]>::try_from(reply.into_list()?).ok()?;
    let host = core::str::from_utf8(host.as_bytes()?).ok().filter(|host| !host.is_empty())?;
    let port = u16::try_from(port.as_number()?).ok().filter(|port| *port > 0)?;
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

/// What a server says of itself in the greeting.
pub(super) struct Server {
    role: String,
    version: String,
    mode: String,
}

impl Server {
    pub(super) fn read(reply: &Reply) -> Result<Self, LinkFault> {
        let Reply::Map(pairs) = reply else { return Err(LinkFault::Unexpected("HELLO")) };
        let field = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key.as_bytes().is_some_and(|key| key == name.as_bytes()));
            let value = found.and_then(|(_, value)| core::str::from_utf8(value.as_bytes()?).ok());
            value.map(String::from).ok_or(LinkFault::Unexpected("HELLO"))
        };
        Ok(Self { role: field("role")?, version: field("version")?, mode: field("mode")? })
    }

    pub(super) fn check(self) -> Result<(), LinkFault> {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if self.mode == "cluster" {
            Err(LinkFault::InCluster)
        } else if self.mode == "sentinel" {
            Err(LinkFault::NotMaster("Sentinel".into()))
        } else if major.is_none_or(|major| major < 7) {
            Err(LinkFault::TooOld { found: self.version, needed: "Redis 7.0" })
        } else if self.role != "master" {
            Err(LinkFault::NotMaster(self.role))
        } else {
            Ok(())
        }
    }
}

/// Parses the text of a position: the epoch and the mark in hexadecimal digits, the offset in decimal ones.
pub(super) fn position(text: &[u8]) -> Option<Position> {
    let mut words = core::str::from_utf8(text).ok()?.split(' ');
    let position = Position::new(hex(words.next()?)?, words.next()?.parse().ok()?, hex(words.next()?)?);
    words.next().is_none().then_some(position)
}

pub(super) fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn published(reply: Reply) -> Option<Answer> {
    let [outcome, at] = <[Reply; 2]>::try_from(reply.into_list()?).ok()?;
    let is_repeated = **outcome.as_bytes()? == *b"repeated";
    Some(Answer::Published { position: position(at.as_bytes()?)?, is_repeated })
}

fn top(reply: Reply) -> Option<Answer> {
    top_of(&reply.into_list()?).ok().map(Answer::Top)
}

/// Returns the position in the first three parts, if it is there.
fn top_of(parts: &[Reply]) -> Result<Option<Position>, Unreadable> {
    let [epoch, offset, mark, ..] = parts else { return Err(Unreadable) };
    if [epoch, offset, mark].iter().any(|part| matches!(part, Reply::Null)) {
        return Ok(None);
    }
    known_top(epoch, offset, mark).map(Some).ok_or(Unreadable)
}

fn known_top(epoch: &Reply, offset: &Reply, mark: &Reply) -> Option<Position> {
    let number = |reply: &Reply| hex(core::str::from_utf8(reply.as_bytes()?).ok()?);
    let offset = u64::try_from(offset.as_number()?).ok()?;
    Some(Position::new(number(epoch)?, offset, number(mark)?))
}

fn page(reply: Reply, part: Part) -> Option<Answer> {
    let parts = reply.into_list()?;
    let top = top_of(&parts).ok()?;
    let [_, _, _, now, messages] = <[Reply; 5]>::try_from(parts).ok()?;
    let now = u64::try_from(now.as_number()?).ok()?;
    let epoch = top.map_or(0, |top| top.epoch);
    let messages = messages.into_list()?.into_iter().map(|entry| message(epoch, entry)).collect::<Option<_>>()?;
    let missed = top.map_or(0, |top| top.offset.saturating_sub(part.from.unwrap_or(0)));
    let is_above = part.above > 0 && missed > u64::from(part.above);
    Some(Answer::Page(Page { top, now, messages, is_above }))
}

/// Reads an entry of a stream: its id, and its fields `k`, `p`, `t` and `d`.
fn message(epoch: u64, entry: Reply) -> Option<Message> {
    let [id, fields] = <[Reply; 2]>::try_from(entry.into_list()?).ok()?;
    let id = core::str::from_utf8(id.as_bytes()?).ok()?;
    let offset = id.strip_suffix("-0")?.parse().ok()?;
    let [_, mark, _, previous, _, at, _, data] = <[Reply; 8]>::try_from(fields.into_list()?).ok()?;
    let number = |reply: &Reply| hex(core::str::from_utf8(reply.as_bytes()?).ok()?);
    let Reply::Text(data) = data else { return None };
    Some(Message {
        position: Position::new(epoch, offset, number(&mark)?),
        previous: Previous::Mark(number(&previous)?),
        at: u64::try_from(at.as_number()?).ok()?,
        data: Some(data),
    })
}

fn hosts(reply: Reply) -> Option<Answer> {
    let Reply::Map(pairs) = reply else { return None };
    let host = |(host, version): &(Reply, Reply)| {
        Some((host_of(host.as_bytes()?)?, u64::try_from(version.as_number()?).ok()?))
    };
    pairs.iter().map(host).collect::<Option<_>>().map(Answer::Hosts)
}

fn names(reply: Reply) -> Option<Answer> {
    let [cursor, fields] = <[Reply; 2]>::try_from(reply.into_list()?).ok()?;
    let cursor: Box<[u8]> = (&**cursor.as_bytes()?).into();
    let mut fields = fields.into_list()?.into_iter();
    let mut names: Vec<Named> = Vec::new();
    while let Some(name) = fields.next() {
        names.push((text(name.as_bytes()?)?, news::info(fields.next()?.as_bytes()?).ok()?));
    }
    Some(Answer::Names(names, (&*cursor != b"0").then_some(cursor)))
}

fn leases(reply: Reply) -> Option<Vec<bool>> {
    Some(reply.into_list()?.iter().map(|lease| !matches!(lease, Reply::Null)).collect())
}

fn text(bytes: &[u8]) -> Option<Arc<str>> {
    core::str::from_utf8(bytes).ok().map(Into::into)
}

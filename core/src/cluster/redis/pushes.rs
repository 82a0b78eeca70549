//! What the server sends unasked: messages of channels, and confirmations of subscriptions.

use super::replies::{hex, position};
use crate::cluster::broker::{Heard, Message, Previous};
use crate::cluster::names::Names;
use crate::cluster::news;
use crate::cluster::resp::Reply;
use alloc::string::String;
use bytes::Bytes;

/// What the server sent unasked.
pub(super) enum Push<P> {
    Heard(Heard<P>),
    /// A subscription began or ended.
    ChannelChanged,
    /// Nothing that is used here, such as a message that somebody else published to a channel.
    Other,
}

pub(super) fn read_push<P>(parts: &[Reply], names: &Names, host: u64) -> Push<P> {
    let [kind, channel, rest @ ..] = parts else { return Push::Other };
    let Some(channel) = channel.as_bytes() else { return Push::Other };
    match (kind.as_bytes().map(|kind| &**kind), rest) {
        (Some(b"message"), [Reply::Text(data)]) => message(channel, data, names, host).map_or(Push::Other, Push::Heard),
        (Some(b"subscribe" | b"unsubscribe"), _) => Push::ChannelChanged,
        _ => Push::Other,
    }
}

fn message<P>(channel: &[u8], data: &Bytes, names: &Names, host: u64) -> Option<Heard<P>> {
    if let Some(room) = names.room_of(channel) {
        return of_room(room, data);
    }
    if channel == names.probe(host) {
        return core::str::from_utf8(data).ok()?.parse().ok().map(Heard::Probed);
    }
    (channel == names.all_hosts()).then(|| Heard::Told(data.clone()))
}

/// Reads what a script published to the channel of a room: a letter, words, and content after a line feed.
fn of_room<P>(room: String, data: &Bytes) -> Option<Heard<P>> {
    let end = memchr::memchr(b'\n', data).unwrap_or(data.len());
    let (head, content) = (data.get(..end)?, data.slice((end + 1).min(data.len())..));
    let head = core::str::from_utf8(head).ok()?;
    match head.split_once(' ') {
        Some(("M", rest)) => {
            let (at, previous) = rest.rsplit_once(' ')?;
            let position = position(at.as_bytes())?;
            let message = Message { position, previous: Previous::Mark(hex(previous)?), at: 0, data: Some(content) };
            Some(Heard::Message { room, message })
        }
        Some(("P", rest)) => {
            let (host, news) = news::read(rest, &content)?;
            Some(Heard::Names { room, host, news })
        }
        _ => (head == "E").then_some(Heard::Renewed { room }),
    }
}

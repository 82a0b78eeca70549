//! Strategies that draw messages between the homes of rooms and other shards.

use crate::base::{ConnId, OutgoingBuf, PayloadBuf};
use crate::facts::{
    HistoryPage, HistoryRange, PresencePage, PresentName, PublishRefusal, Published, RoomAnswer, RoomMessage,
};
use crate::history::{Gap, Position, PublishError};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Draws one of all messages about rooms.
pub(super) fn room_messages() -> impl Strategy<Value = RoomMessage> {
    let room = || any::<String>().prop_map(Arc::from);
    let maybe = || any::<Option<String>>().prop_map(|text| text.map(Arc::from));
    prop_oneof![
        (room(), any::<(u8, Option<u64>)>(), maybe(), conns(), message()).prop_map(
            |(room, (from, request), key, except, message)| RoomMessage::Submit {
                room,
                from,
                request,
                key,
                except,
                message
            }
        ),
        (room(), position(), position(), conns(), message()).prop_map(|(room, position, before, except, message)| {
            RoomMessage::Kept { room, position, before, except, message }
        }),
        (any::<u64>(), answer()).prop_map(|(request, answer)| RoomMessage::Answer { request, answer }),
        (room(), any::<(u8, u64, u32)>(), prop::option::of(wanted())).prop_map(
            |(room, (from, number, bytes_max), since)| RoomMessage::Ask { room, from, number, since, bytes_max }
        ),
        (room(), any::<u64>(), position(), prop_oneof![messages().prop_map(Ok), gap().prop_map(Err)])
            .prop_map(|(room, number, position, missed)| RoomMessage::Told { room, number, position, missed }),
        (room(), any::<u8>()).prop_map(|(room, from)| RoomMessage::Emptied { room, from }),
        (room(), any::<(u8, u64, u32)>(), range()).prop_map(|(room, (from, request, max), range)| RoomMessage::Read {
            room,
            from,
            request,
            range,
            max
        }),
        (room(), any::<u8>(), room(), maybe()).prop_map(|(room, from, name, info)| RoomMessage::Entered {
            room,
            from,
            name,
            info
        }),
        (room(), any::<u8>(), room()).prop_map(|(room, from, name)| RoomMessage::Exited { room, from, name }),
        (room(), room(), any::<bool>(), maybe()).prop_map(|(room, name, is_present, info)| {
            RoomMessage::PresenceChanged { room, name, is_present, info }
        }),
        (room(), any::<(u8, u64, u32)>(), maybe()).prop_map(|(room, (from, request, max), after)| RoomMessage::Who {
            room,
            from,
            request,
            after,
            max
        }),
        (room(), position(), gap()).prop_map(|(room, position, why)| RoomMessage::Moved { room, position, why }),
        (room(), position()).prop_map(|(room, position)| RoomMessage::Passed { room, position }),
        room().prop_map(|room| RoomMessage::Remove { room }),
    ]
}

fn conns() -> impl Strategy<Value = Arc<[ConnId]>> {
    let conn = (0..3u8, 0..9u32, 1..9u32).prop_map(|(shard, index, generation)| ConnId::new(shard, index, generation));
    prop::collection::vec(conn, 0..3).prop_map(Arc::from)
}

fn message() -> impl Strategy<Value = OutgoingBuf> {
    prop_oneof![
        any::<String>().prop_map(OutgoingBuf::from),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| PayloadBuf::Binary(bytes.into()).into()),
        any::<(String, String)>()
            .prop_map(|(json, text)| OutgoingBuf::Negotiated { json: json.into(), text: text.into() }),
    ]
}

fn messages() -> impl Strategy<Value = Arc<[(Position, OutgoingBuf)]>> {
    prop::collection::vec((position(), message()), 0..3).prop_map(Arc::from)
}

fn position() -> impl Strategy<Value = Position> {
    any::<(u64, u64, u64)>().prop_map(|(epoch, offset, mark)| Position::new(epoch, offset, mark))
}

/// Returns a position after which a member or a reader wants messages. It may have [`Position::ANY_MARK`].
fn wanted() -> impl Strategy<Value = Position> {
    let any_mark = |position: Position| Position { mark: Position::ANY_MARK, ..position };
    prop_oneof![position(), position().prop_map(any_mark)]
}

fn gap() -> impl Strategy<Value = Gap> {
    prop::sample::select(Gap::ALL.to_vec())
}

fn range() -> impl Strategy<Value = HistoryRange> {
    prop_oneof![Just(HistoryRange::Oldest), Just(HistoryRange::Latest), wanted().prop_map(HistoryRange::After)]
}

fn answer() -> impl Strategy<Value = RoomAnswer> {
    let refusal = prop_oneof![
        any::<(usize, usize)>().prop_map(|(bytes, max)| PublishError::TooLong { bytes, max }.into()),
        any::<usize>().prop_map(|bytes| PublishError::KeyTooLong { bytes }.into()),
        Just(PublishError::TooManyKeys.into()),
        Just(PublishRefusal::NoHome),
        any::<(usize, u32)>().prop_map(|(bytes, max)| PublishRefusal::Name { bytes, max }),
        Just(PublishRefusal::TooManyRequests),
        Just(PublishRefusal::NoBroker),
        Just(PublishRefusal::BrokerBehind),
        Just(PublishRefusal::Broker),
    ];
    let page = (messages(), position(), any::<bool>())
        .prop_map(|(messages, top, has_more)| HistoryPage::new(messages, top, has_more));
    let named = |(name, info): (String, Option<String>)| PresentName::new(name.into(), info.map(Into::into));
    let names = prop::collection::vec(any::<(String, Option<String>)>().prop_map(named), 0..3);
    let present = (names, any::<u64>(), any::<bool>())
        .prop_map(|(names, count, has_more): (Vec<_>, _, _)| PresencePage::new(names.into(), count, has_more));
    prop_oneof![
        (position(), any::<bool>())
            .prop_map(|(position, is_repeated)| RoomAnswer::Published(Published::kept(position, is_repeated))),
        refusal.prop_map(|refusal| RoomAnswer::Published(Published::Refused(refusal))),
        prop_oneof![page.prop_map(Ok), gap().prop_map(Err)].prop_map(RoomAnswer::History),
        prop::option::of(present).prop_map(RoomAnswer::Present),
        Just(RoomAnswer::Unknown),
    ]
}

//! Reading several messages of a stream, with a consumer that exists for this alone.

use super::answers::{ApiErrorKind, Consumer, Stored, Unusable, consumer, delivered, stored};
use super::codec::ServerMessage;
use super::headers::{Headers, is_gone};
use super::link::NatsLink;
use super::reading::{BATCH_BYTES, Collect};
use super::task::{Asked, Next, Task};
use crate::base::Time;
use crate::cluster::broker::{Answer, Request};
use crate::cluster::fault::{LinkFault, Refused};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use bytes::Bytes;

/// Maximum number of messages that are asked for at a time. A busy server has delivered only 70 in a second.
const BATCH_MAX: u64 = 64;
/// Time after which the server removes an unused consumer, in nanoseconds: 10 s.
const INACTIVE_NS: u64 = 10_000_000_000;
/// Time in which a server that is behind must have the last message, in nanoseconds: 2 s.
const CATCH_UP_NS: u64 = 2_000_000_000;
/// How often a batch may end without any of the messages that the server has announced. Then they were removed.
const EMPTY_MAX: u8 = 2;
/// Time after which the server ends a batch whose messages were removed or replaced meanwhile, in nanoseconds: 2 s.
const BATCH_NS: u64 = 2_000_000_000;

impl<P> NatsLink<P> {
    /// Begins to read the messages of a subject from a number on.
    pub(super) fn collect(&mut self, now: Time, asked: Asked<P>, filter: &str, from: u64, collect: Collect) {
        let start = if from > 1 {
            format!(r#""deliver_policy":"by_start_sequence","opt_start_seq":{from}"#)
        } else {
            r#""deliver_policy":"all""#.to_string()
        };
        let stream = &collect.stream;
        let config = format!(
            r#"{{"stream_name":"{stream}","config":{{{start},"ack_policy":"none","filter_subject":"{filter}","replay_policy":"instant","inactive_threshold":{INACTIVE_NS},"num_replicas":1,"mem_storage":true}}}}"#
        );
        let subject = format!("$JS.API.CONSUMER.CREATE.{stream}");
        self.call(now, subject, "", config.as_bytes(), Task::Asked(asked, Next::Consumer(Box::new(collect))));
    }

    pub(super) fn consumer_created(
        &mut self,
        now: Time,
        asked: Asked<P>,
        mut collect: Box<Collect>,
        payload: &[u8],
    ) -> Result<(), LinkFault> {
        let Consumer { name, now: server_now, pending } = match consumer(payload) {
            Ok(found) => found,
            Err(why) => return self.refuse_after(now, asked, why, "the creation of a consumer"),
        };
        (collect.consumer, collect.now, collect.pending) = (name, server_now, pending);
        collect.is_above = collect.above > 0 && pending.saturating_sub(1) > collect.above;
        collect.skip = collect.last_only.map_or(0, |last| pending.saturating_sub(last));
        self.collect_more(now, asked, collect, false);
        Ok(())
    }

    /// Asks for the next batch, or ends the reading. `is_too_long`: the next message alone is longer than a batch.
    fn collect_more(&mut self, now: Time, asked: Asked<P>, mut collect: Box<Collect>, is_too_long: bool) {
        // Messages without content are not for readers, and few.
        let has_content = |stored: &&Stored| stored.ours.is_none_or(|ours| ours.has_content);
        let wanted = collect.max.saturating_sub(collect.got.iter().filter(has_content).count() as u64);
        let has_enough = collect.got.len() >= collect.needed && (collect.bytes_left == 0 || is_too_long);
        let is_over = collect.is_above || collect.skip == 0 && (wanted == 0 || has_enough);
        let waits = !is_over && collect.is_behind() && !collect.has_caught_up;
        if is_over || collect.pending == 0 && !waits {
            return self.collected(now, asked, collect);
        }
        let query = if waits {
            collect.has_caught_up = true;
            collect.batch = 1;
            format!(r#"{{"batch":1,"expires":{CATCH_UP_NS}}}"#)
        } else if is_too_long || collect.skip == 0 && collect.bytes_left == 0 {
            collect.batch = 1;
            format!(r#"{{"batch":1,"no_wait":true,"expires":{BATCH_NS}}}"#)
        } else {
            let (wanted, bytes) =
                if collect.skip > 0 { (collect.skip, BATCH_BYTES) } else { (wanted, collect.bytes_left) };
            collect.batch = wanted.min(BATCH_MAX).min(collect.pending);
            let (batch, bytes) = (collect.batch, bytes.min(BATCH_BYTES));
            format!(r#"{{"batch":{batch},"max_bytes":{bytes},"no_wait":true,"expires":{BATCH_NS}}}"#)
        };
        collect.came = 0;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", collect.stream, collect.consumer);
        // If it cannot be sent, nothing more of this reading comes.
        self.consumers.insert(collect.consumer.clone(), self.number + 1);
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::Messages(collect)));
    }

    /// Handles a message that a consumer delivers.
    pub(super) fn handle_delivered(&mut self, now: Time, message: &ServerMessage) -> Result<(), LinkFault> {
        const WHAT: LinkFault = LinkFault::Unexpected("a request for messages");
        let found = message.reply.as_ref().and_then(|reply| delivered(reply)).ok_or(WHAT)?;
        let Some(number) = self.consumers.get(found.consumer).copied() else { return Ok(()) };
        let Some(call) = self.calls.get_mut(&number) else { return Ok(()) };
        let Task::Asked(_, Next::Messages(collect)) = &mut call.task else { return Ok(()) };
        (collect.pending, collect.came) = (found.pending, collect.came + 1);
        if collect.skip > 0 {
            collect.skip -= 1;
        } else {
            let length = message.headers.len() + message.payload.len() + message.subject.len() + 100;
            collect.bytes_left = collect.bytes_left.saturating_sub(length as u64);
            collect.got.push(Stored {
                subject: String::from_utf8_lossy(&message.subject).into_owned(),
                number: found.number,
                ours: Headers::new(&message.headers).ours(),
                is_gone: is_gone(&message.headers),
                // Otherwise, a page would keep all in memory that came with it.
                data: Bytes::copy_from_slice(&message.payload),
                at: found.at,
            });
        }
        if collect.came >= collect.batch || collect.pending == 0 {
            self.end_batch(now, number);
        }
        Ok(())
    }

    /// Handles that the server ends a batch: 404 and 408 if there are no more messages, 409 if the next one is too long.
    pub(super) fn batch_ended(
        &mut self,
        now: Time,
        mut asked: Asked<P>,
        mut collect: Box<Collect>,
        status: u16,
    ) -> Result<(), LinkFault> {
        if !matches!(status, 404 | 408 | 409) {
            return Err(LinkFault::Unexpected("a request for messages"));
        }
        self.consumers.remove(&collect.consumer);
        let is_too_long = status == 409 && collect.came < collect.batch;
        if is_too_long && collect.batch == 1 {
            // Not even alone: the consumer was removed.
            let why = Refused("the consumer of this reading is gone".into());
            self.finish(now, asked, Answer::Refused(why));
            return Ok(());
        }
        if status != 409 && collect.came == 0 && collect.pending > 0 && asked.tries < EMPTY_MAX {
            // A busy server may need longer.
            asked.tries += 1;
        } else if status != 409 {
            collect.pending = 0;
        }
        self.collect_more(now, asked, collect, is_too_long);
        Ok(())
    }

    /// Asks again for what is missing of the oldest batch. Returns `false` if the oldest call is none, or was in vain twice.
    ///
    /// Servers before 2.10 end a batch in silence if its time is over while they look for its messages.
    pub(super) fn resume_oldest(&mut self, now: Time) -> bool {
        let Some((number, call)) = self.calls.iter_mut().next() else { return false };
        let Task::Asked(asked, Next::Messages(collect)) = &mut call.task else { return false };
        asked.tries = if collect.came > 0 { 0 } else { asked.tries + 1 };
        let has_hope = asked.tries <= EMPTY_MAX;
        if has_hope {
            let number = *number;
            self.end_batch(now, number);
        }
        has_hope
    }

    fn end_batch(&mut self, now: Time, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        self.waiting_bytes -= call.bytes;
        if let Task::Asked(asked, Next::Messages(collect)) = call.task {
            self.consumers.remove(&collect.consumer);
            self.collect_more(now, asked, collect, false);
        }
    }

    fn collected(&mut self, now: Time, asked: Asked<P>, collect: Box<Collect>) {
        let subject = format!("$JS.API.CONSUMER.DELETE.{}.{}", collect.stream, collect.consumer);
        self.call(now, subject, "", b"", Task::Ignored);
        let Collect { top: Some(top), .. } = *collect else { return self.names_collected(now, asked, &collect) };
        if collect.is_behind() {
            return self.finish(now, asked, Answer::Refused(Refused("the server is behind".into())));
        }
        // A stream removes the first messages of a room while the next ones are read. If the first one that was read is
        // still there, so were all others until they were read.
        if let [first, _, ..] = &collect.got[..]
            && matches!(asked.request, Request::Read { part, .. } if part.above > 0)
        {
            let query = format!(r#"{{"seq":{}}}"#, first.number);
            let subject = format!("$JS.API.STREAM.MSG.GET.{}", collect.stream);
            return self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::First(collect)));
        }
        self.finish(now, asked, Answer::Page(collect.into_page(top)));
    }

    /// Handles the first message of a page, which shows that none is missing behind it.
    pub(super) fn first_found(
        &mut self,
        now: Time,
        asked: Asked<P>,
        mut collect: Collect,
        payload: &[u8],
    ) -> Result<(), LinkFault> {
        let first = collect.got.first().and_then(|first| Some((first.number, first.ours?.mark)));
        let is_there = match stored(payload) {
            Ok(found) => first == found.ours.map(|ours| (found.number, ours.mark)),
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::NoMessage => false,
            Err(why) => return self.refuse_after(now, asked, why, "a request for a message"),
        };
        if !is_there {
            let before_last = collect.got.len().saturating_sub(1);
            collect.got.drain(..before_last);
        }
        if let Some(top) = collect.top {
            self.finish(now, asked, Answer::Page(collect.into_page(top)));
        }
        Ok(())
    }
}

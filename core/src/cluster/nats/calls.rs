//! Requests of several steps: what was sent, and what its answer leads to.

use super::answers::{ApiErrorKind, Unusable, done};
use super::codec::{ServerMessage, write};
use super::headers::Headers;
use super::link::{NatsLink, StreamState};
use super::streams::Stream;
use super::subjects::{SUBJECT_MAX, number_of};
use super::task::{Asked, Call, Next, Task, bytes_of, stream_of};
use crate::base::Time;
use crate::cluster::broker::{Answer, Heard, Request};
use crate::cluster::fault::{LinkFault, Refused};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

impl<P> NatsLink<P> {
    /// Sends a request.
    pub(in crate::cluster) fn request(&mut self, now: Time, request: Request, purpose: P) {
        self.number += 1;
        let asked = Asked { request, purpose: Some(purpose), order: self.number, at: now, tries: 0 };
        self.begin(now, asked);
    }

    /// Begins a request, once its stream is there.
    pub(super) fn begin(&mut self, now: Time, asked: Asked<P>) {
        let Some(stream) = stream_of(&asked.request) else { return self.publish_plainly(now, asked) };
        match self.streams.get_mut(&stream) {
            Some(StreamState::Ready) => self.begin_at_stream(now, asked),
            Some(StreamState::Making(waiting)) => {
                self.waiting_bytes += bytes_of(&asked);
                waiting.push_back(asked);
            }
            None => {
                self.waiting_bytes += bytes_of(&asked);
                self.create_stream(now, stream, VecDeque::from([asked]));
            }
        }
    }

    fn begin_at_stream(&mut self, now: Time, asked: Asked<P>) {
        match asked.request {
            Request::Publish { .. } | Request::Remove { .. } => self.publish(now, asked),
            Request::Names { .. } => self.change_names(now, asked),
            Request::Hosts { .. } | Request::NamesOf { .. } => self.read_names(now, asked),
            Request::Forget { .. } => self.forget_names(now, asked),
            Request::Lease { is_new: true } => self.keep_lease(now, asked),
            Request::Leases { .. } => self.list_leases(now, asked),
            Request::EndLease => self.end_lease(now, asked),
            Request::Once { .. } => self.claim(now, asked),
            _ => self.ask_for_last(now, asked),
        }
    }

    pub(super) fn create_stream(&mut self, now: Time, stream: Stream, waiting: VecDeque<Asked<P>>) {
        self.streams.insert(stream, StreamState::Making(waiting));
        let subject = format!("$JS.API.STREAM.CREATE.{}", stream.name(&self.subjects));
        let config = stream.config(&self.subjects, &self.options);
        self.call(now, subject, "", config.as_bytes(), Task::CreateStream(stream, None));
    }

    /// Publishes to a subject, with an inbox for the answer. What is too long for the server is refused.
    pub(super) fn call(&mut self, now: Time, subject: String, headers: &str, payload: &[u8], task: Task<P>) {
        if headers.len() + payload.len() > self.payload_max || subject.len() > SUBJECT_MAX {
            let max = self.payload_max;
            return self.refuse(now, task, &format!("longer than the server allows (max_payload {max} bytes)"));
        }
        self.number += 1;
        let reply = self.subjects.inbox(Some(self.number));
        let before = self.output.len();
        write::publish(&mut self.output, &subject, &reply, headers.as_bytes(), payload);
        let bytes = self.output.len() - before;
        self.waiting_bytes += bytes;
        self.calls.insert(self.number, Call { task, subject, bytes, sent_at: now });
    }

    /// Publishes what no stream keeps.
    fn publish_plainly(&mut self, now: Time, asked: Asked<P>) {
        match &asked.request {
            Request::Probe { number } => {
                let (subject, text) = (self.subjects.probe(), number.to_string());
                write::publish(&mut self.output, &subject, "", b"", text.as_bytes());
            }
            Request::Tell { data } if data.len() <= self.payload_max => {
                write::publish(&mut self.output, &self.subjects.all_hosts(), "", b"", data);
            }
            _ => {}
        }
        self.finish(now, asked, Answer::Done);
    }

    /// Notes that the stream of a request may be gone. The next request creates it again.
    fn doubt_stream(&mut self, asked: &Asked<P>) {
        if let Some(stream) = stream_of(&asked.request)
            && let Some(StreamState::Ready) = self.streams.get(&stream)
        {
            self.streams.remove(&stream);
        }
    }

    /// Handles an answer, or a message that a consumer delivers.
    pub(super) fn handle_answer(&mut self, now: Time, message: &ServerMessage) -> Result<(), LinkFault> {
        if message.reply.as_ref().is_some_and(|reply| reply.starts_with(b"$JS.ACK.")) {
            return self.handle_delivered(now, message);
        }
        // What is unknown here answers something that has ended.
        let Some(number) = number_of(&message.subject) else { return Ok(()) };
        let Some(Call { task, bytes, .. }) = self.calls.remove(&number) else { return Ok(()) };
        self.waiting_bytes -= bytes;
        let status = Headers::new(&message.headers).status();
        match (task, status) {
            (task, Some(503)) => self.nobody_answered(now, task),
            (Task::Asked(asked, Next::Messages(collect)), Some(status)) => {
                self.batch_ended(now, asked, collect, status)
            }
            (Task::Asked(asked, next), _) => self.handle_next(now, asked, next, &message.payload),
            (Task::Name(room), _) => self.name_kept(room, &message.payload),
            (Task::CreateStream(stream, earlier), _) => self.stream_created(now, stream, earlier, &message.payload),
            (Task::Ignored, _) => Ok(()),
        }
    }

    fn handle_next(&mut self, now: Time, asked: Asked<P>, next: Next, payload: &[u8]) -> Result<(), LinkFault> {
        match next {
            Next::Last => self.last_found(now, asked, payload),
            Next::Earlier => self.earlier_found(now, asked, payload),
            Next::Kept(ours) => self.was_kept(now, asked, ours, payload),
            Next::NamesKept => self.names_kept(now, asked, payload),
            Next::LastName => self.last_name_found(now, asked, payload),
            Next::NamesRemoved => self.names_removed(now, asked, payload),
            Next::LeaseKept => self.lease_kept(now, asked, payload),
            Next::LeasesListed => self.leases_listed(now, asked, payload),
            Next::Claimed => self.claimed(now, asked, payload),
            Next::LeaseRemoved => {
                self.finish(now, asked, Answer::Done);
                Ok(())
            }
            Next::Consumer(collect) => self.consumer_created(now, asked, collect, payload),
            Next::First(collect) => self.first_found(now, asked, *collect, payload),
            Next::Messages(_) => Err(LinkFault::Unexpected("a request for messages")),
        }
    }

    fn stream_created(
        &mut self,
        now: Time,
        stream: Stream,
        earlier: Option<String>,
        payload: &[u8],
    ) -> Result<(), LinkFault> {
        let name = stream.name(&self.subjects);
        match (done(payload), earlier) {
            (Ok(()), _) => {
                for asked in self.stream_is_ready(stream) {
                    self.waiting_bytes -= bytes_of(&asked);
                    self.begin_at_stream(now, asked);
                }
                Ok(())
            }
            (Err(Unusable::Unreadable), _) => Err(LinkFault::Unexpected("the creation of a stream")),
            (Err(Unusable::Error(error)), Some(text)) => {
                Err(LinkFault::OtherStream { name, text: format!("{text}; {}", error.text) })
            }
            (Err(Unusable::Error(error)), None) => match error.kind {
                ApiErrorKind::OtherConfiguration => {
                    let config = stream.config(&self.subjects, &self.options);
                    let task = Task::CreateStream(stream, Some(error.text));
                    self.call(now, format!("$JS.API.STREAM.UPDATE.{name}"), "", config.as_bytes(), task);
                    Ok(())
                }
                ApiErrorKind::NotEnabled => Err(LinkFault::NoJetStream),
                _ => Err(LinkFault::Refused(format!("the stream {name} cannot be created: {}", error.text))),
            },
        }
    }

    fn nobody_answered(&mut self, now: Time, task: Task<P>) -> Result<(), LinkFault> {
        if let Task::Asked(asked, _) = &task {
            self.doubt_stream(asked);
        }
        match task {
            Task::CreateStream(..) => return Err(LinkFault::NoJetStream),
            task => self.refuse(now, task, "no server keeps this now (no responders)"),
        }
        Ok(())
    }

    /// Refuses what was sent to a subject that this user may not use.
    pub(super) fn refuse_subject(&mut self, now: Time, subject: &str, text: &str) -> Result<(), LinkFault> {
        let found = self.calls.iter().find(|(_, call)| call.subject.eq_ignore_ascii_case(subject));
        let Some(number) = found.map(|(number, _)| *number) else { return Ok(()) };
        let Some(Call { task, bytes, .. }) = self.calls.remove(&number) else { return Ok(()) };
        self.waiting_bytes -= bytes;
        if let Task::CreateStream(..) = task {
            return Err(LinkFault::Refused(text.into()));
        }
        self.refuse(now, task, text);
        Ok(())
    }

    fn refuse(&mut self, now: Time, task: Task<P>, text: &str) {
        match task {
            Task::Asked(asked, next) => {
                if let Next::Messages(collect) | Next::Consumer(collect) = next {
                    self.consumers.remove(&collect.consumer);
                }
                self.finish(now, asked, Answer::Refused(Refused(text.into())));
            }
            Task::CreateStream(stream, _) => {
                let name = stream.name(&self.subjects);
                self.fail(LinkFault::Refused(format!("the stream {name} cannot be created: {text}")));
            }
            Task::Name(room) => drop(self.unkept_names.insert(room)),
            Task::Ignored => {}
        }
    }

    /// Refuses a request after an error of JetStream.
    pub(super) fn refuse_after(
        &mut self,
        now: Time,
        asked: Asked<P>,
        why: Unusable,
        what: &'static str,
    ) -> Result<(), LinkFault> {
        let Unusable::Error(error) = why else { return Err(LinkFault::Unexpected(what)) };
        if error.kind == ApiErrorKind::NoStream {
            self.doubt_stream(&asked);
        }
        self.finish(now, asked, Answer::Refused(Refused(error.text)));
        Ok(())
    }

    /// Answers a request.
    pub(super) fn finish(&mut self, now: Time, asked: Asked<P>, answer: Answer) {
        let Asked { request, purpose, at, .. } = asked;
        match (purpose, &request) {
            (Some(purpose), _) => self.heard.push_back(Heard::Answered { purpose, answer, asked_at: at }),
            (None, Request::Open { room, .. }) => self.epoch_is_known(now, room, &answer),
            (None, _) => {}
        }
        if let Request::Names { room, .. } = &request {
            self.next_names(now, room);
        }
    }
}

//! The interface of JetStream: requests about streams and consumers, and their answers.

use super::client::Lane;
use super::consumer::{Consumer, Delivery};
use super::error::ApiError;
use super::headers;
use super::json::{Json, date, quoted};
use super::operation::Message;
use super::stream::{Stored, Stream};
use super::stream_config::StreamConfig;
use super::{ModelNats, unix};
use crate::base::Time;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

type Answer = Result<String, ApiError>;

impl ModelNats {
    /// Handles a request. `call`: its subject after `$JS.API.`.
    pub(super) fn call(&mut self, now: Time, call: &str, message: &Message) {
        let words: Vec<&str> = call.split('.').collect();
        let Message { reply, payload, .. } = message;
        let (kind, answer) = match words[..] {
            ["INFO"] => ("account_info", Ok(self.account())),
            ["STREAM", "CREATE", name] => ("stream_create", self.create_stream(now, name, payload)),
            ["STREAM", "UPDATE", name] => ("stream_update", self.update_stream(name, payload)),
            ["STREAM", "INFO", name] => ("stream_info", self.stream_info(name, payload)),
            ["STREAM", "DELETE", name] => ("stream_delete", self.delete_stream(name)),
            ["STREAM", "PURGE", name] => ("stream_purge", self.purge_stream(name, payload)),
            ["STREAM", "MSG", "GET", name] => ("stream_msg_get", self.get(name, payload)),
            ["STREAM", "MSG", "DELETE", name] => ("stream_msg_delete", self.delete_message(name, payload)),
            ["DIRECT", "GET", name] => return self.get_direct(now, name, "", message),
            ["DIRECT", "GET", name, ..] => {
                let subject = words[3..].join(".");
                return self.get_direct(now, name, &subject, message);
            }
            ["CONSUMER", "CREATE", stream] => ("consumer_create", self.create_consumer(now, stream, None, "", payload)),
            ["CONSUMER", "CREATE", stream, name, ..] => {
                let filter = words[4..].join(".");
                ("consumer_create", self.create_consumer(now, stream, Some(name), &filter, payload))
            }
            ["CONSUMER", "DELETE", stream, name] => ("consumer_delete", self.delete_consumer(now, stream, name)),
            ["CONSUMER", "MSG", "NEXT", stream, name] => return self.next_messages(now, stream, name, message),
            // No other client answers requests.
            _ => return,
        };
        if reply.is_empty() {
            return;
        }
        let fields = match answer {
            Ok(fields) => fields,
            Err(error) if kind == "stream_info" => format!("{},\"total\":0,\"offset\":0,\"limit\":0", error.field()),
            Err(error) => error.field(),
        };
        let text = format!("{{\"type\":\"io.nats.jetstream.api.v1.{kind}_response\",{fields}}}");
        self.answer(now, &Lane::Api, reply, text);
    }

    /// Sends what the requests to consumers get now.
    pub(super) fn deliver_to_consumers(&mut self, now: Time) {
        let mut deliveries = Vec::new();
        for ((stream, name), consumer) in &mut self.consumers {
            let clients = &self.clients;
            consumer.keep_requests(|inbox| clients.values().any(|client| client.hears(inbox)));
            let Some(stream) = self.data.streams.get(stream) else { continue };
            let most = stream.last.saturating_sub(self.faults.behind);
            let lane = Lane::Consumer(name.clone());
            let found = consumer.deliver(stream, most, unix(now));
            deliveries.extend(found.into_iter().map(|delivery| (lane.clone(), delivery)));
        }
        for (lane, delivery) in deliveries {
            self.send_delivery(now, &lane, delivery);
        }
    }

    fn send_delivery(&mut self, now: Time, lane: &Lane, delivery: Delivery) {
        let Delivery { inbox, subject, reply, headers, payload } = delivery;
        self.deliver_to_inbox(now, lane, &inbox, &Message { subject, reply, headers, payload });
    }

    fn stream(&self, name: &str) -> Result<&Stream, ApiError> {
        self.data.streams.get(name).ok_or_else(ApiError::no_stream)
    }

    fn stream_mut(&mut self, name: &str) -> Result<&mut Stream, ApiError> {
        self.data.streams.get_mut(name).ok_or_else(ApiError::no_stream)
    }

    fn count_consumers(&self, stream: &str) -> usize {
        self.consumers.values().filter(|consumer| consumer.is_of(stream)).count()
    }

    fn account(&self) -> String {
        let bytes = |is_memory: bool| -> usize {
            let of_kind = self.data.streams.values().filter(|stream| stream.config.is_memory == is_memory);
            of_kind.map(Stream::bytes).sum()
        };
        format!(
            "\"memory\":{},\"storage\":{},\"streams\":{},\"consumers\":{},\"limits\":{{\"max_memory\":-1,\
             \"max_storage\":-1,\"max_streams\":-1,\"max_consumers\":-1,\"max_ack_pending\":-1,\
             \"memory_max_stream_bytes\":-1,\"storage_max_stream_bytes\":-1,\"max_bytes_required\":false}},\
             \"api\":{{\"total\":0,\"errors\":0}}",
            bytes(true),
            bytes(false),
            self.data.streams.len(),
            self.consumers.len(),
        )
    }

    fn create_stream(&mut self, now: Time, name: &str, request: &[u8]) -> Answer {
        let request = Json::parse(request).ok_or_else(ApiError::invalid_json)?;
        let config = StreamConfig::read(&request, name, self.nodes)?;
        if let Some(found) = self.data.streams.get(name) {
            if found.config != config {
                return Err(ApiError::new(400, 10058, "stream name already in use with a different configuration"));
            }
        } else {
            if self.data.streams.values().any(|other| other.config.overlaps(&config)) {
                return Err(ApiError::new(400, 10065, "subjects overlap with an existing stream"));
            }
            self.data.streams.insert(name.into(), Stream::new(config, unix(now)));
        }
        let fields = self.stream(name)?.fields(None, self.count_consumers(name));
        Ok(format!("{fields},\"did_create\":true"))
    }

    fn update_stream(&mut self, name: &str, request: &[u8]) -> Answer {
        let request = Json::parse(request).ok_or_else(ApiError::invalid_json)?;
        let config = StreamConfig::read(&request, name, self.nodes)?;
        let consumers = self.count_consumers(name);
        let stream = self.stream_mut(name)?;
        if stream.config.is_memory != config.is_memory {
            let words = "stream configuration update can not change storage type";
            return Err(ApiError::new(500, 10052, words));
        }
        stream.config = config;
        Ok(stream.fields(None, consumers))
    }

    fn stream_info(&self, name: &str, request: &[u8]) -> Answer {
        let request = optional(request)?;
        let pattern = request.text("subjects_filter");
        let stream = self.stream(name)?;
        let (total, limit) = pattern.map_or((0, 0), |pattern| {
            let subjects: alloc::collections::BTreeSet<&str> =
                stream.matching(pattern, 0).map(|stored| &*stored.message.subject).collect();
            (subjects.len(), if stream.bytes() > 0 { 100_000 } else { 0 })
        });
        let fields = stream.fields(pattern, self.count_consumers(name));
        Ok(format!("\"total\":{total},\"offset\":0,\"limit\":{limit},{fields}"))
    }

    fn delete_stream(&mut self, name: &str) -> Answer {
        self.stream(name)?;
        self.forget_messages(name);
        self.data.streams.remove(name);
        self.consumers.retain(|_, consumer| !consumer.is_of(name));
        self.note_lost();
        Ok("\"success\":true".into())
    }

    fn purge_stream(&mut self, name: &str, request: &[u8]) -> Answer {
        let request = optional(request)?;
        let (keep, before) = (request.count("keep").unwrap_or(0), request.count("seq"));
        let keep = usize::try_from(keep).expect("small");
        let purged = self.stream_mut(name)?.purge(request.text("filter").unwrap_or(">"), keep, before);
        Ok(format!("\"success\":true,\"purged\":{purged}"))
    }

    fn get(&self, name: &str, request: &[u8]) -> Answer {
        let request = Json::parse(request).ok_or_else(ApiError::invalid_json)?;
        let stream = self.stream(name)?;
        let Stored { sequence, at, message } = find(stream, stream.last, &request)?;
        let field = |name: &str, bytes: &[u8]| match bytes {
            [] => String::new(),
            _ => format!("\"{name}\":\"{}\",", STANDARD.encode(bytes)),
        };
        Ok(format!(
            "\"message\":{{\"subject\":{},\"seq\":{sequence},{}{}\"time\":{}}}",
            quoted(&message.subject),
            field("hdrs", &message.headers),
            field("data", &message.payload),
            quoted(&date(*at)),
        ))
    }

    fn delete_message(&mut self, name: &str, request: &[u8]) -> Answer {
        let request = Json::parse(request).ok_or_else(ApiError::invalid_json)?;
        let sequence = request.count("seq").ok_or_else(ApiError::bad_request)?;
        if self.stream_mut(name)?.remove(sequence) {
            return Ok("\"success\":true".into());
        }
        Err(ApiError::new(500, 10057, "stream store EOF"))
    }

    /// Answers from a server that may be behind, with the message itself.
    fn get_direct(&mut self, now: Time, name: &str, subject: &str, message: &Message) {
        let Ok(stream) = self.stream(name) else { return };
        if !stream.config.allows_direct() {
            return;
        }
        let request = if subject.is_empty() {
            Json::parse(&message.payload)
        } else {
            Some(Json::Object([(String::from("last_by_subj"), Json::Text(subject.into()))].into()))
        };
        let most = stream.last.saturating_sub(self.faults.behind);
        let found = request.ok_or_else(ApiError::bad_request).and_then(|request| find(stream, most, &request));
        let (headers, payload) = match found {
            Ok(Stored { sequence, at, message }) => {
                let more = [
                    ("Nats-Stream", name.into()),
                    ("Nats-Subject", message.subject.clone()),
                    ("Nats-Sequence", format!("{sequence}")),
                    ("Nats-Time-Stamp", date(*at)),
                ];
                (headers::with(&message.headers, &more), message.payload.clone())
            }
            Err(error) if error == ApiError::no_message() => {
                (headers::status("404 Message Not Found", &[]), Vec::new())
            }
            Err(_) => (headers::status("408 Bad Request", &[]), Vec::new()),
        };
        let inbox = message.reply.clone();
        let answer = Message { subject: inbox.clone(), reply: String::new(), headers, payload };
        self.deliver_to_inbox(now, &Lane::Stream(name.into()), &inbox, &answer);
    }

    fn create_consumer(&mut self, now: Time, stream: &str, name: Option<&str>, filter: &str, request: &[u8]) -> Answer {
        let request = Json::parse(request).ok_or_else(ApiError::invalid_json)?;
        if request.text("stream_name") != Some(stream) {
            return Err(ApiError::new(400, 10056, "stream name in subject does not match request"));
        }
        let asked = request.get("config").and_then(|config| config.text("filter_subject")).unwrap_or_default();
        if !filter.is_empty() && filter != asked {
            let words = "Consumer create request did not match filtered subject from create subject";
            return Err(ApiError::new(400, 10131, words));
        }
        let random = || -> String {
            (0..8).map(|_| char::from(b'a' + u8::try_from(self.random.below(26)).expect("small"))).collect()
        };
        let is_named = name.is_some();
        let name = name.map_or_else(random, Into::into);
        let key = (stream.into(), name.clone());
        let most = self.stream(stream)?.last.saturating_sub(self.faults.behind);
        if !self.consumers.contains_key(&key) {
            let consumer = Consumer::create(&request, (name, is_named), self.stream(stream)?, most, unix(now))?;
            self.consumers.insert(key.clone(), consumer);
        }
        let found = self.data.streams.get(stream).ok_or_else(ApiError::no_stream)?;
        let consumer = self.consumers.get_mut(&key).ok_or_else(ApiError::no_consumer)?;
        Ok(consumer.fields(found, most, unix(now)))
    }

    fn delete_consumer(&mut self, now: Time, stream: &str, name: &str) -> Answer {
        self.stream(stream)?;
        let removed = self.consumers.remove(&(stream.into(), name.into())).ok_or_else(ApiError::no_consumer)?;
        let lane = Lane::Consumer(name.into());
        removed.end().into_iter().for_each(|delivery| self.send_delivery(now, &lane, delivery));
        Ok("\"success\":true".into())
    }

    fn next_messages(&mut self, now: Time, stream: &str, name: &str, message: &Message) {
        let Ok(found) = self.data.streams.get(stream).ok_or(()) else { return };
        let most = found.last.saturating_sub(self.faults.behind);
        let Some(consumer) = self.consumers.get_mut(&(stream.into(), name.into())) else { return };
        if let Some(delivery) = consumer.ask(&message.payload, &message.reply, found, most, unix(now)) {
            self.send_delivery(now, &Lane::Consumer(name.into()), delivery);
        }
        self.deliver_to_consumers(now);
    }
}

/// Reads a request that may be empty.
fn optional(request: &[u8]) -> Result<Json, ApiError> {
    if request.is_empty() {
        return Ok(Json::Null);
    }
    Json::parse(request).ok_or_else(ApiError::invalid_json)
}

/// Finds the message of a request, up to a sequence.
fn find<'s>(stream: &'s Stream, most: u64, request: &Json) -> Result<&'s Stored, ApiError> {
    let sequence = request.count("seq").filter(|sequence| *sequence > 0);
    let found = match (sequence, request.text("last_by_subj"), request.text("next_by_subj")) {
        (Some(sequence), None, None) => stream.get(sequence),
        (None, Some(pattern), None) => {
            let of_pattern: Vec<&Stored> = matching(stream, pattern, 0);
            of_pattern.into_iter().rev().find(|stored| stored.sequence <= most)
        }
        (from, None, Some(pattern)) => matching(stream, pattern, from.unwrap_or(0)).into_iter().next(),
        _ => return Err(ApiError::bad_request()),
    };
    found.filter(|stored| stored.sequence <= most).ok_or_else(ApiError::no_message)
}

fn matching<'s>(stream: &'s Stream, pattern: &str, from: u64) -> Vec<&'s Stored> {
    // The iterator would borrow the pattern for as long as the messages.
    stream.from(from).filter(|stored| super::subjects::covers(pattern, &stored.message.subject)).collect()
}

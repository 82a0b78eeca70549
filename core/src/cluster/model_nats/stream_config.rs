//! What a stream is asked to be.

use super::error::ApiError;
use super::json::{Json, quoted};
use super::subjects;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// The time for which identifiers of messages are remembered, if the request says nothing: two minutes, in nanoseconds.
const WINDOW: i64 = 120_000_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamConfig {
    pub(super) name: String,
    pub(super) subjects: Vec<String>,
    pub(super) is_memory: bool,
    pub(super) replicas: i64,
    /// -1: no limit. The same holds for the limits below.
    pub(super) bytes_max: i64,
    pub(super) messages_max: i64,
    pub(super) per_subject_max: i64,
    pub(super) message_max: i64,
    /// Nanoseconds. 0: no limit.
    pub(super) age_max: i64,
    pub(super) discards_new: bool,
    /// Nanoseconds.
    pub(super) window: i64,
    pub(super) republish: Option<Republish>,
    allows_direct: bool,
    max_consumers: i64,
    denies: [bool; 2],
    pub(super) may_roll_up: bool,
}

/// Where messages are published again once they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Republish {
    source: String,
    destination: String,
    headers_only: bool,
}

impl StreamConfig {
    /// Reads a request. `name`: the last word of its subject.
    pub(super) fn read(request: &Json, name: &str, nodes: i64) -> Result<Self, ApiError> {
        if request.text("name").unwrap_or_default() != name {
            return Err(ApiError::new(400, 10056, "stream name in subject does not match request"));
        }
        let limit = |field: &str| request.number(field).filter(|limit| *limit != 0).unwrap_or(-1);
        let subjects = match request.get("subjects") {
            Some(Json::List(list)) => list.iter().filter_map(text_of).collect(),
            _ => vec![String::from(name)],
        };
        let age_max = request.number("max_age").unwrap_or(0);
        let shortest = if age_max > 0 { age_max.min(WINDOW) } else { WINDOW };
        let window = request.number("duplicate_window").filter(|window| *window != 0).unwrap_or(shortest);
        if age_max > 0 && window > age_max {
            return Err(ApiError::new(500, 10052, "duplicates window can not be larger then max age"));
        }
        let replicas = request.number("num_replicas").filter(|count| *count != 0).unwrap_or(1);
        if replicas > nodes && nodes == 1 {
            return Err(ApiError::new(500, 10074, "replicas > 1 not supported in non-clustered mode"));
        }
        if replicas > nodes {
            return Err(ApiError::new(400, 10005, "no suitable peers for placement"));
        }
        let republish = request.get("republish").map(|asked| Republish {
            source: asked.text("src").unwrap_or(">").into(),
            destination: asked.text("dest").unwrap_or_default().into(),
            headers_only: asked.flag("headers_only"),
        });
        if !republish.as_ref().is_none_or(Republish::is_valid) {
            return Err(ApiError::new(500, 10052, "stream configuration for republish not valid"));
        }
        Ok(Self {
            name: name.into(),
            subjects,
            is_memory: request.text("storage") == Some("memory"),
            replicas,
            bytes_max: limit("max_bytes"),
            messages_max: limit("max_msgs"),
            per_subject_max: limit("max_msgs_per_subject"),
            message_max: limit("max_msg_size"),
            age_max,
            discards_new: request.text("discard") == Some("new"),
            window,
            republish,
            allows_direct: request.flag("allow_direct"),
            max_consumers: limit("max_consumers"),
            denies: [request.flag("deny_delete"), request.flag("deny_purge")],
            may_roll_up: request.flag("allow_rollup_hdrs"),
        })
    }

    pub(super) const fn allows_direct(&self) -> bool {
        self.allows_direct
    }

    pub(super) fn covers(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| subjects::covers(pattern, subject))
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.subjects.iter().any(|one| other.subjects.iter().any(|other| subjects::overlap(one, other)))
    }

    /// Returns the field of an answer.
    pub(super) fn field(&self) -> String {
        let subjects: Vec<String> = self.subjects.iter().map(|subject| quoted(subject)).collect();
        let storage = if self.is_memory { "memory" } else { "file" };
        let discard = if self.discards_new { "new" } else { "old" };
        let republish = self.republish.as_ref().map_or_else(String::new, |republish| {
            let only = if republish.headers_only { ",\"headers_only\":true" } else { "" };
            let (source, destination) = (quoted(&republish.source), quoted(&republish.destination));
            format!(",\"republish\":{{\"src\":{source},\"dest\":{destination}{only}}}")
        });
        format!(
            "\"config\":{{\"name\":{},\"subjects\":[{}],\"retention\":\"limits\",\"max_consumers\":{},\"max_msgs\":{},\
             \"max_bytes\":{},\"max_age\":{},\"max_msgs_per_subject\":{},\"max_msg_size\":{},\"discard\":\"{discard}\",\
             \"storage\":\"{storage}\",\"num_replicas\":{},\"duplicate_window\":{}{republish},\"allow_direct\":{},\
             \"mirror_direct\":false,\"sealed\":false,\"deny_delete\":{},\"deny_purge\":{},\"allow_rollup_hdrs\":{}}}",
            quoted(&self.name),
            subjects.join(","),
            self.max_consumers,
            self.messages_max,
            self.bytes_max,
            self.age_max,
            self.per_subject_max,
            self.message_max,
            self.replicas,
            self.window,
            self.allows_direct,
            self.denies[0],
            self.denies[1],
            self.may_roll_up,
        )
    }
}

impl Republish {
    /// Returns `true` if both subjects fit to each other: the destination names all words that the source leaves open.
    fn is_valid(&self) -> bool {
        let has = |pattern: &str, part: &str| pattern.split('.').any(|word| word == part);
        let open = self.source.split('.').filter(|part| *part == "*").count();
        let named: BTreeSet<usize> = self.destination.split('.').filter_map(place).collect();
        let is_named = named.iter().copied().eq(1..=open);
        has(&self.source, ">") == has(&self.destination, ">") && !has(&self.destination, "*") && is_named
    }

    /// Returns the subject to which a message is published again.
    pub(super) fn target(&self, subject: &str) -> Option<String> {
        if !subjects::covers(&self.source, subject) {
            return None;
        }
        let (mut kept, mut rest) = (Vec::new(), String::new());
        let mut words = subject.split('.');
        for part in self.source.split('.') {
            match part {
                "*" => kept.push(words.next()?),
                ">" => rest = words.by_ref().collect::<Vec<_>>().join("."),
                _ => drop(words.next()),
            }
        }
        let fill = |part: &str| match place(part) {
            Some(place) => kept.get(place.checked_sub(1)?).map(|word| String::from(*word)),
            None if part == ">" => Some(rest.clone()),
            None => Some(part.into()),
        };
        let filled: Option<Vec<String>> = self.destination.split('.').map(fill).collect();
        filled.map(|words| words.join("."))
    }

    pub(super) const fn is_headers_only(&self) -> bool {
        self.headers_only
    }
}

/// Returns which of the open words of the source stands here.
fn place(part: &str) -> Option<usize> {
    let function = part.strip_prefix("{{wildcard(").and_then(|rest| rest.strip_suffix(")}}"));
    function.or_else(|| part.strip_prefix('$'))?.parse().ok()
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    }
}

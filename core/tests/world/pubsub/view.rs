//! What a client of the Centrifuge protocol has sent and received, and which rules of the protocol that breaks.
//!
//! It keeps an epoch and an offset of each channel, as the real clients do.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The position of a channel that a client keeps over its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    /// Whether publications of another state of the home have moved the offset.
    pub(crate) is_doubtful: bool,
}

/// A publication that a client received, with its position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) channel: String,
    pub(crate) at: Known,
    pub(crate) data: Value,
}

/// A command that waits for its reply.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    /// The positions from which it wants to recover, by channel.
    Connect(BTreeMap<String, Known>),
    Subscribe(String, Option<Known>),
    Unsubscribe(String),
    /// The name of the result.
    Other(&'static str),
    /// No result is possible.
    Nothing,
}

/// A subscription.
#[derive(Clone, Debug)]
struct Live {
    at: Known,
    /// Whether each of its publications must follow the one before.
    is_positioned: bool,
    /// Whether one of them did not, so that the subscription must end.
    is_broken: bool,
}

/// How often each case occurred.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connected: u64,
    pub(crate) live: u64,
    pub(crate) recovered: u64,
    pub(crate) missed: u64,
    pub(crate) not_recovered: u64,
    pub(crate) unsubscribed: u64,
    pub(crate) errors: u64,
    /// Recoveries from a position in doubt.
    pub(crate) doubtful: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.connected += other.connected;
        self.live += other.live;
        self.recovered += other.recovered;
        self.missed += other.missed;
        self.not_recovered += other.not_recovered;
        self.unsubscribed += other.unsubscribed;
        self.errors += other.errors;
        self.doubtful += other.doubtful;
    }
}

/// A client, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The positions that it keeps.
    pub(crate) known: BTreeMap<String, Known>,
    /// All publications with a position that it received, in order.
    pub(crate) seen: Vec<Seen>,
    pub(crate) counts: Counts,
    /// The first rule that the server has broken.
    pub(crate) broken: Option<String>,
    asked: BTreeMap<u32, Vec<Asked>>,
    last_id: u32,
    pub(crate) has_asked: bool,
    pub(crate) is_connected: bool,
    live: BTreeMap<String, Live>,
    /// Whether a push came before the reply to `connect`: then the connection must end.
    is_early: bool,
    /// Whether the server has said that the connection ends.
    is_over: bool,
    /// Whether each command is a line of its own.
    pub(crate) is_on_lines: bool,
    /// Whether nothing is checked: the connection is one of a person, because of what it said first, or replies cannot be
    /// told apart, because different commands have one number.
    is_unchecked: bool,
    has_spoken: bool,
    /// Whether the client has ended its half.
    pub(crate) has_left: bool,
}

const KINDS: [&str; 10] = [
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "rpc",
    "refresh",
    "sub_refresh",
];

impl View {
    pub(crate) fn new(is_on_lines: bool) -> Self {
        Self { is_on_lines, ..Self::default() }
    }

    /// Begins a new connection.
    pub(crate) fn opened(&mut self) {
        self.asked.clear();
        self.live.clear();
        (self.has_asked, self.is_connected, self.has_left) = (false, false, false);
        (self.is_early, self.is_over, self.is_unchecked, self.has_spoken) = (false, false, false, false);
    }

    /// Checks that each command has its reply, because nothing is on its way.
    pub(crate) fn rested(&mut self) {
        if self.has_left || self.is_unchecked {
            return;
        }
        if !self.asked.is_empty() {
            let words = format!("commands without a reply: {:?}", self.asked);
            self.broken.get_or_insert(words);
        }
        if let Some((channel, live)) = self.live.iter().find(|(_, live)| live.is_broken) {
            let words = format!("the subscription to {channel} has not ended: {live:?}");
            self.broken.get_or_insert(words);
        }
    }

    pub(crate) fn is_subscribed(&self, channel: &str) -> bool {
        self.live.contains_key(channel)
    }

    /// Returns a command with the next number.
    #[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
    pub(crate) fn command(&mut self, kind: &str, request: Value) -> String {
        self.last_id += 1;
        json!({ "id": self.last_id, kind: request }).to_string()
    }

    /// Returns the request that subscribes to a channel, and recovers if the client knows a position.
    pub(crate) fn subscribe(&self, channel: &str) -> Value {
        match self.known.get(channel) {
            Some(Known { epoch, offset, .. }) => json!({
                "channel": channel, "recoverable": true, "recover": true, "epoch": epoch, "offset": offset,
            }),
            None => json!({ "channel": channel, "recoverable": true, "positioned": true, "join_leave": true }),
        }
    }

    /// Notes the commands in a message that the client sends.
    pub(crate) fn said(&mut self, message: &str) {
        if !core::mem::replace(&mut self.has_spoken, true) {
            self.is_unchecked = self.is_on_lines && !message.trim_ascii_start().starts_with('{');
        }
        for line in message.split('\n') {
            let command = fields(line);
            let id = command.get("id").and_then(|id| id.get().parse::<u32>().ok()).filter(|id| *id > 0);
            let Some(id) = id else { continue };
            let is_there = |kind: &str| command.get(kind).is_some_and(|request| request.get() != "null");
            let kinds: Vec<&'static str> = KINDS.into_iter().filter(|kind| is_there(kind)).collect();
            let request = |kind: &str| command.get(kind).map(|request| fields(request.get())).unwrap_or_default();
            let asked = match *kinds {
                ["connect"] => {
                    let subs = request("connect").get("subs").map(|subs| fields(subs.get())).unwrap_or_default();
                    let subs =
                        subs.into_iter().filter_map(|(channel, sub)| Some((channel, wanted(&fields(sub.get()))?)));
                    Asked::Connect(subs.collect())
                }
                ["subscribe"] => {
                    Asked::Subscribe(text(&request("subscribe"), "channel"), wanted(&request("subscribe")))
                }
                ["unsubscribe"] => Asked::Unsubscribe(text(&request("unsubscribe"), "channel")),
                [kind] => Asked::Other(kind),
                _ => Asked::Nothing,
            };
            self.has_asked |= matches!(asked, Asked::Connect(_));
            let waiting = self.asked.entry(id).or_default();
            self.is_unchecked |= waiting.first().is_some_and(|other| *other != asked);
            waiting.push(asked);
        }
    }

    /// Notes a message that the client received. Returns what it answers.
    pub(crate) fn heard(&mut self, message: &str) -> Option<String> {
        let mut answer = None;
        if self.is_unchecked {
            return None;
        }
        for line in message.split('\n') {
            match self.line(line) {
                Ok(None) => {}
                Ok(some) => answer = some,
                Err(words) => drop(self.broken.get_or_insert(format!("{words}: {line}"))),
            }
        }
        answer
    }

    fn line(&mut self, line: &str) -> Result<Option<String>, String> {
        // On other wires than WebSocket, the server says in its own words why it closes.
        if self.is_on_lines && (line.starts_with("closing (") || line.starts_with("{\"type\":\"closing\"")) {
            self.is_over = true;
            return Ok(None);
        }
        let message: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let fields = message.as_object().ok_or("no object")?;
        if self.is_over {
            return Err("a message after the end".into());
        }
        if fields.is_empty() {
            return Ok(Some("{}".into()));
        }
        if let Some(push) = fields.get("push") {
            return if fields.len() == 1 { self.pushed(push).map(|()| None) } else { Err("a push and more".into()) };
        }
        let id = message["id"].as_u64().and_then(|id| u32::try_from(id).ok()).ok_or("neither push nor reply")?;
        let waiting = self.asked.get_mut(&id).ok_or("a reply without a command")?;
        let is_error = !message["error"].is_null();
        // Of a command that was sent twice, the second one may be refused first.
        let asked = if is_error { waiting.pop() } else { Some(waiting.remove(0)) };
        if waiting.is_empty() {
            self.asked.remove(&id);
        }
        if fields.len() != 2 {
            return Err("not exactly one result or error".into());
        }
        if is_error {
            self.counts.errors += 1;
            let error = &message["error"];
            let is_fine = error["code"].as_u64().is_some_and(|code| code >= 100)
                && error["message"].as_str().is_some_and(|text| !text.is_empty());
            return if is_fine { Ok(None) } else { Err("an error without code or message".into()) };
        }
        match asked.ok_or("a reply without a command")? {
            Asked::Connect(wanted) => self.connected(&message["connect"], &wanted)?,
            Asked::Subscribe(channel, wanted) => self.subscribed(&channel, &message["subscribe"], wanted.as_ref())?,
            Asked::Unsubscribe(channel) if message["unsubscribe"].is_object() => drop(self.live.remove(&channel)),
            Asked::Other(kind) if message[kind].is_object() => {}
            Asked::Unsubscribe(_) | Asked::Other(_) | Asked::Nothing => return Err("another result".into()),
        }
        Ok(None)
    }

    fn connected(&mut self, result: &Value, wanted: &BTreeMap<String, Known>) -> Result<(), String> {
        if self.is_early {
            return Err("a push before the reply to connect".into());
        }
        if self.is_connected || result["client"].as_str().is_none_or(str::is_empty) {
            return Err("connected twice, or as nobody".into());
        }
        self.is_connected = true;
        self.counts.connected += 1;
        let subs: Vec<(&String, &Value)> = result["subs"].as_object().into_iter().flatten().collect();
        let now: BTreeSet<&String> = subs.iter().map(|(channel, _)| *channel).collect();
        // A subscription of the server that is not there any more has ended.
        self.known.retain(|channel, _| !wanted.contains_key(channel) || now.contains(channel));
        subs.into_iter().try_for_each(|(channel, sub)| self.subscribed(channel, sub, wanted.get(channel)))
    }

    fn subscribed(&mut self, channel: &str, result: &Value, wanted: Option<&Known>) -> Result<(), String> {
        if !result.is_object() || self.live.contains_key(channel) {
            return Err(format!("no result, or subscribed twice to {channel}"));
        }
        let (is_recovered, is_recoverable) = (result["recovered"] == true, result["recoverable"] == true);
        let is_positioned = result["positioned"] == true;
        let mut at = Known {
            epoch: result["epoch"].as_str().unwrap_or_default().into(),
            offset: result["offset"].as_u64().unwrap_or_default(),
            is_doubtful: false,
        };
        if is_positioned == at.epoch.is_empty() || is_recoverable && !is_positioned {
            return Err("a position without an epoch".into());
        }
        if is_recoverable && (result["was_recovering"] == true) != wanted.is_some() {
            return Err("was_recovering is wrong".into());
        }
        let missed = result["publications"].as_array().map_or(&[][..], Vec::as_slice);
        match wanted {
            Some(wanted) if is_recovered => {
                let is_doubtful = self.known.get(channel).is_some_and(|known| known.is_doubtful);
                self.counts.doubtful += u64::from(is_doubtful);
                at.is_doubtful = is_doubtful;
                if (&wanted.epoch, wanted.offset) != (&at.epoch, at.offset) {
                    return Err(format!("recovered from another position than {wanted:?}"));
                }
                self.counts.recovered += 1;
            }
            _ if is_recovered || !missed.is_empty() => return Err("recovered what was not asked for".into()),
            Some(_) if is_recoverable => self.counts.not_recovered += 1,
            _ => {}
        }
        for publication in missed {
            self.counts.missed += 1;
            if !self.publication(channel, &mut at, true, publication)? {
                return Err(format!("what was missed does not follow {wanted:?}"));
            }
        }
        if is_recoverable {
            self.known.insert(channel.into(), at.clone());
        } else {
            self.known.remove(channel);
        }
        self.live.insert(channel.into(), Live { at, is_positioned, is_broken: false });
        Ok(())
    }

    /// Notes a publication. Returns whether it follows the one before, where it must.
    fn publication(
        &mut self,
        channel: &str,
        at: &mut Known,
        is_positioned: bool,
        publication: &Value,
    ) -> Result<bool, String> {
        let data = publication.get("data").ok_or("a publication without data")?.clone();
        // A shard that a reload has not reached yet may publish what no home numbers.
        let Some(offset) = publication["offset"].as_u64() else { return Ok(true) };
        let follows = Some(offset) == at.offset.checked_add(1);
        at.offset = offset;
        if is_positioned && follows {
            self.seen.push(Seen { channel: channel.into(), at: at.clone(), data });
        }
        Ok(follows || !is_positioned)
    }

    fn pushed(&mut self, push: &Value) -> Result<(), String> {
        if push["disconnect"].is_object() {
            self.is_over = true;
            let reason = push["disconnect"]["reason"].as_str().unwrap_or_default();
            let is_fine = !reason.is_empty() && serde_json::from_str::<Value>(reason).is_err();
            return if is_fine { Ok(()) } else { Err("a reason that clients do not understand".into()) };
        }
        let channel =
            push["channel"].as_str().filter(|channel| !channel.is_empty()).ok_or("a push without a channel")?;
        if !self.is_connected {
            self.is_early = true;
            return Ok(());
        }
        let Some(mut live) = self.live.remove(channel) else {
            return Err(format!("a push for {channel}, which is not subscribed"));
        };
        if let Some(reason) = push.get("unsubscribe") {
            self.counts.unsubscribed += 1;
            let is_fine = reason["code"].as_u64().is_some_and(|code| (2_000..3_000).contains(&code));
            return if is_fine { Ok(()) } else { Err("an unknown code".into()) };
        }
        if let Some(publication) = push.get("pub") {
            self.counts.live += 1;
            let is_positioned = live.is_positioned;
            // Until its subscription ends, a client takes what comes, as the real ones do.
            let is_whole = self.publication(channel, &mut live.at, is_positioned && !live.is_broken, publication)?;
            live.is_broken |= !is_whole;
            if let Some(known) = self.known.get_mut(channel).filter(|_| is_positioned) {
                known.offset = live.at.offset;
                known.is_doubtful |= live.is_broken;
            }
        } else if push.get("join").or_else(|| push.get("leave")).is_none() {
            return Err("an unknown push".into());
        }
        self.live.insert(channel.into(), live);
        Ok(())
    }
}

/// The fields of an object, whose values may be nested as deeply as one likes.
type Fields = BTreeMap<String, Box<RawValue>>;

/// Returns the fields of an object, or none of anything else.
fn fields(json: &str) -> Fields {
    serde_json::from_str(json).unwrap_or_default()
}

fn text(fields: &Fields, name: &str) -> String {
    fields.get(name).and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
}

/// Returns the position from which a request wants to recover.
fn wanted(request: &Fields) -> Option<Known> {
    let offset = request.get("offset").and_then(|offset| offset.get().parse().ok()).unwrap_or_default();
    let does = request.get("recover").is_some_and(|recover| recover.get() == "true");
    does.then(|| Known { epoch: text(request, "epoch"), offset, is_doubtful: false })
}

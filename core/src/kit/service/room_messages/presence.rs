//! Ready-made messages about the names that are present in rooms.

use super::kinds::PRESENCE;
use super::reply::{RoomRefusal, RoomReply};
use crate::base::Outgoing;
use crate::base::text::neutralize;
use crate::config::Presence;
use crate::facts::PresencePage;
use crate::handler::PresenceChange;
use crate::kit::service::app::App;
use crate::kit::service::cx::{Cx, Scope};
use crate::kit::service::rooms::RoomError;
use crate::state::Ticket;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A request for the names that are present in a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    #[schemars(length(min = 1))]
    pub(super) room: String,
    /// Maximum number of names. With 0, only their number is wanted.
    #[serde(default = "most")]
    #[schemars(range(max = 1000))]
    pub(super) max: u32,
    /// The name after which the page begins.
    #[serde(default)]
    pub(super) after: Option<String>,
}

/// The names that are present in a room.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Present {
    pub(super) room: String,
    /// Number of names in the room.
    pub(super) count: u64,
    /// The names in alphabetical order. None if the room tells only how many there are.
    pub(super) names: Vec<PresentPerson>,
    /// Whether names follow after the last one of this page.
    pub(super) more: bool,
}

/// A name in a page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PresentPerson {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(super) info: Option<Box<RawValue>>,
}

/// A name that came or went.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "presence_changed")]
struct Changed<'a> {
    room: &'a str,
    name: &'a str,
    present: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Box<RawValue>>,
}

/// Requests the names that are present in a room. The answer comes later.
pub(super) fn who<A: App>(
    cx: &mut Cx<'_, A>,
    Who { room, max, after }: Who,
    ticket: Ticket,
) -> Result<(), RoomRefusal> {
    if !cx.may_join(&room) {
        return Err(RoomError::Forbidden.into());
    }
    let request = cx.hub.read_presence(&room, after.as_deref(), max);
    cx.calls.room_waits.ask(request, PRESENCE, &room, ticket);
    Ok(())
}

/// Returns the name under which a peer is present in a room: that of its user.
pub(super) fn name_in<A: App>(cx: &Cx<'_, A>, room: &str) -> Option<String> {
    let options = cx.hub.room_options(room)?;
    cx.user().filter(|_| options.presence != Presence::Off).map(ToOwned::to_owned)
}

/// Returns the answer to a request.
pub(super) fn page(room: &str, page: Option<&PresencePage>) -> Result<RoomReply, RoomRefusal> {
    let Some(page) = page else {
        return Err(RoomRefusal::new("no_presence", "the room does not keep the names of its members"));
    };
    let person = |present: &crate::facts::PresentName| PresentPerson {
        name: present.name.as_ref().into(),
        info: json(present.info.as_deref()),
    };
    let names = page.names.iter().map(person).collect();
    let present = Present { room: room.into(), count: page.count, names, more: page.has_more };
    Ok(RoomReply::new(PRESENCE, &present))
}

/// Tells the members of a room on this shard that a name came or went.
pub(in crate::kit::service) fn changed<A: App>(scope: &mut Scope<'_, A>, change: PresenceChange<'_>) {
    let PresenceChange { room, name, is_present, info, .. } = change;
    let members: Vec<_> = scope.hub.members(room).collect();
    let message = Changed { room, name, present: is_present, info: json(info) };
    let Ok(json) = serde_json::to_string(&message) else { return };
    let text = message.line();
    scope.hub.send_each(&members, Outgoing::Negotiated { json: &json, text: &text });
}

impl Changed<'_> {
    fn line(&self) -> String {
        let verb = if self.present { "is" } else { "is no longer" };
        alloc::format!("notice: {} {verb} in {}", neutralize(self.name), neutralize(self.room))
    }
}

/// Returns information about a name if it is JSON, else as a JSON string.
fn json(info: Option<&str>) -> Option<Box<RawValue>> {
    let info = info?;
    RawValue::from_string(info.to_owned()).ok().or_else(|| serde_json::value::to_raw_value(info).ok())
}

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "notice: {} in {}", self.count, neutralize(&self.room))?;
        for (place, person) in self.names.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { ": " } else { ", " }, neutralize(&person.name))?;
        }
        f.write_str(if self.more { ", and others" } else { "" })
    }
}

const fn most() -> u32 {
    100
}

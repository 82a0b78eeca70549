//! Requests of the API: reads them, begins their calls, and responds.

use super::call::{Call, Place, Shape, failed};
use crate::handler::Hub;
use crate::kit::pubsub::codes::{Refusal, bad};
use crate::kit::pubsub::fields::Fields;
use crate::kit::pubsub::hooks::Hooks;
use crate::kit::pubsub::service::PubSub;
use crate::kit::pubsub::session::Session;
use crate::state::RequestTicket;
use crate::wire::http::{HttpResponse, Request};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Maximum number of parts of a call.
const PARTS_MAX: usize = 1_000;
/// Maximum size of the commands that a `broadcast` copies, in bytes: the command's length times its channels.
const COPIED_MAX: usize = 16 << 20;

/// A method and its fields.
struct Command<'a> {
    method: &'a str,
    fields: Fields<'a>,
    json: &'a str,
    /// The channels of a broadcast.
    channels: Vec<String>,
}

impl<K: Hooks> PubSub<K> {
    /// Responds to a request of the API, at once or later.
    pub(in crate::kit::pubsub) fn called(&mut self, hub: &mut Hub<'_, Session>, request: &Request, body: &[u8]) {
        let Some(method) = request.path().strip_prefix("/api/").filter(|_| request.has_api_key()) else { return };
        if request.method() != "POST" {
            return refuse(hub, 400, "use POST\n");
        }
        let body = if body.is_empty() { b"{}" } else { body };
        let text = core::str::from_utf8(body).ok();
        let Some((json, fields)) = text.and_then(|json| Some((json, Fields::of(json)?))) else {
            return refuse(hub, 400, "the body must be a JSON object\n");
        };
        if method != "batch" && !is_method(method) {
            return refuse(hub, 404, "unknown method\n");
        }
        let Ok(ticket) = hub.respond_later() else { return };
        self.calls.insert(ticket, Call::default());
        let begun = if method == "batch" {
            self.batch_called(hub, ticket, &fields)
        } else {
            self.one(hub, ticket, (method, json))
        };
        if let Err(refusal) = begun {
            self.calls.remove(&ticket);
            respond(hub, ticket, &HttpResponse::new("application/json", failed(&refusal)));
        }
        self.end_call(hub, ticket);
    }

    /// Forgets a call whose client is gone.
    pub(in crate::kit::pubsub) fn call_expired(&mut self, ticket: RequestTicket) {
        self.calls.remove(&ticket);
    }

    fn one(&mut self, hub: &mut Hub<'_, Session>, ticket: RequestTicket, of: (&str, &str)) -> Result<(), Refusal> {
        let command = Command::new(of.0, of.1)?;
        check(core::slice::from_ref(&command))?;
        let shape = self.begin_command(hub, ticket, &command);
        self.set_shape(ticket, shape);
        Ok(())
    }

    fn batch_called(
        &mut self,
        hub: &mut Hub<'_, Session>,
        ticket: RequestTicket,
        fields: &Fields<'_>,
    ) -> Result<(), Refusal> {
        let objects = fields.objects("commands")?;
        let commands: Vec<Command<'_>> = objects
            .iter()
            .map(|object| {
                let (method, json) = object.only().ok_or_else(|| bad("each command must have exactly one method"))?;
                if is_method(method) { Command::new(method, json) } else { Err(Refusal::METHOD_NOT_FOUND) }
            })
            .collect::<Result<_, _>>()?;
        check(&commands)?;
        let mut replies = Vec::new();
        for command in &commands {
            replies.push((command.method.into(), self.begin_command(hub, ticket, command)));
        }
        self.set_shape(ticket, Shape::Batch(replies));
        Ok(())
    }

    fn set_shape(&mut self, ticket: RequestTicket, shape: Shape) {
        if let Some(call) = self.calls.get_mut(&ticket) {
            call.set_shape(shape);
        }
    }

    /// Begins a command. Returns how its result is made of the parts.
    fn begin_command(&mut self, hub: &mut Hub<'_, Session>, ticket: RequestTicket, command: &Command<'_>) -> Shape {
        if command.method != "broadcast" {
            return Shape::Part(self.begin_part(hub, ticket, |app, hub, place| {
                app.run_method(hub, place, (command.method, command.json), &command.fields)
            }));
        }
        let parts = command.channels.iter().map(|channel| {
            self.begin_part(hub, ticket, |app, hub, place| app.publish_for(hub, place, channel, &command.fields))
        });
        Shape::Responses(parts.collect())
    }

    fn begin_part(
        &mut self,
        hub: &mut Hub<'_, Session>,
        ticket: RequestTicket,
        begin: impl FnOnce(&mut Self, &mut Hub<'_, Session>, Place) -> Result<Option<String>, Refusal>,
    ) -> usize {
        let Some(part) = self.calls.get_mut(&ticket).map(Call::add) else { return 0 };
        let outcome = begin(self, hub, Place { ticket, part }).transpose();
        if let (Some(outcome), Some(call)) = (outcome, self.calls.get_mut(&ticket)) {
            call.finish(part, outcome);
        }
        part
    }

    /// Sets the result of a part of a call, and answers the call if no part is left.
    pub(in crate::kit::pubsub) fn part_done(
        &mut self,
        hub: &mut Hub<'_, Session>,
        place: Place,
        outcome: Result<String, Refusal>,
    ) {
        if let Some(call) = self.calls.get_mut(&place.ticket) {
            call.finish(place.part, outcome);
        }
        self.end_call(hub, place.ticket);
    }

    /// Answers a call whose parts are done.
    pub(super) fn end_call(&mut self, hub: &mut Hub<'_, Session>, ticket: RequestTicket) {
        if self.calls.get(&ticket).is_some_and(Call::is_done)
            && let Some(call) = self.calls.remove(&ticket)
        {
            respond(hub, ticket, &call.response());
        }
    }
}

impl<'a> Command<'a> {
    fn new(method: &'a str, json: &'a str) -> Result<Self, Refusal> {
        let fields = Fields::of(json).ok_or_else(|| bad("the fields of a method must be an object"))?;
        let channels = if method == "broadcast" { fields.texts("channels")? } else { Vec::new() };
        if method == "broadcast" && channels.is_empty() {
            return Err(bad("channels must not be empty"));
        }
        Ok(Self { method, fields, json, channels })
    }
}

/// Checks the limits of a call before it does anything.
fn check(commands: &[Command<'_>]) -> Result<(), Refusal> {
    let parts: usize = commands.iter().map(|command| command.channels.len().max(1)).sum();
    let copied: usize = commands.iter().map(|command| command.json.len().saturating_mul(command.channels.len())).sum();
    let message = if parts > PARTS_MAX {
        format!("limit exceeded: a call has at most {PARTS_MAX} parts")
    } else if copied > COPIED_MAX {
        format!("limit exceeded: a call copies at most {} MiB into messages", COPIED_MAX >> 20)
    } else {
        return Ok(());
    };
    Err(Refusal { message: message.into(), ..Refusal::LIMIT_EXCEEDED })
}

/// Returns `true` for the name of a method, except `batch`.
fn is_method(name: &str) -> bool {
    const METHODS: [&str; 13] = [
        "publish",
        "broadcast",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "refresh",
        "presence",
        "presence_stats",
        "history",
        "history_remove",
        "channels",
        "info",
        "rpc",
    ];
    METHODS.contains(&name)
}

fn refuse(hub: &mut Hub<'_, Session>, status: u16, words: &str) {
    let _ = hub.respond(HttpResponse::text(words).status(status));
}

fn respond(hub: &mut Hub<'_, Session>, ticket: RequestTicket, response: &HttpResponse) {
    // An error means that the client is gone.
    let _ = hub.respond_to(ticket, response);
}

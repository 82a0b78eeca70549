//! JSON-RPC 2.0 over every wire, in both directions.
//!
//! One message holds one request, notification or response, or a batch of them. Who calls gets answers in the order of its
//! requests, but for methods that [answer later](Rpc::deferred).
//!
//! ```
//! use drupe_core::kit::{App, Service};
//! use drupe_core::kit::rpc::{Rpc, RpcError};
//! use drupe_core::testing::TestHub;
//!
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Division {
//!     dividend: i64,
//!     divisor: i64,
//! }
//!
//! struct Calculator;
//!
//! impl App for Calculator {
//!     type Context = ();
//!     type Note = drupe_core::NoNote;
//! }
//!
//! let rpc = Rpc::new("calculator", "1.0.0").method("divide", |_, _, Division { dividend, divisor }| {
//!     dividend.checked_div(divisor).ok_or(RpcError::new(1, "nothing can be divided by that"))
//! });
//! let mut hub = TestHub::new(Service::new(Calculator).rpc(rpc));
//! let peer = hub.connect();
//! hub.line(peer, r#"{"jsonrpc":"2.0","id":1,"method":"divide","params":{"dividend":6,"divisor":3}}"#);
//! assert_eq!(hub.lines(peer), [r#"{"jsonrpc":"2.0","id":1,"result":2}"#]);
//! ```
//!
//! | method | what |
//! |---|---|
//! | `rpc.discover` | the methods as an [OpenRPC](https://spec.open-rpc.org) document, version 1.3 |
//! | `listall` | the same as a list: name, description, and JSON Schemas of the parameters and the result |
//!
//! Both show what the caller may call.

mod calls;
mod discover;
mod error;
mod message;

pub use calls::CallError;
pub(crate) use calls::{Calls, Expired};
pub use error::RpcError;

use super::service::{App, Cx, reason_of};
use crate::base::setters;
use crate::config::TicketError;
use crate::state::Ticket;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use calls::Place;
use core::fmt;
use core::time::Duration;
#[cfg(feature = "auth")]
pub(crate) use message::request;
use message::response;
pub(crate) use message::{Message, Parsed};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The methods that can be called.
pub struct Rpc<A: App> {
    methods: BTreeMap<String, Method<A>>,
    /// The last one that was added.
    last: String,
    title: String,
    version: String,
    pub(super) limits: RpcLimits,
}

/// How much may be called at a time.
///
/// How many calls of one connection may be in progress, and of all, is up to [`TicketLimits`](crate::TicketLimits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcLimits {
    /// The most members of a batch.
    pub batch_max: usize,
    /// How long a method that answers later may take.
    pub deadline: Duration,
}

setters!(RpcLimits { batch_max: usize, deadline: Duration });

impl Default for RpcLimits {
    /// 100 members, 30 s.
    fn default() -> Self {
        Self { batch_max: 100, deadline: Duration::from_secs(30) }
    }
}

struct Method<A: App> {
    call: Call<A>,
    about: String,
    scope: Option<String>,
    params: fn(&mut SchemaGenerator) -> Schema,
    result: fn(&mut SchemaGenerator) -> Schema,
}

type Answering<A> = dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&RawValue>) -> Result<String, RpcError> + Send;
type Deferring<A> = dyn FnMut(&mut A, &mut Cx<'_, A>, Option<&RawValue>, Ticket) -> Result<(), RpcError> + Send;

enum Call<A: App> {
    Now(Box<Answering<A>>),
    Later(Box<Deferring<A>>),
}

impl<A: App> Rpc<A> {
    /// No methods, of an application with this name and version, which `rpc.discover` tells.
    #[must_use]
    pub fn new(title: &str, version: &str) -> Self {
        Self {
            methods: BTreeMap::new(),
            last: String::new(),
            title: title.to_owned(),
            version: version.to_owned(),
            limits: RpcLimits::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn limits(self, limits: RpcLimits) -> Self {
        Self { limits, ..self }
    }

    /// A method that answers at once. Its parameters come by name, or by position in the order of their declaration. A method with
    /// one number, string or other single value as parameter takes it by position (JSON-RPC 2.0 section 4.2).
    #[must_use]
    pub fn method<P, R>(
        self,
        name: &str,
        mut call: impl FnMut(&mut A, &mut Cx<'_, A>, P) -> Result<R, RpcError> + Send + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        R: Serialize + JsonSchema,
    {
        let call = Call::Now(Box::new(move |app, cx, params| {
            let result = call(app, cx, parse(params)?)?;
            serde_json::to_string(&result).map_err(RpcError::from)
        }));
        self.insert::<P, R>(name, call)
    }

    /// A method that gives its work away with a ticket, and answers [later](super::Scope::answer). `R` is what the result is said
    /// to be. To be tested without threads, an application is given a function that gives work away, and in a test one that
    /// keeps it. Without an answer within
    /// [`RpcLimits::deadline`] the caller gets an error.
    #[must_use]
    pub fn deferred<P, R>(
        self,
        name: &str,
        mut call: impl FnMut(&mut A, &mut Cx<'_, A>, P, Ticket) -> Result<(), RpcError> + Send + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        R: Serialize + JsonSchema,
    {
        let call = Call::Later(Box::new(move |app, cx, params, ticket| call(app, cx, parse(params)?, ticket)));
        self.insert::<P, R>(name, call)
    }

    fn insert<P: JsonSchema, R: JsonSchema>(mut self, name: &str, call: Call<A>) -> Self {
        let params = |generator: &mut SchemaGenerator| P::json_schema(generator);
        let result = |generator: &mut SchemaGenerator| generator.subschema_for::<R>();
        let method = Method { call, about: String::new(), scope: None, params, result };
        self.methods.insert(name.to_owned(), method);
        name.clone_into(&mut self.last);
        self
    }

    /// Describes the method that was added last.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        if let Some(method) = self.methods.get_mut(&self.last) {
            text.clone_into(&mut method.about);
        }
        self
    }

    /// Lets only those call the method that was added last who have a [scope](crate::Identity::may). Others do not see it.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        if let Some(method) = self.methods.get_mut(&self.last) {
            method.scope = Some(scope.to_owned());
        }
        self
    }

    /// Serves a message; `log` is told the errors that the caller is not.
    pub(super) fn serve(&mut self, app: &mut A, cx: &mut Cx<'_, A>, text: &str, log: &mut dyn FnMut(&str, &str)) {
        match Message::parse(text, self.limits.batch_max) {
            Err(error) => drop(cx.reply(&response(&message::Id::null(), &Err(error)))),
            Ok(Message::One(parsed)) => self.serve_one(app, cx, parsed, None, log),
            Ok(Message::Batch(members)) => {
                let batch = cx.calls.open_batch(cx.conn(), members.len());
                for (place, parsed) in members.into_iter().enumerate() {
                    self.serve_one(app, cx, parsed, Some(Place { batch, place }), log);
                }
                cx.calls.close_batch(&mut cx.hub, batch);
            }
        }
    }

    fn serve_one(
        &mut self,
        app: &mut A,
        cx: &mut Cx<'_, A>,
        parsed: Parsed<'_>,
        place: Option<Place>,
        log: &mut dyn FnMut(&str, &str),
    ) {
        let (id, result) = match parsed {
            Parsed::Request { id, method, params } => {
                let result = self.call(app, cx, &method, params, id.as_ref(), place);
                if let Err(RpcError { cause: Some(cause), .. }) = &result {
                    log(&method, cause);
                }
                // A notification is not answered, not even with an error (section 4.1).
                let (Some(id), Some(result)) = (id, result.transpose()) else { return };
                (id, result)
            }
            Parsed::Response { id, result } => {
                let result = result.map(|raw| raw.get().to_owned());
                return cx.answered(app, id.as_number(), result);
            }
            Parsed::Invalid { id, why } => (id, Err(RpcError::invalid_request(why))),
        };
        let conn = cx.conn();
        cx.calls.respond(&mut cx.hub, conn, place, response(&id, &result));
    }

    /// The result as JSON; `None` if it comes later.
    fn call(
        &mut self,
        app: &mut A,
        cx: &mut Cx<'_, A>,
        name: &str,
        params: Option<&RawValue>,
        id: Option<&message::Id>,
        place: Option<Place>,
    ) -> Result<Option<String>, RpcError> {
        match name {
            "rpc.discover" => return Ok(Some(discover::open_rpc(self, cx))),
            "listall" if !self.methods.contains_key(name) => return Ok(Some(discover::list(self, cx))),
            _ => {}
        }
        let Some(method) = self.methods.get_mut(name) else {
            return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "Method not found"));
        };
        if method.scope.as_deref().is_some_and(|scope| !cx.may(scope)) {
            return Err(RpcError::new(RpcError::FORBIDDEN, "This is not allowed"));
        }
        match &mut method.call {
            Call::Now(call) => call(app, cx, params).map(Some),
            Call::Later(call) => {
                let conn = cx.conn();
                let ticket = cx.hub.ticket(conn, self.limits.deadline).map_err(busy)?;
                cx.calls.promise(ticket, id.cloned(), place);
                let begun = call(app, cx, params, ticket);
                if begun.is_err() {
                    cx.hub.redeem(ticket);
                    if !cx.calls.forget(ticket) {
                        // It was answered before it failed.
                        return Ok(None);
                    }
                }
                begun.map(|()| None)
            }
        }
    }
}

fn busy(error: TicketError) -> RpcError {
    let what = alloc::format!("{error}");
    RpcError::new(RpcError::BUSY, "Server busy").with_data(what)
}

fn parse<P: DeserializeOwned>(params: Option<&RawValue>) -> Result<P, RpcError> {
    let invalid = |path: Option<String>, reason: String| {
        let data = match path {
            Some(path) => serde_json::json!({ "path": path, "reason": reason }),
            None => serde_json::json!({ "reason": reason }),
        };
        RpcError::new(RpcError::INVALID_PARAMS, "Invalid params").with_data(data)
    };
    let Some(params) = params else {
        // Nothing is what a method without parameters takes, and what can be left out can all be left out.
        let from = |text| serde_json::from_str(text).ok();
        let parsed: Option<P> = from("null").or_else(|| from("{}")).or_else(|| from("[]"));
        return parsed.ok_or_else(|| invalid(None, "parameters are missing".into()));
    };
    let mut json = serde_json::Deserializer::from_str(params.get());
    let parsed = serde_path_to_error::deserialize(&mut json);
    let inner = params.get().get(1..params.get().len() - 1).unwrap_or_default();
    if parsed.is_err()
        && inner.trim().is_empty()
        && let Ok(nothing) = serde_json::from_str("null")
    {
        return Ok(nothing);
    }
    // A single parameter that is neither an object nor an array can only come by position: `[100]`.
    if parsed.is_err()
        && let Ok([only]) = serde_json::from_str::<[&RawValue; 1]>(params.get())
        && !only.get().starts_with(['{', '['])
        && let Ok(parsed) = serde_json::from_str(only.get())
    {
        return Ok(parsed);
    }
    parsed.map_err(|error| {
        let path = alloc::format!("{}", error.path());
        invalid((path != ".").then_some(path), reason_of(&error.into_inner()))
    })
}

/// What is answered to a message that is not served because there were too many, if it is a request.
pub(super) fn too_many(text: &str, retry_after_ms: u128) -> Option<String> {
    let Ok(Message::One(Parsed::Request { id: Some(id), .. })) = Message::parse(text, 1) else { return None };
    let error = RpcError::new(RpcError::BUSY, "Too many requests");
    let data = serde_json::json!({ "retry_after_ms": u64::try_from(retry_after_ms).unwrap_or(u64::MAX) });
    Some(response(&id, &Err(error.with_data(data))))
}

impl<A: App> fmt::Debug for Rpc<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.methods.keys()).finish()
    }
}

//! JSON-RPC 2.0 over every wire, in both directions.
//!
//! Each message holds one request, notification or response, or a batch of them. The server answers
//! requests in the order in which they arrive, except for [deferred](Rpc::deferred) methods. It
//! answers a batch with one response, once all methods in it have answered.
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
//!     dividend.checked_div(divisor).ok_or(RpcError::new(1, "cannot divide by that number"))
//! });
//! let mut hub = TestHub::new(Service::new(Calculator).rpc(rpc));
//! let peer = hub.connect();
//! hub.line(peer, r#"{"jsonrpc":"2.0","id":1,"method":"divide","params":{"dividend":6,"divisor":3}}"#);
//! assert_eq!(hub.lines(peer), [r#"{"jsonrpc":"2.0","id":1,"result":2}"#]);
//! ```
//!
//! Two methods are built in. They describe the methods that the caller may call. An application can
//! replace `listall`.
//!
//! | method | result |
//! |---|---|
//! | `rpc.discover` | an [OpenRPC](https://spec.open-rpc.org) document, version 1.3.2 |
//! | `listall` | a list: name, description, scope, JSON Schemas of parameters and result |

pub(super) mod calls;
mod discover;
pub(super) mod error;
mod message;
mod method;

pub use calls::CallError;
pub use error::RpcError;

use super::service::app::App;
use super::service::cx::Cx;
use super::service::json::reason_of;
use crate::base::setters;
use crate::config::TicketError;
use crate::kit::constraints::Constraints;
use crate::state::Ticket;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use calls::Place;
use core::fmt;
use core::time::Duration;
use message::response;
pub(crate) use message::{Message, Parsed, request};
use method::{Call, Method, Methods};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The JSON-RPC methods of an application, with its title and version, and limits on calls.
pub struct Rpc<A: App> {
    methods: Methods<A>,
    /// The name of the method that was added last.
    last: String,
    title: String,
    version: String,
    pub(super) limits: RpcLimits,
}

/// Limits on incoming calls.
///
/// [`TicketLimits`](crate::TicketLimits) limits the number of deferred calls in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcLimits {
    /// Maximum number of members of a batch. Default: 100.
    pub batch_max: usize,
    /// Maximum time for a [deferred](Rpc::deferred) method to answer. Default: 30 s.
    pub deadline: Duration,
}

setters!(RpcLimits { batch_max: usize, deadline: Duration });

impl Default for RpcLimits {
    /// Returns limits of 100 members per batch and 30 s per deferred call.
    fn default() -> Self {
        Self { batch_max: 100, deadline: Duration::from_secs(30) }
    }
}

impl<A: App> Rpc<A> {
    /// Creates an empty set of methods. `rpc.discover` returns the title and the version.
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

    /// Sets the limits on incoming calls.
    #[must_use]
    pub fn limits(self, limits: RpcLimits) -> Self {
        Self { limits, ..self }
    }

    /// Adds a method that answers at once. It replaces an earlier method with that name.
    ///
    /// Callers pass parameters by name, or by position in the order of their declaration (JSON-RPC
    /// 2.0 section 4.2). If `P` is a single value, such as a number or a string, they pass it by
    /// position.
    ///
    /// Parameters must meet the constraints of the schema that the descriptions publish: see
    /// [`constraints`](super::constraints).
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
        let constraints = Constraints::of::<P>();
        let call = Call::Now(Box::new(move |app, cx, params| {
            let result = call(app, cx, parse(params, &constraints)?)?;
            serde_json::to_string(&result).map_err(RpcError::from)
        }));
        self.insert::<P, R>(name, call)
    }

    /// Adds a method that answers later: it passes its ticket to [`answer`](super::Scope::answer).
    ///
    /// Its parameters are as in [`method`](Self::method); `R` is the documented type of its result.
    /// If it does not answer within [`RpcLimits::deadline`], the caller gets the error
    /// [`TIMED_OUT`](RpcError::TIMED_OUT). A drain waits for it until the drain's deadline; then
    /// the caller gets [`SHUTTING_DOWN`](RpcError::SHUTTING_DOWN) before the connection ends.
    ///
    /// To test it without threads, give the application a function that starts the work. A test
    /// passes one that only stores it.
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
        let constraints = Constraints::of::<P>();
        let call =
            Call::Later(Box::new(move |app, cx, params, ticket| call(app, cx, parse(params, &constraints)?, ticket)));
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

    /// Sets the description of the method that was added last.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        if let Some(method) = self.methods.get_mut(&self.last) {
            text.clone_into(&mut method.about);
        }
        self
    }

    /// Restricts the method that was added last to users with a [scope](crate::Identity::may).
    ///
    /// The descriptions for other callers omit it.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        if let Some(method) = self.methods.get_mut(&self.last) {
            method.scope = Some(scope.to_owned());
        }
        self
    }

    /// Adds the methods of another set, but for those whose name is taken.
    pub(super) fn with_others(mut self, others: Self) -> Self {
        for (name, method) in others.methods {
            self.methods.entry(name).or_insert(method);
        }
        self
    }

    /// Handles a message and sends the available responses. Calls `log` for each internal error.
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
                // A notification gets no response, not even an error (section 4.1).
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

    /// Calls a method. Returns its result as JSON, or `None` if it answers later.
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
            "rpc.discover" => return Ok(Some(discover::open_rpc(&self.title, &self.version, &self.methods, cx))),
            "listall" if !self.methods.contains_key(name) => return Ok(Some(discover::list(&self.methods, cx))),
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
                        // The method answered before it failed.
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

fn parse<P: DeserializeOwned>(params: Option<&RawValue>, constraints: &Constraints) -> Result<P, RpcError> {
    let invalid = |path: Option<String>, reason: String| {
        let data = match path {
            Some(path) => serde_json::json!({ "path": path, "reason": reason }),
            None => serde_json::json!({ "reason": reason }),
        };
        RpcError::new(RpcError::INVALID_PARAMS, "Invalid params").with_data(data)
    };
    let Some(params) = params else {
        // Accepted if the method has no parameters, or if all of them are optional.
        let from = |text| deserialize(text, constraints).ok();
        let parsed: Option<P> = from("null").or_else(|| from("{}")).or_else(|| from("[]"));
        return parsed.ok_or_else(|| invalid(None, "parameters are missing".into()));
    };
    let mut parsed = deserialize(params.get(), constraints);
    let inner = params.get().get(1..params.get().len() - 1).unwrap_or_default();
    if parsed.is_err()
        && inner.trim().is_empty()
        && let Ok(nothing) = deserialize("null", constraints)
    {
        return Ok(nothing);
    }
    // `params` is an object or an array, so a scalar parameter comes by position: `[100]`.
    if parsed.is_err()
        && let Ok([only]) = serde_json::from_str::<[&RawValue; 1]>(params.get())
        && !only.get().starts_with(['{', '['])
    {
        let scalar = deserialize(only.get(), constraints);
        // A scalar that does not meet its constraints has the better error.
        if scalar.is_ok() || constraints.is_scalar() {
            parsed = scalar;
        }
    }
    parsed.map_err(|error| {
        let path = alloc::format!("{}", error.path());
        invalid((path != ".").then_some(path), reason_of(&error.into_inner()))
    })
}

fn deserialize<P: DeserializeOwned>(
    text: &str,
    constraints: &Constraints,
) -> Result<P, serde_path_to_error::Error<serde_json::Error>> {
    constraints.deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// Returns the error response to requests over the rate limit, as [`refusal`] does.
pub(super) fn too_many(text: &str, retry_after_ms: u128) -> Option<String> {
    let data = serde_json::json!({ "retry_after_ms": u64::try_from(retry_after_ms).unwrap_or(u64::MAX) });
    refusal(text, &RpcError::new(RpcError::BUSY, "Too many requests").with_data(data))
}

/// Returns the response that refuses each request in a message with this error.
///
/// Returns `None` if the message has no request with an id: JSON-RPC answers nothing else.
pub(super) fn refusal(text: &str, error: &RpcError) -> Option<String> {
    let refuse = |parsed| match parsed {
        Parsed::Request { id: Some(id), .. } => Some(response(&id, &Err(error.clone()))),
        _ => None,
    };
    match Message::parse(text, RpcLimits::default().batch_max).ok()? {
        Message::One(parsed) => refuse(parsed),
        Message::Batch(members) => {
            let responses: Vec<_> = members.into_iter().filter_map(refuse).collect();
            (!responses.is_empty()).then(|| alloc::format!("[{}]", responses.join(",")))
        }
    }
}

impl<A: App> fmt::Debug for Rpc<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.methods.keys()).finish()
    }
}

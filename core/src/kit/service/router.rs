use super::json::{RawMessage, Source};
use super::{App, Cx, MessageError, Outcome, words};
use crate::base::Reason;
use crate::kit::constraints::Constraints;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

type Serve<A> = Box<dyn FnMut(&mut A, &mut Cx<'_, A>, RawMessage<'_>) -> Result<(), MessageError> + Send>;

/// A router that passes messages to functions by type, behind guards.
///
/// A message of type `say` is a JSON object, `{"type":"say","text":"hello"}`, or a typed command,
/// `/say hello`. The words of a command are the fields of the function's last parameter, in order
/// of declaration; the last field takes the rest.
pub struct Router<A: App> {
    routes: BTreeMap<String, Route<A>>,
    /// The fallbacks by prefix: `""` for this router, `admin.` for a router nested as `admin`.
    fallbacks: BTreeMap<String, Route<A>>,
    /// The guards of this router and of all routers that were merged or nested into it.
    guards: Vec<Box<dyn Guard<A>>>,
    /// Indices of the guards that run before every route.
    own: Vec<usize>,
}

struct Route<A: App> {
    serve: Serve<A>,
    usage: String,
    /// Indices of the guards of this route, which run after those before every route.
    guards: Vec<usize>,
}

/// Middleware of a router: observes connections and routed messages, and may refuse messages.
///
/// Functions with the signature of [`before`](Self::before) are guards.
pub trait Guard<A: App>: Send {
    /// Called when a connection opens.
    fn opened(&mut self, app: &mut A, cx: &mut Cx<'_, A>) {
        let _ = (app, cx);
    }

    /// Returns whether `/help` lists a type for this connection.
    fn shows(&self, cx: &Cx<'_, A>, kind: &str) -> bool {
        let _ = (cx, kind);
        true
    }

    /// Called before the function of a message is called. May refuse the message.
    ///
    /// # Errors
    /// The message is not handled, and its sender gets the error.
    fn before(&mut self, app: &mut A, cx: &mut Cx<'_, A>, kind: &str) -> Result<(), MessageError> {
        let _ = (app, cx, kind);
        Ok(())
    }

    /// Called after a message that this guard accepted was handled, or refused by a later guard.
    fn after(&mut self, app: &mut A, cx: &mut Cx<'_, A>, kind: &str, result: &Result<(), MessageError>) {
        let _ = (app, cx, kind, result);
    }

    /// Called when a connection has closed.
    fn closed(&mut self, app: &mut A, cx: &mut Cx<'_, A>, reason: Reason) {
        let _ = (app, cx, reason);
    }
}

impl<A: App, F> Guard<A> for F
where
    F: FnMut(&mut A, &mut Cx<'_, A>, &str) -> Result<(), MessageError> + Send,
{
    fn before(&mut self, app: &mut A, cx: &mut Cx<'_, A>, kind: &str) -> Result<(), MessageError> {
        self(app, cx, kind)
    }
}

/// A guard that refuses messages from peers without a [scope](crate::Identity::may).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a scope is all that it is")]
pub struct RequireScope(pub &'static str);

impl<A: App> Guard<A> for RequireScope {
    fn shows(&self, cx: &Cx<'_, A>, _: &str) -> bool {
        cx.may(self.0)
    }

    fn before(&mut self, _: &mut A, cx: &mut Cx<'_, A>, _: &str) -> Result<(), MessageError> {
        if cx.may(self.0) { Ok(()) } else { Err(MessageError::forbidden()) }
    }
}

/// Maximum number of prefixes of a type that are searched for a fallback, besides `""`.
const PREFIXES_MAX: usize = 16;

impl<A: App> Default for Router<A> {
    fn default() -> Self {
        Self { routes: BTreeMap::new(), fallbacks: BTreeMap::new(), guards: Vec::new(), own: Vec::new() }
    }
}

impl<A: App> Router<A> {
    /// Creates a router without functions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the function for messages of a type. Its last parameter is the parsed message.
    ///
    /// If parsing fails, the sender gets an error with the position and the cause. A second
    /// function for a type replaces the first. The first closure may have to name the application's
    /// type: `|app: &mut Chat, ...|`. Constraints of a JSON Schema, such as a maximum, need
    /// [`on_validated`](Self::on_validated).
    #[must_use]
    pub fn on<M, O>(self, kind: &str, serve: impl FnMut(&mut A, &mut Cx<'_, A>, M) -> O + Send + 'static) -> Self
    where
        M: DeserializeOwned,
        O: Outcome,
    {
        self.insert(kind, Constraints::none(), serve)
    }

    /// Sets a function like [`on`](Self::on), and enforces constraints of the type's JSON Schema.
    ///
    /// Messages and commands must meet the length, range and count constraints of the type's
    /// schema; see [`constraints`](crate::kit::constraints).
    ///
    /// ```
    /// use drupe_core::kit::{Router, Service};
    /// use drupe_core::testing::TestHub;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Add {
    ///     #[schemars(range(max = 10))]
    ///     number: i64,
    /// }
    ///
    /// let router = Router::<()>::new().on_validated("add", |_, cx, Add { number }| cx.reply(&number.to_string()));
    /// let mut hub = TestHub::new(Service::new(()).router(router));
    /// let peer = hub.connect();
    /// hub.line(peer, "/add 12");
    /// hub.line(peer, r#"{"type":"add","number":12,"id":7}"#);
    /// assert_eq!(hub.lines(peer), [
    ///     "error: add: number: 12 is above the maximum 10",
    ///     concat!(
    ///         r#"{"id":7,"type":"error","of":"add","code":"invalid","path":"number","#,
    ///         r#""reason":"12 is above the maximum 10"}"#,
    ///     ),
    /// ]);
    /// ```
    #[must_use]
    pub fn on_validated<M, O>(
        self,
        kind: &str,
        serve: impl FnMut(&mut A, &mut Cx<'_, A>, M) -> O + Send + 'static,
    ) -> Self
    where
        M: DeserializeOwned + JsonSchema,
        O: Outcome,
    {
        self.insert(kind, Constraints::of::<M>(), serve)
    }

    /// Sets a function like [`on_validated`](Self::on_validated). As a command, its message is a `W`.
    pub(super) fn on_either<M, W>(
        mut self,
        kind: &str,
        mut serve: impl FnMut(&mut A, &mut Cx<'_, A>, M) -> Result<(), MessageError> + Send + 'static,
    ) -> Self
    where
        M: DeserializeOwned + JsonSchema,
        W: DeserializeOwned + JsonSchema + Into<M>,
    {
        let (of_json, of_words) = (Constraints::of::<M>(), Constraints::of::<W>());
        let serve: Serve<A> = Box::new(move |app, cx, message| {
            let message = match message.source {
                Source::Object(_) => message.source.parse(&of_json)?,
                Source::Words(_) => message.source.parse::<W>(&of_words)?.into(),
            };
            serve(app, cx, message)
        });
        self.routes.insert(kind.to_owned(), Route { serve, usage: words::usage::<W>(), guards: Vec::new() });
        self
    }

    fn insert<M, O>(
        mut self,
        kind: &str,
        constraints: Constraints,
        mut serve: impl FnMut(&mut A, &mut Cx<'_, A>, M) -> O + Send + 'static,
    ) -> Self
    where
        M: DeserializeOwned,
        O: Outcome,
    {
        let serve: Serve<A> =
            Box::new(move |app, cx, message| serve(app, cx, message.source.parse(&constraints)?).into_result());
        let route = Route { serve, usage: words::usage::<M>(), guards: Vec::new() };
        self.routes.insert(kind.to_owned(), route);
        self
    }

    /// Sets the function for messages and commands whose type has no function.
    ///
    /// It replaces an earlier fallback, and [`Service::unknown`](super::Service::unknown) no longer
    /// applies. The guards of this router run before it. The fallback of a [nested](Self::nest)
    /// router gets the types under its name. Messages of type `error` are not passed on: two peers
    /// that answer each other's errors would never stop.
    ///
    /// ```
    /// use drupe_core::kit::{RawMessage, Router, Service};
    /// use drupe_core::testing::TestHub;
    ///
    /// let router = Router::<()>::new().fallback(|_, cx, message: RawMessage<'_>| {
    ///     let fields: std::collections::BTreeMap<String, u8> = message.parse()?;
    ///     cx.reply(&format!("{}: {fields:?}", message.kind()));
    ///     Ok(())
    /// });
    /// let mut hub = TestHub::new(Service::new(()).router(router));
    /// let peer = hub.connect();
    /// hub.line(peer, r#"{"type":"move","x":3}"#);
    /// hub.line(peer, "/turn degrees=90");
    /// assert_eq!(hub.lines(peer), [r#"move: {"x": 3}"#, r#"turn: {"degrees": 90}"#]);
    /// ```
    #[must_use]
    pub fn fallback<O: Outcome>(
        mut self,
        mut serve: impl FnMut(&mut A, &mut Cx<'_, A>, RawMessage<'_>) -> O + Send + 'static,
    ) -> Self {
        let serve: Serve<A> = Box::new(move |app, cx, message| serve(app, cx, message).into_result());
        self.fallbacks.insert(String::new(), Route { serve, usage: String::new(), guards: Vec::new() });
        self
    }

    /// Adds another router's functions under a prefix.
    ///
    /// With the name `admin`, its `kick` becomes `admin.kick`, or `/admin kick`.
    #[must_use]
    pub fn nest(self, name: &str, router: Self) -> Self {
        self.take_in(router, |kind| format!("{name}.{kind}"))
    }

    /// Adds another router's functions, behind that router's guards.
    ///
    /// They replace the functions that this router has for the same types.
    #[must_use]
    pub fn merge(self, router: Self) -> Self {
        self.take_in(router, |kind| kind)
    }

    /// Adds a guard before all functions of this router. It runs after the earlier guards.
    #[must_use]
    pub fn guard(mut self, guard: impl Guard<A> + 'static) -> Self {
        self.own.push(self.guards.len());
        self.guards.push(Box::new(guard));
        self
    }

    fn take_in(mut self, other: Self, name: impl Fn(String) -> String) -> Self {
        let first = self.guards.len();
        self.guards.extend(other.guards);
        let behind_guards = |mut route: Route<A>| {
            route.guards.splice(..0, other.own.iter().copied());
            route.guards.iter_mut().for_each(|guard| *guard += first);
            route
        };
        for (kind, route) in other.routes {
            self.routes.insert(name(kind), behind_guards(route));
        }
        for (prefix, route) in other.fallbacks {
            self.fallbacks.insert(name(prefix), behind_guards(route));
        }
        self
    }

    pub(super) fn knows(&self, kind: &str) -> bool {
        self.routes.contains_key(kind)
    }

    /// Returns whether a type has a function or a fallback.
    pub(super) fn serves(&self, kind: &str) -> bool {
        self.knows(kind) || self.prefix(kind).is_some()
    }

    /// Returns whether a nested router has a fallback for a type.
    pub(super) fn is_nested(&self, kind: &str) -> bool {
        self.prefix(kind).is_some_and(|prefix| !prefix.is_empty())
    }

    /// Returns the longest prefix of a type that has a fallback.
    fn prefix<'k>(&self, kind: &'k str) -> Option<&'k str> {
        if self.fallbacks.is_empty() {
            return None;
        }
        // A peer chooses the type, so only some of its dots are tried.
        let ends = kind.match_indices('.').take(PREFIXES_MAX).map(|(dot, _)| dot + 1).collect::<Vec<_>>();
        let mut prefixes = ends.into_iter().rev().chain([0]).map(|end| &kind[..end]);
        prefixes.find(|prefix| self.fallbacks.contains_key(*prefix))
    }

    /// Returns the types that a connection may see, with their usage texts, in alphabetical order.
    pub(super) fn usages(&self, cx: &Cx<'_, A>) -> Vec<(&str, &str)> {
        let shown = |(kind, route): &(&String, &Route<A>)| {
            self.own.iter().chain(&route.guards).all(|&guard| self.guards[guard].shows(cx, kind))
        };
        self.routes.iter().filter(shown).map(|(kind, route)| (kind.as_str(), route.usage.as_str())).collect()
    }

    /// Passes a message through its guards to its function or fallback, if it has one.
    pub(super) fn serve(
        &mut self,
        app: &mut A,
        cx: &mut Cx<'_, A>,
        kind: &str,
        source: Source<'_>,
    ) -> Result<(), MessageError> {
        let prefix = self.prefix(kind);
        let Self { routes, fallbacks, guards, own } = self;
        let fallback = prefix.and_then(|prefix| fallbacks.get_mut(prefix));
        let Some(route) = routes.get_mut(kind).or(fallback) else { return Ok(()) };
        let (mut result, mut passed) = (Ok(()), Vec::new());
        for &guard in own.iter().chain(&route.guards) {
            result = guards[guard].before(app, cx, kind);
            if result.is_err() {
                break;
            }
            passed.push(guard);
        }
        let result = result.and_then(|()| (route.serve)(app, cx, RawMessage { kind, source }));
        for guard in passed.into_iter().rev() {
            guards[guard].after(app, cx, kind, &result);
        }
        result
    }

    pub(super) fn opened(&mut self, app: &mut A, cx: &mut Cx<'_, A>) {
        self.guards.iter_mut().for_each(|guard| guard.opened(app, cx));
    }

    pub(super) fn closed(&mut self, app: &mut A, cx: &mut Cx<'_, A>, reason: Reason) {
        self.guards.iter_mut().for_each(|guard| guard.closed(app, cx, reason));
    }
}

impl<A: App> fmt::Debug for Router<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys()).finish()
    }
}

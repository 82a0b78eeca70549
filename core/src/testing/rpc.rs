//! A JSON-RPC client on a connection of a [`TestHub`].

use super::end::PeerEnd;
use super::hub::TestHub;
use super::websocket_end::WebSocketMessage;
use crate::base::ConnId;
use crate::handler::Handler;
use crate::kit::rpc::{Message, Parsed, RpcError, request};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

/// A JSON-RPC 2.0 client on a connection of a [`TestHub`]; see [`TestHub::rpc`].
pub struct TestRpc<'a, H: Handler> {
    hub: &'a mut TestHub<H>,
    conn: ConnId,
}

/// A notification that a [`TestRpc`] received (JSON-RPC 2.0 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    /// The name of the method.
    pub method: String,
    /// The parameters: an object, an array, or null if there are none.
    pub params: Value,
}

impl<H: Handler> TestHub<H> {
    /// Returns a JSON-RPC client for a connection: a WebSocket that
    /// [`open_websocket`](Self::open_websocket) connected, or a peer that sends lines.
    ///
    /// ```
    /// use drupe_core::kit::rpc::Rpc;
    /// use drupe_core::kit::{App, Service};
    /// use drupe_core::testing::TestHub;
    /// use serde_json::json;
    ///
    /// struct Calculator;
    ///
    /// impl App for Calculator {
    ///     type Context = ();
    ///     type Note = drupe_core::NoNote;
    /// }
    ///
    /// let rpc = Rpc::new("calculator", "1.0.0").method("add", |_, _, (a, b): (i64, i64)| Ok(a + b));
    /// let mut hub = TestHub::new(Service::new(Calculator).rpc(rpc));
    /// let ann = hub.connect();
    /// assert_eq!(hub.rpc(ann).call("add", json!([1, 2])), Ok(json!(3)));
    /// ```
    pub fn rpc(&mut self, conn: ConnId) -> TestRpc<'_, H> {
        TestRpc { hub: self, conn }
    }
}

impl<H: Handler> TestRpc<'_, H> {
    /// Calls a method. Returns its result.
    ///
    /// # Errors
    /// The error of the method, or of the service.
    ///
    /// # Panics
    /// If the method does not answer at once. For a method that needs time, use
    /// [`begin_call`](Self::begin_call).
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub fn call(&mut self, method: &str, params: impl Into<Value>) -> Result<Value, RpcError> {
        let id = self.begin_call(method, params);
        self.response(id).unwrap_or_else(|| panic!("no response to {method:?} yet. Received: {:?}", self.texts()))
    }

    /// Calls a method, and returns the id of the call. [`response`](Self::response) returns its result.
    pub fn begin_call(&mut self, method: &str, params: impl Into<Value>) -> u64 {
        self.hub.calls += 1;
        let id = self.hub.calls;
        self.send(Some(id), method, &params.into());
        id
    }

    /// Sends a notification, which has no response.
    pub fn notify(&mut self, method: &str, params: impl Into<Value>) {
        self.send(None, method, &params.into());
    }

    fn send(&mut self, id: Option<u64>, method: &str, params: &Value) {
        let params = (!params.is_null()).then(|| params.to_string());
        let text = request(id, method, params.as_deref());
        match self.hub.end_of(self.conn) {
            Some(PeerEnd::WebSocket(_)) => self.hub.websocket(self.conn).send_text(&text),
            _ => self.hub.line(self.conn, &text),
        }
    }

    /// Returns the response to a call, if it was received since the last [`clear`](TestHub::clear).
    #[must_use]
    pub fn response(&self, call: u64) -> Option<Result<Value, RpcError>> {
        self.each(|parsed| match parsed {
            Parsed::Response { id, result } if id.as_number() == Some(call) => Some(result.map(|raw| value(raw.get()))),
            _ => None,
        })
        .pop()
    }

    /// Returns the notifications that were received since the last [`clear`](TestHub::clear).
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        self.each(|parsed| match parsed {
            Parsed::Request { id: None, method, params } => {
                Some(Notification { method, params: params.map_or(Value::Null, |raw| value(raw.get())) })
            }
            _ => None,
        })
    }

    /// Collects what `take` returns for the received messages, and for the members of batches.
    fn each<T>(&self, mut take: impl FnMut(Parsed<'_>) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        for text in self.texts() {
            let members = match Message::parse(&text, usize::MAX) {
                Ok(Message::One(one)) => vec![one],
                Ok(Message::Batch(members)) => members,
                // Another message of the application.
                Err(_) => continue,
            };
            found.extend(members.into_iter().filter_map(&mut take));
        }
        found
    }

    fn texts(&self) -> Vec<String> {
        match self.hub.end_of(self.conn) {
            Some(PeerEnd::WebSocket(socket)) => {
                socket.messages().iter().filter_map(WebSocketMessage::as_text).map(String::from).collect()
            }
            _ => self.hub.lines(self.conn),
        }
    }
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

impl<H: Handler> fmt::Debug for TestRpc<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRpc").field("conn", &self.conn).finish_non_exhaustive()
    }
}

//! HTTP requests to the server of a [`TestHub`].

use super::hub::TestHub;
use crate::base::ConnId;
use crate::handler::Handler;
use crate::wire::http::ResponseReader;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

/// An HTTP/1.1 request of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRequest {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The response to a [`TestRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestResponse {
    /// The status code, such as 200.
    pub status: u16,
    /// The names and values of the header fields, in order.
    pub fields: Vec<(String, String)>,
    /// The content, without the transfer coding.
    pub body: Vec<u8>,
}

impl TestRequest {
    /// Creates a request without a body. `target` is a path, with a query if there is one.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_string(), target: target.to_string(), fields: Vec::new(), body: Vec::new() }
    }

    /// Adds a header field. `Host` and `Content-Length` are there already, unless a field has that name.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_string(), value.to_string()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let is_framed = has("content-length") || has("transfer-encoding");
        if !has("host") {
            head.push_str("Host: localhost\r\n");
        }
        if !self.body.is_empty() && !is_framed {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

impl TestResponse {
    /// Returns the value of the first header field with this name, ignoring case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// Returns the body as text. Invalid UTF-8 becomes `U+FFFD`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl<H: Handler> TestHub<H> {
    /// Connects a peer to the first listener, and sends a GET request for a path.
    ///
    /// ```
    /// use drupe_core::app::Echo;
    /// use drupe_core::testing::TestHub;
    /// use drupe_core::{Config, Listen};
    ///
    /// let listen: Listen = "ws://127.0.0.1:0".parse()?;
    /// let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
    /// assert_eq!(hub.get("/healthz").status, 200);
    /// assert_eq!(hub.get("/nothing").status, 404);
    /// # Ok::<(), drupe_core::ListenError>(())
    /// ```
    ///
    /// # Panics
    /// As [`connect`](Self::connect) and [`request`](Self::request) do.
    pub fn get(&mut self, target: &str) -> TestResponse {
        let conn = self.connect();
        self.request(conn, &TestRequest::new("GET", target))
    }

    /// Sends an HTTP request on a connection. Returns the response.
    ///
    /// # Panics
    /// If the server does not send a complete response at once. For a stream of events, or a
    /// response that needs time or a [note](Self::note), use [`send`](Self::send) and
    /// [`received`](Self::received).
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub fn request(&mut self, conn: ConnId, request: &TestRequest) -> TestResponse {
        let before = self.received(conn).len();
        self.send(conn, &request.bytes());
        let received = self.received(conn).get(before..).unwrap_or_default();
        let mut reader = ResponseReader::new(u32::MAX);
        let read = match reader.read(received) {
            Ok(read) => read,
            Err(why) => {
                panic!("the server sent no valid HTTP response, {why}: {:?}", String::from_utf8_lossy(received))
            }
        };
        let head = reader.head();
        // The response to HEAD has no body, whatever its fields say (RFC 9110 section 9.3.2).
        let body = match (read, &head) {
            (Some(whole), _) => Some(whole.body),
            (None, Some(_)) if request.method == "HEAD" => Some(Vec::new()),
            (None, _) if self.is_closed(conn) => reader.end().map(|whole| whole.body),
            (None, _) => None,
        };
        match (head, body) {
            (Some((status, fields)), Some(body)) => TestResponse { status, fields, body },
            _ => panic!(
                "{} {} got no complete response. The server sent: {:?}",
                request.method,
                request.target,
                String::from_utf8_lossy(received)
            ),
        }
    }
}

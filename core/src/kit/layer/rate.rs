use super::Layer;
use crate::base::{AddressKey, ConnId, Payload, Reason, Time};
use crate::config::Rate;
use crate::handler::{Event, Handler, Hub};
use crate::state::admission::Meters;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;

/// Maximum number of connections, addresses or users whose rate is tracked.
const KEYS_MAX: usize = 16_384;

/// A layer that limits the message rate of each connection, address or user.
///
/// Messages over the rate are discarded. The first one in a row is answered with a notice of when
/// the next message is accepted. With the feature `json`, each JSON-RPC 2.0 call is answered with
/// an error instead.
///
/// The machine's own [`Rates`](crate::Rates) slow a connection down and, by default, discard
/// nothing. Use this layer by address or by user for limits that a reconnect does not reset.
#[derive(Debug)]
pub struct RateLimit {
    rate: Rate,
    by: RateBy,
    meters: Meters<Key>,
    /// Number of messages refused in a row, by connection.
    refused: BTreeMap<ConnId, u32>,
    close_after: Option<u32>,
}

/// The unit that has a rate of its own: a connection, an address or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateBy {
    /// Each connection has a rate of its own.
    Connection,
    /// Each address (IPv4 or IPv6 /64) has a rate of its own.
    ///
    /// Each connection of a peer without an address has a rate of its own.
    Address,
    /// Each user has a rate of its own. Connections without a user count by address.
    User,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Connection(ConnId),
    Address(AddressKey),
    User(Arc<str>),
}

impl RateLimit {
    /// Creates a layer with this rate for each connection, address or user.
    #[must_use]
    pub const fn new(by: RateBy, rate: Rate) -> Self {
        Self { rate, by, meters: Meters::new(KEYS_MAX), refused: BTreeMap::new(), close_after: None }
    }

    /// Ends a connection as [`Reason::RateLimited`] after this many refused messages in a row.
    #[must_use]
    pub fn close_after(self, refusals: u32) -> Self {
        Self { close_after: Some(refusals), ..self }
    }

    fn key<C>(&self, hub: &Hub<'_, C>, conn: ConnId) -> Key {
        let address = || hub.peer(conn).and_then(crate::base::Peer::key).map_or(Key::Connection(conn), Key::Address);
        match self.by {
            RateBy::Connection => Key::Connection(conn),
            RateBy::Address => address(),
            RateBy::User => hub.identity(conn).map_or_else(address, |identity| Key::User(identity.user.clone())),
        }
    }

    fn refuse<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, payload: Payload<'_>, conforms_from: Time) {
        let refused = self.refused.entry(conn).or_default();
        *refused += 1;
        let wait = conforms_from.since(hub.now()).as_nanos().div_ceil(1_000_000);
        if let Some(answer) = answer_to_call(payload, wait) {
            hub.send(conn, &answer);
        } else if *refused == 1 {
            let text = format!("notice: too many messages; the next one is served in {wait} ms");
            let json = format!(
                "{{\"type\":\"error\",\"code\":\"rate_limited\",\"reason\":\"too many messages\",\"retry_after_ms\":{wait}}}"
            );
            hub.send(conn, crate::base::Outgoing::Negotiated { json: &json, text: &text });
        }
        if self.close_after.is_some_and(|max| *refused >= max) {
            hub.end(conn, Reason::RateLimited);
        }
    }
}

/// Returns the error response to refused JSON-RPC calls, or `None` for other messages.
#[cfg(feature = "json")]
fn answer_to_call(payload: Payload<'_>, wait: u128) -> Option<alloc::string::String> {
    let text = payload.as_str().filter(|text| text.contains("\"jsonrpc\""))?;
    crate::kit::rpc::too_many(text, wait)
}

#[cfg(not(feature = "json"))]
fn answer_to_call(_: Payload<'_>, _: u128) -> Option<alloc::string::String> {
    None
}

impl<H: Handler> Layer<H> for RateLimit {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        match event {
            Event::Message { conn, payload } => {
                let key = self.key(hub, conn);
                match self.meters.try_charge(hub.now(), &key, self.rate) {
                    Err(conforms_from) => return self.refuse(hub, conn, payload, conforms_from),
                    Ok(()) => drop(self.refused.remove(&conn)),
                }
            }
            Event::Closed { conn, .. } => {
                self.refused.remove(&conn);
                self.meters.forget(&Key::Connection(conn));
            }
            _ => {}
        }
        within.on(hub, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Echo;
    use crate::base::{ListenerId, Peer};
    use crate::kit::layer::Within;
    use crate::testing::TestHub;
    use core::time::Duration;

    fn limited(by: RateBy) -> TestHub<impl Handler> {
        let rate = Rate::per(2, 10, 2).expect("a valid rate");
        TestHub::new(Echo.within(RateLimit::new(by, rate).close_after(3)))
    }

    #[test]
    fn rate_limit_warns_once_then_closes_on_excess() {
        let mut hub = limited(RateBy::Connection);
        let peer = hub.connect();
        (0..4).for_each(|number| hub.line(peer, &format!("{number}")));
        assert_eq!(hub.lines(peer), ["0", "1", "notice: too many messages; the next one is served in 5000 ms"]);
        hub.advance(Duration::from_secs(5));
        hub.line(peer, "again");
        assert_eq!(hub.lines(peer).len(), 4);
        (0..3).for_each(|_| hub.line(peer, "more"));
        assert_eq!(hub.ended(Reason::RateLimited), 1);
    }

    #[test]
    fn rate_limit_by_address_outlives_a_reconnect() {
        let mut hub = limited(RateBy::Address);
        let first = hub.connect();
        (0..2).for_each(|_| hub.line(first, "x"));
        hub.end(first);
        let second = hub.connect();
        hub.line(second, "x");
        assert!(hub.lines(second)[0].starts_with("notice:"));
        let peer: Peer = "192.0.2.1:9".parse().expect("an address");
        let other = hub.try_connect(ListenerId(0), peer).expect("accepted");
        hub.line(other, "x");
        assert_eq!(hub.lines(other), ["x"]);
    }
}

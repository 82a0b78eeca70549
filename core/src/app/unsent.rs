use crate::base::text::json_escape;
use crate::base::{ConnId, Outgoing};
use crate::facts::{Published, RoomAnswer};
use crate::handler::{Hub, PublishOptions};
use crate::state::RoomRequest;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// The messages to [shared](crate::Home::Shared) rooms of which it is not known yet whether they were sent.
///
/// Each of them is answered within 10 s, and fewer than the broker's queue has room for can wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsent(BTreeMap<RoomRequest, ConnId>);

impl Unsent {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Publishes a message of a connection. If the room is shared and the broker refuses the message, the connection
    /// gets a notice.
    pub(super) fn publish<'p, C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        conn: ConnId,
        room: &str,
        except: &[ConnId],
        message: impl Into<Outgoing<'p>>,
    ) {
        if hub.is_shared(room) {
            let request = hub.publish_with(room, message, PublishOptions::new().except(except));
            self.0.insert(request, conn);
        } else {
            hub.publish_except(room, except, message);
        }
    }

    /// Tells the sender of a message if the message was not sent, or if that is not known.
    pub(super) fn answered<C>(&mut self, hub: &mut Hub<'_, C>, request: RoomRequest, answer: &RoomAnswer) {
        let Some(conn) = self.0.remove(&request) else { return };
        let (why, words) = match answer {
            RoomAnswer::Published(Published::Refused(why)) => (why.to_string(), "was not sent"),
            RoomAnswer::Unknown => ("the broker did not answer".into(), "may not have been sent"),
            _ => return,
        };
        let mut json = String::from("{\"type\":\"not_sent\",\"why\":\"");
        json_escape(&why, &mut json);
        json.push_str("\"}");
        let text = format!("notice: your message {words}: {why}");
        hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
    }
}

#[cfg(test)]
mod tests {
    use crate::app::{Chat, Relay};
    use crate::config::{Cluster, Config, Home, Listen, RoomMemory, RoomOptions};
    use crate::history::Keep;
    use crate::testing::TestHub;
    use alloc::vec;
    use alloc::vec::Vec;

    /// A configuration in which all rooms are shared, and whose broker is never reached.
    fn config() -> Config {
        let rooms = RoomOptions::new("*", Keep::messages(10)).home(Home::Shared);
        let cluster = Cluster::redis("192.0.2.1:6379");
        Config::listening([Listen::lines(([127, 0, 0, 1], 0).into())])
            .memory(RoomMemory::default().rooms(vec![rooms]))
            .cluster(Some(cluster))
    }

    #[test]
    fn sender_is_told_that_a_message_was_not_sent() {
        let notice = "notice: your message was not sent: the broker cannot be reached";
        let mut chat = TestHub::with_config(config(), Chat::default());
        let ann = chat.connect();
        chat.clear();
        for line in ["hello", "/me waves"] {
            chat.line(ann, line);
            assert_eq!(chat.lines(ann), [notice], "{line}");
            chat.clear();
        }
        let mut relay = TestHub::with_config(config(), Relay::default());
        let [ann, bob] = [relay.connect(), relay.connect()];
        relay.line(ann, "hello");
        assert_eq!((relay.lines(ann), relay.lines(bob)), (vec![notice.into()], Vec::new()));
    }
}

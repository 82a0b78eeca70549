//! The JSON-RPC client of `TestHub`.

use super::{Done, listening};
use drupe_core::kit::rpc::{Rpc, RpcError};
use drupe_core::kit::{App, Cx, Service};
use drupe_core::testing::TestHub;
use drupe_core::{NoNote, Ticket};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn calls_return_results_and_errors_over_lines_and_websocket() {
    for (address, is_websocket) in [("tcp://127.0.0.1:1", false), ("ws://127.0.0.1:1", true)] {
        let mut hub = listening(address);
        let ann = if is_websocket { hub.open_websocket("/") } else { hub.connect() };
        let mut rpc = hub.rpc(ann);
        assert_eq!(rpc.call("subtract", json!({ "minuend": 5, "subtrahend": 3 })), Ok(json!(2)));
        assert_eq!(rpc.call("get_data", Value::Null), Ok(json!(["hello", 5])));
        let expected = RpcError::new(7, "not today").with_data(json!({ "try": "tomorrow" }));
        assert_eq!(rpc.call("refuse", Value::Null), Err(expected));
        assert_eq!(rpc.call("nothing", Value::Null).map_err(|error| error.code), Err(RpcError::METHOD_NOT_FOUND));
        rpc.notify("update", json!([1, 2]));
        assert_eq!(hub.handler().app().notified, [json!([1, 2])]);
    }
}

#[test]
fn call_that_takes_time_is_answered_later() {
    let mut hub = listening("tcp://127.0.0.1:1");
    let ann = hub.connect();
    let (first, second) = (hub.rpc(ann).begin_call("slow", json!([])), hub.rpc(ann).begin_call("slow", json!([])));
    assert_eq!(hub.rpc(ann).response(first), None);
    let ticket: Ticket = hub.handler().app().tickets[1];
    hub.note(Done(ticket, Ok(8)));
    assert_eq!((hub.rpc(ann).response(first), hub.rpc(ann).response(second)), (None, Some(Ok(json!(8)))));
    hub.advance(Duration::from_secs(10));
    let code = hub.rpc(ann).response(first).expect("a response").map_err(|error| error.code);
    assert_eq!(code, Err(RpcError::TIMED_OUT));
    let panic = catch_unwind(AssertUnwindSafe(|| hub.rpc(ann).call("slow", json!([])))).expect_err("no response");
    let why = panic.downcast_ref::<String>().expect("text");
    assert!(why.contains("no response to \"slow\" yet"), "{why}");
}

struct Teller;

impl App for Teller {
    type Context = ();
    type Note = NoNote;
}

#[test]
fn notifications_are_collected_beside_other_messages() {
    let rpc = Rpc::new("teller", "1").method("tell", |_, cx: &mut Cx<'_, Teller>, text: String| {
        cx.notify("news", &json!({ "text": text }));
        cx.reply("a line of the application");
        Ok(text.len())
    });
    let mut hub = TestHub::new(Service::new(Teller).rpc(rpc));
    let ann = hub.connect();
    assert_eq!(hub.rpc(ann).call("tell", json!(["hello"])), Ok(json!(5)));
    let notifications = hub.rpc(ann).notifications();
    let [news] = &notifications[..] else { panic!("one notification: {notifications:?}") };
    assert_eq!((news.method.as_str(), &news.params), ("news", &json!({ "text": "hello" })));
    hub.clear();
    assert_eq!(hub.rpc(ann).notifications(), []);
}

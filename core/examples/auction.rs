//! An auction that ends ten seconds after the last bid, with tests that run in virtual time.
//!
//! `cargo run -p drupe-core --example auction` plays one auction and prints what each bidder
//! received. `cargo test -p drupe-core --example auction` runs the tests.

use drupe_core::kit::{App, Cx, MessageError, RoomRules, Router, Scope, Service};
use drupe_core::testing::TestHub;
use drupe_core::{ConnId, Event, NoNote, Timer};
use std::time::Duration;

/// Time without a bid after which the auction ends.
const HAMMER: Duration = Duration::from_secs(10);
const GOING: Timer = Timer::named("going");

#[derive(Default)]
struct Auction {
    best: Option<(ConnId, u32)>,
    is_over: bool,
}

impl App for Auction {
    type Context = ();
    type Note = NoNote;
}

#[derive(serde::Deserialize)]
struct Bid {
    amount: u32,
}

fn bid(auction: &mut Auction, cx: &mut Cx<'_, Auction>, Bid { amount }: Bid) -> Result<(), MessageError> {
    if auction.is_over {
        return Err(MessageError::new("over", "the auction is over"));
    }
    if let Some((_, best)) = auction.best.filter(|(_, best)| amount <= *best) {
        return Err(MessageError::new("too_low", format!("the best bid is {best}")));
    }
    auction.best = Some((cx.conn(), amount));
    cx.hub.publish("hall", &format!("new bid: {amount}"));
    cx.hub.wake(GOING, HAMMER);
    Ok(())
}

fn sold(auction: &mut Auction, scope: &mut Scope<'_, Auction>, event: Event<'_, NoNote>) {
    if let (Event::Timer(GOING), Some((winner, amount))) = (event, auction.best) {
        auction.is_over = true;
        scope.hub.publish_except("hall", &[winner], &format!("sold for {amount}"));
        scope.hub.send(winner, &format!("you won for {amount}"));
    }
}

fn auction() -> Service<Auction> {
    Service::new(Auction::default())
        .router(Router::new().on("bid", bid))
        .rooms(RoomRules::closed().open("hall"))
        .on_open(|_, cx| cx.join("hall"))
        .on_other(sold)
}

#[expect(clippy::print_stdout, reason = "the example prints its result")]
fn main() {
    let mut hub = TestHub::new(auction());
    let (ann, bob) = (hub.connect(), hub.connect());
    hub.line(ann, "/bid 10");
    hub.advance(Duration::from_secs(9));
    hub.line(bob, "/bid 12");
    hub.advance(Duration::from_secs(60));
    for (name, conn) in [("Ann", ann), ("Bob", bob)] {
        println!("{name} received: {}", hub.lines(conn).join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_bid_before_ten_quiet_seconds_wins() {
        let mut hub = TestHub::new(auction());
        let (ann, bob) = (hub.connect(), hub.connect());
        hub.line(ann, "/bid 10");
        hub.advance(Duration::from_millis(9_999));
        hub.line(bob, r#"{"type":"bid","amount":12}"#);
        hub.advance(Duration::from_millis(9_999));
        assert!(!hub.handler().app().is_over);
        hub.advance(Duration::from_millis(1));
        assert_eq!(hub.lines(ann), ["new bid: 10", "new bid: 12", "sold for 12"]);
        assert_eq!(hub.lines(bob), ["new bid: 10", "new bid: 12", "you won for 12"]);
        hub.line(ann, "/bid 20");
        assert_eq!(hub.lines(ann)[3], "error: bid: the auction is over");
    }

    #[test]
    fn auction_refuses_bids_that_are_not_higher_numbers() {
        let mut hub = TestHub::new(auction());
        let ann = hub.connect();
        for line in ["/bid 10", "/bid 10", "/bid ten", "/bid -1", "/bid"] {
            hub.line(ann, line);
        }
        assert_eq!(
            hub.lines(ann),
            [
                "new bid: 10",
                "error: bid: the best bid is 10",
                "error: bid: amount: expected a whole number of at least 0, not `ten`",
                "error: bid: amount: expected a whole number of at least 0, not `-1`",
                "error: bid: missing field `amount`",
            ]
        );
    }

    #[test]
    fn bid_of_disconnected_peer_still_wins() {
        let mut hub = TestHub::new(auction());
        let (ann, bob) = (hub.connect(), hub.connect());
        hub.line(ann, "/bid 10");
        hub.end(ann);
        hub.advance(HAMMER);
        assert_eq!(hub.lines(bob), ["new bid: 10", "sold for 10"]);
    }
}

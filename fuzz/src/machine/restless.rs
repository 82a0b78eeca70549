//! An application that calls random methods of the hub.

use super::homes::Homes;
use crate::extremes::Draw;
use drupe_core::outbound::SlowPolicy;
use drupe_core::telnet::{InputMode, Side};
use drupe_core::websocket::CloseCode;
use drupe_core::{
    Backoff, Close, ConnId, Dial, DialId, Event, Handler, Hub, Identity, Reason, Representation, Timer, UnixTime,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Calls a random method of the hub at each event.
#[derive(Default)]
pub(super) struct Restless {
    pub(super) open: BTreeSet<ConnId>,
    /// The largest [`messages_per_turn`](drupe_core::limit::Budget::messages_per_turn) of any dial.
    pub(super) messages_per_turn: u32,
    homes: Homes,
}

impl Handler for Restless {
    type Context = u8;
    type Note = u8;

    fn on(&mut self, hub: &mut Hub<'_, u8>, event: Event<'_, u8>) {
        let named = match &event {
            Event::Opened { conn, .. } => {
                assert!(self.open.insert(*conn), "opened twice");
                Some(*conn)
            }
            Event::Closed { conn, .. } => {
                assert!(self.open.remove(conn), "closed twice, or never opened");
                assert!(hub.context(*conn).is_some(), "the context is dropped too early");
                Some(*conn)
            }
            Event::Message { conn, .. }
            | Event::Signal { conn, .. }
            | Event::InputEnded { conn, .. }
            | Event::Stalled { conn, .. }
            | Event::Authenticated { conn, .. }
            | Event::Sent { conn, .. }
            | Event::Offloaded { conn, .. }
            | Event::Drained { conn, .. } => {
                assert!(self.open.contains(conn), "an event after Closed or before Opened");
                Some(*conn)
            }
            Event::RoomAnswered { request, answer, .. } => {
                self.homes.answered(*request, answer);
                None
            }
            _ => None,
        };
        if let Event::Joined { position, .. } = &event {
            self.homes.saw(*position);
        }
        let all: Vec<ConnId> = hub.connections().collect();
        let pick = usize::try_from(hub.random() % 64).expect("small");
        let target = all.get(pick).copied().or(named);
        let room = ["a", "b", ""][pick % 3];
        let Some(conn) = target else { return };
        match hub.random() % 38 {
            0 => hub.close(conn),
            1 => hub.pause(conn),
            2..5 => hub.resume(conn),
            // As many methods as before, so that the corpus keeps its meaning.
            5..10 if pick % 2 == 1 && hub.room_options(room).is_some() => self.homes.act(hub, conn, room, pick / 2),
            5..8 => drop(hub.join(conn, room)),
            8 => drop(hub.leave(conn, room)),
            9 => drop(hub.publish(room, &"x".repeat(pick * 8))),
            10 => drop(hub.publish_except(room, &[conn], "except")),
            11 => drop(hub.send_each(&all, "each")),
            12 => hub.wake(Timer::of(conn, "t"), Duration::from_millis(pick as u64)),
            13 => hub.wake(Timer::named("u"), Duration::MAX),
            14 => drop(hub.cancel(Timer::of(conn, "t"))),
            15 => drop(hub.set_slow_policy(
                room,
                [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close][pick % 4],
            )),
            16 => {
                let dial = draw_dial(hub, pick);
                let most = dial.limits.as_ref().map_or(0, |limits| limits.budget.messages_per_turn);
                self.messages_per_turn = self.messages_per_turn.max(most);
                hub.dial(dial);
            }
            24 => drop(hub.prompt(conn, "> ")),
            25 => drop(hub.prompt_hidden(conn, "password: ")),
            26 => set_input_mode(hub, conn, pick),
            27 => drop(hub.write(conn, "half\nand half")),
            28 => set_option(hub, conn, pick),
            30 => hub.end(conn, Close::new(Reason::Unauthorized).code(CloseCode::UNAUTHORIZED).text("who are you?")),
            29 => drop(hub.gmcp(conn, "Core.Ping", "")),
            18 => {
                let expires_at = (pick % 2 == 0).then(|| UnixTime::from_secs(pick as u64 * 900));
                hub.identify(conn, Identity::user(["ann", "bob"][pick % 2]).expires_at(expires_at));
            }
            19 => drop(hub.ticket(conn, Duration::from_millis(pick as u64))),
            20 => {
                let ticket = hub.tickets(conn).next();
                ticket.map(|ticket| hub.redeem(ticket));
            }
            21 if pick == 63 => hub.drain(),
            22 => hub.end(conn, Reason::Forbidden),
            32 => hub.watch(conn, pick % 2 == 0),
            33 => hub.quarantine([0x2001, 0xdb8, 0, u16::try_from(pick % 4).expect("small"), 0, 0, 0, 1].into()),
            34 if pick == 1 => drop(hub.clear_slow_policy(room)),
            34 if pick == 0 => drop(hub.take_unwatched(conn)),
            23 => match pick % 8 {
                0 | 1 => hub.finish(conn),
                2 => hub.close_with(conn, "farewell"),
                3 => hub.set_label(conn, &"label\u{1b}".repeat(pick)),
                4 => hub.set_representation(conn, [Representation::Json, Representation::Text][pick / 32]),
                5 => drop(hub.release([0x2001, 0xdb8, 0, u16::try_from(pick / 16).expect("small"), 0, 0, 0, 1].into())),
                6 => drop(hub.subnegotiate(conn, 201, b"\xffdata")),
                _ => hub.set_server_status(&[("NAME", "fuzz"), ("PLAYERS", "\u{ff}\u{1}")]),
            },
            31 => drop(hub.offload(conn, move || pick % 2 == 0)),
            35 => drop(hub.send_to_shard(u8::try_from(pick % 4).expect("small"), "topic", "content")),
            36 => drop(hub.begin_tls(conn)),
            37 => {
                let addresses = (0..pick * 2).map(|number| format!("192.0.2.2:{number}")).collect();
                hub.set_dial_addresses(DialId::new(u32::try_from(pick % 8).expect("small")), addresses);
            }
            17 => hub.cancel_dial(DialId::new(u32::try_from(pick).expect("small"))),
            _ => drop(hub.send(conn, "private")),
        }
    }
}

fn set_input_mode(hub: &mut Hub<'_, u8>, conn: ConnId, pick: usize) {
    let modes = [InputMode::Line, InputMode::Character, InputMode::Keys];
    hub.set_input_mode(conn, modes[pick % 3]);
}

/// Draws a dial with any wire, any options, and sometimes a proxy.
fn draw_dial(hub: &mut Hub<'_, u8>, pick: usize) -> Dial {
    let backoff = pick.is_multiple_of(2).then(Backoff::default);
    let wire = hub.config().listeners.get(pick % 5).map(|listen| listen.protocol.wire()).unwrap_or_default();
    let dial = Dial::lines("192.0.2.1:1").protocol(wire.into()).backoff(backoff);
    let websocket = Dial::websocket("192.0.2.1:1", "/").backoff(backoff);
    let proxies = ["http://ann:pw@192.0.2.2:1", "socks5://ann:pw@192.0.2.2:1"];
    let proxy = proxies.get(pick % 5).map(|proxy| proxy.parse().expect("well formed"));
    let bytes: Vec<u8> = (0..10).flat_map(|_| hub.random().to_be_bytes()).collect();
    Draw::new(&bytes).dial(if pick.is_multiple_of(3) { websocket } else { dial }).proxy(proxy)
}

/// Switches a telnet option on or off, on either side.
fn set_option(hub: &mut Hub<'_, u8>, conn: ConnId, pick: usize) {
    let side = if pick.is_multiple_of(2) { Side::Us } else { Side::Him };
    let option = [1, 3, 24, 31, 34, 42, 70, 86, 87, 91, 201][pick % 11];
    if pick > 40 {
        hub.disable_option(conn, side, option)
    } else {
        hub.enable_option(conn, side, option)
    };
}

//! People on lines, in the channels of the clients.

use crate::remembering::Draw;
use drupe_core::Random;
use drupe_core::sim::{Client, Do};

const CHANNELS: [&str; 3] = ["news:a", "plain:a", "open"];

/// Creates a person who types commands, right and wrong.
pub(crate) fn person(draw: &mut Draw, wire: Client) -> Client {
    let ends = draw.pick(&[0, 50]);
    wire.does(move |random| {
        let mut draw = Draw(Random::new(random.next_u64()));
        if ends > 0 && draw.chance(ends) {
            return Do::Leave;
        }
        let channel = draw.pick(&CHANNELS);
        Do::Say(match draw.number(12) {
            0 | 1 => format!("/sub {channel}"),
            2 => format!("/unsub {channel}"),
            3..6 => format!("/pub {channel} hello {}", draw.number(100)),
            6 => format!("/who {channel}"),
            7 => format!("/history {channel}"),
            8 => draw.pick(&["hello", "/sub", "/pub news:a", "/connect x", "/help"]).into(),
            _ => return Do::Wait,
        })
    })
}

//! Clients of the Centrifuge protocol that send any commands, and people, on several shards.

#[path = "../../../core/tests/world/pubsub/peer.rs"]
mod peer;
mod rules;
#[path = "../../../core/tests/world/pubsub/service.rs"]
mod service;
#[path = "../../../core/tests/world/pubsub/view.rs"]
#[allow(dead_code, reason = "the simulated worlds use the rest")]
mod view;

use crate::extremes::Draw;
use crate::memory::peak_of;
use drupe_core::sim::{Client, Do, Link, World};
use drupe_core::wire::LengthPrefix;
use drupe_core::{Config, UnixTime};
use peer::Peer;
use rules::{NOW, Rules, token};
use service::Service;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use view::{Known, View};

/// Maximum number of lines of a script that count.
const LINES_MAX: usize = 60;
/// The channel of which the script knows the position as `$` and `#`.
const CHANNEL: &str = "news:a";

/// What a peer of the script is yet to do.
type Queue = Rc<RefCell<VecDeque<Do>>>;

/// One line of a script.
enum Line<'t> {
    Says(usize, &'t str),
    Cuts(usize),
    Waits(u64),
    Reloads(&'t str),
}

impl<'t> Line<'t> {
    /// Parses a line: `0 TEXT` is what a peer says, `x0` cuts it, `+500` waits for milliseconds, and `=BYTES` reloads the
    /// rules that are drawn from these bytes.
    fn parse(line: &'t str) -> Option<Self> {
        let rest = line.get(1..)?;
        Some(match line.as_bytes().first()? {
            digit @ b'0'..=b'6' => Self::Says(usize::from(digit - b'0'), rest.strip_prefix(' ')?),
            b'x' => Self::Cuts(rest.parse().ok()?),
            b'+' => Self::Waits(rest.parse().ok()?),
            b'=' => Self::Reloads(rest),
            _ => return None,
        })
    }
}

/// Runs a script on clients of each wire, beside people, on one to three shards.
///
/// The first line has the bytes from which the rules are drawn. Each other line is `0 TEXT`, which peer 0 says; `x0`, which
/// cuts its connection; `+500`, which waits so many milliseconds; or `=BYTES`, which reloads rules. In what a peer says, a
/// tabulator begins a new command, `@0` to `@4` are tokens, `$` is the epoch that the peer knows of `news:a`, `"#"` is the
/// offset, and `%` is 100 opening brackets.
///
/// # Panics
/// If a rule of the protocol is broken, the application panics, or too much memory is held.
pub fn pubsub(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut draw = Draw::new(first.as_bytes());
    let shards = 1 + draw.pick() % 3;
    let seed = u64::from(draw.pick());
    let rules = Rules::draw(&mut draw);
    let config = rules.config(Config::listening(rules::listeners()).unlimited());
    let mut world = World::of_shards(seed, &config, shards, |_| Service::new(&rules)).may_be_empty().quiet();
    world.set_clock(UnixTime::from_secs(NOW));
    let (queues, views): (Vec<Queue>, Vec<Rc<RefCell<View>>>) = (0..7)
        .map(|number| {
            let view = View::new((2..5).contains(&number));
            (Queue::default(), Rc::new(RefCell::new(view)))
        })
        .unzip();
    for (number, (queue, view)) in queues.iter().zip(&views).enumerate() {
        let next = Rc::clone(queue);
        let next = move || next.borrow_mut().pop_front().unwrap_or(Do::Wait);
        let is_client = number < 5;
        let wire = match number {
            0 | 1 => Client::websocket(),
            2 | 5 => Client::lines(),
            3 => Client::length_prefixed(LengthPrefix::U32Be),
            4 => Client::delimited(b"\0"),
            _ => Client::telnet(),
        };
        let peer = if is_client {
            Peer::new(wire, view, move |view, _| expanded(next(), view))
        } else {
            Peer::stranger(wire.does(move |_| next()))
        };
        let from = format!("198.51.100.{number}:1000").parse().expect("an address");
        // Two clients have the first listener, and two people the last but one and the last.
        let listener = u32::try_from(number.saturating_sub(1)).expect("small");
        world.add_from(from, listener, true, Link::Steady, peer);
    }
    world.run(30);
    let mut config = config;
    for line in lines.filter_map(Line::parse).take(LINES_MAX) {
        let peak = peak_of(|| match line {
            Line::Says(peer, text) => {
                queues[peer].borrow_mut().push_back(Do::Say(text.replace('\t', "\n")));
                world.run(12);
            }
            Line::Cuts(peer) => {
                if let Some(queue) = queues.get(peer) {
                    queue.borrow_mut().push_back(Do::Leave);
                    world.run(12);
                }
            }
            Line::Waits(millis) => world.advance(Duration::from_millis(millis.min(100_000))),
            Line::Reloads(bytes) => {
                let rules = Rules::draw(&mut Draw::new(bytes.as_bytes()));
                config = rules.config(config.clone());
                world.reconfigure(&config);
            }
        });
        // The world keeps a trace of everything, and all that its peers said and heard.
        assert!(peak < 4 << 20, "{peak} bytes for one line");
    }
    world.rest();
    world.settle();
    let metrics = world.metrics();
    assert_eq!((metrics.handler_panics, metrics.rooms, metrics.memory.present), (0, 0, 0));
}

/// Replaces what stands for other text in what a client says.
fn expanded(next: Do, view: &View) -> Do {
    let Do::Say(mut text) = next else { return next };
    for number in 0..5 {
        text = text.replace(&format!("@{number}"), token(number));
    }
    let Known { epoch, offset, .. } = view.known.get(CHANNEL).cloned().unwrap_or_default();
    let text = text.replace('$', &epoch).replace("\"#\"", &offset.to_string()).replace('%', &"[".repeat(100));
    // These end messages on some wires, and not on others.
    Do::Say(text.chars().filter(|c| !matches!(c, '\0' | '\r')).take(64 << 10).collect())
}

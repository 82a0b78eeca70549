//! Worlds with clients of the Centrifuge protocol, which keep an epoch and an offset of each channel as the real clients
//! do.
//!
//! They are cut and come back while others publish, on a WebSocket, with lines and frames of JSON, with and without TLS,
//! and beside people on lines and telnet, while shards are slow, memory is short, rules are reloaded, and homes lose
//! their last writes.
//!
//! `DRUPE_WORLDS=1000` runs that many worlds; `DRUPE_SEED=7` runs one.
//!
//! Nobody is told `recovered: true` with a hole or a double, each command has one reply, and no push comes before the
//! reply that subscribes. [`view`] has the rules.
//!
//! A home that has lost writes and gives their offsets again deceives clients that saw the lost ones, if they return after
//! that: an epoch and an offset prove nothing more. Only there may an offset have two messages.

mod draw;
mod peer;
mod people;
mod service;
mod view;

use crate::remembering::Draw;
use crate::tls::Authorities;
use crate::watchdog::Watchdog;
use draw::Rules;
use drupe_core::history::Position;
use drupe_core::sim::{Client, Link, World};
use drupe_core::tls::TicketKeys;
use drupe_core::wire::LengthPrefix;
use drupe_core::{Config, OutgoingBuf, Random, UnixTime};
use peer::Peer;
use rustls::crypto::ring;
use service::Service;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use view::{Counts, View};

/// The number of worlds in an ordinary run, which takes seconds.
const WORLDS: u64 = 60;
const STEPS: u32 = 2_000;
const PARTS: u32 = 5;
pub(crate) const NOW: u64 = 1_800_000_000;

/// One world, with what the checks need to know.
struct Run {
    world: World<Service<Rules>, Peer>,
    views: Vec<Rc<RefCell<View>>>,
    /// The rules at the start.
    first: Rules,
    loses: bool,
    reloads: bool,
}

fn run(seed: u64, authorities: &Authorities, quiet: bool) -> Run {
    let mut draw = Draw(Random::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x70_7562_7375));
    let rules = draw.channel_rules();
    let mut config = draw.channel_config(&rules);
    let has_tls = draw.chance(3);
    if has_tls {
        let tickets = TicketKeys::new(ring::Ticketer::new);
        config.listeners[2..4].iter_mut().for_each(|listen| authorities.serve(listen, &tickets));
    }
    let shards = u8::try_from(1 + draw.number(4)).expect("small");
    let (reloads, loses) = (draw.chance(3), draw.chance(4));
    let mut world = World::of_shards(seed, &config, shards, |_| Service::new(&rules)).faults(draw.faults());
    if quiet {
        world = world.quiet();
    }
    world.set_clock(UnixTime::from_secs(NOW));
    let wallet = authorities.wallet();
    let mut views = Vec::new();
    for number in 0..3 + draw.number(8) {
        let listener = draw.number(8);
        let wire = match listener {
            1 | 3 => Client::websocket(),
            4 => Client::length_prefixed(LengthPrefix::U32Be),
            5 => Client::delimited(b"\0"),
            7 => Client::telnet(),
            _ => Client::lines(),
        };
        let wire = if has_tls && (2..4).contains(&listener) { wallet.without_certificate(wire) } else { wire };
        let peer = if listener >= 6 {
            Peer::stranger(people::person(&mut draw, wire))
        } else {
            let view = Rc::new(RefCell::new(View::new(!matches!(listener, 1 | 3))));
            let peer = Peer::new(wire, &view, draw.script(number));
            views.push(view);
            peer
        };
        let link = if draw.chance(2) { Link::Troubled } else { Link::Steady };
        let from = format!("198.51.100.{}:1000", number + 1).parse().expect("an address");
        world.add_from(from, u32::try_from(listener).expect("small"), true, link, peer);
    }
    let mut run = Run { world, views, first: rules, loses, reloads };
    for part in 0..PARTS {
        run.world.run(STEPS / PARTS);
        change(&mut run, &mut draw, &config, part);
        if draw.chance(3) {
            run.world.rest();
        }
    }
    run.world.settle();
    run
}

/// Reloads other rules, or lets homes lose writes.
fn change(run: &mut Run, draw: &mut Draw, config: &Config, part: u32) {
    if run.reloads && draw.chance(2) {
        let rules = draw.channel_rules();
        run.world.reconfigure(&draw.with_rules(config.clone(), &rules));
    }
    if run.loses && part.is_multiple_of(2) {
        run.world.copy_histories();
    } else if run.loses {
        (0..u8::MAX).take(run.world.handlers().count()).for_each(|shard| run.world.lose_writes(shard));
    }
}

/// Compares what the clients received with what the homes numbered.
fn check(run: &Run) -> Counts {
    let mut truth = BTreeMap::<(&str, u64), Vec<(u64, &str)>>::new();
    for numbered in run.world.numbered() {
        let OutgoingBuf::Negotiated { json, .. } = &numbered.message else { panic!("{numbered:?}") };
        let Position { epoch, offset, .. } = numbered.position;
        let texts = truth.entry((&numbered.room, offset)).or_default();
        let is_new = texts.iter().all(|(other, _)| *other != epoch);
        assert!(is_new || run.loses, "{numbered:?} has the position of another message");
        texts.push((epoch, json));
    }
    let mut counts = Counts::default();
    for view in &run.views {
        let view = view.borrow();
        let mut seen = BTreeSet::new();
        for one in &view.seen {
            let epoch = u64::from_str_radix(&one.at.epoch, 16).expect("an epoch");
            let texts = truth.get(&(&*one.channel, one.at.offset)).expect("an offset that the home gave");
            let data = one.data.to_string();
            // Of a new epoch, clients learn after its first message, which ends the subscription.
            let is_right = |of: &u64| *of == epoch || run.loses || run.reloads;
            assert!(texts.iter().any(|(of, text)| is_right(of) && text.starts_with(&data)), "{one:?}: {texts:?}");
            let is_new = seen.insert((&one.channel, epoch, one.at.offset, data));
            assert!(is_new || run.loses, "{one:?} came twice");
        }
        counts.add(view.counts);
    }
    assert!(run.loses || counts.doubtful == 0, "recovered from a position in doubt");
    counts
}

fn world(seed: u64, authorities: &Authorities, quiet: bool) -> Counts {
    let run = run(seed, authorities, quiet);
    run.world.replay(|_| Service::new(&run.first));
    check(&run)
}

/// Checks that the worlds reached each case. Otherwise they do not test it.
fn assert_reached(counts: &Counts) {
    let Counts { connected, live, recovered, missed, not_recovered, unsubscribed, errors, .. } = *counts;
    assert!(connected > 100 && live > 1_000 && recovered > 50 && missed > 50, "{counts:?}");
    assert!(not_recovered > 20 && unsubscribed > 5 && errors > 50, "{counts:?}");
}

#[test]
fn clients_of_channels_are_never_told_that_they_recovered_what_they_did_not() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds = match number("DRUPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DRUPE_WORLDS").unwrap_or(WORLDS),
    };
    let (is_one, is_whole) = (seeds.end - seeds.start == 1, seeds.end - seeds.start >= WORLDS);
    let (watchdog, authorities) = (Watchdog::start(), Authorities::new());
    let (mut all, mut failed) = (Counts::default(), Vec::new());
    for seed in seeds {
        watchdog.begin(seed);
        match std::panic::catch_unwind(AssertUnwindSafe(|| world(seed, &authorities, !is_one))) {
            Ok(counts) => all.add(counts),
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "{} worlds failed; DRUPE_SEED={} runs the first: {failed:?}", failed.len(), failed[0]);
    eprintln!("{all:?}");
    if is_whole {
        assert_reached(&all);
    }
}

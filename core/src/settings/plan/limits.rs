//! Conversion of limits, rates and watermarks to those of the machine.

use crate::base::Network;
use crate::config::{
    ConnectionLimits, Drain, EarlyDrop, Gather, Ladder, Marks, OutboundLimits, PeerLimits, Rate, Rates, SlowPolicy,
};
use crate::settings::plan::problems::Problems;
use crate::settings::tree::{DrainSettings, LadderSettings, LimitSettings, OutboundSettings, PeerSettings, SlowChoice};
use crate::settings::units::{Maybe, NetworkText, RateText, Size, Timeout};
use crate::wire::{Budget, MessageSize};
use alloc::format;
use alloc::vec::Vec;
use core::num::NonZeroU32;

pub(super) fn connections(
    limits: &LimitSettings,
    is_authenticated: bool,
    problems: &mut Problems<'_>,
) -> ConnectionLimits {
    let early_drop = limits.early_drop.0.clone().and_then(|drop| {
        if !is_authenticated {
            let words = "it needs authentication.enabled: without it, all connections count as unauthenticated";
            problems.add("limits.early_drop", words);
        }
        let drop = EarlyDrop::new(drop.begin, drop.full);
        problems.or("limits.early_drop", drop.map(Some), None)
    });
    ConnectionLimits {
        total: limits.connections_max.get(),
        per_address: limits.connections_per_address_max.get(),
        arrivals_per_address: rate(limits.arrivals_per_address),
        early_drop,
    }
}

pub(in crate::settings) fn peer_limits(key: &str, peer: &PeerSettings, problems: &mut Problems<'_>) -> PeerLimits {
    let ladder = &peer.ladder;
    let size = MessageSize::new(peer.message_max.0);
    let message_max_bytes = problems.or(&format!("{key}.message_max"), size, MessageSize::DEFAULT);
    let span = |span: Maybe<Timeout>| span.0.map(|span| span.0);
    let step = |strikes: Maybe<NonZeroU32>| strikes.0.map(NonZeroU32::get);
    let (idle, idle_warning) = (span(peer.idle), span(peer.idle_warning));
    if let Some(warning) = idle_warning
        && idle.is_none_or(|idle| warning >= idle)
    {
        problems.add(
            &format!("{key}.idle_warning"),
            format!("it must be less than {key}.idle: set that to more than this"),
        );
    }
    let has_rate = peer.messages.0.is_some() || peer.bytes.0.is_some();
    if !has_rate && peer.ladder != LadderSettings::default() && problems.is_chosen(&format!("{key}.ladder")) {
        problems.add(&format!("{key}.ladder"), "it has no effect without a rate: set messages or bytes");
    }
    PeerLimits {
        budget: Budget {
            message_max_bytes,
            message_deadline: peer.message_deadline.0,
            messages_per_turn: peer.messages_per_turn.get(),
        },
        rates: Rates {
            messages: rate(peer.messages),
            bytes: rate(peer.bytes),
            ladder: Ladder {
                warn: step(ladder.warn),
                pause: step(ladder.pause),
                drop: step(ladder.drop),
                close: step(ladder.close),
                quarantine: step(ladder.quarantine),
                forgive_after: ladder.forgive_after.0,
            },
        },
        idle,
        idle_warning,
        silence: span(peer.silence),
        lifetime: span(peer.lifetime),
    }
}

pub(super) fn outbound(outbound: &OutboundSettings, problems: &mut Problems<'_>) -> OutboundLimits {
    let mut bytes = |name: &str, size| u32_of(&format!("outbound.{name}"), size, problems);
    let (low, high, max) = (bytes("low", outbound.low), bytes("high", outbound.high), bytes("max", outbound.max));
    let drain_min = bytes("drain_min", outbound.drain_min);
    for (less, is_less, more, size) in
        [("low", low <= high, "high", outbound.high), ("high", high <= max, "max", outbound.max)]
    {
        if !is_less {
            problems.add(&format!("outbound.{less}"), format!("it must be at most outbound.{more} ({size})"));
        }
    }
    let marks = Marks::new(low, high, max);
    let marks = if low <= high && high <= max {
        problems.or("outbound.max", marks, Marks::default())
    } else {
        Marks::default()
    };
    let gather = Gather::from_micros(outbound.gather_micros.into());
    let drain_min = NonZeroU32::new(drain_min).ok_or("it must be at least 1B");
    OutboundLimits {
        marks,
        write_deadline: outbound.write_deadline.0,
        drain_min_bytes_per_second: problems.or("outbound.drain_min", drain_min, NonZeroU32::MIN),
        slow_policy: match outbound.slow_policy {
            SlowChoice::Close => SlowPolicy::Close,
            SlowChoice::SkipOldest => SlowPolicy::SkipOldest,
            SlowChoice::SkipNewest => SlowPolicy::SkipNewest,
            SlowChoice::KeepLatest => SlowPolicy::KeepLatest,
        },
        gather: problems.or("outbound.gather_micros", gather, Gather::OFF),
    }
}

pub(super) fn drain(drain: &DrainSettings, problems: &mut Problems<'_>) -> Drain {
    if drain.window.0 > drain.deadline.0 {
        let words =
            format!("it must be at most drain.deadline ({}), which drops remaining connections", drain.deadline);
        problems.add("drain.window", words);
    }
    Drain {
        grace: drain.grace.0,
        window: drain.window.0,
        closes_per_second: drain.closes_per_second.get(),
        deadline: drain.deadline.0,
        retry_after: drain.retry_after.0.map(|after| after.0),
    }
}

pub(super) fn rate(rate: Maybe<RateText>) -> Option<Rate> {
    rate.0.map(RateText::get)
}

pub(in crate::settings) fn networks(networks: &[NetworkText]) -> Vec<Network> {
    networks.iter().map(|network| network.0).collect()
}

pub(super) fn u32_of(key: &str, size: Size, problems: &mut Problems<'_>) -> u32 {
    let bytes = u32::try_from(size.0).map_err(|_| "it must be less than 4GiB");
    problems.or(key, bytes, u32::MAX)
}

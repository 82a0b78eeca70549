//! Adjustment of defaults that would contradict the operator's values.

use super::layers::Layers;
use super::plan::rooms::part_of_worker;
use super::tree::{ProtocolName, Settings};
use super::units::{Maybe, Size, Span, Timeout};
use alloc::format;

/// Lowers defaults and profile values that would contradict the operator's values.
pub(super) fn follow(settings: &mut Settings, layers: &Layers) {
    let is_free = |key: &str| !layers.is_chosen(key);
    let lower = |key: &str, value: &mut Size, bound: Size| {
        if is_free(key) && value.0 > bound.0 {
            *value = bound;
        }
    };
    let outbound = &mut settings.outbound;
    lower("outbound.high", &mut outbound.high, outbound.max);
    lower("outbound.low", &mut outbound.low, outbound.high);
    // One room can't keep more than all may.
    let part = part_of_worker(settings);
    for (name, options) in &mut settings.rooms.options {
        lower(&format!("rooms.options.{name}.bytes_max"), &mut options.bytes_max, part);
    }
    let lower = |key: &str, value: &mut Span, bound: Span| {
        if is_free(key) && value.0 > bound.0 {
            *value = bound;
        }
    };
    lower("drain.window", &mut settings.drain.window, settings.drain.deadline);
    for (name, tunnel) in &mut settings.tunnels {
        let reconnect = &mut tunnel.reconnect;
        lower(&format!("tunnels.{name}.reconnect.backoff"), &mut reconnect.backoff, reconnect.cap);
    }
    let silence_of_all = settings.limits.peer.silence;
    for (name, listener) in &mut settings.listeners {
        let silence = listener.limits.as_ref().map_or(silence_of_all, |limits| limits.silence);
        let is_web = matches!(listener.protocol, ProtocolName::WebSocket | ProtocolName::WsTelnet);
        let mut web = listener.websocket.clone().unwrap_or_default();
        let (Maybe(Some(silence)), Maybe(Some(ping)), true) = (silence, web.ping, is_web) else { continue };
        // A peer must be pinged before it is closed as silent.
        if ping.0 >= silence.0 && is_free(&format!("listeners.{name}.websocket.ping")) {
            web.ping = Maybe(Some(Timeout(silence.0 / 2)));
            listener.websocket = Some(web);
        }
    }
}

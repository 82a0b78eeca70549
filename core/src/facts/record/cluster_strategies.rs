//! Strategies that draw messages between shards about the whole cluster.

use crate::base::{HostId, Reason, Time};
use crate::facts::{Claim, ClusterAnswer, ClusterHost, EndTarget, EndedEverywhere, HostReport, ShardMessage};
use core::net::IpAddr;
use proptest::prelude::*;

/// Draws one of all messages about the cluster.
pub(super) fn cluster_messages() -> impl Strategy<Value = ShardMessage> {
    let addresses = prop::collection::vec(any::<(IpAddr, u64)>(), 0..5);
    prop_oneof![
        (any::<u8>(), any::<Option<u64>>(), target()).prop_map(|(from, request, target)| {
            let request = request.filter(|number| *number > 0);
            ShardMessage::EndEverywhere { from, request, target, reason: Reason::Kicked }
        }),
        (any::<u64>(), target()).prop_map(|(number, target)| ShardMessage::End {
            number,
            target,
            reason: Reason::Quarantined
        }),
        any::<(u64, u64)>().prop_map(|(number, connections)| ShardMessage::Ended { number, connections }),
        any::<(u8, u64, String, u64)>().prop_map(|(from, request, key, millis)| ShardMessage::Claim {
            from,
            request,
            key: key.into(),
            millis
        }),
        (any::<u64>(), answer()).prop_map(|(request, answer)| ShardMessage::ClusterAnswer { request, answer }),
        (addresses, any::<bool>())
            .prop_map(|(addresses, to_hosts)| ShardMessage::Quarantined { addresses: addresses.into(), to_hosts }),
        any::<(IpAddr, bool)>().prop_map(|(address, to_hosts)| ShardMessage::Released { address, to_hosts }),
        Just(ShardMessage::ListQuarantine),
        (any::<u64>(), any::<bool>(), prop::collection::vec(host(), 0..3)).prop_map(|(own, is_linked, others)| {
            ShardMessage::Hosts { own: HostId::new(own), is_linked, others: others.into() }
        }),
    ]
}

/// Draws connections to end.
pub(super) fn target() -> impl Strategy<Value = EndTarget> {
    prop_oneof![
        any::<String>().prop_map(|user| EndTarget::User(user.into())),
        any::<IpAddr>().prop_map(EndTarget::Address),
    ]
}

/// Draws what a host tells of itself.
pub(super) fn report() -> impl Strategy<Value = HostReport> {
    ("\\PC{0,30}", any::<[u64; 7]>()).prop_map(|(name, numbers)| {
        let mut report = HostReport { name: name.into(), version: "1.2.3".into(), ..HostReport::default() };
        report.numbers_mut().into_iter().zip(numbers).for_each(|(into, number)| *into = number);
        report
    })
}

fn host() -> impl Strategy<Value = ClusterHost> {
    (any::<u64>(), any::<u64>(), report())
        .prop_map(|(id, at, report)| ClusterHost::new(HostId::new(id), report, Time::from_nanos(at)))
}

fn answer() -> impl Strategy<Value = ClusterAnswer> {
    let claims = [Claim::Free, Claim::Taken, Claim::NoBroker, Claim::Unknown];
    prop_oneof![
        any::<(u64, u32, u32)>().prop_map(|(connections, hosts, known)| {
            ClusterAnswer::Ended(EndedEverywhere::new(connections, hosts, known))
        }),
        prop::sample::select(claims.to_vec()).prop_map(ClusterAnswer::Claimed),
        Just(ClusterAnswer::TooMany),
    ]
}

//! The streams that hosts create, and their configuration.

use super::class::{Class, UNUSED};
use super::subjects::Subjects;
use crate::config::{Nats, NatsStorage};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Time after which a host counts as gone if it does not renew its lease.
const LEASE: Duration = Duration::from_secs(15);
/// Time for which a claimed key is remembered, whatever the time of the claim: all messages of a stream have one age.
pub(super) const CLAIMS: Duration = UNUSED;

/// A stream of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Rooms(Class),
    Names,
    Leases,
    Claims,
}

impl Stream {
    pub(super) fn name(self, subjects: &Subjects) -> String {
        match self {
            Self::Rooms(class) => subjects.rooms_stream(class),
            Self::Names => subjects.names_stream(),
            Self::Leases => subjects.leases_stream(),
            Self::Claims => subjects.claims_stream(),
        }
    }

    /// Returns the configuration of the stream in JSON.
    pub(super) fn config(self, subjects: &Subjects, options: &Nats) -> String {
        let name = self.name(subjects);
        let replicas = options.replicas.clamp(1, 5);
        let (of, storage, max_bytes, age, per_subject, window, republish) = match self {
            Self::Rooms(class) => {
                let storage = match options.storage {
                    NatsStorage::File => "file",
                    NatsStorage::Memory => "memory",
                };
                let history = subjects.history(class, None);
                let republish = Some((history.clone(), subjects.live(class, None)));
                // A reader's own message must be there too, so that it is known what follows.
                let per_subject = u64::from(class.messages) + 1;
                let max_bytes = options.max_bytes.map(|max| i64::try_from(max).unwrap_or(i64::MAX));
                (Vec::from([history]), storage, max_bytes, class.max_age(), per_subject, class.window(), republish)
            }
            Self::Names => {
                let of = Vec::from([subjects.all_names(), subjects.all_versions()]);
                let republish = Some((subjects.all_versions(), subjects.news(None)));
                (of, "memory", None, DAY, 1, LEASE, republish)
            }
            Self::Leases => (Vec::from([subjects.all_leases()]), "memory", None, LEASE, 1, LEASE, None),
            // A host that comes back after a restart of the server must not find a key free again.
            Self::Claims => (Vec::from([subjects.claim(None)]), "file", None, CLAIMS, 1, LEASE, None),
        };
        let of: Vec<_> = of.iter().map(|subject| format!("\"{subject}\"")).collect();
        let republish =
            republish.map(|(from, to)| format!(r#","republish":{{"src":"{from}","dest":"{to}"}}"#)).unwrap_or_default();
        let max_bytes = max_bytes.unwrap_or(-1);
        // A reader must see what the leader has, so no other server answers.
        format!(
            r#"{{"name":"{name}","subjects":[{}],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":{max_bytes},"max_age":{},"max_msgs_per_subject":{per_subject},"max_msg_size":-1,"discard":"old","storage":"{storage}","num_replicas":{replicas},"duplicate_window":{},"allow_rollup_hdrs":true,"allow_direct":false{republish}}}"#,
            of.join(","),
            nanoseconds(age),
            nanoseconds(window.min(age)),
        )
    }
}

/// Returns a time as JetStream writes it. The longest one has 292 years.
fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

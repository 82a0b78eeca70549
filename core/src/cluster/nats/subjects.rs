//! The names of subjects and streams at the server.

use super::class::Class;
use crate::cluster::names::{host_of, host_text};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest subject that a server accepts with all other words of its line, with some room for these, in bytes.
pub(super) const SUBJECT_MAX: usize = 3_900;

/// The names of subjects and streams of one cluster.
///
/// Names of rooms and people are words in base64url (RFC 4648 section 5), because words of a subject may not have dots,
/// blanks and wildcards.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    prefix: Arc<str>,
    host: String,
}

impl Subjects {
    pub(super) fn new(prefix: Arc<str>, host: u64) -> Self {
        Self { prefix, host: host_text(host) }
    }

    /// The stream with the rooms of a class.
    pub(super) fn rooms_stream(&self, class: Class) -> String {
        format!("{}_ROOMS_{class}", self.prefix)
    }

    /// The stream with names, and with the versions of these names.
    pub(super) fn names_stream(&self) -> String {
        format!("{}_NAMES", self.prefix)
    }

    /// The stream with the leases of hosts.
    pub(super) fn leases_stream(&self) -> String {
        format!("{}_LEASES", self.prefix)
    }

    /// The history of a room; `*` for all rooms of the class.
    pub(super) fn history(&self, class: Class, room: Option<&str>) -> String {
        format!("{}.h.{class}.{}", self.prefix, room.map_or("*".into(), word))
    }

    /// What is kept of a room, as it is published again. `None`: with a word that stands for the room.
    pub(super) fn live(&self, class: Class, room: Option<&str>) -> String {
        format!("{}.l.{class}.{}", self.prefix, room.map_or("{{wildcard(1)}}".into(), word))
    }

    /// A name, or all names of a host in a room.
    pub(super) fn name(&self, room: &str, host: u64, name: Option<&str>) -> String {
        format!("{}.n.{}.{}.{}", self.prefix, word(room), host_text(host), name.map_or("*".into(), word))
    }

    pub(super) fn all_names(&self) -> String {
        format!("{}.n.*.*.*", self.prefix)
    }

    /// The version of the names of a host in a room, or of all hosts there.
    pub(super) fn version(&self, room: &str, host: Option<u64>) -> String {
        format!("{}.v.{}.{}", self.prefix, word(room), host.map_or("*".into(), host_text))
    }

    pub(super) fn all_versions(&self) -> String {
        format!("{}.v.*.*", self.prefix)
    }

    /// News of names of all hosts in a room. `None`: with words that stand for room and host.
    pub(super) fn news(&self, room: Option<&str>) -> String {
        // The server wants all words of a subject to come back.
        let end = room.map_or("{{wildcard(1)}}.{{wildcard(2)}}".into(), |room| format!("{}.*", word(room)));
        format!("{}.w.{end}", self.prefix)
    }

    /// The lease of this host.
    pub(super) fn lease(&self) -> String {
        format!("{}.e.{}", self.prefix, self.host)
    }

    pub(super) fn all_leases(&self) -> String {
        format!("{}.e.*", self.prefix)
    }

    /// The stream with claimed keys.
    pub(super) fn claims_stream(&self) -> String {
        format!("{}_CLAIMS", self.prefix)
    }

    /// The claim of a key; `*` for all.
    pub(super) fn claim(&self, key: Option<&str>) -> String {
        format!("{}.k.{}", self.prefix, key.map_or("*".into(), word))
    }

    /// Returns the host of a lease.
    pub(super) fn host_of_lease(&self, subject: &str) -> Option<u64> {
        host_of(subject.strip_prefix(&*self.prefix)?.strip_prefix(".e.")?.as_bytes())
    }

    /// The subject on which this host hears itself.
    pub(super) fn probe(&self) -> String {
        format!("{}.p.{}", self.prefix, self.host)
    }

    /// The subject of messages from one host to all others.
    pub(super) fn all_hosts(&self) -> String {
        format!("{}.a", self.prefix)
    }

    /// The subject for the answer to the request with this number; `*` for all.
    pub(super) fn inbox(&self, number: Option<u64>) -> String {
        match number {
            Some(number) => format!("_INBOX.{}_{}.{number}", self.prefix, self.host),
            None => format!("_INBOX.{}_{}.*", self.prefix, self.host),
        }
    }
}

/// Returns the number of the request whose answer has this subject.
pub(super) fn number_of(subject: &[u8]) -> Option<u64> {
    core::str::from_utf8(subject).ok()?.rsplit_once('.')?.1.parse().ok()
}

/// Returns the word that stands for a text.
fn word(text: &str) -> String {
    // One character is never base64.
    if text.is_empty() { "_".into() } else { URL_SAFE_NO_PAD.encode(text) }
}

/// Returns the last word of a subject as text.
pub(super) fn last_word(subject: &str) -> Option<String> {
    let word = subject.rsplit_once('.')?.1;
    if word == "_" {
        return Some(String::new());
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(word).ok()?).ok()
}

/// Returns the last word but one of a subject.
pub(super) fn host_in(subject: &str) -> Option<u64> {
    host_of(subject.rsplit_once('.')?.1.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Keep;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_become_one_word_and_come_back(room in "\\PC{0,20}", name in "\\PC{0,20}|[.*> ]{1,6}") {
            let subjects = Subjects::new("drupe".into(), 7);
            let class = Class::of(&Keep::messages(3));
            let subject = subjects.name(&room, 7, Some(&name));
            prop_assert_eq!(last_word(&subject), Some(name));
            prop_assert_eq!(subject.matches('.').count(), 4);
            for subject in [subject, subjects.history(class, Some(&room)), subjects.live(class, Some(&room))] {
                let is_word = |word: &str| {
                    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                };
                prop_assert!(subject.split('.').all(is_word), "{}", subject);
            }
        }
    }
}

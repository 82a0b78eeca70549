//! Known-hosts files: compares the verdict on a host key with a reference model.

use crate::host_key::{Files, KeyCheck, KnownHost};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// The host keys of servers. In the fuzzed text, `$1` to `$4` stand for them.
static KEYS: LazyLock<[PublicKey; 4]> = LazyLock::new(|| KEY_TEXTS.map(|text| text.parse().expect("a key")));

const KEY_TEXTS: [&str; 4] = [
    include_str!("../keys/first.pub"),
    include_str!("../keys/second.pub"),
    include_str!("../keys/ecdsa.pub"),
    include_str!("../keys/authority.pub"),
];

/// The certificate of the first key for `example.org`, valid forever, signed by the last key.
static CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| include_str!("../keys/first-cert.pub").trim_end().parse().expect("a certificate"));

/// Names hashed by `ssh-keygen -H`. In the fuzzed text, `$a` and `$b` stand for them.
const HASHED: [(&str, &str); 2] = [
    ("example.org", "|1|TI47Z3bLpqIuoPypVL3+IXDISCo=|gXr5GZDtSjbPPYXg/uFT5fK+C9o="),
    ("[example.org]:2222", "|1|CqgJ7mHozWN8VB+9CNqo/F7I1W4=|RKTwCikVfhdJbO6w7DCqKUa0VvA="),
];

/// Hosts and ports to connect to, with their names in known-hosts files.
const HOSTS: [(&str, u16, &str); 7] = [
    ("example.org", 22, "example.org"),
    ("Example.org", 2222, "[example.org]:2222"),
    ("ssh.example.org", 22, "ssh.example.org"),
    ("::1", 22, "::1"),
    ("192.0.2.1", 2222, "[192.0.2.1]:2222"),
    ("*.org", 22, "*.org"),
    (
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
        22,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    ),
];

/// Reads any text as a known-hosts file, and judges several keys for one of several hosts.
///
/// # Panics
/// If a verdict differs from the model's, a revoked key is accepted, or matching takes over 10 s.
pub fn known_hosts(data: &[u8]) {
    let [kind, text @ ..] = data else { return };
    let Ok(text) = core::str::from_utf8(text) else { return };
    let text = with_names(text);
    let (host, port, name) = HOSTS[usize::from(*kind) % HOSTS.len()];
    let accept_new = kind & 0x80 != 0;
    let read = |text: &str| KnownHost::new(&Files(vec![("f".into(), text.into())]), host, port, accept_new);
    let model = Model::read(&text, name);
    let known = read(&text);
    assert_eq!(known.is_ok(), model.is_some(), "whether {text:?} can be parsed: {known:?}");
    let (Ok(known), Some(model)) = (known, model) else { return };
    for (key, key_text) in KEYS.iter().zip(KEY_TEXTS) {
        let shown = PublicKeyOrCertificate::from(key.clone());
        let verdict = known.judge(&shown, SystemTime::UNIX_EPOCH);
        assert_eq!(
            Kind::of(&verdict),
            model.verdict(key, accept_new && !host.contains('*')),
            "{name} presents {key_text}, with {text:?}: {verdict:?}"
        );
        if let KeyCheck::New { line, .. } = verdict {
            let added = read(&format!("{text}\n{line}")).expect("as good as before");
            assert_eq!(added.judge(&shown, SystemTime::UNIX_EPOCH), KeyCheck::Known, "{line:?} cannot be parsed again");
        }
        let revocation = format!("\n@revoked * {key_text}\n");
        let middle = text.find('\n').unwrap_or(0);
        for place in [0, middle, text.len()] {
            let (before, behind) = text.split_at(place);
            let verdict =
                read(&[before, &revocation, behind].concat()).map(|known| known.judge(&shown, SystemTime::UNIX_EPOCH));
            assert!(matches!(verdict, Err(_) | Ok(KeyCheck::Refused(_))), "a revoked key is accepted: {verdict:?}");
        }
    }
    let shown = PublicKeyOrCertificate::Certificate(CERTIFICATE.clone());
    let verdict = Kind::of(&known.judge(&shown, SystemTime::UNIX_EPOCH));
    assert_eq!(verdict == Kind::Known, model.trusts_certificate(host), "{name} presents a certificate, with {text:?}");
    let (keys, _) = known.algorithms();
    let is_first_known = model.lines.iter().any(|(marker, key)| marker.is_none() && key.algorithm() == keys[0]);
    let is_any_known = model.lines.iter().any(|(marker, key)| marker.is_none() && keys.contains(&key.algorithm()));
    assert_eq!(is_first_known, is_any_known, "the algorithm of a known key comes first");
    no_pattern_takes_long(&text);
}

/// Replaces `$1` and the like with keys and hashed names.
fn with_names(text: &str) -> String {
    let keys = ["$1", "$2", "$3", "$4"].into_iter().zip(KEY_TEXTS.map(str::trim_end));
    let hashed = ["$a", "$b"].into_iter().zip(HASHED.map(|(_, hashed)| hashed));
    keys.chain(hashed).fold(text.to_owned(), |text, (sign, meant)| text.replace(sign, meant))
}

/// Checks that a pattern of 64 KiB, made from the first word, does not take exponential time.
///
/// A matcher that tries every split at every `*` would never end.
fn no_pattern_takes_long(text: &str) {
    let Some(word) = text.split_ascii_whitespace().next().filter(|word| word.contains('*')) else { return };
    let line = format!("{}x {}", word.repeat((64 << 10) / word.len()), KEY_TEXTS[0]);
    let started = Instant::now();
    let known = KnownHost::new(&Files(vec![("f".into(), line)]), &"a".repeat(255), 22, false);
    assert!(started.elapsed() < Duration::from_secs(10), "{word:?} takes {:?}: {known:?}", started.elapsed());
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Known,
    New,
    Refused,
}

impl Kind {
    fn of(verdict: &KeyCheck) -> Self {
        match verdict {
            KeyCheck::Known => Self::Known,
            KeyCheck::New { .. } => Self::New,
            KeyCheck::Refused(_) => Self::Refused,
        }
    }
}

/// A simple reference parser: the markers and keys of the lines about one host.
struct Model {
    lines: Vec<(Option<String>, PublicKey)>,
}

impl Model {
    /// Parses a file. Returns `None` if it contains an unreadable revocation.
    fn read(text: &str, name: &str) -> Option<Self> {
        let mut lines = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split([' ', '\t', '\r', '\x0c']).filter(|word| !word.is_empty()).collect();
            let (marker, words) = match words.split_first() {
                Some((first, _)) if first.starts_with('#') => continue,
                Some((first, rest)) if first.starts_with('@') => (Some(*first), rest),
                _ => (None, words.as_slice()),
            };
            let key = match words {
                [names, kind, key, ..] if is_readable(names) => format!("{kind} {key}").parse::<PublicKey>().ok(),
                _ => None,
            };
            match (marker, key) {
                (Some("@revoked"), None) => return None,
                (None | Some("@revoked" | "@cert-authority"), Some(key)) if covers(words[0], name) => {
                    lines.push((marker.map(str::to_owned), key));
                }
                _ => {}
            }
        }
        Some(Self { lines })
    }

    fn has(&self, marker: Option<&str>, key: &PublicKey) -> bool {
        self.lines.iter().any(|(its, other)| its.as_deref() == marker && other.key_data() == key.key_data())
    }

    fn verdict(&self, key: &PublicKey, accept_new: bool) -> Kind {
        let is_named = self.lines.iter().any(|(marker, _)| marker.is_none());
        match () {
            () if self.has(Some("@revoked"), key) => Kind::Refused,
            () if self.has(None, key) => Kind::Known,
            () if accept_new && !is_named => Kind::New,
            () => Kind::Refused,
        }
    }

    /// Whether a host that presents [`CERTIFICATE`] is trusted.
    fn trusts_certificate(&self, host: &str) -> bool {
        let [own, .., authority] = &*KEYS;
        let is_revoked = self.has(Some("@revoked"), own) || self.has(Some("@revoked"), authority);
        self.has(Some("@cert-authority"), authority) && !is_revoked && host.eq_ignore_ascii_case("example.org")
    }
}

/// Whether names are plain patterns or well-formed hashes.
fn is_readable(names: &str) -> bool {
    let Some(hashed) = names.strip_prefix("|1|") else { return !names.starts_with('|') };
    let decode = |text: &str| STANDARD.decode(text).ok();
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    decode(salt).is_some() && decode(hash).is_some_and(|hash| hash.len() == 20)
}

fn covers(names: &str, name: &str) -> bool {
    if names.starts_with('|') {
        return HASHED.contains(&(name, names));
    }
    let fits = |pattern: &str| is_like(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
    let (excluded, meant): (Vec<&str>, Vec<&str>) = names.split(',').partition(|pattern| pattern.starts_with('!'));
    !excluded.iter().any(|pattern| fits(&pattern[1..])) && meant.into_iter().any(fits)
}

/// Whether a name matches a pattern. Uses a table of which prefixes match.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let mut fits = vec![vec![false; name.len() + 1]; pattern.len() + 1];
    fits[0][0] = true;
    for (p, sign) in pattern.iter().enumerate() {
        for n in 0..=name.len() {
            fits[p + 1][n] = match sign {
                b'*' => fits[p][n] || (n > 0 && fits[p + 1][n - 1]),
                b'?' => n > 0 && fits[p][n - 1],
                sign => n > 0 && fits[p][n - 1] && name[n - 1] == *sign,
            };
        }
    }
    fits[pattern.len()][name.len()]
}

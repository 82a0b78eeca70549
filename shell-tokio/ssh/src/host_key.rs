//! Verification of an SSH server's host key against `known_hosts` files.
//!
//! For their format see `sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT". This file does no I/O and uses
//! nothing else of this crate, because the fuzz target `known_hosts` compiles it as well.

use hmac::{KeyInit, Mac, SimpleHmac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::ssh_key::{self, certificate::CertType};
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use sha1::Sha1;
use std::time::{SystemTime, UNIX_EPOCH};

/// The names and contents of `known_hosts` files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(pub(super) Vec<(String, String)>);

/// The `known_hosts` entries for one host.
#[derive(Debug)]
pub(super) struct KnownHost {
    host: String,
    port: u16,
    files: Vec<String>,
    accept_new: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    /// The file name and the line number, as `FILE:LINE`.
    place: String,
    marker: Option<Marker>,
    key: PublicKey,
}

/// The result of verifying a host key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyCheck {
    Known,
    /// The host is new and new hosts are accepted: append `line` to `file`, the first of the files.
    New {
        file: String,
        line: String,
    },
    /// The key is refused, with the reason for the operator.
    Refused(String),
}

impl KnownHost {
    /// Parses the `known_hosts` lines that name a host.
    ///
    /// # Errors
    /// If a revocation cannot be parsed: a description for the operator.
    pub(super) fn new(files: &Files, host: &str, port: u16, accept_new: bool) -> Result<Self, String> {
        let name = named(host, port);
        let mut lines = Vec::new();
        for (file, text) in &files.0 {
            for (line, number) in text.lines().zip(1..) {
                let words: Vec<_> = line.split_ascii_whitespace().collect();
                if words.is_empty() || words[0].starts_with('#') {
                    continue;
                }
                let place = format!("{file}:{number}");
                match entry(&words) {
                    Ok(entry) => {
                        let line = Line { place, marker: entry.marker().copied(), key: entry.public_key().clone() };
                        lines.extend(covers(entry.host_patterns(), &name).then_some(line));
                    }
                    // It cannot be ignored: it may revoke the key that the server shows.
                    Err(error) if words[0] == Marker::Revoked.as_str() => {
                        return Err(format!(
                            "the revoked key at {place} can't be read: {error}; fix or remove the line"
                        ));
                    }
                    // The key is of an unsupported kind.
                    Err(_) => {}
                }
            }
        }
        let files = files.0.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { host: host.into(), port, files, accept_new, lines })
    }

    /// Returns the key algorithms to offer, known ones first, and those for certificates.
    pub(super) fn algorithms(&self) -> (Vec<Algorithm>, Vec<Algorithm>) {
        let curve = |curve| Algorithm::Ecdsa { curve };
        let [p256, p384, p521] = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521].map(curve);
        let all = vec![Algorithm::Ed25519, p256, p384, p521];
        let is_known = |algorithm: &Algorithm| {
            self.lines.iter().any(|line| line.marker.is_none() && line.key.algorithm() == *algorithm)
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = all.iter().cloned().partition(is_known);
        first.extend(rest);
        let has_authority = self.lines.iter().any(|line| line.marker == Some(Marker::CertAuthority));
        (first, if has_authority { all } else { Vec::new() })
    }

    /// Checks the key or certificate that a server shows.
    pub(super) fn judge(&self, shown: &PublicKeyOrCertificate, now: SystemTime) -> KeyCheck {
        match shown {
            PublicKeyOrCertificate::Certificate(certificate) => match self.judge_certificate(certificate, now) {
                Ok(()) => KeyCheck::Known,
                Err(words) => KeyCheck::Refused(words),
            },
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge_key(key),
        }
    }

    fn judge_key(&self, key: &PublicKey) -> KeyCheck {
        let (name, print) = (named(&self.host, self.port), print_of(key));
        if let Some(line) = self.revocation(key) {
            return KeyCheck::Refused(format!("the host key of {name}, {print}, is revoked at {}", line.place));
        }
        let mut keys = self.lines.iter().filter(|line| line.marker.is_none());
        if keys.clone().any(|line| line.key.key_data() == key.key_data()) {
            return KeyCheck::Known;
        }
        let file = self.files.first().map_or("", String::as_str);
        let add = how_to_add(&self.host, self.port, file);
        if let Some(line) = keys.clone().find(|line| line.key.algorithm() == key.algorithm()) {
            let (place, known) = (&line.place, print_of(&line.key));
            return KeyCheck::Refused(format!(
                "THE HOST KEY OF {name} HAS CHANGED: it shows {print}, and {place} has {known}. This may be a \
                 man-in-the-middle attack. If the key was replaced on purpose, remove the old one \
                 (ssh-keygen -R '{name}' -f {file}), then {add}"
            ));
        }
        if let Some(line) = keys.next() {
            let (place, known) = (&line.place, print_of(&line.key));
            return KeyCheck::Refused(format!(
                "{name} shows {print}, but only a key of another kind is known: {known} at {place}. So it does not count \
                 as a new host. To trust it, {add}"
            ));
        }
        // The remaining lines are of authorities and revocations, which concern other keys.
        if self.accept_new && !is_plain(&self.host) {
            return KeyCheck::Refused(format!(
                "the host {:?} is new, but its name can't be written to {file}",
                self.host
            ));
        }
        if self.accept_new {
            return match key.to_openssh() {
                Ok(text) => {
                    let words: Vec<_> = text.split(' ').take(2).collect();
                    KeyCheck::New { file: file.into(), line: format!("{name} {}\n", words.join(" ")) }
                }
                Err(error) => KeyCheck::Refused(format!("the host key of {name} can't be encoded: {error}")),
            };
        }
        KeyCheck::Refused(format!("the host {name} is not known; it shows {print}. To trust it, {add}"))
    }

    fn judge_certificate(&self, certificate: &Certificate, now: SystemTime) -> Result<(), String> {
        let name = named(&self.host, self.port);
        let authority = PublicKey::from(certificate.signature_key().clone());
        let own = PublicKey::from(certificate.public_key().clone());
        if let Some(line) = self.revocation(&authority).or_else(|| self.revocation(&own)) {
            return Err(format!("the certificate of {name} is revoked at {}", line.place));
        }
        let mut authorities = self.lines.iter().filter(|line| line.marker == Some(Marker::CertAuthority));
        if !authorities.any(|line| line.key.key_data() == certificate.signature_key()) {
            let print = print_of(&authority);
            return Err(format!("{name} shows a certificate of an unknown authority: {print}"));
        }
        if certificate.cert_type() != CertType::Host {
            return Err(format!("{name} shows a user certificate, not a host certificate"));
        }
        if !certificate.valid_principals().iter().any(|principal| principal.eq_ignore_ascii_case(&self.host)) {
            let names = certificate.valid_principals().join(", ");
            return Err(format!("the certificate that {name} shows is for {names}, not for {}", self.host));
        }
        if certificate.critical_options().iter().next().is_some() {
            // A client must refuse options that it does not know (PROTOCOL.certkeys of OpenSSH).
            return Err(format!("the certificate that {name} shows has critical options, but none exist for hosts"));
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        certificate
            .validate_at(now, [&authority.fingerprint(HashAlg::Sha256)])
            .map_err(|error| format!("the certificate that {name} shows is not valid: {error}"))
    }

    fn revocation(&self, key: &PublicKey) -> Option<&Line> {
        let mut revoked = self.lines.iter().filter(|line| line.marker == Some(Marker::Revoked));
        revoked.find(|line| line.key.key_data() == key.key_data())
    }
}

/// Returns the name of a host as it is written in `known_hosts` files.
fn named(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn print_of(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

pub(super) fn how_to_add(host: &str, port: u16, file: &str) -> String {
    format!("verify the host key with the server's operator and add it: ssh-keyscan -p {port} {host} >> {file}")
}

/// Returns `true` if a host's name, written to a file, matches only that host.
fn is_plain(host: &str) -> bool {
    !host.contains(|c: char| c.is_whitespace() || c.is_control() || "*?!,|#@[]".contains(c))
}

/// Parses the fields of a `known_hosts` line.
fn entry(words: &[&str]) -> Result<Entry, String> {
    // The parser requires single spaces.
    let entry: Entry = words.join(" ").parse().map_err(|error: ssh_key::Error| error.to_string())?;
    let hosts = words[usize::from(entry.marker().is_some())];
    // The parser pads a truncated hash with zeros, and takes an unknown kind of hash for a pattern.
    let is_complete = match entry.host_patterns() {
        patterns @ HostPatterns::HashedName { .. } => patterns.to_string() == hosts,
        HostPatterns::Patterns(_) => !hosts.starts_with('|'),
    };
    if is_complete { Ok(entry) } else { Err("its host names are hashed in an unknown format".into()) }
}

/// Returns `true` if the names of a `known_hosts` line match a host.
fn covers(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let Ok(mut mac) = SimpleHmac::<Sha1>::new_from_slice(salt) else { return false };
            mac.update(name.as_bytes());
            mac.verify_slice(hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let fits = |pattern: &str| is_like(&pattern.to_ascii_lowercase(), name);
            let is_excluded = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(fits);
            !is_excluded && patterns.iter().any(|pattern| !pattern.starts_with('!') && fits(pattern))
        }
    }
}

/// Returns `true` if a name matches a pattern with `*` and `?`.
///
/// Takes time proportional to the product of their lengths at most, for any pattern.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where the last star was, and where in the name its match ends.
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(&c) if c == b'?' || c == name[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((after, end)) = star else { return false };
                star = Some((after, end + 1));
                (at, from) = (after, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcE=";

    fn judge(text: &str, host: &str, port: u16, accept_new: bool, shown: &str) -> KeyCheck {
        let files = Files(vec![("known_hosts".into(), text.into())]);
        let known = KnownHost::new(&files, host, port, accept_new).expect("good");
        known.judge(&PublicKeyOrCertificate::from(PublicKey::from_openssh(shown).expect("a key")), UNIX_EPOCH)
    }

    #[test]
    fn known_hosts_match_by_name_pattern_and_hash() {
        // Made with `ssh-keygen -H` for example.org and [example.org]:2222.
        for (names, host, port, known) in [
            ("example.org", "example.org", 22, true),
            ("example.org", "EXAMPLE.org", 22, true),
            ("Example.ORG", "example.org", 22, true),
            ("example.org", "example.org", 2222, false),
            ("[example.org]:2222", "example.org", 2222, true),
            ("[example.org]:2222", "example.org", 22, false),
            ("a,example.org,b", "example.org", 22, true),
            ("*.example.org", "ssh.example.org", 22, true),
            ("*.example.org", "example.org", 22, false),
            ("*.example.org,!ssh.example.org", "ssh.example.org", 22, false),
            ("exampl?.org", "example.org", 22, true),
            ("[*]:2222", "example.org", 2222, true),
            ("::1", "::1", 22, true),
            ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.61", 22, true),
            ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.62", 22, false),
        ] {
            let verdict = judge(&format!("{names} {ED25519}\n"), host, port, false, ED25519);
            assert_eq!(verdict == KeyCheck::Known, known, "{names} for {host} {port}: {verdict:?}");
        }
    }

    #[test]
    fn only_known_host_keys_are_trusted_and_errors_name_a_remedy() {
        let known = format!("# of the host\n\nh\t{ED25519}\tsomebody\n");
        let revoked = format!("h {ED25519}\n@revoked * {ED25519}\n");
        for (text, accept_new, shown, words) in [
            (known.as_str(), false, OTHER, &["HAS CHANGED", "known_hosts:3", "ssh-keygen -R"][..]),
            (&known, true, OTHER, &["HAS CHANGED"]),
            (&known, false, ECDSA, &["another kind", "known_hosts:3", "ssh-keyscan"]),
            (&known, true, ECDSA, &["another kind"]),
            (&revoked, false, ED25519, &["is revoked at known_hosts:2"]),
            (&revoked, true, ED25519, &["is revoked"]),
            ("", false, ED25519, &["is not known", "SHA256:", "ssh-keyscan -p 22 h >> known_hosts"]),
            ("other ssh-ed25519 AAAA\nnonsense\n", false, ED25519, &["is not known"]),
        ] {
            let verdict = judge(text, "h", 22, accept_new, shown);
            assert!(matches!(verdict, KeyCheck::Refused(_)), "{text} trusts {shown}");
            let said = format!("{verdict:?}");
            assert!(words.iter().all(|words| said.contains(words)), "{said}");
        }
        assert_eq!(judge(&known, "h", 22, false, ED25519), KeyCheck::Known);
        let new = KeyCheck::New { file: "known_hosts".into(), line: format!("[h]:2222 {ED25519}\n") };
        assert_eq!(judge("", "h", 2222, true, ED25519), new);
    }

    #[test]
    fn unreadable_revocation_is_an_error() {
        let hash = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        for line in [
            "@revoked * ssh-ed25519 AAAA".to_owned(),
            format!("@revoked {} {ED25519}", &hash[..hash.len() - 4]),
            format!("@revoked {} {ED25519}", hash.replace("|1|", "|2|")),
            format!("@revoked |1|,* {ED25519}"),
        ] {
            let files = Files(vec![("f".into(), line.clone())]);
            let error = KnownHost::new(&files, "192.168.1.61", 22, false).expect_err(&line);
            assert!(error.contains("f:1"), "{error}");
        }
        let verdict = judge(&format!("@revoked {hash} {ED25519}"), "192.168.1.61", 22, true, ED25519);
        assert!(matches!(verdict, KeyCheck::Refused(_)), "{verdict:?}");
    }

    #[test]
    fn host_hash_of_unknown_kind_is_not_read_as_patterns() {
        for hosts in ["|2|,*", "|,h"] {
            let verdict = judge(&format!("{hosts} {ED25519}"), "h", 22, false, ED25519);
            assert!(matches!(verdict, KeyCheck::Refused(_)), "{hosts}: {verdict:?}");
        }
    }

    #[test]
    fn host_name_that_would_match_others_is_not_added() {
        for host in ["*", "*.example.org", "a,b", "#a", "@a", "!a", "|1|a", "a b", "a\nb", "[a]"] {
            let verdict = judge("", host, 22, true, ED25519);
            assert!(matches!(verdict, KeyCheck::Refused(_)), "{host:?}: {verdict:?}");
        }
        for host in ["example.org", "::1", "fe80::1%eth0", "under_score"] {
            assert!(matches!(judge("", host, 22, true, ED25519), KeyCheck::New { .. }), "{host}");
        }
    }

    #[test]
    fn ssh_requests_the_known_host_key_algorithm() {
        let files = Files(vec![("f".into(), format!("h {ECDSA}\n@cert-authority * {ED25519}\n"))]);
        let (keys, certificates) = KnownHost::new(&files, "h", 22, false).expect("good").algorithms();
        assert_eq!((keys[0].as_str(), keys.len(), certificates.len()), ("ecdsa-sha2-nistp256", 4, 4));
        let (keys, certificates) = KnownHost::new(&files, "x", 22, false).expect("good").algorithms();
        assert_eq!((keys[0].as_str(), certificates.len()), ("ssh-ed25519", 4));
    }

    #[test]
    fn host_patterns_match_without_backtracking_blowup() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!is_like(&pattern, &"a".repeat(2_000)));
        assert!(is_like("*", "") && is_like("a*", "a") && !is_like("a?", "a") && is_like("*b*", "abc"));
    }
}

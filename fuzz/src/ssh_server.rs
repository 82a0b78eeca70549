//! The SSH server: its texts of keys, and the course of a connection, each against a simple model.

use crate::ssh_course::{Cause, Course, End, Refusal};
use crate::ssh_key_text::{AuthorizedKeys, is_user, parse_host_key, text_of};
use drupe_core::wire::ssh::SshFault;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use std::sync::LazyLock;

/// Public keys. In the fuzzed text, `$1` to `$4` stand for them.
static KEYS: LazyLock<[PublicKey; 4]> = LazyLock::new(|| TEXTS.map(|text| text.parse().expect("a key")));

const TEXTS: [&str; 4] = [
    include_str!("../keys/first.pub"),
    include_str!("../keys/second.pub"),
    include_str!("../keys/ecdsa.pub"),
    include_str!("../keys/authority.pub"),
];

/// The text of a host key. In the fuzzed text, `$h` stands for it.
static HOST_KEY: LazyLock<String> = LazyLock::new(|| {
    let key = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[7; 32]));
    let key = PrivateKey::new(key, "host").expect("a key");
    key.to_openssh(LineEnding::LF).expect("it can be written").to_string()
});

/// The users whose keys are compared with the model.
const USERS: [&str; 4] = ["ann", "bob", "ann b", "*"];

/// Reads any text as a file of authorized keys of one user or of all, and as a host key.
///
/// # Panics
/// If a key logs in that no line gives to its user, or is refused although a line does; if a line with an option or another
/// text is accepted; or if an accepted key or host key does not stay the same when it is written again.
pub fn ssh_keys(data: &[u8]) {
    let [kind, text @ ..] = data else { return };
    let Ok(text) = core::str::from_utf8(text) else { return };
    let signs = ["$1", "$2", "$3", "$4"].into_iter().zip(TEXTS.map(|text| two_words(text).expect("a key")));
    let text = signs.fold(text.to_owned(), |text, (sign, meant)| text.replace(sign, &meant));
    let user = USERS.get(usize::from(*kind)).copied();
    let mut keys = AuthorizedKeys::default();
    let result = keys.add_text(&text, user);
    let (given, wrong) = model(&text, user);
    assert_eq!(result.as_ref().map_err(|(number, _)| *number).err(), wrong, "{text:?}: {result:?}");
    for name in USERS {
        for (key, text_of_key) in KEYS.iter().zip(TEXTS) {
            let words = two_words(text_of_key).expect("a key");
            let is_given = given.iter().any(|(user, key)| user == name && *key == words);
            assert_eq!(keys.has(name, key), is_given, "{name} with {words} and {text:?}");
        }
    }
    for (user, key) in given {
        assert!(is_user(&user), "{user:?}");
        let parsed = PublicKey::from_openssh(&key).expect("it was accepted");
        let written = text_of(&parsed).expect("a supported type");
        // Base64 may have several forms. The provider of an application sees the one that is written.
        assert_eq!(PublicKey::from_openssh(&written).expect("it is written").key_data(), parsed.key_data());
        assert_eq!(text_of(&PublicKey::from_openssh(&written).expect("as before")), Some(written));
    }
    let text = text.replace("$h", &HOST_KEY);
    let is_cut = kind & 0x80 != 0;
    let lines = text.lines().enumerate().filter(|(place, _)| !is_cut || *place != 2);
    let text: String = lines.map(|(_, line)| format!("{line}\n")).collect();
    if text == *HOST_KEY {
        parse_host_key(&text).expect("a host key");
    }
    if let Ok(key) = parse_host_key(&text) {
        let written = key.to_openssh(LineEnding::LF).expect("it can be written");
        let again = parse_host_key(&written).expect("as good as before");
        assert_eq!(again.public_key().key_data(), key.public_key().key_data());
    }
}

/// Returns the type and the base64 of a line.
fn two_words(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

/// A simple reference parser: the keys of each user, and the number of the first line that is wrong.
fn model(text: &str, user: Option<&str>) -> (Vec<(String, String)>, Option<usize>) {
    let mut given = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_type = ["ssh-ed25519", "ecdsa-sha2-", "sk-"].iter().any(|kind| line.starts_with(kind));
        // Whether russh can read a key is its own decision.
        let key = two_words(line).filter(|_| is_type && PublicKey::from_openssh(line).is_ok());
        let comment = line.splitn(3, char::is_whitespace).nth(2).unwrap_or("").trim();
        let name = user.unwrap_or_else(|| comment.split('@').next().unwrap_or(""));
        let is_name = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
        match key {
            Some(key) if is_name => given.push((name.to_owned(), key)),
            _ => return (given, Some(place + 1)),
        }
    }
    (given, None)
}

/// Lets a client do anything in any order.
///
/// # Panics
/// If a session begins without a login, twice, or in a channel that is not its own; if a limit is exceeded; or if the machine
/// would hear of an end that does not fit to what has happened.
pub fn ssh_course(data: &[u8]) {
    let [attempts_max, actions @ ..] = data else { return };
    let attempts_max = u32::from(*attempts_max);
    let mut course = Course::new(attempts_max);
    let (mut failures, mut refused, mut is_admitted, mut own, mut has_begun) = (0, 0, false, None, false);
    for action in actions {
        let channel = u32::from(action >> 3);
        match action % 8 {
            0 | 1 => {
                failures += 1;
                let ends = course.fail() == Err(SshFault::Refused);
                assert_eq!(ends, failures > attempts_max, "{failures} failures of {attempts_max}");
            }
            2 => {
                course.admit();
                is_admitted = true;
            }
            3 => {
                refused += 1;
                let refusal = course.refuse();
                let expected = match refused {
                    1..=7 => Refusal::Log,
                    8 => Refusal::LogLast,
                    9..=64 => Refusal::Ignore,
                    _ => Refusal::End(SshFault::NoSession),
                };
                assert_eq!(refusal, expected, "{refused} refused requests");
            }
            4 | 5 => {
                let may_open = is_admitted && own.is_none();
                assert_eq!(course.open(channel), may_open);
                own = if may_open { Some(channel) } else { own };
            }
            6 => {
                let may_begin = own == Some(channel) && !has_begun;
                assert_eq!(course.begin(channel), may_begin);
                has_begun |= may_begin;
            }
            _ => {
                assert_eq!(course.is_own(channel), own == Some(channel));
                assert_eq!(course.is_session(channel), has_begun && own == Some(channel));
            }
        }
        check_ends(&course, is_admitted, failures > 0, has_begun);
    }
}

fn check_ends(course: &Course, is_admitted: bool, has_failed: bool, has_begun: bool) {
    use Cause::{Done, HungUp, KeyExchange, Limit, Protocol, Silent, Socket, Version};
    for cause in [Done, HungUp, KeyExchange, Protocol, Silent, Socket, Version] {
        let end = course.end(cause);
        match (has_begun, end) {
            // A session ends in a way of its own: the handler knows it by then.
            (true, End::Fault(fault)) => assert_eq!(fault, SshFault::Protocol, "{cause:?}"),
            (true, _) | (false, End::Fault(_)) => {}
            (false, end) => panic!("{end:?} of a connection without a session"),
        }
    }
    let hung_up = match (has_begun, is_admitted, has_failed) {
        (true, ..) => End::Input,
        (_, true, _) => End::Fault(SshFault::NoSession),
        (_, _, true) => End::Fault(SshFault::Refused),
        _ => End::Fault(SshFault::Closed),
    };
    assert_eq!((course.end(Done), course.end(HungUp)), (hung_up, hung_up));
    for fault in [SshFault::Refused, SshFault::NoSession] {
        let expected = if has_begun { SshFault::Protocol } else { fault };
        assert_eq!(course.end(Limit(fault)), End::Fault(expected));
    }
}

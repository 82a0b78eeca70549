//! Logins at SSH listeners: the application's provider decides about public keys and passwords.

use super::{Guarded, Inside, credentials, log};
use drupe_core::kit::auth::{
    Account, Accounts, Authentication, AuthenticationLimits, DuplicateLogin, LateAnswer, Lookup, Provider, Verdict,
};
use drupe_core::kit::layer::Within;
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::wire::ssh::{LoginAttempt, LoginProof, SshFrame, SshLogin};
use drupe_core::{Config, ConnId, Identity, Listen, ListenerId, Peer, Reason};
use std::time::Duration;

const ANNS: &str = "ssh-ed25519 AAAAann";
const SLOW: &str = "ssh-ed25519 AAAAslow";
const OTHER: &str = "ssh-ed25519 AAAAsecond";

/// The table of an application: the keys of ann, and her password.
struct Members;

type Note = (ConnId, Option<String>);

impl Provider<Note> for Members {
    fn public_key(&mut self, _: ConnId, user: &str, key: &str) -> Verdict {
        match (user, key) {
            ("ann", ANNS) => Verdict::Accepted(Identity::user("ann").with_scopes(["write"])),
            ("ann", SLOW) => Verdict::Pending,
            _ => Verdict::Refused("unknown key".into()),
        }
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        let account = Account::new(credentials("mellon"), Identity::user("ann").with_scopes(["read"]));
        Some(account).filter(|_| user == "ann").into()
    }

    fn note(&mut self, (conn, text): Note) -> Result<(ConnId, LateAnswer), Note> {
        let verdict = match text {
            Some(user) => Verdict::Accepted(Identity::user(&user)),
            None => Verdict::Refused("unknown key".into()),
        };
        Ok((conn, verdict.into()))
    }
}

fn members(layer: Authentication<Members>) -> Guarded<Members> {
    let listen: Listen = "ssh://127.0.0.1:22?keys=yes&passwords=yes".parse().expect("an address");
    TestHub::with_config(Config::listening([listen]), Inside::default().within(layer))
}

fn layer() -> Authentication<Members> {
    Authentication::new(Members, [3; 32])
}

fn frame(frame: SshFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.write(&mut bytes);
    bytes
}

/// Makes an attempt. Returns the answer, `None` if there is none yet.
fn attempt<P: Provider<Note>>(hub: &mut Guarded<P>, conn: ConnId, user: &str, proof: LoginProof) -> Option<bool> {
    hub.clear();
    hub.send(conn, &frame(SshFrame::Attempt(&LoginAttempt::new(user, proof))));
    let answers = [&[][..], &[LoginAttempt::REFUSED], &[LoginAttempt::ACCEPTED]];
    let answer = answers.iter().position(|answer| *answer == hub.received(conn)).expect("one answer");
    [None, Some(false), Some(true)][answer]
}

/// Begins the session, as an SSH server does after an accepted proof, and asks whether the user has a scope.
fn session(hub: &mut Guarded<Members>, conn: ConnId, scope: &str) -> String {
    hub.clear();
    hub.send(conn, &frame(SshFrame::Login(&SshLogin::user("ann").authenticated())));
    hub.send(conn, &frame(SshFrame::Data(format!("may {scope}\n").as_bytes())));
    hub.lines(conn).join(" ")
}

fn offer(key: &str) -> LoginProof {
    LoginProof::Offer(key.into())
}

fn key(key: &str) -> LoginProof {
    LoginProof::Key(key.into())
}

fn password(text: &str) -> LoginProof {
    LoginProof::Password(text.into())
}

#[test]
fn provider_decides_about_each_proof() {
    for (user, proof, is_accepted, failures) in [
        ("ann", offer(ANNS), true, 0),
        ("ann", key(ANNS), true, 0),
        ("ann", offer(OTHER), false, 0),
        ("ann", key(OTHER), false, 1),
        ("bob", offer(ANNS), false, 0),
        ("bob", key(ANNS), false, 1),
        ("ann", password("mellon"), true, 0),
        ("ann", password("wrong"), false, 1),
        ("ann", password(""), false, 1),
        ("bob", password("mellon"), false, 1),
        // Not a name that SASLprep allows.
        ("\u{7f}", password("mellon"), false, 1),
    ] {
        let mut hub = members(layer());
        let conn = hub.connect();
        let shown = format!("{user} {proof:?}");
        assert_eq!(attempt(&mut hub, conn, user, proof), Some(is_accepted), "{shown}");
        assert_eq!(hub.machine().metrics().authentication_failures, failures, "{shown}");
        assert!(log(&hub).is_empty(), "the session has not begun");
    }
}

#[test]
fn without_a_provider_nothing_is_accepted() {
    let listen: Listen = "ssh://127.0.0.1:22?keys=yes&passwords=yes".parse().expect("an address");
    for proof in [offer(ANNS), key(ANNS), password("mellon")] {
        // An application without the layer, and a provider that knows no keys and no users.
        let mut bare = TestHub::with_config(Config::listening([listen.clone()]), Inside::default());
        let conn = bare.connect();
        bare.send(conn, &frame(SshFrame::Attempt(&LoginAttempt::new("ann", proof.clone()))));
        assert_eq!(bare.received(conn), [LoginAttempt::REFUSED], "{proof:?}");
        let layer = Authentication::new(Accounts::new(), [3; 32]);
        let mut hub: Guarded<Accounts> =
            TestHub::with_config(Config::listening([listen.clone()]), Inside::default().within(layer));
        let conn = hub.connect();
        assert_eq!(attempt(&mut hub, conn, "ann", proof.clone()), Some(false), "{proof:?}");
    }
}

#[test]
fn session_has_the_identity_of_its_proof() {
    for duplicates in [DuplicateLogin::KeepBoth, DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld] {
        for (proof, scope) in [(key(ANNS), "write"), (password("mellon"), "read")] {
            let mut hub = members(layer().duplicates(duplicates));
            let conn = hub.connect();
            // A refused attempt, and an offer, come first.
            assert_eq!(attempt(&mut hub, conn, "bob", key(OTHER)), Some(false));
            assert_eq!(attempt(&mut hub, conn, "ann", offer(ANNS)), Some(true));
            assert_eq!(attempt(&mut hub, conn, "ann", proof), Some(true));
            assert_eq!(session(&mut hub, conn, scope), "notice: you are ann true");
            assert_eq!(log(&hub), ["ann opened -", "ann authenticated"], "{duplicates:?}");
        }
    }
}

#[test]
fn second_login_of_a_user_is_refused_or_replaces_the_first() {
    let mut hub = members(layer().duplicates(DuplicateLogin::RefuseNew));
    let [first, second] = [hub.connect(), hub.connect()];
    assert_eq!(attempt(&mut hub, first, "ann", key(ANNS)), Some(true));
    assert_eq!(attempt(&mut hub, second, "ann", key(ANNS)), Some(false), "the first one has logged in");
    assert_eq!(hub.ended(Reason::Forbidden), 1, "the second one");
    // The first one ends without a session, so the user may log in again.
    hub.end(first);
    let third = hub.connect();
    assert_eq!(attempt(&mut hub, third, "ann", key(ANNS)), Some(true));
    let mut hub = members(layer().duplicates(DuplicateLogin::ReplaceOld));
    let [first, second] = [hub.connect(), hub.connect()];
    assert_eq!(attempt(&mut hub, first, "ann", key(ANNS)), Some(true));
    assert_eq!(session(&mut hub, first, "write"), "notice: you are ann true");
    assert_eq!(attempt(&mut hub, second, "ann", key(ANNS)), Some(true));
    assert_eq!(hub.ended(Reason::Replaced), 1);
    // The first one has logged in, and its session has not begun.
    let mut hub = members(layer().duplicates(DuplicateLogin::ReplaceOld));
    let [first, second] = [hub.connect(), hub.connect()];
    assert_eq!(attempt(&mut hub, first, "ann", key(ANNS)), Some(true));
    assert_eq!(attempt(&mut hub, second, "ann", key(ANNS)), Some(true));
    assert_eq!(hub.ended(Reason::Replaced), 1);
    assert_eq!(session(&mut hub, second, "write"), "notice: you are ann true");
}

#[test]
fn connection_ends_after_its_tries_and_gets_the_last_answer() {
    for (tries, allowed) in [(0, 1), (1, 1), (3, 3)] {
        let mut hub = members(layer().limits(AuthenticationLimits::default().tries(tries)));
        let conn = hub.connect();
        for number in 1..=allowed {
            assert_eq!(attempt(&mut hub, conn, "ann", offer(OTHER)), Some(false), "an offer is no failure");
            assert_eq!(hub.ended(Reason::Unauthorized), 0, "{number} of {tries}");
            assert_eq!(attempt(&mut hub, conn, "ann", key(OTHER)), Some(false));
        }
        assert_eq!(hub.ended(Reason::Unauthorized), 1, "{tries}");
        assert!(log(&hub).is_empty(), "the application has never seen it");
    }
}

#[test]
fn verdict_may_come_later() {
    let mut hub = members(layer());
    let [accepted, refused] = [hub.connect(), hub.connect()];
    for proof in [offer(SLOW), key(SLOW)] {
        assert_eq!(attempt(&mut hub, accepted, "ann", proof), None);
        hub.note((accepted, Some("ann".into())));
        assert_eq!(hub.received(accepted), [LoginAttempt::ACCEPTED]);
    }
    assert_eq!(session(&mut hub, accepted, "write"), "notice: you are ann false");
    assert_eq!(attempt(&mut hub, refused, "ann", key(SLOW)), None);
    hub.note((refused, None));
    assert_eq!(hub.received(refused), [LoginAttempt::REFUSED]);
    // A verdict that nobody awaits is no login.
    hub.clear();
    hub.note((refused, Some("ann".into())));
    assert_eq!((hub.received(refused), log(&hub).len()), (&[][..], 2));
}

#[test]
fn failures_at_ssh_listeners_count_as_those_of_other_peers() {
    let per_address = Rate::new(1, 4).expect("not nothing");
    let near = |port: u16| Peer::Address(([192, 0, 2, 1], port).into());
    for (wrong, counts) in [(key(OTHER), true), (password("wrong"), true), (offer(OTHER), false)] {
        let mut hub = members(layer().limits(AuthenticationLimits::default().per_address(per_address)));
        for port in 1..=4 {
            let conn = hub.try_connect(ListenerId::new(0), near(port)).expect("let in");
            assert_eq!(attempt(&mut hub, conn, "ann", wrong.clone()), Some(false));
        }
        for right in [offer(ANNS), key(ANNS), password("mellon")] {
            let conn = hub.try_connect(ListenerId::new(0), near(9)).expect("let in");
            assert_eq!(attempt(&mut hub, conn, "ann", right.clone()), Some(!counts), "{wrong:?}, then {right:?}");
        }
        let conn = hub.connect();
        assert_eq!(attempt(&mut hub, conn, "ann", key(ANNS)), Some(true), "from another address");
        hub.advance(Duration::from_secs(60));
        let conn = hub.try_connect(ListenerId::new(0), near(9)).expect("let in");
        assert_eq!(attempt(&mut hub, conn, "ann", key(ANNS)), Some(true), "later");
    }
}

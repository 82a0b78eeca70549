//! Identities: client certificates, slow providers, duplicate logins.

use super::{Guarded, Inside, NOW, layer, lines, log, token, told};
use drupe_core::kit::auth::{
    Accounts, Authentication, AuthenticationLimits, DuplicateLogin, LateAnswer, Provider, Verdict,
};
use drupe_core::kit::layer::Within;
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::{Config, ConnId, Identity, Listen, Reason, UnixTime};
use std::time::Duration;

#[test]
fn duplicate_login_follows_the_policy() {
    for (policy, first_closed, second_closed, reason) in [
        (DuplicateLogin::KeepBoth, false, false, Reason::Application),
        (DuplicateLogin::RefuseNew, false, true, Reason::Forbidden),
        (DuplicateLogin::ReplaceOld, true, false, Reason::Replaced),
    ] {
        let mut hub = lines(layer().duplicates(policy));
        let (first, second, other) = (hub.connect(), hub.connect(), hub.connect());
        for (conn, user) in [(first, "ann"), (other, "bob"), (second, "ann")] {
            hub.line(conn, &format!("/auth {}", token(user, NOW + 60)));
        }
        let closed = [first, second, other].map(|conn| hub.is_closed(conn));
        assert_eq!(closed, [first_closed, second_closed, false], "{policy:?}");
        assert_eq!(hub.ended(reason), u64::from(first_closed || second_closed));
        // Whoever is in can be talked to, and the place is free again after them.
        hub.end(first);
        hub.end(second);
        let third = hub.connect();
        assert_eq!(told(&mut hub, third, &format!("/auth {}", token("ann", NOW + 60))), ["notice: you are ann"]);
    }
}

#[test]
fn client_certificate_authenticates_without_further_proof() {
    for (policy, second_closed) in [(DuplicateLogin::KeepBoth, false), (DuplicateLogin::RefuseNew, true)] {
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let config = Config::listening([listen.tls(Some(Tls::external()))]);
        let mut hub: Guarded<Accounts> =
            TestHub::with_config(config, Inside::default().within(layer().duplicates(policy)));
        let [first, second, unknown] = [hub.connect(), hub.connect(), hub.connect()];
        let known = Secured::default().user(Some("ann".into()));
        hub.secured(first, &known);
        hub.secured(unknown, &Secured::default());
        assert_eq!(told(&mut hub, first, "hello"), ["ann: hello"]);
        assert_ne!(told(&mut hub, unknown, "hello"), ["nobody: hello"]);
        assert_eq!(log(&hub), ["ann opened -", "ann authenticated"]);
        hub.secured(second, &known);
        assert_eq!((hub.is_closed(first), hub.is_closed(second)), (false, second_closed));
    }
}

/// Asks somebody else, who takes their time.
pub(super) struct Slow;

impl Provider<(ConnId, Option<String>)> for Slow {
    fn token(&mut self, _: ConnId, _: &str, _: Option<UnixTime>) -> Verdict {
        Verdict::Pending
    }

    fn note(
        &mut self,
        (conn, user): (ConnId, Option<String>),
    ) -> Result<(ConnId, LateAnswer), (ConnId, Option<String>)> {
        match user.as_deref() {
            Some("for the application") => Err((conn, user)),
            Some(user) => Ok((conn, Verdict::Accepted(Identity::user(user)).into())),
            None => Ok((conn, Verdict::Refused("unknown to the directory".into()).into())),
        }
    }
}

#[test]
fn authentication_waits_for_a_slow_provider_until_deadline() {
    let limits = AuthenticationLimits::default().deadline(Duration::from_secs(10));
    let mut hub = TestHub::new(Inside::default().within(Authentication::new(Slow, [3; 32]).limits(limits)));
    let [good, bad, never] = [hub.connect(), hub.connect(), hub.connect()];
    for conn in [good, bad, never] {
        hub.line(conn, "/auth x");
    }
    // What is said meanwhile is served when it is known who says it.
    assert_eq!(told(&mut hub, good, "hello?"), Vec::<String>::new());
    hub.clear();
    hub.note((good, Some("ann".into())));
    hub.note((bad, None));
    hub.note((bad, Some("for the application".into())));
    hub.advance(Duration::from_nanos(1));
    assert_eq!(hub.lines(good), ["notice: you are ann", "ann: hello?"]);
    assert_eq!(hub.lines(bad), ["error: auth: unknown to the directory"]);
    assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
    hub.advance(Duration::from_secs(10));
    assert!(hub.is_closed(never) && hub.is_closed(bad) && !hub.is_closed(good));
    hub.note((never, Some("eve".into())));
    // Who is known is looked up again one at a time, and not for ever.
    for _ in 0..3 {
        hub.line(good, "/auth guess");
        assert_eq!(told(&mut hub, good, "/auth guess"), ["error: auth: authentication is in progress"]);
        assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
        hub.note((good, None));
    }
    assert!(hub.is_closed(good));
    assert_eq!(
        log(&hub),
        ["ann opened -", "ann authenticated", "note Some(\"for the application\")", "ann closed unauthorized"]
    );
}

use super::*;
use proptest::prelude::*;

const FIRST: ConnId = ConnId::new(0, 1, 1);

fn rules(duplicates: DuplicateLogin) -> Rules {
    let per_user = Rate::per(3, 300, 3).expect("not nothing");
    let limits = AuthenticationLimits { per_user, ..AuthenticationLimits::default() };
    let unix = Some(UnixTime::from_secs(1_800_000_000));
    Rules { now: Time::START, unix, limits, duplicates, registrations: None }
}

fn claim(conn: ConnId, last: u8, user: &str) -> Claim {
    Claim { conn, peer: Peer::Address(([192, 0, 2, last], 9).into()), user: Some(user.to_string()) }
}

fn tried(registry: &mut Registry, rules: Rules, claim: Claim, is_right: bool) -> (Answer, Vec<ConnId>) {
    let right = claim.user.clone().filter(|_| is_right);
    let question = Question::Tried { claim, right, single_use: None, is_renewal: false };
    let (answer, replaced) = registry.answer(rules, question);
    (answer.expect("it is answered").1, replaced)
}

#[test]
fn failures_elsewhere_do_not_lock_out_a_proven_address() {
    let (mut registry, rules) = (Registry::default(), rules(DuplicateLogin::KeepBoth));
    assert_eq!(tried(&mut registry, rules, claim(FIRST, 1, "ann"), true).0, Answer::Right);
    for stranger in 10..13 {
        assert_eq!(tried(&mut registry, rules, claim(FIRST, stranger, "ann"), false).0, Answer::Wrong(None));
    }
    // From other addresses, the user must wait, whether the proof is right or wrong.
    for is_right in [false, true] {
        let (answer, _) = tried(&mut registry, rules, claim(FIRST, 13, "ann"), is_right);
        assert!(matches!(answer, Answer::Wait(1..)), "{answer:?}");
    }
    assert_eq!(tried(&mut registry, rules, claim(FIRST, 1, "ann"), true).0, Answer::Right);
    assert_eq!(tried(&mut registry, rules, claim(FIRST, 13, "bob"), true).0, Answer::Right);
    // Guesses from the address of the success are limited too.
    for _ in 0..5 {
        assert_eq!(tried(&mut registry, rules, claim(FIRST, 1, "ann"), false).0, Answer::Wrong(None));
    }
    assert!(matches!(tried(&mut registry, rules, claim(FIRST, 1, "ann"), true).0, Answer::Wait(1..)));
}

#[test]
fn proven_addresses_are_bounded_and_the_oldest_is_evicted() {
    let (mut failures, rules) = (Failures::default(), rules(DuplicateLogin::KeepBoth));
    let user = |number: usize| claim(FIRST, 1, &alloc::format!("user{number}"));
    for number in 0..KEYS_MAX {
        failures.was_right(&user(number));
    }
    // The first user succeeds again.
    failures.was_right(&user(0));
    failures.was_right(&user(KEYS_MAX));
    assert_eq!((failures.right.len(), failures.right_in_order.len()), (KEYS_MAX, KEYS_MAX));
    let knows = |number: usize| {
        let Claim { user, peer, .. } = user(number);
        failures.right.contains_key(&(user.expect("named").into(), peer.key().expect("an address")))
    };
    assert!(knows(0) && !knows(1) && knows(2) && knows(KEYS_MAX));
    assert!(failures.check(rules, &user(1)).is_ok());
}

#[test]
fn registry_questions_round_trip_through_json() {
    let claim = claim(ConnId::new(3, 7, 2), 1, "ann \"x\"");
    let single_use = Some(SingleUse::new(Some("issuer"), "1", 9, 3));
    for question in [
        Question::May(Claim { peer: Peer::Local, user: None, ..claim.clone() }),
        Question::Tried { claim, right: Some("ann".into()), single_use, is_renewal: true },
        Question::Identified { conn: FIRST, user: "bob".into(), enters: true },
        Question::Left { conn: FIRST },
    ] {
        let text = serde_json::to_string(&question).expect("it is written");
        assert_eq!(serde_json::from_str::<Question>(&text).expect("it is read"), question, "{text}");
    }
}

proptest! {
    /// Compares the sessions of the registry with a plain list of connections and users.
    #[test]
    fn sessions_agree_with_a_searched_list(steps in prop::collection::vec((0..8u32, 0..3u8, 0..4u8), 0..100), policy in 0..3u8) {
        let duplicates =
            [DuplicateLogin::KeepBoth, DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld][usize::from(policy)];
        let (mut registry, rules) = (Registry::default(), rules(duplicates));
        let mut list: Vec<(ConnId, String)> = Vec::new();
        for (conn, user, step) in steps {
            let (conn, user) = (ConnId::new(u8::from(conn > 3), conn, 1), alloc::format!("user{user}"));
            if step == 0 {
                registry.answer(rules, Question::Left { conn });
                list.retain(|(other, _)| *other != conn);
                continue;
            }
            let has_other = list.iter().any(|(other, name)| *other != conn && *name == user);
            let (answer, mut replaced) = tried(&mut registry, rules, claim(conn, 1, &user), true);
            let refused = has_other && duplicates == DuplicateLogin::RefuseNew;
            prop_assert_eq!(answer, if refused { Answer::Connected } else { Answer::Right });
            let mut expected = Vec::new();
            if duplicates == DuplicateLogin::ReplaceOld {
                let others = list.iter().filter(|(other, name)| *other != conn && *name == user);
                expected = others.map(|(other, _)| *other).collect();
                list.retain(|(other, _)| !expected.contains(other));
            }
            replaced.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(replaced, expected);
            if !refused && duplicates != DuplicateLogin::KeepBoth {
                list.retain(|(other, _)| *other != conn);
                list.push((conn, user));
            }
            prop_assert_eq!(registry.sessions.users.len(), list.len());
        }
        for (conn, _) in list {
            registry.answer(rules, Question::Left { conn });
        }
        prop_assert!(registry.sessions.users.is_empty() && registry.sessions.by_user.is_empty());
    }
}

//! Registration: who may register, under which names, and how often.

use super::{Inside, credentials, guarded, log, told};
use drupe_core::kit::auth::{
    Account, Authentication, AuthenticationLimits, LateAnswer, Lookup, Provider, Registration, RegistrationRules,
};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::kit::names::confusable_key;
use drupe_core::limit::Rate;
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Identity, Listen, ListenerId, Peer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Users in memory, which all connections share. A slow one answers with notes only.
#[derive(Clone, Default)]
struct Table {
    users: Arc<Mutex<BTreeMap<String, Account>>>,
    asked: Arc<Mutex<Vec<(ConnId, String)>>>,
    is_slow: bool,
}

impl Table {
    fn find(&self, user: &str) -> Option<Account> {
        let users = self.users.lock().expect("no test panicked");
        users.values().find(|account| &*account.identity.user == user).cloned()
    }

    fn add(&self, user: &str, password: &str) -> Registration {
        let mut users = self.users.lock().expect("no test panicked");
        let key = confusable_key(user);
        if users.contains_key(&key) {
            return Registration::NameTaken;
        }
        let account = Account::new(credentials(password), Identity::user(user));
        users.insert(key, account.clone());
        Registration::Registered(account.into())
    }

    fn ask(&self, conn: ConnId, words: String) {
        self.asked.lock().expect("no test panicked").push((conn, words));
    }

    fn asked(&self) -> Vec<(ConnId, String)> {
        std::mem::take(&mut self.asked.lock().expect("no test panicked"))
    }
}

impl Provider<(ConnId, Option<String>)> for Table {
    fn account(&mut self, conn: ConnId, user: &str) -> Lookup {
        if self.is_slow {
            self.ask(conn, format!("find {user}"));
            return Lookup::Pending;
        }
        self.find(user).into()
    }

    fn register(&mut self, conn: ConnId, user: &str, password: &str) -> Registration {
        if self.is_slow {
            self.ask(conn, format!("add {user} {password}"));
            return Registration::Pending;
        }
        self.add(user, password)
    }

    fn note(
        &mut self,
        (conn, words): (ConnId, Option<String>),
    ) -> Result<(ConnId, LateAnswer), (ConnId, Option<String>)> {
        let text = words.clone().unwrap_or_default();
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["find", user] => Ok((conn, Lookup::from(self.find(user)).into())),
            ["add", user, password] => Ok((conn, self.add(user, password).into())),
            ["down", "find"] => Ok((conn, Lookup::Unavailable("users cannot be looked up now".into()).into())),
            ["down", "add"] => Ok((conn, Registration::Refused("the disk is full".into()).into())),
            _ => Err((conn, words)),
        }
    }
}

type Hub = TestHub<Layered<Authentication<Table>, Inside>>;

fn open(address: &str, table: &Table, rules: RegistrationRules, limits: AuthenticationLimits) -> Hub {
    let listen: Listen = address.parse().expect(address);
    let layer = Authentication::new(table.clone(), [3; 32]).registration(rules).limits(limits).dialogue();
    TestHub::with_config(Config::listening([listen]), Inside::default().within(layer))
}

fn patient() -> AuthenticationLimits {
    AuthenticationLimits::default().tries(100)
}

fn often() -> RegistrationRules {
    RegistrationRules::default().per_address(Rate::new(1_000, 1_000).expect("a rate"))
}

fn last_of(hub: &mut Hub, conn: ConnId, line: &str) -> String {
    told(hub, conn, line).pop().unwrap_or_default()
}

#[test]
fn new_user_is_logged_in_and_can_log_in_again() {
    for (address, create) in [
        ("tcp://127.0.0.1:1", "create ann correct horse"),
        ("telnet://127.0.0.1:1", "create ann correct horse"),
        ("unix:///run/x", r#"{"type":"register","user":"ann","password":"correct horse"}"#),
    ] {
        let table = Table::default();
        let mut hub = open(address, &table, often(), patient());
        let conn = hub.connect();
        let answer = told(&mut hub, conn, create).concat();
        let expected =
            if create.starts_with('{') { r#"{"type":"auth_ok","user":"ann"}"# } else { "notice: you are ann" };
        assert!(answer.ends_with(expected), "{address}: {answer}");
        assert_eq!(log(&hub), ["ann opened -", "ann authenticated"]);
        assert_eq!(hub.machine().metrics().registrations, 1);
        // Whoever is logged in has a name already.
        let again = told(&mut hub, conn, r#"{"type":"register","user":"bob","password":"correct horse"}"#).concat();
        assert!(again.contains("already authenticated") && again.contains("register"), "{again}");
        let later = hub.connect();
        let login = r#"{"type":"auth","user":"ann","password":"correct horse"}"#;
        assert!(told(&mut hub, later, login).concat().ends_with(r#"{"type":"auth_ok","user":"ann"}"#));
    }
}

#[test]
fn refused_registrations_say_which_rule_they_break() {
    let table = Table::default();
    let mut hub = open("tcp://127.0.0.1:1", &table, often(), patient());
    let first = hub.connect();
    hub.line(first, "create ann correct horse");
    let conn = hub.connect();
    for (user, password, code) in [
        ("ann", "another secret", "name_taken"),
        ("Ann", "another secret", "name_taken"),
        ("\u{430}nn", "another secret", "name_taken"),
        ("", "another secret", "invalid_name"),
        ("a b", "another secret", "invalid_name"),
        ("an\u{200b}n", "another secret", "invalid_name"),
        ("create", "another secret", "invalid_name"),
        ("x234567890123456789012345", "another secret", "invalid_name"),
        ("bob", "short", "weak_password"),
        ("bob", "a\u{ad}\u{ad}\u{ad}\u{ad}\u{ad}\u{ad}\u{ad}", "weak_password"),
        ("bobandalice", "BobAndAlice", "weak_password"),
        ("bob", "with\u{7}control", "invalid_password"),
    ] {
        let message = serde_json::json!({ "type": "register", "user": user, "password": password }).to_string();
        let answer = told(&mut hub, conn, &message).concat();
        let expected = format!(r#"{{"type":"error","of":"register","code":"{code}","reason":"#);
        assert!(answer.contains(&expected), "{user} {password}: {answer}");
    }
    let long = serde_json::json!({ "type": "register", "user": "bob", "password": "x".repeat(1_025) }).to_string();
    assert!(told(&mut hub, conn, &long).concat().contains("invalid_password"));
    assert_eq!((hub.machine().metrics().registrations, hub.machine().metrics().authentication_failures), (1, 0));
    assert!(last_of(&mut hub, conn, "create bob correct horse").contains("you are bob"));
}

#[test]
fn passwords_are_not_stored_if_they_crossed_a_network_in_the_clear() {
    let table = Table::default();
    let mut hub = open("tcp://0.0.0.0:1", &table, often(), patient());
    let far = Peer::Address(([192, 0, 2, 1], 5000).into());
    let conn = hub.try_connect(ListenerId::new(0), far).expect("let in");
    let answer = told(&mut hub, conn, "create ann correct horse").concat();
    assert!(answer.contains("a password needs TLS here"), "{answer}");
    assert!(table.find("ann").is_none());
}

#[test]
fn without_registration_nobody_registers() {
    let mut hub = guarded("tcp://127.0.0.1:1", super::layer());
    let conn = hub.connect();
    let json = r#"{"type":"register","user":"ann","password":"correct horse"}"#;
    assert!(told(&mut hub, conn, json).concat().contains("registration_closed"));
    assert!(told(&mut hub, conn, "create ann correct horse").concat().contains("authentication required"));
}

#[test]
fn each_address_registers_a_few_users_only() {
    let table = Table::default();
    let rules = RegistrationRules::default().per_address(Rate::per(2, 60, 2).expect("a rate"));
    let mut hub = open("tcp://127.0.0.1:1", &table, rules, patient());
    let answers: Vec<_> = ["ann", "ann", "bob", "cat"]
        .into_iter()
        .map(|user| {
            let conn = hub.connect();
            last_of(&mut hub, conn, &format!("create {user} correct horse"))
        })
        .collect();
    assert!(answers[0].contains("you are ann"), "{answers:?}");
    // A name that is taken counts too: otherwise, anyone could find out quickly who has a name here.
    assert!(table.find("bob").is_none() && table.find("cat").is_none());
    let conn = hub.connect();
    let answer = told(&mut hub, conn, "create bob correct horse").concat();
    assert!(answer.contains("too many users were registered from your address; try again in"), "{answer}");
    hub.advance(std::time::Duration::from_secs(30));
    let conn = hub.connect();
    assert!(last_of(&mut hub, conn, "create bob correct horse").contains("you are bob"));
}

#[test]
fn tries_bound_what_a_connection_may_ask() {
    let table = Table::default();
    let mut hub = open("tcp://127.0.0.1:1", &table, often(), AuthenticationLimits::default().tries(3));
    let conn = hub.connect();
    for left in [true, true, false] {
        hub.line(conn, "create ann x");
        assert_eq!(!hub.is_closed(conn), left);
    }
}

#[test]
fn dialogue_registers_after_asking_for_the_password_twice() {
    let table = Table::default();
    let mut hub = open("telnet://127.0.0.1:1", &table, often(), patient());
    let conn = hub.connect();
    let mut said = Vec::new();
    for line in [
        "create",
        "a b",
        "create",
        "ann",
        "short",
        "correct horse",
        "correct house",
        "correct horse",
        "correct horse",
        "hello",
    ] {
        said.push(told(&mut hub, conn, line).concat());
    }
    let [create, bad, _, name, short, first, differ, again, done, hello] = &said[..] else { panic!("{said:?}") };
    assert!(create.contains("new user: "), "{create}");
    assert!(bad.contains("a name has 1 to 24 letters") && bad.contains("user (or create): "), "{bad}");
    assert!(name.contains("new password: "), "{name}");
    assert!(short.contains("at least 8 characters") && short.contains("new password: "), "{short}");
    assert!(first.contains("the same password again: "), "{first}");
    assert!(differ.contains("the passwords differ") && differ.contains("new password: "), "{differ}");
    assert!(again.contains("the same password again: "), "{again}");
    assert!(done.contains("you are ann"), "{done}");
    assert!(hello.contains("ann: hello"), "{hello}");
    // A user called create would be unable to log in here.
    let other = hub.connect();
    told(&mut hub, other, "create");
    assert!(told(&mut hub, other, "").concat().contains("user (or create): "));
    assert!(told(&mut hub, other, "ann").concat().contains("password: "));
    assert!(told(&mut hub, other, "correct horse").concat().contains("you are ann"));
}

#[test]
fn slow_provider_answers_lookups_and_registrations_in_notes() {
    let table = Table { is_slow: true, ..Table::default() };
    let mut hub = open("tcp://127.0.0.1:1", &table, often(), patient());
    let [ann, bob] = [hub.connect(), hub.connect()];
    assert_eq!(told(&mut hub, ann, "create ann secret.word"), Vec::<String>::new());
    // What the peer sends meanwhile waits.
    hub.line(ann, "hello");
    let pass_on = |hub: &mut Hub| {
        for (conn, words) in table.asked() {
            hub.note((conn, Some(words)));
        }
        hub.advance(std::time::Duration::from_nanos(1));
    };
    pass_on(&mut hub);
    assert!(hub.lines(ann).ends_with(&["notice: you are ann".into(), "ann: hello".into()]), "{:?}", hub.lines(ann));
    hub.line(bob, "create ann another.word");
    pass_on(&mut hub);
    assert!(hub.lines(bob).concat().contains("this name is taken"));
    for (password, answer) in [("wrong", "wrong user name or password"), ("secret.word", r#""user":"ann""#)] {
        hub.line(bob, &format!(r#"{{"type":"auth","user":"ann","password":"{password}"}}"#));
        pass_on(&mut hub);
        assert!(hub.lines(bob).concat().contains(answer), "{password}: {:?}", hub.lines(bob));
    }
    let cat = hub.connect();
    hub.line(cat, "create cat secret.word");
    let asked = table.asked();
    assert_eq!(asked, [(cat, "add cat secret.word".into())]);
    // Answers of the wrong kind, and to connections that have asked nothing, change nothing.
    for words in ["find ann", "add ann x"] {
        hub.note((ann, Some(words.into())));
    }
    hub.note((cat, Some("find ann".into())));
    assert!(!hub.lines(cat).concat().contains("you are"));
    hub.note((cat, Some("down add".into())));
    assert!(hub.lines(cat).concat().contains("the disk is full"));
    hub.line(cat, r#"{"type":"auth","user":"ann","password":"secret.word"}"#);
    hub.note((cat, Some("down find".into())));
    assert!(hub.lines(cat).concat().contains("users cannot be looked up now"), "{:?}", hub.lines(cat));
    assert_eq!(log(&hub).iter().filter(|line| line.contains("opened")).count(), 2);
}

#[test]
fn program_that_sends_json_to_the_dialogue_gets_an_error() {
    let table = Table::default();
    let mut hub = open("telnet://127.0.0.1:1", &table, often(), patient());
    let conn = hub.connect();
    for message in [r#"{"type":"register","user":5,"password":"x"}"#, r#"{"type":"register","user":"ann"}"#, "{"] {
        let answer = told(&mut hub, conn, message).concat();
        assert!(answer.contains("authentication required") && !answer.contains("password: "), "{message}: {answer}");
    }
}

#[test]
fn address_with_too_many_failures_registers_nobody() {
    let table = Table::default();
    let limits = patient().per_address(Rate::per(1, 300, 1).expect("a rate"));
    let mut hub = open("tcp://127.0.0.1:1", &table, often(), limits);
    let conn = hub.connect();
    hub.line(conn, r#"{"type":"auth","user":"ann","password":"wrong"}"#);
    let conn = hub.connect();
    let answer = told(&mut hub, conn, "create ann correct horse").concat();
    assert!(answer.contains("too many failures") && table.find("ann").is_none(), "{answer}");
}

#[test]
fn issued_token_of_a_registered_user_ends_with_the_account() {
    let table = Table::default();
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let layer = Authentication::new(table.clone(), [3; 32]).registration(often()).limits(patient());
    let layer = layer.issue_tokens(drupe_core::kit::auth::IssuedTokens::default());
    let mut hub: Hub = TestHub::with_config(Config::listening([listen]), Inside::default().within(layer));
    let conn = hub.connect();
    hub.line(conn, r#"{"type":"register","user":"ann","password":"correct horse"}"#);
    let answer = told(&mut hub, conn, r#"{"type":"token"}"#).concat();
    let json: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let login = serde_json::json!({ "type": "auth", "token": json["token"] }).to_string();
    let try_it = |hub: &mut Hub| {
        let conn = hub.connect();
        told(hub, conn, &login).concat()
    };
    assert_eq!(try_it(&mut hub), r#"{"type":"auth_ok","user":"ann"}"#);
    let key = confusable_key("ann");
    let removed = table.users.lock().expect("no test panicked").remove(&key);
    assert!(try_it(&mut hub).contains("the user or the password has changed"));
    // Somebody else takes the name.
    assert!(matches!(table.add("ann", "another word"), Registration::Registered(_)));
    assert!(try_it(&mut hub).contains("the user or the password has changed"));
    table.users.lock().expect("no test panicked").insert(key, removed.expect("there was one"));
    assert_eq!(try_it(&mut hub), r#"{"type":"auth_ok","user":"ann"}"#);
}

//! Tests of the thread: its answers, and what it reports.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use super::store::UserStore;
use super::store_tests::{Directory, credentials};
use super::thread::{Keeper, NewUser, REPORTED_EVERY};
use drupe_core::kit::auth::{Accounts, Lookup, Registration};
use drupe_core::{Identity, UnixTime};
use rusqlite::Connection;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The lines that a thread has reported.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

fn keeper(store: UserStore) -> (Keeper, Lines) {
    let lines = Lines::default();
    let log = lines.clone();
    let report = move |level, line: &str| log.0.lock().expect("no panic").push(format!("{level} {line}"));
    (Keeper::new(store, Duration::ZERO, Box::new(report)), lines)
}

fn user(name: &str, configured: &Arc<Accounts>) -> NewUser {
    let (name, password) = (name.to_owned(), "a good password".to_owned());
    NewUser { name, password, iterations: 4_096, configured: Arc::clone(configured) }
}

#[test]
fn registered_user_is_found_and_names_that_look_alike_are_taken() {
    let directory = Directory::new();
    let (mut keeper, lines) = keeper(directory.store());
    let now = Instant::now();
    let accounts = Accounts::new().user("root", credentials("x"), ["all"]).expect("a name");
    let configured = Arc::new(accounts);
    assert_eq!(keeper.look_up("ann", now), Lookup::Unknown);
    for (name, refused) in [
        ("ann", None),
        ("ann", Some(Registration::NameTaken)),
        ("Ann", Some(Registration::NameTaken)),
        ("root", Some(Registration::NameTaken)),
        ("ro\u{43e}t", Some(Registration::NameTaken)),
        ("bob", None),
    ] {
        match (keeper.register(&user(name, &configured), now), refused) {
            (Registration::Registered(account), None) => assert_eq!(account.identity, Identity::user(name)),
            (answer, refused) => assert_eq!(Some(answer), refused, "{name}"),
        }
    }
    assert_eq!(lines.take(), ["INFO the user ann has registered", "INFO the user bob has registered"]);
    let Lookup::Found(account) = keeper.look_up("ann", now) else { panic!("just registered") };
    assert!(account.credentials.verify("a good password") && account.credentials.iterations() == 4_096);
    assert_eq!(account.identity, Identity::user("ann"));
    // The users of the configuration are not in the store.
    assert_eq!(keeper.look_up("root", now), Lookup::Unknown);
    // Each user has another salt.
    let Lookup::Found(other) = keeper.look_up("bob", now) else { panic!("just registered") };
    assert_ne!(account.credentials, other.credentials);
}

#[test]
fn trouble_is_reported_once_a_minute_and_when_it_ends() {
    let directory = Directory::new();
    let (mut keeper, lines) = keeper(directory.store());
    let (now, configured) = (Instant::now(), Arc::new(Accounts::new()));
    let other = Connection::open(directory.path()).expect("good");
    other.execute_batch("BEGIN EXCLUSIVE").expect("good");
    for secs in 0..=REPORTED_EVERY.as_secs() {
        let now = now + Duration::from_secs(secs);
        assert_eq!(keeper.look_up("ann", now), Lookup::Unavailable("users cannot be looked up now".into()));
        let registration = keeper.register(&user("ann", &configured), now);
        assert_eq!(registration, Registration::Refused("users cannot be stored now".into()));
    }
    let reported = lines.take();
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert!(reported.iter().all(|line| line.starts_with("ERROR authentication.store: ")), "{reported:?}");
    assert!(reported.iter().all(|line| line.contains("another program has locked it")), "{reported:?}");
    other.execute_batch("COMMIT").expect("good");
    assert_eq!(keeper.look_up("ann", now), Lookup::Unknown);
    assert_eq!(lines.take(), ["INFO authentication.store: it works again; 122 requests failed"]);
    assert_eq!(keeper.look_up("ann", now), Lookup::Unknown);
    assert!(lines.take().is_empty());
}

#[test]
fn restored_backup_is_opened_and_a_missing_file_is_trouble() {
    let directory = Directory::new();
    let store = directory.store();
    store.insert("ann", &credentials("x"), &[], UnixTime::from_secs(0)).expect("good");
    let backup = directory.path().with_extension("backup");
    fs::copy(directory.path(), &backup).expect("copied");
    store.remove("ann").expect("good");
    let (mut keeper, lines) = keeper(store);
    let now = Instant::now();
    assert_eq!(keeper.look_up("ann", now), Lookup::Unknown);
    fs::remove_file(directory.path()).expect("there");
    assert!(matches!(keeper.look_up("ann", now), Lookup::Unavailable(_)));
    assert!(lines.take().iter().any(|line| line.contains("there is no such file")));
    fs::rename(&backup, directory.path()).expect("renamed");
    assert!(matches!(keeper.look_up("ann", now), Lookup::Found(_)));
    assert_eq!(lines.take().len(), 2);
}

#[test]
fn store_that_was_overwritten_and_restored_in_place_works_again() {
    let directory = Directory::new();
    let store = directory.store();
    store.insert("ann", &credentials("x"), &[], UnixTime::from_secs(0)).expect("good");
    let whole = fs::read(directory.path()).expect("there");
    let (mut keeper, lines) = keeper(store);
    let now = Instant::now();
    fs::write(directory.path(), b"").expect("written");
    assert!(matches!(keeper.look_up("ann", now), Lookup::Unavailable(_)));
    fs::write(directory.path(), &whole).expect("written");
    assert!(matches!(keeper.look_up("ann", now + Duration::from_secs(1)), Lookup::Found(_)), "{:?}", lines.take());
}

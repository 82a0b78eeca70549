//! Tests of the store: its promises against a model, and each fault of a file.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails where its assumption does")]

use super::error::{Fault, StoreError};
use super::store::{IfMissing, Inserted, UserStore};
use drupe_core::UnixTime;
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::names::confusable_key;
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory for one test, which goes with it.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("drupe-users-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.join("users.db")
    }

    pub(super) fn store(&self) -> UserStore {
        open(&self.path()).expect("a good file")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens a store that waits for nothing.
fn open(path: &Path) -> Result<UserStore, StoreError> {
    UserStore::open(path, IfMissing::Create, Duration::ZERO)
}

pub(super) fn credentials(password: &str) -> Credentials {
    Credentials::new(password, b"0123456789abcdef", 4_096).expect("a good password")
}

const NOW: UnixTime = UnixTime::from_secs(1_000);

/// Checks the fault of an error, and that its text names the file and the remedy.
#[track_caller]
fn expect_fault<T>(result: Result<T, StoreError>, fault: Fault, remedy: &str) {
    let Err(error) = result else { panic!("{fault:?} was expected") };
    let text = error.to_string();
    assert_eq!(error.fault, fault, "{text}");
    assert!(text.contains("users.db: ") && text.contains(remedy), "{text}");
}

#[test]
fn changes_outlive_the_store_and_other_stores_see_them() {
    let directory = Directory::new();
    let (one, other) = (directory.store(), directory.store());
    assert_eq!(one.secret(), other.secret());
    let scopes = ["a".to_owned(), "b:c".to_owned()];
    assert_eq!(one.insert("ann", &credentials("x"), &scopes, NOW).expect("good"), Inserted::Inserted);
    let found = other.find("ann").expect("good").expect("just added");
    assert!(found.credentials.verify("x") && found.scopes == scopes);
    drop((one, other));
    let store = directory.store();
    assert!(store.set_password("ann", &credentials("y"), UnixTime::from_secs(2_000)).expect("good"));
    let listed = store.list().expect("good").pop().expect("one");
    assert_eq!((listed.created, listed.changed), (NOW, UnixTime::from_secs(2_000)));
    assert!(store.find("ann").expect("good").expect("there").credentials.verify("y"));
}

#[test]
fn new_file_is_private_and_secrets_of_two_stores_differ() {
    let directory = Directory::new();
    let store = directory.store();
    let mode = fs::metadata(directory.path()).expect("created").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_ne!(store.secret(), Directory::new().store().secret());
    assert_ne!(store.secret(), [0; 32]);
}

#[test]
fn empty_file_becomes_a_store_and_keeps_its_mode() {
    let directory = Directory::new();
    fs::write(directory.path(), "").expect("written");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o640)).expect("ours");
    assert_eq!(directory.store().count().expect("good"), 0);
    assert_eq!(fs::metadata(directory.path()).expect("there").permissions().mode() & 0o777, 0o640);
}

#[test]
fn two_processes_may_create_one_store() {
    let directory = Directory::new();
    let path = directory.path();
    let open = || UserStore::open(&path, IfMissing::Create, Duration::from_secs(60)).expect("good").secret();
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
}

#[test]
fn removed_password_hash_is_overwritten() {
    let directory = Directory::new();
    let store = directory.store();
    let hash = credentials("x").to_stored();
    let has_hash =
        || fs::read(directory.path()).expect("there").windows(hash.len()).any(|part| part == hash.as_bytes());
    store.insert("ann", &credentials("x"), &[], NOW).expect("good");
    assert!(has_hash());
    assert!(store.remove("ann").expect("good"));
    assert!(!has_hash());
}

#[test]
fn special_names_of_sqlite_are_files() {
    let directory = Directory::new();
    for name in [":memory:", "file:users.db?mode=memory"] {
        let path = directory.0.join(name);
        open(&path).expect("good").insert("ann", &credentials("x"), &[], NOW).expect("good");
        assert_eq!(open(&path).expect("good").count().expect("good"), 1, "{name}");
    }
}

#[test]
fn place_of_a_store_is_checked() {
    let directory = Directory::new();
    let refuse = |path: &Path| UserStore::open(path, IfMissing::Refuse, Duration::ZERO);
    expect_fault(refuse(&directory.path()), Fault::Missing, "check the path");
    assert!(!directory.path().exists());
    expect_fault(open(&directory.0.join("none/users.db")), Fault::NoDirectory, "create the directory first");
    drop(directory.store());
    expect_fault(open(&directory.path().join("users.db: ")), Fault::NoDirectory, "create the directory first");
    assert_eq!(refuse(&directory.path()).expect("it exists").count().expect("good"), 0);
    fs::create_dir(directory.0.join("sub-users.db")).expect("a directory");
    expect_fault(open(&directory.0.join("sub-users.db")), Fault::NotAFile, "choose another file");
}

#[test]
fn files_that_are_no_store_are_refused_and_stay_as_they_are() {
    let directory = Directory::new();
    let path = directory.path();
    fs::write(&path, "ann:x\n".repeat(1_000)).expect("written");
    expect_fault(open(&path), Fault::NotADatabase, "choose another file");
    assert!(fs::read(&path).expect("there").starts_with(b"ann:x\n"));
    for (sql, fault, remedy) in [
        ("CREATE TABLE notes (text TEXT)", Fault::Foreign, "choose another file"),
        ("PRAGMA application_id = 7", Fault::Foreign, "choose another file"),
        ("PRAGMA user_version = 1", Fault::Foreign, "choose another file"),
        ("PRAGMA application_id = 0x44725573; PRAGMA user_version = 2", Fault::Newer(2), "use that version"),
        ("PRAGMA application_id = 0x44725573; PRAGMA user_version = 0", Fault::Damaged, "restore a backup"),
    ] {
        fs::remove_file(&path).expect("there");
        Connection::open(&path).expect("good").execute_batch(sql).expect("good");
        let before = fs::read(&path).expect("there");
        expect_fault(open(&path), fault, remedy);
        assert_eq!(fs::read(&path).expect("there"), before, "{sql}");
    }
}

#[test]
fn store_that_lost_its_secret_is_damaged() {
    let directory = Directory::new();
    directory.store().database().execute("DELETE FROM secret", []).expect("good");
    expect_fault(open(&directory.path()), Fault::Damaged, "restore a backup");
}

#[test]
fn overwritten_bytes_are_found_when_the_store_opens() {
    let directory = Directory::new();
    let store = directory.store();
    let credentials = credentials("x");
    for number in 0..100 {
        store.insert(&format!("user{number}"), &credentials, &[], NOW).expect("good");
    }
    drop(store);
    let good = fs::read(directory.path()).expect("there");
    let page = 4_096;
    assert!(good.len() > 3 * page);
    for number in 1..good.len() / page {
        let mut bad = good.clone();
        bad[number * page..(number + 1) * page].fill(0xa5);
        fs::write(directory.path(), &bad).expect("written");
        expect_fault(open(&directory.path()), Fault::Damaged, "restore a backup");
    }
    // Half a file.
    fs::write(directory.path(), &good[..good.len() / page / 2 * page]).expect("written");
    expect_fault(open(&directory.path()), Fault::Damaged, "restore a backup");
    fs::write(directory.path(), &good).expect("written");
    assert_eq!(directory.store().count().expect("good"), 100);
}

#[test]
fn damaged_password_is_an_error_of_its_user_only() {
    let directory = Directory::new();
    let store = directory.store();
    for name in ["ann", "bob"] {
        store.insert(name, &credentials("x"), &[], NOW).expect("good");
    }
    store.database().execute("UPDATE users SET password = 'SCRAM' WHERE name = 'ann'", []).expect("good");
    expect_fault(store.find("ann"), Fault::Damaged, "restore a backup");
    assert!(store.find("bob").expect("good").is_some());
    assert!(store.set_password("ann", &credentials("y"), NOW).expect("good"));
    assert!(store.find("ann").expect("good").is_some());
}

#[test]
fn lock_of_another_process_is_an_error_until_it_ends() {
    let directory = Directory::new();
    let store = directory.store();
    let other = Connection::open(directory.path()).expect("good");
    other.execute_batch("BEGIN EXCLUSIVE").expect("good");
    expect_fault(store.find("ann"), Fault::Locked, "try again later");
    expect_fault(store.insert("ann", &credentials("x"), &[], NOW), Fault::Locked, "try again later");
    expect_fault(open(&directory.path()), Fault::Locked, "try again later");
    other.execute_batch("COMMIT").expect("good");
    assert_eq!(store.insert("ann", &credentials("x"), &[], NOW).expect("good"), Inserted::Inserted);
    // A reader does not disturb readers.
    other.execute_batch("BEGIN; SELECT * FROM users").expect("good");
    assert!(store.find("ann").expect("good").is_some());
}

#[test]
fn patient_store_waits_for_a_lock() {
    let directory = Directory::new();
    let store = directory.store();
    let other = Connection::open(directory.path()).expect("good");
    other.execute_batch("BEGIN EXCLUSIVE").expect("good");
    let patience = Duration::from_millis(50);
    store.set_patience(patience).expect("good");
    let begun = Instant::now();
    expect_fault(store.find("ann"), Fault::Locked, "try again later");
    assert!(begun.elapsed() >= patience / 2);
    // It gets the lock as soon as there is none.
    store.set_patience(Duration::from_secs(60)).expect("good");
    let release = std::thread::spawn(move || other.execute_batch("COMMIT").expect("good"));
    assert_eq!(store.find("ann").expect("good"), None);
    release.join().expect("no panic");
}

#[test]
fn full_disk_changes_nothing() {
    let directory = Directory::new();
    let store = directory.store();
    store.database().pragma_update(None, "max_page_count", 12).expect("good");
    let credentials = credentials("x");
    let mut count = 0;
    let error = loop {
        match store.insert(&format!("user{count}"), &credentials, &[], NOW) {
            Ok(_) => count += 1,
            Err(error) => break Err::<(), _>(error),
        }
        assert!(count < 1_000, "12 pages have space for fewer users");
    };
    expect_fault(error, Fault::Full, "make room");
    assert_eq!(store.count().expect("good"), count);
    assert!(store.remove("user0").expect("good"));
    drop(store);
    assert_eq!(directory.store().count().expect("good"), count - 1);
}

#[test]
fn database_that_may_not_be_written_is_an_error() {
    let directory = Directory::new();
    let store = directory.store();
    store.database().pragma_update(None, "query_only", true).expect("good");
    let result = store.insert("ann", &credentials("x"), &[], NOW);
    expect_fault(result, Fault::NotWritable, "allow this process to read and write");
    assert_eq!(store.find("ann").expect("it can be read"), None);
    drop(store);
    // The superuser may write everything.
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o400)).expect("ours");
        expect_fault(open(&directory.path()), Fault::NotWritable, "allow this process to read and write");
    }
}

#[test]
fn replaced_file_is_noticed() {
    let directory = Directory::new();
    let store = directory.store();
    assert!(!store.is_replaced());
    fs::copy(directory.path(), directory.0.join("copy")).expect("copied");
    fs::rename(directory.0.join("copy"), directory.path()).expect("renamed");
    assert!(store.is_replaced());
    let store = directory.store();
    fs::remove_file(directory.path()).expect("there");
    assert!(store.is_replaced());
}

/// An operation on the store, on one of a few names.
#[derive(Clone, Debug)]
enum Step {
    Insert(usize, bool),
    Password(usize, bool),
    Scopes(usize, usize),
    Remove(usize),
    Find(usize),
    Reopen,
}

/// Names of which some look alike.
const NAMES: [&str; 6] = ["ann", "Ann", "\u{430}nn", "bob", "bob1", "bobl"];

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        (name(), any::<bool>()).prop_map(|(name, password)| Step::Insert(name, password)),
        (name(), any::<bool>()).prop_map(|(name, password)| Step::Password(name, password)),
        (name(), 0..3usize).prop_map(|(name, count)| Step::Scopes(name, count)),
        name().prop_map(Step::Remove),
        name().prop_map(Step::Find),
        Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn store_behaves_like_a_map(steps in proptest::collection::vec(step(), 0..40)) {
        let passwords = [credentials("x"), credentials("y")];
        let directory = Directory::new();
        let mut store = directory.store();
        let secret = store.secret();
        let mut model: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(name, password) => {
                    let (name, password) = (NAMES[name], usize::from(password));
                    let is_taken = model.keys().any(|other| confusable_key(other) == confusable_key(name));
                    let inserted = store.insert(name, &passwords[password], &[], NOW).expect("good");
                    prop_assert_eq!(inserted == Inserted::Taken, is_taken);
                    if !is_taken {
                        model.insert(name.into(), (password, Vec::new()));
                    }
                }
                Step::Password(name, password) => {
                    let (name, password) = (NAMES[name], usize::from(password));
                    let user = model.get_mut(name).map(|user| user.0 = password);
                    prop_assert_eq!(store.set_password(name, &passwords[password], NOW).expect("good"), user.is_some());
                }
                Step::Scopes(name, count) => {
                    let scopes: Vec<_> = ["a", "b:c", "d/e"].iter().take(count).map(|&scope| scope.to_owned()).collect();
                    let is_changed = store.set_scopes(NAMES[name], &scopes, NOW).expect("good");
                    prop_assert_eq!(is_changed, model.get_mut(NAMES[name]).map(|user| user.1 = scopes).is_some());
                }
                Step::Remove(name) => {
                    prop_assert_eq!(store.remove(NAMES[name]).expect("good"), model.remove(NAMES[name]).is_some());
                }
                Step::Find(name) => {
                    let found = store.find(NAMES[name]).expect("good").map(|user| (user.credentials, user.scopes));
                    let expected = model.get(NAMES[name]);
                    let expected = expected.map(|(password, scopes)| (passwords[*password].clone(), scopes.clone()));
                    prop_assert_eq!(found, expected);
                }
                Step::Reopen => store = directory.store(),
            }
            let listed = store.list().expect("good").into_iter().map(|user| (user.name, user.scopes));
            let expected = model.iter().map(|(name, user)| (name.clone(), user.1.clone()));
            prop_assert!(listed.eq(expected));
            prop_assert_eq!(store.count().expect("good"), model.len() as u64);
            prop_assert_eq!(store.secret(), secret);
        }
    }
}

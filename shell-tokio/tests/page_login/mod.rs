//! The built-in page logs its user in.

pub(crate) use crate::support::browser;
use crate::support::{Client, Directory, Program};
use drupe_tokio::core::kit::auth::scram::Credentials;
use drupe_tokio::core::kit::auth::{
    Account, Authentication, Claims, Lookup, Provider, Registration, RegistrationRules, TokenKey,
};
use drupe_tokio::core::kit::layer::Within;
use drupe_tokio::core::{Config, ConnId, Event, Handler, Hub, Identity, NoNote, PageLogin, PageOptions};
use drupe_tokio::{Remote, Server};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{SystemTime, UNIX_EPOCH};

const SCRIPT: &str = include_str!("browser.py");
const VECTORS: &str = include_str!("scram.mjs");
/// The client under test, as the server serves it.
const SCRAM: &str = include_str!("../../../core/src/web/page/scram.js");
/// The user and the password of a server, with characters that SCRAM escapes and prepares.
const ODD: (&str, &str) = ("a=b,c", "p\u{e4}ss w\u{f6}rd \u{2460}");
/// The same password, typed with a combining mark and a space that is not ASCII.
const ODD_TYPED: &str = "pa\u{308}ss\u{a0}w\u{f6}rd 1";
const ITERATIONS: u32 = 4_096;

#[test]
fn page_scram_client_matches_the_rfc_7677_example() {
    let directory = Directory::new("page-scram");
    let [vectors, client] = [("vectors.mjs", VECTORS), ("scram.mjs", SCRAM)].map(|(name, text)| {
        let path = directory.0.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    });
    let Some(node) = Client::start("node", &[&vectors, &client]) else { return };
    assert_eq!(node.rest(), "good\n");
}

/// Starts a scenario of the script.
fn start((python, browser): (String, &str), scenario: &str, url: &str, arguments: &[&str]) -> Client {
    let arguments = [&["-c", SCRIPT, scenario, browser, url], arguments].concat();
    Client::start(&python, &arguments).expect("it is installed")
}

/// Waits for a line of the script, acts, and lets the script go on.
fn when<T>(page: &mut Client, words: &str, act: impl FnOnce() -> T) -> T {
    page.hear_until(&format!("{words}\n"));
    let done = act();
    page.say("go\n");
    done
}

fn url(host: &str, port: u16) -> String {
    format!("http://{host}:{port}/")
}

fn hash(password: &str, salt: [u8; 16]) -> String {
    Credentials::new(password, &salt, ITERATIONS).expect("good").to_stored()
}

/// Returns the configuration of a chat whose users are `ODD` and `ann`.
fn config(port: u16, ann: &str, salt: [u8; 16], more: &str) -> String {
    let (user, password) = ODD;
    format!(
        "listeners: {{ a: {{ address: '127.0.0.1:{port}', protocol: websocket, app: chat{more} }} }}\n\
         authentication:\n  enabled: true\n  iterations: {ITERATIONS}\n  duplicates: replace_old\n  deadline: 3s\n  \
         failures_per_address: 99/1s burst 99\n  \
         users:\n    '{user}': {{ password_hash: '{}' }}\n    ann: {{ password_hash: '{}' }}\n",
        hash(password, [1; 16]),
        hash(ann, salt)
    )
}

#[test]
fn page_logs_in_with_a_password_and_again_after_a_reconnect() {
    let Some(browser) = browser() else { return };
    let directory = Directory::new("page-passwords");
    let start_program = |text: &str| Program::configured(&directory.0, text, 1, |_| {});
    let first = start_program(&config(0, "pencil", [2; 16], ""));
    let port = first.port_of(0);
    let users = format!(r#"[["{}", "{ODD_TYPED}"], ["ann", "pencil", "charcoal"]]"#, ODD.0);
    let mut page = start(browser, "passwords", &url("127.0.0.1", port), &[&users]);
    // The page finds the server again only at the same port.
    let second = when(&mut page, "restart", || {
        drop(first);
        start_program(&config(port, "pencil", [2; 16], ""))
    });
    let third = when(&mut page, "change the password", || {
        drop(second);
        start_program(&config(port, "charcoal", [3; 16], ""))
    });
    when(&mut page, "stop", || drop(third));
    page.hear_until("done\n");
}

#[test]
fn page_refuses_a_server_that_does_not_know_the_password() {
    let Some(browser) = browser() else { return };
    let directory = Directory::new("page-strangers");
    let program = Program::configured(&directory.0, &config(0, "pencil", [2; 16], ""), 1, |_| {});
    let url = url("127.0.0.1", program.port_of(0));
    start(browser, "strangers", &url, &[r#"["ann", "pencil"]"#]).hear_until("done\n");
}

#[test]
fn page_without_https_says_that_it_cannot_log_in() {
    let Some(browser) = browser() else { return };
    let directory = Directory::new("page-insecure");
    let text = config(0, "pencil", [2; 16], ", websocket: { hosts: [drupe.test] }");
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    start(browser, "insecure", &url("drupe.test", program.port_of(0)), &[]).hear_until("done\n");
}

#[test]
fn page_logs_in_with_a_token_until_it_expires() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let Some(browser) = browser() else { return };
    let directory = Directory::new("page-tokens");
    let text = format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0', protocol: websocket, app: chat }} }}\n\
         authentication: {{ enabled: true, tokens: {{ hs256_secret: {KEY}, leeway: 0s }} }}\n"
    );
    let program = Program::configured(&directory.0, &text, 1, |_| {});
    let mut page = start(browser, "tokens", &url("127.0.0.1", program.port_of(0)), &[]);
    when(&mut page, "token", || ());
    // It is valid long enough for a login, and soon expires.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let key = TokenKey::hs256(KEY.as_bytes()).expect("long enough");
    let token = key.sign(&Claims::of("ann").exp(Some(now + 10))).expect("it signs");
    page.say(&format!("{token}\n"));
    page.hear_until("done\n");
}

/// The users of a server that lets peers register, in memory. The user `taken` exists.
#[derive(Default)]
struct Users(BTreeMap<String, Credentials>);

impl Provider<NoNote> for Users {
    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        self.0.get(user).map(|credentials| Account::new(credentials.clone(), Identity::user(user))).into()
    }

    fn register(&mut self, _: ConnId, user: &str, password: &str) -> Registration {
        if user == "taken" || self.0.contains_key(user) {
            return Registration::NameTaken;
        }
        match Credentials::new(password, &[4; 16], ITERATIONS) {
            Ok(credentials) => {
                self.0.insert(user.to_owned(), credentials.clone());
                Registration::Registered(Account::new(credentials, Identity::user(user)).into())
            }
            Err(error) => Registration::Refused(error.to_string().into()),
        }
    }
}

/// Repeats who says what. Closes the connection of a peer that asks for it.
struct Repeater;

impl Handler for Repeater {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, payload } = event {
            let text = payload.as_str().unwrap_or("?");
            let user = hub.identity(conn).map(|identity| identity.user.to_string()).unwrap_or_default();
            if text == "drop me" {
                hub.close(conn);
            } else {
                hub.send(conn, &format!("{user} says {text}"));
            }
        }
    }
}

#[test]
fn page_registers_a_user_and_logs_in_again_after_a_reconnect() {
    let Some(browser) = browser() else { return };
    let (started, port) = mpsc::channel::<(Remote<NoNote>, u16)>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listen = "ws://127.0.0.1:0".parse().expect("an address");
            let pages = PageOptions::default().title("Drupe & co".into()).login(PageLogin::PasswordOrNewUser);
            let config = Config::listening([listen]).pages(pages);
            let layer = Authentication::new(Users::default(), [5; 32]).registration(RegistrationRules::default());
            let running = Server::bind(config, Repeater.within(layer)).expect("it listens");
            let port =
                running.addresses()[0].rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse().ok());
            started.send((running.remote(), port.expect("a port"))).expect("somebody waits");
            running.run().await.expect("a reactor");
        });
    });
    let (remote, port) = port.recv().expect("it starts");
    start(browser, "registration", &url("127.0.0.1", port), &[]).hear_until("done\n");
    remote.drain().expect("it runs");
    server.join().expect("no panic");
}

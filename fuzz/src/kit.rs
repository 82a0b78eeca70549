use crate::memory::peak_of;
use drupe_core::history::Keep;
use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{
    Account, Accounts, Authentication, Claims, IssuedTokens, Lookup, Provider, Registration, RegistrationRules,
    TokenKey, Tokens, Verdict,
};
use drupe_core::kit::layer::Within;
use drupe_core::kit::names::{confusable_key, parse_name};
use drupe_core::kit::rpc::{Rpc, RpcError};
use drupe_core::kit::{App, RequireScope, RoomRules, Router, Service};
use drupe_core::testing::TestHub;
use drupe_core::{
    Config, ConnId, Identity, JoinOptions, Listen, NoNote, Presence, Reason, RoomMemory, RoomOptions, Ticket, UnixTime,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

#[derive(Default)]
struct Everything {
    tickets: Vec<Ticket>,
}

impl App for Everything {
    type Context = u8;
    type Note = NoNote;
}

/// A type with every kind of field that the kit parses from words and JSON.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Parts {
    number: i16,
    choice: Option<Choice>,
    list: Vec<u8>,
    #[serde(default)]
    map: BTreeMap<String, f32>,
    text: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
enum Choice {
    Plain,
    With(u8, char),
    Named { flag: bool },
}

/// Hashed once, because password hashing is slow by design.
static CREDENTIALS: LazyLock<Credentials> =
    LazyLock::new(|| Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password"));

/// Registers everyone whose name is not taken.
struct Open {
    accounts: Accounts,
    names: BTreeSet<String>,
}

impl Provider<NoNote> for Open {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        self.accounts.verdict(token, now)
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        self.accounts.account(user).into()
    }

    fn register(&mut self, _: ConnId, user: &str, password: &str) -> Registration {
        assert!(parse_name(user).as_deref() == Some(user) && (8..=1_024).contains(&password.len()), "{user:?}");
        if self.names.insert(confusable_key(user)) {
            Registration::Registered(Account::new(CREDENTIALS.clone(), Identity::user(user)).into())
        } else {
            Registration::NameTaken
        }
    }
}

fn service() -> Service<Everything> {
    let admin = Router::new().guard(RequireScope("admin")).on("kick", |_, cx, (): ()| cx.end(Reason::Kicked));
    let router = Router::new()
        .on("parts", |_, cx, parts: Parts| {
            cx.reply_json(&parts);
        })
        .on("tuple", |_, _, _: (u8, String, Option<bool>)| ())
        .on("join", |_: &mut Everything, cx, room: [String; 1]| {
            cx.join_with(&room[0], JoinOptions::new().name(Some("somebody")))
        })
        .nest("admin", admin);
    let rpc = Rpc::new("everything", "1")
        .method("parts", |_, _, parts: Parts| Ok(parts))
        .method("fail", |_, _, ()| -> Result<(), RpcError> { Ok("x".parse::<u8>().map(drop)?) })
        .deferred::<(), ()>("later", |app: &mut Everything, _, (), ticket| {
            app.tickets.push(ticket);
            Ok(())
        });
    Service::new(Everything::default()).router(router).rpc(rpc).rooms(RoomRules::all_open()).room_messages().on_text(
        |_, cx, text: &str| {
            cx.reply(text);
        },
    )
}

/// Sends any bytes to an application with all parts of the kit, before or after a login.
///
/// # Panics
/// If the application panics, too much memory is held, or a room or ticket outlives the peer.
pub fn kit(data: &[u8]) {
    let [kind, stream @ ..] = data else { return };
    let key = || TokenKey::hs256(&[7; 32]).expect("long enough");
    let accounts = Accounts::new().tokens(Tokens::new(key())).shared_password(CREDENTIALS.clone());
    let authentication = Authentication::new(Open { accounts, names: BTreeSet::new() }, [3; 32]);
    let authentication = match kind >> 3 & 3 {
        0 => authentication,
        1 => authentication.registration(RegistrationRules::default()),
        2 => authentication.issue_tokens(IssuedTokens::default()),
        _ => authentication.registration(RegistrationRules::default()).issue_tokens(IssuedTokens::default()),
    };
    let authentication = if kind & 1 == 0 { authentication } else { authentication.dialogue() };
    let address = ["tcp://127.0.0.1:1", "telnet://127.0.0.1:1", "length://127.0.0.1:1?prefix=varint"];
    let listen: Listen = address[usize::from(kind >> 1) % 3].parse().expect("well formed");
    let rooms = RoomOptions::new("*", Keep::messages(10)).presence(Presence::Names);
    let memory = RoomMemory::default().rooms(vec![rooms]).bytes_max(64 << 10);
    let config = Config::listening([listen]).memory(memory).unlimited();
    let mut hub = TestHub::with_config(config, service().within(authentication));
    let conn = hub.connect();
    if kind & 0x40 != 0 {
        let claims = Claims::of("ann").exp(Some(1_800_000_060));
        let proof = format!("/auth {}", key().sign(&claims).expect("it signs"));
        let prefix = [proof.len() & 0x7f | 0x80, proof.len() >> 7].map(|byte| u8::try_from(byte).expect("short"));
        let is_framed = usize::from(kind >> 1) % 3 == 2;
        let framed = if is_framed { [&prefix, proof.as_bytes()].concat() } else { [proof.as_bytes(), b"\n"].concat() };
        hub.send(conn, &framed);
    }
    for piece in stream.chunks(if kind & 0x80 == 0 { 64 } else { 7 }) {
        let peak = peak_of(|| hub.send(conn, piece));
        assert!(peak < 2 << 20, "{peak} bytes held for {} sent", piece.len());
    }
    hub.advance(Duration::from_secs(120));
    hub.end(conn);
    hub.advance(Duration::from_secs(120));
    assert!(hub.is_closed(conn));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.handler_panics, metrics.tickets, metrics.rooms), (0, 0, 0));
    assert_eq!(metrics.memory.present, 0, "a name outlives its last member");
}

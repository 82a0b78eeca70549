//! Peers that log in, with right or wrong credentials, before they send anything else.

use crate::swarm::Swarm;
use drupe_core::kit::auth::scram::{Credentials, ScramClient as Scram};
use drupe_core::kit::auth::{
    Account, Accounts, Authentication, AuthenticationLimits, Claims, DuplicateLogin, IssuedTokens, Lookup, Provider,
    Registration, RegistrationRules, TokenKey, Tokens, Verdict,
};
use drupe_core::kit::names::confusable_key;
use drupe_core::limit::Rate;
use drupe_core::sim::{Client, Do};
use drupe_core::{ConnId, Identity, NoNote, Shard, UnixTime};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The wall clock at the start, in seconds since 1970.
pub(crate) const UNIX_SECS: u64 = 1_800_000_000;
const PASSWORD: &str = "correct horse";

/// Credentials that all worlds share, because hashing is slow.
pub(crate) struct Keys {
    credentials: Credentials,
    key: TokenKey,
}

/// The authentication settings of one world.
#[derive(Clone)]
pub(crate) struct Logins {
    accounts: Accounts,
    limits: AuthenticationLimits,
    duplicates: DuplicateLogin,
    dialogue: bool,
    credentials: Credentials,
    registration: Option<RegistrationRules>,
    issues: Option<IssuedTokens>,
    /// The server's parts of all nonces so far.
    nonces: Rc<RefCell<BTreeSet<String>>>,
    /// A part that occurred twice.
    pub(crate) repeated: Rc<RefCell<Option<String>>>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let credentials = Credentials::new(PASSWORD, b"salt", 4_096).expect("in range");
        Self { credentials, key: TokenKey::hs256(&[7; 32]).expect("long enough") }
    }

    pub(crate) fn logins(&self, swarm: &mut Swarm) -> Logins {
        let accounts = Accounts::new().user("ann", self.credentials.clone(), ["join:all"]).expect("a name");
        let accounts = accounts.user("bob", self.credentials.clone(), []).expect("a name");
        let limits = AuthenticationLimits::default()
            .deadline(swarm.span(&[5_000, 30_000]))
            .tries(swarm.pick(&[0, 1, 3]))
            .per_address(Rate::per(swarm.pick(&[1, 5, 1_000]), 300, swarm.pick(&[1, 5])).expect("not 0"))
            .per_user(Rate::per(swarm.pick(&[1, 50]), 300, 50).expect("not 0"));
        let duplicates = swarm.pick(&[DuplicateLogin::KeepBoth, DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld]);
        Logins {
            accounts: accounts.tokens(Tokens::new(self.key.clone())),
            limits,
            duplicates,
            dialogue: swarm.chance(3),
            credentials: self.credentials.clone(),
            registration: swarm.chance(2).then(|| {
                let often = Rate::per(swarm.pick(&[1, 100]), 300, swarm.pick(&[1, 3])).expect("not 0");
                RegistrationRules::default().per_address(often).password_chars_min(swarm.pick(&[0, 8, 1_000]))
            }),
            issues: swarm.chance(2).then(|| IssuedTokens::default().lifetime(swarm.span(&[0, 5_000, 300_000]))),
            nonces: Rc::default(),
            repeated: Rc::default(),
        }
    }

    /// Makes a client try to log in first, and then run the script `next`.
    pub(crate) fn client(
        &self,
        swarm: &mut Swarm,
        logins: &Logins,
        client: Client,
        mut next: Box<dyn FnMut(&mut drupe_core::Random) -> Do>,
    ) -> Client {
        let nonce = format!("client{:016x}", swarm.random.next_u64());
        let user = swarm.pick(&["ann", "bob", "nobody"]);
        let password = if swarm.chance(4) { "wrong" } else { PASSWORD };
        let scram = Scram::new(user, password, &nonce).expect("good");
        let first = match swarm.number(10) {
            8 => format!("create {} {PASSWORD}", swarm.pick(&["cat", "Cat", "ann", "dora", "a b"])),
            9 => format!(r#"{{"type":"register","user":"{user}{}","password":"{PASSWORD}"}}"#, swarm.number(9)),
            0 => "/auth nonsense".to_string(),
            1 => {
                let exp = Some(UNIX_SECS + swarm.pick(&[0, 10, 1_000]));
                let claims = Claims::of(user).exp(exp).scope("join:all".to_string());
                format!("/auth {}", self.key.sign(&claims).expect("it can sign"))
            }
            2 => "let me in".to_string(),
            _ => format!("/auth scram {}", scram.first()),
        };
        let asks_for_token = logins.issues.is_some() && swarm.chance(3);
        let known = Rc::new(Cell::new(false));
        let is_known = Rc::clone(&known);
        let (nonces, repeated) = (Rc::clone(&logins.nonces), Rc::clone(&logins.repeated));
        let answer = move |message: &str| {
            if message.contains("you are ") || message.contains("auth_ok") {
                let is_first = !known.replace(true);
                return (asks_for_token && is_first).then(|| r#"{"type":"token"}"#.to_string());
            }
            // A server that echoes also sends back the client's own messages.
            let is_first = message.contains("scram r=client") || message.contains("\"scram\":\"r=client");
            let begin = message.find("r=client").filter(|_| is_first)?;
            let server_first = message[begin..].split('"').next()?;
            let theirs = server_first.strip_prefix("r=")?.strip_prefix(nonce.as_str())?.split(',').next()?;
            if !nonces.borrow_mut().insert(theirs.to_string()) {
                *repeated.borrow_mut() = Some(theirs.to_string());
            }
            scram.answer(server_first).ok().map(|(last, _)| format!("/auth scram {last}"))
        };
        let rude = swarm.chance(8);
        client
            .begins_with(&first)
            .answers(answer)
            .does(move |random| if is_known.get() || rude && random.below(20) == 0 { next(random) } else { Do::Wait })
    }
}

impl Logins {
    /// Returns `true` if the layer takes a message, even from an authenticated peer.
    pub(crate) fn takes(&self, message: &str) -> bool {
        message.starts_with("/auth ")
            || self.issues.is_some() && message == r#"{"type":"token"}"#
            || self.registration.is_some() && message.starts_with(r#"{"type":"register""#)
    }

    /// Creates the authentication layer of one shard.
    pub(crate) fn layer(&self, shard: Shard) -> Authentication<Members> {
        let _ = shard;
        let members = Members {
            accounts: self.accounts.clone(),
            credentials: self.credentials.clone(),
            registered: BTreeMap::new(),
        };
        let mut layer = Authentication::new(members, [9; 32]).limits(self.limits).duplicates(self.duplicates);
        if let Some(rules) = self.registration {
            layer = layer.registration(rules);
        }
        if let Some(rules) = self.issues {
            layer = layer.issue_tokens(rules);
        }
        if self.dialogue { layer.dialogue() } else { layer }
    }
}

/// The accounts, and the users that have registered on one shard.
pub(crate) struct Members {
    accounts: Accounts,
    /// Those of all users who have registered, because hashing is slow.
    credentials: Credentials,
    registered: BTreeMap<String, Account>,
}

impl Provider<NoNote> for Members {
    fn token(&mut self, _: ConnId, token: &str, now: Option<UnixTime>) -> Verdict {
        self.accounts.verdict(token, now)
    }

    fn account(&mut self, _: ConnId, user: &str) -> Lookup {
        let mut registered = self.registered.values();
        let found = registered.find(|account| &*account.identity.user == user).cloned();
        self.accounts.account(user).or(found).into()
    }

    fn register(&mut self, _: ConnId, user: &str, password: &str) -> Registration {
        assert!(password.chars().count() < 1_000, "a password of {} characters", password.chars().count());
        let key = confusable_key(user);
        if self.registered.contains_key(&key) || self.accounts.account(user).is_some() {
            return Registration::NameTaken;
        }
        let account = Account::new(self.credentials.clone(), Identity::user(user));
        self.registered.insert(key, account.clone());
        Registration::Registered(account.into())
    }
}

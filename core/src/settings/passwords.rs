use crate::kit::auth::scram::{Credentials, ScramError, salt};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// The passwords of a configuration as a server stores them, kept from one load to the next: what has not changed is not hashed
/// again, which takes milliseconds for each.
///
/// It belongs to one server, whose [`Authentication`](crate::kit::auth::Authentication) has the same secret.
pub struct HashedPasswords {
    secret: [u8; 32],
    /// By user; the shared password has none.
    known: BTreeMap<Option<String>, Hashed>,
    hashed: u64,
}

#[derive(Clone)]
struct Hashed {
    password: String,
    credentials: Credentials,
}

impl HashedPasswords {
    /// None yet. `secret` is that of [`Authentication::new`](crate::kit::auth::Authentication::new).
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret, known: BTreeMap::new(), hashed: 0 }
    }

    /// How many passwords were hashed so far.
    #[must_use]
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// The stored form of a user's password, or of the shared one.
    pub(super) fn get(
        &mut self,
        user: Option<&str>,
        password: &str,
        iterations: u32,
    ) -> Result<Credentials, ScramError> {
        let user = user.map(String::from);
        let known = self.known.get(&user).filter(|known| known.password == password);
        if let Some(known) = known.filter(|known| known.credentials.iterations() == iterations) {
            return Ok(known.credentials.clone());
        }
        let credentials = match &user {
            Some(user) => Credentials::of_user(&self.secret, user, password, iterations)?,
            None => Credentials::new(password, &salt(&self.secret, ""), iterations)?,
        };
        self.hashed += 1;
        self.known.insert(user, Hashed { password: password.into(), credentials: credentials.clone() });
        Ok(credentials)
    }

    /// Forgets who is not among these users any more.
    pub(super) fn retain(&mut self, is_user: impl Fn(Option<&str>) -> bool) {
        self.known.retain(|user, _| is_user(user.as_deref()));
    }
}

impl fmt::Debug for HashedPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedPasswords").field("hashed", &self.hashed).finish_non_exhaustive()
    }
}

use crate::kit::auth::scram::{Credentials, ScramError, salt};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// Password hashes that are kept across reloads of the configuration.
///
/// Hashing takes milliseconds per password, so unchanged passwords are not hashed again. Each
/// server has its own `HashedPasswords`, with the secret of its
/// [`Authentication`](crate::kit::auth::Authentication).
pub struct HashedPasswords {
    secret: [u8; 32],
    /// The known hashes by user; the shared password has the key `None`.
    known: BTreeMap<Option<String>, Hashed>,
    hashed: u64,
}

#[derive(Clone)]
struct Hashed {
    password: String,
    credentials: Credentials,
}

impl HashedPasswords {
    /// Creates an empty store with the secret of the server's authentication.
    ///
    /// `secret` is that of [`Authentication::new`](crate::kit::auth::Authentication::new).
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret, known: BTreeMap::new(), hashed: 0 }
    }

    /// Returns the number of passwords hashed so far.
    #[must_use]
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// Returns the hash of a user's password, or of the shared password if `user` is `None`.
    ///
    /// Hashes the password only if it or the number of iterations has changed.
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

    /// Keeps only the hashes for which `is_user` returns `true`. `None` is the shared password.
    pub(super) fn retain(&mut self, is_user: impl Fn(Option<&str>) -> bool) {
        self.known.retain(|user, _| is_user(user.as_deref()));
    }
}

impl fmt::Debug for HashedPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedPasswords").field("hashed", &self.hashed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::auth::scram::effort;
    use crate::settings::{AuthenticationPlan, Sources};

    const SECRET: [u8; 32] = [3; 32];

    fn plan(authentication: &str) -> AuthenticationPlan {
        let text = alloc::format!("authentication: {{ enabled: true, iterations: 4096, {authentication} }}");
        let resolved = Sources::new().file("drupe.yaml", &text).resolve();
        resolved.expect("a good configuration").plan.authentication.expect("it is enabled")
    }

    #[test]
    fn reload_hashes_only_new_and_changed_passwords() {
        let mut hashed = HashedPasswords::new(SECRET);
        let (first, second) =
            ("ann: { password: a }, bob: { password: b }", "ann: { password: a }, bob: { password: x }");
        for (authentication, count) in [
            (alloc::format!("shared_password: s, users: {{ {first} }}"), 3),
            (alloc::format!("shared_password: s, users: {{ {first} }}"), 0),
            (alloc::format!("shared_password: s, users: {{ {second} }}"), 1),
            (alloc::format!("users: {{ {second} }}"), 0),
            // The hash of a removed password is not kept.
            (alloc::format!("shared_password: s, users: {{ {second} }}"), 1),
            // Other keys do not affect the hashes.
            (alloc::format!("shared_password: s, users: {{ {second} }}, tries: 9"), 0),
        ] {
            let mut read = None;
            let checked = effort::of(|| read = Some(plan(&authentication)));
            assert!(checked < 4_096, "checking a configuration hashes nothing");
            let before = hashed.hashed();
            let accounts = read.expect("just read").accounts(&mut hashed, None).expect("good");
            assert_eq!(hashed.hashed() - before, count, "{authentication}");
            let bob = accounts.credentials("bob").expect("there is one");
            assert!(bob.verify(if authentication.contains("password: x") { "x" } else { "b" }));
        }
        let before = hashed.hashed();
        let all = plan("shared_password: s, users: { ann: { password: a }, bob: { password: x } }");
        all.accounts(&mut hashed, None).expect("good");
        assert_eq!(hashed.hashed(), before);
        let more = Sources::new()
            .file("drupe.yaml", "authentication: { enabled: true, shared_password: s, iterations: 5000 }");
        let more = more.resolve().expect("good").plan.authentication.expect("it is enabled");
        more.accounts(&mut hashed, None).expect("good");
        assert_eq!(hashed.hashed(), before + 1, "another number of iterations needs another hash");
    }

    #[test]
    fn users_with_equivalent_names_are_refused() {
        let text = "authentication: { enabled: true, users: { ann: { password: a }, \u{ff41}nn: { password: b } } }";
        let problems = Sources::new().file("drupe.yaml", text).resolve().expect_err("one of them would win");
        assert!(
            alloc::string::ToString::to_string(&problems)
                .contains("another user has an equivalent name; both compare as ann")
        );
    }
}

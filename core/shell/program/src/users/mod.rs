//! The store of users (`authentication.store`), if the program was built with it.
//!
//! A file of SQLite has the users that register, and those of the command `user`. Two threads of the
//! server use it: workers queue lookups and registrations, and the answers come back as notes.
//!
//! A registration is confirmed after the user is on the disk: see [`store`]. A user is looked up at
//! each login, so a change by the command `user` takes effect at once in a running server.
//! Connections that are open already stay. A login between its messages continues with the account
//! as it was looked up.
//!
//! The store also has the secret of the authentication. So the salts of unknown users and the issued
//! tokens stay the same after a restart.

#[cfg(feature = "users")]
pub(crate) mod command;
#[cfg(feature = "users")]
mod dates;
#[cfg(feature = "users")]
mod error;
#[cfg(feature = "users")]
mod server;
#[cfg(feature = "users")]
mod store;
#[cfg(all(test, feature = "users"))]
mod store_tests;
#[cfg(feature = "users")]
mod thread;
#[cfg(all(test, feature = "users"))]
mod thread_tests;
#[cfg(not(feature = "users"))]
mod without;

#[cfg(feature = "users")]
pub(crate) use server::{Users, check, open};
#[cfg(not(feature = "users"))]
pub(crate) use without::{Users, check, open};

/// The key of the store in the configuration.
const KEY: &str = "authentication.store";

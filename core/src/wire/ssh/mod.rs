//! SSH (RFC 4251 to 4254), in the role of the server.
//!
//! The core does not implement SSH. The shell's SSH server does the key exchange and the
//! authentication, and passes one session channel of each SSH connection to the machine. What the
//! machine receives from it is a sequence of [frames](SshFrame):
//!
//! 1. Any number of [attempts](LoginAttempt) to log in about which the application decides, each answered with one
//!    byte before the next one: see [`Event::Login`](crate::Event::Login).
//! 2. A [login](SshLogin): the user, whether the user is authenticated, the terminal if the client
//!    asked for one, and the environment. If the login fails, a [fault](SshFault) takes its place,
//!    and the connection ends with the reason of the fault.
//! 3. Input, and the sizes of the client's window.
//!
//! What the machine sends is the output of the session, without frames. [`SshSession`] describes how
//! the input is read, and [`SshDecoder`] reads it. [`SshServer`] configures a listener.
//!
//! Only the shell's SSH server writes frames. A peer cannot: its bytes arrive as the content of
//! frames.

mod attempt;
mod config;
mod decoder;
mod fault;
mod frame;
mod host;
mod login;
mod session;

pub use attempt::{LoginAttempt, LoginProof};
pub use config::{SshServer, SshServerError};
pub use decoder::SshDecoder;
pub use fault::SshFault;
pub use frame::SshFrame;
pub(crate) use frame::{Prelude, parse_prelude};
pub use host::SshHost;
pub use login::{SshLogin, SshTerminal};
pub use session::SshSession;

#[cfg(test)]
mod tests;

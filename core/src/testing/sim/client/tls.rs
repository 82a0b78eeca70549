//! A codec that carries another codec's bytes over TLS, with the client of rustls.
//!
//! rustls uses its own random numbers. The world sees only lengths of encrypted data. If all
//! certificates and keys have the same length (Ed25519), the lengths of the encrypted data depend
//! only on the content.

use super::codec::Codec;
use crate::base::Random;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};

pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    within: Box<dyn Codec>,
    connection: Option<ClientConnection>,
    /// The first bytes of the inner codec, until the handshake is complete.
    first: Vec<u8>,
    begun: bool,
    /// Whether bytes arrived after the handshake.
    ///
    /// Before that, the server may not have received the client's last handshake message.
    answered: bool,
    has_closed: bool,
    /// Whether the client has sent application data.
    has_said: bool,
    /// Whether TLS failed, during the handshake or later.
    failed: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ClientConfig>, name: ServerName<'static>, within: Box<dyn Codec>) -> Self {
        let (connection, first) = (None, Vec::new());
        Self {
            config,
            name,
            within,
            connection,
            first,
            begun: false,
            answered: false,
            has_closed: false,
            has_said: false,
            failed: false,
        }
    }

    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let Some(connection) = &mut self.connection else { return };
        self.has_said |= !plain.is_empty();
        if !plain.is_empty() {
            let _ = connection.writer().write_all(plain);
        }
        while connection.wants_write() && connection.write_tls(out).is_ok() {}
    }

    fn is_secured(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_handshaking())
    }
}

impl Codec for Tls {
    fn within(&self) -> Option<&dyn Codec> {
        Some(&*self.within)
    }

    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        Some(&mut *self.within)
    }

    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        (self.begun, self.answered, self.has_closed, self.has_said, self.failed) = (false, false, false, false, false);
        self.connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone()).ok();
        self.first.clear();
        self.within.begin(random, &mut self.first);
        self.seal(&[], out);
    }

    fn is_ready(&self) -> bool {
        self.begun && !self.failed && self.within.is_ready()
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        let mut plain = Vec::new();
        self.within.say(message, random, &mut plain);
        self.seal(&plain, out);
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut plain = Vec::new();
        self.within.raw(bytes, &mut plain);
        self.seal(&plain, out);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let mut plain = Vec::new();
        self.within.fidget(random, &mut plain);
        self.seal(&plain, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        let mut plain = Vec::new();
        self.within.close(&mut plain);
        self.seal(&plain, out);
        if let Some(connection) = &mut self.connection {
            connection.send_close_notify();
        }
        self.seal(&[], out);
        true
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.failed {
            let was_secured = self.is_secured();
            self.answered |= was_secured;
            let Some(connection) = &mut self.connection else { return Ok(()) };
            if connection.read_tls(&mut rest).is_err() {
                return Err("more TLS bytes than the buffer of rustls holds".to_string());
            }
            let mut plain = Vec::new();
            match connection.process_new_packets() {
                Ok(state) => {
                    self.has_closed |= state.peer_has_closed();
                    plain.resize(state.plaintext_bytes_to_read(), 0);
                    let _ = connection.reader().read_exact(&mut plain);
                }
                Err(error) => {
                    self.failed = true;
                    // An alert is allowed: the server may reject our certificate even after the
                    // handshake.
                    let is_alert = matches!(error, rustls::Error::AlertReceived(_));
                    if was_secured && !is_alert {
                        return Err(format!("a TLS error after the handshake: {error}"));
                    }
                }
            }
            let mut answer = Vec::new();
            if self.is_secured() && !core::mem::replace(&mut self.begun, true) {
                answer = core::mem::take(&mut self.first);
            }
            let outcome = self.within.hear(&plain, heard, &mut answer);
            self.seal(&answer, out);
            // The server treats a peer that sends nothing as a line client.
            outcome.or_else(|odd| if self.has_said { Err(odd) } else { Ok(()) })?;
        }
        Ok(())
    }

    fn finished(&mut self, heard: &mut Vec<String>) -> Result<(), String> {
        if !self.answered || self.failed {
            return Ok(());
        }
        if !self.has_closed {
            return Err("TLS ends without close_notify".to_string());
        }
        self.within.finished(heard)
    }

    fn rested(&mut self) -> Result<(), String> {
        if self.is_ready() { self.within.rested() } else { Ok(()) }
    }
}

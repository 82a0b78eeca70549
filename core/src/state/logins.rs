//! Logins before a connection opens, about which the handler decides.

use super::State;
use super::exchange::{Exchange, Login, LoginAnswer};
use crate::base::{ConnId, Identity};
use crate::wire::ssh::LoginAttempt;

impl State {
    /// Begins an attempt. `is_offer`: whether the peer has proved nothing yet.
    pub(crate) fn begin_login(&mut self, id: ConnId, is_offer: bool) {
        if let Some(conn) = self.conns.get_mut(id) {
            let login = Login { is_offer, answer: LoginAnswer::Open, identity: None };
            conn.handshake.exchange = Some(Exchange::Login(login));
        }
    }

    /// Makes the attempt of the current event wait for a later answer. Returns `false` if there is none.
    pub(crate) fn promise_login(&mut self, id: ConnId) -> bool {
        let login = self.login(id).filter(|login| login.answer == LoginAnswer::Open);
        login.map(|login| login.answer = LoginAnswer::Promised).is_some()
    }

    /// Answers an attempt. `None` refuses it. Returns `false` if no answer is awaited.
    pub(crate) fn answer_login(&mut self, id: ConnId, identity: Option<Identity>) -> bool {
        let Some(login) = self.login(id).filter(|login| login.answer != LoginAnswer::Given) else { return false };
        login.answer = LoginAnswer::Given;
        let answer = if identity.is_some() { LoginAttempt::ACCEPTED } else { LoginAttempt::REFUSED };
        // An offer proves nothing.
        login.identity = identity.filter(|_| !login.is_offer);
        self.outbound.control(id.slot(), &[answer]);
        true
    }

    /// Refuses an attempt that the handler has neither answered nor promised to answer.
    pub(crate) fn refuse_ignored_login(&mut self, id: ConnId) {
        let Some(login) = self.login(id).filter(|login| login.answer == LoginAnswer::Open) else { return };
        let is_offer = login.is_offer;
        self.metrics.authentication_failures += u64::from(!is_offer);
        self.answer_login(id, None);
    }

    /// Returns `true` if an attempt of this connection is not answered yet.
    pub(crate) fn awaits_login_answer(&self, id: ConnId) -> bool {
        let exchange = self.conns.get(id).and_then(|conn| conn.handshake.exchange.as_ref());
        matches!(exchange, Some(Exchange::Login(login)) if login.answer != LoginAnswer::Given)
    }

    /// Returns `true` if the peer has tried to log in, and its connection is not open yet.
    pub(crate) fn is_logging_in(&self, id: ConnId) -> bool {
        let conn = self.conns.get(id).filter(|conn| conn.is_undecided());
        conn.is_some_and(|conn| matches!(conn.handshake.exchange, Some(Exchange::Login(_))))
    }

    /// Ends the logins of a connection that opens. Returns who the peer is, if the handler has accepted a proof.
    pub(crate) fn take_login(&mut self, id: ConnId) -> Option<Identity> {
        let identity = self.login(id).map(|login| login.identity.take());
        let conn = self.conns.get_mut(id).filter(|_| identity.is_some())?;
        conn.take_exchange();
        identity.flatten()
    }

    fn login(&mut self, id: ConnId) -> Option<&mut Login> {
        match self.conns.get_mut(id)?.exchange_mut() {
            Some(Exchange::Login(login)) => Some(login),
            _ => None,
        }
    }
}

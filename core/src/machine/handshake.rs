//! Protocol detection from a peer's first bytes, and HTTP handshakes.

use super::Machine;
use crate::base::Origin;
use crate::base::{ConnId, Peer, Reason, some_time};
use crate::config::{Address, Listen, PageLogin, Rate};
use crate::handler::{Event, Handler};
use crate::state::conn::HandshakeStep;
use crate::state::{Ending, Exchange};
use crate::web::{Answer, Outcome, Site, answer};
use crate::wire::http::{Access, Bad, Forwarded, HeadSearch, Http, ParsedHead, Request, Scheme, parse_head};
use crate::wire::http::{BODY_TOO_LONG, Guarded, Refused, Status};
use crate::wire::websocket::WebSocket;
use crate::wire::{Detected, NO_TLS, ProbeInput, Protocol, Wire, WsTelnet};
use alloc::format;

impl<H: Handler> Machine<H> {
    /// Continues the handshake of a connection, and opens it once its protocol is known.
    pub(super) fn probe(&mut self, conn: ConnId, input: ProbeInput) {
        let found = self.state.conns.get(conn).filter(|found| found.is_undecided());
        if let Some(step) = found.map(|found| found.step).filter(|step| *step != HandshakeStep::Speech) {
            return self.advance_handshake(conn, step, input);
        }
        match found.map(|found| found.origin) {
            Some(Origin::Listener(_)) => {}
            Some(Origin::Dial(dial)) => return self.look_for_response(conn, dial, input),
            None => return,
        }
        let offered = found.and_then(|found| found.handshake.offered.as_ref()).map(|offered| offered.protocol.clone());
        match offered {
            Some(Protocol::Auto(_)) if self.state.conns.get(conn).is_some_and(|found| found.is_http) => {
                let http = self.http_of_auto(conn);
                self.look_for_requests(conn, &http, input);
            }
            Some(Protocol::Auto(auto)) => {
                let Some(found) = self.state.conns.get_mut(conn) else { return };
                match auto.detect(&found.held, &mut found.handshake.head_search.searched, input) {
                    Detected::Unclear => {}
                    Detected::Spoken(wire) => self.start_protocol(conn, wire, None),
                    Detected::Http => {
                        found.handshake.head_search = HeadSearch::START;
                        let http = self.http_of_auto(conn);
                        self.state.await_request(conn, http.timeout);
                        let input = if input == ProbeInput::Waited { ProbeInput::Growing } else { input };
                        self.look_for_requests(conn, &http, input);
                    }
                    Detected::Refused(words) => self.refuse(conn, words, Reason::WrongProtocol),
                }
            }
            Some(Protocol::Http(http)) => self.look_for_requests(conn, &http, input),
            Some(Protocol::Ssh(server)) => self.look_for_login(conn, server.mode, input),
            Some(Protocol::Spoken(wire)) => self.start_protocol(conn, wire, None),
            None => self.state.end(conn.slot(), Reason::WrongProtocol, Ending::Flush),
        }
    }

    /// Returns the HTTP settings of a connection whose listener detects the protocol.
    ///
    /// Such listeners have no access settings of their own.
    fn http_of_auto(&self, conn: ConnId) -> Http {
        let metrics = self.state.listen_of(conn).map_or(Access::Off, Listen::metrics_by_default);
        Http { metrics, ..Http::default() }
    }

    fn look_for_requests(&mut self, conn: ConnId, http: &Http, input: ProbeInput) {
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        let mut held = found.held.take();
        let (mut used, mut search) = (0, found.handshake.head_search);
        let wire = self.answer_requests(conn, http, input, &held, (&mut used, &mut search));
        if let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) {
            held.consume(used);
            found.held.keep(held);
            found.handshake.head_search = search;
        }
        if let Some((wire, request)) = wire {
            let wire = match (wire, http.telnet) {
                (Wire::WebSocket(socket), Some(telnet)) if !request.opens_monitor() => {
                    Wire::WsTelnet(WsTelnet { telnet, socket })
                }
                (wire, _) => wire,
            };
            self.start_protocol(conn, wire, Some(&request));
        }
    }

    /// Answers HTTP requests, no faster than the peer reads, until one begins another protocol.
    fn answer_requests(
        &mut self,
        conn: ConnId,
        http: &Http,
        input: ProbeInput,
        held: &[u8],
        (used, search): (&mut usize, &mut HeadSearch),
    ) -> Option<(Wire, Request)> {
        let index = conn.slot();
        let mut answered = false;
        while let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) {
            if core::mem::take(&mut found.backlog) {
                // The backlog is over, so the connection is read again, whatever the request's
                // outcome.
                self.state.outbound.changed.insert(index);
                self.state.body_goes_on(conn, http.timeout);
            }
            let rest = &held[*used..];
            match &self.state.conns.get(conn)?.handshake.exchange {
                Some(Exchange::Reading(_)) => {
                    if !self.read_body(conn, http, input, (rest, used)) {
                        return None;
                    }
                    answered = true;
                    continue;
                }
                // What follows the request waits for the response.
                Some(Exchange::Waiting(_)) => return None,
                Some(Exchange::Streaming(_)) => return self.begin_stream(conn, http),
                // Only SSH listeners have logins.
                Some(Exchange::Login(_)) | None => {}
            }
            let (request, length) = match parse_head(rest, search, http.body_limit()) {
                ParsedHead::Request(request, length) => (request, length),
                ParsedHead::Unclear => {
                    self.request_is_incomplete(conn, input, !rest.is_empty());
                    return None;
                }
                ParsedHead::Bad(bad) => {
                    self.refuse_bad(conn, &bad, http.body_limit());
                    return None;
                }
                ParsedHead::Tls => {
                    self.refuse(conn, NO_TLS, Reason::WrongProtocol);
                    return None;
                }
            };
            if self.state.must_wait(index) || answered && self.state.should_write_first(index) {
                self.let_request_wait(conn);
                return None;
            }
            if request.asks_for_upgrade()
                && let Some(forwarded) = &http.forwarded
                && !self.told_by_proxy(conn, forwarded, &request)
            {
                return None;
            }
            answered = true;
            *used += length;
            if !self.state.charge(index, 1, length as u64).serves() {
                if request.has_body() {
                    self.refuse_excess(conn);
                }
                continue;
            }
            if let Some((socket, request)) = self.answer(conn, http, request) {
                return Some((Wire::WebSocket(socket), request));
            }
        }
        None
    }

    /// Ends a connection whose input ended or timed out before a request was complete.
    ///
    /// `has_begun`: whether a part of the request has arrived.
    pub(super) fn request_is_incomplete(&mut self, conn: ConnId, input: ProbeInput, has_begun: bool) {
        let index = conn.slot();
        match input {
            ProbeInput::Growing => {}
            ProbeInput::Ended => {
                let is_cut = has_begun && self.state.conns.get(conn).is_some_and(|found| found.truncated);
                let reason = if is_cut { Reason::Truncated } else { Reason::PeerClosed };
                self.state.end(index, reason, Ending::Flush);
            }
            ProbeInput::Waited if !has_begun => self.state.end(index, Reason::Idle, Ending::Flush),
            ProbeInput::Waited => {
                self.refuse(conn, &Status::REQUEST_TIMEOUT.last_words(false), Reason::MessageTimeout);
            }
        }
    }

    /// Lets received input of a connection wait until it may be handled.
    pub(super) fn let_request_wait(&mut self, conn: ConnId) {
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.backlog = true;
        }
        self.state.schedule(conn.slot());
    }

    /// Answers one request. Returns the WebSocket and its request if the connection was upgraded.
    fn answer(&mut self, conn: ConnId, http: &Http, request: Request) -> Option<(WebSocket, Request)> {
        let (peer, scheme) = (self.state.conns.get(conn)?.peer, self.scheme(conn, http, &request));
        // The client whose failed credentials are counted, if this listener accepts any.
        let client = http.forwarded.as_ref().map_or(peer, |proxies| proxies.client(peer, &request));
        let client = client.key().filter(|_| http.has_credentials());
        let now = self.state.now;
        // A client certificate that names a user is the login.
        let secured = self.state.conns.get(conn).and_then(|found| found.secured.as_ref());
        let is_identified = secured.is_some_and(|secured| secured.user.is_some());
        let is_over = |key| self.state.monitor_failures.check(now, &key, Rate::WRONG_PROOFS).is_err();
        let site = Site {
            http,
            pages: &self.state.config.pages,
            login: if is_identified { PageLogin::None } else { self.state.config.pages.login },
            drains: self.state.is_draining(),
            retry_after: some_time(self.state.config.drain.retry_after),
            seed: self.state.config.seed.unwrap_or_default(),
            scheme,
            is_throttled: client.is_some_and(is_over),
            metrics: || self.state.metrics_of_all().exposition(),
            health: || self.state.health(),
        };
        let answer = answer(&request, site);
        if let Some(refused) = answer.unserved(&request) {
            // The credential was needed for this answer, and the handler must know that it was given.
            let guarded = http.guards(request.path());
            self.pass_to_handler(conn, http, request.admitted_to(guarded), refused);
            return None;
        }
        let Answer { bytes, is_last, outcome } = answer;
        self.state.outbound.control(conn.slot(), &bytes);
        let reason = match outcome {
            // The upgrade response is sent as control data, so that no pong overtakes it.
            Outcome::Upgraded { socket, is_monitor } => {
                if let Some(found) = self.state.conns.get_mut(conn) {
                    found.is_watcher = is_monitor;
                }
                let guarded = is_monitor.then_some(Guarded::Monitor);
                return Some((socket, request.admitted_to(guarded)));
            }
            Outcome::Served(endpoint) => {
                self.state.count_request(endpoint);
                self.state.answered(conn);
                Reason::Answered
            }
            Outcome::Refused(refused) => {
                if refused.reason == Reason::Unauthorized {
                    if let Some(key) = client {
                        let _ = self.state.monitor_failures.try_charge(now, &key, Rate::WRONG_PROOFS);
                    }
                    self.state.metrics.authentication_failures += 1;
                }
                self.tell_refused(conn, refused, Some(&request));
                refused.reason
            }
        };
        self.state.finish_request(conn, is_last, reason, http.timeout);
        None
    }

    /// Returns the scheme of a request, or `None` if only a proxy knows it and does not report it.
    pub(super) fn scheme(&self, conn: ConnId, http: &Http, request: &Request) -> Option<Scheme> {
        let found = self.state.conns.get(conn)?;
        // A mount is like a proxy: only the other server knows whether it spoke TLS.
        let is_mounted = self.state.listen_of(conn).is_some_and(|listen| matches!(listen.address, Address::Mounted(_)));
        let is_by_proxy = found.uncounted || found.readmitted || is_mounted || found.peer == Peer::Local;
        match &http.forwarded {
            _ if found.secured.is_some() => Some(Scheme::Https),
            _ if !is_by_proxy => Some(Scheme::Http),
            Some(forwarded) => forwarded.scheme(request),
            None => None,
        }
    }

    /// Refuses a malformed or ambiguous request, and ends its connection.
    ///
    /// `body_max`: the limit for its body, in bytes.
    pub(super) fn refuse_bad(&mut self, conn: ConnId, bad: &Bad, body_max: u32) {
        let Bad { status, reason, why, ref request } = *bad;
        let is_head = request.as_ref().is_some_and(|request| request.is_head());
        let words = if why == BODY_TOO_LONG { format!("{why}: at most {body_max} bytes") } else { why.into() };
        self.state.outbound.control(conn.slot(), &status.last_words_with(&words, is_head));
        if reason == Reason::BadRequest {
            self.tell_refused(conn, Refused { status, reason, why }, request.as_deref());
            self.state.end_without_event(conn.slot(), reason, Ending::Flush);
        } else {
            self.state.end(conn.slot(), reason, Ending::Flush);
        }
    }

    /// Emits [`Event::RequestRefused`], counts the refusal, and marks the connection as HTTP.
    pub(super) fn tell_refused(&mut self, conn: ConnId, refused: Refused, request: Option<&Request>) {
        let Refused { status, reason, why } = refused;
        self.state.metrics.requests_refused.add(reason);
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        found.is_http = true;
        self.state.record_error_of(conn, reason);
        let Some(found) = self.state.conns.get(conn) else { return };
        if let (peer, Origin::Listener(listener)) = (found.peer, found.origin) {
            let status = status.code();
            self.emit(Event::RequestRefused { listener, peer, reason, status, why, request });
        }
    }

    /// Admits or refuses the client that a proxy reports. Returns `true` if the client is admitted.
    ///
    /// If the proxy reports no readable client, its own address counts.
    pub(super) fn told_by_proxy(&mut self, conn: ConnId, forwarded: &Forwarded, request: &Request) -> bool {
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| !found.readmitted) else { return true };
        // The first shard may answer later, and its answer is then for an HTTP client.
        found.is_http = true;
        let client = forwarded.client(found.peer, request);
        match self.state.arrived(conn, client) {
            Some(Ok(())) => true,
            Some(Err(reason)) => {
                self.refuse_upgrade(conn, reason);
                false
            }
            None => false,
        }
    }

    /// Refuses an HTTP client with the status for `reason`, and ends the connection.
    pub(super) fn refuse_upgrade(&mut self, conn: ConnId, reason: Reason) {
        let status = Status::of_refusal(reason);
        self.refuse(conn, &status.last_words_with(reason.sentence(), false), reason);
    }

    pub(super) fn start_protocol(&mut self, conn: ConnId, wire: Wire, request: Option<&Request>) {
        let Some(found) = self.state.conns.get(conn) else { return };
        let (peer, origin) = (found.peer, found.origin);
        if let Origin::Dial(dial) = origin {
            self.state.dials.connected(dial, conn, Some(self.state.now));
        }
        self.state.select_wire(conn, wire);
        self.state.identify_by_certificate(conn);
        self.emit(Event::Opened { conn, peer, origin, request });
        self.serve_held(conn);
    }

    pub(super) fn refuse(&mut self, conn: ConnId, words: &[u8], reason: Reason) {
        self.state.outbound.control(conn.slot(), words);
        self.state.end(conn.slot(), reason, Ending::Flush);
    }
}

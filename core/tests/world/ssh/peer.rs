//! Clients of SSH listeners, as the shell's SSH server passes them on.

use drupe_core::Random;
use drupe_core::sim::{Act, Actor};
use drupe_core::wire::ssh::{LoginAttempt, LoginProof, SshFault, SshFrame, SshLogin, SshTerminal};

/// What a client does about its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It logs in with a key that is accepted, or gives up.
    Polite,
    /// It asks for a session without a login, as on a listener that is open.
    WithoutLogin,
}

/// Where a client is in its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The attempt with this index is not answered yet.
    Asked(usize),
    /// The attempt with this index is the next one.
    Next(usize),
    /// The session has begun.
    Served,
    /// It sends nothing more.
    Over,
}

/// One connection of a client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The number of keys that the client has proved to hold and that were refused.
    pub(crate) refused: u32,
    /// The number of keys that the client has proved to hold.
    pub(crate) proved: u32,
    /// The user of the proof that was accepted, as the client named it.
    pub(crate) user: Option<String>,
    pub(crate) has_begun: bool,
    /// Whether the server refused the connection itself.
    pub(crate) was_refused: bool,
    /// What the server sent after the session began.
    pub(crate) heard: Vec<u8>,
}

/// A client with a list of users and keys, which it offers and proves one after another.
#[derive(Debug)]
pub(crate) struct Peer {
    manners: Manners,
    /// Pairs of a user and a key.
    keys: Vec<(String, String)>,
    /// Whether the client proves a key without having offered it.
    skips_offers: bool,
    step: Step,
    /// Whether the attempt is an offer.
    is_offer: bool,
    /// Frames to send at once.
    replies: Vec<u8>,
    pub(crate) sessions: Vec<Session>,
    broken: Option<String>,
}

impl Peer {
    pub(crate) fn new(manners: Manners, keys: Vec<(String, String)>, skips_offers: bool) -> Self {
        Self {
            manners,
            keys,
            skips_offers,
            step: Step::Over,
            is_offer: false,
            replies: Vec::new(),
            sessions: Vec::new(),
            broken: None,
        }
    }

    /// Sends the attempt with this index, or gives up.
    fn attempt(&mut self, index: usize, is_offer: bool, out: &mut Vec<u8>) {
        let Some((user, key)) = self.keys.get(index) else {
            SshFrame::Failed(SshFault::Refused).write(out);
            self.step = Step::Over;
            return;
        };
        let proof = if is_offer { LoginProof::Offer(key.clone()) } else { LoginProof::Key(key.clone()) };
        SshFrame::Attempt(&LoginAttempt::new(user, proof)).write(out);
        (self.step, self.is_offer) = (Step::Asked(index), is_offer);
        if let Some(session) = self.sessions.last_mut() {
            session.proved += u32::from(!is_offer);
        }
    }

    fn begin_session(&mut self, user: &str, is_authenticated: bool, has_terminal: bool, out: &mut Vec<u8>) {
        let login = SshLogin::user(user);
        let login = if has_terminal { login.terminal(SshTerminal::new("xterm", 80, 24)) } else { login };
        SshFrame::Login(&if is_authenticated { login.authenticated() } else { login }).write(out);
        self.step = Step::Served;
        if let Some(session) = self.sessions.last_mut() {
            session.has_begun = true;
        }
    }

    /// Handles the answer to an attempt.
    fn answered(&mut self, index: usize, answer: u8) {
        let Some(session) = self.sessions.last_mut() else { return };
        let mut out = Vec::new();
        match answer {
            LoginAttempt::ACCEPTED if self.is_offer => self.attempt(index, false, &mut out),
            LoginAttempt::ACCEPTED => {
                let user = self.keys[index].0.clone();
                session.user = Some(user.clone());
                self.begin_session(&user, true, index.is_multiple_of(2), &mut out);
            }
            LoginAttempt::REFUSED => {
                session.refused += u32::from(!self.is_offer);
                // The next one follows after a while, as the SSH server delays it.
                self.step = Step::Next(index + 1);
            }
            other => {
                self.broken.get_or_insert(format!("an attempt was answered with the byte {other}"));
            }
        }
        self.replies.extend(out);
    }
}

impl Actor for Peer {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        self.sessions.push(Session {
            refused: 0,
            proved: 0,
            user: None,
            has_begun: false,
            was_refused: false,
            heard: Vec::new(),
        });
        self.replies.clear();
        let mut out = Vec::new();
        match self.manners {
            Manners::Polite => self.attempt(0, !self.skips_offers, &mut out),
            Manners::WithoutLogin => self.begin_session("root", false, random.below(2) == 0, &mut out),
        }
        out
    }

    fn act(&mut self, random: &mut Random) -> Act {
        let mut out = Vec::new();
        match (self.step, random.below(60)) {
            (_, 0) => return Act::Leave,
            // The SSH connection has ended; nothing follows.
            (Step::Asked(_) | Step::Next(_), 1) => {
                SshFrame::Failed(SshFault::Closed).write(&mut out);
                self.step = Step::Over;
            }
            (Step::Next(index), _) => self.attempt(index, !self.skips_offers, &mut out),
            (Step::Served, 1) => {
                self.step = Step::Over;
                return Act::End;
            }
            (Step::Served, 2..5) => SshFrame::resized(80, 25).write(&mut out),
            (Step::Served, 5..30) => SshFrame::Data(b"hello\r\n").write(&mut out),
            (Step::Over, 1..10) => return Act::End,
            _ => return Act::Wait,
        }
        Act::Say(out)
    }

    fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.step {
                Step::Asked(index) => self.answered(index, byte),
                Step::Next(_) => {
                    self.broken.get_or_insert(format!("no attempt awaits an answer, and the byte {byte} came"));
                }
                Step::Served | Step::Over => {
                    if let Some(session) = self.sessions.last_mut() {
                        session.heard.push(byte);
                    }
                }
            }
        }
    }

    fn replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    fn refused(&mut self, _: &[u8]) {
        self.step = Step::Over;
        if let Some(session) = self.sessions.last_mut() {
            session.was_refused = true;
        }
    }

    fn over(&mut self) {
        self.step = Step::Over;
    }

    fn broken(&self) -> Option<String> {
        self.broken.clone()
    }
}

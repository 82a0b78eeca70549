//! SSH listeners: logins and faults from the shell's SSH server, and sessions.

use drupe_core::app::{Chat, Echo};
use drupe_core::telnet::{InputMode, Signal};
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::{LoginAttempt, LoginProof, SshFault, SshFrame, SshLogin, SshServer, SshTerminal};
use drupe_core::{
    Address, Command, Config, ConnId, Event, Handler, Hub, Identity, Listen, ListenerId, Machine, Offloaded, Reason,
    Time,
};
use std::sync::Arc;
use std::time::Duration;

fn machine<H: Handler>(handler: H) -> Machine<H> {
    let server = SshServer::default().is_open(true);
    let listen = Listen::new(Address::Tcp(([127, 0, 0, 1], 22).into()), Protocol::Ssh(Arc::new(server)));
    let mut machine = Machine::new(Config::listening([listen]), handler);
    machine.started(Time::START);
    machine
}

fn accept<H: Handler>(machine: &mut Machine<H>) -> ConnId {
    machine.accepted(Time::START, ListenerId::new(0), "192.0.2.1:1".parse().expect("an address")).expect("let in")
}

fn receive<H: Handler>(machine: &mut Machine<H>, conn: ConnId, frames: &[SshFrame<'_>]) {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut bytes));
    // In pieces, as a socket might have it.
    bytes.chunks_mut(3).for_each(|piece| machine.received(Time::START, conn, piece));
}

/// Takes what the machine sends.
fn sent<H: Handler>(machine: &mut Machine<H>, conn: ConnId) -> String {
    let mut bytes = Vec::new();
    while let Some(intent) = machine.intent(conn).filter(|intent| !intent.transmit.is_empty()) {
        let piece: Vec<u8> = intent.transmit.slices().flatten().copied().collect();
        bytes.extend_from_slice(&piece);
        machine.wrote(Time::START, conn, piece.len());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn terminal(user: &str) -> SshLogin {
    SshLogin::user(user).terminal(SshTerminal::new("xterm", 80, 24))
}

#[test]
fn terminal_and_lines_share_a_room() {
    let mut machine = machine(Chat::default());
    let (ann, bob) = (accept(&mut machine), accept(&mut machine));
    receive(&mut machine, ann, &[SshFrame::Login(&terminal("ann"))]);
    receive(&mut machine, bob, &[SshFrame::Login(&SshLogin::user("bob"))]);
    sent(&mut machine, ann);
    sent(&mut machine, bob);
    receive(&mut machine, ann, &[SshFrame::Data(b"hex"), SshFrame::resized(100, 30), SshFrame::Data(b"\x7fy\r")]);
    let shown = sent(&mut machine, ann);
    assert!(shown.contains("<guest1> hey\r\n") && !shown.contains('\0'), "{shown:?}");
    assert_eq!(sent(&mut machine, bob), "<guest1> hey\n");
    assert_eq!((machine.metrics().open, machine.metrics().opened), (2, 2));
}

#[test]
fn faults_end_connections_that_never_opened() {
    for fault in SshFault::ALL {
        let mut machine = machine(Echo);
        let conn = accept(&mut machine);
        receive(&mut machine, conn, &[SshFrame::Failed(fault)]);
        machine.ended(Time::START, conn);
        assert_eq!(sent(&mut machine, conn), "");
        let metrics = machine.metrics();
        assert_eq!((metrics.ended.get(fault.reason()), metrics.open), (1, 0), "{fault}");
    }
}

#[test]
fn fault_after_the_login_is_a_broken_protocol() {
    let mut machine = machine(Echo);
    let conn = accept(&mut machine);
    receive(&mut machine, conn, &[SshFrame::Login(&terminal("ann")), SshFrame::Failed(SshFault::Protocol)]);
    assert_eq!(machine.metrics().ended.get(Reason::SshProtocol), 1);
}

#[test]
fn login_has_a_time_limit() {
    let mut machine = machine(Echo);
    let conn = accept(&mut machine);
    let deadline = machine.deadline().expect("there is one").at;
    assert_eq!(deadline, Time::START + Duration::from_secs(30));
    machine.elapsed(deadline);
    assert_eq!(machine.metrics().ended.get(Reason::AuthenticationTimeout), 1);
    machine.received(deadline, conn, &mut b"late".to_vec());
}

/// Notes what a handler learns of a session.
#[derive(Default)]
struct Noting(Arc<std::sync::Mutex<Vec<String>>>);

impl Handler for Noting {
    type Context = ();
    type Note = ();

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ()>) {
        let line = match event {
            Event::Opened { conn, .. } => {
                let user = hub.identity(conn).map_or("nobody".into(), |identity| identity.user.to_string());
                let terminal = hub.terminal(conn).expect("SSH has one");
                let name = terminal.types.first().map_or("none", String::as_str);
                format!("{user} {name} {:?} {:?}", terminal.variable("USER"), terminal.variable("LANG"))
            }
            Event::Signal { signal: Signal::Resized { columns, rows, .. }, .. } => format!("{columns}x{rows}"),
            Event::Message { payload, .. } => String::from_utf8_lossy(payload.as_bytes()).into_owned(),
            Event::Closed { reason, .. } => reason.to_string(),
            _ => return,
        };
        self.0.lock().expect("no panic").push(line);
    }
}

#[test]
fn handler_knows_user_terminal_environment_and_sizes() {
    let noted = Arc::default();
    let mut machine = machine(Noting(Arc::clone(&noted)));
    let conn = accept(&mut machine);
    let mut login = terminal("ann").authenticated();
    assert!(login.add_variable("LANG", "de") && login.add_variable("USER", "root"));
    let frames = [SshFrame::Login(&login), SshFrame::resized(100, 30), SshFrame::Data(b"hello\r")];
    receive(&mut machine, conn, &frames);
    // A command: one line, and the end of the input.
    let command = accept(&mut machine);
    receive(&mut machine, command, &[SshFrame::Login(&SshLogin::user("bob")), SshFrame::Data(b"/who\n")]);
    machine.ended(Time::START, command);
    let expected = [
        "ann xterm Some(\"ann\") Some(\"de\")",
        "80x24",
        "100x30",
        "hello",
        "nobody none Some(\"bob\") None",
        "/who",
        "peer_closed",
    ];
    assert_eq!(*noted.lock().expect("no panic"), expected);
}

#[test]
fn key_mode_is_that_of_the_listener() {
    assert_eq!(Protocol::Ssh(Arc::new(SshServer::default().mode(InputMode::Keys))).input_mode(), Some(InputMode::Keys));
}

/// Decides about logins as the name of the user says, and notes what it learns.
#[derive(Default)]
struct Deciding(Vec<String>);

impl Handler for Deciding {
    type Context = ();
    type Note = ConnId;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, ConnId>) {
        let line = match event {
            Event::Login { conn, attempt, .. } => {
                let is_answered = match attempt.user.as_str() {
                    "ann" => hub.answer_login(conn, Some(Identity::user("admin"))),
                    "bob" => hub.answer_login(conn, None),
                    "later" => hub.answer_login_later(conn),
                    "work" => hub.answer_login_later(conn) && matches!(hub.offload(conn, || true), Offloaded::Later),
                    _ => true,
                };
                assert!(is_answered, "the attempt is open");
                format!("{attempt:?}")
            }
            Event::Offloaded { conn, outcome, .. } => {
                assert!(hub.answer_login(conn, Some(Identity::user("worker"))));
                assert!(!hub.answer_login(conn, None), "it is answered already");
                format!("worked {outcome}")
            }
            Event::Note(conn) => format!("{}", hub.answer_login(conn, Some(Identity::user("late")))),
            Event::Opened { conn, .. } => {
                format!("opened {}", hub.identity(conn).map_or("nobody", |identity| &identity.user))
            }
            Event::LoginEnded { .. } => "ended".into(),
            _ => return,
        };
        self.0.push(line);
    }
}

fn deciding() -> Machine<Deciding> {
    let mut machine = machine(Deciding::default());
    machine.takes_jobs(Time::START);
    machine
}

fn attempt(user: &str, proof: LoginProof) -> LoginAttempt {
    LoginAttempt::new(user, proof)
}

fn key() -> LoginProof {
    LoginProof::Key("ssh-ed25519 AAAA".into())
}

#[test]
fn handler_decides_about_attempts_one_after_another() {
    let mut machine = deciding();
    let conn = accept(&mut machine);
    let offer = LoginProof::Offer("ssh-ed25519 AAAA".into());
    for (user, proof, answer) in [
        ("bob", key(), "\0"),
        ("nobody", LoginProof::Password("mellon".into()), "\0"),
        ("ann", offer, "\x01"),
        ("ann", key(), "\x01"),
    ] {
        receive(&mut machine, conn, &[SshFrame::Attempt(&attempt(user, proof))]);
        assert_eq!(sent(&mut machine, conn), answer, "{user}");
    }
    let login = SshLogin::user("ann").authenticated();
    receive(&mut machine, conn, &[SshFrame::Login(&login), SshFrame::Data(b"hello\n")]);
    let expected = [
        r#"LoginAttempt { user: "bob", proof: Key("ssh-ed25519 AAAA") }"#,
        r#"LoginAttempt { user: "nobody", proof: Password(..) }"#,
        r#"LoginAttempt { user: "ann", proof: Offer("ssh-ed25519 AAAA") }"#,
        r#"LoginAttempt { user: "ann", proof: Key("ssh-ed25519 AAAA") }"#,
        "opened admin",
    ];
    assert_eq!(machine.handler().0, expected);
    assert_eq!(machine.metrics().authentication_failures, 1, "the handler has ignored one proof");
}

#[test]
fn accepted_offer_is_no_login() {
    let mut machine = deciding();
    let conn = accept(&mut machine);
    let offer = attempt("ann", LoginProof::Offer("ssh-ed25519 AAAA".into()));
    // A key of the files follows the offer. The user of the offer is not the user of the session.
    let login = SshLogin::user("carol").authenticated();
    receive(&mut machine, conn, &[SshFrame::Attempt(&offer), SshFrame::Login(&login)]);
    assert_eq!(machine.handler().0.last().map(String::as_str), Some("opened carol"));
}

#[test]
fn answer_may_come_later_from_a_note_or_a_job() {
    let mut machine = deciding();
    let [note, job] = [accept(&mut machine), accept(&mut machine)];
    receive(&mut machine, note, &[SshFrame::Attempt(&attempt("later", key()))]);
    receive(&mut machine, job, &[SshFrame::Attempt(&attempt("work", key()))]);
    assert_eq!((sent(&mut machine, note).as_str(), sent(&mut machine, job).as_str()), ("", ""));
    machine.noted(Time::START, note);
    let work = machine.take_job().expect("it is offloaded");
    let conn = work.conn();
    let outcome = work.run();
    machine.job_done(Time::START, conn, outcome);
    assert_eq!((sent(&mut machine, note).as_str(), sent(&mut machine, job).as_str()), ("\x01", "\x01"));
    machine.noted(Time::START, note);
    assert_eq!(machine.handler().0[2..], ["true", "worked true", "false"], "one answer only");
}

#[test]
fn connection_that_ends_before_its_answer_ends_its_login() {
    let login = SshLogin::user("later").authenticated();
    let pending = attempt("later", key());
    for (frame, reason) in [
        (SshFrame::Failed(SshFault::Closed), Reason::PeerClosed),
        (SshFrame::Failed(SshFault::Refused), Reason::Unauthorized),
        // Only a broken SSH server does not wait.
        (SshFrame::Login(&login), Reason::SshProtocol),
        (SshFrame::Attempt(&pending), Reason::SshProtocol),
    ] {
        let mut machine = deciding();
        let conn = accept(&mut machine);
        receive(&mut machine, conn, &[SshFrame::Attempt(&pending), frame]);
        assert_eq!(machine.metrics().ended.get(reason), 1, "{reason}");
        machine.noted(Time::START, conn);
        assert_eq!(machine.handler().0[1..], ["ended", "false"], "{reason}");
    }
    // A login that waits is limited in time, and ends at a drain.
    let mut machine = deciding();
    let conn = accept(&mut machine);
    receive(&mut machine, conn, &[SshFrame::Attempt(&pending)]);
    machine.elapsed(Time::START + Duration::from_secs(30));
    assert_eq!(machine.metrics().ended.get(Reason::AuthenticationTimeout), 1);
    let mut machine = deciding();
    let conn = accept(&mut machine);
    receive(&mut machine, conn, &[SshFrame::Attempt(&pending)]);
    machine.command(Time::START, &Command::Drain);
    assert_eq!(machine.metrics().ended.get(Reason::Shutdown), 1);
    assert_eq!(machine.handler().0[1..], ["ended"]);
}

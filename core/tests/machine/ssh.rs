//! SSH listeners: logins and faults from the shell's SSH server, and sessions.

use drupe_core::app::{Chat, Echo};
use drupe_core::telnet::{InputMode, Signal};
use drupe_core::wire::Protocol;
use drupe_core::wire::ssh::{SshFault, SshFrame, SshLogin, SshServer, SshTerminal};
use drupe_core::{Address, Config, ConnId, Event, Handler, Hub, Listen, ListenerId, Machine, Reason, Time};
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

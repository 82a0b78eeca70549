//! `drupe client` on telnet, with a terminal and without: against our own listeners and telnetlib3.

use crate::support::{Client, Directory, Program, is_installed, program_path, python, skip};
use std::process::Command;

/// A program with logins in a dialogue, in a mode of telnet.
fn program(directory: &Directory, mode: &str) -> Program {
    let config = format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0', protocol: telnet, app: chat, telnet: {{ mode: {mode} }} }} }}\n\
         authentication: {{ enabled: true, dialogue: true, users: {{ ann: {{ password: secret }} }}, iterations: 4096 }}\n"
    );
    Program::configured(&directory.0, &config, 1, |_| {})
}

/// Runs a shell command on a terminal of 24 rows and 80 columns.
fn on_terminal(command: &str) -> Option<Client> {
    Client::start("script", &["-qec", &format!("stty rows 24 cols 80; {command}"), "/dev/null"])
}

/// Waits until the terminal of the shell with this id has a setting, as `stty -a` names it.
///
/// The client sets it after the server has asked for it, which no output shows.
fn until_terminal_has(pid: &str, setting: &str) {
    for _ in 0..6_000 {
        let output = Command::new("stty").args(["-F", &format!("/proc/{pid}/fd/0"), "-a"]).output().expect("stty");
        if String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word.trim_end_matches(';') == setting)
        {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the terminal never has {setting}");
}

#[test]
fn terminal_shows_hides_or_passes_input_as_the_server_asks_and_is_restored() {
    for (mode, hidden, settled) in [("line", "-echo", "echo"), ("character", "-icanon", "-icanon")] {
        let directory = Directory::new(&format!("client-telnet-{mode}"));
        let program = program(&directory, mode);
        let address = format!("telnet://127.0.0.1:{}", program.port());
        let script = format!("echo shell $$ here; {} client {address}; echo code $?; stty -a", program_path());
        let Some(mut person) = on_terminal(&script) else { return };
        let said = person.hear_until(" here");
        let pid = said.rsplit_once("shell ").expect("the id").1.trim_end_matches(" here").to_owned();
        person.hear_until("user: ");
        person.say(if mode == "line" { "ann\n" } else { "ann\r" });
        person.hear_until("password: ");
        until_terminal_has(&pid, hidden);
        person.say(if mode == "line" { "secret\n" } else { "secret\r" });
        let heard = person.hear_until("ann came to lobby");
        assert!(!heard.contains("secret"), "{heard}");
        until_terminal_has(&pid, settled);
        // Backspace is handled by the terminal, or by the server.
        person.say(if mode == "line" { "hellox\x7f\n" } else { "hellox\x7f\r" });
        person.hear_until("<ann> hello\r\n");
        // After Control-], q quits and any other key continues.
        person.say("\x1d");
        person.hear_until("q quits, Control-] sends Control-], any other key continues");
        person.say(" ");
        until_terminal_has(&pid, settled);
        person.say(if mode == "line" { "more\n" } else { "more\r" });
        person.hear_until("<ann> more\r\n");
        person.say("\x1d");
        person.hear_until("any other key continues");
        person.say("q");
        let rest = person.rest();
        assert!(rest.contains("code 0") && rest.contains(" icanon") && rest.contains(" echo "), "{rest}");
        program.signal("-TERM");
        assert_eq!(program.wait(), Some(0));
    }
}

#[test]
fn terminal_is_restored_when_a_signal_ends_the_client() {
    let program = Program::start(&["--app", "echo", "--listen", "telnet://127.0.0.1:0?mode=character"]);
    let address = format!("telnet://127.0.0.1:{}", program.port());
    for (signal, code) in [("-TERM", "code 143"), ("-HUP", "code 129"), ("-INT", "code 0")] {
        let inner = format!("echo shell $$ here; exec {} client {address}", program_path());
        let Some(mut person) = on_terminal(&format!("sh -c '{inner}'; echo code $?; stty -a")) else { return };
        let said = person.hear_until(" here");
        let pid = said.rsplit_once("shell ").expect("the id").1.trim_end_matches(" here").to_owned();
        person.hear_until("connected to ");
        until_terminal_has(&pid, "-icanon");
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill is everywhere").success());
        let rest = person.rest();
        assert!(rest.contains(code) && rest.contains(" icanon") && rest.contains(" echo "), "{signal}: {rest}");
    }
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn piped_client_prints_lines_and_prompts_of_a_telnet_server() {
    let directory = Directory::new("client-telnet-pipe");
    let program = program(&directory, "line");
    let address = format!("telnet://127.0.0.1:{}", program.port());
    let mut client = Client::start(program_path(), &["client", &address, "--linger", "30"]).expect("it was built");
    // Each prompt is printed as a line, although the server has not ended it.
    assert_eq!(client.hear(), "user:");
    client.say("ann\n");
    assert_eq!(client.hear(), "password:");
    client.say("secret\n");
    client.hear_until("* ann came to lobby\n");
    client.say("/quit\n");
    assert_eq!(client.rest(), "* goodbye\n");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// A telnet server that echoes, requests every option, and prints the answers.
const TELNETLIB3_SERVER: &str = r#"
import asyncio, sys, telnetlib3

async def shell(reader, writer):
    size = lambda: f"{writer.get_extra_info('cols')}x{writer.get_extra_info('rows')}"
    writer.write(f"{size()} {writer.get_extra_info('TERM')}\r\n\x1b[1mname:\x1b[0m ")
    typed = ""
    while not typed.endswith("\r"):
        key = await reader.read(1)
        if not key:
            return
        typed += key
        writer.write(key if key != "\r" else "\r\n")
    writer.write(f"hello {typed.strip()}\r\n")
    before = size()
    while sys.argv[1] == "resized" and size() == before:
        await asyncio.sleep(0.01)
    writer.write(f"now {size()}\r\n")
    for side, options in (("local", writer.local_option), ("remote", writer.remote_option)):
        writer.write(side + " " + " ".join(sorted(str(key[0]) for key, on in options.items() if on)) + "\r\n")
    await writer.drain()
    writer.close()

async def main():
    server = await telnetlib3.create_server(host="127.0.0.1", port=0, shell=shell, encoding="utf8", connect_maxwait=1.0)
    sockets = getattr(server, "sockets", None) or server._server.sockets
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"#;

#[test]
fn terminal_client_agrees_with_a_telnetlib3_server() {
    let Some(python) = python("telnetlib3") else { return };
    let mut server = Client::start(&python, &["-c", TELNETLIB3_SERVER, "same"]).expect("it is installed");
    let address = format!("telnet://127.0.0.1:{}", server.hear());
    let Some(mut person) = Client::start_on_terminal(program_path(), &["client", &address]) else { return };
    // In character mode, the server controls the screen.
    let heard = person.hear_until("name:\x1b[0m ");
    assert!(heard.contains("80x24 XTERM\r\n\x1b[1m"), "{heard:?}");
    person.say("grüße\r");
    let rest = person.rest();
    assert!(rest.contains("grüße\r\nhello grüße\r\n"), "{rest:?}");
    // The server's: ECHO, SGA and CHARSET. The client's: TTYPE, NAWS and CHARSET, but not
    // NEW-ENVIRON.
    assert!(rest.contains("remote 0 24 31 42\r\n"), "{rest:?}");
    assert!(rest.contains("local 0 1 3 42\r\n"), "{rest:?}");
    server.rest();
}

#[test]
fn window_size_follows_the_terminal() {
    let Some(python) = python("telnetlib3") else { return };
    if !is_installed("tmux") {
        skip("there is no tmux on this machine");
        return;
    }
    let mut server = Client::start(&python, &["-c", TELNETLIB3_SERVER, "resized"]).expect("it is installed");
    let address = format!("telnet://127.0.0.1:{}", server.hear());
    let directory = Directory::new("client-tmux");
    let socket = directory.0.join("tmux").display().to_string();
    let tmux = |arguments: &[&str]| {
        let output = Command::new("tmux").args(["-S", &socket, "-f", "/dev/null"]).args(arguments).output();
        String::from_utf8_lossy(&output.expect("it is installed").stdout).into_owned()
    };
    let until = |words: &str| {
        for _ in 0..6_000 {
            let screen = tmux(&["capture-pane", "-p"]);
            if screen.contains(words) {
                return screen;
            }
            std::thread::yield_now();
        }
        panic!("{words:?} is never on the screen: {}", tmux(&["capture-pane", "-p"]));
    };
    let command = format!("{} client {address}; read wait", program_path());
    tmux(&["new-session", "-d", "-x", "90", "-y", "20", &command]);
    until("name:");
    tmux(&["send-keys", "ann", "Enter"]);
    until("hello ann");
    tmux(&["resize-window", "-x", "100", "-y", "30"]);
    let screen = until("disconnected: peer_closed");
    tmux(&["kill-server"]);
    assert!(screen.contains("90x20 ") && screen.contains("name: ann\n") && screen.contains("now 100x30\n"), "{screen}");
    server.rest();
}

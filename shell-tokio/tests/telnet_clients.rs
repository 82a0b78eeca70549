//! Telnet with the clients that people have: each is skipped, with a word about it, where it is not installed.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod support;

use support::{Client, Program};

const WELCOME: &str = "* guest1 came to lobby";

fn chat(options: &str) -> Program {
    Program::start(&["--listen", &format!("telnet://127.0.0.1:0{options}")])
}

#[test]
fn inetutils_telnet_works_in_line_mode_with_every_command() {
    let program = chat("");
    let Some(mut telnet) = Client::start("telnet", &["127.0.0.1", program.port()]) else { return };
    telnet.hear_until(WELCOME);
    telnet.say("hello\n");
    telnet.hear_until("<guest1> hello");
    for command in ["ayt", "brk ayt", "ip ayt", "ec ayt", "el ayt", "ga ayt", "nop ayt", "synch ayt", "susp ayt"] {
        telnet.say(&format!("\x1dsend {command}\n"));
        telnet.hear_until("[Yes]");
    }
    telnet.say("after all that\n");
    telnet.hear_until("<guest1> after all that");
    telnet.say("/quit\n");
    telnet.hear_until("* goodbye");
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn inetutils_telnet_works_with_its_options_toggled() {
    let program = chat("");
    let Some(mut telnet) = Client::start_on_terminal("telnet", &["127.0.0.1", program.port()]) else { return };
    telnet.hear_until(WELCOME);
    for command in ["toggle binary", "toggle binary", "mode character", "mode line", "toggle localchars"] {
        telnet.say("\x1d");
        telnet.hear_until("telnet> ");
        telnet.say(&format!("{command}\r"));
        telnet.say("eight bits: ü\r");
        telnet.hear_until("<guest1> eight bits: ü");
    }
    telnet.say("/quit\r");
    telnet.hear_until("* goodbye");
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn inetutils_telnet_on_a_terminal_is_edited_by_the_server() {
    let program = chat("?mode=character");
    let Some(mut telnet) = Client::start_on_terminal("telnet", &["127.0.0.1", program.port()]) else { return };
    telnet.hear_until(WELCOME);
    type_a_line(&mut telnet);
    // Control-D leaves.
    telnet.say("\x04");
    telnet.hear_until("* goodbye");
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn plink_works_in_both_modes() {
    let program = chat("");
    let Some(mut plink) = Client::start("plink", &["-telnet", "-P", program.port(), "127.0.0.1"]) else { return };
    plink.hear_until(WELCOME);
    plink.say("hello\n");
    plink.hear_until("<guest1> hello");
    plink.say("/quit\n");
    plink.hear_until("* goodbye");
    assert_eq!(program.terminate().0, Some(0));
    let program = chat("?mode=character");
    let arguments = ["-telnet", "-P", program.port(), "127.0.0.1"];
    let Some(mut plink) = Client::start_on_terminal("plink", &arguments) else { return };
    plink.hear_until(WELCOME);
    type_a_line(&mut plink);
    assert_eq!(program.terminate().0, Some(0));
}

fn type_a_line(client: &mut Client) {
    client.say("hexx");
    client.hear_until("hexx");
    client.say("\x7f\x7fll");
    client.hear_until("hell");
    client.say("o\x01Oh, ");
    client.hear_until("Oh, hello");
    client.say("\r");
    client.hear_until("<guest1> Oh, hello");
    client.say("/who\r");
    client.hear_until("* in lobby: guest1");
    client.say("\x1b[A\x1b[A!\r");
    client.hear_until("<guest1> Oh, hello!");
}

#[test]
fn tintin_works_in_both_modes_and_compressed() {
    for options in ["", "?mode=character", "?compress=yes&gmcp=yes&msdp=yes"] {
        let program = chat(options);
        let name = if std::path::Path::new("/usr/games/tt++").exists() { "/usr/games/tt++" } else { "tt++" };
        let Some(mut tintin) = Client::start_on_terminal(name, &["-G"]) else { return };
        tintin.say(&format!("#session drupe 127.0.0.1 {}\n", program.port()));
        tintin.hear_until(WELCOME);
        tintin.say("hello\n");
        tintin.hear_until("<guest1> hello");
        tintin.say("/quit\n");
        tintin.hear_until("* goodbye");
        tintin.say("#end\n");
        tintin.rest();
        assert_eq!(program.terminate().0, Some(0));
    }
}

#[test]
fn tinyfugue_chats() {
    let program = chat("");
    let Some(mut tf) = Client::start_on_terminal("tf", &["-n", "-v", "127.0.0.1", program.port()]) else { return };
    tf.hear_until(WELCOME);
    tf.say("hello\r");
    tf.hear_until("<guest1> hello");
    tf.say("/quit\r");
    tf.rest();
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn nc_works_with_either_line_ending_and_ending_at_once() {
    let program = chat("");
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", program.port()]) else { return };
    nc.hear_until(WELCOME);
    nc.say("one\ntwo\r\n");
    nc.hear_until("<guest1> one\r\n<guest1> two\r\n");
    assert_eq!(program.terminate().0, Some(0));
    let program = Program::start(&["--app", "echo", "--listen", "telnet://127.0.0.1:0?probe=no"]);
    let Some(mut nc) = Client::start("nc", &["-N", "127.0.0.1", program.port()]) else { return };
    nc.say("at once\nand over");
    assert_eq!(nc.rest(), "at once\r\nand over\r\n");
    assert_eq!(program.terminate().0, Some(0));
}

/// A client that negotiates everything.
const TELNETLIB3: &str = r#"
import asyncio, sys, telnetlib3

async def until(reader, words):
    heard = ""
    while words not in heard:
        piece = await asyncio.wait_for(reader.read(1000), 30)
        assert piece, f"{words!r} was never heard, but {heard!r}"
        heard += piece
    return heard

async def main():
    reader, writer = await telnetlib3.open_connection(
        "127.0.0.1", int(sys.argv[1]), encoding="utf8", term="xterm-256color", cols=100, rows=30)
    await until(reader, "came to lobby\r\n")
    # Until both ends agree on binary it writes ASCII alone.
    while not (writer.local_option.enabled(b"\0") and writer.remote_option.enabled(b"\0")):
        await asyncio.sleep(0.01)
    writer.write("grüße\r\n")
    print(repr(await until(reader, "<guest1> grüße\r\n")))
    names = {0: "BINARY", 1: "ECHO", 3: "SGA", 24: "TTYPE", 25: "EOR", 31: "NAWS", 39: "NEW_ENVIRON", 42: "CHARSET"}
    for side, options in (("local", writer.local_option), ("remote", writer.remote_option)):
        print(side, *sorted(names.get(key[0], str(key[0])) for key, on in options.items() if on))
    writer.write("/quit\r\n")
    await until(reader, "* goodbye\r\n")

asyncio.run(main())
"#;

#[test]
fn telnetlib3_negotiates_all_options() {
    let python = std::env::var("DRUPE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let check = std::process::Command::new(&python).args(["-c", "import telnetlib3"]).output();
    if !check.is_ok_and(|output| output.status.success()) {
        support::skip(&format!("{python} has no telnetlib3"));
        return;
    }
    for (options, ours) in [("", "BINARY CHARSET EOR"), ("?mode=character", "BINARY CHARSET ECHO EOR SGA")] {
        let program = chat(options);
        let Some(client) = Client::start(&python, &["-c", TELNETLIB3, program.port()]) else { return };
        let said = client.rest();
        assert!(said.contains("grüße\\r\\n"), "{said}");
        let line = |side: &str| said.lines().find_map(|line| line.strip_prefix(side)).unwrap_or_default().to_owned();
        assert_eq!(line("remote "), ours, "{said}");
        for option in ["TTYPE", "NAWS", "NEW_ENVIRON", "BINARY"] {
            assert!(line("local ").contains(option), "{option} in {said}");
        }
        assert_eq!(program.terminate().0, Some(0));
    }
}

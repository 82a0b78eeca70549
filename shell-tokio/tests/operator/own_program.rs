//! A program of one's own, with a section of its own and two applications: the example `quiz`.

use super::text;
use crate::support::{Directory, Program, read};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

fn quiz() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_BIN_EXE_drupe"));
    path.pop();
    path.extend(["examples", "quiz"]);
    path
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(quiz());
    command.args(arguments).current_dir(directory).env("QUIZ_QUIZ__ANSWER", "2").output().expect("cargo test builds it")
}

/// Starts the quiz with a configuration of two listeners: the lobby, then the quiz.
fn start(directory: &Directory, quiz_section: &str) -> Program {
    let config = config(quiz_section);
    Program::configured_as(&quiz(), &directory.0, &config, 2, |_| ())
}

fn config(section: &str) -> String {
    let listener = |app: &str| format!("  {app}: {{ address: '127.0.0.1:0', protocol: tcp, app: {app} }}\n");
    format!("listeners:\n{}{}{section}", listener("lobby"), listener("quiz"))
}

fn connect(program: &Program, place: usize) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", program.port_of(place))).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    BufReader::new(stream)
}

fn say(peer: &mut BufReader<TcpStream>, line: &str) {
    peer.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
}

fn line(peer: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    peer.read_line(&mut line).expect("it answers");
    line.trim_end().to_owned()
}

#[test]
fn own_program_serves_its_applications_and_reloads_its_section() {
    let directory = Directory::new("own-program");
    std::fs::write(directory.0.join("answer"), "4\n").expect("written");
    let program = start(&directory, "quiz: { question: '2 + 2?', answer_file: answer, tries: 2 }\n");
    let (mut lobby, mut peer) = (connect(&program, 0), connect(&program, 1));
    assert_eq!(line(&mut peer), "2 + 2?");
    say(&mut peer, "5");
    assert_eq!(line(&mut peer), "wrong; 1 left");
    // The other application is a chat, with contexts of another type.
    say(&mut lobby, "/nick ann");
    while !line(&mut lobby).contains("ann") {}

    let newer = config("quiz: { question: '3 + 3?', answer: '6', tries: 9 }\n");
    std::fs::write(directory.0.join("drupe.yaml"), newer).expect("written");
    program.signal("-HUP");
    assert_eq!(line(&mut peer), "3 + 3?", "the handler is told of the reload");
    say(&mut peer, "5");
    assert_eq!(line(&mut peer), "wrong; 7 left", "the context stays");

    // An invalid section changes nothing.
    std::fs::write(directory.0.join("drupe.yaml"), config("quiz: { question: 'x', answer: y, tries: 0 }\n"))
        .expect("written");
    program.signal("-HUP");
    let log = directory.0.join("log");
    let wanted = "nothing was reloaded";
    while !read(&log).contains(wanted) {
        std::thread::yield_now();
    }
    say(&mut peer, "6");
    assert_eq!(line(&mut peer), "right");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
    let log = read(&log);
    for words in [
        "changed: quiz.tries: 2 -> 9",
        "changed: quiz.question: \"2 + 2?\" -> \"3 + 3?\"",
        "quiz.tries: it must be at least 1",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    assert!(log.lines().last().is_some_and(|line| line.starts_with("quiz: 2 connections served")), "{log}");
}

#[test]
fn own_program_has_the_commands_of_every_program() {
    let directory = Directory::new("own-program-commands");
    let path = &*directory.0;
    let help = text(&run(path, &["--help"]).stdout);
    for words in
        ["A quiz, and a lobby beside it", "quiz, lobby [default: quiz]", "[env: QUIZ_CONFIG=]", "--question <QUESTION>"]
    {
        assert!(help.contains(words), "{words}\n{help}");
    }
    let explained = text(&run(path, &["check", "--explain", "--question", "why?"]).stdout);
    for words in
        ["quiz.question: \"why?\" # --question", "quiz.answer: (secret) # QUIZ_QUIZ__ANSWER", "quiz.tries: 3 # default"]
    {
        assert!(explained.contains(words), "{words}\n{explained}");
    }
    let template = text(&run(path, &["template"]).stdout);
    assert!(template.contains("#quiz:\n") && template.contains("`quiz check FILE`"), "{template}");
    std::fs::write(path.join("quiz.yaml"), template).expect("written");
    let checked = run(path, &["check", "quiz.yaml"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&run(path, &["schema"]).stdout).contains("The question of the quiz."));
    assert!(text(&run(path, &["man"]).stdout).contains(".SH \"QUIZ CHECK\""));
    assert!(text(&run(path, &["completions", "bash"]).stdout).contains("_quiz"));
}

#[test]
fn own_program_blames_the_key_and_the_place_of_a_mistake() {
    let directory = Directory::new("own-program-mistakes");
    let path = &*directory.0;
    for (section, words) in [
        ("quiz: { tires: 3 }\n", "quiz.yaml:4: quiz.tires: there is no such key; did you mean tries?"),
        (
            "quiz: { tries: many }\n",
            "quiz.yaml:4: quiz.tries: invalid type: string \"many\", expected a number from 0 to 255",
        ),
        ("quiz: { answer_file: missing }\n", "quiz.yaml:4: quiz.answer_file: quiz.answer is set as well"),
        ("relay: { envelope: json }\n", "quiz.yaml:4: relay: there is no such key"),
        ("tunnels: { a: {} }\n", "quiz.yaml:4: tunnels.a.ssh_host: "),
    ] {
        std::fs::write(path.join("quiz.yaml"), config(section)).expect("written");
        for arguments in [&["check", "quiz.yaml"][..], &["--config", "quiz.yaml"]] {
            let output = run(path, arguments);
            let errors = text(&output.stderr);
            assert!(!output.status.success() && errors.contains(words), "{section}{words}\n{errors}");
            assert!(errors.starts_with("quiz: "), "{errors}");
        }
    }
    let output = run(path, &["--app", "chat"]);
    assert!(text(&output.stderr).contains("--app: there is no application \"chat\"; the applications are quiz, lobby"));
}

//! `drupe check`: what it refuses, what it warns of, and that no file that is named holds it up.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

use crate::support::{Directory, program_path};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Checks `text`, and gives the code, the output and the errors.
fn check(directory: &Path, text: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    std::fs::write(directory.join("drupe.yaml"), text).expect("written");
    let arguments = [&["check", "drupe.yaml"], arguments].concat();
    told(&run(directory, &arguments))
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", program_path()]).args(arguments).current_dir(directory).stdin(Stdio::null());
    command.output().expect("timeout is everywhere")
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const GOOD: &str = "the configuration is valid\n";

/// A certificate that is good from so many days from now until so many, and an hour more away from now, so that no second counts.
fn certificate(directory: &Path, name: &str, from_days: i64, until_days: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let at = |days: i64| {
        let secs = now.saturating_add_signed(days * 24 * 3600 + days.signum() * 3600);
        date_time_ymd(1970, 1, 1) + Duration::from_secs(secs)
    };
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (at(from_days), at(until_days));
    let key = KeyPair::generate().expect("a key");
    std::fs::write(directory.join(format!("{name}.pem")), params.self_signed(&key).expect("signed").pem())
        .expect("written");
    std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("written");
}

fn tls(name: &str) -> String {
    format!(
        "listeners:\n  a:\n    address: '127.0.0.1:0'\n    tls: {{ certificates: [{{ certificate: {name}.pem, key: {name}.key }}] }}\n"
    )
}

#[test]
fn check_refuses_expired_and_warns_of_expiring_certificates() {
    let directory = Directory::new("expiry");
    let path = &directory.0;
    for (name, from, until, code, words) in [
        ("good", -1, 300, 0, None),
        (
            "soon",
            -1,
            3,
            0,
            Some(
                "warning: drupe.yaml:4: listeners.a.tls.certificates[0]: the certificate in soon.pem expires in 3 days",
            ),
        ),
        (
            "over",
            -9,
            -3,
            1,
            Some(
                "error: drupe.yaml:4: listeners.a.tls.certificates[0]: the certificate in over.pem expired 3 days ago",
            ),
        ),
        (
            "early",
            3,
            300,
            1,
            Some(
                "error: drupe.yaml:4: listeners.a.tls.certificates[0]: the certificate in early.pem is not valid for another 3 days",
            ),
        ),
    ] {
        certificate(path, name, from, until);
        let (status, output, errors) = check(path, &tls(name), &[]);
        assert_eq!((status, output.as_str()), (Some(code), if code == 0 { GOOD } else { "" }), "{name}: {errors}");
        match words {
            Some(words) => assert!(errors.contains(words), "{errors}"),
            None => assert_eq!(errors, ""),
        }
    }
    let (status, output, errors) = check(path, &tls("soon"), &["--strict"]);
    assert_eq!((status, output.as_str()), (Some(1), ""));
    assert!(errors.starts_with("drupe: the configuration is invalid\nwarning: "), "{errors}");
    let (status, ..) = check(path, &tls("good"), &["--strict"]);
    assert_eq!(status, Some(0));
    // Of authorities it is the one that lasts longest.
    let authorities =
        |name: &str| tls("good").replace(" }] }", &format!(" }}], clients: required, authorities: {name} }}"));
    let pem = |name: &str| std::fs::read_to_string(path.join(name)).expect("there");
    std::fs::write(path.join("both.pem"), pem("over.pem") + &pem("good.pem")).expect("written");
    assert_eq!(check(path, &authorities("both.pem"), &[]).0, Some(0));
    let (status, _, errors) = check(path, &authorities("over.pem"), &[]);
    assert!(status == Some(1) && errors.contains("every authority in over.pem expired 3 days ago"), "{errors}");
}

#[test]
fn check_bounds_every_file_it_reads() {
    let directory = Directory::new("endless");
    let path = &directory.0;
    certificate(path, "good", -1, 300);
    let fifo = Command::new("mkfifo").arg(path.join("pipe")).status().expect("mkfifo is everywhere");
    assert!(fifo.success());
    let of_key = tls("good").replace("good.key", "PATH");
    let of_certificate = tls("good").replace("good.pem", "PATH");
    let of_authorities = tls("good").replace(" }] }", " }], clients: required, authorities: PATH }");
    let monitor = "listeners: { a: { address: '127.0.0.1:0', protocol: websocket, websocket: { monitor: true } } }\nmonitor: { credential_file: PATH }\n";
    let password = "listeners: { a: { address: '127.0.0.1:0' } }\nauthentication: { enabled: true, users: { ann: { password_file: PATH } } }\n";
    let tunnel = "listeners: { a: { forward: { tunnel: e } } }\ntunnels: { e: { ssh_host: h, ssh_user: u, ssh_key_path: PATH, known_hosts: [/dev/null] } }\n";
    let hosts = "listeners: { a: { forward: { tunnel: e } } }\ntunnels: { e: { ssh_host: h, ssh_user: u, ssh_key_path: good.key, check_key_permissions: false, known_hosts: [PATH] } }\n";
    for text in [&of_key, &of_certificate, &of_authorities, monitor, password, tunnel, hosts] {
        let (status, _, errors) = check(path, &text.replace("PATH", "/dev/zero"), &[]);
        assert!(status == Some(1) && errors.contains("it is a device or a socket, and not a file"), "{text}{errors}");
        let (status, _, errors) = check(path, &text.replace("PATH", "."), &[]);
        assert!(status == Some(1) && errors.contains("it is a directory, and not a file"), "{text}{errors}");
    }
    let (status, _, errors) = check(path, &of_certificate.replace("PATH", "pipe"), &[]);
    assert!(status == Some(1) && errors.contains("no data arrives on this pipe"), "{errors}");
    for file in ["/dev/zero", "."] {
        let (status, _, errors) = told(&run(path, &["check", file]));
        assert!(status == Some(1) && errors.contains("and not a file"), "{errors}");
    }
    std::fs::write(path.join("long.yaml"), vec![b'#'; 17 << 20]).expect("written");
    let (status, _, errors) = told(&run(path, &["check", "long.yaml"]));
    assert!(status == Some(1) && errors.contains("it is longer than 16384 KiB"), "{errors}");
}

#[test]
fn check_accepts_piped_configuration_with_byte_order_mark() {
    let directory = Directory::new("piped");
    let path = &directory.0;
    certificate(path, "good", -1, 300);
    std::fs::write(path.join("good.yaml"), "\u{feff}".to_owned() + &tls("good")).expect("written");
    let marked = |name: &str| {
        let text = std::fs::read_to_string(path.join(name)).expect("there");
        std::fs::write(path.join(name), "\u{feff}".to_owned() + &text).expect("written");
    };
    marked("good.pem");
    marked("good.key");
    let script = "cat good.yaml | \"$0\" check /dev/stdin";
    let piped =
        Command::new("sh").args(["-c", script, program_path()]).current_dir(path).output().expect("sh is everywhere");
    let (status, output, errors) = told(&piped);
    assert_eq!((status, output.as_str()), (Some(0), GOOD), "{errors}");
}

#[test]
fn check_resolves_files_beside_the_configuration() {
    let directory = Directory::new("beside");
    let folder = directory.0.join("etc");
    std::fs::create_dir(&folder).expect("a directory");
    certificate(&folder, "good", -1, 300);
    std::fs::write(folder.join("drupe.yaml"), tls("good")).expect("written");
    let (status, output, errors) = told(&run(&directory.0, &["check", "etc/drupe.yaml"]));
    assert_eq!((status, output.as_str()), (Some(0), GOOD), "{errors}");
}

#[test]
fn check_errors_are_short_and_sanitized() {
    let directory = Directory::new("printed");
    let path = &directory.0;
    for text in [
        "\"\\e[31mred\\e[0m\": 1\n".to_owned(),
        format!("profile: {}\n", "x".repeat(10_000_000)),
        "listeners: { a: { address: \"\\e]0;title\\a\" } }\n".into(),
        tls("\\e[2J").replace("\\e[2J.pem", "\"\\e[2J.pem\"").replace("\\e[2J.key", "\"\\e[2J.key\""),
    ] {
        let (status, _, errors) = check(path, &text, &[]);
        assert_eq!(status, Some(1));
        assert!(errors.len() < 2_000 && !errors.chars().any(|c| c.is_control() && c != '\n'), "{errors:?}");
    }
    let (_, _, errors) = told(&run(path, &["check", "\u{1b}[31m.yaml"]));
    assert!(!errors.contains('\u{1b}'), "{errors:?}");
    let (_, _, errors) = check(path, "authentication: { shared_password: 12345 }\n", &[]);
    assert!(!errors.contains("12345"), "{errors}");
}

#[test]
fn password_command_prints_a_usable_hash() {
    let directory = Directory::new("password");
    let script = "echo hunter2 | \"$0\" password --iterations 4096";
    let hash = || {
        let output = Command::new("sh").args(["-c", script, program_path()]).output().expect("sh is everywhere");
        let (status, hash, errors) = told(&output);
        assert!(status == Some(0) && hash.starts_with("SCRAM-SHA-256$4096:"), "{hash}{errors}");
        hash
    };
    let hashed = hash();
    assert_ne!(hashed, hash(), "each has a salt of its own");
    let text = format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0' }} }}\nauthentication: {{ enabled: true, users: {{ ann: {{ password_hash: {} }} }} }}\n",
        hashed.trim()
    );
    let (status, output, errors) = check(&directory.0, &text, &["--strict"]);
    assert_eq!((status, output.as_str(), errors.as_str()), (Some(0), GOOD, ""));
    let empty = run(&directory.0, &["password"]);
    assert_eq!(told(&empty), (Some(1), String::new(), "drupe: the password is empty\n".into()));
}

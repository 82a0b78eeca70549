//! The container image: its parts, and the image itself where `buildah` can build it without a daemon.
//!
//! Tests have no registry. Programs of this machine, and scripts in place of `cargo`, `apt-get` and `useradd`, make the two
//! base images, and the program under test is what `cargo` builds.

use super::{connect, drupe, text};
use crate::support::{Directory, Program, program_path, skip};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");
const DOCKERFILE: &str = include_str!("../../packaging/Dockerfile");

/// Returns the rest of the only line of the Dockerfile with this instruction.
fn instruction(name: &str) -> &'static str {
    let found: Vec<_> = DOCKERFILE.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

#[test]
fn parts_of_the_image_fit_each_other() {
    let directory = Directory::new("image-parts");
    let config = Path::new(PACKAGING).join("drupe.docker.yaml");
    fs::copy(&config, directory.0.join("drupe.yaml")).expect("it is there");
    let explained = text(&drupe(&directory.0, &["check", "drupe.yaml", "--explain"]).stdout);
    let port = |listener: &str| {
        let key = format!("listeners.{listener}.address: \"0.0.0.0:");
        let line = explained.lines().find_map(|line| line.strip_prefix(&key));
        line.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{listener}: {explained}")).to_owned()
    };
    let ports: BTreeSet<_> = ["telnet", "lines", "web"].map(port).into();
    assert_eq!(instruction("EXPOSE").split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), ports);
    assert!(instruction("HEALTHCHECK").contains(&format!("http://127.0.0.1:{}/healthz", port("web"))));
    // What the image copies from the repository is there, and what cargo builds has these features.
    let root = Path::new(PACKAGING).join("../..");
    assert!(DOCKERFILE.contains("COPY shell-tokio/packaging/drupe.docker.yaml /etc/drupe/drupe.yaml\n"));
    assert!(root.join("shell-tokio/packaging/drupe.docker.yaml").exists());
    let manifest = fs::read_to_string(root.join("shell-tokio/Cargo.toml")).expect("text");
    let (_, features) = DOCKERFILE.split_once("--features ").expect("it names them");
    for feature in features.split(' ').next().expect("a word").split(',') {
        assert!(manifest.contains(&format!("\n{feature} = [")), "{feature}");
    }
}

/// Copies a program of this machine, and the libraries that it is linked with, to the same places below `tree`.
fn copy_program(program: &Path, to: &Path, tree: &Path) {
    let put = |from: &Path, to: &Path| {
        let to = tree.join(to.strip_prefix("/").expect("absolute"));
        fs::create_dir_all(to.parent().expect("it has one")).expect("created");
        fs::copy(from, to).expect("copied");
    };
    put(program, to);
    let listed = Command::new("ldd").arg(program).output().expect("ldd is everywhere").stdout;
    for word in text(&listed).split_whitespace().filter(|word| word.starts_with('/')) {
        put(Path::new(word), Path::new(word));
    }
}

fn script(tree: &Path, name: &str, lines: &str) {
    let path = tree.join("usr/bin").join(name);
    fs::write(&path, format!("#!/bin/sh\nset -e\n{lines}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// Makes a root directory with a shell, a few programs, and these scripts.
fn root(tree: &Path, scripts: &[(&str, &str)]) {
    for program in ["sh", "mkdir", "cp", "rm", "id"] {
        let found = ["/usr/bin", "/bin"].map(|directory| Path::new(directory).join(program));
        let found = found.iter().find(|path| path.exists()).expect("it is everywhere");
        copy_program(&fs::canonicalize(found).expect("there"), &Path::new("/usr/bin").join(program), tree);
    }
    for directory in ["bin", "etc", "tmp", "var/lib/apt/lists"] {
        fs::create_dir_all(tree.join(directory)).expect("created");
    }
    fs::copy(tree.join("usr/bin/sh"), tree.join("bin/sh")).expect("copied");
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("written");
    fs::write(tree.join("etc/group"), "root:x:0:\n").expect("written");
    scripts.iter().for_each(|(name, lines)| script(tree, name, lines));
}

/// `buildah` with a storage of its own.
struct Builder(PathBuf);

impl Builder {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("buildah")
            .arg("--root")
            .arg(self.0.join("storage"))
            .arg("--runroot")
            .arg(self.0.join("run"))
            .args(["--storage-driver", "vfs"])
            .args(arguments)
            .env("BUILDAH_ISOLATION", "chroot")
            .stdin(Stdio::null())
            .output()
            .expect("it is installed")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Makes an image of the files in a directory.
    fn base(&self, name: &str, tree: &Path) {
        let file = tree.with_extension("Dockerfile");
        fs::write(&file, "FROM scratch\nCOPY . /\n").expect("written");
        self.done(&["build", "-f", &file.display().to_string(), "-t", name, &tree.display().to_string()]);
    }
}

/// Returns `false`, with a note about it, where no image can be built.
fn can_build(directory: &Path) -> bool {
    if Command::new("buildah").arg("--version").output().is_err() {
        skip("there is no buildah on this machine");
        return false;
    }
    let tree = directory.join("probe");
    fs::create_dir(&tree).expect("created");
    fs::write(tree.join("file"), "").expect("written");
    fs::write(directory.join("probe.Dockerfile"), "FROM scratch\nCOPY . /\n").expect("written");
    let (file, tree) = (directory.join("probe.Dockerfile"), tree.display().to_string());
    let file = file.display().to_string();
    let builder = Builder(directory.to_owned());
    // Not as root, or in a container without the rights for it.
    let is_built = builder.run(&["build", "-f", &file, "-t", "probe", &tree]).status.success()
        && builder.run(&["from", "--name", "probe", "probe"]).status.success()
        && builder.run(&["mount", "probe"]).status.success()
        && Command::new("chroot").args(["/", "true"]).status().is_ok_and(|status| status.success());
    if !is_built {
        skip("buildah can't build and mount images here");
    }
    is_built
}

#[test]
fn image_is_built_and_serves_as_its_own_user() {
    let directory = Directory::new("image");
    if !can_build(&directory.0) {
        return;
    }
    let builder = Builder(directory.0.clone());
    let (build, slim, context) = (directory.0.join("build"), directory.0.join("slim"), directory.0.join("context"));
    let cargo = "case \"$*\" in 'build --profile dist --locked -p drupe-tokio --features '*' --bin drupe') ;; *) exit 1 ;; esac\n\
                 mkdir -p target/dist\ncp /built/drupe target/dist/drupe";
    root(&build, &[("cargo", cargo)]);
    copy_program(Path::new(program_path()), Path::new("/built/drupe"), &build);
    builder.base("docker.io/library/rust:1-bookworm", &build);
    let useradd = "for name; do :; done\ncase \"$*\" in *'--uid 10001 '*) echo \"$name:x:10001:10001::/:/bin/sh\" >> /etc/passwd ;; *) exit 1 ;; esac";
    root(&slim, &[("apt-get", ":"), ("useradd", useradd)]);
    // A real base image has these libraries.
    copy_program(Path::new(program_path()), Path::new("/tmp/drupe"), &slim);
    fs::remove_file(slim.join("tmp/drupe")).expect("there");
    builder.base("docker.io/library/debian:bookworm-slim", &slim);
    let packaging = context.join("shell-tokio/packaging");
    fs::create_dir_all(&packaging).expect("created");
    fs::copy(Path::new(PACKAGING).join("drupe.docker.yaml"), packaging.join("drupe.docker.yaml")).expect("copied");
    let file = Path::new(PACKAGING).join("Dockerfile").display().to_string();
    builder.done(&[
        "build",
        "--pull-never",
        "--format",
        "docker",
        "-f",
        &file,
        "-t",
        "drupe",
        &context.display().to_string(),
    ]);

    let image: Value = serde_json::from_str(&builder.done(&["inspect", "--type", "image", "drupe"])).expect("JSON");
    let config = &image["Docker"]["config"];
    assert_eq!((&config["User"], &config["StopSignal"]), (&"drupe".into(), &"SIGTERM".into()), "{config}");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/drupe"]));
    assert!(config["Healthcheck"]["Test"][0] == "CMD" && config["ExposedPorts"]["8025/tcp"].is_object(), "{config}");
    let variables = config["Env"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let variables = variables.filter_map(|variable| variable.split_once('='));

    builder.done(&["from", "--name", "container", "drupe"]);
    let mounted = builder.done(&["mount", "container"]);
    let mut command = Command::new("chroot");
    command.args(["--userspec=10001:10001", &mounted]).arg("/usr/bin/drupe").envs(variables);
    // The image's own ports may be in use on this machine.
    for listener in ["telnet", "lines", "web"] {
        command.args(["--set", &format!("listeners.{listener}.address=127.0.0.1:0")]);
    }
    let program = Program::spawned(command, 3);
    let mut health = connect(program.port_of(2));
    write!(health, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    health.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut peer = BufReader::new(connect(program.port_of(0)));
    let mut line = String::new();
    peer.read_line(&mut line).expect("text");
    assert!(line.contains("welcome"), "{line:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    assert!(status.contains("\nUid:\t10001\t10001\t10001\t10001\n"), "{status}");
    let (code, said) = program.terminate();
    // The profile logs JSON.
    let first: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!((code, &first["configuration"]), (Some(0), &"--set listeners.lines.address, --set listeners.telnet.address, --set listeners.web.address, /etc/drupe/drupe.yaml".into()));
}

//! Relative links in the Markdown files lead to existing files.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use std::fs;
use std::path::Path;

const PAGES: [&str; 21] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "RELEASING.md",
    "benches/figures.md",
    "benches/pictures.md",
    "core/README.md",
    "shell-tokio/README.md",
    "shell-tokio/docs/applications.md",
    "shell-tokio/docs/cluster.md",
    "shell-tokio/docs/program.md",
    "shell-tokio/docs/operating.md",
    "shell-tokio/docs/pubsub.md",
    "shell-tokio/docs/pubsub-guide.md",
    "shell-tokio/docs/rooms.md",
    "shell-tokio/docs/ssh.md",
    "shell-smol/README.md",
    "shell-mio/README.md",
    "core/shell/README.md",
    "shell-tokio/ssh/README.md",
];

#[test]
fn relative_links_lead_to_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in PAGES {
        let text = fs::read_to_string(root.join(page)).expect(page);
        let folder = root.join(page).parent().expect("a folder").to_owned();
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let (path, _) = link.split_once('#').unwrap_or((link, ""));
            checked += 1;
            if !folder.join(path).exists() {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
    assert!(checked > 50, "only {checked} links were found");
}

/// The targets of `[text](target)`, outside of blocks of code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

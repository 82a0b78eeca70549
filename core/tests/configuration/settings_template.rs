//! Configuration templates: commented-out values are the defaults, and the examples are valid.

use drupe_core::settings::{Catalog, Plan, Profile, Sources};
use std::collections::BTreeSet;

const PROFILES: [Profile; 3] = [Profile::Development, Profile::Production, Profile::Testing];

/// A line of a template.
#[derive(Clone, Debug)]
struct Line {
    indent: usize,
    kind: Kind,
    /// As it is without what comments it out.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Active,
    Default,
    Example,
    Words,
}

fn lines(template: &str) -> Vec<Line> {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let (kind, text) = match rest.strip_prefix('#') {
            None => (Kind::Active, rest),
            Some(rest) if rest.starts_with("   ") => (Kind::Example, &rest[3..]),
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => (Kind::Words, rest),
            Some(rest) => (Kind::Default, rest),
        };
        Line { indent: indent.len(), kind, text: format!("{indent}{text}") }
    };
    template.lines().map(line).collect()
}

fn plan(text: &str) -> Result<Plan, String> {
    let read = |_: &str| Ok("0123456789abcdef0123456789abcdef".to_string());
    let resolved = Sources::new().file("drupe.yaml", text).secrets_from(read).resolve();
    resolved.map(|resolved| resolved.plan).map_err(|problems| problems.to_string())
}

/// What is wanted of a template: its active lines, and these of the others.
fn document(lines: &[Line], wanted: &BTreeSet<usize>) -> String {
    let is_in = |(number, line): &(usize, &Line)| line.kind == Kind::Active || wanted.contains(number);
    lines.iter().enumerate().filter(is_in).map(|(_, line)| line.text.clone() + "\n").collect()
}

/// The keys that a line is below of.
fn above(lines: &[Line], number: usize) -> BTreeSet<usize> {
    let mut indent = lines[number].indent;
    let mut above = BTreeSet::new();
    for (place, line) in lines.iter().enumerate().take(number).rev() {
        if matches!(line.kind, Kind::Active | Kind::Default) && line.indent < indent && !line.text.trim().is_empty() {
            indent = line.indent;
            above.insert(place);
        }
    }
    above
}

#[test]
fn commented_template_values_are_the_defaults() {
    for profile in PROFILES {
        let lines = lines(&Catalog::default().template(profile));
        let base = plan(&document(&lines, &BTreeSet::new())).expect("good");
        let mut count = 0;
        let mut all = BTreeSet::new();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.kind == Kind::Default) {
            all.insert(number);
            if line.text.ends_with(':') {
                continue;
            }
            count += 1;
            let mut wanted = above(&lines, number);
            wanted.insert(number);
            let with = plan(&document(&lines, &wanted)).unwrap_or_else(|problems| panic!("{}: {problems}", line.text));
            assert_eq!(with, base, "{:?}: {}", profile, line.text);
        }
        assert!(count > 90, "{count}");
        let with = plan(&document(&lines, &all)).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(with, base, "all at once");
    }
}

/// What an example needs to have a meaning: instead of what, and what else.
const CONTEXT: [(&str, &[(&str, &str)]); 18] = [
    ("websocket:", &[("protocol: auto", "protocol: websocket")]),
    ("forwarded:", &[("protocol: auto", "protocol: websocket")]),
    ("socket:", &[("address: 127.0.0.1:7000", "address: unix:/x")]),
    (
        "forward:",
        &[
            ("address: 127.0.0.1:7000", "address: ''"),
            ("profile:", "tunnels: { edge: { ssh_host: h, ssh_user: u } }\nprofile:"),
        ],
    ),
    ("cluster:", &[]),
    ("recorder:", &[]),
    ("tunnels:", &[("address: 127.0.0.1:7000", "forward: { tunnel: edge }")]),
    ("tokens:", &[("authentication:", "authentication:\n  enabled: true")]),
    ("users:", &[("authentication:", "authentication:\n  enabled: true")]),
    ("early_drop:", &[("profile:", "authentication: { enabled: true, shared_password: x }\nprofile:")]),
    ("length:", &[]),
    ("raw:", &[("protocol: auto", "protocol: raw")]),
    ("ssh:", &[("protocol: auto", "protocol: ssh")]),
    ("delimited:", &[("protocol: auto", "protocol: delimited")]),
    ("tls:", &[]),
    ("proxy_protocol:", &[]),
    ("file:", &[]),
    ("options:", &[]),
];

#[test]
fn template_examples_are_valid_and_show_defaults() {
    for profile in PROFILES {
        let lines = lines(&Catalog::default().template(profile));
        let mut shown = BTreeSet::new();
        let mut number = 0;
        while number < lines.len() {
            let begin = number;
            while lines.get(number).is_some_and(|line| line.kind == Kind::Example) {
                number += 1;
            }
            if begin == number {
                number += 1;
                continue;
            }
            let key = lines[begin].text.trim().to_string();
            let document = |without: Option<usize>| {
                let mut wanted = above(&lines, begin);
                wanted.extend((begin..number).filter(|number| Some(*number) != without));
                let text = document(&lines, &wanted);
                let context = CONTEXT.iter().find(|(known, _)| *known == key).map_or(&[][..], |(_, context)| *context);
                context.iter().fold(text, |text, (old, new)| text.replacen(old, new, 1))
            };
            let whole = document(None);
            let with = plan(&whole).unwrap_or_else(|problems| panic!("{problems}\n{whole}"));
            let (mut defaults, mut needed) = (0, 0);
            for (line, found) in lines.iter().enumerate().take(number).skip(begin) {
                let text = found.text.trim();
                if text.starts_with('#') || text.ends_with(':') {
                    continue;
                }
                match plan(&document(Some(line))) {
                    Ok(without) if without == with => defaults += 1,
                    _ => needed += 1,
                }
            }
            assert!(needed <= 3, "{key} {needed} of {}", defaults + needed);
            shown.insert(key);
        }
        let expected: BTreeSet<_> =
            CONTEXT.iter().map(|(key, _)| (*key).to_string()).chain(["targets:".into(), "labels:".into()]).collect();
        assert_eq!(shown, expected);
    }
}

#[test]
fn commented_template_variables_are_the_defaults() {
    for profile in PROFILES {
        let text = Catalog::default().environment_template(profile);
        let pair = |line: &str| {
            line.split_once('=').map(|(name, value)| (name.to_string(), value.to_string())).expect("a variable")
        };
        let active: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(pair).collect();
        let defaults: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#DRUPE_"))
            .map(|line| pair(&format!("DRUPE_{line}")))
            .collect();
        assert!(active.len() == 3 && defaults.len() > 60, "{text}");
        let plan = |more: &[(String, String)]| {
            let variables = active.iter().chain(more).map(|(name, value)| (name.as_str(), value.as_str()));
            Sources::new().environment(variables).resolve().unwrap_or_else(|problems| panic!("{problems}")).plan
        };
        let base = plan(&[]);
        for variable in &defaults {
            assert_eq!(plan(core::slice::from_ref(variable)), base, "{variable:?}");
        }
        assert_eq!(plan(&defaults), base);
        assert!(text.contains("# Longest message, 1B to 1GiB.\n#DRUPE_LIMITS__PEER__MESSAGE_MAX=64KiB\n"), "{text}");
    }
}

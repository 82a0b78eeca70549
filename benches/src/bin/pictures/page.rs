use super::results::{Estimate, Results};
use drupe_benches::Hub;
use std::collections::BTreeMap;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Pictures of what was measured

Two commands measure and draw all of this. They need Linux, and take less than 10 minutes:

```sh
cargo bench -p drupe-benches --bench pictures
cargo run --release -p drupe-benches --bin pictures
```

Each relay is a process of its own, and sends each line to all connections but its sender. *Bare epoll* is one thread
with one write for each recipient. `tokio::sync::broadcast` is a relay as in a tutorial. The relays were measured one after
another on one computer, so compare the relays with one another, and no figures of two computers. Cells have the median, and
in brackets its confidence interval of 95 %.
";

/// The parts of the page: the name of the picture, a title and what it shows.
const PARTS: [[&str; 3]; 3] = [
    [
        "cost",
        "Cost against members",
        "Processor time of the relay for each delivery, in ns. One publisher sends 16 lines of 64 bytes at once to all members.",
    ],
    [
        "delay",
        "Delays beside slow readers",
        "Time from sending a line of 1 KiB until all of 200 members have it, in µs, while 10 others never read. The columns are \
         percentiles.",
    ],
    [
        "memory",
        "Memory of connections",
        "Memory that belongs to the relay alone (`RssAnon`), in bytes for each of 1,000 connections that have received a few \
         lines.",
    ],
];

pub(crate) fn text(cost: &Results, delay: &Results, memory: &Results) -> String {
    let mut page = INTRODUCTION.to_owned();
    for ([name, title, about], (results, unit, digits)) in
        PARTS.into_iter().zip([(cost, 1.0, 0), (delay, 1e3, 0), (memory, 1.0, 0)])
    {
        let _ = write!(
            page,
            "\n## {title}\n\n{about}\n\n<picture>\n  <source media=\"(prefers-color-scheme: dark)\" \
             srcset=\"pictures/{name}-dark.svg\">\n  <img src=\"pictures/{name}-light.svg\" alt=\"{title}\">\n</picture>\n\n",
        );
        table(&mut page, results, unit, digits, name);
    }
    page
}

fn table(page: &mut String, results: &Results, unit: f64, digits: usize, name: &str) {
    let parameters = results.parameters();
    let heading = |parameter: &u64| match name {
        "delay" => format!("{parameter} %"),
        "cost" => format!("{parameter} members"),
        _ => format!("{parameter} connections"),
    };
    let headings: Vec<_> = parameters.iter().map(heading).collect();
    let _ = writeln!(page, "| | {} |\n|---|{}", headings.join(" | "), "---|".repeat(parameters.len()));
    for (hub, estimates) in results.of_hubs() {
        let cells: Vec<_> = parameters.iter().map(|parameter| cell(estimates, *parameter, unit, digits)).collect();
        let _ = writeln!(page, "| {} | {} |", title(hub), cells.join(" | "));
    }
}

pub(crate) fn title(hub: Hub) -> String {
    match hub {
        Hub::DrupeSmol | Hub::DrupeTokio => format!("Drupe {}", hub.title()),
        _ => hub.title().to_owned(),
    }
}

fn cell(estimates: &BTreeMap<u64, Estimate>, parameter: u64, unit: f64, digits: usize) -> String {
    estimates.get(&parameter).map_or_else(String::new, |estimate| {
        let [median, low, high] = [estimate.median, estimate.low, estimate.high].map(|value| value / unit);
        format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
    })
}

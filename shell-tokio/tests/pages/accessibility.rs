//! Both pages through the rules of axe-core, at each width, light and dark.

use super::{Site, browser, when};
use crate::support::{is_own_program, skip};
use std::path::Path;

const SCRIPT: &str = include_str!("accessibility.py");

#[test]
fn axe_finds_nothing_in_the_pages_at_any_width() {
    let Some((python, browser)) = browser() else { return };
    let axe = std::env::var("DRUPE_TEST_NODE_MODULES").unwrap_or_default() + "/axe-core/axe.min.js";
    if !Path::new(&axe).exists() {
        skip("there is no axe-core on this machine");
        return;
    }
    // The pages are the same on each shell.
    if !is_own_program() {
        return;
    }
    let site = Site::start("pages-axe");
    let mut members =
        [("ann", "lobby"), ("bob", "den"), ("carla", "lobby")].map(|(name, room)| site.member(name, room));
    let mut page = site.script((&python, browser), SCRIPT, "axe");
    when(&mut page, "talk", || members.iter_mut().for_each(|member| member.say("hello")));
    page.hear_until("done\n");
}

//! The page of the monitor.

use super::{Site, browser, when};

const SCRIPT: &str = include_str!("monitor.py");

#[test]
fn monitor_page_filters_and_sorts_by_the_names_of_the_chat() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-filter");
    let members = [("zoe", "lobby"), ("ann", "den"), ("bob", "den")].map(|(name, room)| site.member(name, room));
    site.script((&python, browser), SCRIPT, "filter_and_sort").hear_until("done\n");
    drop(members);
}

#[test]
fn monitor_page_survives_a_restart_of_the_server() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-restart");
    let ann = site.member("ann", "lobby");
    let mut page = site.script((&python, browser), SCRIPT, "restart");
    let (site, bob) = when(&mut page, "restart", || {
        let site = site.restart();
        let bob = site.member("bob", "lobby");
        (site, bob)
    });
    page.hear_until("done\n");
    drop((site, ann, bob));
}

#[test]
fn monitor_page_warns_before_operators_lock_themselves_out() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-lockout");
    let ann = site.member("ann", "lobby");
    site.script((&python, browser), SCRIPT, "lockout").hear_until("done\n");
    drop(ann);
}

#[test]
fn monitor_page_shows_the_last_hour_and_day() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-history");
    site.script((&python, browser), SCRIPT, "history").hear_until("done\n");
}

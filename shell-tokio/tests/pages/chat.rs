//! The page of the chat.

use super::{Site, browser, when};

const SCRIPT: &str = include_str!("chat.py");

#[test]
fn chat_page_keeps_name_and_room_and_shows_one_line_for_an_outage() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-outage");
    let mut page = site.script((&python, browser), SCRIPT, "outage");
    let site = when(&mut page, "restart", || site.restart());
    let mut ann = when(&mut page, "answer", || {
        let mut ann = site.member("ann", "den");
        ann.say("hello");
        ann
    });
    ann.hear("<dora> here I am");
    page.hear_until("done\n");
}

#[test]
fn chat_page_asks_again_for_a_name_that_is_in_use() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-name");
    let mut page = site.script((&python, browser), SCRIPT, "name_in_use");
    let (site, mut other) = when(&mut page, "restart", || {
        let site = site.restart();
        let other = site.member("dora", "lobby");
        (site, other)
    });
    when(&mut page, "give it up", || other.say("/nick eve"));
    page.hear_until("done\n");
    drop(site);
}

#[test]
fn chat_page_stays_out_after_a_kick() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-kick");
    site.script((&python, browser), SCRIPT, "kick").hear_until("done\n");
}

#[test]
fn chat_page_shows_times_and_counts_unread_messages_in_the_title() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-unread");
    let mut ann = site.member("ann", "lobby");
    let mut page = site.script((&python, browser), SCRIPT, "unread");
    when(&mut page, "unseen", || {
        ann.say("one");
        ann.say("/me waves");
        ann.say("/nick anna");
    });
    when(&mut page, "seen", || ann.say("three"));
    page.hear_until("done\n");
}

#[test]
fn chat_page_lists_people_and_rooms() {
    let Some((python, browser)) = browser() else { return };
    let site = Site::start("pages-people");
    let mut ann = site.member("ann", "lobby");
    let carla = site.member("carla", "den");
    let mut page = site.script((&python, browser), SCRIPT, "people");
    let bob = when(&mut page, "come", || site.member("bob", "lobby"));
    when(&mut page, "change", || {
        ann.say("/nick anna");
        drop(bob);
    });
    page.hear_until("done\n");
    drop(carla);
}

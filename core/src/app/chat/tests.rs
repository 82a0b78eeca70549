use super::*;
use crate::testing::TestHub;

fn chat<const N: usize>(names: [&str; N]) -> (TestHub<Chat>, [ConnId; N]) {
    let mut hub = TestHub::new(Chat::default());
    let people = names.map(|name| {
        let conn = hub.connect();
        hub.line(conn, &format!("/nick {name}"));
        conn
    });
    hub.clear();
    (hub, people)
}

#[test]
fn chat_welcomes_and_announces_a_new_peer() {
    let (mut hub, [ann]) = chat(["ann"]);
    let bob = hub.connect();
    assert_eq!(hub.lines(bob), ["* welcome, guest2; type /help for the commands", "* guest2 came to lobby"]);
    assert_eq!(hub.lines(ann), ["* guest2 came to lobby"]);
}

#[test]
fn chat_answers_each_command() {
    for (command, to_ann, to_bob) in [
        ("hi", vec!["<ann> hi"], vec!["<ann> hi"]),
        ("   ", vec![], vec![]),
        ("/nick eve", vec!["* ann is now eve"], vec!["* ann is now eve"]),
        ("/nick Bob", vec!["* Bob is taken"], vec![]),
        ("/nick a b", vec!["* a name has 1 to 24 letters, digits, - _ or ."], vec![]),
        ("/join den", vec!["* ann came to den"], vec!["* ann went to den"]),
        ("/join", vec!["* a room has 1 to 24 letters, digits, - _ or ."], vec![]),
        ("/leave", vec!["* you are already in lobby"], vec![]),
        ("/who", vec!["* in lobby: ann, bob"], vec![]),
        ("/rooms", vec!["* rooms: lobby (2)"], vec![]),
        ("/me waves", vec!["~ ann waves"], vec!["~ ann waves"]),
        ("/me is now root", vec!["~ ann is now root"], vec!["~ ann is now root"]),
        ("/nick b\u{43e}b", vec!["* b\u{43e}b looks like bob, which is taken"], vec![]),
        ("/nick Zoe\u{308}", vec!["* ann is now Zo\u{eb}"], vec!["* ann is now Zo\u{eb}"]),
        ("/msg b\u{43e}b hi", vec!["[to bob] hi"], vec!["[ann] hi"]),
        ("/me", vec!["* usage: /me ACTION"], vec![]),
        ("/msg BOB psst", vec!["[to bob] psst"], vec!["[ann] psst"]),
        ("/msg bob", vec!["* usage: /msg NAME TEXT"], vec![]),
        ("/msg cid hi", vec!["* nobody is named cid"], vec![]),
        ("/dance", vec!["* unknown command /dance; type /help for the commands"], vec![]),
        ("/quit bye all", vec!["* goodbye"], vec!["* ann left: bye all"]),
        ("/quit", vec!["* goodbye"], vec!["* ann left"]),
    ] {
        let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
        hub.line(ann, command);
        assert_eq!(hub.lines(ann), to_ann, "{command}: what ann receives");
        assert_eq!(hub.lines(bob), to_bob, "{command}: what bob receives");
    }
}

#[test]
fn chat_separates_rooms_and_frees_the_name_of_a_closed_peer() {
    let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
    hub.line(ann, "/join den");
    hub.clear();
    hub.line(ann, "alone?");
    assert_eq!(hub.lines(bob), Vec::<String>::new());
    hub.fail(ann, crate::base::Failure::Reset);
    hub.line(bob, "/nick ann");
    assert_eq!(hub.lines(bob), ["* bob is now ann"]);
    assert_eq!(hub.handler().hosts.as_ref().map(|hosts| hosts.directory.recount()), Some(1));
}

#[test]
fn chat_strips_control_characters_from_messages() {
    let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
    hub.line(ann, "\u{1b}[2Jclear\u{9b}2J \u{202e}drow\rfake");
    hub.line(ann, "/nick \u{1b}]0;x\u{7}");
    assert_eq!(hub.lines(bob), ["<ann> [2Jclear2J drowfake"]);
}

//! How much shards tell each other, and what happens when one does not answer.

use super::*;

#[test]
fn silent_shard_delays_the_report_and_its_requests_fail_in_the_end() {
    let mut server = Server::new(3, 0, limits());
    let watcher = server.watcher_on(0);
    let conn = std::iter::repeat_with(|| server.connect()).find(|conn| conn.shard() == 1).expect("every third");
    server.cluster.pass(LONG);
    let total = server.last(watcher, "active_sessions").expect("every interval")["total"].clone();
    server.cluster.unreachable.insert(1);
    server.command(watcher, &watch(conn));
    server.command(watcher, &kick(conn));
    let mut errors = Vec::new();
    for _ in 0..20 {
        server.cluster.pass(LONG);
        let told = server.told(watcher);
        errors.extend(told.iter().filter_map(|message| message["error"].as_str().map(ToOwned::to_owned)));
        let list = told.iter().find(|message| message["type"] == "active_sessions");
        assert!(list.is_none_or(|list| list["total"] == total), "its sessions are still shown");
    }
    assert_eq!(errors, ["worker 1 does not answer"; 2]);
    let asked = server.cluster.exchanged.iter().filter(|(_, to, text)| *to == 1 && text.contains("\"ask\"")).count();
    assert!(asked <= 3, "it is not asked again before it has answered: {asked}");
    server.cluster.unreachable.clear();
    server.cluster.pass(LONG);
    assert!(server.cluster.is_over(conn), "the command arrived in the end");
    let told = server.told(watcher);
    assert!(told.iter().all(|message| message["error"].is_null()), "and its reply comes too late: {told:?}");
}

#[test]
fn copies_and_news_from_another_shard_are_bounded_between_two_reports() {
    let mut server = Server::new(2, 0, limits());
    let watcher = server.watcher_on(0);
    let conn = std::iter::repeat_with(|| server.connect()).find(|conn| conn.shard() == 1).expect("every second");
    server.cluster.pass(LONG);
    assert_eq!(server.answer(watcher, &watch(conn)), "success");
    let before = server.cluster.exchanged.len();
    for number in 0..2_000 {
        server.say(conn, &format!("{number} {}", "z".repeat(200)));
    }
    for _ in 0..400 {
        server.connect();
    }
    server.cluster.deliver_all();
    let of = |server: &Server, kind: &str| {
        let exchanged = &server.cluster.exchanged[before..];
        exchanged
            .iter()
            .filter(|(_, _, text)| text.starts_with(kind))
            .map(|(_, _, text)| text.len())
            .collect::<Vec<_>>()
    };
    let copies = of(&server, "{\"said\"");
    assert!(copies.len() > 100 && copies.iter().sum::<usize>() < 2 * 65_536, "{} copies", copies.len());
    assert_eq!(of(&server, "{\"started\"").len(), 128, "of about 200 on that shard");
    server.cluster.pass(LONG);
    let told = server.told(watcher);
    let count = |kind: &str| told.iter().filter(|message| message["type"] == kind).count() as u64;
    let skipped = told.iter().find(|message| message["type"] == "watch_skipped").expect("it is told");
    assert_eq!(skipped["count"].as_u64().expect("a number") + count("client_input"), 2_000);
    let list = told.iter().rfind(|message| message["type"] == "active_sessions").expect("a list");
    let open = server.peers.iter().filter(|conn| !server.cluster.is_over(**conn)).count() as u64;
    assert_eq!(list["total"].as_u64(), Some(open - 1), "all but the watcher");
    // The next report renews both.
    server.say(conn, "seen");
    server.connect();
    server.connect();
    server.cluster.deliver_all();
    let told = server.told(watcher);
    assert!(told.iter().any(|message| message["type"] == "client_input"));
    assert_eq!(told.iter().filter(|message| message["type"] == "session_started").count(), 2);
}

#[test]
fn slow_watcher_of_another_shard_learns_what_it_missed_and_slows_nobody() {
    let mut server = Server::new(2, 0, limits());
    let watcher = server.watcher_on(0);
    let conn = std::iter::repeat_with(|| server.connect()).find(|conn| conn.shard() == 1).expect("every second");
    assert_eq!(server.answer(watcher, &watch(conn)), "success");
    server.cluster.stuck.insert(watcher);
    for round in 0..10 {
        for number in 0..200 {
            server.say(conn, &format!("{round} {number} {}", "z".repeat(200)));
        }
        server.cluster.pass(LONG);
    }
    assert_eq!(server.cluster.machines[1].metrics().messages_in, 2_000);
    assert!(server.cluster.machines[0].metrics().queued_bytes < 300_000);
    server.cluster.read_on(watcher);
    server.cluster.pass(LONG);
    let told = server.told(watcher);
    let skipped: u64 = told.iter().filter_map(|message| message["count"].as_u64()).sum();
    let shown = told.iter().filter(|message| message["type"] == "client_input").count() as u64;
    assert!(skipped > 0 && shown > 0);
    assert_eq!(skipped + shown, 2_000);
}

#[test]
fn list_shows_500_sessions_of_all_shards_and_their_total() {
    let mut server = Server::new(4, 0, limits());
    let watcher = server.watcher_on(3);
    let conns: Vec<_> = (0..1_000).map(|_| server.connect()).collect();
    // Most of those of two shards leave.
    let (few, many): (Vec<ConnId>, Vec<ConnId>) = conns.into_iter().partition(|conn| conn.shard() < 2);
    few.iter().skip(60).for_each(|conn| server.cluster.reset(*conn));
    (0..3).for_each(|_| server.cluster.pass(LONG));
    let told = server.told(watcher);
    let last = |kind: &str| told.iter().rfind(|message| message["type"] == kind).expect("every interval");
    assert_eq!(last("stats")["watchers"], 1, "it follows a long list");
    let list = last("active_sessions");
    let sessions = list["sessions"].as_array().expect("a list");
    let open = server.peers.iter().filter(|conn| !server.cluster.is_over(**conn)).count();
    assert_eq!((sessions.len(), list["total"].as_u64()), (500, Some(open as u64 - 1)));
    let shown: Vec<ConnId> = sessions.iter().map(|session| id(&session["id"])).collect();
    assert!(shown.is_sorted());
    let rest = few[..60].iter().filter(|conn| shown.contains(conn)).count();
    assert_eq!((rest, many.len()), (60, 500), "all of the shards that have few");
    let largest = server.cluster.exchanged.iter().map(|(_, _, text)| text.matches("\"remote_addr\"").count()).max();
    assert!(largest <= Some(500), "{largest:?}");
}

#[test]
fn limit_of_watchers_and_the_log_hold_for_all_shards() {
    let mut server = Server::new(3, 0, limits().watchers_max(2));
    let watchers: Vec<_> = (0..4)
        .map(|_| {
            let watcher = server.watcher();
            server.cluster.deliver_all();
            server.connect();
            watcher
        })
        .collect();
    let over: Vec<_> = watchers.iter().map(|conn| server.cluster.is_over(*conn)).collect();
    assert_eq!(over, [false, false, true, true]);
    let ended: u64 =
        server.cluster.machines.iter().map(|machine| machine.metrics().ended.get(Reason::ListenerFull)).sum();
    assert_eq!(ended, 2);
    assert_ne!(watchers[0].shard(), watchers[1].shard());
    server.log.push("a line");
    server.cluster.pass(LONG);
    for watcher in &watchers[..2] {
        let told = server.told(*watcher);
        let lines: Vec<_> = told.iter().filter(|message| message["type"] == "log").map(|line| &line["line"]).collect();
        assert_eq!(lines, ["a line"]);
        let stats = told.iter().rfind(|message| message["type"] == "stats").expect("every interval");
        assert_eq!(stats["watchers"], 2);
    }
    // One leaves, and another one finds room on any shard, and the lines.
    server.cluster.reset(watchers[0]);
    server.cluster.deliver_all();
    let next = server.watcher();
    server.cluster.deliver_all();
    assert!(!server.cluster.is_over(next));
    assert_eq!(server.last(next, "log").expect("the last lines")["line"], "a line");
}

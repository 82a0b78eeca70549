// Put the recording beside this file.
use drupe_core::app::Chat;
use drupe_core::trace::{Recording, seed};
use drupe_core::{Config, Machine, Shard, Time};

#[test]
fn recorded_run_is_repeated() {
    let recording = Recording::parse(include_str!("chat.recording")).expect("a recording");
    let last = Time::from_nanos(2_000_000_000);
    for recorded in &recording.shards {
        let recorded = recorded.until(last);
        assert_eq!(recorded.obstacle(), None);
        // Give it the listeners and limits of the recorded server, and its handler in place of the chat.
        let listeners = ["tcp://127.0.0.1:7000".parse().expect("an address")];
        let config = Config::listening(listeners).seed(seed(&recorded.facts));
        let shard = Shard::new(recorded.shard, 2).expect("a shard of the recording");
        let mut machine = Machine::shard(config, Chat::default(), shard);
        let replayed = recorded.compare(&mut machine, []).expect("facts that this version reads");
        // The bytes are those of the recorded run, and lines are numbered as in the recording. Replace this by what the
        // machine should have done.
        assert_eq!(replayed.first, None);
        for (conn, bytes) in &replayed.transcript.written {
            println!("{conn}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

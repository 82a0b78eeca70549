//! What the broker adds to the time from sending a message to receiving it, at a low rate.

use super::client::Client;
use crate::processes::{Broker, Process};
use crate::samples::{Samples, float};
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Messages to each room in one repetition.
const MESSAGES: usize = 400;
/// Time between two messages to different rooms, whether the first has arrived or not.
const EVERY: Duration = Duration::from_micros(2_500);

/// Measures the times for a room at home, for a shared room on the same host, and on another one.
pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    let redis = Process::redis()?;
    let hosts =
        [Process::host(1, Some(Broker::Redis(redis.address)))?, Process::host(1, Some(Broker::Redis(redis.address)))?];
    let mut sender = hosts[0].connect()?;
    let places = [("home", 0), ("kept", 0), ("kept", 1)];
    let mut arrivals = Vec::new();
    for (room, host) in places {
        let mut client = hosts[host].connect()?;
        client.join(room)?;
        arrivals.push(listen(client));
    }
    let mut found: [[Samples; 3]; 2] = Default::default();
    let mut added: [[Samples; 2]; 2] = Default::default();
    for repetition in 0..=repetitions {
        let sent = send(&mut sender)?;
        let times: Vec<Samples> = arrivals
            .iter()
            .zip(["home", "kept", "kept"])
            .map(|(arrivals, room)| {
                let sent = sent.iter().filter(|(name, _)| *name == room);
                let arrived =
                    sent.map(|(_, at)| arrivals.recv().map(|arrived| arrived.duration_since(*at).as_secs_f64()));
                arrived.collect::<Result<Samples, _>>().map_err(io::Error::other)
            })
            .collect::<io::Result<_>>()?;
        if repetition == 0 {
            continue;
        }
        for (which, percent) in [50, 99].into_iter().enumerate() {
            let of_home = times[0].at(percent);
            for (place, times) in times.iter().enumerate() {
                found[which][place].add(times.at(percent));
                if place > 0 {
                    added[which][place - 1].add(times.at(percent) - of_home);
                }
            }
        }
    }
    let rate = 1.0 / EVERY.as_secs_f64();
    writeln!(
        out,
        "\nTime from sending to receiving, {rate:.0} messages/s, {repetitions} x {MESSAGES} per room, in µs:\n"
    )?;
    writeln!(out, "| | room at home | shared, same host | shared, other host | broker adds, same host | other host |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (which, name) in ["p50", "p99"].into_iter().enumerate() {
        let [home, same, other] = [0, 1, 2].map(|place| found[which][place].text(1e6, 0));
        let [of_same, of_other] = [0, 1].map(|place| added[which][place].text(1e6, 0));
        writeln!(out, "| {name} | {home} | {same} | {other} | {of_same} | {of_other} |")?;
    }
    Ok(())
}

/// Sends to the rooms in turn. Returns the room and the planned time of each message.
fn send(sender: &mut Client) -> io::Result<Vec<(&'static str, Instant)>> {
    let began = Instant::now();
    let mut sent = Vec::new();
    for number in 0..2 * MESSAGES {
        let (room, at) = (["home", "kept"][number % 2], began + EVERY.mul_f64(float(number)));
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        sender.send(format!("p {room} x\n").as_bytes())?;
        sent.push((room, at));
    }
    Ok(sent)
}

/// Reports when each line arrives, until the connection ends.
fn listen(mut client: Client) -> Receiver<Instant> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(bytes @ [_, ..]) = client.read_some() {
            let now = Instant::now();
            for _ in bytes.iter().filter(|&&byte| byte == b'\n') {
                if send.send(now).is_err() {
                    return;
                }
            }
        }
    });
    receive
}

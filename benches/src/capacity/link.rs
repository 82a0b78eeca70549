//! The broker's end of one link: what it has received, and what it must send.

use drupe_core::Time;
use drupe_core::sim::{Actor, BrokerConnection};
use std::collections::VecDeque;

pub(super) struct Link {
    pub(super) connection: BrokerConnection,
    /// The number of this link among all, so that commands of an earlier one are dropped.
    pub(super) number: u64,
    /// The beginning of a command whose rest has not come.
    input: Vec<u8>,
    /// What the model has written and the network has not carried yet.
    output: Vec<u8>,
    /// The number of bytes of `output` that were carried.
    carried: usize,
    /// Number of bytes that the model has written so far, and that the network has carried.
    written: u64,
    arrived: u64,
    /// Commands that the model has carried out, whose replies have not arrived.
    answers: VecDeque<Sent>,
    /// Commands that the model has carried out since its output was last taken.
    ran: Vec<Sent>,
    /// The length of all commands whose replies have not arrived, in bytes.
    pub(super) unanswered: usize,
    /// Number of histories that were read over this link.
    pub(super) reads: u64,
}

struct Sent {
    at: Time,
    bytes: usize,
    /// Number of written bytes that contain the reply.
    until: u64,
}

impl Link {
    pub(super) const fn new(connection: BrokerConnection, number: u64) -> Self {
        Self {
            connection,
            number,
            input: Vec::new(),
            output: Vec::new(),
            carried: 0,
            written: 0,
            arrived: 0,
            answers: VecDeque::new(),
            ran: Vec::new(),
            unanswered: 0,
            reads: 0,
        }
    }

    /// Takes what a host sends. Returns the commands that are complete.
    pub(super) fn take_commands(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.input.extend_from_slice(bytes);
        let (mut at, mut commands) = (0, Vec::new());
        while let Some(length) = self.input.get(at..).and_then(command_length) {
            commands.push(self.input[at..at + length].to_vec());
            at += length;
        }
        self.input.drain(..at);
        self.unanswered += commands.iter().map(Vec::len).sum::<usize>();
        commands
    }

    /// Notes that the model has carried out a command.
    pub(super) fn has_run(&mut self, sent_at: Time, bytes: usize) {
        self.ran.push(Sent { at: sent_at, bytes, until: 0 });
    }

    /// Takes what the model has written. Returns the number of bytes.
    pub(super) fn take_output(&mut self) -> usize {
        let output = self.connection.replies();
        self.written += output.len() as u64;
        self.output.extend_from_slice(&output);
        let until = self.written;
        self.answers.extend(self.ran.drain(..).map(|sent| Sent { until, ..sent }));
        output.len()
    }

    /// Returns the number of bytes that wait for the network.
    pub(super) fn unread(&self) -> usize {
        self.output.len() - self.carried
    }

    /// Carries at most this many bytes to the host. Returns how many.
    pub(super) fn carry(&mut self, most: usize, to_host: &mut Vec<u8>) -> usize {
        let length = self.unread().min(most);
        to_host.extend_from_slice(&self.output[self.carried..self.carried + length]);
        self.carried += length;
        self.arrived += length as u64;
        if self.carried == self.output.len() {
            self.output.clear();
            self.carried = 0;
        } else if self.carried > 1 << 20 {
            self.output.drain(..self.carried);
            self.carried = 0;
        }
        length
    }

    /// Returns when the oldest command was sent whose reply has arrived since the last call.
    pub(super) fn take_oldest_answered(&mut self) -> Option<Time> {
        let mut oldest = None;
        while let Some(sent) = self.answers.front()
            && sent.until <= self.arrived
        {
            self.unanswered -= sent.bytes;
            oldest.get_or_insert(sent.at);
            self.answers.pop_front();
        }
        oldest
    }

    /// Returns when the oldest command was sent that has no reply, among those that the model has carried out.
    pub(super) fn oldest_unanswered(&self) -> Option<Time> {
        self.answers.front().map(|sent| sent.at)
    }
}

/// Returns the length of the command with which `input` begins, if it is complete.
fn command_length(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    let count = number(input, &mut at)?;
    for _ in 0..count {
        at += number(input, &mut at)? + 2;
    }
    (at <= input.len()).then_some(at)
}

/// Reads a line of one character and a number, such as `$12`.
fn number(input: &[u8], at: &mut usize) -> Option<usize> {
    let rest = input.get(*at..)?;
    let end = rest.iter().position(|&byte| byte == b'\r')?;
    *at += end + 2;
    std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()
}

/// Returns the part of a command with this number, from 0. `None`: it has fewer parts.
pub(super) fn part(command: &[u8], index: usize) -> Option<&[u8]> {
    let mut at = 0;
    let count = number(command, &mut at)?;
    for place in 0..count {
        let length = number(command, &mut at)?;
        if place == index {
            return command.get(at..at + length);
        }
        at += length + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{command_length, part};

    #[test]
    fn commands_are_split_where_they_end() {
        let command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n";
        let both = [&command[..], b"*1\r\n$4\r\nTIME\r\n"].concat();
        assert_eq!(command_length(&both), Some(command.len()));
        assert!((0..command.len()).all(|length| command_length(&command[..length]).is_none()));
        assert_eq!([0, 2, 3].map(|index| part(command, index)), [Some(&b"SET"[..]), Some(b"a\r\nb"), None]);
    }
}

//! A codec that carries another codec's byte stream in the messages of a WebSocket.

use super::codec::Codec;
use super::websocket::{Frame, WebSocket};
use crate::base::Random;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) struct Carried {
    socket: WebSocket,
    within: Box<dyn Codec>,
    /// Whether the WebSocket opened and the inner codec's first bytes were sent.
    begun: bool,
    /// The first bytes of the inner codec, until the WebSocket opens.
    first: Vec<u8>,
    pieces: Random,
}

impl Carried {
    pub(super) fn new(socket: WebSocket, within: Box<dyn Codec>) -> Self {
        Self { socket, within, begun: false, first: Vec::new(), pieces: Random::new(0) }
    }

    /// Sends a stream in messages, split at random positions.
    fn wrap(&mut self, mut stream: &[u8], out: &mut Vec<u8>) {
        while !stream.is_empty() {
            let most = [1, 7, usize::MAX][usize::try_from(self.pieces.below(3)).unwrap_or(0)];
            let (piece, rest) = stream.split_at(most.min(stream.len()));
            self.socket.send(Frame::BINARY, piece, out);
            stream = rest;
        }
    }
}

impl Codec for Carried {
    fn within(&self) -> Option<&dyn Codec> {
        Some(&*self.within)
    }

    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        Some(&mut *self.within)
    }

    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        self.socket.begin(random, out);
        self.pieces = Random::new(random.next_u64());
        self.begun = false;
        self.first.clear();
        self.within.begin(random, &mut self.first);
    }

    fn is_ready(&self) -> bool {
        self.begun && self.socket.is_ready() && self.within.is_ready()
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        let mut stream = Vec::new();
        self.within.say(message, random, &mut stream);
        self.wrap(&stream, out);
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut stream = Vec::new();
        self.within.raw(bytes, &mut stream);
        self.wrap(&stream, out);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if random.below(3) == 0 {
            return self.socket.ping(random, out);
        }
        let mut stream = Vec::new();
        self.within.fidget(random, &mut stream);
        self.wrap(&stream, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        self.socket.close(out)
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut messages = Vec::new();
        self.socket.take(bytes, &mut messages, out)?;
        if self.socket.is_ready() && !core::mem::replace(&mut self.begun, true) {
            let first = core::mem::take(&mut self.first);
            self.wrap(&first, out);
        }
        for message in messages {
            let mut answer = Vec::new();
            self.within.hear(&message, heard, &mut answer)?;
            if self.socket.is_ready() {
                self.wrap(&answer, out);
            }
        }
        Ok(())
    }

    fn finished(&mut self, heard: &mut Vec<String>) -> Result<(), String> {
        self.socket.finished(heard)?;
        if self.socket.has_spoken() { self.within.finished(heard) } else { Ok(()) }
    }

    fn rested(&mut self) -> Result<(), String> {
        if self.is_ready() { self.within.rested() } else { Ok(()) }
    }

    fn answers_pings(&self) -> bool {
        self.socket.answers_pings()
    }
}

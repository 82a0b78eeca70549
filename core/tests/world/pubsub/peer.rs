//! A simulated client of the Centrifuge protocol: a wire, what it knows, and a script.

use super::view::View;
use drupe_core::Random;
use drupe_core::sim::{Act, Actor, Client, Do};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) struct Peer {
    client: Client,
    view: Rc<RefCell<View>>,
}

impl Peer {
    /// Creates a client that does what `next` says. Everything that it says passes its view.
    pub(crate) fn new(
        client: Client,
        view: &Rc<RefCell<View>>,
        mut next: impl FnMut(&mut View, &mut Random) -> Do + 'static,
    ) -> Self {
        let (hears, says) = (Rc::clone(view), Rc::clone(view));
        let client = client.answers(move |text| hears.borrow_mut().heard(text)).does(move |random| {
            let mut view = says.borrow_mut();
            if view.has_left {
                return Do::Wait;
            }
            let next = next(&mut view, random);
            match &next {
                Do::Say(message) => view.said(message),
                Do::Close | Do::End | Do::Leave => view.has_left = true,
                _ => {}
            }
            next
        });
        Self { client, view: Rc::clone(view) }
    }

    /// Creates a peer without a view, which speaks another language.
    pub(crate) fn stranger(client: Client) -> Self {
        Self { client, view: Rc::default() }
    }
}

impl Actor for Peer {
    fn connected(&mut self, random: &mut Random) -> Vec<u8> {
        self.view.borrow_mut().opened();
        self.client.connected(random)
    }

    fn act(&mut self, random: &mut Random) -> Act {
        self.client.act(random)
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.client.hear(bytes);
    }

    fn replies(&mut self) -> Vec<u8> {
        self.client.replies()
    }

    fn finished(&mut self) -> bool {
        self.client.finished()
    }

    fn refused(&mut self, farewell: &[u8]) {
        self.client.refused(farewell);
    }

    fn over(&mut self) {
        self.client.over();
    }

    fn rested(&mut self) {
        self.client.rested();
        self.view.borrow_mut().rested();
    }

    fn answers_pings(&self) -> bool {
        self.client.answers_pings()
    }

    fn broken(&self) -> Option<String> {
        self.client.broken().or_else(|| self.view.borrow().broken.clone())
    }
}

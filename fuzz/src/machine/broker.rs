//! The broker of a machine with a cluster: a model of one at the other end of its link.

use super::Restless;
use crate::extremes::BROKER_HOST;
use drupe_core::broker::Engine;
use drupe_core::sim::{Actor, BrokerConnection, BrokerModel};
use drupe_core::{Config, ConnId, DialId, Input, Machine, Random};
use std::collections::BTreeMap;

pub(super) struct Broker {
    model: BrokerModel,
    links: BTreeMap<ConnId, BrokerConnection>,
}

impl Broker {
    /// Starts a broker of the kind that a configuration names.
    pub(super) fn of(config: &Config) -> Self {
        let model = match config.cluster.as_ref().map(|cluster| &cluster.engine) {
            Some(Engine::Nats(_)) => BrokerModel::nats(1),
            _ => BrokerModel::redis(),
        };
        Self { model, links: BTreeMap::new() }
    }

    /// Returns `true` if a dial is one of the link.
    pub(super) fn is_link(machine: &Machine<Restless>, dial: DialId) -> bool {
        machine.address_to_dial(dial).is_some_and(|address| address.starts_with(BROKER_HOST))
    }

    /// Accepts a connection.
    pub(super) fn accept(&mut self, conn: ConnId) {
        let mut link = self.model.connection();
        link.connected(&mut Random::new(1));
        self.links.insert(conn, link);
    }

    /// Receives what was written to a connection, if it is one to the broker.
    pub(super) fn hear(&mut self, machine: &Machine<Restless>, conn: ConnId, count: usize) {
        if let Some(link) = self.links.get_mut(&conn)
            && let Some(intent) = machine.intent(conn)
        {
            let bytes = intent.transmit.slices().collect::<Vec<_>>().concat();
            link.hear(&bytes[..count.min(bytes.len())]);
        }
    }

    /// Returns what happens next at the link, if anything does.
    pub(super) fn next_input(&mut self, machine: &Machine<Restless>) -> Option<Input<u8>> {
        self.links.retain(|conn, _| machine.intent(*conn).is_some());
        self.links.iter_mut().find_map(|(&conn, link)| {
            let bytes = machine.intent(conn).map_or(0, |intent| intent.transmit.len());
            if bytes > 0 {
                return Some(Input::Wrote { conn, bytes });
            }
            let bytes = link.replies();
            (!bytes.is_empty()).then_some(Input::Received { conn, bytes })
        })
    }
}

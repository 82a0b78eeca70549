//! Shared rooms on real brokers: the parts of the tests first, and then the tests by their subjects.

mod check;
mod host;
mod member;
mod nats;
mod proxy;
mod publisher;
mod record;
mod redis;
mod stage;
mod wire;

mod case_chat;
mod case_failover;
mod case_hosts;
mod case_keys;
mod case_kills;
mod case_load;
mod case_losses;
mod case_nats;
mod case_nats_cluster;
mod case_network;
mod case_strangers;
mod case_whole;
mod check_tests;

//! Configurations from text: values, mistakes, warnings, templates and documented claims.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod section_dials;
mod section_pubsub;
mod sections;
mod sections_template;
mod settings;
mod settings_claims;
mod settings_cluster;
mod settings_mistakes;
mod settings_origins;
mod settings_rooms;
mod settings_secrets;
mod settings_ssh;
mod settings_template;
mod settings_warnings;
mod settings_wires;

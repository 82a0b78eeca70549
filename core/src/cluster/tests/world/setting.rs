//! What all worlds have in common, and what was counted in them.

pub(super) const HOSTS: u64 = 3;
/// How many messages a room keeps.
pub(super) const KEEP: u32 = 6;
pub(super) const ROOMS: [&str; 3] = ["news", "chat", "a{b}"];

/// What a world is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    /// Whether positions are compared by epoch and offset only, as others do.
    pub(super) offsets_only: bool,
}

/// What happened in worlds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: usize,
    pub(super) lost: usize,
    pub(super) received: usize,
    pub(super) gaps: usize,
    pub(super) recovered: usize,
    pub(super) not_recovered: usize,
    pub(super) fills: u64,
    pub(super) presence: usize,
}

//! Bounds on the work, memory and time that one peer can cost.

mod counting;
mod fair_turns;
mod memory;
mod work;
mod work_world;

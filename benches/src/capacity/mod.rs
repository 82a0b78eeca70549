//! How much a cluster carries: many hosts and a model of their broker, in virtual time.
//!
//! Each host is a real [`Machine`](drupe_core::Machine) with shared rooms, real connections and a real link. The broker
//! is the model of a Redis server of the core's simulations. What takes time there is computed from [`Figures`]: each
//! command takes the time that a real server needs for it, and what the server sends leaves at the speed of its
//! network. So links wait, are full or are lost as they would be.
//!
//! The processors of hosts do not slow a run down. Their deliveries are counted, and compared with the figures.
//!
//! The load rises from step to step. After each step, the broker restarts with all data under the same load, and all
//! hosts read what they missed. [`Run::step`] returns what was measured, and which limits were passed.

mod broker;
mod cluster;
mod crowd;
mod host;
mod limits;
mod link;
mod numbers;
mod options;
mod report;

pub use cluster::Run;
pub use limits::Passed;
pub use options::{Figures, Options};
pub use report::{Repair, Step};

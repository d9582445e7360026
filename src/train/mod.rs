//! The training loop: what is told of a run, to whom, and when it stops.

mod observer;
mod outcome;
mod schedule;

pub use observer::{EarlyStopping, Interrupt, Observer, Observers, TimeLimit};
pub use outcome::{BondReport, Outcome, Stop, SweepReport};
pub use schedule::Schedule;

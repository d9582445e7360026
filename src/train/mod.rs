//! The training loop: what is told of a run, to whom, and when it stops.

mod adam;
mod cma_es;
mod minimise;
mod observer;
mod outcome;
mod schedule;
mod two_site;

pub use adam::{Adam, AdamProgress, AdamRun, AdamState};
pub use minimise::{Minimiser, Minimum, Wanted};
pub use observer::{EarlyStopping, Interrupt, Observer, Observers, TimeLimit};
pub use outcome::{BondReport, Outcome, Stop, SweepReport};
pub use schedule::Schedule;
pub use two_site::{Keeper, Progress, Run, TwoSite, best_smoothing};

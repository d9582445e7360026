//! What has a likelihood or draws samples.

mod batch;
pub mod born_mps;
mod generative;
mod sweep;

pub use batch::Batch;
pub use generative::{Conditional, GenerativeModel, Marginal};
pub use sweep::{BondSweeper, Direction, Splitting, Step, SweepSetup, Sweepable, Update};

//! What has a likelihood or draws samples.

mod batch;
mod born_circuit;
pub mod born_mps;
mod chow_liu;
mod differentiable;
mod generative;
mod independent;
mod kernel;
mod sweep;

pub use batch::Batch;
pub use born_circuit::{BornCircuit, CircuitLoss, Entangler};
pub use born_mps::BornMps;
pub use chow_liu::ChowLiu;
pub use differentiable::Differentiable;
pub use generative::{Conditional, GenerativeModel, Marginal, Smooth};
pub use independent::Independent;
pub use kernel::{Distance, Kernel};
pub use sweep::{BondSweeper, Direction, Splitting, Step, SweepSetup, Sweepable, Update};

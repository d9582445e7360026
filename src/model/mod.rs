//! What has a likelihood or draws samples.

mod batch;
pub mod born_mps;
mod generative;

pub use batch::Batch;
pub use generative::{Conditional, GenerativeModel, Marginal};

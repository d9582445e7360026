//! What has a likelihood or draws samples.

mod batch;
mod generative;

pub use batch::Batch;
pub use generative::{Conditional, GenerativeModel, Marginal};

//! States on a chain as linear-algebra objects: matrix product states and operators, open boundary.
//!
//! A site tensor stands as `[left, site, right]`; the product of all of them, times a [`crate::LogScaled`] factor, is the
//! state. Nothing here knows of data or likelihood.

mod canonical;
mod compress;
mod dense;
mod entropy;
mod mps;
mod overlap;
mod small;

pub use canonical::Toward;
pub use compress::Compression;
pub use entropy::{entanglement_entropy, renyi_entropy};
pub use mps::Mps;

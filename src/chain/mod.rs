//! States on a chain as linear-algebra objects: matrix product states and operators, open boundary.
//!
//! A site tensor stands as `[left, site, right]`; the product of all of them, times a [`crate::LogScaled`] factor, is the
//! state. Nothing here knows of data or likelihood.

mod apply;
mod canonical;
mod compress;
mod dense;
mod dmrg;
mod effective;
mod entropy;
mod environments;
mod expectation;
mod local;
mod mpo;
mod mps;
mod named;
mod operators;
mod opsum;
mod overlap;
mod projection;
mod purified;
mod small;
mod sum;

pub use apply::Applied;
pub use canonical::Toward;
pub use compress::Compression;
pub use dmrg::{Dmrg, DmrgStop, SweepReport, Sweeps, dmrg, dmrg_excited, dmrg_single_site};
pub use entropy::{entanglement_entropy, renyi_entropy};
pub use mpo::Mpo;
pub use mps::Mps;
pub(crate) use mps::check_entries;
pub use operators::{operator, operator_as};
pub use opsum::{OpSum, SiteOp};
pub use purified::Purified;
pub(crate) use purified::apart;

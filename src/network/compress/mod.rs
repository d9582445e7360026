//! Approximate contraction: bonds that grow too large are truncated by singular value decompositions.
//!
//! `layout` makes bonds of hyperedges, `sites` holds the tensors while they are contracted, `truncate` cuts a bond within
//! what surrounds it, `run` goes through an order; `cost` models what an order costs with bounded bonds, `orders` makes
//! orders, `improve` changes them for the better, `search` chooses among them, `plan` is what comes of it, `boundary` is
//! the order for planar lattices; `belief` passes messages. Formulas and sources are in `docs/approximate.md`.

mod belief;
mod boundary;
mod cost;
mod improve;
mod layout;
mod orders;
mod plan;
mod run;
mod search;
mod settings;
mod sites;
mod truncate;

pub use belief::{Belief, BeliefPropagation, Gauged};
pub use plan::{CompressedCost, CompressedPlan};
pub use run::Approximate;
pub use settings::{Compressed, Gauge, Timing};

//! Networks of tensors, and how they are contracted.
//!
//! A [`Network`] holds tensors joined by the names of their legs, an [`Equation`] its pattern without the values. A
//! [`Planner`] searches for a [`Plan`]: an order of pairwise contractions, the indices that are sliced, and the cost.
//! [`Network::contract`] follows it, and can do so for any tensors of the same shapes.
//!
//! ```
//! use std::time::Duration;
//! use ansatz::{Seed, network::{Equation, Network, Planner}};
//! // Five tensors around a hyperedge `h`, drawn at random.
//! let wheel = Equation::parse("hab,hbc,hcd,hde,hea->", &[[3, 4, 4]; 5])?;
//! let plan = Planner::new().search(&wheel, Duration::from_secs(1), Seed(1))?;
//! let value = Network::<f64>::random(&wheel, Seed(2))?.contract(&plan)?.scalar()?;
//! assert!(value.ln_abs().is_finite());
//! # Ok::<(), ansatz::Error>(())
//! ```

mod compress;
mod cost;
mod equation;
mod execute;
mod gradient;
mod measure;
#[allow(clippy::module_inception)]
mod network;
mod order;
mod plan;
mod planner;
mod refine;
mod search;
mod simplify;
mod tree;
mod unique;

pub use compress::{
    Approximate, Belief, BeliefPropagation, Compressed, CompressedCost, CompressedPlan, Gauge, Gauged, Timing,
};
pub use cost::{Cost, Objective};
pub use equation::Equation;
pub(crate) use execute::Accumulator;
pub use execute::{Budget, CompiledContraction, CompiledGradient, Contracted, Contraction, SliceObserver, SlicedSum};
pub use gradient::{Backward, Gradient};
pub use network::{Bond, Network, Node};
pub use plan::{Plan, Step};
pub use planner::Planner;
pub use simplify::{Rule, RuleReport, Simplify};
pub use tree::ContractionTree;

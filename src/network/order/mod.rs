//! Searches for good orders.

mod anneal;
mod bisect;
mod eliminate;
mod exact;
mod graph;
mod greedy;
mod reconfigure;
mod reduce;
mod slice;
mod starts;
mod state;
mod sweep;

pub(super) use anneal::{Schedule, anneal};
pub(super) use exact::{Allowance, Exact, Joins, MOST, Outcome};
pub(super) use graph::{Graph, log2_sum};
pub(super) use reconfigure::{Subsets, reconfigure};
pub(super) use reduce::reduce;
pub(super) use slice::{Sliced, Slicing, sliced_cost};
pub(super) use starts::{Family, start};
pub(super) use state::{Bare, State};

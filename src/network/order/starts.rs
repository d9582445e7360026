//! Where searches begin: greedy, bisected and swept orders of many tastes.

use rand::RngExt;

use super::bisect::{Cutting, bisect};
use super::graph::Graph;
use super::greedy::{Taste, greedy};
use super::reconfigure::Subsets;
use super::state::Bare;
use super::sweep::{Along, Broom, sweep};
use crate::network::cost::Objective;
use crate::random::{Seed, Stream};

/// A family of orders, which fare well on different networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Greedy,
    Bisected,
    Swept,
}

impl Family {
    pub(crate) const ALL: [Family; 3] = [Family::Greedy, Family::Bisected, Family::Swept];

    /// The inverse temperature at which annealing keeps what is good about such an order.
    pub(crate) fn warmth(self) -> f64 {
        match self {
            Family::Greedy | Family::Bisected => 0.5,
            Family::Swept => 4.0,
        }
    }
}

/// The order number `index` of a family, fixed by the seed; the first is the plainest.
pub(crate) fn start(
    graph: &Graph,
    family: Family,
    index: u64,
    seed: Seed,
    objective: Objective,
    room: &mut Subsets,
) -> Bare {
    let mut stream: Stream = seed.stream(["greedy order", "bisected order", "swept order"][family as usize], index);
    let mut between = |low: f64, high: f64| low + (high - low) * stream.random::<f64>();
    match family {
        Family::Greedy => {
            let noisy = Taste { alpha: between(0.0, 1.5), temperature: between(-6.0, 1.0).exp() };
            let taste = if index == 0 { Taste { alpha: 1.0, temperature: 0.0 } } else { noisy };
            greedy(graph, taste, &mut stream)
        }
        Family::Bisected => {
            // Now and then very uneven parts, as for networks with a long side.
            let share = if (index + 1).is_multiple_of(4) { between(0.7, 0.95) } else { between(0.52, 0.7) };
            let leave = if index.is_multiple_of(2) { 8 } else { 24 };
            bisect(graph, Cutting { share, leave }, objective, room, &mut stream)
        }
        Family::Swept => {
            let along = [Along::Mode, Along::Given, Along::Ends, Along::Mode, Along::Start][(index % 5) as usize];
            let slope = if index < 1 { 0.0 } else { between(-4.0, 2.5).exp() };
            let temperature = if index < 5 { 0.0 } else { between(0.0, 0.4) };
            sweep(graph, Broom { temperature, slope, along }, &mut stream)
        }
    }
}

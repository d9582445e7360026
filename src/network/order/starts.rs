//! Where searches begin: greedy, bisected, swept and eliminated orders of many tastes.

use std::time::Instant;

use rand::RngExt;

use super::bisect::{Cutting, bisect};
use super::eliminate::{Choice, eliminate};
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
    Eliminated,
}

impl Family {
    pub(crate) const ALL: [Family; 4] = [Family::Greedy, Family::Bisected, Family::Swept, Family::Eliminated];

    /// The inverse temperature at which annealing keeps what is good about such an order.
    pub(crate) fn warmth(self) -> f64 {
        match self {
            Family::Greedy | Family::Bisected | Family::Eliminated => 0.5,
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
    deadline: Option<Instant>,
) -> Bare {
    let purposes = ["greedy order", "bisected order", "swept order", "eliminated order"];
    let mut stream: Stream = seed.stream(purposes[family as usize], index);
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
            bisect(graph, Cutting { share, leave }, objective, room, &mut stream, deadline)
        }
        Family::Swept => {
            let along = [Along::Mode, Along::Given, Along::Ends, Along::Mode, Along::Start][(index % 5) as usize];
            let slope = match index {
                0 => 0.0,
                // As given, and nothing else.
                1 => 1e6,
                _ => between(-4.0, 2.5).exp(),
            };
            let temperature = if index < 5 { 0.0 } else { between(0.0, 0.4) };
            sweep(graph, Broom { temperature, slope, along }, &mut stream)
        }
        Family::Eliminated => {
            let relief = if index == 0 { 0.0 } else { between(0.0, 1.0) };
            let temperature = if index < 2 { 0.0 } else { between(-5.0, 0.5).exp() };
            eliminate(graph, Choice { relief, temperature }, &mut stream, deadline)
        }
    }
}

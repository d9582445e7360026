//! The search for orders with bounded bonds.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::cost::Model;
use super::improve::improved;
use super::orders::{Order, drawn};
use super::plan::CompressedPlan;
use super::settings::{Compressed, check_bond};
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::network::{ContractionTree, Equation, Network, Planner};
use crate::random::Seed;
use crate::scalar::Scalar;

/// Orders that a search draws at the most, and how many at once.
const ORDERS: usize = 384;
const BATCH: usize = 24;

/// The best of them that are improved, and the changes that are tried on each.
const KEPT: usize = 8;
const MOVES: usize = 4000;

/// Orders are tried with smaller bonds where one trial would take more multiplications: a second or so.
const TRIAL_LOG2_FLOPS: f64 = 31.0;

/// A trial may not cost more than this factor over the cheapest, as `log2`, unless it takes less than a tenth of a second or so.
const DEARER: f64 = 1.0;
const LITTLE_LOG2_FLOPS: f64 = 27.0;

impl Planner {
    /// An order for [`contract_compressed`](Network::contract_compressed) with bonds of at most `max_bond`: a few hundred
    /// greedy orders, spans and sweeps are drawn, the best are changed step by step as long as that makes them better, as
    /// far as there is `time`, and the one of the least modelled cost is taken. The objective, the limit of memory and the
    /// rounds of the planner concern exact contraction and are not used.
    ///
    /// With time enough for all, the order depends on the seed alone.
    ///
    /// # Errors
    /// [`Error::Setting`] for a bond of zero.
    pub fn search_compressed(
        &self,
        equation: &Equation,
        max_bond: usize,
        time: Duration,
        seed: Seed,
    ) -> Result<CompressedPlan> {
        let found = candidates(equation, max_bond, &Clock::new(time), seed)?;
        found.into_iter().next().ok_or_else(|| Error::Empty { what: "the list of orders".into() })
    }
}

impl<T: Scalar> Network<T> {
    /// An order as by [`Planner::search_compressed`], chosen by what truncations lose and not by the modelled cost alone:
    /// the network is contracted by each of the best orders, as they were drawn and as they were improved, of which none may
    /// be twice as dear as the cheapest unless all are cheap, and the one with the smallest [`error`](super::Approximate::error) is taken. Where one contraction would take more than a
    /// second or so, they are tried with smaller bonds.
    ///
    /// Of orders of like cost, errors differ by a factor of ten, and estimates rank them mostly right
    /// (`docs/approximate.md`). With time enough for all, the order depends on the seed alone.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ansatz::{Seed, network::{Compressed, Equation, Network}};
    /// let wheel = Equation::parse("hab,hbc,hcd,hde,hea->", &[[3, 4, 4]; 5])?;
    /// let network = Network::<f64>::random(&wheel, Seed(2))?;
    /// let settings = Compressed::new(4);
    /// let plan = network.search_compressed(&settings, Duration::from_secs(1), Seed(1))?;
    /// assert!(network.contract_compressed(&plan, &settings)?.scalar()?.ln_abs().is_finite());
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`contract_compressed`](Self::contract_compressed).
    pub fn search_compressed(&self, settings: &Compressed, time: Duration, seed: Seed) -> Result<CompressedPlan> {
        settings.check()?;
        let clock = Clock::new(time);
        let equation = self.equation()?;
        let max_bond = settings.truncation().bond_limit().unwrap_or(usize::MAX);
        let found = candidates(&equation, max_bond, &clock, seed)?;
        let mut best: Option<(f64, usize)> = None;
        let cheapest = found.iter().map(|plan| plan.cost().log2_flops).fold(f64::INFINITY, f64::min);
        for (number, plan) in found.iter().enumerate() {
            if plan.cost().log2_flops > (cheapest + DEARER).max(LITTLE_LOG2_FLOPS) {
                continue;
            }
            if number > 0 && !clock.runs() {
                break;
            }
            let error = self.contract_compressed(plan, &trial(plan, settings)?)?.error;
            if best.is_none_or(|best| error < best.0) {
                best = Some((error, number));
            }
            if error == 0.0 {
                break;
            }
        }
        let chosen = best.map_or(0, |best| best.1);
        found.into_iter().nth(chosen).ok_or_else(|| Error::Empty { what: "the list of orders".into() })
    }
}

/// The settings with a bond with which the plan takes a second or so.
fn trial(plan: &CompressedPlan, settings: &Compressed) -> Result<Compressed> {
    let mut bond = plan.max_bond();
    let mut flops = plan.cost().log2_flops;
    while flops > TRIAL_LOG2_FLOPS && bond > 2 {
        bond /= 2;
        flops = CompressedPlan::new(plan.equation(), plan.tree(), bond)?.cost().log2_flops;
    }
    if bond == plan.max_bond() {
        return Ok(settings.clone());
    }
    let cutoff = settings.truncation().relative_cutoff();
    Ok(settings.clone().truncated(Truncation::none().max_bond(bond).cutoff(cutoff)))
}

/// What is to be small: the multiplications, with less weight what is alive at once, and what truncations cut off.
fn judged(model: &Model) -> f64 {
    model.flops.max(1.0).log2() + 0.25 * model.peak.log2() + (1.0 + model.dropped).log2()
}

/// The best orders that were found, the best first, and then those from which they were made; at least one.
fn candidates(equation: &Equation, max_bond: usize, clock: &Clock, seed: Seed) -> Result<Vec<CompressedPlan>> {
    check_bond(max_bond)?;
    let model = Model::new(equation, max_bond);
    let mut orders: Vec<(f64, Order)> = Vec::new();
    // Some at once, so that the clock is asked between them; with no time at all one is made.
    for batch in 0..ORDERS / BATCH {
        let count = match (batch, clock.runs()) {
            (_, true) => BATCH,
            (0, false) => 1,
            _ => break,
        };
        let draw = |number: usize| {
            let order = drawn(&model, number, &mut seed.stream("compressed order", number as u64));
            (judged(&order.model), order)
        };
        let made: Vec<(f64, Order)> = (batch * BATCH..batch * BATCH + count).into_par_iter().map(draw).collect();
        orders.extend(made);
        orders.sort_by(|x, y| x.0.total_cmp(&y.0));
        orders.dedup_by(|x, y| x.1.pairs == y.1.pairs);
        orders.truncate(KEPT);
    }
    // Where bonds hardly need the bound, an order for exact contraction is the best of all.
    if clock.runs()
        && let Ok(exact) = Planner::new().rounds(1).search(equation, clock.time / 4, seed)
    {
        let mut order = Order::new(&model);
        exact.tree().pairs().iter().for_each(|&(a, b)| {
            order.contract(a, b);
        });
        orders.insert(0, (judged(&order.model), order));
    }
    let drawn: Vec<(f64, Order)> = orders.iter().map(|(value, order)| (*value, order.clone())).collect();
    let improve = |(number, (_, order)): (usize, (f64, Order))| {
        let mut stream = seed.stream("compressed order, improved", number as u64);
        let order = improved(&model, order, MOVES, judged, || clock.runs(), &mut stream);
        (judged(&order.model), order)
    };
    let mut orders: Vec<(f64, Order)> = orders.into_par_iter().enumerate().map(improve).collect();
    orders.sort_by(|x, y| x.0.total_cmp(&y.0));
    orders.extend(drawn);
    orders.dedup_by(|x, y| x.1.pairs == y.1.pairs);
    let plan = |(_, order): (f64, Order)| {
        let tree = ContractionTree::new(equation.tensors(), order.pairs)?;
        Ok(CompressedPlan::of(equation, tree, max_bond, &order.model))
    };
    orders.into_iter().map(plan).collect()
}

struct Clock {
    start: Instant,
    time: Duration,
}

impl Clock {
    fn new(time: Duration) -> Self {
        Clock { start: Instant::now(), time }
    }

    fn runs(&self) -> bool {
        self.start.elapsed() < self.time
    }
}

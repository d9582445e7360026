//! Searches for plans.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::cost::Objective;
use super::equation::Equation;
use super::order::{Bare, Graph, Sliced, Slicing};
use super::plan::Plan;
use super::search::{Search, best_of_all};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::scalar::Kind;

/// How much memory a plan may take.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    Unlimited,
    /// `log2` of the elements of the largest result.
    Elements(f64),
    /// All that is alive at once.
    Bytes(u64, Kind),
}

/// A search for good plans: what is to be cheap, and within what limits.
///
/// ```
/// use std::time::Duration;
/// use ansatz::{Seed, network::{Equation, Planner}};
/// // A ring of four matrices: two products of two, 2 * 8^3 multiplications, and the trace of their product, 8^2.
/// let ring = Equation::parse("ab,bc,cd,da->", &[[8, 8]; 4])?;
/// let plan = Planner::new().search(&ring, Duration::from_secs(1), Seed(1))?;
/// assert!((plan.cost().log2_flops - (2.0 * 512.0 + 64f64).log2()).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Planner {
    objective: Objective,
    memory: Memory,
    rounds: Option<usize>,
    patience: f64,
}

impl Default for Planner {
    fn default() -> Self {
        Self::new()
    }
}

impl Planner {
    /// Few multiplications, whatever the memory.
    #[must_use]
    pub fn new() -> Self {
        Planner { objective: Objective::Flops, memory: Memory::Unlimited, rounds: None, patience: 1.0 }
    }

    /// What is to be small.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// No result may have more than `2^log2_size` elements: indices are sliced until that holds.
    #[must_use]
    pub fn max_log2_size(mut self, log2_size: f64) -> Self {
        self.memory = Memory::Elements(log2_size);
        self
    }

    /// What is alive at once, beside the tensors of the network, may take at most so many bytes for elements of this
    /// kind: indices are sliced until that holds.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64, kind: Kind) -> Self {
        self.memory = Memory::Bytes(bytes, kind);
        self
    }

    /// At most so many rounds of the portfolio. With a limit that is reached before the time is up, the plan depends on
    /// the seed alone.
    #[must_use]
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// The search ends before its time once it has done `patience` times the work of the contraction, or has found
    /// nothing better for long; infinite to use all the time. The default is 1.
    #[must_use]
    pub fn patience(mut self, patience: f64) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn what(&self) -> Objective {
        self.objective
    }

    pub(super) fn most_rounds(&self) -> Option<usize> {
        self.rounds
    }

    /// The best of all orders, sliced nowhere.
    ///
    /// Up to 14 tensors every order is considered; up to 64, every order in which only tensors are contracted that share
    /// an index (or parts of the network that share nothing). How far that goes depends on the network: about 20 tensors
    /// that all share indices, 40 and more along a chain or ring. For [`Objective::Size`] the multiplications are the
    /// fewest that the smallest size allows. For [`Objective::Peak`] it is the best by a model in which a step holds its
    /// operands, a copy of each and the result; what a plan takes ([`Cost::log2_peak`](super::Cost::log2_peak)) may be less.
    ///
    /// # Errors
    /// [`Error::Room`] for a network that is too large for it; then use [`search`](Self::search).
    /// [`Error::Setting`] for an objective that makes no sense, or if there is a limit of memory, for the best tree and
    /// the best slices cannot be found one after the other.
    ///
    /// ```
    /// use ansatz::network::{Equation, Planner};
    /// // A column, a row and a column: the inner product first, 8 + 8 multiplications instead of 64 + 64.
    /// let chain = Equation::parse("ab,bc,cd->ad", &[[8, 1], [1, 8], [8, 1]])?;
    /// assert!((Planner::new().optimal(&chain)?.cost().log2_flops - 4.0).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    pub fn optimal(&self, equation: &Equation) -> Result<Plan> {
        self.objective.check()?;
        Graph::check(equation)?;
        if self.memory != Memory::Unlimited {
            return Err(Error::setting("memory limit", "set", "leave it out for the best order, or use `search`"));
        }
        let tree = best_of_all(equation, self.objective)?;
        Plan::new(equation, &tree.tree(), &[])
    }

    /// The best plan found in `time`.
    ///
    /// Few tensors are planned by dynamic programming, exactly. Otherwise greedy, bisected and swept orders are
    /// annealed, subtrees are replaced by the best ones, and the best trees are annealed again, for longer in each
    /// round. What is tried, and in what order, is fixed by the seed; the time decides how far it gets.
    ///
    /// # Errors
    /// [`Error::Setting`] for an objective or limit that makes no sense, [`Error::Memory`] if no slicing keeps within
    /// the memory, [`Error::Room`] for more tensors and indices than can be planned.
    pub fn search(&self, equation: &Equation, time: Duration, seed: Seed) -> Result<Plan> {
        self.objective.check()?;
        Graph::check(equation)?;
        if self.patience.is_nan() {
            return Err(Error::setting("patience", self.patience, "give a number, or infinity"));
        }
        let start = Instant::now();
        let after = |share: f64| {
            let time = Duration::try_from_secs_f64(share * time.as_secs_f64()).ok();
            time.and_then(|time| start.checked_add(time))
        };
        let (limit, share) = match self.memory {
            // The last touches come after it.
            Memory::Unlimited => (None, 0.96),
            Memory::Elements(limit) if limit.is_nan() => {
                return Err(Error::setting("log2_size", limit, "give the logarithm of a number of elements"));
            }
            // Slicing takes its time, too.
            Memory::Elements(limit) => (Some(limit), 0.4),
            // The largest of several that are there at once.
            Memory::Bytes(bytes, kind) => (Some((bytes as f64 / kind.bytes() as f64).log2() - 1.0), 0.4),
        };
        let search = Search {
            equation,
            objective: self.objective,
            seed,
            deadline: after(share),
            rounds: self.rounds,
            patience: self.patience,
            limit,
        };
        let trees = search.run();
        let Some(first) = trees.first() else {
            return Err(Error::Empty { what: "the list of tensors of a network".into() });
        };
        let free = Plan::new(equation, &first.tree(), &[])?;
        let slicer = Slicer { planner: self, equation, trees: &trees, seed, deadline: after(1.0) };
        match self.memory {
            Memory::Unlimited => Ok(free),
            Memory::Elements(limit) if free.cost().log2_size <= limit => Ok(free),
            Memory::Elements(limit) => slicer.best(limit)?.ok_or_else(|| Error::Memory {
                what: "the largest result of the contraction, with every index sliced,".into(),
                needed: 1,
                ceiling: limit.exp2() as u64,
                way_out: "raise the limit".into(),
            }),
            Memory::Bytes(bytes, kind) if free.peak_bytes(kind) <= bytes => Ok(free),
            Memory::Bytes(bytes, kind) => {
                // The share of the largest result in the peak is not known before the plan is.
                let (mut limit, mut least) = (limit.unwrap_or(0.0).floor(), free.peak_bytes(kind));
                while limit > -1.0 {
                    if let Some(plain) = slicer.plain(limit)? {
                        least = least.min(plain.peak_bytes(kind));
                        if plain.peak_bytes(kind) <= bytes {
                            let value = |plan: &Plan| self.objective.value(plan.cost());
                            let best = slicer
                                .best(limit)?
                                .filter(|best| best.peak_bytes(kind) <= bytes && value(best) <= value(&plain));
                            return Ok(best.unwrap_or(plain));
                        }
                    }
                    limit -= 1.0;
                }
                Err(Error::Memory {
                    what: "the contraction, with the indices sliced,".into(),
                    needed: least,
                    ceiling: bytes,
                    way_out: "no slicing keeps within the memory: allow more, or leave fewer indices open".into(),
                })
            }
        }
    }
}

/// Slices the trees that a search has found.
struct Slicer<'a> {
    planner: &'a Planner,
    equation: &'a Equation,
    trees: &'a [Bare],
    seed: Seed,
    deadline: Option<Instant>,
}

/// Batches of exchanges without gain after which the slices are left as they are.
const IDLE: usize = 12;
/// Plans whose slices are exchanged, and for how many batches before the better ones go on.
const KEPT: usize = 4;
const TRIALS: u64 = 4;

impl Slicer<'_> {
    /// The first tree as it is, with the indices sliced of which each costs least at its turn.
    fn plain(&self, limit: f64) -> Result<Option<Plan>> {
        let (equation, objective, seed) = (self.equation, self.planner.objective, self.seed);
        let slicing = Slicing { equation, objective, limit, seed, deadline: self.deadline };
        let sliced = self.trees.first().and_then(|bare| slicing.plain(bare, Vec::new()));
        sliced.map(|sliced| Plan::new(equation, &sliced.bare.tree(), &sliced.indices)).transpose()
    }

    /// The cheapest plan whose results have at most `2^limit` elements. The trees are sliced, several at a time as long
    /// as there is time; then slices are exchanged on the best few, and in the end on the best.
    fn best(&self, limit: f64) -> Result<Option<Plan>> {
        let (equation, objective, deadline) = (self.equation, self.planner.objective, self.deadline);
        let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let slicing = |number: u64| {
            let seed = self.seed.derive("slices", number);
            Slicing { equation, objective, limit, seed, deadline }
        };
        let one = |(number, bare): (usize, &Bare)| {
            let slicing = slicing(number as u64);
            if number > 0 && late() {
                return None;
            }
            slicing.run(bare).map(|sliced| (slicing.cost(&sliced), sliced))
        };
        let mut made: Vec<(f64, Sliced)> = self.trees.par_iter().enumerate().with_max_len(1).filter_map(one).collect();
        made.sort_by(|a, b| a.0.total_cmp(&b.0));
        made.truncate(KEPT);
        let slicing = slicing(1000);
        let mut number = 0;
        let mut exchange = |plan: &mut (f64, Sliced)| {
            number += 1;
            match slicing.exchange(&plan.1, number) {
                Some(better) => {
                    let (before, after) = (plan.0, slicing.cost(&better));
                    *plan = (after, better);
                    after < before - 1e-6
                }
                None => false,
            }
        };
        // With as many as the search may have rounds, so that a plan without a limit of time is the same for a seed.
        let rounds = self.planner.rounds.map_or(u64::MAX, |rounds| rounds as u64);
        for _ in 0..TRIALS.min(rounds) {
            for plan in &mut made {
                if !late() {
                    exchange(plan);
                }
            }
        }
        made.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(mut best) = made.into_iter().next() else { return Ok(None) };
        let (mut idle, mut round, mut work) = (0, 0, 0.0);
        // Hardly any gain is to come where there was none for long, unless all the time is to be used.
        while round < 4 * rounds.min(u64::MAX / 4) && !late() && (idle < IDLE || self.planner.patience.is_infinite()) {
            idle = if exchange(&mut best) { 0 } else { idle + 1 };
            round += 1;
            work += Slicing::work(&best.1);
            if best.1.indices.is_empty() || work >= self.planner.patience * best.0.exp2() {
                break;
            }
        }
        Plan::new(equation, &best.1.bare.tree(), &best.1.indices).map(Some)
    }
}

//! Which indices to slice so that every result fits.

use std::time::Instant;

use rand::RngExt;
use rayon::prelude::*;

use super::anneal::{Schedule, anneal};
use super::graph::{Graph, bits_of, has, log2_sum};
use super::reconfigure::{Subsets, reconfigure};
use super::state::{Bare, State};
use crate::network::Equation;
use crate::network::cost::Objective;
use crate::random::Seed;

/// A tree, and the indices (numbers of the equation) without which its results fit.
#[derive(Debug, Clone)]
pub(crate) struct Sliced {
    pub bare: Bare,
    pub indices: Vec<usize>,
}

/// Subtrees of so many leaves are made anew once all results fit.
const WIDTH: usize = 8;
/// What a result above the limit is charged for each factor of two: it takes a slice more, and that up to doubles the
/// work.
const PENALTY: f64 = 1.0;
/// Moves of annealing after each slice, in units of the number of inner nodes.
const SWEEPS: usize = 60;
/// Exchanges that are tried on one plan before the best of them is taken.
const BATCH: u64 = 4;
/// Of more slices than this, the cost of a tree is estimated by the excess of its largest result.
const COUNTED: f64 = 80.0;

/// A slicer: what is sliced, how small results have to become, and until when.
pub(crate) struct Slicing<'a> {
    pub equation: &'a Equation,
    pub objective: Objective,
    /// `log2` of the elements that a result may have.
    pub limit: f64,
    pub seed: Seed,
    pub deadline: Option<Instant>,
}

impl Slicing<'_> {
    fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Slices indices of `bare` until every result fits, the one that costs least at a time, and anneals the tree after
    /// each, what is still too large being charged. `None` if even with every index sliced a result is larger.
    pub(crate) fn run(&self, bare: &Bare) -> Option<Sliced> {
        let plain = self.plain(bare, Vec::new())?;
        let annealed = self.fill(bare.clone(), Vec::new(), (2.0, 4 * SWEEPS), 0);
        Some(annealed.filter(|annealed| self.cost(annealed) < self.cost(&plain)).unwrap_or(plain))
    }

    /// A cheaper plan of those that come of giving some slices back, melting the tree a little, and slicing again; of
    /// several, tried at once, the best. `None` if all of them cost more.
    pub(crate) fn exchange(&self, sliced: &Sliced, number: u64) -> Option<Sliced> {
        if sliced.indices.is_empty() {
            return None;
        }
        let one = |part: u64| {
            if self.late() {
                return None;
            }
            let number = BATCH * number + part;
            let mut stream = self.seed.stream("exchange of slices", number);
            let Sliced { bare, mut indices } = sliced.clone();
            let count = indices.len();
            // Now and then all of them, for the tree may have changed a lot since they were chosen.
            let back = if part + 1 == BATCH { count } else { stream.random_range(1..=count.min(6)) };
            for _ in 0..back {
                indices.remove(stream.random_range(0..indices.len()));
            }
            let warmth = stream.random_range(1.0..5.0);
            let sweeps = SWEEPS << stream.random_range(0..4);
            self.fill(bare, indices, (warmth, sweeps), number + 1)
        };
        let made: Vec<Sliced> =
            (0..BATCH as usize).into_par_iter().with_max_len(1).filter_map(|part| one(part as u64)).collect();
        let mut best = (self.cost(sliced), None);
        for other in made {
            let cost = self.cost(&other);
            if cost <= best.0 {
                best = (cost, Some(other));
            }
        }
        best.1
    }

    /// Multiplications that could be done while one batch of exchanges is tried, roughly.
    pub(crate) fn work(sliced: &Sliced) -> f64 {
        let moves = 4 * SWEEPS * (4 + sliced.indices.len().min(6)) * sliced.bare.children.len();
        BATCH as f64 * (100.0 * moves as f64 + 1e5 * sliced.bare.children.len() as f64)
    }

    /// Slices more indices of a tree that stays as it is, until every result fits.
    pub(crate) fn plain(&self, bare: &Bare, mut indices: Vec<usize>) -> Option<Sliced> {
        let graph = Graph::new(self.equation, &indices, false);
        let state = State::new(&graph, self.objective, bare.clone());
        let (bits, _) = greedily(&state, self.limit)?;
        indices.extend(bits.into_iter().flat_map(|bit| graph.members[bit].clone()));
        Some(without_spare(self.equation, bare.clone(), self.objective, indices, self.limit))
    }

    /// Slices more indices until every result fits, the tree being annealed before and after each; `None` if that
    /// cannot be, or the time is up.
    fn fill(
        &self,
        mut bare: Bare,
        mut indices: Vec<usize>,
        (warmth, sweeps): (f64, usize),
        number: u64,
    ) -> Option<Sliced> {
        let mut stream = self.seed.stream("slicing", number);
        let mut schedule = Schedule { from: warmth, to: 10.0, sweeps, limit: self.limit, penalty: PENALTY };
        loop {
            let graph = Graph::new(self.equation, &indices, false);
            let mut state = State::new(&graph, self.objective, bare);
            if !anneal(&mut state, &schedule, &mut stream, self.deadline) {
                return None;
            }
            schedule.from = warmth.max(3.0);
            schedule.sweeps = SWEEPS;
            if state.largest() <= self.limit + 1e-9 {
                let mut room = Subsets::default();
                reconfigure(&mut state, WIDTH, self.limit, &mut room, self.deadline);
                return Some(without_spare(self.equation, state.bare, self.objective, indices, self.limit));
            }
            indices.extend(&graph.members[cheapest(&Costs::new(&state), self.limit)?]);
            bare = state.bare;
        }
    }

    /// `log2` of the cost of all slices.
    pub(crate) fn cost(&self, sliced: &Sliced) -> f64 {
        let graph = Graph::new(self.equation, &sliced.indices, false);
        let slices: f64 = sliced.indices.iter().map(|&i| (self.equation.dims()[i] as f64).log2()).sum();
        State::new(&graph, self.objective, sliced.bare.clone()).total() + slices
    }
}

/// `log2` of what a tree costs when as many indices are sliced as the limit asks for.
pub(crate) fn sliced_cost(state: &State, limit: f64) -> f64 {
    let excess = state.largest() - limit;
    if excess <= 0.0 {
        return state.total();
    }
    let counted = if excess < COUNTED { greedily(state, limit) } else { None };
    counted.map_or(state.total() + excess, |(_, cost)| cost)
}

/// The bits that are sliced one after the other until every result fits, and `log2` of what all slices then cost.
fn greedily(state: &State, limit: f64) -> Option<(Vec<usize>, f64)> {
    let mut costs = Costs::new(state);
    let (mut bits, mut slices) = (Vec::new(), 0.0);
    while costs.size.iter().any(|&size| size > limit + 1e-9) {
        let bit = cheapest(&costs, limit)?;
        costs.slice(bit);
        slices += state.graph.log_dims[bit];
        bits.push(bit);
    }
    let steps = costs.flops.iter().zip(&costs.size).map(|(&flops, &size)| state.objective.step(flops, size));
    let total = log2_sum(steps) + slices;
    Some((bits, total))
}

/// Takes slices back that are no longer needed.
fn without_spare(equation: &Equation, bare: Bare, objective: Objective, mut indices: Vec<usize>, limit: f64) -> Sliced {
    let mut place = 0;
    while place < indices.len() {
        let mut fewer = indices.clone();
        fewer.remove(place);
        let graph = Graph::new(equation, &fewer, false);
        if State::new(&graph, objective, bare.clone()).largest() <= limit + 1e-9 {
            indices = fewer;
        } else {
            place += 1;
        }
    }
    Sliced { bare, indices }
}

/// The steps of a tree without the indices that are sliced.
struct Costs<'a> {
    graph: &'a Graph,
    objective: Objective,
    /// The indices of each step, and those of its result.
    unions: Vec<u64>,
    sets: Vec<u64>,
    flops: Vec<f64>,
    size: Vec<f64>,
    sliced: Vec<u64>,
}

impl<'a> Costs<'a> {
    fn new(state: &State<'a>) -> Self {
        let graph = state.graph;
        let first = state.bare.leaves;
        let mut unions = Vec::with_capacity(state.bare.children.len() * graph.words);
        for &[a, b] in &state.bare.children {
            unions.extend(state.set(a).iter().zip(state.set(b)).map(|(a, b)| a | b));
        }
        Costs {
            graph,
            objective: state.objective,
            unions,
            sets: state.legs[first * graph.words..].to_vec(),
            flops: state.flops[first..].to_vec(),
            size: state.size[first..].to_vec(),
            sliced: vec![0; graph.words],
        }
    }

    fn slice(&mut self, bit: usize) {
        let log = self.graph.log_dims[bit];
        let words = self.graph.words;
        for (flops, union) in self.flops.iter_mut().zip(self.unions.chunks_exact(words)) {
            *flops -= if has(union, bit) { log } else { 0.0 };
        }
        for (size, set) in self.size.iter_mut().zip(self.sets.chunks_exact(words)) {
            *size -= if has(set, bit) { log } else { 0.0 };
        }
        self.sliced[bit / 64] |= 1 << (bit % 64);
    }
}

/// Candidates times steps above which only the indices of the largest result are looked at.
const THOROUGH: usize = 200_000;
/// Steps that cost so little, in powers of two below the dearest, are left out of the comparison.
const CHEAP: f64 = 40.0;

/// The index of a result above the limit whose slicing leaves the least to do in all, with what is then still charged.
fn cheapest(costs: &Costs, limit: f64) -> Option<usize> {
    let Costs { graph, objective, .. } = *costs;
    let words = graph.words;
    let set = |step: usize| &costs.sets[step * words..(step + 1) * words];
    let charged = |flops: f64, size: f64| objective.step(flops, size) + PENALTY * (size - limit).max(0.0);
    let mut candidates = vec![0; words];
    let mut largest: Option<usize> = None;
    for (step, &size) in costs.size.iter().enumerate() {
        if size > limit + 1e-9 {
            candidates.iter_mut().zip(set(step)).for_each(|(all, word)| *all |= word);
        }
        if largest.is_none_or(|other| size > costs.size[other]) {
            largest = Some(step);
        }
    }
    let count: usize = bits_of(&candidates).count();
    if count * costs.size.len() > THOROUGH {
        candidates.copy_from_slice(set(largest?));
    }
    let all: Vec<f64> = costs.flops.iter().zip(&costs.size).map(|(&f, &s)| charged(f, s)).collect();
    let dearest = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let kept: Vec<usize> = (0..all.len()).filter(|&step| all[step] > dearest - CHEAP).collect();
    let after = |bit: usize| {
        let log = graph.log_dims[bit];
        log2_sum(kept.iter().map(|&step| {
            let flops =
                costs.flops[step] - if has(&costs.unions[step * words..(step + 1) * words], bit) { log } else { 0.0 };
            let size = costs.size[step] - if has(set(step), bit) { log } else { 0.0 };
            log + charged(flops, size)
        }))
    };
    let candidates = bits_of(&candidates).filter(|&bit| graph.log_dims[bit] > 0.0 && !has(&costs.sliced, bit));
    candidates.map(|bit| (after(bit), bit)).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|best| best.1)
}

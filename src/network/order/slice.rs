//! Which indices to slice so that every result fits.

use std::time::Instant;

use super::anneal::{Schedule, anneal};
use super::graph::{Graph, bits_of, has, log2_sum};
use super::reconfigure::{Subsets, reconfigure};
use super::state::{Bare, State};
use rand::RngExt;

use crate::network::Equation;
use crate::network::cost::Objective;
use crate::random::Seed;

/// A tree, and the indices (numbers of the equation) without which its results fit.
#[derive(Debug, Clone)]
pub(crate) struct Sliced {
    pub bare: Bare,
    pub indices: Vec<usize>,
}

/// Subtrees of so many leaves are made anew after each slice.
const WIDTH: usize = 8;
/// What a result above the limit is charged for each factor of two: it takes a slice more, and that up to doubles the
/// work.
const PENALTY: f64 = 1.0;
/// Sweeps of annealing after each slice.
const SWEEPS: usize = 80;

/// A slicer: what is sliced, how small results have to become, and until when.
pub(crate) struct Slicing<'a> {
    pub equation: &'a Equation,
    pub objective: Objective,
    /// `log2` of the elements that a result may have.
    pub limit: f64,
    pub seed: Seed,
    /// Slices are exchanged until then, and at most so many times.
    pub deadline: Option<Instant>,
    pub exchanges: usize,
}

impl Slicing<'_> {
    /// Slices indices of `bare` until every result fits, the one that costs least at a time, and anneals the tree after
    /// each, what is still too large being charged. Then indices are exchanged for others as long as that helps. `None`
    /// if even with every index sliced a result is larger.
    pub(crate) fn run(&self, bare: &Bare, room: &mut Subsets) -> Option<Sliced> {
        let mut number = 0;
        let first = self.fill(bare.clone(), Vec::new(), room, &mut number)?;
        let mut best = (self.cost(&first), first);
        let mut stream = self.seed.stream("exchange of slices", 0);
        for _ in 0..self.exchanges {
            if best.1.indices.is_empty() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let Sliced { bare, mut indices } = best.1.clone();
            for _ in 0..stream.random_range(1..=indices.len().min(3)) {
                indices.remove(stream.random_range(0..indices.len()));
            }
            let Some(other) = self.fill(bare, indices, room, &mut number) else { break };
            let cost = self.cost(&other);
            if cost <= best.0 {
                best = (cost, other);
            }
        }
        Some(best.1)
    }

    /// Slices more indices until every result fits.
    fn fill(&self, mut bare: Bare, mut indices: Vec<usize>, room: &mut Subsets, number: &mut u64) -> Option<Sliced> {
        loop {
            let graph = Graph::new(self.equation, &indices, false);
            let mut state = State::new(&graph, self.objective, bare);
            settle(&mut state, self.limit, room, self.seed, *number);
            *number += 1;
            if state.largest() <= self.limit + 1e-9 {
                return Some(without_spare(self.equation, state.bare, self.objective, indices, self.limit));
            }
            let bit = cheapest(&state, self.limit)?;
            indices.extend(&graph.members[bit]);
            bare = state.bare;
        }
    }

    /// `log2` of the cost of all slices.
    fn cost(&self, sliced: &Sliced) -> f64 {
        let graph = Graph::new(self.equation, &sliced.indices, false);
        let slices: f64 = sliced.indices.iter().map(|&i| (self.equation.dims()[i] as f64).log2()).sum();
        State::new(&graph, self.objective, sliced.bare.clone()).total() + slices
    }
}

/// Anneals a tree gently, what is above the limit being charged, if that helps.
fn settle(state: &mut State, limit: f64, room: &mut Subsets, seed: Seed, number: u64) {
    let charged = |state: &State| {
        let inner = state.bare.leaves as u32..state.bare.nodes() as u32;
        log2_sum(inner.map(|node| state.step_cost(node) + PENALTY * (state.size[node as usize] - limit).max(0.0)))
    };
    let before = (charged(state), state.bare.clone());
    let schedule = Schedule { from: 3.0, to: 10.0, sweeps: SWEEPS, limit, penalty: PENALTY };
    anneal(state, &schedule, &mut seed.stream("slicing", number), None);
    reconfigure(state, WIDTH, limit, room, None);
    if charged(state) > before.0 {
        *state = State::new(state.graph, state.objective, before.1);
    }
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

/// The index of a result above the limit whose slicing leaves the least to do in all, with what is then still charged.
fn cheapest(state: &State, limit: f64) -> Option<usize> {
    let graph = state.graph;
    let inner: Vec<u32> = (state.bare.leaves as u32..state.bare.nodes() as u32).collect();
    let mut unions: Vec<u64> = Vec::with_capacity(inner.len() * graph.words);
    let mut candidates = vec![0; graph.words];
    for &node in &inner {
        let [a, b] = state.bare.of(node).unwrap_or_default();
        unions.extend(state.set(a).iter().zip(state.set(b)).map(|(a, b)| a | b));
        if state.size[node as usize] > limit + 1e-9 {
            candidates.iter_mut().zip(state.set(node)).for_each(|(all, word)| *all |= word);
        }
    }
    let after = |bit: usize| {
        let log = graph.log_dims[bit];
        log2_sum(inner.iter().zip(unions.chunks_exact(graph.words)).map(|(&node, union)| {
            let n = node as usize;
            let flops = state.flops[n] - if has(union, bit) { log } else { 0.0 };
            let size = state.size[n] - if has(state.set(node), bit) { log } else { 0.0 };
            log + state.objective.step(flops, size) + PENALTY * (size - limit).max(0.0)
        }))
    };
    let candidates = bits_of(&candidates).filter(|&bit| graph.log_dims[bit] > 0.0);
    candidates.map(|bit| (after(bit), bit)).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|best| best.1)
}

//! Which indices to slice so that every result fits.

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

/// Subtrees of so many leaves are made anew after each slice.
const WIDTH: usize = 8;
/// What a result above the limit is charged for each factor of two: it takes a slice more, and that up to doubles the
/// work.
const PENALTY: f64 = 1.0;
/// Sweeps of annealing after each slice.
const SWEEPS: usize = 80;

/// Slices indices of `bare` until no result has more than `2^limit` elements, the one that costs least at a time, and
/// anneals the tree after each, what is still too large being charged. `None` if even with every index sliced a result
/// is larger.
pub(crate) fn slice_to(
    equation: &Equation,
    bare: &Bare,
    objective: Objective,
    limit: f64,
    room: &mut Subsets,
    seed: Seed,
) -> Option<Sliced> {
    let mut indices: Vec<usize> = Vec::new();
    let mut bare = bare.clone();
    loop {
        let graph = Graph::new(equation, &indices, false);
        let mut state = State::new(&graph, objective, bare);
        settle(&mut state, limit, room, seed, indices.len() as u64);
        if state.largest() <= limit + 1e-9 {
            return Some(without_spare(equation, state.bare, objective, indices, limit));
        }
        let bit = cheapest(&state, limit)?;
        indices.extend(&graph.members[bit]);
        bare = state.bare;
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

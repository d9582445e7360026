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

/// Slices indices of `bare` until no result has more than `2^limit` elements, the one that costs least at a time, and
/// puts the tree in order again after each. `None` if even with every index sliced a result is larger.
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
        if !indices.is_empty() {
            reconfigure(&mut state, WIDTH, limit, room, None);
        }
        if state.largest() <= limit + 1e-9 {
            let (bare, indices) = settle(equation, state, indices, limit, room, seed);
            return Some(Sliced { bare, indices });
        }
        let bit = cheapest(&state, limit)?;
        indices.extend(&graph.members[bit]);
        bare = state.bare;
    }
}

/// Anneals the sliced tree gently within the limit, and takes slices back that are no longer needed.
fn settle(
    equation: &Equation,
    state: State,
    mut indices: Vec<usize>,
    limit: f64,
    room: &mut Subsets,
    seed: Seed,
) -> (Bare, Vec<usize>) {
    let mut state = state;
    let schedule = Schedule { from: 4.0, to: 12.0, sweeps: 200, limit, penalty: 4.0 };
    let before = (state.bare.clone(), state.total());
    anneal(&mut state, &schedule, &mut seed.stream("sliced", indices.len() as u64), None);
    reconfigure(&mut state, WIDTH, limit, room, None);
    if state.largest() > limit + 1e-9 || state.total() > before.1 {
        state = State::new(state.graph, state.objective, before.0);
    }
    let objective = state.objective;
    let mut bare = state.bare;
    let mut place = 0;
    while place < indices.len() {
        let mut fewer = indices.clone();
        fewer.remove(place);
        let graph = Graph::new(equation, &fewer, false);
        let state = State::new(&graph, objective, bare.clone());
        if state.largest() <= limit + 1e-9 {
            indices = fewer;
            bare = state.bare;
        } else {
            place += 1;
        }
    }
    (bare, indices)
}

/// The index of a result above the limit whose slicing leaves the least to do in all.
fn cheapest(state: &State, limit: f64) -> Option<usize> {
    let graph = state.graph;
    let inner = state.bare.leaves as u32..state.bare.nodes() as u32;
    let largest = inner.clone().max_by(|&a, &b| state.size[a as usize].total_cmp(&state.size[b as usize]))?;
    let unions: Vec<u64> = inner
        .clone()
        .flat_map(|node| {
            let [a, b] = state.bare.of(node).unwrap_or_default();
            let (a, b) = (state.set(a), state.set(b));
            (0..graph.words).map(move |w| a[w] | b[w]).collect::<Vec<_>>()
        })
        .collect();
    let over = state.size[largest as usize] > limit;
    let candidates = bits_of(state.set(largest)).filter(|&bit| over && graph.log_dims[bit] > 0.0);
    let after = |bit: usize| {
        let log = graph.log_dims[bit];
        log2_sum(inner.clone().zip(unions.chunks_exact(graph.words)).map(|(node, union)| {
            let n = node as usize;
            let flops = state.flops[n] + if has(union, bit) { 0.0 } else { log };
            let size = state.size[n] + if has(state.set(node), bit) { 0.0 } else { log };
            state.objective.step(flops, size)
        }))
    };
    candidates.map(|bit| (after(bit), bit)).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|best| best.1)
}

//! Simulated annealing on contraction trees.
//!
//! The move is a rotation at a node `v` with children `x` and `y`, where `x` has children `a` and `b`:
//!
//! ```text
//!        v                v
//!      /   \            /   \
//!     x     y   -->    x'    b          x' = (a, y)
//!    / \              / \
//!   a   b            a   y
//! ```
//! Only the sets and costs of `x` and `v` change. A move is judged by the logarithm of the cost of the two steps before
//! and after, so cheap parts of the tree are put in order as well as dear ones (Kalachev, Panteleev, Yung,
//! arXiv:2108.05665; Liu's OMEinsumContractionOrders).

use std::time::Instant;

use rand::RngExt;

use super::graph::log2_sum;
use super::state::{NONE, State};
use crate::linalg::wide;
use crate::random::Stream;

/// How long and how hot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Inverse temperature at the start, for costs in powers of two.
    pub from: f64,
    /// Inverse temperature at the end.
    pub to: f64,
    /// Moves tried, in units of the number of inner nodes.
    pub sweeps: usize,
    /// Results above `2^limit` elements are charged `penalty` for every factor of two.
    pub limit: f64,
    pub penalty: f64,
}

/// Steps of the table of logarithms, in one power of two.
const STEPS: f64 = 64.0;
/// Where the smaller of two summands no longer counts.
const FAR: f64 = 14.0;

/// `log2(1 + 2^-d)` by rounding `d`.
struct Sums(Vec<f64>);

impl Sums {
    fn new() -> Self {
        Sums(
            (0..(FAR * STEPS) as usize)
                .map(|i| (-(i as f64) / STEPS).exp2().ln_1p() * std::f64::consts::LOG2_E)
                .collect(),
        )
    }

    #[inline(always)]
    fn add(&self, a: f64, b: f64) -> f64 {
        let (high, apart) = if a >= b { (a, a - b) } else { (b, b - a) };
        // A difference that is no number is one of infinities, and counts for nothing.
        high + self.0.get((apart * STEPS + 0.5) as usize).copied().unwrap_or(0.0)
    }
}

/// Anneals `state` and leaves the best tree that was met in it. Returns whether the schedule came to its end before
/// `deadline`.
pub(crate) fn anneal(state: &mut State, schedule: &Schedule, stream: &mut Stream, deadline: Option<Instant>) -> bool {
    wide(
        #[inline(always)]
        || run(state, schedule, stream, deadline),
    )
}

#[inline(always)]
fn run(state: &mut State, schedule: &Schedule, stream: &mut Stream, deadline: Option<Instant>) -> bool {
    let inner = state.bare.children.len();
    if inner < 2 {
        return true;
    }
    let sums = Sums::new();
    let mut best = (judged(state, schedule), state.bare.clone());
    let mut scratch = vec![0; state.graph.words];
    // Costs are summed up now and then, more seldom where the tree is far from the best.
    let check_every = 4;
    let mut finished = true;
    for sweep in 0..schedule.sweeps {
        let part = sweep as f64 / schedule.sweeps.max(2) as f64;
        let beta = schedule.from + (schedule.to - schedule.from) * part;
        for _ in 0..inner {
            try_move(state, beta, schedule, &sums, &mut scratch, stream);
        }
        if sweep % check_every == 0 || sweep + 1 == schedule.sweeps {
            let score = judged(state, schedule);
            if score < best.0 {
                best.0 = score;
                best.1.clone_from(&state.bare);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                finished = false;
                break;
            }
        }
    }
    state.bare = best.1;
    state.parent = state.bare.parents();
    state.refresh();
    finished
}

/// The cost of the whole tree, with what it is charged for results that are too large.
#[inline(always)]
fn judged(state: &State, schedule: &Schedule) -> f64 {
    let leaves = state.bare.leaves;
    let costs = (leaves..state.bare.nodes())
        .map(|n| state.objective.step(state.flops[n], state.size[n]) + charge(state.size[n], schedule));
    log2_sum(costs)
}

#[inline(always)]
fn charge(size: f64, schedule: &Schedule) -> f64 {
    if size > schedule.limit { schedule.penalty * (size - schedule.limit) } else { 0.0 }
}

#[inline(always)]
fn try_move(state: &mut State, beta: f64, schedule: &Schedule, sums: &Sums, scratch: &mut [u64], stream: &mut Stream) {
    let leaves = state.bare.leaves;
    let random: u64 = stream.random();
    // The high half chooses the node; of the low half, one bit each chooses the child and the grandchild.
    let k = (((random >> 32) * state.bare.children.len() as u64) >> 32) as usize;
    let v = leaves + k;
    let [first, second] = state.bare.children[k];
    let (inner_first, inner_second) = (first as usize >= leaves, second as usize >= leaves);
    let side = match (inner_first, inner_second) {
        (true, true) => (random & 1) as usize,
        (true, false) => 0,
        (false, true) => 1,
        (false, false) => return,
    };
    let (x, y) = if side == 0 { (first, second) } else { (second, first) };
    let kept = (random >> 1 & 1) as usize;
    let pair = state.bare.children[x as usize - leaves];
    let (a, b) = (pair[kept], pair[1 - kept]);

    let words = state.graph.words;
    let set = |node: usize| &state.legs[node * words..(node + 1) * words];
    let (sa, sb, sy, sv) = (set(a as usize), set(b as usize), set(y as usize), set(v));
    let mut size = 0.0;
    for (w, slot) in scratch.iter_mut().enumerate() {
        *slot = (sa[w] | sy[w]) & (sb[w] | sv[w]);
    }
    size += state.graph.size(scratch);
    let (x_flops, v_flops) = if state.graph.simple {
        let half = |p: f64, q: f64, r: f64| 0.5 * (p + q + r);
        let sizes = &state.size;
        (half(sizes[a as usize], sizes[y as usize], size), half(size, sizes[b as usize], sizes[v]))
    } else {
        (state.graph.size_by(|w| sa[w] | sy[w]), state.graph.size_by(|w| scratch[w] | sb[w]))
    };
    let x = x as usize;
    let objective = state.objective;
    let old = sums.add(
        objective.step(state.flops[x], state.size[x]) + charge(state.size[x], schedule),
        objective.step(state.flops[v], state.size[v]),
    );
    let new = sums.add(objective.step(x_flops, size) + charge(size, schedule), objective.step(v_flops, state.size[v]));
    let rise = new - old;
    if rise > 0.0 {
        let exponent = -beta * rise;
        if exponent < -30.0 || f64::from(random as u32 >> 2) * (1.0 / f64::from(1_u32 << 30)) >= exponent.exp() {
            return;
        }
    }
    state.legs[x * words..(x + 1) * words].copy_from_slice(scratch);
    state.size[x] = size;
    state.flops[x] = x_flops;
    state.flops[v] = v_flops;
    state.bare.children[x - leaves] = [a, y];
    state.bare.children[k][1 - side] = b;
    state.parent[y as usize] = x as u32;
    state.parent[b as usize] = v as u32;
    debug_assert_ne!(state.parent[x], NONE);
}

//! The best order of a few tensors, by dynamic programming over all subsets, and its use on parts of a tree.

use std::time::Instant;

use super::graph::Graph;
use super::state::{Bare, State};
use crate::linalg::wide;
use crate::network::cost::Objective;

/// Costs are measured from the present one, so that powers of two stay within the range of floating point.
fn power(log: f64, shift: f64) -> f64 {
    (log - shift).exp2()
}

/// Room for the dynamic programme, kept between uses.
#[derive(Default)]
pub(crate) struct Subsets {
    sets: Vec<u64>,
    unions: Vec<u64>,
    /// The indices of each subset that more than two have, packed.
    hyper: Vec<u64>,
    size: Vec<f64>,
    root: Vec<f64>,
    best: Vec<f64>,
    split: Vec<u32>,
}

/// What there is of indices that more than two of the tensors have.
#[derive(PartialEq, Clone, Copy)]
enum Hyper {
    None,
    /// At most 64, all of this dimension (`log2`).
    Packed(f64),
    General,
}

impl Subsets {
    /// The best tree of `count` tensors with the sets `leaf`, where `outside` is what the rest of the network has:
    /// its cost as a power of two above `2^shift`. Outer products are tried as well as everything else. A result above
    /// `2^limit` elements is refused; then, and where nothing is below `2^1000` times the shift, the cost is infinite.
    pub(crate) fn solve(
        &mut self,
        graph: &Graph,
        leaf: &[&[u64]],
        outside: &[u64],
        objective: Objective,
        (shift, limit): (f64, f64),
    ) -> f64 {
        wide(
            #[inline(always)]
            || self.run(graph, leaf, outside, objective, (shift, limit)),
        )
    }

    #[inline(always)]
    fn run(
        &mut self,
        graph: &Graph,
        leaf: &[&[u64]],
        outside: &[u64],
        objective: Objective,
        (shift, limit): (f64, f64),
    ) -> f64 {
        let (count, words) = (leaf.len(), graph.words);
        let all = (1_usize << count) - 1;
        // The union of the indices of a subset.
        self.unions.clear();
        self.unions.resize((all + 1) * words, 0);
        for subset in 1..=all {
            let low = subset.trailing_zeros() as usize;
            let rest = (subset & (subset - 1)) * words;
            for (w, word) in leaf[low].iter().enumerate() {
                self.unions[subset * words + w] = self.unions[rest + w] | word;
            }
        }
        self.sets.clear();
        self.sets.resize((all + 1) * words, 0);
        for table in [&mut self.size, &mut self.root, &mut self.best] {
            table.clear();
            table.resize(all + 1, f64::INFINITY);
        }
        self.split.clear();
        self.split.resize(all + 1, 0);
        for subset in 1..=all {
            let (here, there) = (subset * words, (all & !subset) * words);
            for (w, word) in outside.iter().enumerate() {
                self.sets[here + w] = self.unions[here + w] & (self.unions[there + w] | word);
            }
            self.size[subset] = graph.size(&self.sets[here..here + words]);
            // In the flops of a split of S into A and B stands the square root of each of the three sizes.
            self.root[subset] = power(0.5 * self.size[subset], shift / 3.0);
        }
        for (bit, set) in leaf.iter().enumerate() {
            self.size[1 << bit] = graph.size(set);
            self.root[1 << bit] = power(0.5 * self.size[1 << bit], shift / 3.0);
            self.sets[(1 << bit) * words..((1 << bit) + 1) * words].copy_from_slice(set);
            self.best[1 << bit] = 0.0;
        }
        let (by_flops, by_size) = match objective {
            Objective::Flops => (1.0, 0.0),
            Objective::Write | Objective::Size | Objective::Peak => (0.0, 1.0),
            Objective::Combined { factor } => (1.0, factor),
        };
        let hyper = self.pack_hyper(graph, leaf, outside);
        for subset in 1..=all {
            if subset & (subset - 1) == 0 || (subset != all && self.size[subset] > limit) {
                continue;
            }
            let write = by_size * power(self.size[subset], shift);
            // One of the two parts holds the lowest tensor, so each split is met once.
            let low = subset & subset.wrapping_neg();
            let rest = subset ^ low;
            let (mut best, mut split) = (f64::INFINITY, 0);
            let mut part = rest;
            if by_flops == 0.0 || hyper == Hyper::None {
                let factor = if by_flops == 0.0 { 0.0 } else { self.root[subset] };
                while part != 0 {
                    let other = subset ^ part;
                    let cost = self.best[part] + self.best[other] + factor * self.root[part] * self.root[other];
                    if cost < best {
                        (best, split) = (cost, part);
                    }
                    part = (part - 1) & rest;
                }
            } else if let Hyper::Packed(log) = hyper {
                // An index that all three have was counted three halves of once.
                let surplus: [f64; 65] = std::array::from_fn(|count| (-0.5 * log * count as f64).exp2());
                let (factor, here) = (self.root[subset], self.hyper[subset]);
                while part != 0 {
                    let other = subset ^ part;
                    let common = (here & self.hyper[part] & self.hyper[other]).count_ones();
                    let product = factor * self.root[part] * self.root[other];
                    let cost = self.best[part] + self.best[other] + product * surplus[common as usize];
                    if cost < best {
                        (best, split) = (cost, part);
                    }
                    part = (part - 1) & rest;
                }
            } else {
                while part != 0 {
                    let other = subset ^ part;
                    let below = self.best[part] + self.best[other];
                    if below < best {
                        let (p, q) = (part * words, other * words);
                        let union = graph.size_by(|w| self.sets[p + w] | self.sets[q + w]);
                        let cost = below + power(union, shift);
                        if cost < best {
                            (best, split) = (cost, part);
                        }
                    }
                    part = (part - 1) & rest;
                }
            }
            self.best[subset] = best + write;
            self.split[subset] = split as u32;
        }
        self.best[all]
    }

    /// Finds the indices that more than two of the leaves and the outside have, and packs those of each subset.
    #[inline(always)]
    fn pack_hyper(&mut self, graph: &Graph, leaf: &[&[u64]], outside: &[u64]) -> Hyper {
        if graph.simple {
            return Hyper::None;
        }
        let mut bits = Vec::new();
        for w in 0..graph.words {
            let (mut once, mut twice, mut more) = (outside[w], 0, 0);
            for set in leaf {
                more |= twice & set[w];
                twice |= once & set[w];
                once |= set[w];
            }
            while more != 0 {
                bits.push(64 * w + more.trailing_zeros() as usize);
                more &= more - 1;
            }
        }
        let Some(&first) = bits.first() else { return Hyper::None };
        let log = graph.log_dims[first];
        if bits.len() > 64 || bits.iter().any(|&bit| graph.log_dims[bit] != log) {
            return Hyper::General;
        }
        self.hyper.clear();
        self.hyper.extend(self.sets.chunks_exact(graph.words).map(|set| {
            bits.iter().enumerate().fold(0, |packed, (i, &bit)| packed | (set[bit / 64] >> (bit % 64) & 1) << i)
        }));
        Hyper::Packed(log)
    }

    /// The tree of the last [`solve`](Self::solve), as pairs of subsets, parents before children.
    fn splits(&self, all: usize, mut tell: impl FnMut(usize, usize, usize)) {
        let mut stack = vec![all];
        while let Some(subset) = stack.pop() {
            if subset & (subset - 1) != 0 {
                let part = self.split[subset] as usize;
                tell(subset, part, subset ^ part);
                stack.extend([part, subset ^ part]);
            }
        }
    }

    /// The best tree of a whole graph of up to 20 tensors, if its cost is finite.
    pub(crate) fn best_tree(&mut self, graph: &Graph, objective: Objective, shift: f64) -> Option<Bare> {
        let n = graph.tensors;
        if n == 1 {
            return Some(Bare { leaves: 1, children: Vec::new(), root: 0 });
        }
        let leaf: Vec<&[u64]> = (0..n).map(|t| graph.legs(t)).collect();
        let cost = self.solve(graph, &leaf, &graph.output, objective, (shift, f64::INFINITY));
        cost.is_finite().then(|| {
            let mut splits = Vec::new();
            self.splits((1 << n) - 1, |subset, part, other| splits.push((subset, part, other)));
            let number: std::collections::HashMap<usize, u32> =
                splits.iter().enumerate().map(|(k, split)| (split.0, (n + k) as u32)).collect();
            let id = |subset: usize| number.get(&subset).copied().unwrap_or(subset.trailing_zeros());
            let children = splits.iter().map(|&(_, part, other)| [id(part), id(other)]).collect();
            Bare { leaves: n, children, root: n as u32 }
        })
    }
}

/// Subtrees that cost so little, in powers of two below the whole tree, are left as they are.
const CHEAP: f64 = 24.0;

/// Replaces subtrees of up to `width` leaves by the best ones until a pass over all nodes gains nothing, or `deadline`
/// is past (returns `false`). Nodes above `2^limit` elements are not made anew.
pub(crate) fn reconfigure(
    state: &mut State,
    width: usize,
    limit: f64,
    room: &mut Subsets,
    deadline: Option<Instant>,
) -> bool {
    let floor = state.total() - CHEAP;
    // What was tried at a node is not tried again unless a node below it changed.
    let mut fresh = vec![true; state.bare.nodes()];
    loop {
        let mut gained = false;
        for node in state.bare.upwards() {
            if !std::mem::take(&mut fresh[node as usize]) {
                continue;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
            if let Some(inner) = improve(state, node, width, (limit, floor), room) {
                gained = true;
                for changed in inner {
                    let mut up = changed;
                    // A change can matter to the subtrees that reach down to it, a few levels up.
                    for _ in 0..width {
                        if up == super::state::NONE {
                            break;
                        }
                        fresh[up as usize] = true;
                        up = state.parent[up as usize];
                    }
                }
            }
        }
        if !gained {
            return true;
        }
    }
}

/// The subtree below `node` in which the largest nodes are opened first, made anew if that is cheaper; its inner nodes.
fn improve(
    state: &mut State,
    node: u32,
    width: usize,
    (limit, floor): (f64, f64),
    room: &mut Subsets,
) -> Option<Vec<u32>> {
    let leaves = state.bare.leaves;
    let mut frontier: Vec<u32> = state.bare.of(node)?.to_vec();
    let mut inner = vec![node];
    while frontier.len() < width {
        let opened = (0..frontier.len())
            .filter(|&i| frontier[i] as usize >= leaves)
            .max_by(|&i, &j| state.size[frontier[i] as usize].total_cmp(&state.size[frontier[j] as usize]));
        let Some(opened) = opened else { break };
        let child = frontier.swap_remove(opened);
        inner.push(child);
        frontier.extend(state.bare.of(child)?);
    }
    if frontier.len() < 3 {
        return None;
    }
    let now = super::graph::log2_sum(inner.iter().map(|&node| state.step_cost(node)));
    if now < floor {
        return None;
    }
    let largest = inner.iter().map(|&node| state.size[node as usize]).fold(limit, f64::max);
    let sets: Vec<&[u64]> = frontier.iter().map(|&node| state.set(node)).collect();
    let cost = room.solve(state.graph, &sets, state.set(node), state.objective, (now, largest));
    // The present tree costs 1; less than what rounding may feign is no gain.
    if cost.is_nan() || cost >= 1.0 - 1e-9 {
        return None;
    }
    let mut spare = inner[1..].iter().copied();
    let all = (1_usize << frontier.len()) - 1;
    let mut number = std::collections::HashMap::from([(all, node)]);
    let mut changes = Vec::new();
    room.splits(all, |subset, part, other| {
        let mut id = |subset: usize| match subset.count_ones() {
            1 => frontier[subset.trailing_zeros() as usize],
            _ => {
                let id = spare.next().unwrap_or(node);
                number.insert(subset, id);
                id
            }
        };
        let children = [id(part), id(other)];
        changes.push((number.get(&subset).copied().unwrap_or(node), subset, children));
    });
    let words = state.graph.words;
    for &(at, subset, children) in &changes {
        let n = at as usize;
        state.bare.children[n - leaves] = children;
        children.iter().for_each(|&child| state.parent[child as usize] = at);
        if at != node {
            state.legs[n * words..(n + 1) * words].copy_from_slice(&room.sets[subset * words..(subset + 1) * words]);
            state.size[n] = room.size[subset];
        }
    }
    for &(at, _, [a, b]) in &changes {
        let (x, y) = (state.set(a), state.set(b));
        let union = state.graph.size_by(|w| x[w] | y[w]);
        state.flops[at as usize] = union;
    }
    Some(inner)
}

//! A contraction tree that is being changed: children, parents, and for each node its set of indices and its cost.

use super::graph::{Graph, log2_sum};
use crate::network::cost::Objective;
use crate::network::tree::ContractionTree;

/// No node: above the root.
pub(crate) const NONE: u32 = u32::MAX;

/// The bare tree: leaves are `0..leaves`, inner nodes follow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bare {
    pub leaves: usize,
    /// The children of node `leaves + k`.
    pub children: Vec<[u32; 2]>,
    pub root: u32,
}

impl Bare {
    pub(crate) fn new(tree: &ContractionTree) -> Self {
        let children = tree.pairs().iter().map(|&(a, b)| [a as u32, b as u32]).collect();
        Bare { leaves: tree.leaves(), children, root: tree.root() as u32 }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.leaves + self.children.len()
    }

    pub(crate) fn of(&self, node: u32) -> Option<[u32; 2]> {
        (node as usize).checked_sub(self.leaves).map(|k| self.children[k])
    }

    pub(crate) fn parents(&self) -> Vec<u32> {
        let mut parents = vec![NONE; self.nodes()];
        for (k, children) in self.children.iter().enumerate() {
            children.iter().for_each(|&child| parents[child as usize] = (self.leaves + k) as u32);
        }
        parents
    }

    /// Inner nodes, children before parents.
    pub(crate) fn upwards(&self) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.children.len());
        let mut stack = vec![self.root];
        while let Some(node) = stack.pop() {
            if let Some(children) = self.of(node) {
                order.push(node);
                stack.extend(children);
            }
        }
        order.reverse();
        order
    }

    pub(crate) fn tree(&self) -> ContractionTree {
        ContractionTree::from_children(self.leaves, &self.children, self.root as usize, |_| false)
    }
}

/// A tree with the sets and costs of its nodes.
#[derive(Debug, Clone)]
pub(crate) struct State<'g> {
    pub graph: &'g Graph,
    pub objective: Objective,
    pub bare: Bare,
    pub parent: Vec<u32>,
    /// The open indices of each node, one after the other.
    pub legs: Vec<u64>,
    /// `log2` of the elements of each node.
    pub size: Vec<f64>,
    /// `log2` of the multiplications of each node, minus infinity for leaves.
    pub flops: Vec<f64>,
}

impl<'g> State<'g> {
    pub(crate) fn new(graph: &'g Graph, objective: Objective, bare: Bare) -> Self {
        let (nodes, words) = (bare.nodes(), graph.words);
        let mut state = State {
            graph,
            objective,
            parent: bare.parents(),
            bare,
            legs: vec![0; nodes * words],
            size: vec![0.0; nodes],
            flops: vec![f64::NEG_INFINITY; nodes],
        };
        state.refresh();
        state
    }

    /// All sets and costs from the leaves on.
    pub(crate) fn refresh(&mut self) {
        let (graph, words) = (self.graph, self.graph.words);
        for leaf in 0..graph.tensors {
            self.legs[leaf * words..(leaf + 1) * words].copy_from_slice(graph.legs(leaf));
            self.size[leaf] = graph.size(graph.legs(leaf));
        }
        let open = open_sets(graph, &self.bare);
        for node in self.bare.upwards() {
            let n = node as usize;
            let at = (n - self.bare.leaves) * words;
            self.legs[n * words..(n + 1) * words].copy_from_slice(&open[at..at + words]);
            self.size[n] = graph.size(&open[at..at + words]);
            self.flops[n] = self.union(node);
        }
    }

    pub(crate) fn set(&self, node: u32) -> &[u64] {
        let words = self.graph.words;
        &self.legs[node as usize * words..(node as usize + 1) * words]
    }

    /// `log2` of the multiplications at an inner node.
    fn union(&self, node: u32) -> f64 {
        let Some([a, b]) = self.bare.of(node) else { return f64::NEG_INFINITY };
        let (a, b) = (self.set(a), self.set(b));
        self.graph.size_by(|w| a[w] | b[w])
    }

    /// `log2` of the cost of a node as the objective counts it.
    pub(crate) fn step_cost(&self, node: u32) -> f64 {
        self.objective.step(self.flops[node as usize], self.size[node as usize])
    }

    /// `log2` of the sum over all nodes, as the objective counts them.
    pub(crate) fn total(&self) -> f64 {
        let leaves = self.bare.leaves as u32;
        log2_sum((leaves..self.bare.nodes() as u32).map(|node| self.step_cost(node)))
    }

    /// `log2` of all multiplications.
    pub(crate) fn total_flops(&self) -> f64 {
        log2_sum(self.flops[self.bare.leaves..].iter().copied())
    }

    /// `log2` of the largest result.
    pub(crate) fn largest(&self) -> f64 {
        self.size[self.bare.leaves..].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The open indices of every inner node: those that something else has, too, or that are in the output.
fn open_sets(graph: &Graph, bare: &Bare) -> Vec<u64> {
    let words = graph.words;
    let mut open = vec![0; bare.children.len() * words];
    // An index closes at the node below which the last of its holders is found.
    let mut seen: Vec<u32> = vec![0; 64 * words];
    let upwards = bare.upwards();
    if graph.holders.iter().all(|on| on.len() <= 2) {
        for node in upwards {
            let [a, b] = bare.of(node).unwrap_or_default();
            for w in 0..words {
                let word = |child: u32| match (child as usize).checked_sub(bare.leaves) {
                    Some(k) => open[k * words + w],
                    None => graph.legs(child as usize)[w],
                };
                let (a, b) = (word(a), word(b));
                open[(node as usize - bare.leaves) * words + w] = (a ^ b) | ((a | b) & graph.output[w]);
            }
        }
        return open;
    }
    // How many holders of each bit lie below each node, kept for open bits only.
    let mut below: Vec<Vec<(u32, u32)>> = vec![Vec::new(); bare.nodes()];
    for (bit, on) in graph.holders.iter().enumerate() {
        on.iter().for_each(|&tensor| below[tensor as usize].push((bit as u32, 1)));
    }
    for node in upwards {
        let [a, b] = bare.of(node).unwrap_or_default();
        let mut counts = std::mem::take(&mut below[a as usize]);
        counts.extend(std::mem::take(&mut below[b as usize]));
        counts.iter().for_each(|&(bit, count)| seen[bit as usize] += count);
        let k = node as usize - bare.leaves;
        let mut kept = Vec::with_capacity(counts.len());
        for (bit, _) in counts {
            let (bit, count) = (bit as usize, std::mem::take(&mut seen[bit as usize]));
            let is_open = graph.output[bit / 64] >> (bit % 64) & 1 == 1;
            if count > 0 && (is_open || (count as usize) < graph.holders[bit].len()) {
                open[k * words + bit / 64] |= 1 << (bit % 64);
                kept.push((bit as u32, count));
            }
        }
        below[node as usize] = kept;
    }
    open
}

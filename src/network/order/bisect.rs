//! Orders by recursive bisection: the tensors are parted in two with few indices between the parts, and so on.
//!
//! Each bisection is multilevel: vertices that share much are merged until few are left, those are parted, and the parts
//! are improved by moves of single vertices on the way back (Fiduccia and Mattheyses, DAC 1982; Karypis and Kumar, SIAM
//! J. Sci. Comput. 20, 359, 1998).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use rand::RngExt;
use rand::seq::SliceRandom;

use super::graph::Graph;
use super::greedy::{Taste, greedy};
use super::reconfigure::Subsets;
use super::state::Bare;
use crate::network::cost::Objective;
use crate::random::Stream;

/// How a network is cut in two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutting {
    /// The larger part has at most this share of the tensors, from 1/2 to 1.
    pub share: f64,
    /// Parts of at most so many tensors are put in order by other means.
    pub leave: usize,
}

/// Vertices below which nothing is merged any more.
const COARSE: usize = 24;
/// Starts at the coarsest level.
const STARTS: usize = 6;
/// Parts up to this size are put in the best order.
const EXACT: usize = 8;

/// Vertices with weights, and nets over them.
struct Hypergraph {
    weight: Vec<u32>,
    nets: Vec<(Vec<u32>, f64)>,
    on: Vec<Vec<u32>>,
}

impl Hypergraph {
    fn new(weight: Vec<u32>, nets: Vec<(Vec<u32>, f64)>) -> Self {
        let mut on = vec![Vec::new(); weight.len()];
        for (net, (pins, _)) in nets.iter().enumerate() {
            pins.iter().for_each(|&v| on[v as usize].push(net as u32));
        }
        Hypergraph { weight, nets, on }
    }

    fn vertices(&self) -> usize {
        self.weight.len()
    }
}

/// An order by recursive bisection; parts that are left at `deadline` are put in a greedy order.
pub(crate) fn bisect(
    graph: &Graph,
    cutting: Cutting,
    objective: Objective,
    room: &mut Subsets,
    stream: &mut Stream,
    deadline: Option<Instant>,
) -> Bare {
    let n = graph.tensors;
    let mut bare = Bare { leaves: n, children: Vec::with_capacity(n.saturating_sub(1)), root: 0 };
    let mut place = vec![u32::MAX; n];
    // Parts still to be ordered, and above them the pairs that wait for two results.
    enum Task {
        Part(Vec<u32>),
        Join,
    }
    let mut tasks = vec![Task::Part((0..n as u32).collect())];
    let mut done: Vec<u32> = Vec::new();
    let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    while let Some(task) = tasks.pop() {
        match task {
            Task::Join => {
                if let (Some(b), Some(a)) = (done.pop(), done.pop()) {
                    bare.children.push([a, b]);
                    done.push((bare.nodes() - 1) as u32);
                }
            }
            Task::Part(part) if part.len() <= cutting.leave.max(1) || late() => {
                done.push(ordered(graph, &part, objective, room, &mut bare, stream));
            }
            Task::Part(part) => {
                let local = induced(graph, &part, &mut place);
                let sides = multilevel(&local, cutting.share, stream);
                let (mut left, mut right) = (Vec::new(), Vec::new());
                for (&v, side) in part.iter().zip(sides) {
                    if side { right.push(v) } else { left.push(v) }
                }
                if left.is_empty() || right.is_empty() {
                    let mut all = [left, right].concat();
                    right = all.split_off(all.len() / 2);
                    left = all;
                }
                tasks.push(Task::Join);
                tasks.push(Task::Part(left));
                tasks.push(Task::Part(right));
            }
        }
    }
    bare.root = (bare.nodes() - 1) as u32;
    bare
}

/// Adds an order of a few tensors to `bare`, and gives its root.
fn ordered(
    graph: &Graph,
    part: &[u32],
    objective: Objective,
    room: &mut Subsets,
    bare: &mut Bare,
    stream: &mut Stream,
) -> u32 {
    if let [only] = part {
        return *only;
    }
    let sets: Vec<&[u64]> = part.iter().map(|&v| graph.legs(v as usize)).collect();
    let mut outside = graph.output.clone();
    for (bit, on) in graph.holders.iter().enumerate() {
        if on.iter().any(|v| part.binary_search(v).is_err()) {
            outside[bit / 64] |= 1 << (bit % 64);
        }
    }
    let local = graph.of_sets(&sets, &outside);
    let exact = (part.len() <= EXACT).then(|| room.best_tree(&local, objective, 0.0)).flatten();
    let tree = exact.unwrap_or_else(|| greedy(&local, Taste { alpha: 1.0, temperature: 0.0 }, stream));
    let base = bare.nodes() as u32;
    // Children before parents: the numbers of a tree from elsewhere need not be in that order.
    let mut number: Vec<u32> = part.to_vec();
    number.resize(tree.nodes(), 0);
    for (k, node) in tree.upwards().into_iter().enumerate() {
        let [a, b] = tree.of(node).unwrap_or_default();
        bare.children.push([number[a as usize], number[b as usize]]);
        number[node as usize] = base + k as u32;
    }
    number[tree.root as usize]
}

/// The part of the network on the vertices `part`, which are sorted.
fn induced(graph: &Graph, part: &[u32], place: &mut [u32]) -> Hypergraph {
    part.iter().enumerate().for_each(|(i, &v)| place[v as usize] = i as u32);
    let nets = graph.holders.iter().zip(&graph.log_dims).filter_map(|(on, &log)| {
        let pins: Vec<u32> = on.iter().map(|&v| place[v as usize]).filter(|&i| i != u32::MAX).collect();
        // A bond of dimension one connects, too.
        (pins.len() > 1).then_some((pins, log.max(1e-3)))
    });
    let local = Hypergraph::new(vec![1; part.len()], nets.collect());
    part.iter().for_each(|&v| place[v as usize] = u32::MAX);
    local
}

/// Two parts of all vertices.
fn multilevel(graph: &Hypergraph, share: f64, stream: &mut Stream) -> Vec<bool> {
    let total: u32 = graph.weight.iter().sum();
    let most = ((f64::from(total) * share).ceil() as u32).clamp(total.div_ceil(2), total.saturating_sub(1).max(1));
    let mut levels: Vec<(Hypergraph, Vec<u32>)> = Vec::new();
    loop {
        let finest = levels.last().map_or(graph, |level| &level.0);
        if finest.vertices() <= COARSE {
            break;
        }
        let Some(coarser) = coarsen(finest, most, stream) else { break };
        levels.push(coarser);
    }
    let coarsest = levels.last().map_or(graph, |level| &level.0);
    let mut best: Option<(f64, Vec<bool>)> = None;
    for _ in 0..STARTS {
        let mut sides = grown(coarsest, total / 2, stream);
        let cut = refine(coarsest, &mut sides, most);
        if best.as_ref().is_none_or(|(least, _)| cut < *least) {
            best = Some((cut, sides));
        }
    }
    let mut sides = best.map(|(_, sides)| sides).unwrap_or_default();
    for level in (0..levels.len()).rev() {
        let map = &levels[level].1;
        let mut finer: Vec<bool> = map.iter().map(|&coarse| sides[coarse as usize]).collect();
        let graph = if level == 0 { graph } else { &levels[level - 1].0 };
        refine(graph, &mut finer, most);
        sides = finer;
    }
    sides
}

/// Vertices merged in pairs that share much; `None` if hardly any could be.
fn coarsen(graph: &Hypergraph, most: u32, stream: &mut Stream) -> Option<(Hypergraph, Vec<u32>)> {
    let n = graph.vertices();
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(stream);
    let mut map = vec![u32::MAX; n];
    let mut weight = Vec::new();
    let mut shared = vec![0.0; n];
    // No vertex may grow so heavy that the parts cannot be balanced.
    let heaviest = (most / 4).max(2);
    for &v in &order {
        if map[v as usize] != u32::MAX {
            continue;
        }
        let mut near = Vec::new();
        for &net in &graph.on[v as usize] {
            let (pins, w) = &graph.nets[net as usize];
            for &u in pins {
                if u != v && map[u as usize] == u32::MAX {
                    if shared[u as usize] == 0.0 {
                        near.push(u);
                    }
                    shared[u as usize] += w / (pins.len() - 1) as f64;
                }
            }
        }
        let own = graph.weight[v as usize];
        let fits = |u: &&u32| own + graph.weight[**u as usize] <= heaviest;
        // Light partners first among equals of what is shared.
        let merit = |u: &u32| shared[*u as usize] / f64::from(graph.weight[*u as usize]);
        let partner = near.iter().filter(fits).max_by(|a, b| merit(a).total_cmp(&merit(b)).then(b.cmp(a))).copied();
        near.iter().for_each(|&u| shared[u as usize] = 0.0);
        let new = weight.len() as u32;
        map[v as usize] = new;
        weight.push(own);
        if let Some(u) = partner {
            map[u as usize] = new;
            weight[new as usize] += graph.weight[u as usize];
        }
    }
    if weight.len() * 20 > n * 19 {
        return None;
    }
    let nets = graph.nets.iter().filter_map(|(pins, w)| {
        let mut pins: Vec<u32> = pins.iter().map(|&v| map[v as usize]).collect();
        pins.sort_unstable();
        pins.dedup();
        (pins.len() > 1).then_some((pins, *w))
    });
    Some((Hypergraph::new(weight, nets.collect()), map))
}

/// One part grown from a random vertex, neighbours first, until it weighs `enough`.
fn grown(graph: &Hypergraph, enough: u32, stream: &mut Stream) -> Vec<bool> {
    let n = graph.vertices();
    let mut sides = vec![false; n];
    let mut queue = std::collections::VecDeque::new();
    let mut seen = vec![false; n];
    let mut weight = 0;
    while weight < enough {
        let Some(v) = queue.pop_front() else {
            let left: Vec<usize> = (0..n).filter(|&v| !seen[v]).collect();
            if left.is_empty() {
                break;
            }
            let v = left[stream.random_range(0..left.len())];
            seen[v] = true;
            queue.push_back(v);
            continue;
        };
        sides[v] = true;
        weight += graph.weight[v];
        for &net in &graph.on[v] {
            for &u in &graph.nets[net as usize].0 {
                if !std::mem::replace(&mut seen[u as usize], true) {
                    queue.push_back(u as usize);
                }
            }
        }
    }
    sides
}

#[derive(PartialEq)]
struct Move {
    gain: f64,
    vertex: u32,
}

impl Eq for Move {}

impl Ord for Move {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(other.vertex.cmp(&self.vertex))
    }
}

impl PartialOrd for Move {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Moves vertices to the other part, each at most once in a pass, and keeps the best moment of it; until a pass gains
/// nothing. Returns the weight of the nets that are cut.
fn refine(graph: &Hypergraph, sides: &mut [bool], most: u32) -> f64 {
    let n = graph.vertices();
    let mut pins: Vec<[u32; 2]> = graph.nets.iter().map(|(on, _)| count(on, sides)).collect();
    let mut weights = [0_u32; 2];
    (0..n).for_each(|v| weights[usize::from(sides[v])] += graph.weight[v]);
    let cut_of = |pins: &[[u32; 2]]| -> f64 {
        graph.nets.iter().zip(pins).filter(|(_, p)| p[0] > 0 && p[1] > 0).map(|(net, _)| net.1).sum()
    };
    let mut cut = cut_of(&pins);
    let mut gains = vec![0.0; n];
    loop {
        let mut heap = BinaryHeap::new();
        for (v, slot) in gains.iter_mut().enumerate() {
            *slot = gain(graph, &pins, sides, v);
            heap.push(Move { gain: *slot, vertex: v as u32 });
        }
        let mut moved = vec![false; n];
        let mut trail = Vec::new();
        let (mut now, mut least, mut kept) = (cut, cut, 0);
        let balanced = |weights: &[u32; 2]| weights[0] <= most && weights[1] <= most;
        let mut started_balanced = balanced(&weights);
        let mut held: Vec<Move> = Vec::new();
        while let Some(best) = heap.pop() {
            let v = best.vertex as usize;
            if moved[v] || best.gain != gains[v] {
                continue;
            }
            let (from, to) = (usize::from(sides[v]), usize::from(!sides[v]));
            let heavier = weights[to] + graph.weight[v];
            if heavier > most && heavier >= weights[from] {
                // It may fit later, when others have left that side.
                held.push(best);
                continue;
            }
            moved[v] = true;
            now -= best.gain;
            weights[from] -= graph.weight[v];
            weights[to] += graph.weight[v];
            sides[v] = to == 1;
            trail.push(v);
            for &net in &graph.on[v] {
                let p = &mut pins[net as usize];
                p[from] -= 1;
                p[to] += 1;
                // Gains change only where a part of the net becomes empty, or stops being so, or is down to one.
                if p[from] <= 1 || p[to] <= 2 {
                    for &u in &graph.nets[net as usize].0 {
                        if !moved[u as usize] {
                            let new = gain(graph, &pins, sides, u as usize);
                            if new != gains[u as usize] {
                                gains[u as usize] = new;
                                heap.push(Move { gain: new, vertex: u });
                            }
                        }
                    }
                }
            }
            heap.extend(held.drain(..));
            let fits = balanced(&weights);
            if fits && (!started_balanced || now < least - 1e-9) {
                (least, kept) = (now, trail.len());
                started_balanced = true;
            }
        }
        for &v in trail[kept..].iter().rev() {
            let (from, to) = (usize::from(sides[v]), usize::from(!sides[v]));
            weights[from] -= graph.weight[v];
            weights[to] += graph.weight[v];
            sides[v] = to == 1;
            for &net in &graph.on[v] {
                pins[net as usize][from] -= 1;
                pins[net as usize][to] += 1;
            }
        }
        let next = cut_of(&pins);
        if kept == 0 || next >= cut - 1e-9 {
            return next;
        }
        cut = next;
    }
}

fn count(pins: &[u32], sides: &[bool]) -> [u32; 2] {
    let right = pins.iter().filter(|&&v| sides[v as usize]).count() as u32;
    [pins.len() as u32 - right, right]
}

/// By how much the cut shrinks when `v` goes to the other part.
fn gain(graph: &Hypergraph, pins: &[[u32; 2]], sides: &[bool], v: usize) -> f64 {
    let (from, to) = (usize::from(sides[v]), usize::from(!sides[v]));
    let of = |&net: &u32| {
        let (p, w) = (pins[net as usize], graph.nets[net as usize].1);
        if p[from] == 1 && p[to] > 0 {
            w
        } else if p[to] == 0 && p[from] > 1 {
            -w
        } else {
            0.0
        }
    };
    graph.on[v].iter().map(of).sum()
}

//! Orders that sweep over the network: one tensor after the other is taken into a growing part, so that few indices
//! cross its boundary. On elongated lattices nothing is better, and bisection does not find it.

use rand::RngExt;

use super::graph::{Graph, bits_of};
use super::state::Bare;
use crate::random::Stream;

/// How the next tensor is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broom {
    /// Temperature of the choice of the next tensor, in powers of two of the boundary; zero for none.
    pub temperature: f64,
    /// Weight of the place along the sweep against the size of the boundary: zero takes whatever keeps the boundary
    /// small, a large one keeps it even.
    pub slope: f64,
    /// What the place along the sweep is.
    pub along: Along,
}

/// The coordinate along which a sweep goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// The slowest mode of the graph: on an elongated lattice its long side.
    Mode,
    /// The difference of the distances to two tensors far apart.
    Ends,
    /// The distance to the first tensor.
    Start,
    /// The order in which the tensors were given, which often is that of a lattice or a circuit.
    Given,
}

/// A sweep from one tensor over all others. Parts that are not connected are swept one after the other.
pub(crate) fn sweep(graph: &Graph, broom: Broom, stream: &mut Stream) -> Bare {
    let n = graph.tensors;
    let legs: Vec<Vec<u32>> = (0..n).map(|t| bits_of(graph.legs(t)).map(|bit| bit as u32).collect()).collect();
    let mut taken = vec![false; n];
    // How many tensors with an index are not taken yet; open indices never close.
    let mut left: Vec<u32> = graph
        .holders
        .iter()
        .enumerate()
        .map(|(bit, on)| on.len() as u32 + u32::from(super::graph::has(&graph.output, bit)))
        .collect();
    let full = left.clone();
    let (place, first) = coordinate(graph, &legs, broom.along, stream);
    let mut seen = vec![false; n];
    let mut frontier: Vec<u32> = Vec::new();
    let mut children = Vec::with_capacity(n.saturating_sub(1));
    let mut current: Option<u32> = None;
    for _ in 0..n {
        if frontier.is_empty() {
            let start = (0..n as u32).filter(|&t| !taken[t as usize]);
            let start = start.min_by(|&a, &b| place[a as usize].total_cmp(&place[b as usize]));
            frontier.push(if seen[first as usize] { start.unwrap_or(first) } else { first });
            frontier.iter().for_each(|&t| seen[t as usize] = true);
        }
        let mut best = (f64::INFINITY, 0);
        for (at, &t) in frontier.iter().enumerate() {
            let mut change = 0.0;
            for &leg in &legs[t as usize] {
                let bit = leg as usize;
                let log = graph.log_dims[bit];
                if left[bit] == full[bit] && full[bit] > 1 {
                    change += log;
                } else if left[bit] == 1 && full[bit] > 1 {
                    change -= log;
                }
            }
            // Among equals the place decides.
            let mut cost = change + (broom.slope + 1e-6) * place[t as usize];
            if broom.temperature > 0.0 {
                let u: f64 = stream.random();
                cost += broom.temperature * (-(u.max(f64::MIN_POSITIVE)).ln()).ln();
            }
            if cost < best.0 {
                best = (cost, at);
            }
        }
        let t = frontier.swap_remove(best.1);
        taken[t as usize] = true;
        for &leg in &legs[t as usize] {
            left[leg as usize] -= 1;
            for &other in &graph.holders[leg as usize] {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    frontier.push(other);
                }
            }
        }
        current = Some(match current {
            None => t,
            Some(before) => {
                children.push([before, t]);
                (n + children.len() - 1) as u32
            }
        });
    }
    Bare { leaves: n, children, root: current.unwrap_or(0) }
}

/// The place of each tensor along the sweep, in steps from tensor to tensor, and the first of all.
fn coordinate(graph: &Graph, legs: &[Vec<u32>], along: Along, stream: &mut Stream) -> (Vec<f64>, u32) {
    let n = graph.tensors;
    let any = stream.random_range(0..n as u32);
    let ends = |any: u32| {
        let start = farthest(&distances(graph, legs, any));
        let from_start = distances(graph, legs, start);
        let end = farthest(&from_start);
        (start, from_start, end)
    };
    match along {
        Along::Given => {
            let (_, from_start, end) = ends(any);
            let step = from_start[end as usize].max(1.0) / n as f64;
            ((0..n).map(|t| t as f64 * step).collect(), 0)
        }
        Along::Start => {
            let distance = distances(graph, legs, any);
            (distance, any)
        }
        Along::Ends => {
            let (start, from_start, end) = ends(any);
            let from_end = distances(graph, legs, end);
            (from_start.iter().zip(from_end).map(|(p, q)| 0.5 * (p - q)).collect(), start)
        }
        Along::Mode => {
            let (start, from_start, end) = ends(any);
            let length = from_start[end as usize].max(1.0);
            // From anywhere: where several modes are as slow, as on a square, each start leads to another one.
            let noise: Vec<f64> = (0..n).map(|_| stream.random()).collect();
            let mut mode = slowest_mode(graph, legs, &noise);
            // The direction is free; the sweep starts at the low end.
            if mode[start as usize] > mode[end as usize] {
                mode.iter_mut().for_each(|x| *x = -*x);
            }
            let (low, high) = mode.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
            mode.iter_mut().for_each(|x| *x = (*x - low) / (high - low).max(1e-300) * length);
            let first = (0..n as u32).min_by(|&a, &b| mode[a as usize].total_cmp(&mode[b as usize])).unwrap_or(any);
            (mode, first)
        }
    }
}

/// The vector of the graph's Laplacian with the smallest eigenvalue above zero, roughly, by power iteration from
/// `start`. An index of many tensors counts as a star.
fn slowest_mode(graph: &Graph, legs: &[Vec<u32>], start: &[f64]) -> Vec<f64> {
    let n = graph.tensors;
    let mut x = start.to_vec();
    let mut centre = vec![0.0; graph.holders.len()];
    for _ in 0..300 {
        // One step of diffusion: every index takes the mean of its tensors, every tensor the mean of its indices.
        for (value, on) in centre.iter_mut().zip(&graph.holders) {
            *value = on.iter().map(|&t| x[t as usize]).sum::<f64>() / on.len().max(1) as f64;
        }
        for (value, legs) in x.iter_mut().zip(legs) {
            if !legs.is_empty() {
                *value = legs.iter().map(|&leg| centre[leg as usize]).sum::<f64>() / legs.len() as f64;
            }
        }
        // Diffusion keeps the mean in which a tensor counts by its legs.
        let weight: f64 = legs.iter().map(|legs| legs.len() as f64).sum();
        let mean = x.iter().zip(legs).map(|(x, legs)| x * legs.len() as f64).sum::<f64>() / weight.max(1.0);
        let largest = x.iter().map(|x| (x - mean).abs()).fold(1e-300, f64::max);
        x.iter_mut().for_each(|x| *x = (*x - mean) / largest);
    }
    debug_assert_eq!(x.len(), n);
    x
}

/// The steps over shared indices from `start` to each tensor; those out of reach count as next to it.
fn distances(graph: &Graph, legs: &[Vec<u32>], start: u32) -> Vec<f64> {
    let mut distance = vec![0.0; graph.tensors];
    let mut seen = vec![false; graph.tensors];
    let mut used = vec![false; graph.holders.len()];
    seen[start as usize] = true;
    let mut queue = vec![start];
    let mut next = 0;
    while let Some(&t) = queue.get(next) {
        next += 1;
        for &leg in &legs[t as usize] {
            if std::mem::replace(&mut used[leg as usize], true) {
                continue;
            }
            for &other in &graph.holders[leg as usize] {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    distance[other as usize] = distance[t as usize] + 1.0;
                    queue.push(other);
                }
            }
        }
    }
    distance
}

fn farthest(distance: &[f64]) -> u32 {
    (0..distance.len() as u32).max_by(|&a, &b| distance[a as usize].total_cmp(&distance[b as usize])).unwrap_or(0)
}

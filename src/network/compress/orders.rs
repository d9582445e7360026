//! Orders for contraction with bounded bonds.
//!
//! What is good here is another thing than without a bound: tensors that grow side by side keep few, thick bonds between
//! them, and what matters is how many bonds of full dimension one tensor has. Two families are made, after Gray and Chan:
//! greedy ones, which look at the size after truncation, and spans, where every tensor of a spanning tree is contracted
//! into the one that it hangs on, the farthest first. A span along a slow mode of a lattice is boundary contraction.

use std::collections::BTreeMap;

use rand::RngExt;

use super::cost::Model;
use crate::random::Stream;

/// A uniform number in `[0, 1)`.
fn uniform(stream: &mut Stream) -> f64 {
    stream.random()
}

/// Noise that makes the smallest of several scores a draw by their Boltzmann weights.
fn gumbel(stream: &mut Stream) -> f64 {
    -(-(uniform(stream).max(1e-300)).ln()).max(1e-300).ln()
}

/// A model and the pairs that it was led through.
#[derive(Clone)]
pub(super) struct Order {
    pub model: Model,
    pub pairs: Vec<(usize, usize)>,
}

impl Order {
    pub fn new(model: &Model) -> Self {
        Order { model: model.clone(), pairs: Vec::new() }
    }

    pub fn contract(&mut self, a: usize, b: usize) -> Option<usize> {
        let number = self.model.contract(a, b)?;
        self.pairs.push((a, b));
        Some(number)
    }

    /// What is left is contracted greedily, without noise.
    pub fn finish(&mut self) {
        self.greedy(&Greedy { inputs: 0.0, balance: 0.0, temperature: 0.0 }, None);
    }

    fn greedy(&mut self, how: &Greedy, mut stream: Option<&mut Stream>) {
        // The scores of all bonds; those around what was contracted are made again.
        let mut scores: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let all: Vec<usize> = self.model.alive().map(|(number, _)| number).collect();
        for number in all {
            self.score_around(number, how, &mut stream, &mut scores);
        }
        loop {
            let best = scores.iter().min_by(|x, y| x.1.total_cmp(y.1)).map(|(&pair, _)| pair);
            let (a, b) = match best.or_else(|| self.smallest_two()) {
                Some(pair) => pair,
                None => return,
            };
            let around: Vec<usize> = [a, b]
                .iter()
                .filter_map(|&n| self.model.shape(n))
                .flat_map(|shape| shape.bonds.iter().map(|bond| bond.0))
                .collect();
            scores.retain(|&(x, y), _| ![x, y].iter().any(|n| *n == a || *n == b || around.contains(n)));
            let Some(now) = self.contract(a, b) else { return };
            self.score_around(now, how, &mut stream, &mut scores);
            for other in around {
                self.score_around(other, how, &mut stream, &mut scores);
            }
        }
    }

    fn score_around(
        &self,
        number: usize,
        how: &Greedy,
        stream: &mut Option<&mut Stream>,
        scores: &mut BTreeMap<(usize, usize), f64>,
    ) {
        let Some(shape) = self.model.shape(number) else { return };
        for &(other, _) in &shape.bonds {
            let Some(second) = self.model.shape(other) else { continue };
            let key = (number.min(other), number.max(other));
            if scores.contains_key(&key) {
                continue;
            }
            let noise = match stream {
                Some(stream) if how.temperature > 0.0 => how.temperature * gumbel(stream),
                _ => 0.0,
            };
            let score = self.model.joined_size(number, other).log2()
                - how.inputs * shape.size().max(second.size()).log2()
                + how.balance * ((shape.leaves + second.leaves) as f64).log2()
                - noise;
            scores.insert(key, score);
        }
    }

    /// The two smallest tensors, where no two have a bond.
    fn smallest_two(&self) -> Option<(usize, usize)> {
        let mut sizes: Vec<(f64, usize)> = self.model.alive().map(|(n, shape)| (shape.size(), n)).collect();
        sizes.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        match sizes[..] {
            [(_, a), (_, b), ..] => Some((a, b)),
            _ => None,
        }
    }

    /// Every tensor into one that comes before it, in the order of `rank` from the last to the first.
    fn fold(&mut self, rank: &[usize], parent: &[Option<usize>]) {
        let mut now: Vec<usize> = (0..parent.len()).collect();
        for &number in rank.iter().rev() {
            if let Some(into) = parent[number]
                && let Some(made) = self.contract(now[into], now[number])
            {
                now[into] = made;
            }
        }
        self.finish();
    }
}

/// What a greedy order looks at, beside the size of what is made.
#[derive(Debug)]
struct Greedy {
    inputs: f64,
    balance: f64,
    temperature: f64,
}

/// The order of this number: the families in turn, their parameters drawn.
pub(super) fn drawn(model: &Model, number: usize, stream: &mut Stream) -> Order {
    let mut order = Order::new(model);
    match number % 3 {
        0 => {
            let temperature = if number == 0 { 0.0 } else { 10f64.powf(2.5 * uniform(stream) - 2.0) };
            let how = Greedy { inputs: uniform(stream), balance: 2.0 * uniform(stream) - 0.5, temperature };
            order.greedy(&how, Some(stream));
        }
        1 => span(&mut order, model, stream),
        _ => along(&mut order, model, stream),
    }
    order
}

/// The bonds of the network before anything is contracted.
fn neighbours(model: &Model) -> Vec<Vec<usize>> {
    model.alive().map(|(_, shape)| shape.bonds.iter().map(|bond| bond.0).collect()).collect()
}

/// Bonds to the nearest of `from`.
fn distances(near: &[Vec<usize>], from: &[usize]) -> Vec<usize> {
    let mut distance = vec![usize::MAX; near.len()];
    let mut found: Vec<usize> = from.to_vec();
    from.iter().for_each(|&start| distance[start] = 0);
    let mut place = 0;
    while let Some(&number) = found.get(place) {
        place += 1;
        for &other in &near[number] {
            if distance[other] == usize::MAX {
                distance[other] = distance[number] + 1;
                found.push(other);
            }
        }
    }
    distance
}

/// A spanning tree from a centre, grown by how far, how well joined and how lucky a tensor is.
fn span(order: &mut Order, model: &Model, stream: &mut Stream) {
    let near = neighbours(model);
    let count = near.len();
    let start = (uniform(stream) * count as f64) as usize % count;
    let mut centre = vec![start];
    // A centre, or one of two tensors that are far from each other.
    let far = distances(&near, &centre);
    if uniform(stream) < 0.5 {
        let farthest = (0..count).filter(|&n| far[n] != usize::MAX).max_by_key(|&n| far[n]).unwrap_or(start);
        centre = vec![farthest];
    }
    let distance = distances(&near, &centre);
    let (by_distance, by_bonds) = (uniform(stream), 2.0 * uniform(stream) - 1.0);
    let by_luck = if uniform(stream) < 0.5 { 0.01 } else { uniform(stream) };
    let latest = uniform(stream) < 0.5;
    let luck: Vec<f64> = (0..count).map(|_| uniform(stream)).collect();
    let mut rank = centre.clone();
    let mut parent: Vec<Option<usize>> = vec![None; count];
    let mut place = vec![usize::MAX; count];
    place[rank[0]] = 0;
    loop {
        let inside = |n: usize| near[n].iter().filter(|&&other| place[other] != usize::MAX).count();
        let value = |n: usize| by_distance * distance[n] as f64 - by_bonds * inside(n) as f64 + by_luck * luck[n];
        let next = (0..count)
            .filter(|&n| place[n] == usize::MAX && inside(n) > 0)
            .min_by(|&x, &y| value(x).total_cmp(&value(y)));
        let Some(next) = next else { break };
        let joined = near[next].iter().copied().filter(|&other| place[other] != usize::MAX);
        let tie = |n: &usize| (distance[*n], if latest { usize::MAX - place[*n] } else { place[*n] });
        parent[next] = joined.min_by_key(tie);
        place[next] = rank.len();
        rank.push(next);
    }
    order.fold(&rank, &parent);
}

/// Along a coordinate: a random vector that is smooth on the graph, or the distance from its end.
fn along(order: &mut Order, model: &Model, stream: &mut Stream) {
    let near = neighbours(model);
    let count = near.len();
    let mut value: Vec<f64> = (0..count).map(|_| uniform(stream) - 0.5).collect();
    let rounds = (10.0 * 30f64.powf(uniform(stream))) as usize;
    for _ in 0..rounds {
        let mean = value.iter().sum::<f64>() / count as f64;
        let averaged = |n: usize| {
            let others: f64 = near[n].iter().map(|&other| value[other] - mean).sum();
            0.5 * (value[n] - mean) + 0.5 * others / near[n].len().max(1) as f64
        };
        let mut next: Vec<f64> = (0..count).map(averaged).collect();
        let norm = next.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
        next.iter_mut().for_each(|x| *x /= norm);
        value = next;
    }
    let end = |value: &[f64], sign: f64| {
        (0..count).max_by(|&x, &y| (sign * value[x]).total_cmp(&(sign * value[y]))).unwrap_or(0)
    };
    if uniform(stream) < 0.5 {
        // Levels instead of a slope: all that is equally far from one end comes at once.
        let distance = distances(&near, &[end(&value, 1.0)]);
        let tilt = 0.5 * uniform(stream);
        for (n, x) in value.iter_mut().enumerate() {
            *x = distance[n].min(count) as f64 + tilt * *x;
        }
    }
    let folded = uniform(stream) < 0.5;
    if folded {
        // From both ends towards the middle.
        let (low, high) = (value[end(&value, -1.0)], value[end(&value, 1.0)]);
        value.iter_mut().for_each(|x| *x = (*x - 0.5 * (low + high)).abs());
    }
    let mut rank: Vec<usize> = (0..count).collect();
    rank.sort_by(|&x, &y| value[x].total_cmp(&value[y]).then(x.cmp(&y)));
    let lower = |n: usize| {
        let below = near[n].iter().copied().filter(|&other| (value[other], other) < (value[n], n));
        below.min_by(|&x, &y| value[x].total_cmp(&value[y]))
    };
    let parent: Vec<Option<usize>> = (0..count).map(lower).collect();
    order.fold(&rank, &parent);
}

//! Orders for bounded bonds, improved by small changes.
//!
//! An order is written as a list of the bonds of the network: each is summed in turn, with all that its two tensors have in
//! common by then, and skipped if they are one already. Every list is an order, and every order that joins neighbours is a
//! list, so a bond may be moved anywhere. (Simulated annealing; the moves are between bonds near each other, since distant
//! ones hardly feel the difference.)

use rand::RngExt;

use super::cost::Model;
use super::orders::Order;
use crate::random::Stream;

/// A list of bonds, as the pairs of tensors that they join.
#[derive(Debug, Clone)]
pub(super) struct List {
    bonds: Vec<(usize, usize)>,
    tensors: usize,
}

impl List {
    /// The steps of an order, then the other bonds of the network.
    pub fn new(start: &Model, order: &Order) -> Self {
        let tensors = start.alive().count();
        let mut all: Vec<(usize, usize)> = start
            .alive()
            .flat_map(|(a, shape)| shape.bonds.iter().map(move |bond| (a, bond.0)))
            .filter(|(a, b)| a < b)
            .collect();
        let mut members: Vec<Vec<usize>> = (0..tensors).map(|n| vec![n]).collect();
        let mut side = vec![0_u8; tensors];
        let mut bonds = Vec::with_capacity(all.len());
        for &(a, b) in &order.pairs {
            let (first, second) = (std::mem::take(&mut members[a]), std::mem::take(&mut members[b]));
            first.iter().for_each(|&n| side[n] = 1);
            second.iter().for_each(|&n| side[n] = 2);
            let joins =
                |bond: &(usize, usize)| side[bond.0] + side[bond.1] == 3 && side[bond.0] != 0 && side[bond.1] != 0;
            // Of several bonds the first is summed, and the others with it.
            if let Some(place) = all.iter().position(joins) {
                bonds.push(all.remove(place));
            }
            let mut both = first;
            both.extend(second);
            both.iter().for_each(|&n| side[n] = 0);
            members.push(both);
        }
        bonds.extend(all);
        List { bonds, tensors }
    }

    /// The order that the list is, unless `value` of it passes `ceiling` before its end.
    pub fn order(&self, start: &Model, ceiling: f64, value: impl Fn(&Model) -> f64) -> Option<Order> {
        let mut order = Order::new(start);
        // The tensor in which each of the first ones is.
        let mut place: Vec<usize> = (0..self.tensors).collect();
        let mut parent: Vec<usize> = (0..self.tensors).collect();
        fn root(parent: &mut [usize], mut n: usize) -> usize {
            while parent[n] != n {
                parent[n] = parent[parent[n]];
                n = parent[n];
            }
            n
        }
        for (number, &(a, b)) in self.bonds.iter().enumerate() {
            let (a, b) = (root(&mut parent, a), root(&mut parent, b));
            if a == b {
                continue;
            }
            place[a] = order.contract(place[a], place[b])?;
            parent[b] = a;
            if number % 8 == 7 && value(&order.model) > ceiling {
                return None;
            }
        }
        order.finish();
        (value(&order.model) <= ceiling).then_some(order)
    }

    /// A bond beside another that is near it in the list or in the network.
    fn moved(&self, stream: &mut Stream) -> List {
        let count = self.bonds.len();
        let mut uniform = || stream.random::<f64>();
        let from = (uniform() * count as f64) as usize % count;
        let (a, b) = self.bonds[from];
        let to = if uniform() < 0.5 {
            let far = (2.0 * uniform() - 1.0) * 2.0 * (0.25 * count as f64).powf(uniform());
            (from as f64 + far).clamp(0.0, (count - 1) as f64) as usize
        } else {
            // Beside one of the bonds at its tensors.
            let touches = |bond: &(usize, usize)| [bond.0, bond.1].iter().any(|n| *n == a || *n == b);
            let near: Vec<usize> = (0..count).filter(|&n| n != from && touches(&self.bonds[n])).collect();
            match near.get((uniform() * near.len() as f64) as usize) {
                Some(&place) => place,
                None => from,
            }
        };
        let mut bonds = self.bonds.clone();
        let bond = bonds.remove(from);
        bonds.insert(to.min(bonds.len()), bond);
        List { bonds, tensors: self.tensors }
    }
}

/// Small changes, as many as `moves` while `go_on` holds; the best order of all.
pub(super) fn improved(
    start: &Model,
    order: Order,
    moves: usize,
    value: impl Fn(&Model) -> f64 + Copy,
    go_on: impl Fn() -> bool,
    stream: &mut Stream,
) -> Order {
    let mut list = List::new(start, &order);
    if list.bonds.len() < 2 {
        return order;
    }
    let mut best = order;
    let mut best_value = value(&best.model);
    let mut current = best_value;
    for number in 0..moves {
        if number % 16 == 0 && !go_on() {
            break;
        }
        let temperature = 0.3 * (1.0 - number as f64 / moves as f64).powi(2);
        let next = list.moved(stream);
        let ceiling = current - temperature * stream.random::<f64>().max(1e-300).ln();
        let Some(made) = next.order(start, ceiling, value) else { continue };
        list = next;
        current = value(&made.model);
        if current < best_value {
            (best, best_value) = (made, current);
        }
    }
    best
}

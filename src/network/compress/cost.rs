//! What an order costs when bonds are kept small.

use super::layout::{End, Layout};
use crate::network::Equation;

/// A tensor as the dimensions of its bonds.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Neighbours and the dimensions of the bonds to them, by number.
    pub bonds: Vec<(usize, f64)>,
    /// The product of the dimensions of its open legs.
    pub open: f64,
    /// How many of the network's tensors are in it.
    pub leaves: usize,
}

impl Shape {
    pub fn size(&self) -> f64 {
        self.open * self.bonds.iter().map(|bond| bond.1).product::<f64>()
    }

    pub fn dim(&self, other: usize) -> f64 {
        self.bonds.binary_search_by_key(&other, |bond| bond.0).ok().map_or(1.0, |place| self.bonds[place].1)
    }

    fn set(&mut self, other: usize, dim: f64) {
        match self.bonds.binary_search_by_key(&other, |bond| bond.0) {
            Ok(place) => self.bonds[place].1 = dim,
            Err(place) => self.bonds.insert(place, (other, dim)),
        }
    }

    fn remove(&mut self, other: usize) {
        self.bonds.retain(|bond| bond.0 != other);
    }
}

/// A contraction that is modelled: shapes, and what was spent on them.
#[derive(Debug, Clone)]
pub(super) struct Model {
    shapes: Vec<Option<Shape>>,
    limit: f64,
    alive: f64,
    pub flops: f64,
    pub peak: f64,
    pub largest: f64,
    pub compressions: usize,
    /// `log2` of what truncations divide bonds by, summed.
    pub dropped: f64,
}

impl Model {
    pub fn new(equation: &Equation, max_bond: usize) -> Self {
        let layout = Layout::new(equation);
        let mut shapes: Vec<Shape> = vec![Shape { bonds: Vec::new(), open: 1.0, leaves: 1 }; equation.tensors()];
        for (tensor, ends) in layout.ends.iter().enumerate() {
            for (i, ends) in ends {
                let dim = equation.dims()[*i] as f64;
                for end in ends {
                    match *end {
                        End::Open(_) => shapes[tensor].open *= dim,
                        End::Tensor(other) => {
                            let both = shapes[tensor].dim(other) * dim;
                            shapes[tensor].set(other, both);
                        }
                    }
                }
            }
        }
        let alive = shapes.iter().map(Shape::size).sum();
        let largest = shapes.iter().map(Shape::size).fold(1.0, f64::max);
        Model {
            shapes: shapes.into_iter().map(Some).collect(),
            limit: max_bond as f64,
            alive,
            flops: 0.0,
            peak: alive,
            largest,
            compressions: 0,
            dropped: 0.0,
        }
    }

    pub fn shape(&self, number: usize) -> Option<&Shape> {
        self.shapes.get(number).and_then(Option::as_ref)
    }

    pub fn alive(&self) -> impl Iterator<Item = (usize, &Shape)> {
        self.shapes.iter().enumerate().filter_map(|(number, shape)| shape.as_ref().map(|shape| (number, shape)))
    }

    /// Elements of what two tensors make, its bonds being cut to the limit.
    pub fn joined_size(&self, a: usize, b: usize) -> f64 {
        let (Some(first), Some(second)) = (self.shape(a), self.shape(b)) else { return f64::INFINITY };
        let of_first = first.bonds.iter().filter(|bond| bond.0 != b).map(|&(n, dim)| dim * second.dim(n));
        let of_second =
            second.bonds.iter().filter(|&&(n, _)| n != a && first.bonds.iter().all(|bond| bond.0 != n)).map(|b| b.1);
        first.open * second.open * of_first.chain(of_second).map(|dim| dim.min(self.limit)).product::<f64>()
    }

    fn compress_around(&mut self, number: usize, except: usize) {
        let large: Vec<(usize, f64)> = match self.shape(number) {
            Some(shape) => shape.bonds.iter().copied().filter(|&(n, dim)| n != except && dim > self.limit).collect(),
            None => return,
        };
        for (other, dim) in large {
            for (one, two) in [(number, other), (other, number)] {
                let limit = self.limit;
                if let Some(shape) = &mut self.shapes[one] {
                    let size = shape.size();
                    // A triangular factor on the bond, and the projector.
                    self.flops += size * (2.0 * dim + limit);
                    self.alive += size * (limit / dim - 1.0);
                    shape.set(two, limit);
                }
            }
            self.flops += dim * dim * (20.0 * dim + 2.0 * self.limit);
            self.compressions += 1;
            self.dropped += (dim / self.limit).log2();
        }
    }

    /// Two tensors become one, their bonds to others having been truncated; its number, if both are there.
    pub fn contract(&mut self, a: usize, b: usize) -> Option<usize> {
        if a == b || self.shape(a).is_none() || self.shape(b).is_none() {
            return None;
        }
        self.compress_around(a, b);
        self.compress_around(b, a);
        let (mut first, mut second) = (self.shapes[a].take()?, self.shapes[b].take()?);
        let (size_a, size_b, shared) = (first.size(), second.size(), first.dim(b));
        self.flops += size_a * size_b / shared;
        first.remove(b);
        second.remove(a);
        let number = self.shapes.len();
        let mut joined =
            Shape { bonds: Vec::new(), open: first.open * second.open, leaves: first.leaves + second.leaves };
        for &(other, _) in first.bonds.iter().chain(&second.bonds) {
            let dim = first.dim(other) * second.dim(other);
            joined.set(other, dim);
            if let Some(shape) = &mut self.shapes[other] {
                shape.remove(a);
                shape.remove(b);
                shape.set(number, dim);
            }
        }
        let size = joined.size();
        self.largest = self.largest.max(size);
        self.peak = self.peak.max(self.alive + size);
        self.alive += size - size_a - size_b;
        self.shapes.push(Some(joined));
        Some(number)
    }
}

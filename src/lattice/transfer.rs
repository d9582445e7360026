//! Ising spins contracted layer by layer, without truncation.

use rayon::prelude::*;

use super::Boundary;
use super::spread::Pass;
use crate::error::{Error, Result};
use crate::scalar::log_sum_exp;

/// Ising spins in equal layers, each spin joined to the same one in the next layer: rings above each other are a
/// square lattice, tori above each other a cubic one.
///
/// `ln Z` is that of `exp(beta (sum_<ij> s_i s_j + h sum_i s_i))`, by products of the transfer matrix, one bond after the
/// other, with vectors of `2^n` elements, `n` the spins of a layer. Where the last layer is joined to the first,
/// `Z = sum_s <s| S^m |s> = sum_s |S^(m/2) |s>|^2` with the symmetric transfer matrix `S`, over one configuration `s` of
/// each orbit of the layer's symmetries.
///
/// ```
/// use ansatz::lattice::{Boundary, SpinLayers};
/// let z = SpinLayers::square(4, 4, Boundary::Periodic)?.ln_z(0.5, 0.0)?;
/// assert!((z - 17.105367118731582).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpinLayers {
    spins: usize,
    layers: usize,
    bonds: Vec<(usize, usize)>,
    between: Boundary,
    /// Permutations of the spins of a layer that map bonds onto bonds, which generate its symmetries.
    symmetries: Vec<Vec<usize>>,
}

/// Spins of a layer at the most: beyond, a vector has gigabytes.
const MAX_SPINS: usize = 30;

impl SpinLayers {
    /// A square lattice, one layer a row.
    ///
    /// # Errors
    /// [`Error::Setting`] for a side of 0, or more than 30 columns.
    pub fn square(rows: usize, columns: usize, boundary: Boundary) -> Result<Self> {
        Self::check(rows, columns)?;
        let periodic = boundary == Boundary::Periodic;
        let bonds =
            (0..columns).map(|x| (x, (x + 1) % columns)).filter(|&(x, _)| periodic || x + 1 < columns).collect();
        let mut symmetries = vec![(0..columns).rev().collect()];
        if periodic {
            symmetries.push((0..columns).map(|x| (x + 1) % columns).collect());
        }
        Ok(SpinLayers { spins: columns, layers: rows, bonds, between: boundary, symmetries })
    }

    /// A cubic lattice of `side^3` spins, one layer a plane.
    ///
    /// # Errors
    /// [`Error::Setting`] for a side of 0, or more than 5.
    pub fn cubic(side: usize, boundary: Boundary) -> Result<Self> {
        Self::check(side, side.saturating_mul(side))?;
        let periodic = boundary == Boundary::Periodic;
        let at = |y: usize, x: usize| (y % side) * side + x % side;
        let mut bonds = Vec::new();
        for y in 0..side {
            for x in 0..side {
                if periodic || x + 1 < side {
                    bonds.push((at(y, x), at(y, x + 1)));
                }
                if periodic || y + 1 < side {
                    bonds.push((at(y, x), at(y + 1, x)));
                }
            }
        }
        let map =
            |f: &dyn Fn(usize, usize) -> usize| (0..side * side).map(|i| f(i / side, i % side)).collect::<Vec<usize>>();
        let mut symmetries = vec![map(&|y, x| at(x, y)), map(&|y, x| at(y, side - 1 - x))];
        if periodic {
            symmetries.push(map(&|y, x| at(y, x + 1)));
        }
        Ok(SpinLayers { spins: side * side, layers: side, bonds, between: boundary, symmetries })
    }

    fn check(layers: usize, spins: usize) -> Result<()> {
        if layers == 0 || spins == 0 {
            return Err(Error::setting("size", 0, "give at least 1"));
        }
        if spins > MAX_SPINS {
            let expected =
                format!("a layer contracted exactly may have {MAX_SPINS} spins; take trg, hotrg or boundary");
            return Err(Error::setting("spins of a layer", spins, expected));
        }
        Ok(())
    }

    /// Spins in all.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.spins * self.layers
    }

    /// Bytes that [`ln_z`](Self::ln_z) takes at the most, with so many threads.
    #[must_use]
    pub fn bytes(&self, threads: usize) -> u64 {
        let states = 1_u64 << self.spins;
        let trace = self.between == Boundary::Periodic;
        states.saturating_mul(if trace { 8 + 1 + 8 + 8 + 16 * threads.max(1) as u64 } else { 8 + 8 + 8 })
    }

    /// `log2` of the multiplications that [`ln_z`](Self::ln_z) takes, roughly.
    #[must_use]
    pub fn log2_flops(&self, field: bool) -> f64 {
        let sweep = self.spins as f64 + (self.spins as f64).log2().max(0.0) + 1.0;
        if self.between == Boundary::Open {
            return sweep + (self.layers as f64).log2();
        }
        let side = (self.spins as f64 / 2.0).max(1.0);
        let symmetry = if self.symmetries.len() > 2 { 8.0 * self.spins as f64 } else { 4.0 * side };
        let orbits = self.spins as f64 - symmetry.log2() - if field { 0.0 } else { 1.0 };
        sweep + orbits.max(0.0) + (self.layers as f64 / 2.0).log2()
    }

    /// `ln Z`, nats. Parallel over boundary configurations; the same bits for any number of threads.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `beta` and `field` are finite and below 1e12 in size.
    pub fn ln_z(&self, beta: f64, field: f64) -> Result<f64> {
        Ok(self.ln_z_with_energy(beta, field)?.0)
    }

    /// `ln Z`, nats, and the mean energy `-<sum s s' + h sum s>` of all spins, which costs nothing beside: it is
    /// `Tr(D S^m) / Tr S^m` with the energy `D` of one layer, and bonds between layers have the same mean as those within.
    /// There is none for open boundaries and unequal sides.
    ///
    /// # Errors
    /// As [`ln_z`](Self::ln_z).
    pub fn ln_z_with_energy(&self, beta: f64, field: f64) -> Result<(f64, Option<f64>)> {
        for (name, value) in [("beta", beta), ("field", field)] {
            if !(value.abs() <= 1e12) {
                return Err(Error::setting(name, value, "give a finite number, of at most 1e12"));
            }
        }
        let ln_weight = self.ln_weights(beta, field);
        let pass = Pass::new(&ln_weight, beta);
        // What the bonds between layers have in common.
        let common = beta.abs() * self.spins as f64;
        let all = self.layers as f64 * (common + pass.peak);
        if self.between == Boundary::Open {
            let mut v = vec![1.0; pass.weight.len()];
            let mut ln = all - common;
            for _ in 1..self.layers {
                ln += pass.weigh(&mut v);
                pass.spread(&mut v);
            }
            return Ok((ln + v.iter().zip(&pass.weight).map(|(x, w)| x * w).sum::<f64>().ln(), None));
        }
        let orbits = self.orbits(field == 0.0);
        let axes = if self.spins == self.layers { 2.0 } else { 3.0 };
        let energies = self.weighted(axes / (axes - 1.0), field);
        let half = self.layers / 2;
        // With W the bonds between layers and D the weights of one: <s| S^m |s> = D_s <u| D |u>, u = W (D W)^(m/2 - 1) |s>.
        let part = |(u, next): &mut (Vec<f64>, Vec<f64>), &(start, size): &(usize, u32)| -> (f64, f64) {
            let mut ln = f64::from(size).ln() + ln_weight[start] - pass.peak;
            if half == 0 {
                // The bonds from each spin to itself are left.
                let own = if beta < 0.0 { pass.t.powi(self.spins as i32) } else { 1.0 };
                return (ln + own.ln(), energies[start]);
            }
            pass.start(u, start);
            for _ in 1..half {
                ln += 2.0 * pass.weigh(u);
                pass.spread(u);
            }
            let (product, energy) = if self.layers % 2 == 1 {
                next.clone_from(u);
                ln += pass.weigh(next);
                pass.spread(next);
                mean(u, next, &pass.weight, &energies)
            } else {
                mean(u, u, &pass.weight, &energies)
            };
            (ln + product.ln(), energy)
        };
        let parts: Vec<(f64, f64)> = orbits.par_iter().map_init(|| (Vec::new(), Vec::new()), part).collect();
        let sum = log_sum_exp(&parts.iter().map(|part| part.0).collect::<Vec<f64>>());
        let energy: f64 = parts.iter().map(|(ln, energy)| (ln - sum).exp() * energy).sum();
        let equal = self.spins == self.layers || self.spins == self.layers * self.layers;
        Ok((all + sum, equal.then_some(-energy * self.layers as f64)))
    }

    /// `beta (sum s s' + h sum s)` of one layer.
    fn ln_weights(&self, beta: f64, field: f64) -> Vec<f64> {
        let mut sums = self.weighted(1.0, field);
        sums.iter_mut().for_each(|x| *x *= beta);
        sums
    }

    /// `by sum s s' + h sum s` of one layer, for each of its configurations.
    fn weighted(&self, by: f64, field: f64) -> Vec<f64> {
        let spin = |state: usize, i: usize| if state >> i & 1 == 0 { 1_i32 } else { -1 };
        let of = |state: usize| {
            let bonds: i32 = self.bonds.iter().map(|&(a, b)| spin(state, a) * spin(state, b)).sum();
            let spins = self.spins as i32 - 2 * state.count_ones() as i32;
            by * f64::from(bonds) + field * f64::from(spins)
        };
        (0..1_usize << self.spins).into_par_iter().map(of).collect()
    }

    /// One configuration of each orbit of the symmetries, and the size of the orbit.
    fn orbits(&self, flip: bool) -> Vec<(usize, u32)> {
        let count = 1_usize << self.spins;
        let mut seen = vec![false; count];
        let mut found = Vec::new();
        let mut waiting = Vec::new();
        for start in 0..count {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            waiting.push(start);
            let mut size = 0;
            while let Some(state) = waiting.pop() {
                size += 1;
                let images = self
                    .symmetries
                    .iter()
                    .map(|map| map.iter().enumerate().fold(0, |image, (i, &to)| image | (state >> i & 1) << to));
                for image in images.chain(flip.then_some(count - 1 - state)) {
                    if !seen[image] {
                        seen[image] = true;
                        waiting.push(image);
                    }
                }
            }
            found.push((start, size));
        }
        found
    }
}

/// `sum a b w`, and the mean of `values` with these weights.
fn mean(a: &[f64], b: &[f64], weights: &[f64], values: &[f64]) -> (f64, f64) {
    let (mut product, mut weighted) = (0.0, 0.0);
    // In stretches, whose sums are added up.
    for (((a, b), weights), values) in a.chunks(256).zip(b.chunks(256)).zip(weights.chunks(256)).zip(values.chunks(256))
    {
        let (mut p, mut w) = (0.0, 0.0);
        for (((x, y), weight), value) in a.iter().zip(b).zip(weights).zip(values) {
            let term = x * y * weight;
            p += term;
            w += term * value;
        }
        product += p;
        weighted += w;
    }
    (product, if product > 0.0 { weighted / product } else { 0.0 })
}

//! One bond of the two-site training of a matrix-product Born machine.
//!
//! Han, Wang, Fan, Wang, Zhang, Phys. Rev. X 8, 031012 (2018). With the centre at the bond, the amplitude of a sample is
//!
//! ```text
//!   psi_i = L_i --- M[v_k, v_k+1] --- R_i ,        |M| = 1,    NLL = - sum_i w_i ln |psi_i|^2
//! ```
//!
//! and `G = 2 sum_i w_i conj(L_i R_i / psi_i) - 2 M` (at the symbols of sample `i`) descends.

use std::ops::Range;

use ndarray::{Array2, Array4, ArrayView2, ArrayView4, ArrayViewMut1, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::classes::{Level, Position, Samples};
use super::environments::{Environment, PARALLEL_FROM, listed};
use crate::linalg::{Op, gemm};
use crate::scalar::{Real, Scalar};

/// The environments of all samples on both sides of a bond.
pub(super) struct Bond<'a, T> {
    pub samples: &'a Samples,
    /// The left site of the bond.
    pub site: usize,
    /// Prefix classes at `site`.
    pub left: &'a Environment<T>,
    /// Suffix classes from `site + 2` on.
    pub right: &'a Environment<T>,
}

/// Amplitudes of all samples as seen from one bond.
pub(super) struct Amplitudes<T> {
    /// `w_i L_i R_i / psi_i` is `factor_i` times the scaled environments.
    pub factor: Vec<T>,
    /// Mean negative log-likelihood, nats.
    pub nll: f64,
    /// A distinct sample whose amplitude is zero or not finite.
    pub bad: Option<usize>,
}

/// `a . b` without conjugation.
fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    // Eight independent sums, so that the additions need not wait for one another.
    let mut sums = [T::zero(); 8];
    let (mut ca, mut cb) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in (&mut ca).zip(&mut cb) {
        for j in 0..8 {
            sums[j] += x[j] * y[j];
        }
    }
    let rest: T = ca.remainder().iter().zip(cb.remainder()).map(|(&x, &y)| x * y).sum();
    (sums[0] + sums[4]) + (sums[1] + sums[5]) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

fn row<T>(a: &Array2<T>, i: usize) -> &[T] {
    let width = a.ncols();
    a.as_slice().map_or(&[], |all| &all[i * width..(i + 1) * width])
}

impl<T: Scalar> Bond<'_, T> {
    /// Amplitudes from the environments that already contain the two sites: `psi_i = outer_left_i . outer_right_i`.
    pub fn amplitudes(
        &self,
        outer_left: &Environment<T>,
        outer_right: &Environment<T>,
        position: &mut Position,
    ) -> Amplitudes<T> {
        let k = self.site;
        position.seek(self.samples, k + 1, k + 1);
        let (prefix, suffix) = (&position.prefix, &position.suffix);
        let (parents_l, parents_r) = (&self.samples.prefixes(k + 1).parent, &self.samples.suffixes(k + 1).parent);
        self.weigh(|i| {
            let (e, f) = (prefix[i] as usize, suffix[i] as usize);
            let ln = outer_left.ln_scale[e] + outer_right.ln_scale[f];
            let inner = self.left.ln_scale[parents_l[e] as usize] + self.right.ln_scale[parents_r[f] as usize];
            (dot(row(&outer_left.rows, e), row(&outer_right.rows, f)), ln, inner)
        })
    }

    /// Amplitudes from a merged tensor `[left, s, t, right]`.
    pub fn amplitudes_of(&self, merged: &ArrayView4<T>, position: &mut Position) -> Amplitudes<T> {
        let k = self.site;
        position.seek(self.samples, k + 2, k + 2);
        let groups = self.samples.prefixes(k + 2);
        let inner = self.samples.prefixes(k + 1);
        let mut products = Array2::zeros((groups.len(), merged.dim().3));
        let parents: Vec<u32> = groups.parent.iter().map(|&e| inner.parent[e as usize]).collect();
        let (_, ds, dt, _) = merged.dim();
        let mut gathered = Vec::new();
        for t in 0..dt {
            for sy in 0..ds {
                let range = group(groups, inner, sy, t);
                if range.is_empty() {
                    continue;
                }
                let all = self.left.rows.view();
                let rows = listed(&all, &parents[range.clone()], &mut gathered);
                let block = merged.slice(s![.., sy, t, ..]);
                gemm(
                    T::one(),
                    &rows.view(),
                    Op::None,
                    &block,
                    Op::None,
                    T::zero(),
                    &mut products.slice_mut(s![range, ..]),
                );
            }
        }
        let (prefix, suffix) = (&position.prefix, &position.suffix);
        self.weigh(|i| {
            let (g, q) = (prefix[i] as usize, suffix[i] as usize);
            let ln = self.left.ln_scale[parents[g] as usize] + self.right.ln_scale[q];
            (dot(row(&products, g), row(&self.right.rows, q)), ln, ln)
        })
    }

    /// Turns (scaled amplitude, its log-scale, the log-scale of the environments) into factors.
    fn weigh(&self, amplitude: impl Fn(usize) -> (T, f64, f64)) -> Amplitudes<T> {
        let mut result = Amplitudes { factor: Vec::with_capacity(self.samples.len()), nll: 0.0, bad: None };
        for (i, &w) in self.samples.weights.iter().enumerate() {
            let (psi, ln, inner) = amplitude(i);
            let size = Real::to_f64(psi.abs_sq()).sqrt();
            if !(size > 0.0 && size.is_finite()) {
                result.bad.get_or_insert(i);
            }
            result.nll -= 2.0 * w * (size.ln() + ln);
            result.factor.push(T::from_f64(w * (inner - ln).exp()) / psi);
        }
        result
    }

    /// `2 sum_i w_i conj(L_i R_i / psi_i)`, written into `gradient` `[left, s, t, right]`, which has to be zero.
    pub fn gradient(&self, factor: &[T], position: &mut Position, gradient: &mut Array4<T>) {
        let k = self.site;
        let (by_prefix, by_suffix) = (self.samples.prefixes(k + 2), self.samples.suffixes(k));
        // Samples are summed up on the side that has fewer classes; the product then runs over those.
        let left_first = by_prefix.len() <= by_suffix.len();
        let (ids, summed, groups, inner, kept) = if left_first {
            position.seek(self.samples, k + 2, k + 2);
            (&position.prefix, self.right, by_prefix, self.samples.prefixes(k + 1), self.left)
        } else {
            position.seek(self.samples, k, k);
            (&position.suffix, self.left, by_suffix, self.samples.suffixes(k + 1), self.right)
        };
        let others = if left_first { &position.suffix } else { &position.prefix };
        let (dl, ds, dt, dr) = gradient.dim();
        let parallel = groups.len() * dl * dr >= PARALLEL_FROM;
        let sums = class_sums(factor, ids, others, groups.len(), &summed.rows, parallel);
        let parents: Vec<u32> = groups.parent.iter().map(|&e| inner.parent[e as usize]).collect();
        let kept = &kept.rows;
        // Cut along the side that is gathered, so that no row is copied twice.
        let middle = if parallel && kept.ncols() >= 32 { kept.ncols() / 2 } else { kept.ncols() };
        let mut tasks = Vec::with_capacity(2 * ds * dt);
        let mut planes = gradient.view_mut();
        for sy in 0..ds {
            let (plane, rest) = planes.split_at(Axis(1), 1);
            planes = rest;
            let mut blocks = plane.index_axis_move(Axis(1), 0);
            for t in 0..dt {
                let (block, rest) = blocks.split_at(Axis(1), 1);
                blocks = rest;
                let range = if left_first { group(groups, inner, sy, t) } else { group(groups, inner, t, sy) };
                if range.is_empty() {
                    continue;
                }
                let (a, b) = block.index_axis_move(Axis(1), 0).split_at(Axis(usize::from(!left_first)), middle);
                tasks.push((range.clone(), 0..middle, a));
                if middle < kept.ncols() {
                    tasks.push((range, middle..kept.ncols(), b));
                }
            }
        }
        let (sums, parents) = (&sums, &parents);
        let run = |gathered: &mut Vec<T>, (range, columns, mut block): Block<T>| {
            let part = kept.slice(s![.., columns]);
            let rows = listed(&part, &parents[range.clone()], gathered);
            let sums = sums.slice(s![range, ..]);
            let (l, r): (ArrayView2<T>, ArrayView2<T>) = if left_first { (rows, sums) } else { (sums, rows) };
            gemm(T::from_f64(2.0), &l, Op::Transpose, &r, Op::None, T::zero(), &mut block);
            if T::IS_COMPLEX {
                block.mapv_inplace(T::conj);
            }
        };
        if parallel {
            tasks.into_par_iter().for_each_init(Vec::new, run);
        } else {
            let mut gathered = Vec::new();
            tasks.into_iter().for_each(|task| run(&mut gathered, task));
        }
    }
}

/// Classes, columns of the gathered side, and the part of the gradient they make.
type Block<'a, T> = (Range<usize>, Range<usize>, ArrayViewMut2<'a, T>);

/// `sum of factor_i rows[others_i]` over the samples of each class.
fn class_sums<T: Scalar>(
    factor: &[T],
    ids: &[u32],
    others: &[u32],
    classes: usize,
    rows: &Array2<T>,
    parallel: bool,
) -> Array2<T> {
    let (starts, members) = members(ids, classes);
    let mut sums = Array2::zeros((classes, rows.ncols()));
    let fill = |(class, mut sum): (usize, ArrayViewMut1<T>)| {
        let Some(to) = sum.as_slice_mut() else { return };
        for &i in &members[starts[class]..starts[class + 1]] {
            let (c, from) = (factor[i as usize], row(rows, others[i as usize] as usize));
            to.iter_mut().zip(from).for_each(|(x, &y)| *x += c * y);
        }
    };
    let indexed = sums.axis_iter_mut(Axis(0)).enumerate();
    if parallel {
        indexed.collect::<Vec<_>>().into_par_iter().with_min_len(128).for_each(fill);
    } else {
        indexed.for_each(fill);
    }
    sums
}

/// The samples of each class: those of class `c` are `order[start[c] .. start[c + 1]]`.
fn members(ids: &[u32], classes: usize) -> (Vec<usize>, Vec<u32>) {
    let mut start = vec![0usize; classes + 1];
    ids.iter().for_each(|&c| start[c as usize + 1] += 1);
    for c in 0..classes {
        start[c + 1] += start[c];
    }
    let mut next = start.clone();
    let mut order = vec![0u32; ids.len()];
    for (i, &c) in ids.iter().enumerate() {
        order[next[c as usize]] = i as u32;
        next[c as usize] += 1;
    }
    (start, order)
}

/// The classes of two symbols' extension whose outer symbol is `outer` and whose inner one is `inner_symbol`.
fn group(level: &Level, inner: &Level, inner_symbol: usize, outer: usize) -> Range<usize> {
    let range = level.start[outer]..level.start[outer + 1];
    let parents = &level.parent[range.clone()];
    let bound = |at: usize| range.start + parents.partition_point(|&p| (p as usize) < at);
    bound(inner.start[inner_symbol])..bound(inner.start[inner_symbol + 1])
}

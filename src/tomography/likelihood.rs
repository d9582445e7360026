//! Negative log-likelihood of a purified chain and its gradient with respect to all sites.

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};
use num_complex::Complex64;

use super::compiled::Compiled;
use super::rank_one::Closed;
use crate::error::{Error, Result};
use crate::linalg::{Op, gemm, matmul};
use crate::parallel;

type C = Complex64;
const ONE: C = C::new(1.0, 0.0);
const ZERO: C = C::new(0.0, 0.0);

/// Tensors `[left, site * purification, right]`, site slow, as they are optimised: without gauge or norm.
#[derive(Debug, Clone)]
pub(super) struct Sites {
    pub tensors: Vec<Array3<C>>,
    pub kraus: Vec<usize>,
}

impl Sites {
    pub fn flat(&self) -> Vec<f64> {
        self.tensors.iter().flat_map(|a| a.iter().flat_map(|x| [x.re, x.im])).collect()
    }

    pub fn set(&mut self, flat: &[f64]) {
        let mut numbers = flat.chunks_exact(2);
        for a in &mut self.tensors {
            a.iter_mut().zip(numbers.by_ref()).for_each(|(x, p)| *x = C::new(p[0], p[1]));
        }
    }

    fn pure(&self) -> bool {
        self.kraus.iter().all(|&k| k == 1)
    }
}

/// `[rows, cols]` of row-major entries.
pub(super) fn view(rows: usize, cols: usize, entries: &[C]) -> ArrayView2<'_, C> {
    ArrayView2::from_shape((rows, cols), entries)
        .unwrap_or_else(|_| unreachable!("{rows} x {cols} of {}", entries.len()))
}

fn view_mut(rows: usize, cols: usize, entries: &mut [C]) -> ArrayViewMut2<'_, C> {
    ArrayViewMut2::from_shape((rows, cols), entries).unwrap_or_else(|_| unreachable!("{rows} x {cols}"))
}

pub(super) fn product(a: ArrayView2<C>, op_a: Op, b: ArrayView2<C>, op_b: Op) -> Vec<C> {
    let c = matmul(&a, op_a, &b, op_b);
    if c.is_standard_layout() { c.into_raw_vec_and_offset().0 } else { c.iter().copied().collect() }
}

/// Divides each stretch of `size` numbers by its largest; logarithms of these are added to `ln`. `false` where one is zero.
pub(super) fn tame(entries: &mut [C], size: usize, ln: &mut [f64]) {
    for (row, ln) in entries.chunks_exact_mut(size).zip(ln) {
        let most = row.iter().fold(0.0f64, |m, x| m.max(x.re.abs()).max(x.im.abs()));
        // A zero stays, and makes the likelihood zero.
        if most > 0.0 && most.is_finite() {
            row.iter_mut().for_each(|x| *x /= most);
            *ln += most.ln();
        }
    }
}

/// Value and gradient.
pub(super) struct Loss {
    /// `-sum w ln p + ln tr rho`, nats; infinite if a row that was seen is impossible.
    pub value: f64,
    /// `dL/d conj(A)` of every site, `[left, site * purification, right]`.
    pub gradient: Vec<Array3<C>>,
}

impl Loss {
    /// Derivatives with respect to real and imaginary parts.
    pub fn flat(&self) -> Vec<f64> {
        self.gradient.iter().flat_map(|a| a.iter().flat_map(|x| [2.0 * x.re, 2.0 * x.im])).collect()
    }
}

/// The loss of some rows, whose weights are divided by their sum.
pub(super) fn loss(sites: &Sites, data: &Compiled, rows: &[u32]) -> Result<Loss> {
    let sum: f64 = rows.iter().map(|&r| data.weights[r as usize]).sum();
    let (ln_norm, mut gradient) = norm(sites);
    if !ln_norm.is_finite() {
        return Ok(Loss { value: f64::INFINITY, gradient });
    }
    // So many rows that their environments stay in the cache, and blocks enough for the threads.
    let bond = sites.tensors.iter().map(|a| a.dim().0).max().unwrap_or(1);
    let per_row = if vectors(sites, data) { 2 * bond } else { 8 * bond * bond };
    let block = (200_000 / per_row.max(1)).clamp(16, 512);
    let blocks: Vec<&[u32]> = rows.chunks(block).collect();
    let closed = if vectors(sites, data) { None } else { Closed::new(sites, data) };
    let mut value = ln_norm;
    // Some at a time: every block has a gradient of its own.
    for group in blocks.chunks(64) {
        let parts = parallel::map(group.to_vec(), |rows| match &closed {
            Some(closed) => closed.block(sites, rows, sum),
            None if vectors(sites, data) => pure_block(sites, data, rows, sum),
            None => mixed_block(sites, data, rows, sum),
        });
        for (v, g) in parts {
            value += v;
            gradient.iter_mut().zip(g).for_each(|(a, b)| *a += &b);
        }
    }
    if value.is_nan() {
        return Err(Error::NotFinite { what: "the likelihood".into() });
    }
    Ok(Loss { value, gradient })
}

fn vectors(sites: &Sites, data: &Compiled) -> bool {
    sites.pure() && data.vectors.is_some()
}

/// `ln p` of every row, the state being normalised by itself.
pub(super) fn log_probabilities(sites: &Sites, data: &Compiled) -> Vec<f64> {
    let (ln_norm, _) = norm(sites);
    let rows: Vec<u32> = (0..data.rows as u32).collect();
    let blocks: Vec<&[u32]> = rows.chunks(256).collect();
    let parts = parallel::map(blocks, |rows| {
        if vectors(sites, data) { pure_forward(sites, data, rows).1 } else { mixed_forward(sites, data, rows).1 }
    });
    parts.into_iter().flatten().map(|ln| ln - ln_norm).collect()
}

/// `ln tr rho` and its derivative.
pub(super) fn norm(sites: &Sites) -> (f64, Vec<Array3<C>>) {
    let mut lefts = vec![vec![ONE]];
    let mut ln = 0.0;
    for a in &sites.tensors {
        let (l, s, r) = a.dim();
        let flat = a.as_slice().unwrap_or_default();
        let left = lefts.last().map(Vec::as_slice).unwrap_or_default();
        // [bra l, (s r)], then [bra r, ket r].
        let half = product(view(l, l, left), Op::None, view(l, s * r, flat), Op::None);
        let mut next = product(view(l * s, r, flat), Op::Adjoint, view(l * s, r, &half), Op::None);
        let mut one = [0.0];
        let size = next.len();
        tame(&mut next, size, &mut one);
        ln += one[0];
        lefts.push(next);
    }
    let z = lefts.last().map_or(0.0, |v| v[0].re);
    let mut gradient: Vec<Array3<C>> = Vec::with_capacity(sites.tensors.len());
    let mut right = vec![ONE];
    for (a, left) in sites.tensors.iter().zip(&lefts).rev() {
        let (l, s, r) = a.dim();
        let flat = a.as_slice().unwrap_or_default();
        // [(l s), bra r] = A R, R [ket r, bra r].
        let half = product(view(l * s, r, flat), Op::None, view(r, r, &right), Op::None);
        let mut g = product(view(l, l, left), Op::None, view(l, s * r, &half), Op::None);
        let mut next = product(view(l, s * r, &half), Op::None, view(l, s * r, flat), Op::Adjoint);
        let size = next.len();
        tame(&mut next, size, &mut [0.0]);
        // The scale of the environments drops out: the derivative along the tensor itself is 1.
        let along: C = flat.iter().zip(&g).map(|(x, g)| x.conj() * g).sum();
        g.iter_mut().for_each(|x| *x /= along.re);
        gradient.push(Array3::from_shape_vec((l, s, r), g).unwrap_or_else(|_| unreachable!("{l} {s} {r}")));
        right = next;
    }
    gradient.reverse();
    (if z > 0.0 { ln + z.ln() } else { f64::NAN }, gradient)
}

/// Left environments `[rows, bond]` of every site, `T [rows, (s r)]` is not kept; `ln p` of every row.
fn pure_forward(sites: &Sites, data: &Compiled, rows: &[u32]) -> (Vec<Vec<C>>, Vec<f64>) {
    let n = rows.len();
    let mut lefts = Vec::with_capacity(sites.tensors.len());
    let mut left = vec![ONE; n];
    let mut ln = vec![0.0; n];
    for (site, a) in sites.tensors.iter().enumerate() {
        let (l, d, r) = a.dim();
        let t = product(view(n, l, &left), Op::None, view(l, d * r, a.as_slice().unwrap_or_default()), Op::None);
        let mut next = vec![ZERO; n * r];
        for ((row, t), next) in rows.iter().zip(t.chunks_exact(d * r)).zip(next.chunks_exact_mut(r)) {
            for (v, t) in vector(data, *row, site).iter().zip(t.chunks_exact(r)) {
                let v = v.conj();
                next.iter_mut().zip(t).for_each(|(o, x)| *o += v * x);
            }
        }
        tame(&mut next, r, &mut ln);
        lefts.push(std::mem::replace(&mut left, next));
    }
    let ln = ln.iter().zip(&left).map(|(ln, x)| 2.0 * ln + x.norm_sqr().ln()).collect();
    (lefts, ln)
}

/// `-sum w ln p / sum` of some rows, with `ln` their `ln p`.
pub(super) fn mean_loss(data: &Compiled, rows: &[u32], ln: &[f64], sum: f64) -> f64 {
    -rows.iter().zip(ln).map(|(&row, ln)| data.weights[row as usize] / sum * ln).sum::<f64>()
}

fn vector(data: &Compiled, row: u32, site: usize) -> &[C] {
    let number = data.index[row as usize * data.sites() + site] as usize;
    data.vectors.as_ref().map_or(&[], |v| v[number].as_slice())
}

fn pure_block(sites: &Sites, data: &Compiled, rows: &[u32], sum: f64) -> (f64, Vec<Array3<C>>) {
    let n = rows.len();
    let (lefts, ln) = pure_forward(sites, data, rows);
    let (share, value) = (|row: u32| data.weights[row as usize] / sum, mean_loss(data, rows, &ln, sum));
    let mut gradient = Vec::with_capacity(sites.tensors.len());
    let mut right = vec![ONE; n];
    for (site, a) in sites.tensors.iter().enumerate().rev() {
        let (l, d, r) = a.dim();
        let flat = a.as_slice().unwrap_or_default();
        let mut q = Vec::with_capacity(n * d * r);
        for (row, right) in rows.iter().zip(right.chunks_exact(r)) {
            for v in vector(data, *row, site) {
                let v = v.conj();
                q.extend(right.iter().map(|x| v * x));
            }
        }
        let mut next = product(view(n, d * r, &q), Op::None, view(l, d * r, flat), Op::Transpose);
        // psi up to scales that drop out, as the derivative of -w ln |psi|^2 is -w conj(dpsi)/conj(psi).
        let left = &lefts[site];
        for ((i, row), q) in rows.iter().enumerate().zip(q.chunks_exact_mut(d * r)) {
            let psi: C = left[i * l..][..l].iter().zip(&next[i * l..][..l]).map(|(x, y)| x * y).sum();
            let factor = -share(*row) / psi;
            q.iter_mut().for_each(|x| *x *= factor);
        }
        let g = product(view(n, l, left), Op::Transpose, view(n, d * r, &q), Op::None);
        let g = g.into_iter().map(|x| x.conj()).collect();
        gradient.push(Array3::from_shape_vec((l, d, r), g).unwrap_or_else(|_| unreachable!("{l} {d} {r}")));
        tame(&mut next, l, &mut vec![0.0; n]);
        right = next;
    }
    gradient.reverse();
    (value, gradient)
}

fn element(data: &Compiled, row: u32, site: usize) -> &Array2<C> {
    &data.elements[data.index[row as usize * data.sites() + site] as usize]
}

/// `U [(rows ket), (bra site purification)]` of every site, and `ln p`. Left environments are `[rows, bra, ket]`, Hermitian.
fn mixed_forward(sites: &Sites, data: &Compiled, rows: &[u32]) -> (Vec<Vec<C>>, Vec<f64>) {
    let n = rows.len();
    let mut halves = Vec::with_capacity(sites.tensors.len());
    let mut left = vec![ONE; n];
    let mut ln = vec![0.0; n];
    for (site, a) in sites.tensors.iter().enumerate() {
        let (l, sk, r) = a.dim();
        let k = sites.kraus[site];
        let d = sk / k;
        let flat = a.as_slice().unwrap_or_default();
        let t = product(view(n * l, l, &left), Op::None, view(l, sk * r, flat), Op::None);
        let mut u = vec![ZERO; n * r * l * sk];
        for ((row, t), u) in rows.iter().zip(t.chunks_exact(l * sk * r)).zip(u.chunks_exact_mut(r * l * sk)) {
            let e = element(data, *row, site);
            for b in 0..l {
                for s2 in 0..d {
                    for s in 0..d {
                        let weight = e[[s2, s]];
                        if weight == ZERO {
                            continue;
                        }
                        for q in 0..k {
                            let source = &t[(b * sk + s * k + q) * r..][..r];
                            let column = b * sk + s2 * k + q;
                            for (x, value) in source.iter().enumerate() {
                                u[x * l * sk + column] += weight * value;
                            }
                        }
                    }
                }
            }
        }
        let conj: Vec<C> = flat.iter().map(|x| x.conj()).collect();
        let mut next = product(view(n * r, l * sk, &u), Op::None, view(l * sk, r, &conj), Op::None);
        next.iter_mut().for_each(|x| *x = x.conj());
        tame(&mut next, r * r, &mut ln);
        halves.push(u);
        left = next;
    }
    let ln = ln.iter().zip(&left).map(|(ln, x)| ln + x.re.max(0.0).ln()).collect();
    (halves, ln)
}

/// `-share R / p`, appended to `weighted`: what a row adds to the derivative of the loss. `here` `[ket, bra]` and `right` `[bra, ket]` are
/// the environments of a bond, each up to a factor, which drops out of it with `p = sum of here R`.
pub(super) fn by_chance(here: &[C], right: &[C], share: f64, weighted: &mut Vec<C>) {
    // R [ket, bra] is the conjugate of what is stored as [bra, ket].
    let p: f64 = here.iter().zip(right).map(|(x, y)| (x * y.conj()).re).sum();
    weighted.extend(right.iter().map(|x| x.conj() * (-share / p)));
}

pub(super) fn mixed_block(sites: &Sites, data: &Compiled, rows: &[u32], sum: f64) -> (f64, Vec<Array3<C>>) {
    let n = rows.len();
    let (halves, ln) = mixed_forward(sites, data, rows);
    let (share, value) = (|row: u32| data.weights[row as usize] / sum, mean_loss(data, rows, &ln, sum));
    let mut gradient = Vec::with_capacity(sites.tensors.len());
    // [rows, bra, ket], Hermitian.
    let mut right = vec![ONE; n];
    for (site, a) in sites.tensors.iter().enumerate().rev() {
        let (l, sk, r) = a.dim();
        let k = sites.kraus[site];
        let d = sk / k;
        let flat = a.as_slice().unwrap_or_default();
        let u = &halves[site];
        // p up to a scale, from here: sum of A* U R. V [(rows ket), bra r] = weight R.
        let conj: Vec<C> = flat.iter().map(|x| x.conj()).collect();
        let reached = product(view(n * r, l * sk, u), Op::None, view(l * sk, r, &conj), Op::None);
        let mut weighted = Vec::with_capacity(n * r * r);
        for ((&row, here), right) in rows.iter().zip(reached.chunks_exact(r * r)).zip(right.chunks_exact(r * r)) {
            by_chance(here, right, share(row), &mut weighted);
        }
        let g = product(view(n * r, l * sk, u), Op::Transpose, view(n * r, r, &weighted), Op::None);
        gradient.push(Array3::from_shape_vec((l, sk, r), g).unwrap_or_else(|_| unreachable!("{l} {sk} {r}")));
        if site == 0 {
            break;
        }
        // W [(rows, bra r), (l s k)]
        let w = product(view(n * r, r, &right), Op::None, view(l * sk, r, flat), Op::Transpose);
        let mut x = vec![ZERO; n * l * sk * r];
        for ((row, w), x) in rows.iter().zip(w.chunks_exact(r * l * sk)).zip(x.chunks_exact_mut(l * sk * r)) {
            let e = element(data, *row, site);
            for b in 0..l {
                for s2 in 0..d {
                    for s in 0..d {
                        let weight = e[[s2, s]];
                        if weight == ZERO {
                            continue;
                        }
                        for q in 0..k {
                            let source = b * sk + s * k + q;
                            let target = &mut x[(b * sk + s2 * k + q) * r..][..r];
                            for (y, value) in target.iter_mut().enumerate() {
                                *value += weight * w[y * l * sk + source];
                            }
                        }
                    }
                }
            }
        }
        // [rows ket, bra], and its conjugate [rows bra, ket].
        let mut next = vec![ZERO; n * l * l];
        gemm(
            ONE,
            &view(n * l, sk * r, &x),
            Op::None,
            &view(l, sk * r, &conj),
            Op::Transpose,
            ZERO,
            &mut view_mut(n * l, l, &mut next),
        );
        next.iter_mut().for_each(|x| *x = x.conj());
        tame(&mut next, l * l, &mut vec![0.0; n]);
        right = next;
    }
    gradient.reverse();
    (value, gradient)
}

//! An operator between two environments, as it acts on the sites between them.

use ndarray::{Array2, ArrayViewMut2};
use rayon::prelude::*;

use super::environments::{Environment, Link, Links};
use super::mps::matrix;
use crate::linalg::{Op, gemm, gemm_parallel};
use crate::scalar::Scalar;

/// Multiplications from which work is spread over threads.
const PARALLEL_FROM: usize = 1 << 20;

/// `sum_w,w' L[w] W[w, w'] R[w']` on one or two sites.
///
/// ```text
///  +--a'  o p  c'--+
///  |      | |      |
///  L--w--[W][W]-w'-R      acts on x[a, i, j, c]
///  |      | |      |
///  +--a   i j  c---+
/// ```
///
/// Terms that have not begun left of the sites, or are done right of them, meet an identity there; all terms that end
/// on the first site are gathered into one matrix on `(a, i)`, all that begin on the second into one on `(j, c)`. For a
/// short-ranged Hamiltonian these two products are nearly all the work, whatever its number of channels.
pub(super) struct Effective<'a, T: Scalar> {
    left: &'a Environment<T>,
    right: &'a Environment<T>,
    /// `[(a', o), (a, i)]`
    on_left: Option<Array2<T>>,
    /// `[(p, c'), (j, c)]`
    on_right: Option<Array2<T>>,
    /// All that is not in these two.
    rest: Links<T>,
    halves: Vec<Vec<T>>,
    mixed: Vec<T>,
    other: Vec<T>,
}

impl<'a, T: Scalar> Effective<'a, T> {
    /// On one site.
    pub fn one_site(left: &'a Environment<T>, links: &Links<T>, right: &'a Environment<T>) -> Self {
        Self::build(left, right, None, None, links.clone())
    }

    /// On two sites.
    pub fn two_sites(left: &'a Environment<T>, first: &Links<T>, second: &Links<T>, right: &'a Environment<T>) -> Self {
        let done = second.reversed().passes_identity(&right.identity);
        let begun = first.passes_identity(&left.identity);
        let all = first.fused(second, |_| false);
        // A matrix on (a, i) costs as much as `d` channels of the environment.
        let dense = |links: &Links<T>, end: fn(&Link<T>) -> usize, identity: &[bool]| {
            let mut used: Vec<usize> = links.entries.iter().map(end).filter(|&w| !identity[w]).collect();
            used.sort_unstable();
            used.dedup();
            used.len()
        };
        let lefts = |links: &Links<T>| dense(links, |e| e.left, &left.identity);
        let rights = |links: &Links<T>| dense(links, |e| e.right, &right.identity);
        let absorb_left = lefts(&all) >= lefts(&first.fused(second, |m| done[m])) + first.input;
        let absorb_right = rights(&all) >= rights(&first.fused(second, |m| begun[m])) + second.input;
        let on_left = absorb_left.then(|| absorbed(left, first, |m| done[m]));
        let by_right = |m: usize| absorb_right && begun[m] && !(absorb_left && done[m]);
        // Seen from the right end the same sum is on (c, j); the kernel wants (j, c).
        let on_right = absorb_right.then(|| {
            let k = absorbed(right, &second.reversed(), by_right);
            let (bra, ket, p, j) = (right.bra, right.ket, second.out, second.input);
            Array2::from_shape_fn((p * bra, j * ket), |(row, col)| {
                k[[row % bra * p + row / bra, col % ket * j + col / ket]]
            })
        });
        let rest = first.fused(second, |m| absorb_left && done[m] || by_right(m));
        Self::build(left, right, on_left, on_right, rest)
    }

    fn build(
        left: &'a Environment<T>,
        right: &'a Environment<T>,
        on_left: Option<Array2<T>>,
        on_right: Option<Array2<T>>,
        rest: Links<T>,
    ) -> Self {
        let (mixed, all) = (left.bra * rest.out * right.ket, left.bra * rest.out * right.bra);
        let mut halves = vec![Vec::new(); left.channels];
        for e in &rest.entries {
            if !left.identity[e.left] {
                halves[e.left].resize(left.bra * rest.input * right.ket, T::zero());
            }
        }
        let other = if on_right.is_some() { all } else { 0 };
        Effective {
            left,
            right,
            on_left,
            on_right,
            rest,
            halves,
            mixed: vec![T::zero(); mixed],
            other: vec![T::zero(); other],
        }
    }

    /// Length of the vectors it acts on.
    pub fn cols(&self) -> usize {
        self.left.ket * self.rest.input * self.right.ket
    }

    /// Length of the vectors it gives.
    pub fn rows(&self) -> usize {
        self.left.bra * self.rest.out * self.right.bra
    }

    /// `y <- H x`.
    pub fn apply(&mut self, x: &[T], y: &mut [T]) {
        let parallel = self.cols() * self.left.ket >= PARALLEL_FROM;
        let (on_left, on_right, other) = (&self.on_left, &self.on_right, &mut self.other);
        let by_left = |y: &mut [T]| match on_left {
            Some(k) => {
                let x = matrix(k.ncols(), x.len() / k.ncols(), x);
                let mut y = matrix_mut(k.nrows(), y);
                gemm_parallel(T::one(), &k.view(), Op::None, &x, Op::None, T::zero(), &mut y);
            }
            None => y.fill(T::zero()),
        };
        let by_right = |other: &mut [T]| {
            if let Some(k) = on_right {
                let rows = x.len() / k.ncols();
                let x = matrix(rows, k.ncols(), x);
                gemm_parallel(
                    T::one(),
                    &x,
                    Op::None,
                    &k.view(),
                    Op::Transpose,
                    T::zero(),
                    &mut matrix_mut(rows, other),
                );
            }
        };
        if parallel {
            rayon::join(|| by_left(y), || by_right(other));
        } else {
            by_left(y);
            by_right(other);
        }
        if on_right.is_some() {
            y.iter_mut().zip(other.iter()).for_each(|(y, &z)| *y += z);
        }
        self.apply_rest(x, y, parallel);
    }

    fn apply_rest(&mut self, x: &[T], y: &mut [T], parallel: bool) {
        let (left, right, rest) = (self.left, self.right, &self.rest);
        let cols = rest.input * right.ket;
        let fill = |(channel, half): (usize, &mut Vec<T>)| {
            if !half.is_empty() {
                let l = matrix(left.bra, left.ket, left.channel(channel));
                let mut half = matrix_mut(left.bra, half);
                gemm(T::one(), &l, Op::None, &matrix(left.ket, cols, x), Op::None, T::zero(), &mut half);
            }
        };
        if parallel {
            self.halves.par_iter_mut().enumerate().for_each(fill);
        } else {
            self.halves.iter_mut().enumerate().for_each(fill);
        }
        for links in rest.entries.chunk_by(|a, b| a.right == b.right) {
            let channel = links[0].right;
            if right.identity[channel] && right.bra == right.ket {
                links.iter().for_each(|link| self.add_link(link, x, y));
                continue;
            }
            let mut mixed = std::mem::take(&mut self.mixed);
            mixed.fill(T::zero());
            links.iter().for_each(|link| self.add_link(link, x, &mut mixed));
            let rows = left.bra * rest.out;
            let r = matrix(right.bra, right.ket, right.channel(channel));
            let used = matrix(rows, right.ket, &mixed);
            gemm_parallel(T::one(), &used, Op::None, &r, Op::Transpose, T::one(), &mut matrix_mut(rows, y));
            self.mixed = mixed;
        }
    }

    /// Adds one link: `[(a, o), c]` from the half `[a, (i, c)]` of its left channel.
    fn add_link(&self, link: &Link<T>, x: &[T], to: &mut [T]) {
        let half = &self.halves[link.left];
        let source = if half.is_empty() { x } else { half };
        let width = self.right.ket;
        let from = source.chunks_exact(width).skip(link.input).step_by(self.rest.input);
        let to = to.chunks_exact_mut(width).skip(link.out).step_by(self.rest.out);
        for (x, y) in from.zip(to) {
            x.iter().zip(y).for_each(|(&x, y)| *y += link.value * x);
        }
    }
}

/// `sum_w L[w] W[w, m]` over the bonds `m` that `which` names, as a matrix `[(a', o), (a, i)]`.
fn absorbed<T: Scalar>(left: &Environment<T>, links: &Links<T>, which: impl Fn(usize) -> bool) -> Array2<T> {
    let (o, i) = (links.out, links.input);
    let mut k = Array2::zeros((left.bra * o, left.ket * i));
    for e in links.entries.iter().filter(|e| which(e.right)) {
        let block = matrix(left.bra, left.ket, left.channel(e.left));
        let mut target = k.slice_mut(ndarray::s![e.out..;o, e.input..;i]);
        target.zip_mut_with(&block, |t, &l| *t += e.value * l);
    }
    k
}

fn matrix_mut<T>(rows: usize, entries: &mut [T]) -> ArrayViewMut2<'_, T> {
    let cols = entries.len() / rows;
    ArrayViewMut2::from_shape((rows, cols), entries).unwrap_or_else(|_| unreachable!("{rows} x {cols}"))
}

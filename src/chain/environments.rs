//! What is contracted to the left or right of a site: `<bra| O |ket>` up to there.

use ndarray::{Array3, Array4};
use rayon::prelude::*;

use super::mps::flat;
use super::overlap::tame;
use super::small::{multiply, multiply_adjoint};
use super::{Mpo, Mps};
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Real, Scalar};

/// Multiplications from which work is spread over threads.
const PARALLEL_FROM: usize = 1 << 20;

/// One non-zero entry of an operator tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<T> {
    pub left: usize,
    pub out: usize,
    pub input: usize,
    pub right: usize,
    pub value: T,
}

/// An operator tensor by its entries: those of Hamiltonians are mostly zero.
#[derive(Debug, Clone)]
pub(super) struct Links<T> {
    pub left: usize,
    pub out: usize,
    pub input: usize,
    pub right: usize,
    /// Sorted by the right bond.
    pub entries: Vec<Link<T>>,
}

impl<T: Scalar> Links<T> {
    pub fn new(w: &Array4<T>) -> Self {
        let (left, out, input, right) = w.dim();
        let nonzero = w.indexed_iter().filter(|(_, v)| **v != T::zero());
        let entries = nonzero.map(|((left, out, input, right), &value)| Link { left, out, input, right, value });
        Links { left, out, input, right, entries: entries.collect() }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.entries.sort_by_key(|e| (e.right, e.out, e.left, e.input));
        self
    }

    /// The same tensor seen from the other end of the chain.
    pub fn reversed(&self) -> Self {
        let entries = self.entries.iter().map(|e| Link { left: e.right, right: e.left, ..*e }).collect();
        Links { left: self.right, right: self.left, entries, ..*self }.sorted()
    }

    /// Two neighbouring tensors as one with fused site legs, without the paths through the bonds that `skip` names.
    pub fn fused(&self, next: &Self, skip: impl Fn(usize) -> bool) -> Self {
        let mut entries: Vec<Link<T>> = Vec::new();
        for a in self.entries.iter().filter(|a| !skip(a.right)) {
            for b in next.entries.iter().filter(|b| b.left == a.right) {
                entries.push(Link {
                    left: a.left,
                    out: a.out * next.out + b.out,
                    input: a.input * next.input + b.input,
                    right: b.right,
                    value: a.value * b.value,
                });
            }
        }
        let mut fused = Links {
            left: self.left,
            out: self.out * next.out,
            input: self.input * next.input,
            right: next.right,
            entries,
        }
        .sorted();
        // Paths with the same ends add up.
        fused.entries.dedup_by(|b, a| {
            let same = (a.left, a.out, a.input, a.right) == (b.left, b.out, b.input, b.right);
            if same {
                a.value += b.value;
            }
            same
        });
        fused
    }

    /// For each right channel, whether nothing but the identity leads to it, from a left channel that is one.
    pub fn passes_identity(&self, left: &[bool]) -> Vec<bool> {
        let mut count = vec![0; self.right];
        let mut sound = vec![true; self.right];
        let mut from = vec![None; self.right];
        for e in &self.entries {
            count[e.right] += 1;
            sound[e.right] &= left[e.left] && e.out == e.input && e.value == T::one();
            sound[e.right] &= *from[e.right].get_or_insert(e.left) == e.left;
        }
        (0..self.right).map(|r| self.out == self.input && sound[r] && count[r] == self.out).collect()
    }

    fn leading_to(&self, right: usize) -> &[Link<T>] {
        let start = self.entries.partition_point(|e| e.right < right);
        let end = self.entries.partition_point(|e| e.right <= right);
        &self.entries[start..end]
    }
}

/// An environment `[channel, bra bond, ket bond]`.
#[derive(Debug, Clone)]
pub(super) struct Environment<T> {
    pub channels: usize,
    pub bra: usize,
    pub ket: usize,
    pub entries: Vec<T>,
    /// Channels known to be the identity, because the state is canonical and the operator has done nothing yet.
    pub identity: Vec<bool>,
}

impl<T: Scalar> Environment<T> {
    /// Of nothing: the end of the chain.
    pub fn end() -> Self {
        Environment { channels: 1, bra: 1, ket: 1, entries: vec![T::one()], identity: vec![true] }
    }

    pub fn channel(&self, w: usize) -> &[T] {
        &self.entries[w * self.bra * self.ket..(w + 1) * self.bra * self.ket]
    }

    /// The environment with one more site `[near, site, far]`; if `canonical`, bra and ket are the same isometry.
    ///
    /// ```text
    ///  +--a        +--[bra*]--a'
    ///  |           |     |o
    ///  +--w   ->   +----[W]---w'
    ///  |           |     |i
    ///  +--b        +--[ket]---b'
    /// ```
    pub fn advance(&self, bra: &Array3<T>, links: &Links<T>, ket: &Array3<T>, canonical: bool) -> Self {
        let ((a, o, a2), (b, i, b2)) = (bra.dim(), ket.dim());
        let identity = if canonical { links.passes_identity(&self.identity) } else { vec![false; links.right] };
        let half = self.times_ket(links, flat(ket), i * b2, &identity);
        let mut entries = vec![T::zero(); links.right * a2 * b2];
        let fill = |(channel, next): (usize, &mut [T])| {
            if identity[channel] {
                (0..a2).for_each(|k| next[k * b2 + k] = T::one());
                return;
            }
            let mixed = spread(&half, links, channel, a, b2);
            multiply_adjoint((a2, a * o, b2), flat(bra), &mixed, next);
        };
        if links.right * a * o * a2 * b2 >= PARALLEL_FROM {
            entries.par_chunks_mut(a2 * b2).enumerate().for_each(fill);
        } else {
            entries.chunks_mut(a2 * b2).enumerate().for_each(fill);
        }
        debug_assert_eq!((self.bra, self.ket), (a, b));
        Environment { channels: links.right, bra: a2, ket: b2, entries, identity }
    }

    /// Each channel that a link into a channel outside `skip` uses, times the ket `[ket bond, cols]`.
    pub fn times_ket<'a>(&'a self, links: &Links<T>, ket: &'a [T], cols: usize, skip: &[bool]) -> Vec<Half<'a, T>> {
        let mut used = vec![false; self.channels];
        links.entries.iter().filter(|e| !skip[e.right]).for_each(|e| used[e.left] = true);
        let product = |channel: usize| {
            if !used[channel] {
                return Half::Unused;
            }
            if self.identity[channel] && self.bra == self.ket {
                return Half::Same(ket);
            }
            let mut product = vec![T::zero(); self.bra * cols];
            multiply((self.bra, self.ket, cols), self.channel(channel), ket, &mut product);
            Half::Product(product)
        };
        if self.channels * self.bra * self.ket * cols >= PARALLEL_FROM {
            (0..self.channels).into_par_iter().map(product).collect()
        } else {
            (0..self.channels).map(product).collect()
        }
    }
}

/// One channel of an environment times a ket, `[bra bond, (site, rest)]`.
pub(super) enum Half<'a, T> {
    Unused,
    /// The channel is the identity: the ket itself.
    Same(&'a [T]),
    Product(Vec<T>),
}

/// The links into one channel applied: `[(bra bond, out), rest]` from halves `[bra bond, (in, rest)]`.
pub(super) fn spread<T: Scalar>(half: &[Half<T>], links: &Links<T>, channel: usize, bra: usize, rest: usize) -> Vec<T> {
    let mut mixed = vec![T::zero(); bra * links.out * rest];
    for link in links.leading_to(channel) {
        let source: &[T] = match &half[link.left] {
            Half::Unused => continue,
            Half::Same(ket) => ket,
            Half::Product(product) => product,
        };
        let from = source.chunks_exact(rest).skip(link.input).step_by(links.input);
        let to = mixed.chunks_exact_mut(rest).skip(link.out).step_by(links.out);
        for (x, y) in from.zip(to) {
            if link.value == T::one() {
                x.iter().zip(y).for_each(|(&x, y)| *y += x);
            } else {
                x.iter().zip(y).for_each(|(&x, y)| *y += link.value * x);
            }
        }
    }
    mixed
}

/// A site tensor seen from the other end of the chain.
pub(super) fn reversed<T: Scalar>(a: &Array3<T>) -> Array3<T> {
    a.view().reversed_axes().as_standard_layout().into_owned()
}

impl<T: Scalar> Mpo<T> {
    /// `<bra| O |ket>`.
    ///
    /// Costs `O(sites (w d D^3 + n D^2))` for bonds `w` of the operator with `n` non-zero entries in a tensor.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ in number or dimension.
    pub fn matrix_element(&self, bra: &Mps<T>, ket: &Mps<T>) -> Result<LogScaled<T>> {
        self.check_ins(ket)?;
        if self.outs() != bra.dims() {
            return Err(Error::shape("the bra of an operator: the dimensions of its sites", bra.dims(), self.outs()));
        }
        let mut environment = Environment::end();
        let mut ln = 0.0;
        for ((w, a), b) in self.tensors.iter().zip(&bra.tensors).zip(&ket.tensors) {
            environment = environment.advance(a, &Links::new(w), b, false);
            ln += tame(&mut environment.entries);
        }
        Ok(self.factor * bra.factor.conj() * ket.factor * LogScaled::new(environment.entries[0], ln))
    }

    /// `<psi|O|psi> / <psi|psi>`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ, [`Error::NotFinite`] if the state is zero.
    pub fn expectation(&self, state: &Mps<T>) -> Result<T> {
        let norm = state.norm();
        if norm.is_zero() {
            return Err(Error::NotFinite { what: "an expectation in a state of norm zero".into() });
        }
        let scale = LogScaled::exp(-2.0 * norm.ln_abs());
        Ok((self.matrix_element(state, state)? * scale).value())
    }

    /// `<O^2> - <O>^2` for a Hermitian operator: zero for an eigenstate, up to rounding.
    ///
    /// Operators made by [`super::OpSum`] are shifted by their mean first, an equal share at each site, so that the
    /// rounding is not that of `<O>^2`.
    ///
    /// # Errors
    /// As [`expectation`](Self::expectation).
    pub fn variance(&self, state: &Mps<T>) -> Result<f64> {
        let mean = self.expectation(state)?;
        let shifted = self.minus(mean);
        let operator = shifted.as_ref().unwrap_or(self);
        let mean = operator.expectation(state)?.re().to_f64();
        Ok(operator.multiply(operator)?.expectation(state)?.re().to_f64() - mean * mean)
    }

    /// The operator less a constant, without larger bonds; `None` if no bond has both a channel on which nothing has
    /// happened yet and one on which nothing is to come.
    fn minus(&self, constant: T) -> Option<Self> {
        let share = (LogScaled::from(constant) / self.factor).value().scale(T::Real::of(1.0 / self.sites() as f64));
        let links: Vec<Links<T>> = self.tensors.iter().map(Links::new).collect();
        let mut done = vec![vec![true]];
        for l in links.iter().rev() {
            done.push(l.reversed().passes_identity(done.last()?));
        }
        let mut shifted = self.clone();
        let mut begun = vec![true];
        for ((w, l), done) in shifted.tensors.iter_mut().zip(&links).zip(done.iter().rev().skip(1)) {
            let (from, to) = (begun.iter().position(|&x| x)?, done.iter().position(|&x| x)?);
            w.slice_mut(ndarray::s![from, .., .., to]).diag_mut().mapv_inplace(|x| x - share);
            begun = l.passes_identity(&begun);
        }
        share.is_finite().then_some(shifted)
    }
}

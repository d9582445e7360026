//! The amplitudes of a state.

use num_complex::Complex64;
use rand::RngExt;

use super::compile::Op;
use super::{check_marginal, stage};
use crate::circuit::pauli::{Pauli, PauliString, PauliSum};
use crate::error::{Error, Result};
use crate::memory::check_room;
use crate::parallel;
use crate::random::Stream;
use crate::scalar::Real;

/// Amplitudes summed at once; it fixes the order of sums for any number of threads.
const PART: usize = 1 << 13;

/// `2^qubits` amplitudes; qubit 0 is the most significant bit of an index.
#[derive(Debug, Clone)]
pub struct State<T> {
    qubits: usize,
    pub(super) re: Vec<T>,
    pub(super) im: Vec<T>,
}

impl<T: Real> State<T> {
    /// The state `|0..0>`.
    ///
    /// # Errors
    /// [`Error::Room`] that tells the memory it would need, if the system refuses it.
    pub fn zero(qubits: usize) -> Result<Self> {
        Self::check(qubits, 1)?;
        let dim = 1_usize << qubits;
        let (mut re, im) = (vec![T::zero(); dim], vec![T::zero(); dim]);
        re[0] = T::one();
        Ok(State { qubits, re, im })
    }

    /// That there is memory for `copies` states.
    pub(super) fn check(qubits: usize, copies: usize) -> Result<()> {
        let what = || format!("statevector of {qubits} qubits in {}", if size_of::<T>() == 4 { "c32" } else { "c64" });
        let count = u32::try_from(qubits).ok().and_then(|n| 2_usize.checked_pow(n.checked_add(1)?));
        let count = count.and_then(|n| n.checked_mul(copies));
        if count.is_none() && qubits < 1000 {
            let needed = format!("{:.3e} GB", 2f64.powi(qubits as i32 + 1) * size_of::<T>() as f64 / 1e9);
            let way_out = "take fewer qubits".into();
            return Err(Error::Room { what: what(), needed, way_out });
        }
        check_room::<T>(what, count, "take fewer qubits, or single precision")
    }

    /// Qubits.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.qubits
    }

    /// The position of a qubit in an index.
    fn position(&self, qubit: usize) -> usize {
        self.qubits - 1 - qubit
    }

    /// The amplitude of a basis state by its index, zero outside.
    #[must_use]
    pub fn amplitude(&self, index: usize) -> Complex64 {
        let (re, im) = (self.re.get(index), self.im.get(index));
        Complex64::new(re.map_or(0.0, |x| Real::to_f64(*x)), im.map_or(0.0, |x| Real::to_f64(*x)))
    }

    /// All amplitudes, in double precision.
    #[must_use]
    pub fn amplitudes(&self) -> Vec<Complex64> {
        (0..self.re.len()).map(|index| self.amplitude(index)).collect()
    }

    pub(super) fn apply(&mut self, ops: &[Op], stages: &[stage::Stage]) {
        stages.iter().for_each(|stage| stage::run(stage, ops, &mut self.re, &mut self.im));
    }

    /// `f` of each part and where it begins, in order.
    fn parts<R: Send>(&self, f: impl Fn(usize, &[T], &[T]) -> R + Sync) -> Vec<R> {
        let parts: Vec<_> = self.re.chunks(PART).zip(self.im.chunks(PART)).enumerate().collect();
        if parts.len() < 4 {
            return parts.into_iter().map(|(i, (re, im))| f(i * PART, re, im)).collect();
        }
        parallel::map(parts, |(i, (re, im))| f(i * PART, re, im))
    }

    /// The squared norm.
    #[must_use]
    pub fn norm_sq(&self) -> f64 {
        self.parts(|_, re, im| re.iter().zip(im).map(|(a, b)| square(*a, *b)).sum::<f64>()).iter().sum()
    }

    /// The share of `|1>` of a qubit in the squared norm.
    pub(super) fn probability_of_one(&self, qubit: usize) -> f64 {
        let bit = self.position(qubit);
        let sums = self.parts(|start, re, im| {
            let mut sums = [0.0; 2];
            for (i, (a, b)) in re.iter().zip(im).enumerate() {
                sums[(start + i) >> bit & 1] += square(*a, *b);
            }
            sums
        });
        let [zero, one] = sums.iter().fold([0.0; 2], |t, s| [t[0] + s[0], t[1] + s[1]]);
        one / (zero + one)
    }

    /// Measures a qubit: the outcome, with the state as it is then.
    pub(super) fn measure(&mut self, qubit: usize, stream: &mut Stream) -> bool {
        let one = self.probability_of_one(qubit);
        let outcome = stream.random::<f64>() < one;
        let keep = if outcome { one } else { 1.0 - one };
        let (factor, bit) = (T::of(1.0 / keep.sqrt()), self.position(qubit));
        for (i, (a, b)) in self.re.iter_mut().zip(&mut self.im).enumerate() {
            let kept = (i >> bit & 1 == 1) == outcome;
            let factor = if kept { factor } else { T::zero() };
            (*a, *b) = (*a * factor, *b * factor);
        }
        outcome
    }

    /// Exchanges 0 and 1 of a qubit.
    pub(super) fn flip(&mut self, qubit: usize) {
        let half = 1 << self.position(qubit);
        for part in [&mut self.re, &mut self.im] {
            for pair in part.chunks_mut(2 * half) {
                let (low, high) = pair.split_at_mut(half);
                low.swap_with_slice(high);
            }
        }
    }

    /// The probability of each basis state, of the state as it is.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        self.re.iter().zip(&self.im).map(|(a, b)| square(*a, *b)).collect()
    }

    /// `<self|other>`.
    pub(super) fn inner(&self, other: &Self) -> Complex64 {
        let sums = self.parts(|start, re, im| {
            let mut sum = Complex64::ZERO;
            for (i, (a, b)) in re.iter().zip(im).enumerate() {
                let own = Complex64::new(Real::to_f64(*a), -Real::to_f64(*b));
                sum += own * other.amplitude(start + i);
            }
            sum
        });
        sums.iter().sum()
    }

    /// The state with each amplitude times a number.
    pub(super) fn weighted(&self, weights: &[f64]) -> Result<Self> {
        if weights.len() != self.re.len() {
            return Err(Error::shape("derivatives by the probabilities", weights.len(), self.re.len()));
        }
        let part = |part: &[T]| part.iter().zip(weights).map(|(x, w)| *x * T::of(*w)).collect();
        Ok(State { qubits: self.qubits, re: part(&self.re), im: part(&self.im) })
    }

    /// An observable times the state.
    pub(super) fn times(&self, observable: &PauliSum) -> Self {
        let dim = self.re.len();
        let (mut re, mut im) = (vec![T::zero(); dim], vec![T::zero(); dim]);
        for (string, factor) in observable.terms() {
            let (flips, signs, turns) = self.masks(string);
            // Y = i X Z: a power of i for each.
            let turn = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][turns % 4];
            for (i, (re, im)) in re.iter_mut().zip(&mut im).enumerate() {
                let from = i ^ flips;
                let factor = if (from & signs).count_ones() % 2 == 1 { -factor } else { factor };
                let (tr, ti) = (T::of(turn.0 * factor), T::of(turn.1 * factor));
                let (a, b) = (self.re[from], self.im[from]);
                *re += tr * a - ti * b;
                *im += tr * b + ti * a;
            }
        }
        State { qubits: self.qubits, re, im }
    }

    /// Bits that a Pauli product flips, those whose value gives a sign, and how many Y it has.
    fn masks(&self, string: &PauliString) -> (usize, usize, usize) {
        masks(string, |qubit| self.position(qubit))
    }

    /// The density matrix of some qubits, rows first, the first one most significant; of trace 1.
    pub(super) fn density(&self, qubits: &[usize]) -> Vec<Complex64> {
        let bits: Vec<usize> = qubits.iter().map(|&qubit| self.position(qubit)).collect();
        let (dim, mask) = (1 << bits.len(), bits.iter().fold(0, |mask, bit| mask | 1 << bit));
        let spread: Vec<usize> = (0..dim)
            .map(|row| bits.iter().enumerate().map(|(i, bit)| (row >> (bits.len() - 1 - i) & 1) << bit).sum())
            .collect();
        let sums = self.parts(|start, re, _| {
            let mut sum = vec![Complex64::ZERO; dim * dim];
            for index in (start..start + re.len()).filter(|index| index & mask == 0) {
                for row in 0..dim {
                    let a = self.amplitude(index | spread[row]);
                    for column in 0..dim {
                        sum[row * dim + column] += a * self.amplitude(index | spread[column]).conj();
                    }
                }
            }
            sum
        });
        let mut density = vec![Complex64::ZERO; dim * dim];
        sums.iter().for_each(|sum| density.iter_mut().zip(sum).for_each(|(d, s)| *d += s));
        let trace: f64 = (0..dim).map(|i| density[i * dim + i].re).sum();
        density.iter_mut().for_each(|d| *d /= trace);
        density
    }

    /// The expectation of an observable in the normalised state.
    ///
    /// # Errors
    /// [`Error::Circuit`] if it takes a qubit that the state does not have, [`Error::NotFinite`].
    pub fn expectation(&self, observable: &PauliSum) -> Result<f64> {
        observable.check(self.qubits)?;
        let total: f64 = observable.terms().map(|(string, factor)| factor * self.expectation_of(string)).sum();
        Ok(total / self.norm_sq())
    }

    fn expectation_of(&self, string: &PauliString) -> f64 {
        let (flips, signs, turns) = self.masks(string);
        // i^turns: the sum is real, so only one part of a product is wanted.
        let (imaginary, negative) = (turns % 2 == 1, turns % 4 == 1 || turns % 4 == 2);
        let sums = self.parts(|start, re, im| {
            let mut sum = 0.0;
            for (i, (a, b)) in re.iter().zip(im).enumerate() {
                let index = start + i;
                let (a, b) = (Real::to_f64(*a), Real::to_f64(*b));
                let (c, d) = (Real::to_f64(self.re[index ^ flips]), Real::to_f64(self.im[index ^ flips]));
                // conj(c + i d) (a + i b)
                let term = if imaginary { c * b - d * a } else { c * a + d * b };
                sum += if (index & signs).count_ones() % 2 == 1 { -term } else { term };
            }
            sum
        });
        let sum: f64 = sums.iter().sum();
        if negative { -sum } else { sum }
    }

    /// Probabilities of the outcomes of some qubits, `[2^qubits]`, the first one given most significant.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a qubit that is not there or given twice, and beyond 26 qubits.
    pub fn marginal(&self, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(self.qubits, qubits)?;
        let bits: Vec<usize> = qubits.iter().map(|&qubit| self.position(qubit)).collect();
        let mut marginal = vec![0.0; 1 << bits.len()];
        for (index, (a, b)) in self.re.iter().zip(&self.im).enumerate() {
            let place = bits.iter().fold(0, |place, &bit| place * 2 + (index >> bit & 1));
            marginal[place] += square(*a, *b);
        }
        let total: f64 = marginal.iter().sum();
        marginal.iter_mut().for_each(|p| *p /= total);
        Ok(marginal)
    }

    /// What is needed to draw indices: the running sum of squares over parts.
    pub(super) fn cumulated(&self) -> Vec<f64> {
        let sums = self.parts(|_, re, im| re.iter().zip(im).map(|(a, b)| square(*a, *b)).sum::<f64>());
        sums.iter()
            .scan(0.0, |total, sum| {
                *total += sum;
                Some(*total)
            })
            .collect()
    }

    /// Draws the index of a basis state; `cumulated` is of this state.
    pub(super) fn draw(&self, cumulated: &[f64], stream: &mut Stream) -> usize {
        let total = cumulated.last().copied().unwrap_or(0.0);
        let mut left = stream.random::<f64>() * total;
        let part = cumulated.partition_point(|&sum| sum <= left).min(cumulated.len().saturating_sub(1));
        if part > 0 {
            left -= cumulated[part - 1];
        }
        let start = part * PART;
        let end = (start + PART).min(self.re.len());
        let mut last = start;
        for index in start..end {
            let share = square(self.re[index], self.im[index]);
            if share > 0.0 {
                last = index;
                if left < share {
                    return index;
                }
            }
            left -= share;
        }
        // Rounding may carry the number past the end: then the last one that can come.
        last
    }
}

/// Bits that a Pauli product flips, those whose value gives a sign, and how many Y it has.
pub(super) fn masks(string: &PauliString, position: impl Fn(usize) -> usize) -> (usize, usize, usize) {
    let (mut flips, mut signs, mut turns) = (0_usize, 0_usize, 0);
    for (&qubit, pauli) in string {
        let bit = 1 << position(qubit);
        flips |= if *pauli == Pauli::Z { 0 } else { bit };
        signs |= if *pauli == Pauli::X { 0 } else { bit };
        turns += usize::from(*pauli == Pauli::Y);
    }
    (flips, signs, turns)
}

fn square<T: Real>(re: T, im: T) -> f64 {
    let (re, im) = (Real::to_f64(re), Real::to_f64(im));
    re * re + im * im
}

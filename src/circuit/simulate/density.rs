//! Simulation by a density matrix.

use std::marker::PhantomData;

use num_complex::Complex64;
use rand::RngExt;

use super::compile::Op;
use super::program::Program;
use super::stage;
use super::state::State;
use super::{Method, Sampler, Simulator, check_marginal};
use crate::circuit::circuit::Circuit;
use crate::circuit::instruction::{Instruction, Operation};
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::{Error, Result};
use crate::random::{Seed, Stream};
use crate::scalar::{LogScaled, Real};

/// Qubits beyond which a density matrix is refused.
pub(super) const MAX_QUBITS: usize = 12;

/// Simulates up to 12 qubits with noise exactly, by their density matrix.
///
/// Measurements may only end the way of their qubit, and nothing may depend on them.
#[derive(Debug, Clone, Copy, Default)]
pub struct DensityMatrix<T> {
    precision: PhantomData<T>,
}

/// A density matrix `[2^qubits, 2^qubits]`; qubit 0 is the most significant bit of an index.
#[derive(Debug, Clone)]
pub struct Density<T> {
    /// Rows and columns as the qubits of a state, rows first.
    doubled: State<T>,
}

impl<T: Real> Density<T> {
    /// Qubits.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.doubled.qubits() / 2
    }

    /// The element at `row` and `column`, zero outside.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> Complex64 {
        let n = self.qubits();
        if row >> n != 0 || column >> n != 0 { Complex64::ZERO } else { self.doubled.amplitude(row << n | column) }
    }

    /// `Tr rho^2`, 1 for a pure state.
    #[must_use]
    pub fn purity(&self) -> f64 {
        self.doubled.norm_sq()
    }

    /// The probability of each basis state.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        (0..1 << self.qubits()).map(|i| self.get(i, i).re.max(0.0)).collect()
    }

    /// `Tr O rho`.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the observable takes a qubit that is not there, [`Error::NotFinite`].
    pub fn expectation(&self, observable: &PauliSum) -> Result<f64> {
        let n = self.qubits();
        observable.check(n)?;
        let mut total = 0.0;
        for (string, factor) in observable.terms() {
            let (flips, signs, turns) = super::state::masks(string, |q| n - 1 - q);
            let mut sum = Complex64::ZERO;
            for row in 0..1_usize << n {
                let from = row ^ flips;
                let z = self.get(from, row);
                sum += if (from & signs).count_ones() % 2 == 1 { -z } else { z };
            }
            total += factor * (sum * Complex64::i().powu(turns as u32)).re;
        }
        Ok(total)
    }

    fn apply(&mut self, controls: &[bool], matrix: &Matrix, qubits: &[usize]) {
        let n = self.qubits();
        let on = |shift: usize, matrix: &Matrix| {
            let positions: Vec<usize> = qubits.iter().map(|&q| n - 1 - q + shift).collect();
            let (before, targets) = positions.split_at(controls.len());
            Op::of(before.iter().copied().zip(controls.iter().copied()).collect(), targets.to_vec(), matrix)
        };
        let ops = [on(n, matrix), on(0, &matrix.conj())];
        let stages = stage::plan(&ops, 2 * n);
        self.doubled.apply(&ops, &stages);
    }

    /// `rho -> sum K rho K^dagger`.
    fn channel(&mut self, kraus: &[Matrix], qubits: &[usize]) {
        let mut sum: Option<Self> = None;
        for k in kraus {
            let mut branch = self.clone();
            branch.apply(&[], k, qubits);
            match &mut sum {
                None => sum = Some(branch),
                Some(sum) => {
                    sum.doubled.re.iter_mut().zip(&branch.doubled.re).for_each(|(a, b)| *a += *b);
                    sum.doubled.im.iter_mut().zip(&branch.doubled.im).for_each(|(a, b)| *a += *b);
                }
            }
        }
        if let Some(sum) = sum {
            *self = sum;
        }
    }
}

impl<T: Real> DensityMatrix<T> {
    /// The simulator; it has no settings.
    #[must_use]
    pub fn new() -> Self {
        DensityMatrix { precision: PhantomData }
    }

    /// The density matrix at the end of a circuit; measurements that end it are left out.
    ///
    /// # Errors
    /// [`Error::Circuit`] beyond 12 qubits, for a symbol without a value, and for a condition or a measurement after which
    /// its qubit is used; [`Error::Room`].
    pub fn state(&self, circuit: &Circuit) -> Result<Density<T>> {
        let n = circuit.num_qubits();
        if n > MAX_QUBITS {
            let what = format!("density matrix of {n} qubits: at most {MAX_QUBITS}; draw shots by another method");
            return Err(Error::Circuit { what });
        }
        State::<T>::check(2 * n, 3)?;
        let mut density = Density { doubled: State::zero(2 * n)? };
        let reset = reset_operators()?;
        let mut measured = vec![false; n];
        for (number, instruction) in circuit.instructions().iter().enumerate() {
            check_deferred(number, instruction, &measured, "a density matrix")?;
            match &instruction.operation {
                Operation::Gate { gate, qubits } => density.apply(&gate.controls(), &gate.target_matrix()?, qubits),
                Operation::Channel { channel, qubits } => density.channel(channel.kraus(), qubits),
                Operation::Reset { qubit } => density.channel(&reset, &[*qubit]),
                Operation::Measure { qubit, .. } => measured[*qubit] = true,
                Operation::Barrier { .. } | Operation::Misread { .. } => {}
            }
        }
        Ok(density)
    }
}

/// The Kraus operators of a reset.
pub(super) fn reset_operators() -> Result<[Matrix; 2]> {
    let (zero, one) = (Complex64::ZERO, Complex64::ONE);
    Ok([Matrix::new(1, vec![one, zero, zero, zero])?, Matrix::new(1, vec![zero, one, zero, zero])?])
}

/// That an instruction has no condition and does not follow a measurement of its qubits: then all can be measured at the end.
pub(super) fn check_deferred(number: usize, instruction: &Instruction, measured: &[bool], engine: &str) -> Result<()> {
    let acts = !matches!(instruction.operation, Operation::Measure { .. } | Operation::Barrier { .. });
    let why = if instruction.condition.is_some() {
        "conditions"
    } else if acts && instruction.operation.qubits().iter().any(|&q| measured[q]) {
        "measurements on the way"
    } else {
        return Ok(());
    };
    let name = instruction.operation.name();
    Err(Error::Circuit { what: format!("instruction {number} ({name}): {engine} takes no {why}") })
}

/// The measurements and errors of reading of a circuit alone.
pub(super) fn readings(circuit: &Circuit) -> Result<Program<()>> {
    let mut ends = circuit.emptied();
    for instruction in circuit.instructions() {
        if matches!(instruction.operation, Operation::Measure { .. } | Operation::Misread { .. }) {
            ends.push(instruction.clone())?;
        }
    }
    Program::new(&ends, |_| Ok(()))
}

/// Shots of known probabilities.
struct Draws {
    shares: Vec<f64>,
    qubits: usize,
    program: Program<()>,
    seed: Seed,
}

impl Draws {
    fn index(&self, stream: &mut Stream) -> usize {
        let total = self.shares.last().copied().unwrap_or(0.0);
        let left = stream.random::<f64>() * total;
        self.shares.partition_point(|&sum| sum <= left).min(self.shares.len().saturating_sub(1))
    }
}

impl Sampler for Draws {
    fn width(&self) -> usize {
        self.program.width()
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let mut stream = self.seed.stream("shot", index);
        let found = self.index(&mut stream);
        let bit = |qubit: usize| (found >> (self.qubits - 1 - qubit) & 1) as u8;
        self.program.read_out(bit, bits, &mut stream);
        Ok(())
    }

    fn fidelity_estimate(&self) -> f64 {
        1.0
    }
}

impl<T: Real> Simulator for DensityMatrix<T> {
    fn method(&self) -> Method {
        Method::Density
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        let density = self.state(circuit)?;
        // What is drawn depends on the measurements alone.
        let program = readings(circuit)?;
        let sums = density.probabilities().into_iter().scan(0.0, |total, p| {
            *total += p;
            Some(*total)
        });
        let shares = sums.collect();
        Ok(Box::new(Draws { shares, qubits: circuit.num_qubits(), program, seed }))
    }

    fn amplitude(&self, _circuit: &Circuit, _bits: &[u8]) -> Result<LogScaled<Complex64>> {
        Err(Error::Circuit { what: "a density matrix has no amplitudes; use another method".into() })
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        self.state(circuit)?.expectation(observable)
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(circuit.num_qubits(), qubits)?;
        let (n, probabilities) = (circuit.num_qubits(), self.state(circuit)?.probabilities());
        let mut marginal = vec![0.0; 1 << qubits.len()];
        for (index, p) in probabilities.iter().enumerate() {
            let place = qubits.iter().fold(0, |place, q| place * 2 + (index >> (n - 1 - q) & 1));
            marginal[place] += p;
        }
        Ok(marginal)
    }
}

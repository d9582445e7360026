//! Shots of any engine whose state can be measured: drawn from one final state, or run one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use num_complex::Complex64;
use rand::RngExt;

use super::Sampler;
use super::program::{Program, Step, misread};
use crate::circuit::channel::Channel;
use crate::circuit::matrix::Matrix;
use crate::error::{Error, Result};
use crate::random::{Seed, Stream};

/// The state of an engine.
pub(super) trait Register: Clone + Send + Sync {
    /// What the engine makes of gates in a row.
    type Gates: Send + Sync;

    fn apply(&mut self, gates: &Self::Gates) -> Result<()>;
    /// Measures a qubit: the outcome, with the state as it is then.
    fn measure(&mut self, qubit: usize, stream: &mut Stream) -> Result<bool>;
    /// Exchanges 0 and 1 of a qubit.
    fn flip(&mut self, qubit: usize) -> Result<()>;
    /// Applies a matrix on one or two qubits that keeps the norm of this state.
    fn apply_matrix(&mut self, matrix: &Matrix, qubits: &[usize]) -> Result<()>;
    /// The density matrix of one or two qubits, rows first, the first qubit most significant.
    fn density(&mut self, qubits: &[usize]) -> Result<Vec<Complex64>>;
    /// What is done once before many calls of `draw`.
    fn ready(&mut self) -> Result<()>;
    /// Measures all qubits and leaves the state as it is.
    fn draw(&self, stream: &mut Stream, bits: &mut [u8]) -> Result<()>;

    fn fidelity(&self) -> f64 {
        1.0
    }
    /// Whether a single shot takes all threads.
    fn is_large(&self) -> bool {
        false
    }

    /// One branch of a channel, by its probability.
    fn channel(&mut self, channel: &Channel, qubits: &[usize], stream: &mut Stream) -> Result<()> {
        let kraus = channel.kraus();
        let shares = match channel.mixture() {
            Some(shares) => shares.to_vec(),
            None => {
                let density = self.density(qubits)?;
                kraus.iter().map(|k| weight(k, &density)).collect()
            }
        };
        let Some(chosen) = pick(&shares, stream) else {
            return Err(Error::NotFinite { what: format!("probabilities of channel {}", channel.name()) });
        };
        self.apply_matrix(&kraus[chosen].scaled(1.0 / shares[chosen].sqrt()), qubits)
    }
}

/// `Tr K rho K^dagger`.
fn weight(kraus: &Matrix, density: &[Complex64]) -> f64 {
    let dim = kraus.dim();
    let mut sum = Complex64::ZERO;
    for row in 0..dim {
        for i in 0..dim {
            for j in 0..dim {
                sum += kraus.get(row, i) * density[i * dim + j] * kraus.get(row, j).conj();
            }
        }
    }
    sum.re.max(0.0)
}

/// A number by its share; `None` if there is no weight.
pub(super) fn pick(shares: &[f64], stream: &mut Stream) -> Option<usize> {
    let mut left = stream.random::<f64>() * shares.iter().sum::<f64>();
    for (i, &share) in shares.iter().enumerate() {
        if left < share {
            return Some(i);
        }
        left -= share;
    }
    // Rounding may carry the number past the end: then the last one that can come.
    shares.iter().rposition(|&share| share > 0.0)
}

/// Draws shots of a program from the state after its first gates.
pub(super) struct Shooter<R: Register> {
    state: R,
    program: Arc<Program<R::Gates>>,
    seed: Seed,
    /// The lowest fidelity of all shots, as bits: numbers of one sign are in the order of their bits.
    lowest: AtomicU64,
}

impl<R: Register> Shooter<R> {
    /// `start` is the state before the first gates.
    pub(super) fn new(mut start: R, program: Program<R::Gates>, seed: Seed) -> Result<Self> {
        start.apply(&program.first)?;
        Self::after(start, program, seed)
    }

    /// `start` is the state after the first gates.
    pub(super) fn after(mut start: R, program: Program<R::Gates>, seed: Seed) -> Result<Self> {
        if program.rest.is_empty() {
            start.ready()?;
        }
        let lowest = AtomicU64::new(start.fidelity().to_bits());
        Ok(Shooter { state: start, program: Arc::new(program), seed, lowest })
    }
}

impl<R: Register> Sampler for Shooter<R> {
    fn width(&self) -> usize {
        self.program.width()
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let mut stream = self.seed.stream("shot", index);
        let program = self.program.as_ref();
        if program.rest.is_empty() {
            if !program.measures {
                return self.state.draw(&mut stream, bits);
            }
            let mut all = vec![0; program.qubits];
            self.state.draw(&mut stream, &mut all)?;
            program.read_out(|qubit| all[qubit], bits, &mut stream);
            return Ok(());
        }
        let mut state = self.state.clone();
        let mut classical = vec![0; program.bits];
        for (condition, step) in &program.rest {
            if condition.is_some_and(|c| !c.holds(&classical)) {
                continue;
            }
            match step {
                Step::Gates(gates) => state.apply(gates)?,
                Step::Measure { qubit, bit } => classical[*bit] = u8::from(state.measure(*qubit, &mut stream)?),
                Step::Reset { qubit } => {
                    if state.measure(*qubit, &mut stream)? {
                        state.flip(*qubit)?;
                    }
                }
                Step::Channel { channel, qubits } => state.channel(channel, qubits, &mut stream)?,
                Step::Misread { bit, chances } => misread(&mut classical[*bit], *chances, &mut stream),
            }
        }
        self.lowest.fetch_min(state.fidelity().to_bits(), Ordering::Relaxed);
        if program.measures {
            bits.copy_from_slice(&classical);
            return Ok(());
        }
        state.ready()?;
        state.draw(&mut stream, bits)
    }

    fn one_by_one(&self) -> bool {
        !self.program.rest.is_empty() && self.state.is_large()
    }

    fn fidelity_estimate(&self) -> f64 {
        f64::from_bits(self.lowest.load(Ordering::Relaxed))
    }
}

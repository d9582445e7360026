//! Simulation of Clifford circuits by a stabiliser tableau.

use num_complex::Complex64;
use rand::RngExt;

use super::program::{Placed, Program};
use super::register::{Register, Shooter, pick};
use super::tableau::{Images, Tableau};
use super::{Method, Sampler, Simulator, check_bits, check_marginal};
use crate::circuit::channel::Channel;
use crate::circuit::circuit::Circuit;
use crate::circuit::instruction::Operation;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::{Pauli, PauliSum};
use crate::error::{Error, Result};
use crate::random::{Seed, Stream};
use crate::scalar::LogScaled;

/// Simulates circuits of Clifford gates by a tableau of Pauli products: thousands of qubits, with measurements, resets,
/// conditions and Pauli noise on the way.
///
/// Whether a gate is Clifford is seen from its matrix, so `rz(pi/2)` and a unitary that is one count too; gates on more than
/// two qubits do not. A tableau does not hold the phase of the state: it gives no amplitudes other than zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct CliffordSimulator {}

/// A gate made ready.
type Turn = (Images, Vec<usize>);

impl CliffordSimulator {
    /// The simulator; it has no settings.
    #[must_use]
    pub fn new() -> Self {
        CliffordSimulator {}
    }

    /// Whether all gates and channels of a circuit are of the kind that a tableau takes; the first that is not, in words.
    ///
    /// # Errors
    /// [`Error::Circuit`] that names the first instruction that is not Clifford.
    pub fn check(circuit: &Circuit) -> Result<()> {
        for (number, instruction) in circuit.instructions().iter().enumerate() {
            match &instruction.operation {
                Operation::Gate { gate, qubits } => drop(turn(&Placed { number, gate, qubits })?),
                Operation::Channel { channel, .. } => drop(branches(channel)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn state(&self, circuit: &Circuit) -> Result<Tableau> {
        let program = Program::new(circuit, turns)?;
        program.check_single()?;
        let mut tableau = Tableau::new(circuit.num_qubits());
        program.first.iter().for_each(|(images, on)| tableau.apply(images, on));
        Ok(tableau)
    }
}

fn turns(gates: &[Placed<'_>]) -> Result<Vec<Turn>> {
    gates.iter().filter_map(|placed| turn(placed).transpose()).collect()
}

/// What a gate does; `None` for a phase of the whole state.
fn turn(placed: &Placed<'_>) -> Result<Option<Turn>> {
    if placed.qubits.is_empty() {
        return Ok(None);
    }
    let images = match placed.qubits.len() {
        1 | 2 => Images::of(&placed.gate.matrix().map_err(|e| placed.at(e))?),
        _ => None,
    };
    match images {
        Some(images) => Ok(Some((images, placed.qubits.to_vec()))),
        None => {
            let what = "no Clifford gate of one or two qubits, so the clifford method cannot take it; use another";
            Err(placed.at(Error::Circuit { what: what.into() }))
        }
    }
}

fn branches(channel: &Channel) -> Result<Vec<Images>> {
    let shares = channel.mixture().unwrap_or_default();
    let images: Option<Vec<Images>> =
        channel.kraus().iter().zip(shares).map(|(k, share)| Images::of(&k.scaled(1.0 / share.sqrt()))).collect();
    images.filter(|images| !images.is_empty()).ok_or_else(|| {
        let what = format!("channel {} is no mixture of Clifford gates; use another method", channel.name());
        Error::Circuit { what }
    })
}

#[derive(Clone)]
struct Held {
    tableau: Tableau,
    /// One outcome of measuring everything, and a basis of the differences.
    support: (Vec<u64>, Vec<Vec<u64>>),
}

impl Register for Held {
    type Gates = Vec<Turn>;

    fn apply(&mut self, gates: &Vec<Turn>) -> Result<()> {
        gates.iter().for_each(|(images, on)| self.tableau.apply(images, on));
        Ok(())
    }

    fn measure(&mut self, qubit: usize, stream: &mut Stream) -> Result<bool> {
        Ok(self.tableau.measure(qubit, || stream.random()))
    }

    fn flip(&mut self, qubit: usize) -> Result<()> {
        self.tableau.flip(qubit);
        Ok(())
    }

    fn apply_matrix(&mut self, matrix: &Matrix, qubits: &[usize]) -> Result<()> {
        let images = Images::of(matrix);
        let images = images.ok_or_else(|| Error::Circuit { what: "a matrix that is no Clifford gate".into() })?;
        self.tableau.apply(&images, qubits);
        Ok(())
    }

    fn density(&mut self, qubits: &[usize]) -> Result<Vec<Complex64>> {
        Err(Error::Circuit { what: format!("density matrix of {} qubits of a tableau", qubits.len()) })
    }

    fn channel(&mut self, channel: &Channel, qubits: &[usize], stream: &mut Stream) -> Result<()> {
        let images = branches(channel)?;
        if let Some(chosen) = pick(channel.mixture().unwrap_or_default(), stream) {
            self.tableau.apply(&images[chosen], qubits);
        }
        Ok(())
    }

    fn ready(&mut self) -> Result<()> {
        self.support = self.tableau.support();
        Ok(())
    }

    fn draw(&self, stream: &mut Stream, bits: &mut [u8]) -> Result<()> {
        let mut found = self.support.0.clone();
        for difference in &self.support.1 {
            if stream.random() {
                found.iter_mut().zip(difference).for_each(|(a, b)| *a ^= b);
            }
        }
        bits.iter_mut().enumerate().for_each(|(q, bit)| *bit = (found[q / 64] >> (q % 64) & 1) as u8);
        Ok(())
    }
}

impl Simulator for CliffordSimulator {
    fn method(&self) -> Method {
        Method::Clifford
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        Self::check(circuit)?;
        let program = Program::new(circuit, turns)?;
        let start = Held { tableau: Tableau::new(circuit.num_qubits()), support: (Vec::new(), Vec::new()) };
        Ok(Box::new(Shooter::new(start, program, seed)?))
    }

    /// Only where it is zero: a tableau does not hold the phase.
    fn amplitude(&self, circuit: &Circuit, bits: &[u8]) -> Result<LogScaled<Complex64>> {
        check_bits(circuit, bits)?;
        let probability = {
            let (one, basis) = self.state(circuit)?.support();
            let mut left = one;
            for (q, &bit) in bits.iter().enumerate() {
                left[q / 64] ^= u64::from(bit) << (q % 64);
            }
            reduced(&basis, left).iter().all(|&word| word == 0)
        };
        if !probability {
            return Ok(LogScaled::zero());
        }
        let what = "a tableau holds no phase, so the clifford method gives no amplitude; use another method";
        Err(Error::Circuit { what: what.into() })
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        let state = self.state(circuit)?;
        let value = |string: &crate::circuit::PauliString| {
            let word: Vec<_> = string.iter().map(|(&q, p)| (q, *p != Pauli::Z, *p != Pauli::X)).collect();
            state.expectation(&word)
        };
        Ok(observable.terms().map(|(string, factor)| factor * value(string)).sum())
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        check_marginal(circuit.num_qubits(), qubits)?;
        let (one, basis) = self.state(circuit)?.support();
        let place =
            |word: &[u64]| qubits.iter().fold(0_usize, |place, &q| 2 * place + (word[q / 64] >> (q % 64) & 1) as usize);
        // Differences as seen by these qubits, in echelon form; all their sums are as likely.
        let mut independent: Vec<usize> = Vec::new();
        for vector in &basis {
            let mut value = place(vector);
            for &other in &independent {
                value = value.min(value ^ other);
            }
            if value != 0 {
                independent.push(value);
            }
        }
        let mut marginal = vec![0.0; 1 << qubits.len()];
        let count = 1_usize << independent.len();
        for choice in 0..count {
            let sum = independent
                .iter()
                .enumerate()
                .filter(|(i, _)| choice >> i & 1 == 1)
                .fold(place(&one), |s, (_, v)| s ^ v);
            marginal[sum] = 1.0 / count as f64;
        }
        Ok(marginal)
    }
}

/// What is left of a vector once the basis has taken out what it can.
fn reduced(basis: &[Vec<u64>], mut vector: Vec<u64>) -> Vec<u64> {
    for other in basis {
        let pivot = other.iter().position(|&word| word != 0).map(|i| (i, other[i].trailing_zeros()));
        if let Some((word, bit)) = pivot
            && vector[word] >> bit & 1 == 1
        {
            vector.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
        }
    }
    vector
}

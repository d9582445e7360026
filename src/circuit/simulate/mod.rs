//! What every simulator can do, and the simulators.

mod adjoint;
mod auto;
mod backward;
mod clifford;
mod compile;
mod contract;
mod density;
mod fuse;
mod kernel;
mod mps;
mod mps_adjoint;
mod operator;
mod program;
mod purified;
mod register;
mod reversed;
mod shift;
mod stage;
mod state;
mod statevector;
mod tableau;
mod weave;

use std::collections::BTreeMap;
use std::fmt;

use num_complex::Complex64;

use super::circuit::Circuit;
use super::pauli::PauliSum;
use crate::error::{Error, Result};
use crate::memory::check_room;
use crate::parallel;
use crate::random::Seed;
use crate::scalar::LogScaled;

pub use adjoint::Gradient;
pub use auto::{Choice, Task, choose};
pub use clifford::CliffordSimulator;
pub use contract::ContractSimulator;
pub use density::{Density, DensityMatrix};
pub use mps::{MpsRun, MpsSimulator};
pub use purified::{PurifiedRun, PurifiedSimulator};
pub use shift::{expectation_from_shots, parameter_shift};
pub use state::State;
pub use statevector::Statevector;

/// How a circuit is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// All amplitudes at once.
    Statevector,
    /// A matrix product state.
    Mps,
    /// Exact contraction of a network.
    Contract,
    /// A stabiliser tableau.
    Clifford,
    /// A density matrix.
    Density,
    /// A locally purified chain.
    Purified,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Statevector => "statevector",
            Method::Mps => "mps",
            Method::Contract => "contract",
            Method::Clifford => "clifford",
            Method::Density => "density",
            Method::Purified => "purified",
        })
    }
}

/// Draws shots of one circuit.
pub trait Sampler: Sync {
    /// Bits of a shot: the classical bits, or the qubits if the circuit measures none.
    fn width(&self) -> usize;

    /// Shot number `index` into `bits` `[width]`; it depends on the seed and `index` only.
    ///
    /// # Errors
    /// What the simulator meets on the way.
    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()>;

    /// Estimate of the fidelity of the state sampled from, 1 where nothing is truncated.
    fn fidelity_estimate(&self) -> f64;

    /// Whether shots are to be drawn one after another, because a single one takes all threads and much memory.
    fn one_by_one(&self) -> bool {
        false
    }
}

/// Shots drawn at once.
const BLOCK: usize = 1 << 12;

/// Runs circuits that start in `|0..0>`. Bits are written qubit 0 first.
///
/// Implement the four required methods; the rest follows.
pub trait Simulator: Sync {
    /// How it works.
    fn method(&self) -> Method;

    /// Prepares for shots. A circuit without a measurement is measured at its end, on all qubits.
    ///
    /// # Errors
    /// [`crate::Error::Circuit`] for a symbol without a value, [`crate::Error::Room`] if the circuit is too large.
    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>>;

    /// The amplitude of a basis state at the end; `bits` has a 0 or 1 for each qubit, and measurements that end the
    /// circuit are left out.
    ///
    /// # Errors
    /// As [`Simulator::sampler`]; [`crate::Error::Circuit`] if the circuit measures, resets or has conditions before its end.
    fn amplitude(&self, circuit: &Circuit, bits: &[u8]) -> Result<LogScaled<Complex64>>;

    /// The expectation of an observable at the end.
    ///
    /// # Errors
    /// As [`Simulator::amplitude`].
    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64>;

    /// Probabilities of the outcomes of some qubits at the end, `[2^qubits]`, the first one given most significant.
    ///
    /// # Errors
    /// As [`Simulator::amplitude`].
    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>>;

    /// Estimate of the fidelity of the final state, 1 where nothing is truncated.
    ///
    /// # Errors
    /// As [`Simulator::amplitude`].
    fn fidelity_estimate(&self, _circuit: &Circuit) -> Result<f64> {
        Ok(1.0)
    }

    /// Draws `count` shots.
    ///
    /// # Errors
    /// As [`Simulator::sampler`].
    fn shots(&self, circuit: &Circuit, count: usize, seed: Seed) -> Result<Shots> {
        let sampler = self.sampler(circuit, seed)?;
        let width = sampler.width();
        let what = || format!("array of {count} shots of {width} bits");
        check_room::<u8>(what, count.checked_mul(width), "draw fewer shots, or count them")?;
        let mut rows = vec![0; count * width];
        fill(sampler.as_ref(), 0, &mut rows)?;
        Ok(Shots { width, rows, method: self.method(), fidelity_estimate: sampler.fidelity_estimate() })
    }

    /// Draws shots and counts them by their bits, with the estimate of the fidelity; only the counts are kept.
    ///
    /// # Errors
    /// As [`Simulator::sampler`].
    fn counts(&self, circuit: &Circuit, count: usize, seed: Seed) -> Result<(BTreeMap<String, u64>, f64)> {
        let sampler = self.sampler(circuit, seed)?;
        let width = sampler.width();
        let mut counts = BTreeMap::new();
        let mut rows = Vec::new();
        let mut done = 0;
        while done < count {
            let now = (count - done).min(16 * BLOCK);
            rows.resize(now * width, 0);
            fill(sampler.as_ref(), done as u64, &mut rows)?;
            tally(&rows, width, &mut counts);
            done += now;
        }
        Ok((counts, sampler.fidelity_estimate()))
    }
}

/// That there is a 0 or 1 for each qubit.
fn check_bits(circuit: &Circuit, bits: &[u8]) -> Result<()> {
    if bits.len() != circuit.num_qubits() {
        let what = format!("{} bits given for an amplitude of {} qubits", bits.len(), circuit.num_qubits());
        return Err(Error::Circuit { what });
    }
    match bits.iter().find(|&&bit| bit > 1) {
        Some(bit) => Err(Error::Circuit { what: format!("bit {bit} of an amplitude: give 0 or 1") }),
        None => Ok(()),
    }
}

/// Qubits of which a marginal is given.
const MAX_MARGINAL: usize = 26;

/// That a marginal is of few qubits, each there and given once.
fn check_marginal(available: usize, qubits: &[usize]) -> Result<()> {
    let twice = (1..qubits.len()).find(|&i| qubits[..i].contains(&qubits[i]));
    let what = if let Some(qubit) = qubits.iter().find(|&&q| q >= available) {
        format!("marginal of qubit {qubit}: there are {available}")
    } else if let Some(i) = twice {
        format!("marginal of qubit {} twice", qubits[i])
    } else if qubits.len() > MAX_MARGINAL {
        format!("marginal of {} qubits: at most {MAX_MARGINAL}", qubits.len())
    } else {
        return Ok(());
    };
    Err(Error::Circuit { what })
}

/// Shots from number `first` on, over the threads that are there.
fn fill(sampler: &dyn Sampler, first: u64, rows: &mut [u8]) -> Result<()> {
    let width = sampler.width().max(1);
    if sampler.one_by_one() {
        return rows.chunks_mut(width).enumerate().try_for_each(|(i, bits)| sampler.draw(first + i as u64, bits));
    }
    // Small blocks where shots are few, so that every thread has some.
    let block = (rows.len() / width / 64).clamp(1, BLOCK);
    let blocks: Vec<(usize, &mut [u8])> = rows.chunks_mut(block * width).enumerate().collect();
    let results = parallel::map(blocks, |(number, rows)| {
        rows.chunks_mut(width)
            .enumerate()
            .try_for_each(|(i, bits)| sampler.draw(first + (number * block + i) as u64, bits))
    });
    results.into_iter().collect()
}

fn tally(rows: &[u8], width: usize, counts: &mut BTreeMap<String, u64>) {
    for row in rows.chunks(width.max(1)) {
        let text: String = row.iter().map(|&bit| if bit == 0 { '0' } else { '1' }).collect();
        *counts.entry(text).or_insert(0) += 1;
    }
}

/// Outcomes of a circuit run many times.
#[derive(Debug, Clone, PartialEq)]
pub struct Shots {
    width: usize,
    rows: Vec<u8>,
    /// How they were drawn.
    pub method: Method,
    /// Estimate of the fidelity of the state, 1 where nothing was truncated.
    pub fidelity_estimate: f64,
}

impl Shots {
    /// Bits of a shot.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The shots in order.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.chunks(self.width.max(1))
    }

    /// How often each outcome came.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        tally(&self.rows, self.width, &mut counts);
        counts
    }
}

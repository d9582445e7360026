//! Simulation by all amplitudes.

use std::marker::PhantomData;

use num_complex::Complex64;

use super::compile::{Merger, Op};
use super::program::{Placed, Program};
use super::register::{Register, Shooter};
use super::stage::{self, Stage};
use super::state::State;
use super::{Method, Sampler, Simulator, check_bits};
use crate::circuit::circuit::Circuit;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::Result;
use crate::random::{Seed, Stream};
use crate::scalar::{LogScaled, Real};

/// Simulates by all `2^qubits` amplitudes, in single or double precision (`T` is `f32` or `f64`).
///
/// Gates of one qubit are merged; a state larger than the cache is worked at in blocks, each of which takes many gates at
/// once. Results are the same bits for any number of threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statevector<T> {
    precision: PhantomData<T>,
}

/// Gates with the passes they are done in.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub ops: Vec<Op>,
    pub stages: Vec<Stage>,
}

/// Gates in a row, merged and put into passes.
pub(super) fn stretch(gates: &[Placed<'_>], qubits: usize) -> Result<Stretch> {
    let mut merger = Merger::default();
    for placed in gates {
        let positions: Vec<usize> = placed.qubits.iter().map(|&q| qubits - 1 - q).collect();
        merger.push(placed.gate, &positions).map_err(|e| placed.at(e))?;
    }
    let ops = merger.finish();
    Ok(Stretch { stages: stage::plan(&ops, qubits), ops })
}

impl<T: Real> Statevector<T> {
    /// The simulator; it has no settings.
    #[must_use]
    pub fn new() -> Self {
        Statevector { precision: PhantomData }
    }

    /// The state at the end of a circuit; measurements that end it are left out.
    ///
    /// # Errors
    /// [`crate::Error::Room`] if there is no memory for it; [`crate::Error::Circuit`] for a symbol without a value, and if
    /// the circuit has noise, measures, resets or has conditions before its end.
    pub fn state(&self, circuit: &Circuit) -> Result<State<T>> {
        let qubits = circuit.num_qubits();
        State::<T>::check(qubits, 1)?;
        let program = Program::new(circuit, |gates| stretch(gates, qubits))?;
        program.check_single()?;
        let mut state = State::zero(qubits)?;
        state.apply(&program.first.ops, &program.first.stages);
        Ok(state)
    }
}

impl<T: Real> Simulator for Statevector<T> {
    fn method(&self) -> Method {
        Method::Statevector
    }

    fn sampler(&self, circuit: &Circuit, seed: Seed) -> Result<Box<dyn Sampler>> {
        let qubits = circuit.num_qubits();
        State::<T>::check(qubits, 1)?;
        let program = Program::new(circuit, |gates| stretch(gates, qubits))?;
        if !program.rest.is_empty() {
            // Every thread has its own copy at a time.
            let copies = if stage::is_large(qubits) { 1 } else { rayon::current_num_threads() };
            State::<T>::check(qubits, 1 + copies)?;
        }
        let start = Held { state: State::<T>::zero(qubits)?, cumulated: Vec::new() };
        Ok(Box::new(Shooter::new(start, program, seed)?))
    }

    fn amplitude(&self, circuit: &Circuit, bits: &[u8]) -> Result<LogScaled<Complex64>> {
        check_bits(circuit, bits)?;
        let state = self.state(circuit)?;
        Ok(state.amplitude(bits.iter().fold(0, |index, &bit| index * 2 + usize::from(bit))).into())
    }

    fn expectation(&self, circuit: &Circuit, observable: &PauliSum) -> Result<f64> {
        observable.check(circuit.num_qubits())?;
        self.state(circuit)?.expectation(observable)
    }

    fn marginal(&self, circuit: &Circuit, qubits: &[usize]) -> Result<Vec<f64>> {
        self.state(circuit)?.marginal(qubits)
    }
}

/// A state with what drawing from it needs.
#[derive(Clone)]
struct Held<T> {
    state: State<T>,
    cumulated: Vec<f64>,
}

impl<T: Real> Register for Held<T> {
    type Gates = Stretch;

    fn apply(&mut self, gates: &Stretch) -> Result<()> {
        self.state.apply(&gates.ops, &gates.stages);
        Ok(())
    }

    fn measure(&mut self, qubit: usize, stream: &mut Stream) -> Result<bool> {
        Ok(self.state.measure(qubit, stream))
    }

    fn flip(&mut self, qubit: usize) -> Result<()> {
        self.state.flip(qubit);
        Ok(())
    }

    fn apply_matrix(&mut self, matrix: &Matrix, qubits: &[usize]) -> Result<()> {
        let n = self.state.qubits();
        let ops = [Op::of(Vec::new(), qubits.iter().map(|&q| n - 1 - q).collect(), matrix)];
        let stages = stage::plan(&ops, n);
        self.state.apply(&ops, &stages);
        Ok(())
    }

    fn density(&mut self, qubits: &[usize]) -> Result<Vec<Complex64>> {
        Ok(self.state.density(qubits))
    }

    fn ready(&mut self) -> Result<()> {
        self.cumulated = self.state.cumulated();
        Ok(())
    }

    fn draw(&self, stream: &mut Stream, bits: &mut [u8]) -> Result<()> {
        let found = self.state.draw(&self.cumulated, stream);
        let last = self.state.qubits().saturating_sub(1);
        bits.iter_mut().enumerate().for_each(|(qubit, bit)| *bit = (found >> (last - qubit) & 1) as u8);
        Ok(())
    }

    fn is_large(&self) -> bool {
        stage::is_large(self.state.qubits())
    }
}

//! Simulation by all amplitudes.

use std::marker::PhantomData;

use num_complex::Complex64;

use super::program::{Program, Step};
use super::stage;
use super::state::State;
use super::{Method, Sampler, Simulator};
use crate::circuit::circuit::Circuit;
use crate::circuit::pauli::PauliSum;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::scalar::{LogScaled, Real};

/// Simulates by all `2^qubits` amplitudes, in single or double precision (`T` is `f32` or `f64`).
///
/// Gates of one qubit are merged; a state larger than the cache is worked at in blocks, each of which takes many gates at
/// once. Results are the same bits for any number of threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statevector<T> {
    precision: PhantomData<T>,
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
    /// [`Error::Room`] if there is no memory for it; [`Error::Circuit`] for a symbol without a value, and if the circuit
    /// measures, resets or has conditions before its end.
    pub fn state(&self, circuit: &Circuit) -> Result<State<T>> {
        State::<T>::check(circuit.num_qubits(), 1)?;
        let program = Program::new(circuit)?;
        if !program.rest.is_empty() {
            let what = "the circuit measures, resets or has conditions before its end, so it has no single final state; \
                        draw shots";
            return Err(Error::Circuit { what: what.into() });
        }
        let mut state = State::zero(circuit.num_qubits())?;
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
        let program = Program::new(circuit)?;
        if !program.rest.is_empty() {
            // Every thread has its own copy at a time.
            let copies = if stage::is_large(qubits) { 1 } else { rayon::current_num_threads() };
            State::<T>::check(qubits, 1 + copies)?;
        }
        let mut state = State::<T>::zero(qubits)?;
        state.apply(&program.first.ops, &program.first.stages);
        if !program.rest.is_empty() {
            return Ok(Box::new(Trajectories { state, program, bits: circuit.num_bits(), seed }));
        }
        let outcome = if program.measures { program.outcome } else { (0..qubits).map(Some).collect() };
        let cumulated = state.cumulated();
        Ok(Box::new(Draws { state, cumulated, outcome, seed }))
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

/// Shots of a state that is measured once.
struct Draws<T> {
    state: State<T>,
    cumulated: Vec<f64>,
    outcome: Vec<Option<usize>>,
    seed: Seed,
}

impl<T: Real> Sampler for Draws<T> {
    fn width(&self) -> usize {
        self.outcome.len()
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let found = self.state.draw(&self.cumulated, &mut self.seed.stream("shot", index));
        let last = self.state.qubits().saturating_sub(1);
        for (bit, qubit) in bits.iter_mut().zip(&self.outcome) {
            *bit = qubit.map_or(0, |qubit| (found >> (last - qubit) & 1) as u8);
        }
        Ok(())
    }

    fn fidelity_estimate(&self) -> f64 {
        1.0
    }
}

/// Shots of a circuit that goes on after a measurement.
struct Trajectories<T> {
    state: State<T>,
    program: Program,
    bits: usize,
    seed: Seed,
}

impl<T: Real> Sampler for Trajectories<T> {
    fn width(&self) -> usize {
        if self.program.measures { self.bits } else { self.state.qubits() }
    }

    fn draw(&self, index: u64, bits: &mut [u8]) -> Result<()> {
        let mut stream = self.seed.stream("shot", index);
        let mut state = self.state.clone();
        let mut classical = vec![0; self.bits];
        for (condition, step) in &self.program.rest {
            if condition.is_some_and(|c| !c.holds(&classical)) {
                continue;
            }
            match step {
                Step::Gates(stretch) => state.apply(&stretch.ops, &stretch.stages),
                Step::Measure { qubit, bit } => classical[*bit] = u8::from(state.measure(*qubit, &mut stream)),
                Step::Reset { qubit } => {
                    if state.measure(*qubit, &mut stream) {
                        state.flip(*qubit);
                    }
                }
            }
        }
        if self.program.measures {
            bits.iter_mut().zip(&classical).for_each(|(bit, &value)| *bit = value);
        } else {
            let found = state.draw(&state.cumulated(), &mut stream);
            let last = state.qubits().saturating_sub(1);
            bits.iter_mut().enumerate().for_each(|(qubit, bit)| *bit = (found >> (last - qubit) & 1) as u8);
        }
        Ok(())
    }

    fn one_by_one(&self) -> bool {
        stage::is_large(self.state.qubits())
    }

    fn fidelity_estimate(&self) -> f64 {
        1.0
    }
}

//! Quantum circuits: gates, circuits as values, OpenQASM, observables, simulators (`docs/circuits.md`).
//!
//! - A [`Gate`] is a row of [`GATES`] with parameters, a unitary [`Matrix`], or a control of another gate; a [`Circuit`] is
//!   instructions on named registers.
//! - [`Circuit::from_qasm`] and [`Circuit::to_qasm`] read and write OpenQASM, [`from_qsim`] the text format of Google's
//!   circuits.
//! - A [`PauliSum`] is an observable.
//! - A [`Simulator`] draws shots and gives amplitudes, expectations and marginals; [`Statevector`] is one.
//!
//! Order of bits, everywhere: **qubit 0 comes first**. It is the leftmost character of a bit string, the most significant
//! bit of an index into amplitudes, and the first leg of a matrix; classical bits are written in order of declaration,
//! bit 0 of the first register leftmost.
//!
//! ```
//! use ansatz::circuit::{Circuit, Simulator, Statevector};
//! let mut bell = Circuit::new(2)?;
//! bell.h(0)?.cx(0, 1)?;
//! let amplitude = Statevector::<f64>::new().amplitude(&bell, &[1, 1])?;
//! assert!((amplitude.value().re - 0.5f64.sqrt()).abs() < 1e-15);
//! # Ok::<(), ansatz::Error>(())
//! ```

mod channel;
#[allow(clippy::module_inception)]
mod circuit;
mod gate;
mod instruction;
mod matrix;
mod noise;
mod parameter;
mod pauli;
mod prepare;
mod qasm;
mod qsim;
mod simulate;
mod synthesis;
mod table;
mod transform;

pub use channel::Channel;
pub use circuit::{Circuit, MAX_INSTRUCTIONS, MAX_QUBITS};
pub use gate::Gate;
pub use instruction::{Condition, Instruction, Operation, Register};
pub use matrix::Matrix;
pub use noise::Noise;
pub use parameter::Parameter;
pub use pauli::{Pauli, PauliString, PauliSum};
pub use prepare::{LayeredPreparation, Layers, prepare};
pub use qasm::{Include, QELIB1};
pub use qsim::from_qsim;
pub use simulate::{
    Choice, CliffordSimulator, ContractSimulator, Density, DensityMatrix, Gradient, Method, MpsRun, MpsSimulator,
    PurifiedRun, PurifiedSimulator, Sampler, Shots, Simulator, State, Statevector, Task, choose,
    expectation_from_shots, parameter_shift,
};
pub use table::{GATES, GateKind, GateRow, Inverse, gate_named};

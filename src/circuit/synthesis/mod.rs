//! Unitary matrices as gates of one qubit and CNOTs.

mod builder;
mod isometry;
mod shannon;
mod single;
mod two_qubit;

use ndarray::Array2;
use num_complex::Complex64;

use super::circuit::Circuit;
use super::gate::Gate;
use super::instruction::{Instruction, Operation};
use super::matrix::Matrix;
use crate::error::{Error, Result};

pub(super) use builder::Builder;
pub(super) use isometry::isometry;
pub(super) use single::euler;

/// Qubits of a gate beyond which it is not taken apart: 2.3 million gates for ten.
const MAX_QUBITS: usize = 8;

impl Matrix {
    /// The unitary as a circuit on `qubits` qubits of `u3`, `u1`, `cx` and a phase of the whole, equal to it to rounding.
    ///
    /// One qubit by Euler angles, two by the canonical decomposition with the fewest CNOTs, 0 to 3 (Vatan and Williams, PRA
    /// 69, 032315 (2004)), more by the quantum Shannon decomposition (Shende, Bullock and Markov, IEEE Trans. CAD 25, 1000
    /// (2006)): 20 CNOTs for three qubits, 100 for four, about `23/48 4^n` for `n`.
    ///
    /// ```
    /// use ansatz::circuit::{Gate, Matrix};
    /// let swap = Gate::named("swap", &[])?.matrix()?;
    /// assert_eq!(swap.to_circuit()?.counts()["cx"], 3);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Circuit`] if the matrix is not unitary, and by how much, or is of no or more than eight qubits.
    pub fn to_circuit(&self) -> Result<Circuit> {
        let n = self.qubits();
        if !(1..=MAX_QUBITS).contains(&n) {
            let what = format!("a unitary of {n} qubits to be made of gates: give 1 to {MAX_QUBITS}");
            return Err(Error::Circuit { what });
        }
        self.check_unitary()?;
        let mut builder = Builder::new(n);
        let matrix = Array2::from_shape_fn((self.dim(), self.dim()), |(i, j)| self.get(i, j));
        shannon::unitary(&matrix, &(0..n).collect::<Vec<_>>(), &mut builder)?;
        builder.finish()
    }
}

impl Circuit {
    /// The circuit with gates of the table alone: unitaries of two and three qubits, and gates under controls that no gate of
    /// the table has, become `u3`, `u1` and `cx` as [`Matrix::to_circuit`] has it. What it does is the same, the phase of the
    /// whole included where no condition is.
    ///
    /// # Errors
    /// [`Error::Circuit`] for such a gate on more than eight qubits or with a symbol without a value.
    pub fn elementary(&self) -> Result<Circuit> {
        let mut circuit = self.emptied();
        for (number, instruction) in self.instructions().iter().enumerate() {
            let Operation::Gate { gate, qubits } = &instruction.operation else {
                circuit.push(instruction.clone())?;
                continue;
            };
            match elementary(gate).map_err(|e| within(number, gate, e))? {
                None => drop(circuit.push(instruction.clone())?),
                Some(parts) => {
                    for part in parts.instructions() {
                        let Operation::Gate { gate, qubits: on } = &part.operation else { continue };
                        let qubits = on.iter().map(|&q| qubits[q]).collect();
                        let operation = Operation::Gate { gate: gate.clone(), qubits };
                        circuit.push(Instruction { operation, condition: instruction.condition })?;
                    }
                }
            }
        }
        Ok(circuit)
    }
}

fn within(number: usize, gate: &Gate, error: Error) -> Error {
    match error {
        Error::Circuit { what } => Error::Circuit { what: format!("instruction {number} ({}): {what}", gate.name()) },
        other => other,
    }
}

/// A gate as gates of the table on its qubits; nothing if it is one.
pub(super) fn elementary(gate: &Gate) -> Result<Option<Circuit>> {
    if matches!(gate, Gate::Named { .. }) {
        return Ok(None);
    }
    if gate.qubits() > MAX_QUBITS {
        let what = format!(
            "a gate of {} qubits, at most {MAX_QUBITS} are taken apart; make it of gates of the table",
            gate.qubits()
        );
        return Err(Error::Circuit { what });
    }
    gate.matrix()?.to_circuit().map(Some)
}

/// The largest difference of two matrices.
fn distance(a: &Array2<Complex64>, b: &Array2<Complex64>) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).norm()).fold(0.0, f64::max)
}

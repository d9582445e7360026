//! Gates of one and two qubits put together to fewer of two.

use super::program::Placed;
use crate::circuit::matrix::Matrix;
use crate::error::Result;

/// A gate on qubits.
#[derive(Debug, Clone)]
pub(super) enum Fused {
    /// A matrix on one to three qubits, in the order of its legs.
    Whole { qubits: Vec<usize>, matrix: Matrix },
    /// A matrix on the last qubits where the first ones, the controls, have their values.
    Controlled { controls: Vec<bool>, qubits: Vec<usize>, matrix: Matrix },
}

impl Fused {
    pub(super) fn qubits(&self) -> &[usize] {
        match self {
            Fused::Whole { qubits, .. } | Fused::Controlled { qubits, .. } => qubits,
        }
    }
}

/// Gates in fewer ones, in an order that does the same: a gate of one qubit goes into the one before or after it, gates on
/// the same two qubits in a row become one.
pub(super) fn fuse(gates: &[Placed<'_>], qubits: usize) -> Result<Vec<Fused>> {
    let mut fused: Vec<Fused> = Vec::new();
    let mut last: Vec<Option<usize>> = vec![None; qubits];
    let mut waiting: Vec<Option<Matrix>> = vec![None; qubits];
    for placed in gates {
        let on = placed.qubits;
        match *on {
            [q] => {
                let matrix = placed.gate.matrix().map_err(|e| placed.at(e))?;
                match last[q].and_then(|i| fused.get_mut(i)) {
                    Some(Fused::Whole { qubits, matrix: before }) if qubits.len() <= 2 => {
                        *before = widened(&matrix, &[q], qubits).times(before)?;
                    }
                    _ => {
                        waiting[q] = Some(match waiting[q].take() {
                            Some(before) => matrix.times(&before)?,
                            None => matrix,
                        });
                    }
                }
            }
            [a, b] => {
                let mut matrix = placed.gate.matrix().map_err(|e| placed.at(e))?;
                for q in [a, b] {
                    if let Some(before) = waiting[q].take() {
                        matrix = matrix.times(&widened(&before, &[q], on))?;
                    }
                }
                match last[a].filter(|_| last[a] == last[b]).and_then(|i| fused.get_mut(i)) {
                    Some(Fused::Whole { qubits, matrix: before }) if qubits.len() == 2 => {
                        *before = widened(&matrix, on, qubits).times(before)?;
                    }
                    _ => {
                        (last[a], last[b]) = (Some(fused.len()), Some(fused.len()));
                        fused.push(Fused::Whole { qubits: on.to_vec(), matrix });
                    }
                }
            }
            _ => {
                for &q in on {
                    if let Some(matrix) = waiting[q].take() {
                        fused.push(Fused::Whole { qubits: vec![q], matrix });
                    }
                }
                on.iter().for_each(|&q| last[q] = Some(fused.len()));
                let matrix = placed.gate.target_matrix().map_err(|e| placed.at(e))?;
                let controls = placed.gate.controls();
                fused.push(if controls.is_empty() {
                    Fused::Whole { qubits: on.to_vec(), matrix }
                } else {
                    Fused::Controlled { controls, qubits: on.to_vec(), matrix }
                });
            }
        }
    }
    for (q, matrix) in waiting.into_iter().enumerate() {
        if let Some(matrix) = matrix {
            fused.push(Fused::Whole { qubits: vec![q], matrix });
        }
    }
    Ok(fused)
}

/// A matrix on the qubits `on` as one on `all` of up to two qubits, which hold `on`.
fn widened(matrix: &Matrix, on: &[usize], all: &[usize]) -> Matrix {
    match (on, all) {
        (&[q], &[a, _]) if q == a => matrix.kron(&Matrix::identity(1)),
        (&[_], &[_, _]) => Matrix::identity(1).kron(matrix),
        (&[a, _], &[b, _]) if a != b => matrix.reordered(&[1, 0]),
        _ => matrix.clone(),
    }
}

//! Isometries: unitaries of which only some columns count.

use ndarray::{Array2, s};
use num_complex::Complex64;

use super::builder::Builder;
use super::shannon::{self, Shannon, Then};
use crate::error::Result;
use crate::linalg::{completed, cosine_sine_columns};

/// Columns `[2^n, k]`, orthonormal: what becomes of the first `k` basis states of the qubits but the first, which starts in 0.
/// For `k` above `2^(n - 1)` a unitary with these columns first.
///
/// With the first qubit in 0 the two right factors of the cosine-sine decomposition may be the same, which saves a quarter of
/// the gates.
pub(in crate::circuit) fn isometry(columns: &Array2<Complex64>, qubits: &[usize], builder: &mut Builder) -> Result<()> {
    let (dim, count) = columns.dim();
    let [select, rest @ ..] = qubits else { return Ok(()) };
    if count > dim / 2 || rest.is_empty() {
        return shannon::unitary(&completed(&columns.view())?, qubits, builder);
    }
    let half = completed(&columns.view())?.slice(s![.., ..dim / 2]).to_owned();
    let (left, theta, right) = cosine_sine_columns(&half.view())?;
    let mut shannon = Shannon::new(builder);
    shannon.unitary(&right, rest, Then::More)?;
    shannon.rotated(left, &theta, *select, rest, Then::End)
}

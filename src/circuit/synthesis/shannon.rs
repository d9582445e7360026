//! The quantum Shannon decomposition.
//!
//! Shende, Bullock and Markov, IEEE Trans. CAD 25, 1000 (2006), with their first saving: the last controlled Z of a multiplexed
//! rotation about Y goes into the block after it.
//!
//! ```text
//! --[   ]--     --[Rz]--[Ry]--[Rz]--          a box with a slash is a rotation for each value of the other qubits
//!   [ U ]    =      |     |     |
//! --[   ]--     [W]-/-[V]-/-[W']-/-[V']
//! ```

use ndarray::{Array2, s};
use num_complex::Complex64;

use super::builder::Builder;
use super::single::Single;
use super::{distance, two_qubit};
use crate::error::Result;
use crate::linalg::{CosineSine, Op, cosine_sine, eig_unitary, matmul};

/// Blocks that differ by less are equal but for rounding.
const EQUAL: f64 = 1e-13;

/// A unitary `[2^n, 2^n]` on `n` qubits, the first one most significant.
pub(super) fn unitary(matrix: &Array2<Complex64>, qubits: &[usize], builder: &mut Builder) -> Result<()> {
    match *qubits {
        [] => builder.phase(matrix[[0, 0]].arg()),
        [q] => {
            let single: Single = std::array::from_fn(|i| matrix[[i / 2, i % 2]]);
            builder.single(q, &single);
        }
        [a, b] => two_qubit::unitary(matrix, [a, b], builder)?,
        [select, ref rest @ ..] => {
            let m = matrix.nrows() / 2;
            let block = |i: usize, j: usize| matrix.slice(s![i * m..(i + 1) * m, j * m..(j + 1) * m]).to_owned();
            let off = [block(0, 1), block(1, 0)];
            if off.iter().flatten().all(|x| x.norm() < EQUAL) {
                return multiplexed(&block(0, 0), &block(1, 1), select, rest, builder);
            }
            let CosineSine { left, theta, right } = cosine_sine(&matrix.view())?;
            multiplexed(&right[0], &right[1], select, rest, builder)?;
            rotated(left, &theta, select, rest, builder)?;
        }
    }
    Ok(())
}

/// `diag(L0, L1) [[C, -S], [S, C]]`.
pub(super) fn rotated(
    mut left: [Array2<Complex64>; 2],
    theta: &[f64],
    select: usize,
    rest: &[usize],
    builder: &mut Builder,
) -> Result<()> {
    let angles: Vec<f64> = theta.iter().map(|t| 2.0 * t).collect();
    if let Some(control) = builder.multiplexed_ry(&angles, rest, select) {
        // The controlled Z that is left over acts before the second block, where the selecting qubit is 1.
        let bit = rest.len() - 1 - control;
        for (i, mut column) in left[1].columns_mut().into_iter().enumerate() {
            if i >> bit & 1 == 1 {
                column.mapv_inplace(|x| -x);
            }
        }
    }
    multiplexed(&left[0], &left[1], select, rest, builder)
}

/// `diag(first, second)`: one unitary where `select` is 0, another where it is 1.
pub(super) fn multiplexed(
    first: &Array2<Complex64>,
    second: &Array2<Complex64>,
    select: usize,
    rest: &[usize],
    builder: &mut Builder,
) -> Result<()> {
    if distance(first, second) < EQUAL {
        return unitary(first, rest, builder);
    }
    // first = V D W, second = V D^H W.
    let (angles, v) = eig_unitary(&matmul(&first.view(), Op::None, &second.view(), Op::Adjoint).view())?;
    let mut w = matmul(&v.view(), Op::Adjoint, &second.view(), Op::None);
    for (mut row, angle) in w.rows_mut().into_iter().zip(&angles) {
        let turn = Complex64::cis(angle / 2.0);
        row.mapv_inplace(|x| x * turn);
    }
    unitary(&w, rest, builder)?;
    let angles: Vec<f64> = angles.iter().map(|a| -a).collect();
    builder.multiplexed_rz(&angles, rest, select);
    unitary(&v, rest, builder)
}

//! The quantum Shannon decomposition.
//!
//! Shende, Bullock and Markov, IEEE Trans. CAD 25, 1000 (2006), with their two savings: the last controlled Z of a multiplexed
//! rotation about Y goes into the block after it; and a block on the last two qubits is made but for a diagonal, which passes the
//! controls of the rotations that follow and goes into the next such block.
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

/// Whether more blocks on the same qubits follow, into which a diagonal can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    More,
    End,
}

/// A unitary `[2^n, 2^n]` on `n` qubits, the first one most significant.
pub(super) fn unitary(matrix: &Array2<Complex64>, qubits: &[usize], builder: &mut Builder) -> Result<()> {
    Shannon::new(builder).unitary(matrix, qubits, Then::End)
}

/// Gates as they come.
pub(super) struct Shannon<'a> {
    builder: &'a mut Builder,
    /// A diagonal on the last two qubits that goes into the next block on them.
    carried: Option<[Complex64; 4]>,
}

impl<'a> Shannon<'a> {
    pub(super) fn new(builder: &'a mut Builder) -> Self {
        Shannon { builder, carried: None }
    }

    /// A unitary `[2^n, 2^n]` on `n` qubits; all calls up to the one with [`Then::End`] have the same last two qubits.
    pub(super) fn unitary(&mut self, matrix: &Array2<Complex64>, qubits: &[usize], then: Then) -> Result<()> {
        match *qubits {
            [] => self.builder.phase(matrix[[0, 0]].arg()),
            [q] => {
                let single: Single = std::array::from_fn(|i| matrix[[i / 2, i % 2]]);
                self.builder.single(q, &single);
            }
            [a, b] => {
                let mut matrix = matrix.clone();
                for (mut column, factor) in
                    matrix.columns_mut().into_iter().zip(self.carried.take().into_iter().flatten())
                {
                    column.mapv_inplace(|x| x * factor);
                }
                match then {
                    Then::More => self.carried = two_qubit::up_to_diagonal(&matrix, [a, b], self.builder)?,
                    Then::End => two_qubit::unitary(&matrix, [a, b], self.builder)?,
                }
            }
            [select, ref rest @ ..] => {
                let m = matrix.nrows() / 2;
                let block = |i: usize, j: usize| matrix.slice(s![i * m..(i + 1) * m, j * m..(j + 1) * m]).to_owned();
                let off = [block(0, 1), block(1, 0)];
                if off.iter().flatten().all(|x| x.norm() < EQUAL) {
                    return self.multiplexed(&block(0, 0), &block(1, 1), select, rest, then);
                }
                let CosineSine { left, theta, right } = cosine_sine(&matrix.view())?;
                self.multiplexed(&right[0], &right[1], select, rest, Then::More)?;
                self.rotated(left, &theta, select, rest, then)?;
            }
        }
        Ok(())
    }

    /// `diag(L0, L1) [[C, -S], [S, C]]`.
    pub(super) fn rotated(
        &mut self,
        mut left: [Array2<Complex64>; 2],
        theta: &[f64],
        select: usize,
        rest: &[usize],
        then: Then,
    ) -> Result<()> {
        let angles: Vec<f64> = theta.iter().map(|t| 2.0 * t).collect();
        if let Some(control) = self.builder.multiplexed_ry(&angles, rest, select) {
            // The controlled Z that is left over acts before the second block, where the selecting qubit is 1.
            let bit = rest.len() - 1 - control;
            for (i, mut column) in left[1].columns_mut().into_iter().enumerate() {
                if i >> bit & 1 == 1 {
                    column.mapv_inplace(|x| -x);
                }
            }
        }
        self.multiplexed(&left[0], &left[1], select, rest, then)
    }

    /// `diag(first, second)`: one unitary where `select` is 0, another where it is 1.
    fn multiplexed(
        &mut self,
        first: &Array2<Complex64>,
        second: &Array2<Complex64>,
        select: usize,
        rest: &[usize],
        then: Then,
    ) -> Result<()> {
        if distance(first, second) < EQUAL {
            return self.unitary(first, rest, then);
        }
        // first = V D W, second = V D^H W.
        let (angles, v) = eig_unitary(&matmul(&first.view(), Op::None, &second.view(), Op::Adjoint).view())?;
        let mut w = matmul(&v.view(), Op::Adjoint, &second.view(), Op::None);
        for (mut row, angle) in w.rows_mut().into_iter().zip(&angles) {
            let turn = Complex64::cis(angle / 2.0);
            row.mapv_inplace(|x| x * turn);
        }
        self.unitary(&w, rest, Then::More)?;
        let angles: Vec<f64> = angles.iter().map(|a| -a).collect();
        self.builder.multiplexed_rz(&angles, rest, select);
        self.unitary(&v, rest, then)
    }
}

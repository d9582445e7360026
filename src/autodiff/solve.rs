//! Linear systems and the exponential.
//!
//! ```text
//!   A X = B:      gB = A^-H gX,   gA = -gB X^H
//!   E = exp(A):   gA = the derivative of exp at A^H along gE, the upper right block of  exp [ A^H  gE  ]
//!                                                                                           [  0   A^H ]
//! ```
//! (Najfeld and Havel, Adv. Appl. Math. 16, 321, 1995, for the block matrix.)

use ndarray::ArrayView2;

use super::backward::Pull;
use super::matrix::{COL, Matrix, ROW, adjoint, col, dot, row};
use super::op::Op;
use super::tape::Var;
use crate::error::{Error, Result};
use crate::linalg;
use crate::scalar::{Real, Scalar};
use crate::tensor::Tensor;

/// The elements of a matrix.
pub(super) fn as_view<T: Scalar>(a: &Tensor<T>) -> Result<ArrayView2<'_, T>> {
    let view = a.view_in_order(&[ROW, COL])?;
    view.into_dimensionality().map_err(|_| Error::shape("a matrix on a tape", a.legs(), [ROW, COL]))
}

pub(super) fn as_tensor<T: Scalar>(a: ndarray::Array2<T>) -> Result<Tensor<T>> {
    Tensor::from_array([row(a.nrows()), col(a.ncols())], a)
}

pub(super) fn solve<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    as_tensor(linalg::solve(&as_view(a)?, &as_view(b)?)?)
}

pub(super) fn expm<T: Scalar>(a: &Tensor<T>) -> Result<Tensor<T>> {
    as_tensor(linalg::expm(&as_view(a)?)?)
}

pub(super) fn solve_rule<'t, T: Scalar>(pull: &Pull<'t, '_, T>, g: &Var<'t, T>, k: usize) -> Result<Var<'t, T>> {
    let gb = Var::one(Op::Solve, &[&adjoint(&pull.input(0)?)?, g])?;
    if k == 1 { Ok(gb) } else { dot(&gb, &adjoint(&pull.output(0)?)?)?.neg() }
}

pub(super) fn expm_rule<'t, T: Scalar>(pull: &Pull<'t, '_, T>, g: &Var<'t, T>) -> Result<Var<'t, T>> {
    let a = adjoint(&pull.input(0)?)?;
    let n = a.value.dim(ROW)?;
    // The derivative is linear in g; one of the size of A keeps the scaling of the block matrix that of A. A power of
    // two, so that nothing is rounded.
    let (size, own) = (Real::to_f64(g.value.norm().value()), Real::to_f64(a.value.norm().value()).max(1e-3));
    let factor =
        if size > 0.0 && size.is_finite() { (own / size).log2().round().clamp(-60.0, 60.0).exp2() } else { 1.0 };
    let left = a.pad(ROW, 0, 2 * n)?;
    let right = Var::concat(&[&g.scale(T::from_f64(factor))?, &a], ROW)?;
    let exponential = Var::one(Op::Expm, &[&Var::concat(&[&left, &right], COL)?])?;
    exponential.slice(ROW, 0..n)?.slice(COL, n..2 * n)?.scale(T::from_f64(1.0 / factor))
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The `X` with `sum over cols of A[rows, cols] X[cols, ..] = B[rows, ..]`: `self` is `A`, and `rows` are its legs
    /// that are not `cols`, which `b` has to have; the others of `b` become legs of `X`.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown, or a row of `A` is not on `b`; as [`linalg::solve`].
    pub fn solve<S: AsRef<str>>(&self, b: &Self, cols: &[S]) -> Result<Self> {
        let rows: Vec<String> = self
            .legs()
            .iter()
            .filter(|leg| !cols.iter().any(|name| name.as_ref() == leg.name()))
            .map(|leg| leg.name().to_owned())
            .collect();
        if let Some(leg) = rows
            .iter()
            .map(|name| self.value.leg(name))
            .find(|leg| leg.as_ref().is_ok_and(|leg| b.value.leg(leg).ok() != Some(leg)))
        {
            let what = format!("solve: {} of {} is not on the right-hand side {}", leg?, self.value, b.value);
            return Err(Error::Leg { what });
        }
        let (a, b) = (Matrix::between(self, &rows, cols)?, Matrix::new(b, &rows)?);
        Var::one(Op::Solve, &[&a.matrix, &b.matrix])?.split(ROW, &a.right)?.split(COL, &b.right)
    }

    /// `exp(A)` of a tensor as a matrix from the legs `right` to the legs `left`, paired in the given orders.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `left` and `right` name every leg once, [`Error::Shape`] if their dimensions differ; as
    /// [`linalg::expm`].
    pub fn expm<S: AsRef<str>>(&self, left: &[S], right: &[S]) -> Result<Self> {
        let m = Matrix::square(self, left, right)?;
        Var::one(Op::Expm, &[&m.matrix])?.split(ROW, &m.left)?.split(COL, &m.right)
    }
}

//! Matrices and vectors on a tape, as the rules of factorisations are written.
//!
//! A matrix has the legs [`ROW`] and [`COL`], a vector the leg [`COL`] or [`ROW`]; times a matrix, element by element,
//! the first scales its columns and the second its rows.

use super::rules;
use super::tape::{Tape, Var};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role, Tensor};

// Names that no user writes.
pub(super) const ROW: &str = "\u{3}row";
pub(super) const COL: &str = "\u{3}col";

pub(super) fn row(dim: usize) -> Leg {
    Leg::bond(ROW, dim)
}

pub(super) fn col(dim: usize) -> Leg {
    Leg::bond(COL, dim)
}

/// `A B`
pub(super) fn dot<'t, T: Scalar>(a: &Var<'t, T>, b: &Var<'t, T>) -> Result<Var<'t, T>> {
    a.contract_pairs(b, &[(COL, ROW)])
}

/// `A^H B`, without a copy of a real `A`.
pub(super) fn adjoint_dot<'t, T: Scalar>(a: &Var<'t, T>, b: &Var<'t, T>) -> Result<Var<'t, T>> {
    dot(&adjoint(a)?, b)
}

/// `A^H`
pub(super) fn adjoint<'t, T: Scalar>(a: &Var<'t, T>) -> Result<Var<'t, T>> {
    a.conj()?.rename_all(&[(ROW, COL), (COL, ROW)])
}

/// `(A - A^H) / 2`
pub(super) fn skew<'t, T: Scalar>(a: &Var<'t, T>) -> Result<Var<'t, T>> {
    a.sub(&adjoint(a)?)?.scale(T::from_f64(0.5))
}

/// A vector along rows in place of columns.
pub(super) fn down<'t, T: Scalar>(s: &Var<'t, T>) -> Result<Var<'t, T>> {
    s.rename(COL, ROW)
}

/// The matrix `x_j - x_i` for a vector along columns.
pub(super) fn differences<'t, T: Scalar>(columns: &Var<'t, T>, rows: &Var<'t, T>) -> Result<Var<'t, T>> {
    columns.expand(&[row(rows.value.elements())])?.sub(&down(rows)?)
}

/// The matrix `x_j + x_i` for a vector along columns.
pub(super) fn sums<'t, T: Scalar>(columns: &Var<'t, T>, rows: &Var<'t, T>) -> Result<Var<'t, T>> {
    columns.expand(&[row(rows.value.elements())])?.add(&down(rows)?)
}

/// The unit matrix.
pub(super) fn eye<T: Scalar>(tape: &Tape<T>, n: usize) -> Result<Var<'_, T>> {
    Ok(tape.fixed(rules::identity(&row(n), &col(n))?))
}

/// A constant matrix of numbers.
pub(super) fn constant<T: Scalar>(
    tape: &Tape<T>,
    rows: usize,
    cols: usize,
    f: impl Fn(usize, usize) -> f64,
) -> Result<Var<'_, T>> {
    let array = ndarray::Array2::from_shape_fn((rows, cols), |(i, j)| T::from_f64(f(i, j)));
    Ok(tape.fixed(Tensor::from_array([row(rows), col(cols)], array)?))
}

/// The sum of what there is of two.
pub(super) fn plus<'t, T: Scalar>(a: Option<Var<'t, T>>, b: Option<Var<'t, T>>) -> Result<Option<Var<'t, T>>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(a.add(&b)?),
        (a, b) => a.or(b),
    })
}

/// A tensor as a matrix, and the legs its rows and columns were made of.
pub(super) struct Matrix<'t, T: Scalar> {
    pub(super) matrix: Var<'t, T>,
    pub(super) left: Vec<Leg>,
    pub(super) right: Vec<Leg>,
}

impl<'t, T: Scalar> Matrix<'t, T> {
    /// From the legs that are not `left` to those that are.
    pub(super) fn new<S: AsRef<str>>(a: &Var<'t, T>, left: &[S]) -> Result<Self> {
        let right: Vec<String> = a
            .legs()
            .iter()
            .filter(|leg| !left.iter().any(|name| name.as_ref() == leg.name()))
            .map(|leg| leg.name().to_owned())
            .collect();
        Matrix::between(a, left, &right)
    }

    /// From the legs `right` to the legs `left`, which together are all.
    pub(super) fn between<S: AsRef<str>, R: AsRef<str>>(a: &Var<'t, T>, left: &[S], right: &[R]) -> Result<Self> {
        let order: Vec<&str> = left.iter().map(AsRef::as_ref).chain(right.iter().map(AsRef::as_ref)).collect();
        // Refuses names that are unknown, missing or there twice.
        a.value.permute(&order)?;
        let legs = |names: &[&str]| names.iter().map(|name| a.value.leg(name).cloned()).collect::<Result<Vec<_>>>();
        let (left, right) = (legs(&order[..left.len()])?, legs(&order[left.len()..])?);
        let matrix = a.fuse(&left, ROW, Role::Bond)?.fuse(&right, COL, Role::Bond)?;
        Ok(Matrix { matrix, left, right })
    }

    /// The same, refused unless left and right legs have the same dimensions.
    pub(super) fn square<S: AsRef<str>>(a: &Var<'t, T>, left: &[S], right: &[S]) -> Result<Self> {
        let m = Matrix::between(a, left, right)?;
        let dims = |legs: &[Leg]| legs.iter().map(Leg::dim).collect::<Vec<_>>();
        if dims(&m.left) != dims(&m.right) {
            return Err(Error::shape(format!("the right legs of {}", a.value), dims(&m.right), dims(&m.left)));
        }
        Ok(m)
    }

    /// A matrix from a new bond to the left legs, with its legs.
    pub(super) fn left_factor(&self, factor: &Var<'t, T>, bond: &str) -> Result<Var<'t, T>> {
        factor.rename(COL, bond)?.split(ROW, &self.left)
    }

    /// A matrix from the right legs to a new bond, with its legs.
    pub(super) fn right_factor(&self, factor: &Var<'t, T>, bond: &str) -> Result<Var<'t, T>> {
        factor.rename(ROW, bond)?.split(COL, &self.right)
    }
}

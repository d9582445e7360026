//! Matrix product operators.

use ndarray::{Array2, Array3, Array4};

use super::Mps;
use super::compress::Compression;
use super::mps::{matrix, site_tensor};
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, matmul};
use crate::scalar::{LogScaled, Scalar};

/// A matrix product operator with open boundary, site tensors `[left, out, in, right]`, times a [`LogScaled`] factor.
///
/// ```text
///      o0      o1      o2
///      |       |       |
///     [W0]----[W1]----[W2]      <o0 o1 o2| O |i0 i1 i2>
///      |       |       |
///      i0      i1      i2
/// ```
///
/// ```
/// use ansatz::chain::{Mpo, Mps, OpSum};
/// let mut sum = OpSum::new(&[2; 4]);
/// for i in 0..3 {
///     sum.add(-1.0, [("Z", i), ("Z", i + 1)])?;
/// }
/// let energy: Mpo<f64> = sum.to_mpo()?;
/// let up = Mps::product(&vec![vec![1.0, 0.0]; 4])?;
/// assert!((energy.expectation(&up)? + 3.0).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mpo<T: Scalar> {
    pub(super) tensors: Vec<Array4<T>>,
    pub(super) factor: LogScaled<T>,
}

impl<T: Scalar> Mpo<T> {
    /// An operator from its site tensors `[left, out, in, right]`.
    ///
    /// # Errors
    /// As [`Mps::new`], of which it is the special case of sites with two legs.
    pub fn new(tensors: Vec<Array4<T>>) -> Result<Self> {
        let legs: Vec<_> = tensors.iter().map(|w| (w.dim().1, w.dim().2)).collect();
        let fused = tensors.into_iter().map(|w| {
            let (l, o, i, r) = w.dim();
            let w = if w.is_standard_layout() { w } else { w.as_standard_layout().into_owned() };
            w.into_shape_with_order((l, o * i, r)).unwrap_or_else(|_| Array3::zeros((0, 0, 0)))
        });
        Ok(Mpo::from_chain(Mps::new(fused.collect())?, &legs))
    }

    /// The operator that is a product of one matrix `[out, in]` a site.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn product(matrices: &[Array2<T>]) -> Result<Self> {
        Mpo::new(
            matrices
                .iter()
                .map(|m| Array4::from_shape_fn((1, m.nrows(), m.ncols(), 1), |(_, o, i, _)| m[[o, i]]))
                .collect(),
        )
    }

    /// The identity on sites of these dimensions.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0.
    pub fn identity(dims: &[usize]) -> Result<Self> {
        Mpo::product(&dims.iter().map(|&d| Array2::eye(d)).collect::<Vec<_>>())
    }

    /// The operator with this matrix, `[product of outs, product of ins]`, the last site running fastest in both.
    ///
    /// # Errors
    /// As [`Mps::from_dense`].
    pub fn from_dense(
        dense: &Array2<T>,
        outs: &[usize],
        ins: &[usize],
        truncation: &Truncation,
    ) -> Result<(Self, Compression)> {
        let sizes = (checked_product(outs), checked_product(ins));
        if outs.len() != ins.len() || sizes != (Some(dense.nrows()), Some(dense.ncols())) {
            return Err(Error::shape("the matrix of an operator", dense.dim(), (outs, ins)));
        }
        let legs: Vec<_> = outs.iter().copied().zip(ins.iter().copied()).collect();
        let fused: Vec<usize> = legs.iter().map(|(o, i)| o * i).collect();
        let vector: Vec<T> = (0..dense.len()).map(|k| dense[row_and_column(&legs, k)]).collect();
        let (chain, report) = Mps::from_dense(&vector, &fused, truncation)?;
        Ok((Mpo::from_chain(chain, &legs), report))
    }

    /// The matrix, `[product of outs, product of ins]`, the last site running fastest in both.
    ///
    /// # Errors
    /// As [`Mps::to_dense`].
    pub fn to_dense(&self) -> Result<Array2<T>> {
        let vector = self.as_chain().to_dense()?;
        let mut dense = Array2::zeros((self.outs().iter().product(), self.ins().iter().product()));
        let legs = self.legs();
        vector.into_iter().enumerate().for_each(|(k, x)| dense[row_and_column(&legs, k)] = x);
        Ok(dense)
    }

    /// Number of sites, at least 1.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.tensors.len()
    }

    /// Dimension of each outgoing leg.
    #[must_use]
    pub fn outs(&self) -> Vec<usize> {
        self.tensors.iter().map(|w| w.dim().1).collect()
    }

    /// Dimension of each ingoing leg.
    #[must_use]
    pub fn ins(&self) -> Vec<usize> {
        self.tensors.iter().map(|w| w.dim().2).collect()
    }

    /// Dimension of each of the `sites - 1` bonds.
    #[must_use]
    pub fn bonds(&self) -> Vec<usize> {
        self.tensors.iter().skip(1).map(|w| w.dim().0).collect()
    }

    /// The largest bond dimension; 1 for a single site.
    #[must_use]
    pub fn max_bond(&self) -> usize {
        self.tensors.iter().map(|w| w.dim().0).max().unwrap_or(1)
    }

    /// All tensors, `[left, out, in, right]` each, in standard layout; one with named legs is [`tensor`](Self::tensor).
    #[must_use]
    pub fn tensors(&self) -> &[Array4<T>] {
        &self.tensors
    }

    /// The number by which the product of the tensors is multiplied.
    #[must_use]
    pub fn factor(&self) -> LogScaled<T> {
        self.factor
    }

    /// Multiplies the operator by a number.
    pub fn scale(&mut self, by: LogScaled<T>) {
        self.factor = self.factor * by;
    }

    /// The adjoint operator.
    #[must_use]
    pub fn adjoint(&self) -> Self {
        let flip = |w: &Array4<T>| w.view().permuted_axes([0, 2, 1, 3]).mapv(T::conj).as_standard_layout().into_owned();
        Mpo { tensors: self.tensors.iter().map(flip).collect(), factor: self.factor.conj() }
    }

    /// `self + other`; the bonds are the sums of theirs.
    ///
    /// # Errors
    /// [`Error::Shape`] if the legs differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        if self.outs() != other.outs() || self.ins() != other.ins() {
            let legs = |op: &Self| (op.outs(), op.ins());
            return Err(Error::shape("a sum of operators: the legs (out, in)", legs(other), legs(self)));
        }
        Ok(Mpo::from_chain(self.as_chain().add(&other.as_chain())?, &self.legs()))
    }

    /// The product `self other`: first `other` acts, then `self`; the bonds are the products of theirs.
    ///
    /// # Errors
    /// [`Error::Shape`] if the legs between do not fit.
    pub fn multiply(&self, other: &Self) -> Result<Self> {
        if self.ins() != other.outs() {
            return Err(Error::shape(
                "a product of operators: the outgoing legs of the second",
                other.outs(),
                self.ins(),
            ));
        }
        let tensors = self.tensors.iter().zip(&other.tensors).map(|(a, b)| {
            let ((la, o, m, ra), (lb, _, i, rb)) = (a.dim(), b.dim());
            let a = a.view().permuted_axes([0, 1, 3, 2]).as_standard_layout().into_owned();
            let b = b.view().permuted_axes([1, 0, 2, 3]).as_standard_layout().into_owned();
            let (a, b) = (a.as_slice().unwrap_or_default(), b.as_slice().unwrap_or_default());
            let product = matmul(&matrix(la * o * ra, m, a), Op::None, &matrix(m, lb * i * rb, b), Op::None);
            // [la, o, ra, lb, i, rb] to [(la lb), o, i, (ra rb)]
            let shape = (la * o * ra, lb, i * rb);
            let product = site_tensor(product, shape);
            let product = product.into_shape_with_order(vec![la, o, ra, lb, i, rb]).unwrap_or_default();
            let product = product.permuted_axes(vec![0, 3, 1, 4, 2, 5]).as_standard_layout().into_owned();
            product.into_shape_with_order((la * lb, o, i, ra * rb)).unwrap_or_default()
        });
        Ok(Mpo { tensors: tensors.collect(), factor: self.factor * other.factor })
    }

    /// Cuts every bond as `truncation` says, in the Frobenius norm of the operator (as [`Mps::compress`]).
    ///
    /// # Errors
    /// As [`Mps::compress`].
    pub fn compress(&mut self, truncation: &Truncation) -> Result<Compression> {
        let legs = self.legs();
        let mut chain = self.as_chain();
        let report = chain.compress(truncation)?;
        *self = Mpo::from_chain(chain, &legs);
        Ok(report)
    }

    pub(super) fn legs(&self) -> Vec<(usize, usize)> {
        self.tensors.iter().map(|w| (w.dim().1, w.dim().2)).collect()
    }

    /// The operator as a state whose sites are the pairs `(out, in)`.
    pub(super) fn as_chain(&self) -> Mps<T> {
        let fuse = |w: &Array4<T>| {
            let (l, o, i, r) = w.dim();
            w.clone().into_shape_with_order((l, o * i, r)).unwrap_or_default()
        };
        let tensors: Vec<_> = self.tensors.iter().map(fuse).collect();
        Mps { left: 0, right: tensors.len(), tensors, factor: self.factor }
    }

    pub(super) fn from_chain(chain: Mps<T>, legs: &[(usize, usize)]) -> Self {
        let factor = chain.factor;
        let split = |(a, &(o, i)): (Array3<T>, &(usize, usize))| {
            let (l, _, r) = a.dim();
            a.into_shape_with_order((l, o, i, r)).unwrap_or_default()
        };
        Mpo { tensors: chain.tensors.into_iter().zip(legs).map(split).collect(), factor }
    }

    pub(super) fn check_ins(&self, state: &Mps<T>) -> Result<()> {
        if self.ins() == state.dims() {
            return Ok(());
        }
        Err(Error::shape("a state under an operator: the dimensions of its sites", state.dims(), self.ins()))
    }
}

fn checked_product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Where entry `position` of a vector over the pairs `(out, in)` of all sites stands in the matrix of the operator.
fn row_and_column(legs: &[(usize, usize)], mut position: usize) -> (usize, usize) {
    let (mut row, mut column, mut row_step, mut column_step) = (0, 0, 1, 1);
    for &(o, i) in legs.iter().rev() {
        let pair = position % (o * i);
        position /= o * i;
        row += pair / i * row_step;
        column += pair % i * column_step;
        (row_step, column_step) = (row_step * o, column_step * i);
    }
    (row, column)
}

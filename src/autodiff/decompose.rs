//! Factorisations: eigenvalues, singular values, QR. The rules of the first two are in [`super::spectral`]; that of
//!
//! ```text
//!   A = Q R:     gA = [ gQ + Q herm(gR R^H - Q^H gQ) ] R^-H
//! ```
//!
//! is here, with `herm(M)` the upper triangle of `M`, its adjoint below, and the real part of the diagonal (Liao, Liu,
//! Wang, Xiang, Phys. Rev. X 9, 031041, 2019, for `R` with a real diagonal).

use std::rc::Rc;

use ndarray::{Axis, s};

use super::backward::Pull;
use super::limit::{Groups, Limit, vanishing};
use super::matrix::{COL, Matrix, ROW, adjoint, adjoint_dot, constant, dot, eye, plus};
use super::op::Op;
use super::solve::{as_tensor, as_view};
use super::tape::{Var, missing};
use crate::error::{Error, Result};
use crate::linalg::{self, Truncation};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Tensor};

/// `A = V diag(values) V^H` on a tape.
#[derive(Debug, Clone)]
pub struct VarEigh<'t, T: Scalar> {
    /// Eigenvalues along the bond, smallest first: real numbers of type `T`.
    pub values: Var<'t, T>,
    /// Eigenvectors: the left legs and the bond.
    pub vectors: Var<'t, T>,
}

/// `A = U diag(s) V^H` on a tape, cut to its leading part.
#[derive(Debug, Clone)]
pub struct VarSvd<'t, T: Scalar> {
    /// Left singular vectors: the left legs and the bond.
    pub u: Var<'t, T>,
    /// The kept singular values along the bond, largest first: real numbers of type `T`.
    pub s: Var<'t, T>,
    /// `V^H`: the bond and the right legs.
    pub vt: Var<'t, T>,
    /// `sum of dropped s^2 / sum of all s^2`, in `[0, 1]`.
    pub discarded_weight: f64,
}

impl<'t, T: Scalar> Var<'t, T> {
    /// Eigenvalues and eigenvectors of the Hermitian part, `(A + A^H) / 2`, of a tensor as a matrix from `right` to
    /// `left`, paired in the given orders.
    ///
    /// The phase of an eigenvector is nobody's choice: a loss may not depend on it.
    ///
    /// # Errors
    /// [`Error::Leg`] unless `left` and `right` name every leg once, or if a left leg is called `bond`;
    /// [`Error::Shape`] if their dimensions differ; as [`linalg::eigh`] otherwise.
    pub fn eigh<S: AsRef<str>>(&self, left: &[S], right: &[S], bond: &str) -> Result<VarEigh<'t, T>> {
        let m = Matrix::square(self, left, right)?;
        let hermitian = m.matrix.add(&adjoint(&m.matrix)?)?.scale(T::from_f64(0.5))?;
        let [values, vectors] = outputs(self.tape.record(Op::Eigh { spectrum: Spectrum::default() }, &[&hermitian])?)?;
        Ok(VarEigh { values: values.rename(COL, bond)?, vectors: m.left_factor(&vectors, bond)? })
    }

    /// Singular value decomposition between the legs `left` and the others, cut as `truncation` says. Its derivative is
    /// that of the truncated factors, whatever the discarded weight.
    ///
    /// Singular vectors have a common phase that is nobody's choice: a loss may not depend on it. The cut should not
    /// part equal singular values ([`Truncation::keep_multiplets`]): the derivative of such factors is refused unless
    /// the loss does not see it.
    ///
    /// # Errors
    /// As [`Tensor::svd`].
    pub fn svd<S: AsRef<str>>(&self, left: &[S], bond: &str, truncation: &Truncation) -> Result<VarSvd<'t, T>> {
        let m = Matrix::new(self, left)?;
        let factors =
            self.tape.record(Op::Svd { truncation: *truncation, spectrum: Spectrum::default() }, &[&m.matrix])?;
        let weight = |k: usize| factors.get(k).map_or(0.0, |s| squares(&s.value));
        let (kept, dropped) = (weight(1), weight(4));
        let [u, s, vt] = outputs(factors)?;
        Ok(VarSvd {
            u: m.left_factor(&u, bond)?,
            s: s.rename(COL, bond)?,
            vt: m.right_factor(&vt, bond)?,
            discarded_weight: if dropped > 0.0 { 1.0 / (1.0 + kept / dropped) } else { 0.0 },
        })
    }

    /// `A = Q R`: `Q` has the legs `left` and the bond and is an isometry, `R` the bond and the others and is upper
    /// triangular, with a positive diagonal, so that both are functions of `A`.
    ///
    /// # Errors
    /// As [`Tensor::qr`]. The derivative is an error where the leading columns do not have full rank.
    pub fn qr<S: AsRef<str>>(&self, left: &[S], bond: &str) -> Result<(Self, Self)> {
        let m = Matrix::new(self, left)?;
        let (rows, cols) = (m.matrix.value.dim(ROW)?, m.matrix.value.dim(COL)?);
        // A wide matrix is factorised by its first columns; what stands beside them follows: R = (R1, Q^H A2).
        let first = if rows < cols { m.matrix.slice(COL, 0..rows)? } else { m.matrix.clone() };
        let [q, mut r] = outputs(self.tape.record(Op::Qr, &[&first])?)?;
        if rows < cols {
            r = Var::concat(&[&r, &adjoint_dot(&q, &m.matrix.slice(COL, rows..cols)?)?], COL)?;
        }
        Ok((m.left_factor(&q, bond)?, m.right_factor(&r, bond)?))
    }
}

/// The first results of an operation that has at least so many.
fn outputs<'t, T: Scalar, const N: usize>(made: Vec<Var<'t, T>>) -> Result<[Var<'t, T>; N]> {
    let found = made.len();
    let first: Vec<_> = made.into_iter().take(N).collect();
    first.try_into().map_err(|_| Error::shape("the factors of a matrix", found, N))
}

/// `sum |x|^2`, in double precision.
pub(super) fn squares<T: Scalar>(a: &Tensor<T>) -> f64 {
    let norm = Real::to_f64(a.norm().value());
    norm * norm
}

/// Real numbers as a vector along columns.
fn vector<T: Scalar>(values: &[T::Real]) -> Result<Tensor<T>> {
    Tensor::new([Leg::bond(COL, values.len())], values.iter().map(|&x| T::from_real(x)).collect())
}

/// The numbers of a vector of real numbers.
pub(super) fn numbers<T: Scalar>(vector: &Var<'_, T>) -> Result<Vec<f64>> {
    Ok(vector.value.view_in_order(vector.legs())?.iter().map(|x| x.re().to_f64()).collect())
}

/// What is known of the values of a factorisation once it has been done.
#[derive(Debug, Clone, Default)]
pub(super) struct Spectrum {
    /// How many are kept.
    kept: Option<usize>,
    /// Which of them coincide.
    groups: Option<Rc<Groups>>,
}

impl Spectrum {
    fn vanishes(&self, i: usize) -> bool {
        self.groups.as_ref().is_some_and(|groups| groups.vanishes(i))
    }

    pub(super) fn groups<T: Scalar>(&self, pull: &Pull<'_, '_, T>) -> Result<&Groups> {
        self.groups.as_deref().ok_or_else(|| missing(&pull.node.op))
    }
}

/// Eigenvalues and eigenvectors.
pub(super) fn eigh<T: Scalar>(a: &Tensor<T>, spectrum: &mut Spectrum, limit: Option<&Limit>) -> Result<Vec<Tensor<T>>> {
    let linalg::Eigh { mut values, mut vectors } = linalg::eigh(&as_view(a)?)?;
    let groups = Groups::of(&values, false);
    if let Some(places) = groups.turned(limit, false) {
        vectors = vectors.select(Axis(1), &places.iter().map(|(from, _)| *from).collect::<Vec<_>>());
    }
    groups.moved_apart(&mut values, limit, false);
    spectrum.groups = Some(Rc::new(groups));
    Ok(vec![vector(&values)?, as_tensor(vectors)?])
}

/// `U, s, V^H` of the kept values, and again of the dropped ones that do not vanish, if there are any.
pub(super) fn svd<T: Scalar>(
    a: &Tensor<T>,
    truncation: &Truncation,
    spectrum: &mut Spectrum,
    limit: Option<&Limit>,
) -> Result<Vec<Tensor<T>>> {
    truncation.validate()?;
    let linalg::Svd { mut u, s: mut values, mut vt } = linalg::svd(&as_view(a)?)?;
    let groups = Groups::of(&values, true);
    if let Some(places) = groups.turned(limit, true) {
        let from: Vec<usize> = places.iter().map(|(from, _)| *from).collect();
        (u, vt) = (u.select(Axis(1), &from), vt.select(Axis(0), &from));
        for (mut column, _) in u.columns_mut().into_iter().zip(&places).filter(|(_, (_, negative))| *negative) {
            column.mapv_inplace(|x| -x);
        }
    }
    // A computation done again is cut where it was cut the first time.
    let kept = match spectrum.kept {
        Some(kept) => kept.clamp(1, values.len()),
        None => *spectrum.kept.insert(truncation.apply(&values)?.kept),
    };
    groups.moved_apart(&mut values, limit, true);
    spectrum.groups = Some(Rc::new(groups));
    // Dropped vectors of vanishing values are arbitrary, and their rule does without them.
    let sound = (kept..values.len()).take_while(|&i| !spectrum.vanishes(i)).count();
    let mut made = Vec::with_capacity(6);
    for range in [0..kept, kept..kept + sound].into_iter().filter(|range| !range.is_empty()) {
        made.push(as_tensor(u.slice(s![.., range.clone()]).to_owned())?);
        made.push(vector(&values[range.clone()])?);
        made.push(as_tensor(vt.slice(s![range, ..]).to_owned())?);
    }
    Ok(made)
}

/// `Q` and `R` of a matrix with at least as many rows as columns, the diagonal of `R` positive.
pub(super) fn qr<T: Scalar>(a: &Tensor<T>) -> Result<Vec<Tensor<T>>> {
    let (mut q, mut r) = linalg::qr(&as_view(a)?)?;
    for i in 0..r.nrows() {
        let (d, size) = (r[[i, i]], r[[i, i]].abs());
        if size > T::Real::of(0.0) {
            let phase = d.scale(T::Real::of(1.0) / size);
            q.index_axis_mut(Axis(1), i).mapv_inplace(|x| x * phase);
            r.index_axis_mut(Axis(0), i).mapv_inplace(|x| x * phase.conj());
            r[[i, i]] = T::from_real(size);
        }
    }
    Ok(vec![as_tensor(q)?, as_tensor(r)?])
}

/// What has arrived at one output.
pub(super) fn arrived_at<'t, T: Scalar>(arrived: &[Option<Var<'t, T>>], k: usize) -> Option<Var<'t, T>> {
    arrived.get(k).cloned().flatten()
}

/// The error for a loss that depends on what a factorisation leaves open.
pub(super) fn gauge<T: Scalar>(pull: &Pull<'_, '_, T>, what: String) -> Error {
    Error::Gauge { node: pull.index, operation: pull.node.op.name(), what }
}

pub(super) fn qr_rule<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    arrived: &[Option<Var<'t, T>>],
) -> Result<Vec<Option<Var<'t, T>>>> {
    let (q, r) = (pull.output(0)?, pull.output(1)?);
    let n = r.value.dim(COL)?;
    let diagonal: Vec<T::Real> = as_view(&r.value)?.diag().iter().map(|x| x.re()).collect();
    if let Some(i) = vanishing(&diagonal) {
        let what = format!(
            "column {i} depends on those before it, so the factors have no derivative; use svd or reorder the legs"
        );
        return Err(gauge(pull, what));
    }
    let (gq, gr) = (arrived_at(arrived, 0), arrived_at(arrived, 1));
    let from_r = gr.map(|gr| dot(&gr, &adjoint(&r)?)).transpose()?;
    let from_q = gq.as_ref().map(|gq| adjoint_dot(&q, gq)?.neg()).transpose()?;
    let Some(m) = plus(from_r, from_q)? else { return Ok(vec![None]) };
    let upper = m.mul(&constant(pull.tape, n, n, |i, j| f64::from(u8::from(i < j)))?)?;
    let hermitian = upper.add(&adjoint(&upper)?)?.add(&m.re()?.mul(&eye(pull.tape, n)?)?)?;
    let inside = dot(&q, &hermitian)?;
    let b = plus(Some(inside), gq)?.ok_or_else(|| missing(&pull.node.op))?;
    // X R^H = B as R X^H = B^H.
    Ok(vec![Some(adjoint(&Var::one(Op::Solve, &[&r, &adjoint(&b)?])?)?)])
}

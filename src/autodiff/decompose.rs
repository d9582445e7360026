//! Factorisations: eigenvalues, singular values, QR.
//!
//! With `o` the product element by element, `skew(M) = (M - M^H) / 2`, `g` the cotangents, and everything real by nature
//! replaced by its real part:
//!
//! ```text
//!   A = V w V^H      gA = V [ gw + F o skew(V^H gV) ] V^H,                            F_ij = 1 / (w_j - w_i)
//!
//!   A = U s V^H      gA = U [ gs + F o (KU + KV) + G o (KU - KV) ] V^H                F_ij = 1 / (s_j - s_i)
//!                         + (1 - U U^H) gU s^-1 V^H + U s^-1 gV^H (1 - V V^H)         G_ij = 1 / (s_j + s_i)
//!                    KU = skew(U^H gU), KV = skew(V^H gV)
//!
//!   A = Q R          gA = [ gQ + Q herm(gR R^H - Q^H gQ) ] R^-H
//!                    herm(M): upper triangle of M, its adjoint below, the real part of the diagonal
//! ```
//!
//! (Liao, Liu, Wang, Xiang, Phys. Rev. X 9, 031041, 2019; Wan and Zhang, arXiv:1909.02659, for the diagonal of `G o (KU -
//! KV)`, which complex matrices need.) Where an SVD is cut, the dropped vectors are kept for the derivative. They come in
//! as the columns `p` whose cotangents vanish: for `a` the kept ones and `D_pa = s_a^2 - s_p^2`,
//!
//! ```text
//!   gA += U_p [(Mu s_a + s_p Mv) / D] V_a^H + U_a [(Mu^H s_p + s_a Mv^H) / D^T] V_p^H,   Mu = U_p^H gU, Mv = V_p^H gV,
//! ```
//!
//! so the derivative is that of the truncated factors whatever the discarded weight.

use std::rc::Rc;

use ndarray::{Axis, s};

use super::backward::Pull;
use super::limit::{Groups, Limit, negligible, vanishing};
use super::matrix::{COL, Matrix, ROW, adjoint, adjoint_dot, constant, differences, dot, down, eye, plus, skew, sums};
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
    /// [`Error::Leg`] unless `left` and `right` name every leg once, or if a left leg is called `bond`; [`Error::Shape`] if
    /// their dimensions differ; as [`linalg::eigh`] otherwise.
    pub fn eigh<S: AsRef<str>>(&self, left: &[S], right: &[S], bond: &str) -> Result<VarEigh<'t, T>> {
        let m = Matrix::square(self, left, right)?;
        let hermitian = m.matrix.add(&adjoint(&m.matrix)?)?.scale(T::from_f64(0.5))?;
        let [values, vectors] = outputs(self.tape.record(Op::Eigh { spectrum: Spectrum::default() }, &[&hermitian])?)?;
        Ok(VarEigh { values: values.rename(COL, bond)?, vectors: m.left_factor(&vectors, bond)? })
    }

    /// Singular value decomposition between the legs `left` and the others, cut as `truncation` says. Its derivative is
    /// that of the truncated factors, whatever the discarded weight.
    ///
    /// Singular vectors have a common phase that is nobody's choice: a loss may not depend on it. The cut should not part
    /// equal singular values ([`Truncation::keep_multiplets`]): the derivative of such factors is refused unless the loss
    /// does not see it.
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
fn squares<T: Scalar>(a: &Tensor<T>) -> f64 {
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

    fn groups<T: Scalar>(&self, pull: &Pull<'_, '_, T>) -> Result<&Groups> {
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
fn at<'t, T: Scalar>(arrived: &[Option<Var<'t, T>>], k: usize) -> Option<Var<'t, T>> {
    arrived.get(k).cloned().flatten()
}

/// Refuses a loss that depends on the phases of vectors: the diagonal of `K`, which is imaginary, has to vanish.
fn phases_open<T: Scalar>(pull: &Pull<'_, '_, T>, k: &Var<'_, T>, scale: f64) -> Result<()> {
    let diagonal = as_view(&k.value)?.diag().iter().map(|x| x.im().to_f64().abs()).fold(0.0, f64::max);
    if negligible::<T>(diagonal, scale) {
        return Ok(());
    }
    Err(gauge(
        pull,
        format!(
            "the loss changes with the phases of the vectors, by {diagonal:.1e}, and these are not determined; make it a function \
         of projectors or products in which they cancel"
        ),
    ))
}

pub(super) fn gauge<T: Scalar>(pull: &Pull<'_, '_, T>, what: String) -> Error {
    Error::Gauge { node: pull.index, operation: pull.node.op.name(), what }
}

/// The square root of the sum of squares of chosen elements.
fn chosen<T: Scalar>(a: &Var<'_, T>, choose: impl Fn(usize, usize) -> bool) -> Result<f64> {
    let view = as_view(&a.value)?;
    let squares = view.indexed_iter().filter(|((i, j), _)| choose(*i, *j)).map(|(_, x)| x.abs_sq().to_f64());
    Ok(squares.sum::<f64>().sqrt())
}

/// `1 / x` off the diagonal, zero on it.
fn off_diagonal<'t, T: Scalar>(x: &Var<'t, T>) -> Result<Var<'t, T>> {
    let n = x.value.dim(ROW)?;
    let off = constant(x.tape, n, n, |i, j| f64::from(u8::from(i != j)))?;
    x.add(&eye(x.tape, n)?)?.recip()?.mul(&off)
}

pub(super) fn eigh_rule<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    spectrum: &Spectrum,
    arrived: &[Option<Var<'t, T>>],
) -> Result<Vec<Option<Var<'t, T>>>> {
    let (w, v) = (pull.output(0)?, pull.output(1)?);
    let diagonal = match at(arrived, 0) {
        Some(gw) => Some(eye(pull.tape, w.value.elements())?.mul(&gw.re()?)?),
        None => None,
    };
    let turned = match at(arrived, 1) {
        Some(gv) => {
            let groups = spectrum.groups(pull)?;
            groups.refuse_coincidence(pull, 0..w.value.elements())?;
            let k = skew(&adjoint_dot(&v, &gv)?)?;
            let scale = squares(&gv.value).sqrt();
            phases_open(pull, &k, scale)?;
            if let Some(limit) = &pull.tape.limit {
                limit.saw(pull, chosen(&k, |i, j| i != j && groups.together(i, j))?, scale);
            }
            Some(off_diagonal(&differences(&w, &w)?)?.mul(&k)?)
        }
        None => None,
    };
    let Some(inner) = plus(diagonal, turned)? else { return Ok(vec![None]) };
    Ok(vec![Some(dot(&v, &dot(&inner, &adjoint(&v)?)?)?)])
}

/// The factors of an SVD that take part in a derivative.
struct Part<'t, T: Scalar> {
    u: Var<'t, T>,
    s: Var<'t, T>,
    vt: Var<'t, T>,
}

impl<'t, T: Scalar> Part<'t, T> {
    fn read(pull: &Pull<'t, '_, T>, first: usize) -> Result<Self> {
        Ok(Part { u: pull.output(first)?, s: pull.output(first + 1)?, vt: pull.output(first + 2)? })
    }

    /// With the columns of `other` after its own.
    fn with(&self, other: &Self) -> Result<Self> {
        Ok(Part {
            u: Var::concat(&[&self.u, &other.u], COL)?,
            s: Var::concat(&[&self.s, &other.s], COL)?,
            vt: Var::concat(&[&self.vt, &other.vt], ROW)?,
        })
    }
}

/// Two cotangents as one, of a factor whose parts stand beside each other along `leg`.
fn joined<'t, T: Scalar>(
    first: Option<Var<'t, T>>,
    second: Option<Var<'t, T>>,
    parts: [&Var<'t, T>; 2],
    leg: &str,
) -> Result<Option<Var<'t, T>>> {
    let zero = |v: &Var<'t, T>| -> Result<Var<'t, T>> { Ok(v.tape.fixed(Tensor::zeros(v.legs())?)) };
    if first.is_none() && second.is_none() {
        return Ok(None);
    }
    let first = first.map_or_else(|| zero(parts[0]), Ok)?;
    let second = second.map_or_else(|| zero(parts[1]), Ok)?;
    Ok(Some(Var::concat(&[&first, &second], leg)?))
}

pub(super) fn svd_rule<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    spectrum: &Spectrum,
    arrived: &[Option<Var<'t, T>>],
) -> Result<Vec<Option<Var<'t, T>>>> {
    let cut = pull.node.outputs.len() > 3;
    let (mut own, mut passive) = (Part::read(pull, 0)?, cut.then(|| Part::read(pull, 3)).transpose()?);
    let [mut gu, mut gs, mut gvt] = [at(arrived, 0), at(arrived, 1), at(arrived, 2)];
    // Only derivatives of derivatives have cotangents for what was dropped.
    if let Some(rest) = passive.take_if(|_| arrived.iter().skip(3).any(Option::is_some)) {
        gu = joined(gu, at(arrived, 3), [&own.u, &rest.u], COL)?;
        gs = joined(gs, at(arrived, 4), [&own.s, &rest.s], COL)?;
        gvt = joined(gvt, at(arrived, 5), [&own.vt, &rest.vt], ROW)?;
        own = own.with(&rest)?;
    }
    let n = own.s.value.elements();
    let groups = spectrum.groups(pull)?;
    let mut ga = None;
    let gs = gs.map(|gs| gs.re()).transpose()?;
    if gu.is_none() && gvt.is_none() {
        if let Some(gs) = gs {
            smooth_at_zero(pull, &gs, groups)?;
            ga = Some(dot(&own.u.mul(&gs)?, &own.vt)?);
        }
        return Ok(vec![ga]);
    }
    groups.refuse_coincidence(pull, 0..n)?;

    let (v, gv) = (adjoint(&own.vt)?, gvt.map(|gvt| adjoint(&gvt)).transpose()?);
    let scale = [&gu, &gv].into_iter().flatten().map(|g| squares(&g.value)).sum::<f64>().sqrt();
    let ku = gu.as_ref().map(|gu| skew(&adjoint_dot(&own.u, gu)?)).transpose()?;
    let kv = gv.as_ref().map(|gv| skew(&adjoint_dot(&v, gv)?)).transpose()?;
    let zero = || constant(pull.tape, n, n, |_, _| 0.0);
    let both = plus(ku.clone(), kv.clone())?.map_or_else(zero, Ok)?;
    let apart = plus(ku, kv.map(|kv| kv.neg()).transpose()?)?.map_or_else(zero, Ok)?;
    phases_open(pull, &both, scale)?;

    let mut inner = off_diagonal(&differences(&own.s, &own.s)?)?.mul(&both)?;
    let added = sums(&own.s, &own.s)?;
    inner = inner.add(&if T::IS_COMPLEX {
        apart.div(&added)?
    } else {
        // The diagonal of a real antisymmetric matrix is zero, whatever it is divided by.
        apart.mul(&off_diagonal(&added)?)?
    })?;
    if let Some(gs) = gs {
        inner = inner.add(&eye(pull.tape, n)?.mul(&gs)?)?;
    }
    let mut sum = dot(&own.u, &dot(&inner, &own.vt)?)?;

    // How much of what is divided by a vanishing number there is: on the copies with values moved apart it has to
    // vanish with their distance.
    let mut seen = Vec::new();
    seen.push(chosen(&both, |i, j| i != j && groups.together(i, j))?);
    seen.push(chosen(&apart, |i, j| groups.vanishes(i) && groups.vanishes(j))?);

    if let Some(rest) = &passive {
        let (rows, cols) = (&rest.s, &own.s);
        let inverse = differences(cols, rows)?.mul(&sums(cols, rows)?)?.recip()?;
        let mu = gu.as_ref().map(|gu| adjoint_dot(&rest.u, gu)).transpose()?;
        let mv = gv.as_ref().map(|gv| dot(&rest.vt, gv)).transpose()?;
        // The same two with the roles of the singular values exchanged.
        let mixed = |by_u: &Var<'t, T>, by_v: &Var<'t, T>| -> Result<Var<'t, T>> {
            let u = mu.as_ref().map(|mu| mu.mul(by_u)).transpose()?;
            let v = mv.as_ref().map(|mv| mv.mul(by_v)).transpose()?;
            plus(u, v)?.map_or_else(|| constant(pull.tape, rows.value.elements(), n, |_, _| 0.0), Ok)
        };
        let (left, right) = (mixed(cols, &down(rows)?)?, mixed(&down(rows)?, cols)?);
        let straddling = |i: usize, j: usize| groups.together(n + i, j);
        seen.push(chosen(&left, straddling)?.hypot(chosen(&right, straddling)?) / groups.unit);
        sum = sum.add(&dot(&rest.u, &dot(&left.mul(&inverse)?, &own.vt)?)?)?;
        sum = sum.add(&dot(&own.u, &dot(&adjoint(&right.mul(&inverse)?)?, &rest.vt)?)?)?;
    }

    // What lies outside of all singular vectors, where a matrix is not square.
    let (rows, cols) = (own.u.value.dim(ROW)?, own.vt.value.dim(COL)?);
    let thin = n + passive.as_ref().map_or(0, |p| p.s.value.elements());
    if pull.recorded && thin < rows.min(cols) {
        sum = sum.add(&through_the_rest(pull, &own, passive.as_ref(), gu.as_ref(), gv.as_ref())?)?;
    }
    let outside = |g: &Var<'t, T>, inside: [Option<Var<'t, T>>; 2]| -> Result<Var<'t, T>> {
        let mut rest = g.clone();
        for vectors in inside.into_iter().flatten() {
            rest = rest.sub(&dot(&vectors, &adjoint_dot(&vectors, g)?)?)?;
        }
        Ok(rest)
    };
    if let Some(gu) = gu.as_ref().filter(|_| rows > thin) {
        let rest = outside(gu, [Some(own.u.clone()), passive.as_ref().map(|p| p.u.clone())])?;
        seen.push(chosen(&rest, |_, j| groups.vanishes(j))?);
        sum = sum.add(&dot(&rest.div(&own.s)?, &own.vt)?)?;
    }
    if let Some(gv) = gv.as_ref().filter(|_| cols > thin) {
        let passive_v = passive.as_ref().map(|p| adjoint(&p.vt)).transpose()?;
        let rest = outside(gv, [Some(v), passive_v])?;
        seen.push(chosen(&rest, |_, j| groups.vanishes(j))?);
        sum = sum.add(&dot(&own.u, &adjoint(&rest.div(&own.s)?)?)?)?;
    }
    if let Some(limit) = &pull.tape.limit {
        limit.saw(pull, seen.iter().map(|x| x * x).sum::<f64>().sqrt(), scale);
    }
    Ok(vec![Some(sum)])
}

/// What vanishing values that were dropped add to a derivative that is to be differentiated again: nothing now, but they
/// change with the matrix.
///
/// With `R = A - U s V^H` over all values that do not vanish, their part of the rule is a series,
///
/// ```text
///   R [gV s^-2 + R^H (gU s^-3 + R gV s^-4)] V^H + U {R^H [gU s^-2 + R (gV s^-3 + R^H gU s^-4)]}^H + ...,
/// ```
///
/// which is right for the derivatives up to the fourth.
fn through_the_rest<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    own: &Part<'t, T>,
    passive: Option<&Part<'t, T>>,
    gu: Option<&Var<'t, T>>,
    gv: Option<&Var<'t, T>>,
) -> Result<Var<'t, T>> {
    let mut r = pull.input(0)?;
    for part in [Some(own), passive].into_iter().flatten() {
        r = r.sub(&dot(&part.u.mul(&part.s)?, &part.vt)?)?;
    }
    let (r, adjoint_r) = (&r, &adjoint(&r)?);
    let square = own.s.mul(&own.s)?;
    let zero = |rows: &Var<'t, T>| -> Result<Var<'t, T>> { Ok(rows.tape.fixed(Tensor::zeros(rows.legs())?)) };
    let v = adjoint(&own.vt)?;
    let gu = gu.cloned().map_or_else(|| zero(&own.u), Ok)?;
    let gv = gv.cloned().map_or_else(|| zero(&v), Ok)?;
    let series = |r: &Var<'t, T>, back: &Var<'t, T>, here: &Var<'t, T>, there: &Var<'t, T>| -> Result<Var<'t, T>> {
        let inner = here.div(&own.s)?.add(&dot(r, &there.div(&square)?)?)?;
        dot(r, &there.add(&dot(back, &inner)?)?.div(&square)?)
    };
    let left = dot(&series(r, adjoint_r, &gu, &gv)?, &own.vt)?;
    left.add(&dot(&own.u, &adjoint(&series(adjoint_r, r, &gv, &gu)?)?)?)
}

/// Refuses a loss of singular values alone that has a kink where one vanishes, as their sum has.
fn smooth_at_zero<T: Scalar>(pull: &Pull<'_, '_, T>, gs: &Var<'_, T>, groups: &Groups) -> Result<()> {
    if pull.tape.limit.is_some() {
        return Ok(());
    }
    let slopes = numbers(gs)?;
    let scale = slopes.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let kink = slopes.iter().enumerate().position(|(i, g)| groups.vanishes(i) && !negligible::<T>(g.abs(), scale));
    match kink {
        None => Ok(()),
        Some(i) => Err(gauge(
            pull,
            format!("singular value {i} vanishes, and the loss has a kink there; use squares or add a small constant"),
        )),
    }
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
            "column {i} depends on those before it, and the factors have no derivative there; use svd or reorder the legs"
        );
        return Err(gauge(pull, what));
    }
    let (gq, gr) = (at(arrived, 0), at(arrived, 1));
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

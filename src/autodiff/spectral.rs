//! The rules of eigenvalues and singular values.
//!
//! With `o` the product element by element, `skew(M) = (M - M^H) / 2`, `g` the cotangents, and everything real by
//! nature replaced by its real part:
//!
//! ```text
//!   A = V w V^H      gA = V [ gw + F o skew(V^H gV) ] V^H,                            F_ij = 1 / (w_j - w_i)
//!
//!   A = U s V^H      gA = U [ gs + F o (KU + KV) + G o (KU - KV) ] V^H                F_ij = 1 / (s_j - s_i)
//!                         + (1 - U U^H) gU s^-1 V^H + U s^-1 gV^H (1 - V V^H)         G_ij = 1 / (s_j + s_i)
//!                    KU = skew(U^H gU), KV = skew(V^H gV)
//! ```
//!
//! (Liao, Liu, Wang, Xiang, Phys. Rev. X 9, 031041, 2019; Wan and Zhang, arXiv:1909.02659, for the diagonal of `G o (KU
//! - KV)`, which complex matrices need.) Where an SVD is cut, the dropped vectors are kept for the derivative. They
//! come in as the columns `p` whose cotangents vanish: for `a` the kept ones and `D_pa = s_a^2 - s_p^2`,
//!
//! ```text
//!   gA += U_p [(Mu s_a + s_p Mv) / D] V_a^H + U_a [(Mu^H s_p + s_a Mv^H) / D^T] V_p^H,   Mu = U_p^H gU, Mv = V_p^H gV,
//! ```
//!
//! so the derivative is that of the truncated factors whatever the discarded weight.

use super::backward::Pull;
use super::decompose::{Spectrum, arrived_at, gauge, numbers, squares};
use super::limit::{Groups, negligible};
use super::matrix::{COL, ROW, adjoint, adjoint_dot, constant, differences, dot, down, eye, plus, skew, sums};
use super::solve::as_view;
use super::tape::Var;
use crate::error::Result;
use crate::scalar::{Real, Scalar};
use crate::tensor::Tensor;

/// Refuses a loss that depends on the phases of vectors: the diagonal of `K`, which is imaginary, has to vanish.
fn phases_open<T: Scalar>(pull: &Pull<'_, '_, T>, k: &Var<'_, T>, scale: f64) -> Result<()> {
    let diagonal = as_view(&k.value)?.diag().iter().map(|x| x.im().to_f64().abs()).fold(0.0, f64::max);
    if negligible::<T>(diagonal, scale) {
        return Ok(());
    }
    Err(gauge(
        pull,
        format!(
            "the loss changes with the phases of the vectors, by {diagonal:.1e}, and these are not determined; \
             make it a function of projectors or products in which they cancel"
        ),
    ))
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
    let diagonal = match arrived_at(arrived, 0) {
        Some(gw) => Some(eye(pull.tape, w.value.elements())?.mul(&gw.re()?)?),
        None => None,
    };
    let turned = match arrived_at(arrived, 1) {
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
    let [mut gu, mut gs, mut gvt] = [arrived_at(arrived, 0), arrived_at(arrived, 1), arrived_at(arrived, 2)];
    // Only derivatives of derivatives have cotangents for what was dropped.
    if let Some(rest) = passive.take_if(|_| arrived.iter().skip(3).any(Option::is_some)) {
        gu = joined(gu, arrived_at(arrived, 3), [&own.u, &rest.u], COL)?;
        gs = joined(gs, arrived_at(arrived, 4), [&own.s, &rest.s], COL)?;
        gvt = joined(gvt, arrived_at(arrived, 5), [&own.vt, &rest.vt], ROW)?;
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

/// What vanishing values that were dropped add to a derivative that is to be differentiated again: nothing now, but
/// they change with the matrix.
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

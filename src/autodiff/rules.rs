//! From the cotangents of what an operation made to those of what it was done to.
//!
//! The cotangent of `X` is `dL/d conj(X)`. A rule is made of the tape's own operations on [`Pull::input`] and
//! [`Pull::output`]. For a linear map it is the adjoint; for a holomorphic function `g conj(f')`; where a result is
//! real by its nature, only the real part of its cotangent counts.

use super::backward::Pull;
use super::elementwise;
use super::op::Op;
use super::tape::{Var, missing};
use super::{decompose, solve, spectral};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// The cotangents of the operands that are wanted.
pub(super) fn pull<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    arrived: Vec<Option<Var<'t, T>>>,
) -> Result<Vec<Option<Var<'t, T>>>> {
    match &pull.node.op {
        Op::Eigh { spectrum } => return spectral::eigh_rule(pull, spectrum, &arrived),
        Op::Svd { spectrum, .. } => return spectral::svd_rule(pull, spectrum, &arrived),
        Op::Qr => return decompose::qr_rule(pull, &arrived),
        Op::Segment(segment) => return segment.rule(pull, arrived),
        _ => {}
    }
    // All others have one result.
    let Some(g) = arrived.into_iter().next().flatten() else { return Ok(vec![None; pull.node.inputs.len()]) };
    pull.each(|k| match &pull.node.op {
        Op::Permute(_) | Op::Add => within(&g, pull.legs(k)?),
        Op::Sub => within(&if k == 0 { g.clone() } else { g.neg()? }, pull.legs(k)?),
        Op::Rename(pairs) => g.rename_all(&pairs.iter().map(|(old, new)| (new, old)).collect::<Vec<_>>()),
        Op::WithRole(name, _) => g.with_role(name, leg(pull.legs(0)?, name, pull)?.role()),
        Op::Fuse { names, new, .. } => {
            let parts = names.iter().map(|name| leg(pull.legs(0)?, name, pull).cloned()).collect::<Result<Vec<_>>>()?;
            g.split(new, &parts)
        }
        Op::Split { name, parts } => g.fuse(parts, name, leg(pull.legs(0)?, name, pull)?.role()),
        Op::Slice { name, range } => g.pad(name, range.start, leg(pull.legs(0)?, name, pull)?.dim()),
        Op::Pad { name, start, .. } => {
            g.slice(name, *start..start.saturating_add(leg(pull.legs(0)?, name, pull)?.dim()))
        }
        Op::Concat(name) => {
            let mut start = 0;
            for before in 0..k {
                start += leg(pull.legs(before)?, name, pull)?.dim();
            }
            g.slice(name, start..start + leg(pull.legs(k)?, name, pull)?.dim())
        }
        Op::Gather { name, symbols, batch } => {
            let legs = pull.legs(0)?;
            let own = name != batch && legs.iter().any(|leg| leg.name() == batch);
            g.scatter(leg(legs, name, pull)?, symbols, batch, own)
        }
        Op::Scatter { leg, symbols, batch, .. } => g.gather(leg, symbols, batch),
        Op::Expand(legs) => g.sum_over(legs),
        Op::SumOver(names) => {
            let lost = names.iter().map(|name| leg(pull.legs(0)?, name, pull).cloned()).collect::<Result<Vec<_>>>()?;
            g.expand(&lost)
        }
        Op::Trace(first, second) => {
            let (a, b) = (leg(pull.legs(0)?, first, pull)?, leg(pull.legs(0)?, second, pull)?);
            g.contract_pairs::<&str>(&g.tape.fixed(identity(a, b)?), &[])
        }
        Op::Contract(pairs) => contraction(pull, pairs, &g, k),
        Op::Mul => within(&g.mul(&pull.input(1 - k)?.conj()?)?, pull.legs(k)?),
        Op::Div => {
            let part = g.div(&pull.input(1)?.conj()?)?;
            let part = if k == 0 { part } else { part.mul(&pull.output(0)?.conj()?)?.neg()? };
            within(&part, pull.legs(k)?)
        }
        Op::Scale(factor) => g.scale(factor.conj()),
        Op::Function(function) => elementwise::rule(*function, &g, || pull.input(0), || pull.output(0)),
        Op::Conj => g.conj(),
        Op::Real => g.re(),
        // The derivative of ln sum exp is the softmax.
        Op::LogSumExp(_) => pull.input(0)?.sub(&pull.output(0)?)?.exp()?.conj()?.mul(&g),
        Op::Norm => pull.input(0)?.mul(&g.re()?.div(&pull.output(0)?)?),
        Op::Solve => solve::solve_rule(pull, &g, k),
        Op::Expm => solve::expm_rule(pull, &g),
        Op::Variable | Op::Eigh { .. } | Op::Svd { .. } | Op::Qr | Op::Segment(_) => Err(missing(&pull.node.op)),
    })
}

fn leg<'a, T: Scalar>(legs: &'a [Leg], name: &str, pull: &Pull<'_, '_, T>) -> Result<&'a Leg> {
    legs.iter().find(|leg| leg.name() == name).ok_or_else(|| missing(&pull.node.op))
}

/// The cotangent of a tensor that was repeated: summed over the legs it did not have.
fn within<'t, T: Scalar>(g: &Var<'t, T>, legs: &[Leg]) -> Result<Var<'t, T>> {
    g.sum_over(&g.legs().iter().filter(|leg| !legs.contains(leg)).collect::<Vec<_>>())
}

/// The unit matrix over two legs.
pub(super) fn identity<T: Scalar>(a: &Leg, b: &Leg) -> Result<Tensor<T>> {
    let eye = ndarray::Array2::from_shape_fn((a.dim(), b.dim()), |(i, j)| if i == j { T::one() } else { T::zero() });
    Tensor::from_array([a.clone(), b.clone()], eye)
}

/// The cotangent of one operand of a contraction: that of the result contracted with the conjugate of the other
/// operand, over the legs that the other operand left on the result.
///
/// ```text
///   rows -- A -- summed -- B -- cols        dA = rows -- g -- cols -- conj(B) -- summed
/// ```
/// The summed legs take names that nothing else has, so that no name is in the way.
fn contraction<'t, T: Scalar>(
    pull: &Pull<'t, '_, T>,
    pairs: &[(String, String)],
    g: &Var<'t, T>,
    k: usize,
) -> Result<Var<'t, T>> {
    let (own, other): (Vec<&str>, Vec<&str>) =
        pairs.iter().map(|(a, b)| if k == 0 { (a.as_str(), b.as_str()) } else { (b.as_str(), a.as_str()) }).unzip();
    let (own_legs, other_legs) = (pull.legs(k)?, pull.legs(1 - k)?);
    let taken = |name: &str| own_legs.iter().chain(other_legs).any(|leg| leg.name() == name);
    let fresh: Vec<String> = (0..).map(|i| format!("\u{1}{i}")).filter(|name| !taken(name)).take(pairs.len()).collect();

    let free: Vec<(&str, &str)> = other_legs
        .iter()
        .filter(|leg| !other.contains(&leg.name()))
        // Batches that both have were kept, and are kept again.
        .filter(|leg| !own_legs.iter().any(|kept| kept.name() == leg.name() && !own.contains(&kept.name())))
        .map(|leg| (leg.name(), leg.name()))
        .collect();
    let factor = pull.input(1 - k)?.conj()?.rename_all(&other.iter().zip(&fresh).collect::<Vec<_>>())?;
    // Operands in the order of the product, so that the result lies in memory as the operand does.
    let product = if k == 0 { g.contract_pairs(&factor, &free)? } else { factor.contract_pairs(g, &free)? };
    product.rename_all(&fresh.iter().zip(&own).collect::<Vec<_>>())
}

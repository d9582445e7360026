//! Two tensors at a time, for what is done to a network before it is planned.

use super::kernel::COMFORTABLE;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Role, Tensor, contract};

/// A tensor times `2^exponent`.
pub(in crate::network) struct Scaled<T: Scalar> {
    pub tensor: Tensor<T>,
    pub exponent: i64,
}

/// Two tensors contracted over the legs that both have, except for those that are to be kept. All roles are those of
/// bonds.
pub(in crate::network) fn join<T: Scalar>(
    a: &Tensor<T>,
    b: &Tensor<T>,
    mut keep: impl FnMut(&Leg) -> bool,
) -> Result<Tensor<T>> {
    let kept: Vec<&Leg> = a.legs().iter().filter(|leg| b.has_leg(leg) && keep(leg)).collect();
    if kept.is_empty() {
        return contract(a, b);
    }
    let (mut first, mut second) = (a.clone(), b.clone());
    for leg in &kept {
        first = first.with_role(leg, Role::Batch)?;
        second = second.with_role(leg, Role::Batch)?;
    }
    let mut result = contract(&first, &second)?;
    for leg in &kept {
        result = result.with_role(leg, Role::Bond)?;
    }
    Ok(result)
}

/// The sum over all values of one leg.
pub(in crate::network) fn summed<T: Scalar>(tensor: &Tensor<T>, leg: &Leg) -> Result<Tensor<T>> {
    let ones = Tensor::new([leg.with_role(Role::Bond)], vec![T::one(); leg.dim()])?;
    contract(&tensor.with_role(leg, Role::Bond)?, &ones)
}

/// The tensor with its largest element near one, unless it is near enough, and the power of two that was taken out.
pub(in crate::network) fn rescaled<T: Scalar>(tensor: Tensor<T>, exponent: i64) -> Result<Scaled<T>> {
    let view = tensor.view_in_order(tensor.legs())?;
    let mut largest = 0.0_f64;
    for x in &view {
        // The larger of both parts; `max` would pass over a NaN.
        let size = x.re().to_f64().abs().max(x.im().to_f64().abs());
        largest = largest.max(if x.is_finite() { size } else { f64::INFINITY });
    }
    if !largest.is_finite() {
        return Err(Error::NotFinite { what: format!("{tensor} within a contraction") });
    }
    let power = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
    if power.abs() <= COMFORTABLE {
        return Ok(Scaled { tensor, exponent });
    }
    // In two steps: the inverse of a power near the end of the range is none.
    let (half, rest) =
        (T::from_f64((f64::from(-power / 2)).exp2()), T::from_f64((f64::from(-power + power / 2)).exp2()));
    Ok(Scaled { tensor: tensor.map(|x| x * half * rest), exponent: exponent + i64::from(power) })
}

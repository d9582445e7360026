//! Sums over legs, and what is made of them.

use super::op::Op;
use super::tape::Var;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Tensor, functions};

/// `ln sum exp` along some legs; the largest term is taken out, so nothing overflows.
pub(super) fn logsumexp<T: Scalar>(a: &Tensor<T>, names: &[String]) -> Result<Tensor<T>> {
    let largest = a.max_over(names)?;
    let sum = a.zip_with(&largest, |x, m| functions::exp(x - m))?.sum_over(names)?;
    sound("the logsumexp", a, sum.map(functions::ln).add(&largest)?)
}

pub(super) fn norm<T: Scalar>(a: &Tensor<T>) -> Result<Tensor<T>> {
    let norm = T::from_real(T::Real::of(Real::to_f64(a.norm().value())));
    sound("the norm", a, Tensor::scalar(norm))
}

/// Refuses a result that is not finite.
pub(super) fn sound<T: Scalar>(what: &str, of: &Tensor<T>, result: Tensor<T>) -> Result<Tensor<T>> {
    if result.is_finite() { Ok(result) } else { Err(Error::NotFinite { what: format!("{what} of {of}") }) }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The sum over some legs, which the result no longer has.
    ///
    /// # Errors
    /// As [`Tensor::sum_over`].
    pub fn sum_over<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        if names.is_empty() {
            return Ok(self.clone());
        }
        Var::one(Op::SumOver(names.iter().map(|name| name.as_ref().to_owned()).collect()), &[self])
    }

    /// The sum of all elements.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn sum(&self) -> Result<Self> {
        self.sum_over(self.legs())
    }

    /// `ln sum exp(x)` over some legs, which the result no longer has; no term overflows.
    ///
    /// # Errors
    /// As [`Tensor::sum_over`]; [`Error::NotFinite`] if a complex sum is zero.
    pub fn logsumexp<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        Var::one(Op::LogSumExp(names.iter().map(|name| name.as_ref().to_owned()).collect()), &[self])
    }

    /// The Frobenius norm, `sqrt(sum |x|^2)`, a tensor without legs.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if it overflows; so is the derivative at zero, where there is none.
    pub fn norm(&self) -> Result<Self> {
        Var::one(Op::Norm, &[self])
    }

    /// `sum |x|^2`, a tensor without legs.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn norm_sq(&self) -> Result<Self> {
        self.inner(self)?.re()
    }

    /// `sum conj(x) y`, legs being matched by name; a tensor without legs.
    ///
    /// # Errors
    /// [`Error::Leg`] unless both have the same legs.
    pub fn inner(&self, other: &Self) -> Result<Self> {
        let pairs: Vec<(&str, &str)> = self.legs().iter().map(|leg| (leg.name(), leg.name())).collect();
        let product = self.conj()?.contract_pairs(other, &pairs)?;
        if let Some(left) = product.legs().first() {
            return Err(Error::Leg { what: format!("{left} of {} is not on {}", other.value, self.value) });
        }
        Ok(product)
    }
}

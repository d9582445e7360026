//! Sums of states.

use ndarray::{Array3, s};

use super::Mps;
use crate::error::Result;
use crate::scalar::{LogScaled, Scalar};

impl<T: Scalar> Mps<T> {
    /// `self + other`: the bonds are the sums of theirs, and no gauge is known of the result.
    ///
    /// Both are made canonical first, so that their parts are of comparable size all along the chain and the smaller
    /// one is not lost by a later factorisation.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if the sites differ in number or dimension.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.check_same_dims(other)?;
        let (mut a, mut b) = (self.clone(), other.clone());
        a.move_centre(0)?;
        b.move_centre(0)?;
        let larger = a.factor.ln_abs().max(b.factor.ln_abs());
        if larger == f64::NEG_INFINITY {
            return Ok(a);
        }
        let common = LogScaled::exp(larger);
        let (wa, wb) = ((a.factor / common).value(), (b.factor / common).value());
        a.tensors[0].mapv_inplace(|x| x * wa);
        b.tensors[0].mapv_inplace(|x| x * wb);
        let last = self.sites() - 1;
        let tensors = a.tensors.iter().zip(&b.tensors).enumerate().map(|(site, (a, b))| {
            let ((la, d, ra), (lb, _, rb)) = (a.dim(), b.dim());
            // The outer bonds are shared.
            let (l0, r0) = (if site == 0 { 0 } else { la }, if site == last { 0 } else { ra });
            let mut sum = Array3::zeros((l0 + lb, d, r0 + rb));
            sum.slice_mut(s![..la, .., ..ra]).assign(a);
            sum.slice_mut(s![l0.., .., r0..]).zip_mut_with(b, |x, &y| *x += y);
            sum
        });
        let mut sum = Mps::new(tensors.collect())?;
        sum.factor = sum.factor * common;
        Ok(sum)
    }
}

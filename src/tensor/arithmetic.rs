//! Element by element: conjugates, factors, sums and the norm.

use ndarray::{Axis, Zip};

use super::tensor::{Tensor, describe};
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Scalar};

impl<T: Scalar> Tensor<T> {
    /// A function of every element.
    #[must_use]
    pub fn map(&self, f: impl Fn(T) -> T) -> Self {
        Tensor { legs: self.legs.clone(), data: self.data.mapv(f).into_shared() }
    }

    /// Complex conjugate of every element; for a real tensor nothing is copied.
    #[must_use]
    pub fn conj(&self) -> Self {
        if T::IS_COMPLEX { self.map(T::conj) } else { self.clone() }
    }

    /// Every element times `factor`.
    #[must_use]
    pub fn scale(&self, factor: T) -> Self {
        self.map(|x| x * factor)
    }

    /// The slice at value `i` of the leg times `factors[i]`: the product with a diagonal matrix.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is no leg `name`, [`Error::Shape`] unless there is one factor for each of its values.
    pub fn scale_along(&self, name: impl AsRef<str>, factors: &[T::Real]) -> Result<Self> {
        let axis = self.axis(name.as_ref())?;
        if factors.len() != self.legs[axis].dim() {
            let what = format!("the factors along '{}' of {self}", name.as_ref());
            return Err(Error::shape(what, factors.len(), self.legs[axis].dim()));
        }
        let mut data = self.data.to_owned();
        for (mut slice, &factor) in data.axis_iter_mut(Axis(axis)).zip(factors) {
            slice.mapv_inplace(|x| x.scale(factor));
        }
        Ok(Tensor { legs: self.legs.clone(), data: data.into_shared() })
    }

    /// The sum, legs being matched by name; the result has them in the order of `self`.
    ///
    /// # Errors
    /// [`Error::Leg`] unless both have the same legs, with the same dimensions and roles.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.combine(other, |x, y| x + y)
    }

    /// The difference `self - other`, as [`add`](Self::add).
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.combine(other, |x, y| x - y)
    }

    fn combine(&self, other: &Self, f: impl Fn(T, T) -> T) -> Result<Self> {
        let same = |leg| other.legs.contains(leg);
        if self.legs.len() != other.legs.len() || !self.legs.iter().all(same) {
            return Err(Error::Leg {
                what: format!("{self} and tensor {} differ in their legs", describe(&other.legs)),
            });
        }
        let other = other.view_in_order(&self.legs)?;
        let data = Zip::from(&self.data).and(&other).map_collect(|&x, &y| f(x, y));
        Ok(Tensor { legs: self.legs.clone(), data: data.into_shared() })
    }

    /// The Frobenius norm, `sqrt(sum |x|^2)`; no element is too large or too small for it. NaN if an element is.
    #[must_use]
    pub fn norm(&self) -> LogScaled<T::Real> {
        let squares = |scale: f64| -> f64 { self.memory().iter().map(|x| (x.to_c64() * scale).norm_sqr()).sum() };
        let sum = squares(1.0);
        // Far from the edges of the range no square that matters has left it.
        if sum.is_nan() || (1e-280..1e300).contains(&sum) {
            return LogScaled::exp(0.5 * sum.ln());
        }
        let parts = self.memory().iter().map(|x| x.to_c64()).flat_map(|z| [z.re.abs(), z.im.abs()]);
        let largest = parts.fold(0.0, f64::max);
        if largest == 0.0 || !largest.is_finite() {
            return LogScaled::exp(largest.ln());
        }
        // A power of two: the division is exact, and its inverse cannot overflow.
        let exponent = largest.log2().floor().clamp(-1022.0, 1022.0);
        LogScaled::exp(exponent * std::f64::consts::LN_2 + 0.5 * squares((-exponent).exp2()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::tensor::Leg;
    use num_complex::{Complex32, Complex64};

    fn legs() -> Vec<Leg> {
        vec![Leg::bond("l", 2), Leg::site("s", 3), Leg::bond("r", 4)]
    }

    #[test]
    fn sums_match_legs_by_name() {
        let (a, b) = (Tensor::<f64>::random(legs(), Seed(1)).unwrap(), Tensor::random(legs(), Seed(2)).unwrap());
        let turned = b.permute(&["r", "l", "s"]).unwrap();
        let sum = a.add(&turned).unwrap();
        assert_eq!(sum.legs(), a.legs());
        assert_eq!(sum.data, &a.data + &b.data);
        assert_eq!(sum, turned.add(&a).unwrap().permute(&["l", "s", "r"]).unwrap());
        assert_eq!(a.sub(&turned).unwrap().data, &a.data - &b.data);
        for other in [b.rename("l", "x"), b.with_role("l", crate::tensor::Role::Site), b.select("l", 0)] {
            assert!(matches!(a.add(&other.unwrap()), Err(Error::Leg { .. })));
        }
    }

    #[test]
    fn factors_along_a_leg_are_a_diagonal_matrix() {
        let a = Tensor::<Complex64>::random(legs(), Seed(1)).unwrap();
        let scaled = a.permute(&["s", "r", "l"]).unwrap().scale_along("s", &[1.0, -2.0, 0.0]).unwrap();
        for (s, factor) in [1.0, -2.0, 0.0].into_iter().enumerate() {
            let index = [("l", 1), ("s", s), ("r", 3)];
            assert_eq!(scaled.get(&index).unwrap(), a.get(&index).unwrap() * factor);
        }
        assert!(matches!(a.scale_along("s", &[1.0]), Err(Error::Shape { .. })));
    }

    #[test]
    fn a_conjugate_changes_the_sign_of_the_imaginary_part() {
        let a = Tensor::<Complex32>::random(legs(), Seed(1)).unwrap();
        assert!(a.data.iter().zip(&a.conj().data).all(|(x, y)| x.re == y.re && x.im == -y.im));
        let b = Tensor::<f32>::random(legs(), Seed(1)).unwrap();
        assert_eq!(b.conj().memory().as_ptr(), b.memory().as_ptr());
        assert_eq!(b.scale(2.0).data, &b.data + &b.data);
    }

    #[test]
    fn the_norm_neither_overflows_nor_vanishes() {
        let norm = |x: f64| Tensor::new([Leg::site("s", 4)], vec![x, -x, x, x]).unwrap().norm().ln_abs();
        for x in [1.0, 3e307, 1e200, 1e-200, 1e-154, 5e-324, f64::MAX, f64::MIN_POSITIVE] {
            assert!((norm(x) - (2f64.ln() + x.ln())).abs() < 1e-12, "{x}");
        }
        let single = Tensor::new([Leg::site("s", 4)], vec![Complex32::new(3e38, 0.0); 4]).unwrap();
        assert!((single.norm().ln_abs() - (2f64.ln() + f64::from(3e38_f32).ln())).abs() < 1e-12);
        assert!(norm(0.0) == f64::NEG_INFINITY && norm(f64::NAN).is_nan() && norm(f64::INFINITY) == f64::INFINITY);
    }
}

//! Two tensors element by element, and sums over legs.

use ndarray::{ArrayD, Axis};

use super::layout;
use super::leg::{self, Leg};
use super::tensor::{Tensor, describe};
use crate::error::{Error, Result};
use crate::linalg::wide;
use crate::scalar::Scalar;

/// Sums that are made side by side.
const LANES: usize = 16;

impl<T: Scalar> Tensor<T> {
    /// A function of the elements of two tensors, the legs of one being among those of the other: the smaller one is
    /// repeated along the legs that it lacks.
    ///
    /// The result has the legs of the larger one, of `self` if both have the same.
    ///
    /// ```
    /// use ansatz::{Leg, Tensor};
    /// let a = Tensor::new([Leg::batch("n", 2), Leg::bond("i", 2)], vec![1.0, 2.0, 3.0, 4.0])?;
    /// let bias = Tensor::new([Leg::bond("i", 2)], vec![10.0, 20.0])?;
    /// let sum = bias.zip_with(&a, |x, y| x + y)?;
    /// assert_eq!(sum.get(&[("n", 1), ("i", 0)])?, 13.0);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Leg`] unless every leg of one is a leg of the other, with the same dimension and role.
    pub fn zip_with(&self, other: &Self, f: impl Fn(T, T) -> T + Sync) -> Result<Self> {
        let within = |small: &Self, large: &Self| small.legs.iter().all(|leg| large.legs.contains(leg));
        if within(other, self) {
            self.zip_repeated(other, f)
        } else if within(self, other) {
            other.zip_repeated(self, |y, x| f(x, y))
        } else {
            Err(Error::Leg {
                what: format!(
                    "{self} and tensor {}: the legs of one have to be among those of the other; expand or contract",
                    describe(&other.legs)
                ),
            })
        }
    }

    /// The sum over some legs, which the result no longer has.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown or named twice.
    pub fn sum_over<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        let mut axes = self.axes(names)?;
        axes.sort_unstable();
        let Some(&last) = axes.last() else { return Ok(self.clone()) };
        let mut sum: ArrayD<T> = self.data.sum_axis(Axis(last));
        for &axis in axes.iter().rev().skip(1) {
            sum = sum.sum_axis(Axis(axis));
        }
        let legs: Vec<Leg> = self.other_axes(&axes).into_iter().map(|axis| self.legs[axis].clone()).collect();
        Tensor::from_array(legs, sum)
    }

    /// The sum of all elements.
    #[must_use]
    pub fn sum(&self) -> T {
        self.data.sum()
    }

    /// The same elements for every value of new legs, which come first.
    ///
    /// # Errors
    /// [`Error::Leg`] if a name would occur twice, [`Error::Empty`] for a leg of dimension zero; [`Error::Memory`] if
    /// the result does not fit into memory.
    pub fn expand(&self, new: &[Leg]) -> Result<Self> {
        let legs: Vec<Leg> = new.iter().chain(&self.legs).cloned().collect();
        leg::check(&legs)?;
        let mut data = layout::zeroed(&legs)?;
        let axes: Vec<usize> = (0..self.legs.len()).collect();
        match layout::gathered(self, &axes)?[..] {
            [one] => data.fill(one),
            ref once => data.chunks_exact_mut(once.len()).for_each(|copy| copy.copy_from_slice(once)),
        }
        Tensor::from_parts(legs, data)
    }

    /// The largest real part along some legs, which the result no longer has.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown or named twice.
    pub fn max_over<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        let mut axes = self.axes(names)?;
        axes.sort_unstable();
        let legs: Vec<Leg> = self.other_axes(&axes).into_iter().map(|axis| self.legs[axis].clone()).collect();
        let mut data = self.data.mapv(|x| T::from_real(x.re()));
        let greater = |a: T, b: T| if b.re() > a.re() { b } else { a };
        for &axis in axes.iter().rev() {
            let first = data.index_axis(Axis(axis), 0).to_owned();
            data = data.axis_iter(Axis(axis)).skip(1).fold(first, |mut largest, slice| {
                largest.zip_mut_with(&slice, |a, &b| *a = greater(*a, b));
                largest
            });
        }
        Tensor::from_array(legs, data)
    }

    /// Whether every element is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        // 0 * x is NaN exactly where x is not finite. Several sums, so that they vectorise as one cannot.
        let finite = |part: &[T]| {
            let mut sums = [T::zero(); LANES];
            let chunks = part.chunks_exact(LANES);
            let rest = chunks.remainder().iter().all(|x| x.is_finite());
            for chunk in chunks {
                sums.iter_mut().zip(chunk).for_each(|(s, &x)| *s += x * T::zero());
            }
            rest && sums.iter().all(|s| s.is_finite())
        };
        wide(
            #[inline(always)]
            || self.memory().chunks(4096).all(finite),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::Complex64;

    #[test]
    fn a_smaller_tensor_is_repeated_along_what_it_lacks() {
        let large = Tensor::<f64>::random([Leg::batch("n", 3), Leg::bond("i", 2), Leg::site("s", 4)], Seed(1)).unwrap();
        let small = Tensor::<f64>::random([Leg::site("s", 4), Leg::batch("n", 3)], Seed(2)).unwrap();
        for large in [large.clone(), large.permute(&["s", "n", "i"]).unwrap()] {
            let (ab, ba) =
                (large.zip_with(&small, |x, y| x / y).unwrap(), small.zip_with(&large, |x, y| y / x).unwrap());
            assert_eq!(ab, ba);
            assert_eq!(ab.legs(), large.legs());
            for (n, i, s) in [(0, 1, 3), (2, 0, 1), (1, 1, 2)] {
                let at = [("n", n), ("i", i), ("s", s)];
                let expected = large.get(&at).unwrap() / small.get(&[("n", n), ("s", s)]).unwrap();
                assert_eq!(ab.get(&at).unwrap(), expected);
            }
        }
        let scalar = Tensor::scalar(2.0);
        assert_eq!(large.zip_with(&scalar, |x, y| x * y).unwrap(), large.scale(2.0));
        let other = Tensor::<f64>::random([Leg::site("t", 4), Leg::batch("n", 3)], Seed(2)).unwrap();
        assert!(matches!(small.zip_with(&other, |x, _| x), Err(Error::Leg { .. })));
        assert!(small.zip_with(&small.with_role("s", crate::Role::Bond).unwrap(), |x, _| x).is_err());
    }

    #[test]
    fn sums_and_maxima_over_legs_are_those_of_the_elements() {
        let t =
            Tensor::<Complex64>::random([Leg::batch("n", 3), Leg::bond("i", 2), Leg::site("s", 4)], Seed(3)).unwrap();
        let (sum, max) = (t.sum_over(&["s", "n"]).unwrap(), t.max_over(&["s", "n"]).unwrap());
        for i in 0..2 {
            let all: Vec<Complex64> =
                (0..12).map(|k| t.get(&[("n", k / 4), ("i", i), ("s", k % 4)]).unwrap()).collect();
            assert!((sum.get(&[("i", i)]).unwrap() - all.iter().sum::<Complex64>()).norm() < 1e-14);
            let largest = all.iter().map(|z| z.re).fold(f64::MIN, f64::max);
            assert_eq!(max.get(&[("i", i)]).unwrap(), Complex64::new(largest, 0.0));
        }
        assert!((sum.sum() - t.sum()).norm() < 1e-14);
        let wide = sum.expand(&[Leg::batch("n", 3), Leg::site("s", 4)]).unwrap();
        assert_eq!(wide.get(&[("n", 2), ("s", 1), ("i", 1)]).unwrap(), sum.get(&[("i", 1)]).unwrap());
        assert!(sum.expand(&[Leg::bond("i", 2)]).is_err() && t.sum_over(&["s", "s"]).is_err());
    }
}

//! The numbers tensors are made of, and numbers too large or too small to be written down.

use std::fmt::{self, Debug, Display};
use std::iter::Sum;
use std::ops::{Add, Div, Mul, Neg, Sub};

use ndarray::{LinalgScalar, ScalarOperand};
use num_complex::{Complex, Complex32, Complex64};
use num_traits::{Float, FromPrimitive, NumAssign};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::random::Stream;

/// Which of the four number types a [`Scalar`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `Complex<f32>`
    C32,
    /// `Complex<f64>`
    C64,
}

impl Kind {
    /// Bytes of one number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Kind::F32 => 4,
            Kind::F64 | Kind::C32 => 8,
            Kind::C64 => 16,
        }
    }

    /// Its name: `f32`, `f64`, `c32` or `c64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::F64 => "f64",
            Kind::C32 => "c32",
            Kind::C64 => "c64",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [Kind::F32, Kind::F64, Kind::C32, Kind::C64];
        let found = kinds.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("'{}' is none of f32, f64, c32, c64", crate::error::quoted(text)))
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for num_complex::Complex32 {}
    impl Sealed for num_complex::Complex64 {}
}

/// An element of a tensor: `f32`, `f64`, `Complex32` or `Complex64`.
///
/// The trait is sealed: the linear algebra below knows these four and no other.
pub trait Scalar:
    sealed::Sealed
    + LinalgScalar
    + ScalarOperand
    + NumAssign
    + Neg<Output = Self>
    + Sum
    + Debug
    + Display
    + PartialEq
    + Default
    + Send
    + Sync
    + bytemuck::Pod
{
    /// The real numbers of the same precision.
    type Real: Real;
    /// The same numbers in double precision.
    type Wide: Scalar<Real = f64, Wide = Self::Wide>;

    /// Which of the four types this is.
    const KIND: Kind;
    /// Whether there is an imaginary part.
    const IS_COMPLEX: bool;

    /// The number `re + i im`, rounded to this precision; the imaginary part is dropped where the type is real.
    fn from_parts(re: f64, im: f64) -> Self;
    /// A real number of the same precision.
    fn from_real(re: Self::Real) -> Self;
    /// Complex conjugate.
    fn conj(self) -> Self;
    /// Real part.
    fn re(self) -> Self::Real;
    /// Imaginary part.
    fn im(self) -> Self::Real;
    /// `|z|^2`.
    fn abs_sq(self) -> Self::Real;
    /// `|z|`.
    fn abs(self) -> Self::Real;
    /// Multiplication by a real number.
    fn scale(self, factor: Self::Real) -> Self;
    /// Whether both parts are finite.
    fn is_finite(self) -> bool;
    /// In double precision, exactly.
    fn widen(self) -> Self::Wide;
    /// Rounded from double precision.
    fn narrow(wide: Self::Wide) -> Self;
    /// A standard normal number; complex ones have variance 1 in all.
    fn normal(stream: &mut Stream) -> Self;

    /// A real number, rounded to this precision.
    #[must_use]
    fn from_f64(re: f64) -> Self {
        Self::from_parts(re, 0.0)
    }
    /// In double precision.
    fn to_c64(self) -> Complex64 {
        Complex64::new(self.re().to_f64(), self.im().to_f64())
    }
}

/// A real [`Scalar`].
pub trait Real: Scalar<Real = Self> + Float + FromPrimitive + PartialOrd {
    /// In double precision.
    fn to_f64(self) -> f64;
    /// Rounded from double precision.
    fn of(x: f64) -> Self;
    /// A uniform number in `[0, 1)`.
    fn uniform(stream: &mut Stream) -> Self;
}

macro_rules! real {
    ($t:ty, $kind:expr) => {
        impl Scalar for $t {
            type Real = $t;
            type Wide = f64;
            const KIND: Kind = $kind;
            const IS_COMPLEX: bool = false;
            #[inline]
            fn from_parts(re: f64, _im: f64) -> Self {
                re as $t
            }
            #[inline]
            fn from_real(re: $t) -> Self {
                re
            }
            #[inline]
            fn conj(self) -> Self {
                self
            }
            #[inline]
            fn re(self) -> $t {
                self
            }
            #[inline]
            fn im(self) -> $t {
                0.0
            }
            #[inline]
            fn abs_sq(self) -> $t {
                self * self
            }
            #[inline]
            fn abs(self) -> $t {
                <$t>::abs(self)
            }
            #[inline]
            fn scale(self, factor: $t) -> Self {
                self * factor
            }
            #[inline]
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            #[inline]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn narrow(wide: f64) -> Self {
                wide as $t
            }
            fn normal(stream: &mut Stream) -> Self {
                StandardNormal.sample(stream)
            }
        }
        impl Real for $t {
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn of(x: f64) -> Self {
                x as $t
            }
            fn uniform(stream: &mut Stream) -> Self {
                stream.random()
            }
        }
    };
}
real!(f32, Kind::F32);
real!(f64, Kind::F64);

macro_rules! complex {
    ($t:ty, $r:ty, $kind:expr) => {
        impl Scalar for $t {
            type Real = $r;
            type Wide = Complex64;
            const KIND: Kind = $kind;
            const IS_COMPLEX: bool = true;
            #[inline]
            fn from_parts(re: f64, im: f64) -> Self {
                Complex::new(re as $r, im as $r)
            }
            #[inline]
            fn from_real(re: $r) -> Self {
                Complex::new(re, 0.0)
            }
            #[inline]
            fn conj(self) -> Self {
                Complex::new(self.re, -self.im)
            }
            #[inline]
            fn re(self) -> $r {
                self.re
            }
            #[inline]
            fn im(self) -> $r {
                self.im
            }
            #[inline]
            fn abs_sq(self) -> $r {
                self.re * self.re + self.im * self.im
            }
            #[inline]
            fn abs(self) -> $r {
                self.re.hypot(self.im)
            }
            #[inline]
            fn scale(self, factor: $r) -> Self {
                Complex::new(self.re * factor, self.im * factor)
            }
            #[inline]
            fn is_finite(self) -> bool {
                self.re.is_finite() && self.im.is_finite()
            }
            #[inline]
            fn widen(self) -> Complex64 {
                Complex::new(f64::from(self.re), f64::from(self.im))
            }
            #[inline]
            fn narrow(wide: Complex64) -> Self {
                Complex::new(wide.re as $r, wide.im as $r)
            }
            fn normal(stream: &mut Stream) -> Self {
                let (re, im): ($r, $r) = (StandardNormal.sample(stream), StandardNormal.sample(stream));
                let half = std::f64::consts::FRAC_1_SQRT_2 as $r;
                Complex::new(re * half, im * half)
            }
        }
    };
}
complex!(Complex32, f32, Kind::C32);
complex!(Complex64, f64, Kind::C64);

/// A number written as a phase times the exponential of a logarithm: `phase * exp(ln_abs)`.
///
/// Norms, overlaps and likelihoods of long chains leave the range of floating point by thousands of decades in either
/// direction; here only their logarithm is kept, in double precision for every `T`, with the sign (real `T`) or the
/// phase (complex `T`) beside it.
///
/// ```
/// use ansatz::LogScaled;
/// let tiny = LogScaled::<f32>::new(-2.0, -9000.0);        // -2 exp(-9000)
/// let ratio = tiny / LogScaled::new(4.0, -9000.0);
/// assert!((ratio.value() + 0.5).abs() < 1e-6);
/// assert_eq!((tiny + -tiny).value(), 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogScaled<T> {
    /// Modulus one, or zero for the number zero.
    phase: T,
    /// `ln |x|`, nats; minus infinity for zero.
    ln_abs: f64,
}

impl<T: Scalar> LogScaled<T> {
    /// `mantissa * exp(ln_scale)`.
    #[must_use]
    pub fn new(mantissa: T, ln_scale: f64) -> Self {
        let wide = mantissa.to_c64();
        // Scaled by hand: `hypot` is exact at the edges of the range, where squares vanish.
        let modulus = wide.re.hypot(wide.im);
        if modulus == 0.0 || ln_scale == f64::NEG_INFINITY {
            return Self::zero();
        }
        let (re, im) = if T::IS_COMPLEX { (wide.re / modulus, wide.im / modulus) } else { (wide.re.signum(), 0.0) };
        if modulus.is_nan() {
            return LogScaled { phase: mantissa, ln_abs: f64::NAN };
        }
        LogScaled { phase: T::from_parts(re, im), ln_abs: modulus.ln() + ln_scale }
    }

    /// The number zero.
    #[must_use]
    pub fn zero() -> Self {
        LogScaled { phase: T::zero(), ln_abs: f64::NEG_INFINITY }
    }

    /// The number one.
    #[must_use]
    pub fn one() -> Self {
        LogScaled { phase: T::one(), ln_abs: 0.0 }
    }

    /// `exp(ln)`, positive.
    #[must_use]
    pub fn exp(ln: f64) -> Self {
        Self::new(T::one(), ln)
    }

    /// Sign or phase: modulus one, or zero for the number zero.
    #[must_use]
    pub fn phase(self) -> T {
        self.phase
    }

    /// `ln |x|` in nats; minus infinity for zero.
    #[must_use]
    pub fn ln_abs(self) -> f64 {
        self.ln_abs
    }

    /// Whether the number is exactly zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.ln_abs == f64::NEG_INFINITY
    }

    /// The number itself; infinite or zero where it does not fit into `T`.
    #[must_use]
    pub fn value(self) -> T {
        if self.is_zero() {
            return T::zero();
        }
        let wide = self.phase.to_c64() * self.ln_abs.exp();
        T::from_parts(wide.re, if T::IS_COMPLEX { wide.im } else { 0.0 })
    }

    /// `|x|`.
    #[must_use]
    pub fn abs(self) -> LogScaled<T::Real> {
        if self.is_zero() { LogScaled::zero() } else { LogScaled { phase: T::Real::of(1.0), ln_abs: self.ln_abs } }
    }

    /// Complex conjugate.
    #[must_use]
    pub fn conj(self) -> Self {
        LogScaled { phase: self.phase.conj(), ..self }
    }

    /// `x^n`.
    #[must_use]
    pub fn powi(self, n: i32) -> Self {
        if n == 0 {
            return Self::one();
        }
        if self.is_zero() {
            return if n > 0 { Self::zero() } else { LogScaled { phase: T::one(), ln_abs: f64::INFINITY } };
        }
        let phase = self.phase.to_c64().powi(n);
        LogScaled { phase: T::from_parts(phase.re, phase.im), ln_abs: self.ln_abs * f64::from(n) }
    }

    /// Principal square root of `|x|`, with half the logarithm.
    #[must_use]
    pub fn sqrt_abs(self) -> LogScaled<T::Real> {
        let abs = self.abs();
        LogScaled { ln_abs: abs.ln_abs / 2.0, ..abs }
    }
}

impl<T: Scalar> From<T> for LogScaled<T> {
    fn from(x: T) -> Self {
        LogScaled::new(x, 0.0)
    }
}

impl<T: Scalar> Mul for LogScaled<T> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::zero();
        }
        LogScaled::new(self.phase * other.phase, self.ln_abs + other.ln_abs)
    }
}

impl<T: Scalar> Div for LogScaled<T> {
    type Output = Self;
    /// Division by zero gives an infinite logarithm, as with floats; zero by zero gives NaN.
    fn div(self, other: Self) -> Self {
        if other.is_zero() {
            let ln_abs = if self.is_zero() { f64::NAN } else { f64::INFINITY };
            return LogScaled { phase: self.phase, ln_abs };
        }
        if self.is_zero() {
            return Self::zero();
        }
        LogScaled::new(self.phase * other.phase.conj(), self.ln_abs - other.ln_abs)
    }
}

impl<T: Scalar> Add for LogScaled<T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (large, small) = if self.ln_abs >= other.ln_abs { (self, other) } else { (other, self) };
        if small.is_zero() {
            return large;
        }
        // In double precision, so that single-precision phases do not cost digits twice.
        let sum = large.phase.to_c64() + small.phase.to_c64() * (small.ln_abs - large.ln_abs).exp();
        let modulus = sum.re.hypot(sum.im);
        if modulus == 0.0 {
            return Self::zero();
        }
        let (re, im) = if T::IS_COMPLEX { (sum.re / modulus, sum.im / modulus) } else { (sum.re.signum(), 0.0) };
        LogScaled { phase: T::from_parts(re, im), ln_abs: large.ln_abs + modulus.ln() }
    }
}

impl<T: Scalar> Neg for LogScaled<T> {
    type Output = Self;
    fn neg(self) -> Self {
        LogScaled { phase: -self.phase, ..self }
    }
}

impl<T: Scalar> Sub for LogScaled<T> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl<T: Scalar> Sum for LogScaled<T> {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::zero(), Add::add)
    }
}

impl<T: Scalar> Display for LogScaled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() { write!(f, "0") } else { write!(f, "{} exp({})", self.phase, self.ln_abs) }
    }
}

/// `ln sum exp(x)`, without overflow; minus infinity for an empty slice.
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + values.iter().map(|v| (v - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_product_beyond_the_range_of_f32_keeps_its_value() {
        let factor = LogScaled::<f32>::from(1e-30);
        let product = (0..1000).fold(LogScaled::one(), |p, _| p * factor);
        assert!((product.ln_abs() - 1000.0 * f64::from(1e-30_f32).ln()).abs() < 1e-6);
        let back = (0..1000).fold(product, |p, _| p / factor);
        assert!((back.value() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_smallest_float_has_a_logarithm() {
        let denormal = LogScaled::<f64>::from(5e-324);
        assert!((denormal.ln_abs() - 5e-324_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn zero_is_neutral_and_absorbing() {
        let (zero, x) = (LogScaled::<Complex64>::zero(), LogScaled::new(Complex64::new(1.0, 2.0), 3.0));
        assert_eq!(zero + x, x);
        assert!((zero * x).is_zero());
        assert!((x / zero).ln_abs().is_infinite());
        assert!((zero / zero).ln_abs().is_nan());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]
        #[test]
        fn arithmetic_agrees_with_complex_numbers(a in -9f64..9.0, b in -9f64..9.0, c in -9f64..9.0, d in 0.1f64..9.0) {
            let (x, y) = (Complex64::new(a, b), Complex64::new(c, d));
            let (lx, ly) = (LogScaled::from(x), LogScaled::from(y));
            for (log, plain) in [(lx * ly, x * y), (lx + ly, x + y), (lx - ly, x - y), (lx / ly, x / y), (ly.powi(3), y.powi(3))] {
                prop_assert!((log.value() - plain).norm() < 1e-12 * (1.0 + x.norm()) * (1.0 + y.norm()).powi(3));
            }
        }

        #[test]
        fn signs_are_kept(a in -9f64..9.0, b in 0.1f64..9.0) {
            let (la, lb) = (LogScaled::from(a), LogScaled::from(-b));
            prop_assert!(((la * lb).value() + a * b).abs() < 1e-12);
            prop_assert!(((la + lb).value() - (a - b)).abs() < 1e-12);
        }
    }
}

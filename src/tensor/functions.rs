//! Elementary functions of one number, real or complex, that neither overflow nor cancel where their value does not.

use num_complex::Complex64;
use num_traits::Float;

use crate::scalar::{Real, Scalar};

/// The real function in the precision of `T`, the complex one in double precision.
fn either<T: Scalar>(x: T, real: impl Fn(T::Real) -> T::Real, complex: impl Fn(Complex64) -> Complex64) -> T {
    if T::IS_COMPLEX {
        let z = complex(x.to_c64());
        T::from_parts(z.re, z.im)
    } else {
        T::from_real(real(x.re()))
    }
}

/// `exp(x)`.
pub fn exp<T: Scalar>(x: T) -> T {
    either(x, Float::exp, Complex64::exp)
}

/// `ln(x)`, the principal branch; NaN for a negative real number.
pub fn ln<T: Scalar>(x: T) -> T {
    either(x, Float::ln, Complex64::ln)
}

/// `sqrt(x)`, the principal branch; NaN for a negative real number.
pub fn sqrt<T: Scalar>(x: T) -> T {
    either(x, Float::sqrt, Complex64::sqrt)
}

/// `tanh(x)`.
pub fn tanh<T: Scalar>(x: T) -> T {
    either(x, Float::tanh, |z| {
        // With the decaying exponential: no numerator overflows.
        let (z, sign) = if z.re < 0.0 { (-z, -1.0) } else { (z, 1.0) };
        let decayed = (-2.0 * z).exp();
        // exp(-2z) - 1 would cancel near zero.
        if z.norm() < 1e-3 { sign * z.tanh() } else { sign * (1.0 - decayed) / (1.0 + decayed) }
    })
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid<T: Scalar>(x: T) -> T {
    let one = T::Real::of(1.0);
    let real = |x: T::Real| {
        let decayed = Float::exp(-Float::abs(x));
        if x < T::Real::of(0.0) { decayed / (one + decayed) } else { one / (one + decayed) }
    };
    either(x, real, |z| {
        if z.re < 0.0 {
            let e = z.exp();
            e / (1.0 + e)
        } else {
            1.0 / (1.0 + (-z).exp())
        }
    })
}

/// `ln(1 + exp(x))`, the principal branch.
pub fn softplus<T: Scalar>(x: T) -> T {
    let zero = T::Real::of(0.0);
    let real = |x: T::Real| Float::max(x, zero) + Float::ln_1p(Float::exp(-Float::abs(x)));
    either(x, real, |z| {
        if z.re <= 0.0 {
            return ln_1p(z.exp());
        }
        let w = z + ln_1p((-z).exp());
        let turns = (w.im / std::f64::consts::TAU).round();
        Complex64::new(w.re, w.im - turns * std::f64::consts::TAU)
    })
}

/// `ln(1 + w)` without the loss of a small `w`.
fn ln_1p(w: Complex64) -> Complex64 {
    Complex64::new(0.5 * (2.0 * w.re + w.norm_sqr()).ln_1p(), w.im.atan2(1.0 + w.re))
}

/// `exp(x)`, right to single precision, without branches: a loop over it vectorises. Beyond the range of single
/// precision it is the value at its end.
///
/// `exp(x) = 2^k exp(r)` with `|r| <= ln 2 / 2`, where eight terms of the series leave `r^8 / 8! < 6e-9`.
#[inline(always)]
pub fn exp_single(x: f64) -> f64 {
    // A number of this size has no place for digits behind the point: adding it rounds, and leaves `k` in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = x.clamp(-200.0, 200.0);
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let r = x - (rounded - ROUND) * std::f64::consts::LN_2;
    let series = 1.0 / 5040.0;
    let series = 1.0 / 720.0 + r * series;
    let series = 1.0 / 120.0 + r * series;
    let series = 1.0 / 24.0 + r * series;
    let series = 1.0 / 6.0 + r * series;
    let series = 0.5 + r * series;
    let series = 1.0 + r * series;
    let series = 1.0 + r * series;
    series * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

/// `tanh(x)` as [`exp_single`].
#[inline(always)]
pub fn tanh_single(x: f64) -> f64 {
    let decayed = exp_single(-2.0 * x.abs());
    let value = ((1.0 - decayed) / (1.0 + decayed)).copysign(x);
    // Where 1 - exp cancels, the next term of the series, x^3 / 3, is below the last digit.
    if x.abs() < 1e-4 { x } else { value }
}

/// `1 / (1 + exp(-x))` as [`exp_single`].
#[inline(always)]
pub fn sigmoid_single(x: f64) -> f64 {
    1.0 / (1.0 + exp_single(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complex_functions_agree_with_real_ones_and_survive_large_arguments() {
        for x in [-800.0, -30.0, -1.0, -1e-9, 0.0, 1e-4, 0.5, 2.0, 40.0, 800.0_f64] {
            let z = Complex64::new(x, 0.0);
            for (real, complex) in [
                (tanh(x), tanh(z)),
                (sigmoid(x), sigmoid(z)),
                (softplus(x), softplus(z)),
                (tanh(x), z.tanh() * if x.abs() > 300.0 { f64::NAN } else { 1.0 }),
            ] {
                assert!(
                    complex.re.is_nan() || (complex - real).norm() <= 1e-13 * real.abs().max(1e-300),
                    "{x} {real} {complex}"
                );
            }
        }
        let z = Complex64::new(0.7, 2.9);
        assert!((softplus(z) - (1.0 + z.exp()).ln()).norm() < 1e-15);
        assert!((sigmoid(z) - 1.0 / (1.0 + (-z).exp())).norm() < 1e-15);
        assert!((tanh(z) - z.tanh()).norm() < 1e-15);
    }

    #[test]
    fn functions_of_single_precision_are_right_to_the_last_digit_but_one() {
        let all = (-1600..1600).map(|i| 0.0656_f32 * i as f32);
        let small = (1..40).flat_map(|i| [10f32.powi(-i), -3.0 * 10f32.powi(-i)]);
        for x in all.chain(small).chain([0.0, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY]) {
            let wide = f64::from(x);
            for (found, expected) in [
                (exp_single(wide), wide.exp()),
                (tanh_single(wide), wide.tanh()),
                (sigmoid_single(wide), 1.0 / (1.0 + (-wide).exp())),
            ] {
                let (found, expected) = (found as f32, expected as f32);
                let close = (found - expected).abs() <= 1.2e-7 * expected.abs() || (found - expected).abs() < 1e-44;
                assert!(found == expected || close, "{x}: {found} {expected}");
            }
        }
        assert!([exp_single(f64::NAN), tanh_single(f64::NAN), sigmoid_single(f64::NAN)].iter().all(|x| x.is_nan()));
        assert!(tanh_single(-0.0).is_sign_negative());
    }
}

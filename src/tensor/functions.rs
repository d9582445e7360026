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
}

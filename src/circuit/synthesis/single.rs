//! Unitaries of one qubit.

use num_complex::Complex64;

/// A matrix `[2, 2]`, rows first.
pub(super) type Single = [Complex64; 4];

pub(super) const IDENTITY: Single = [Complex64::ONE, Complex64::ZERO, Complex64::ZERO, Complex64::ONE];

/// The product `a b`.
pub(super) fn times(a: &Single, b: &Single) -> Single {
    [a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]]
}

pub(super) fn rx(angle: f64) -> Single {
    let (sin, cos) = (angle / 2.0).sin_cos();
    [cos.into(), Complex64::new(0.0, -sin), Complex64::new(0.0, -sin), cos.into()]
}

pub(super) fn ry(angle: f64) -> Single {
    let (sin, cos) = (angle / 2.0).sin_cos();
    [cos.into(), (-sin).into(), sin.into(), cos.into()]
}

pub(super) fn rz(angle: f64) -> Single {
    [Complex64::cis(-angle / 2.0), Complex64::ZERO, Complex64::ZERO, Complex64::cis(angle / 2.0)]
}

pub(super) fn hadamard() -> Single {
    let h = std::f64::consts::FRAC_1_SQRT_2;
    [h.into(), h.into(), h.into(), (-h).into()]
}

/// The angles `theta, phi, lambda` of `u3`, and the phase by which it has to be multiplied.
pub(in crate::circuit) fn euler(matrix: &[Complex64]) -> ([f64; 3], f64) {
    let &[a, b, c, d] = matrix else { return ([0.0; 3], 0.0) };
    let theta = 2.0 * c.norm().atan2(a.norm());
    // The larger of the two elements fixes the phase.
    if a.norm() > c.norm() {
        let (phi, sum) = (if c.norm() > 1e-14 { (c / a).arg() } else { 0.0 }, (d / a).arg());
        ([theta, phi, sum - phi], a.arg())
    } else {
        let lambda = if a.norm() > 1e-14 { (-b / a).arg() } else { 0.0 };
        // Of c / -b = exp(i (phi - lambda)).
        let phi = (c / -b).arg() + lambda;
        ([theta, phi, lambda], c.arg() - phi)
    }
}

//! What is known in closed form.

use std::f64::consts::{LN_2, PI};

use crate::error::{Error, Result};

/// `ln(1 + sqrt 2) / 2`: the coupling `beta J` at which the Ising model of the square lattice is critical.
pub const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

/// The critical coupling `ln(1 + sqrt q)` of the Potts model with `q` states on the square lattice, weight `exp(K)` for
/// a bond whose ends agree.
#[must_use]
pub fn potts_critical(q: usize) -> f64 {
    (q as f64).sqrt().ln_1p()
}

/// Beyond, hyperbolic functions of twice a coupling are exponentials to the last digit.
const LARGE: f64 = 20.0;

/// `ln sinh 2K` for `K > 0`.
fn ln_sinh2(k: f64) -> f64 {
    if k > LARGE { 2.0 * k - LN_2 } else { (2.0 * k).sinh().ln() }
}

/// `gamma` with `cosh gamma = cosh 2K coth 2K - cos 2 x`, from `cosh gamma - 1 = (1 - sinh 2K)^2 / sinh 2K + 2 sin^2 x`,
/// which does not cancel.
fn gamma(k: f64, x: f64) -> f64 {
    if k > LARGE {
        return 2.0 * k;
    }
    let s = (2.0 * k).sinh();
    let y = (1.0 - s) * (1.0 - s) / s + 2.0 * x.sin().powi(2);
    (y + (y * (y + 2.0)).sqrt()).ln_1p()
}

fn check(k: f64) -> Result<()> {
    if k.abs() <= 1e15 { Ok(()) } else { Err(Error::setting("beta", k, "give a finite number, of at most 1e15")) }
}

/// `ln Z` of the Ising model on the torus of `rows x columns` spins at the coupling `k = beta J`, nats.
///
/// Kaufman's sum of four products over even and odd wave numbers (Phys. Rev. 76, 1232, 1949).
///
/// ```
/// let z = ansatz::lattice::exact::ising_torus(16, 16, ansatz::lattice::exact::CRITICAL_COUPLING)?;
/// assert!((z - 238.642256635133).abs() < 1e-10);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for a side of 0 or beyond 1e6, a coupling that is not finite, and a negative one on an odd side,
/// where bonds that wrap are frustrated.
pub fn ising_torus(rows: usize, columns: usize, k: f64) -> Result<f64> {
    check(k)?;
    for side in [rows, columns] {
        if side == 0 || side > 1_000_000 {
            return Err(Error::setting("side of a torus", side, "give 1 to 1000000"));
        }
        if k < 0.0 && side % 2 == 1 {
            return Err(Error::setting(
                "side of a torus",
                side,
                "there is no formula for negative beta on an odd side",
            ));
        }
    }
    let (m, n) = (rows as f64, columns as f64);
    let k = k.abs();
    if k < 1e-150 {
        return Ok(m * n * LN_2);
    }
    // ln of prod 2 cosh(m gamma / 2) and of prod |2 sinh(m gamma / 2)|, over odd and even wave numbers.
    let mut ln = [[0.0_f64; 2]; 2];
    for r in 0..2 * columns {
        let g = m * gamma(k, PI * r as f64 / (2.0 * n));
        let even = usize::from(r % 2 == 0);
        ln[even][0] += g / 2.0 + (-g).exp().ln_1p();
        let minus = -(-g).exp_m1();
        // At wave number 0 the gap itself, which changes sign at the critical point.
        let minus = if r == 0 && k <= LARGE { -(-m * (2.0 * k + k.tanh().ln()).abs()).exp_m1() } else { minus };
        ln[even][1] += g / 2.0 + minus.ln();
    }
    let sign = if 2.0 * k + k.tanh().ln() < 0.0 { -1.0 } else { 1.0 };
    let largest = ln.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let term = |x: f64| (x - largest).exp();
    let sum = term(ln[0][0]) + term(ln[0][1]) + term(ln[1][0]) + sign * term(ln[1][1]);
    Ok(0.5 * m * n * (LN_2 + ln_sinh2(k)) + largest + sum.ln() - LN_2)
}

/// `ln Z / N` of the Ising model on the infinite square lattice at the coupling `k`, nats.
///
/// `ln(2 sinh 2K) / 2 + 1/(2 pi) int_0^pi gamma dq` with `cosh gamma = cosh 2K coth 2K - cos q` (Onsager, Phys. Rev. 65,
/// 117, 1944), by double-exponential quadrature, which resolves the kink at `q = 0`.
///
/// # Errors
/// [`Error::Setting`] unless `k` is finite.
pub fn onsager_ln_z(k: f64) -> Result<f64> {
    check(k)?;
    let k = k.abs();
    if k < 1e-150 {
        return Ok(LN_2);
    }
    let step = 1.0 / 64.0;
    let mut sum = 0.0;
    for i in -256..=256 {
        let t = f64::from(i) * step;
        // q / pi = 1 / (1 + exp(-pi sinh t)), near zero without loss of digits.
        let e = (-PI * t.sinh()).exp();
        let x = 1.0 / (1.0 + e);
        let weight = PI * t.cosh() * x * (e / (1.0 + e));
        if weight > 0.0 && weight.is_finite() {
            sum += weight * gamma(k, 0.5 * PI * x);
        }
    }
    Ok(0.5 * (LN_2 + ln_sinh2(k)) + 0.5 * step * sum)
}

/// The complete elliptic integrals `K` and `E` of modulus `kappa`, whose complement is given, by the
/// arithmetic-geometric mean.
fn elliptic(kappa: f64, complement: f64) -> (f64, f64) {
    let (mut a, mut g, mut c, mut power) = (1.0_f64, complement, kappa, 0.5);
    let mut sum = power * c * c;
    for _ in 0..40 {
        if c.abs() < 1e-17 {
            break;
        }
        c = 0.5 * (a - g);
        (a, g) = (0.5 * (a + g), (a * g).sqrt());
        power *= 2.0;
        sum += power * c * c;
    }
    let first = PI / (2.0 * a);
    (first, first * (1.0 - sum))
}

/// Modulus `2 sinh 2K / cosh^2 2K` and its complement `|2 tanh^2 2K - 1|`.
fn modulus(k: f64) -> (f64, f64) {
    let t = (2.0 * k).tanh();
    // (sinh^2 - 1) / cosh^2, without cancellation near the critical point beyond that of sinh itself.
    let s = (2.0 * k).sinh();
    (2.0 * t / (2.0 * k).cosh(), ((s - 1.0) * (s + 1.0) / (1.0 + s * s)).abs())
}

/// The energy a site, `-d/dK ln Z / N`, of the Ising model on the infinite square lattice at the coupling `k`.
///
/// ```
/// use ansatz::lattice::exact::{CRITICAL_COUPLING, onsager_energy};
/// assert!((onsager_energy(CRITICAL_COUPLING)? + 2f64.sqrt()).abs() < 1e-9);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] unless `k` is finite.
pub fn onsager_energy(k: f64) -> Result<f64> {
    check(k)?;
    let size = k.abs();
    if size > LARGE {
        return Ok(-2.0 * k.signum());
    }
    if size < 1e-6 {
        return Ok(-2.0 * k);
    }
    let t = (2.0 * size).tanh();
    let (kappa, complement) = modulus(size);
    let signed = 2.0 * t * t - 1.0;
    let product = if complement == 0.0 { 0.0 } else { signed * elliptic(kappa, complement).0 * 2.0 / PI };
    Ok(-k.signum() * (1.0 + product) / t)
}

/// The specific heat a site, `K^2 d^2/dK^2 ln Z / N`, of the Ising model on the infinite square lattice; infinite at the
/// critical point.
///
/// # Errors
/// [`Error::Setting`] unless `k` is finite.
pub fn onsager_heat(k: f64) -> Result<f64> {
    check(k)?;
    let k = k.abs();
    if k > LARGE {
        return Ok(0.0);
    }
    if k < 1e-3 {
        // 2 K^2 + O(K^4): the formula would cancel.
        return Ok(2.0 * k * k * (1.0 + 5.0 * k * k));
    }
    let (kappa, complement) = modulus(k);
    if complement == 0.0 {
        return Ok(f64::INFINITY);
    }
    let (first, second) = elliptic(kappa, complement);
    let t = (2.0 * k).tanh();
    let signed = 2.0 * t * t - 1.0;
    let front = k / t;
    Ok(4.0 / PI * front * front * (first - second - (1.0 - t * t) * (PI / 2.0 + signed * first)))
}

/// `ln` of the number of coverings of an open `rows x columns` board by dimers; minus infinity where there is none.
///
/// `prod_j prod_k (4 cos^2(pi j / (m + 1)) + 4 cos^2(pi k / (n + 1)))`, `j` to `ceil(m / 2)`, `k` to `ceil(n / 2)`
/// (Kasteleyn, Physica 27, 1209, 1961).
///
/// ```
/// let ln = ansatz::lattice::exact::dimers_open(8, 8)?;
/// assert!((ln - 12988816f64.ln()).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for a side of 0 or beyond 10000.
pub fn dimers_open(rows: usize, columns: usize) -> Result<f64> {
    check_board(rows, columns)?;
    if rows % 2 == 1 && columns % 2 == 1 {
        return Ok(f64::NEG_INFINITY);
    }
    let cosine = |i: usize, n: usize| 4.0 * (PI * i as f64 / (n as f64 + 1.0)).cos().powi(2);
    let pairs = (1..=rows.div_ceil(2)).flat_map(|j| (1..=columns.div_ceil(2)).map(move |k| (j, k)));
    Ok(pairs.map(|(j, k)| (cosine(j, rows) + cosine(k, columns)).ln()).sum())
}

/// `ln` of the number of coverings by dimers of a torus with even sides; on a side of 2 both bonds between two sites
/// count.
///
/// Half of the three Pfaffians with an antiperiodic direction, the fourth being zero (Kasteleyn, 1961).
///
/// # Errors
/// [`Error::Setting`] for a side that is odd, 0 or beyond 10000.
pub fn dimers_torus(rows: usize, columns: usize) -> Result<f64> {
    check_board(rows, columns)?;
    for side in [rows, columns] {
        if side % 2 == 1 {
            return Err(Error::setting("side of a torus of dimers", side, "give an even side"));
        }
    }
    let pfaffian = |a: f64, b: f64| -> f64 {
        let sine = |i: usize, shift: f64, n: usize| 4.0 * (2.0 * PI * (i as f64 + shift) / n as f64).sin().powi(2);
        let pairs = (0..rows).flat_map(|j| (0..columns).map(move |k| (j, k)));
        pairs.map(|(j, k)| (sine(j, a, rows) + sine(k, b, columns)).ln()).sum::<f64>() / 4.0
    };
    let terms = [pfaffian(0.5, 0.0), pfaffian(0.0, 0.5), pfaffian(0.5, 0.5)];
    Ok(crate::scalar::log_sum_exp(&terms) - LN_2)
}

fn check_board(rows: usize, columns: usize) -> Result<()> {
    match [rows, columns].into_iter().find(|&side| side == 0 || side > 10_000) {
        Some(side) => Err(Error::setting("side of a board", side, "give 1 to 10000")),
        None => Ok(()),
    }
}

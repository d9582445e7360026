//! Dense density matrices: `[d, d]`, the last site running fastest.

use ndarray::{Array2, ArrayView2};
use num_complex::Complex64;

use crate::error::{Error, Result};
use crate::linalg::{Op, eigh, matmul, singular_values};

/// Dimension beyond which nothing is done densely: ten qubits.
pub const DENSE_LIMIT: usize = 1 << 10;

/// The product of `dims`, or the largest number there is where that is more.
#[must_use]
pub fn dimension(dims: &[usize]) -> usize {
    dims.iter().fold(1, |d, &n| d.saturating_mul(n))
}

/// The dimension of sites with these levels.
///
/// # Errors
/// [`Error::Memory`] beyond [`DENSE_LIMIT`].
pub fn dense_dimension(dims: &[usize]) -> Result<usize> {
    let d = dimension(dims);
    if d <= DENSE_LIMIT {
        return Ok(d);
    }
    let bytes = |d: usize| (d as u64).saturating_mul(d as u64).saturating_mul(16);
    Err(Error::Memory {
        what: format!("a dense density matrix of {} sites", dims.len()),
        needed: bytes(d),
        ceiling: bytes(DENSE_LIMIT),
        way_out: "ask for what a chain can tell, or of fewer sites".into(),
    })
}

/// `sqrt(A)` of a positive matrix; eigenvalues below zero count as zero.
///
/// # Errors
/// As [`eigh`].
pub fn square_root(a: &ArrayView2<Complex64>) -> Result<Array2<Complex64>> {
    of_eigenvalues(a, |x| x.max(0.0).sqrt())
}

/// `f(A)` of a Hermitian matrix by its eigenvalues.
///
/// # Errors
/// As [`eigh`].
pub fn of_eigenvalues(a: &ArrayView2<Complex64>, f: impl Fn(f64) -> f64) -> Result<Array2<Complex64>> {
    let e = eigh(a)?;
    let mut scaled = e.vectors.clone();
    for (mut column, &value) in scaled.columns_mut().into_iter().zip(&e.values) {
        let factor = f(value);
        column.mapv_inplace(|x| x * factor);
    }
    Ok(matmul(&scaled.view(), Op::None, &e.vectors.view(), Op::Adjoint))
}

/// Uhlmann's fidelity `F = (tr sqrt(sqrt(a) b sqrt(a)))^2` (J. Mod. Opt. 41, 2315, 1994), 1 for equal states; for pure states it
/// is `|<a|b>|^2`.
///
/// # Errors
/// [`Error::Shape`] if the sizes differ; as [`eigh`].
pub fn fidelity(a: &ArrayView2<Complex64>, b: &ArrayView2<Complex64>) -> Result<f64> {
    same_size(a, b)?;
    // The singular values of sqrt(a) sqrt(b): no root of a root is taken, which would cost half the digits.
    let product = matmul(&square_root(a)?.view(), Op::None, &square_root(b)?.view(), Op::None);
    Ok(singular_values(&product.view())?.iter().sum::<f64>().powi(2))
}

/// Trace distance `tr |a - b| / 2`, between 0 and 1.
///
/// # Errors
/// [`Error::Shape`] if the sizes differ; as [`eigh`].
pub fn trace_distance(a: &ArrayView2<Complex64>, b: &ArrayView2<Complex64>) -> Result<f64> {
    same_size(a, b)?;
    let difference = a - b;
    Ok(eigh(&difference.view())?.values.iter().map(|x| x.abs()).sum::<f64>() / 2.0)
}

fn same_size(a: &ArrayView2<Complex64>, b: &ArrayView2<Complex64>) -> Result<()> {
    if a.dim() == b.dim() { Ok(()) } else { Err(Error::shape("two density matrices", b.dim(), a.dim())) }
}

/// `tr rho^2`
#[must_use]
pub fn purity(rho: &ArrayView2<Complex64>) -> f64 {
    rho.iter().map(|x| x.norm_sqr()).sum()
}

/// Von Neumann entropy `-tr rho ln rho`, nats.
///
/// # Errors
/// As [`eigh`].
pub fn entropy(rho: &ArrayView2<Complex64>) -> Result<f64> {
    Ok(eigh(rho)?.values.iter().filter(|&&p| p > 0.0).map(|&p| -p * p.ln()).sum::<f64>().max(0.0))
}

/// The density matrix of the sites for which `keep` is true.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not one of sites with these levels.
pub fn partial_trace(rho: &ArrayView2<Complex64>, dims: &[usize], keep: &[bool]) -> Result<Array2<Complex64>> {
    check(rho, dims)?;
    if keep.len() != dims.len() {
        return Err(Error::shape("the sites to keep", keep.len(), dims.len()));
    }
    let kept: usize = dims.iter().zip(keep).filter(|(_, k)| **k).map(|(d, _)| d).product();
    // For every index, its part that is kept and its part that is traced.
    let parts: Vec<(usize, usize)> = (0..rho.nrows())
        .map(|index| {
            let (mut rest, mut inner, mut outer) = (index, (0, 1), (0, 1));
            for (&d, &k) in dims.iter().zip(keep).rev() {
                let digit = rest % d;
                rest /= d;
                let part = if k { &mut inner } else { &mut outer };
                part.0 += digit * part.1;
                part.1 *= d;
            }
            (inner.0, outer.0)
        })
        .collect();
    let mut reduced = Array2::zeros((kept, kept));
    for (i, &(a, x)) in parts.iter().enumerate() {
        for (j, &(b, y)) in parts.iter().enumerate() {
            if x == y {
                reduced[[a, b]] += rho[[i, j]];
            }
        }
    }
    Ok(reduced)
}

/// Negativity `(|rho^T_A| - 1)/2` of the first `cut` sites with the others: minus the sum of the negative eigenvalues of the
/// partial transpose (Vidal and Werner, PRA 65, 032314, 2002).
///
/// # Errors
/// As [`partial_trace`].
pub fn negativity(rho: &ArrayView2<Complex64>, dims: &[usize], cut: usize) -> Result<f64> {
    check(rho, dims)?;
    let right: usize = dims.iter().skip(cut).product();
    let transposed = Array2::from_shape_fn(rho.dim(), |(i, j)| {
        let ((a, x), (b, y)) = ((i / right, i % right), (j / right, j % right));
        rho[[b * right + x, a * right + y]]
    });
    Ok(eigh(&transposed.view())?.values.iter().filter(|&&v| v < 0.0).map(|v| -v).sum())
}

fn check(rho: &ArrayView2<Complex64>, dims: &[usize]) -> Result<()> {
    let d: usize = dims.iter().product();
    if rho.dim() == (d, d) { Ok(()) } else { Err(Error::shape("a density matrix", rho.dim(), (d, d))) }
}

/// Hermitian, of trace one, without negative eigenvalues: what a matrix from a file has to be, to `1e-6`; returned exactly so.
///
/// # Errors
/// [`Error::Format`] that says what it is not.
pub fn checked_density(rho: &Array2<Complex64>) -> Result<Array2<Complex64>> {
    let fault = |what: String| Error::Format { what: format!("a density matrix: {what}") };
    if rho.nrows() != rho.ncols() || rho.is_empty() {
        return Err(fault(format!("{} x {}, not square", rho.nrows(), rho.ncols())));
    }
    if rho.iter().any(|x| !(x.re.is_finite() && x.im.is_finite())) {
        return Err(fault("an entry is NaN or infinite".into()));
    }
    let skew = rho.indexed_iter().map(|((i, j), x)| (x - rho[[j, i]].conj()).norm()).fold(0.0, f64::max);
    let trace: Complex64 = rho.diag().iter().sum();
    if skew > 1e-6 {
        return Err(fault(format!("not Hermitian (off by {skew:.1e})")));
    }
    if (trace - 1.0).norm() > 1e-6 {
        return Err(fault(format!("its trace is {:.6}, not 1; divide by it", trace.re)));
    }
    let hermitian = Array2::from_shape_fn(rho.dim(), |(i, j)| (rho[[i, j]] + rho[[j, i]].conj()) / (2.0 * trace.re));
    let least = eigh(&hermitian.view())?.values[0];
    if least < -1e-6 {
        return Err(fault(format!("a negative eigenvalue, {least:.3e}")));
    }
    if least >= 0.0 { Ok(hermitian) } else { project(&hermitian.view()) }
}

/// The density matrix nearest to a Hermitian matrix of trace one (Smolin, Gambetta, Smith, PRL 108, 070502, 2012).
///
/// # Errors
/// As [`eigh`].
pub fn project(a: &ArrayView2<Complex64>) -> Result<Array2<Complex64>> {
    let e = eigh(a)?;
    let onto = simplex(&e.values);
    let rank = onto.iter().filter(|&&x| x > 0.0).count();
    let first = onto.len() - rank;
    // Eigenvalues are sorted, so that those which are left are the last.
    let kept = e.vectors.slice(ndarray::s![.., first..]);
    let mut scaled = kept.to_owned();
    for (mut column, &value) in scaled.columns_mut().into_iter().zip(&onto[first..]) {
        column.mapv_inplace(|x| x * value);
    }
    Ok(matmul(&scaled.view(), Op::None, &kept, Op::Adjoint))
}

/// The nearest point of the simplex to values in ascending order.
fn simplex(ascending: &[f64]) -> Vec<f64> {
    let (mut sum, mut shift) = (0.0, 0.0);
    for (k, &x) in ascending.iter().rev().enumerate() {
        sum += x;
        let candidate = (sum - 1.0) / (k + 1) as f64;
        if x - candidate > 0.0 {
            shift = candidate;
        } else {
            break;
        }
    }
    ascending.iter().map(|x| (x - shift).max(0.0)).collect()
}

//! Gates as matrix product operators over the sites between their outermost qubits.

use ndarray::{Array2, Array4, s};
use num_complex::Complex64;

use super::fuse::Fused;
use crate::circuit::matrix::Matrix;
use crate::error::Result;
use crate::linalg::{TruncatedSvd, Truncation, truncated_svd};
use crate::scalar::Scalar;

/// Singular values of a gate below this share of the largest are rounding.
const ROUNDING: f64 = 1e-14;

/// A gate as tensors `[left, out, in, right]` from its first site on; `site` tells where each of its qubits is.
///
/// A gate under controls is `1 + P (U - 1)` with the projection `P` on the values of the controls, so its bonds are one more
/// than those of `U - 1`, however many controls there are.
pub(super) fn operator<T: Scalar>(gate: &Fused, site: impl Fn(usize) -> usize) -> Result<(usize, Vec<Array4<T>>)> {
    let sites: Vec<usize> = gate.qubits().iter().map(|&q| site(q)).collect();
    let first = sites.iter().copied().min().unwrap_or(0);
    let length = sites.iter().copied().max().unwrap_or(0) + 1 - first;
    let (controls, matrix) = match gate {
        Fused::Whole { matrix, .. } => (&[][..], matrix.clone()),
        Fused::Controlled { controls, matrix, .. } => {
            let dim = matrix.dim();
            let entry = |i: usize| matrix.entries()[i] - if i / dim == i % dim { 1.0 } else { 0.0 };
            (&controls[..], Matrix::new(matrix.qubits(), (0..dim * dim).map(entry).collect())?)
        }
    };
    let targets = &sites[controls.len()..];
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|&i| targets[i]);
    let mut parts = split(&matrix.reordered(&order))?.into_iter();
    // A phase of the whole state, under controls: a number beside the projections.
    let mut number = if targets.is_empty() { matrix.entries()[0] } else { Complex64::ONE };
    let identity = Matrix::identity(1);
    let (zero, one) = (Complex64::ZERO, Complex64::ONE);
    let projections = [Matrix::diagonal(&[one, zero]), Matrix::diagonal(&[zero, one])];
    let mut bond = 1;
    let mut tensors = Vec::with_capacity(length);
    for at in first..first + length {
        let place = sites.iter().position(|&s| s == at);
        let tensor = match place {
            Some(i) if i >= controls.len() => parts.next().unwrap_or_else(|| passing(&identity, bond)),
            Some(i) => passing(&projections[usize::from(controls[i])], bond),
            None => passing(&identity, bond),
        };
        let tensor = tensor * std::mem::replace(&mut number, one);
        bond = tensor.dim().3;
        tensors.push(if controls.is_empty() {
            tensor
        } else {
            beside_identity(&tensor, at == first, at + 1 == first + length)
        });
    }
    Ok((first, tensors.into_iter().map(|t| t.mapv(|z| T::from_parts(z.re, z.im))).collect()))
}

/// A matrix on a site that a bond passes by.
fn passing(matrix: &Matrix, bond: usize) -> Array4<Complex64> {
    Array4::from_shape_fn((bond, 2, 2, bond), |(l, o, i, r)| if l == r { matrix.get(o, i) } else { Complex64::ZERO })
}

/// The sum of a chain and the identity, tensor by tensor.
fn beside_identity(tensor: &Array4<Complex64>, first: bool, last: bool) -> Array4<Complex64> {
    let (l, _, _, r) = tensor.dim();
    let (l0, r0) = (usize::from(!first), usize::from(!last));
    let mut sum = Array4::zeros((l + l0, 2, 2, r + r0));
    sum.slice_mut(s![l0.., .., .., r0..]).assign(tensor);
    let unit = passing(&Matrix::identity(1), 1);
    let mut corner = sum.slice_mut(s![..1, .., .., ..1]);
    corner += &unit;
    sum
}

/// A matrix on qubits in a row as tensors `[left, out, in, right]`.
fn split(matrix: &Matrix) -> Result<Vec<Array4<Complex64>>> {
    let n = matrix.qubits();
    let dim = matrix.dim();
    // [(o0 i0), (o1 i1), ...]
    let mut rest = vec![Complex64::ZERO; dim * dim];
    for row in 0..dim {
        for column in 0..dim {
            let bit = |x: usize, q: usize| x >> (n - 1 - q) & 1;
            let place = (0..n).fold(0, |p, q| p * 4 + 2 * bit(row, q) + bit(column, q));
            rest[place] = matrix.get(row, column);
        }
    }
    let (mut bond, mut tensors) = (1, Vec::with_capacity(n));
    for _ in 1..n {
        let columns = rest.len() / (4 * bond);
        let a = Array2::from_shape_vec((4 * bond, columns), rest).unwrap_or_default();
        let truncation = Truncation::none().cutoff(ROUNDING);
        let TruncatedSvd { u, s, mut vt, .. } = truncated_svd(&a.view(), &truncation)?;
        vt.rows_mut().into_iter().zip(&s).for_each(|(mut v, &s)| v.mapv_inplace(|x| x * s));
        tensors.push(four(u.as_standard_layout().into_owned().into_raw_vec_and_offset().0, bond, s.len()));
        bond = s.len();
        rest = vt.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
    }
    if n > 0 {
        tensors.push(four(rest, bond, 1));
    }
    Ok(tensors)
}

fn four(entries: Vec<Complex64>, left: usize, right: usize) -> Array4<Complex64> {
    Array4::from_shape_vec((left, 2, 2, right), entries).unwrap_or_default()
}

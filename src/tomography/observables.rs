//! What is read off a state: correlations of Pauli operators, entropies along the chain.

use ndarray::Array2;
use num_complex::Complex64;

use super::dense::DENSE_FIT_LIMIT;
use super::density::{self, dimension};
use super::state::Lpdo;
use crate::chain::Mps;
use crate::circuit::{Pauli, PauliSum};
use crate::error::{Error, Result};

/// X, Y or Z, by its number 0, 1, 2; or the identity.
fn pauli(number: Option<usize>) -> Array2<Complex64> {
    let c = Complex64::new;
    let (zero, one) = (c(0.0, 0.0), c(1.0, 0.0));
    match number {
        Some(0) => ndarray::array![[zero, one], [one, zero]],
        Some(1) => ndarray::array![[zero, c(0.0, -1.0)], [c(0.0, 1.0), zero]],
        Some(_) => ndarray::array![[one, zero], [zero, -one]],
        None => Array2::eye(2),
    }
}

/// The number of X, Y, Z.
pub(super) fn number(p: Pauli) -> usize {
    match p {
        Pauli::X => 0,
        Pauli::Y => 1,
        Pauli::Z => 2,
    }
}

/// `tr(rho O)` of a product of operators, one a site, `[d, d]` each.
///
/// # Errors
/// [`Error::Shape`] if the operators do not fit the sites.
pub fn expectation(state: &Lpdo, operators: &[Array2<Complex64>]) -> Result<Complex64> {
    let found: Vec<usize> = operators.iter().map(Array2::nrows).collect();
    if found != state.dims() || operators.iter().any(|o| o.nrows() != o.ncols()) {
        return Err(Error::shape("a product of operators", found, state.dims()));
    }
    // The operators act on the site legs of the chain, which has norm 1.
    let tensors = (0..state.sites()).map(|site| {
        let a = &state.chain().tensors()[site];
        let k = state.purification()[site];
        ndarray::Array3::from_shape_fn(a.dim(), |(l, sq, r)| {
            let (s, q) = (sq / k, sq % k);
            (0..state.dims()[site]).map(|t| operators[site][[s, t]] * a[[l, t * k + q, r]]).sum()
        })
    });
    let acted = Mps::new(tensors.collect())?;
    let bare = Mps::new(state.chain().tensors().to_vec())?;
    Ok(bare.inner(&acted)?.value() / bare.norm_squared().value())
}

/// `tr(rho O)` of a sum of products of Pauli operators, site 0 being qubit 0.
///
/// # Errors
/// [`Error::Shape`] if a site is no qubit or the sum has more of them.
pub fn pauli_sum(state: &Lpdo, observable: &PauliSum) -> Result<f64> {
    let n = state.sites();
    if observable.qubits() > n {
        return Err(Error::shape(format!("the observable '{observable}', in qubits"), observable.qubits(), n));
    }
    let mut sum = 0.0;
    for (string, factor) in observable.terms() {
        let operators: Vec<_> = (0..n).map(|s| pauli(string.get(&s).map(|&p| number(p)))).collect();
        sum += factor * expectation(state, &operators)?.re;
    }
    Ok(sum)
}

/// `<P_i P_j> - <P_i><P_j>` of qubits for `P` = X, Y or Z (0, 1, 2); the diagonal is the variance.
///
/// # Errors
/// [`Error::Shape`] if a site is no qubit.
pub fn correlations(state: &Lpdo, letter: usize) -> Result<Array2<f64>> {
    let n = state.sites();
    let with = |sites: &[usize]| -> Result<f64> {
        let operators: Vec<_> = (0..n).map(|s| pauli(sites.contains(&s).then_some(letter))).collect();
        Ok(expectation(state, &operators)?.re)
    };
    let single = (0..n).map(|i| with(&[i])).collect::<Result<Vec<f64>>>()?;
    let mut matrix = Array2::zeros((n, n));
    for i in 0..n {
        matrix[[i, i]] = 1.0 - single[i] * single[i];
        for j in i + 1..n {
            let value = with(&[i, j])? - single[i] * single[j];
            matrix[[i, j]] = value;
            matrix[[j, i]] = value;
        }
    }
    Ok(matrix)
}

/// Entropy of the sites left of every bond, nats; of pure states of any length, of mixed ones up to eight qubits, else `None`.
///
/// # Errors
/// What a factorisation can meet.
pub fn block_entropies(state: &Lpdo) -> Result<Option<Vec<f64>>> {
    if state.is_pure() {
        return state.chain().clone().entropies().map(Some);
    }
    let d = dimension(state.dims());
    if d > DENSE_FIT_LIMIT {
        return Ok(None);
    }
    let rho = state.density()?;
    let entropies = (1..state.sites()).map(|cut| {
        let keep: Vec<bool> = (0..state.sites()).map(|s| s < cut).collect();
        density::entropy(&density::partial_trace(&rho.view(), state.dims(), &keep)?.view())
    });
    entropies.collect::<Result<Vec<f64>>>().map(Some)
}

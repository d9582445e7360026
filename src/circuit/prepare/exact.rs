//! The exact circuit: one isometry a site.

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use super::qubits_of;
use crate::chain::Mps;
use crate::circuit::circuit::{Circuit, MAX_INSTRUCTIONS};
use crate::circuit::synthesis::{Builder, isometry};
use crate::error::{Error, Result};
use crate::linalg::completed;
use crate::scalar::Scalar;

/// Qubits that a bond may take.
const MAX_BOND_QUBITS: usize = 7;

/// The circuit of `u3`, `u1` and `cx` that turns `|0..0>` into a matrix product state of qubits, exactly but for a phase.
///
/// In right-canonical form the tensor of a site is an isometry from its left bond to the site and its right bond. A bond
/// of dimension `D` lives on `ceil(log2 D)` qubits right of it, so no qubit is needed beyond the sites (Schön, Solano,
/// Verstraete, Cirac and Wolf, PRL 95, 110503 (2005); Ran, PRA 101, 032310 (2020)):
///
/// ```text
/// |0> --[    ]------------------- site 0
/// |0> --[ V0 ]--[    ]----------- site 1       a bond of dimension up to 2 on one qubit;
/// |0> ----------[ V1 ]--[    ]--- site 2       with bonds up to 4 each V acts on three
/// |0> ------------------[ V2 ]--- site 3
/// ```
///
/// Isometries are made of gates by the quantum Shannon decomposition, `O(4^q)` gates for one on `q` qubits.
///
/// ```
/// use ansatz::chain::Mps;
/// use ansatz::circuit::{Simulator, Statevector, prepare};
/// let state = Mps::<f64>::random(&[2; 6], 4, ansatz::Seed(1))?;
/// let circuit = prepare(&state)?;
/// let bits = [0_u8, 1, 1, 0, 1, 0];
/// let found = Statevector::<f64>::new().amplitude(&circuit, &bits)?.value().norm();
/// assert!((found - state.amplitude(&bits)?.value().abs()).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
///
/// # Errors
/// [`Error::Circuit`] if a site has other than 2 levels, a bond is beyond 128, or the circuit would have more gates than a
/// circuit may; [`Error::NotFinite`] if the state has no norm.
pub fn prepare<T: Scalar>(state: &Mps<T>) -> Result<Circuit> {
    let state = qubits_of(state)?;
    let bits: Vec<usize> = state.tensors().iter().map(|a| bond_qubits(a.dim().2)).collect();
    if let Some(site) = bits.iter().position(|&m| m > MAX_BOND_QUBITS) {
        let found = state.tensors()[site].dim().2;
        let what = format!(
            "bond {site} is {found}: an exact circuit takes bonds up to {}; compress the state or prepare it in layers",
            1 << MAX_BOND_QUBITS
        );
        return Err(Error::Circuit { what });
    }
    // About a CNOT and two other gates for each; the isometries of all sites.
    let gates: f64 = bits.iter().map(|&m| 1.5 * 4f64.powi(m as i32 + 1)).sum();
    if gates > MAX_INSTRUCTIONS as f64 {
        let what = format!(
            "the exact circuit of bonds up to {} has about {gates:.0} gates, a circuit has at most {MAX_INSTRUCTIONS}; \
             compress the state or prepare it in layers",
            state.max_bond()
        );
        return Err(Error::Circuit { what });
    }
    let mut builder = Builder::new(state.sites());
    for (site, a) in state.tensors().iter().enumerate() {
        let m = bits[site];
        // Last qubit first: where the bond grows no faster than the sites go by, it is the one that comes in as 0.
        let qubits: Vec<usize> = (site..=site + m).rev().take(1).chain(site..site + m).collect();
        isometry(&columns(a, m)?, &qubits, &mut builder)?;
    }
    let mut circuit = builder.finish()?;
    let phase = state.factor().phase().arg();
    if phase != 0.0 {
        circuit.apply("gphase", &[phase.into()], &[])?;
    }
    Ok(circuit)
}

/// Qubits that hold a bond.
fn bond_qubits(bond: usize) -> usize {
    bond.next_power_of_two().ilog2() as usize
}

/// A site tensor `[left, 2, right]` as columns `[2^(m + 1), inputs]`: rows are the last qubit, the site, the bond but for its
/// last qubit; columns are what comes in on the qubits but the last one, or on all of them if it takes all.
fn columns(a: &Array3<Complex64>, m: usize) -> Result<Array2<Complex64>> {
    let (left, _, right) = a.dim();
    let row = |v: usize, b: usize| {
        if m == 0 { v } else { (b & 1) << m | v << (m - 1) | b >> 1 }
    };
    let into = bond_qubits(left);
    let whole = into > m;
    let count = if whole { 1 << into } else { 1 << m };
    let mut columns = Array2::zeros((2 << m, count));
    let mut used = vec![false; count];
    for l in 0..left {
        // The bond comes on the first of the qubits: the rest of them are 0.
        let column = if whole { row(l >> m, l & ((1 << m) - 1)) } else { l << (m - into) };
        used[column] = true;
        for v in 0..2 {
            for b in 0..right {
                columns[[row(v, b), column]] = a[[l, v, b]];
            }
        }
    }
    filled(columns, &used)
}

/// Orthonormal columns in the place of those that nothing comes in on.
pub(super) fn filled(mut columns: Array2<Complex64>, used: &[bool]) -> Result<Array2<Complex64>> {
    let (rows, count) = columns.dim();
    let given: Vec<usize> = (0..count).filter(|&c| used[c]).collect();
    let known = columns.select(ndarray::Axis(1), &given);
    let basis = completed(&known.view())?;
    let mut spare = given.len()..rows;
    for column in (0..count).filter(|&c| !used[c]) {
        if let Some(from) = spare.next() {
            columns.column_mut(column).assign(&basis.column(from));
        }
    }
    Ok(columns)
}

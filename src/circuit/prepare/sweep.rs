//! One sweep over the gates of a circuit, each replaced by the best one beside the others.

use num_complex::Complex64;

use super::layers::Pair;
use super::overlap::{Overlap, Side};
use crate::chain::{Mps, Toward};
use crate::error::Result;
use crate::linalg::{Truncation, polar};

/// Sweeps in the order in which the gates act (`Right`) or against it (`Left`); `|<target|circuit>|^2` after it.
///
/// ```text
/// <target| g_G ... g_(j+1)  [ g_j ]  g_(j-1) ... g_1 |0>      the overlap is linear in g_j: sum E g with its environment E
///        bra: <chi_j|                 ket: |phi_(j-1)>         largest for the unitary part of E, conjugated
/// ```
pub(super) fn sweep(
    target: &Mps<Complex64>,
    gates: &mut [Pair],
    truncation: &Truncation,
    toward: Toward,
) -> Result<f64> {
    let zero = Mps::product(&vec![vec![Complex64::ONE, Complex64::ZERO]; target.sites()])?;
    // All gates on one side to begin with, taken over to the other one by one.
    let (mut bra, mut ket) = (target.clone(), zero.clone());
    ket.move_centre(0)?;
    if toward == Toward::Right {
        for pair in gates.iter().rev() {
            bra.apply_pair(pair.bond, &pair.dagger(), truncation, Toward::Left)?;
        }
    } else {
        for pair in gates.iter() {
            ket.apply_pair(pair.bond, &pair.matrix, truncation, Toward::Right)?;
        }
    }
    let mut overlap = Overlap::new(bra, ket);
    let improve = |overlap: &mut Overlap, pair: &mut Pair| -> Result<()> {
        let environment = overlap.environment(pair.bond);
        if environment.iter().any(|x| *x != Complex64::ZERO) {
            pair.matrix = polar(&environment.view())?.0.mapv(|x| x.conj());
        }
        Ok(())
    };
    if toward == Toward::Right {
        for pair in gates.iter_mut() {
            overlap.apply(Side::Bra, pair.bond, &pair.matrix, truncation, toward)?;
            improve(&mut overlap, pair)?;
            overlap.apply(Side::Ket, pair.bond, &pair.matrix, truncation, toward)?;
        }
        return Ok(target.inner(overlap.ket())?.value().norm_sqr());
    }
    for pair in gates.iter_mut().rev() {
        overlap.apply(Side::Ket, pair.bond, &pair.dagger(), truncation, toward)?;
        improve(&mut overlap, pair)?;
        overlap.apply(Side::Bra, pair.bond, &pair.dagger(), truncation, toward)?;
    }
    Ok(overlap.bra().inner(&zero)?.value().norm_sqr())
}

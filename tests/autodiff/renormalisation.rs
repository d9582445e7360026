//! Derivatives through many cut singular value decompositions, one after another: the tensor renormalisation group of
//! the two-dimensional Ising model.

use crate::common::{first, gradient, loss, second, value};
use ansatz::autodiff::Var;
use ansatz::lattice::{Ising, Renormalised, trg};
use ansatz::linalg::Truncation;
use ansatz::{Result, Tensor};

fn renormalised<'t>(k: &Var<'t, f64>, steps: usize, cut: &Truncation) -> Result<Renormalised<Var<'t, f64>>> {
    trg(&Ising::new(0.0)?.site_on(k)?, steps, cut)
}

#[test]
fn energy_and_specific_heat_are_derivatives_of_the_free_energy() {
    for coupling in [0.3, 0.55] {
        let cut = Truncation::none().max_bond(6).cutoff(1e-9);
        let f = loss(move |k: &[Var<'_, f64>]| Ok(renormalised(&k[0], 12, &cut)?.ln_z_per_site));
        first("ln Z", &[Tensor::scalar(coupling)], 1e-6, f);
        second("ln Z", &[Tensor::scalar(coupling)], 1e-4, f);
    }
}

#[test]
fn the_free_energy_is_that_of_the_finite_torus_where_nothing_is_cut() {
    // Two sites after one step, each bond twice: Z = 2 e^(4K) + 2 e^(-4K).
    let k = 0.37_f64;
    let two = loss(|x: &[Var<'_, f64>]| renormalised(&x[0], 1, &Truncation::none().cutoff(1e-9))?.ln_z());
    let point = [Tensor::scalar(k)];
    assert!((value(&point, &two) - (4.0 * (4.0 * k).cosh()).ln()).abs() < 1e-12);
    let slope = gradient(&point, &two).unwrap()[0].to_scalar().unwrap();
    assert!((slope - 4.0 * (4.0 * k).tanh()).abs() < 1e-9);
}

//! Derivatives through many cut singular value decompositions, one after another: the tensor renormalisation group of
//! the two-dimensional Ising model.

mod autodiff_common;

use ansatz::autodiff::Var;
use ansatz::linalg::Truncation;
use ansatz::{Leg, Result, Role, Tensor};
use autodiff_common::{first, gradient, loss, second, value};

const STEPS: i32 = 12;

fn site<'t>(k: &Var<'t, f64>) -> Result<Var<'t, f64>> {
    let (up, down) = (k.exp()?, k.neg()?.exp()?);
    let root = Var::stack(&[&up.add(&down)?, &up.sub(&down)?], "u", Role::Bond)?.sqrt()?;
    let legs = ["u", "l", "d", "r"].map(|name| Leg::bond(name, 2));
    let even = (0..16_u32).map(|i| if i.count_ones().is_multiple_of(2) { 0.5 } else { 0.0 }).collect();
    let mut t = k.tape().constant(Tensor::new(legs, even)?)?;
    for name in ["u", "l", "d", "r"] {
        t = t.mul(&root.rename("u", name)?)?;
    }
    Ok(t)
}

fn renormalised<'t>(t: &Var<'t, f64>, cut: &Truncation) -> Result<Var<'t, f64>> {
    let halves = |left: [&str; 2]| -> Result<[Var<'t, f64>; 2]> {
        let f = t.svd(&left, "k", cut)?;
        let root = f.s.sqrt()?;
        Ok([f.u.mul(&root)?, f.vt.mul(&root)?])
    };
    let ([a, c], [b, d]) = (halves(["r", "d"])?, halves(["l", "d"])?);
    let a = a.rename_all(&[("r", "x"), ("d", "w"), ("k", "u")])?;
    let b = b.rename_all(&[("l", "x"), ("d", "z"), ("k", "r")])?;
    let c = c.rename_all(&[("l", "y"), ("u", "z"), ("k", "d")])?;
    let d = d.rename_all(&[("r", "y"), ("u", "w"), ("k", "l")])?;
    a.contract(&b)?.contract(&c.contract(&d)?)
}

fn ln_z<'t>(k: &Var<'t, f64>, bond: usize, checkpoints: bool) -> Result<Var<'t, f64>> {
    let cut = Truncation::none().max_bond(bond).cutoff(1e-9);
    let mut t = site(k)?;
    let mut sum = k.scale(0.0)?;
    for step in 0..STEPS {
        let norm = t.norm()?;
        sum = sum.add(&norm.ln()?.scale(0.5_f64.powi(step))?)?;
        t = t.div(&norm)?;
        t = if checkpoints {
            k.tape().checkpoint(&[&t], move |v| Ok(vec![renormalised(&v[0], &cut)?]))?.remove(0)
        } else {
            renormalised(&t, &cut)?
        };
    }
    sum.add(&t.trace("u", "d")?.trace("l", "r")?.ln()?.scale(0.5_f64.powi(STEPS))?)
}

#[test]
fn energy_and_specific_heat_are_derivatives_of_the_free_energy() {
    for checkpoints in [false, true] {
        for coupling in [0.3, 0.55] {
            let f = loss(move |k: &[Var<'_, f64>]| ln_z(&k[0], 6, checkpoints));
            first("ln Z", &[Tensor::scalar(coupling)], 1e-6, f);
            second("ln Z", &[Tensor::scalar(coupling)], 1e-4, f);
        }
    }
}

#[test]
fn the_free_energy_is_that_of_the_finite_torus_where_nothing_is_cut() {
    // Two sites after one step, each bond twice: Z = 2 e^(4K) + 2 e^(-4K).
    let k = 0.37_f64;
    let two = loss(|x: &[Var<'_, f64>]| {
        let t = renormalised(&site(&x[0])?, &Truncation::none().cutoff(1e-9))?;
        t.trace("u", "d")?.trace("l", "r")?.ln()
    });
    let point = [Tensor::scalar(k)];
    assert!((value(&point, &two) - (4.0 * (4.0 * k).cosh()).ln()).abs() < 1e-12);
    let slope = gradient(&point, &two).unwrap()[0].to_scalar().unwrap();
    assert!((slope - 4.0 * (4.0 * k).tanh()).abs() < 1e-9);
}

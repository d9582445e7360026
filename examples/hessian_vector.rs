//! A second derivative along a direction: the Hessian of a loss times a vector, beside a difference of gradients.
//!
//! The loss is `ln` of the squared norm of what is left of a matrix after its smallest singular values are cut, so the
//! derivative passes a truncated singular value decomposition twice.
//!
//! `cargo run --release --example hessian_vector`.

use ansatz::autodiff::{Tape, Var};
use ansatz::linalg::Truncation;
use ansatz::{Error, Leg, Result, Seed, Tensor};

fn loss<'t>(a: &Var<'t, f64>, weight: &Tensor<f64>) -> Result<Var<'t, f64>> {
    let f = a.svd(&["i"], "k", &Truncation::none().max_bond(3))?;
    let cut = f.u.mul(&f.s)?.contract(&f.vt)?;
    cut.mul(&a.tape().constant(weight.clone())?)?.norm_sq()?.ln()
}

fn gradient(a: &Tensor<f64>, weight: &Tensor<f64>) -> Result<Tensor<f64>> {
    let tape = Tape::new();
    let a = tape.variable(a.clone())?;
    Ok(loss(&a, weight)?.gradient(&[&a])?.swap_remove(0))
}

fn main() -> Result<()> {
    let legs = [Leg::bond("i", 6), Leg::bond("j", 5)];
    let random = |seed| Tensor::<f64>::random(&legs[..], Seed(seed));
    let (a, v, weight) = (random(1)?, random(2)?, random(3)?);

    let tape = Tape::new();
    let x = tape.variable(a.clone())?;
    let exact = loss(&x, &weight)?.hessian_vector(&[&x], &[&v])?.swap_remove(0);

    let step = 1e-5;
    let ahead = gradient(&a.zip_with(&v, |a, v| a + step * v)?, &weight)?;
    let behind = gradient(&a.zip_with(&v, |a, v| a - step * v)?, &weight)?;
    let difference = ahead.sub(&behind)?.scale(0.5 / step);

    let off = (exact.sub(&difference)?.norm() / exact.norm()).value();
    println!("|H v| = {:.9}", exact.norm().value());
    println!("a difference of gradients is off by {off:.1e} of it");
    if off > 1e-6 {
        return Err(Error::NotFinite { what: format!("H v and a difference of gradients differ by {off:e}, so H v") });
    }
    Ok(())
}

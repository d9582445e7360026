//! The free energy of the two-dimensional Ising model by the tensor renormalisation group, differentiated through all
//! its singular value decompositions: energy and specific heat as first and second derivative, beside Onsager's
//! solution.
//!
//! Levin and Nave, Phys. Rev. Lett. 99, 120601 (2007); Liao, Liu, Wang, Xiang, Phys. Rev. X 9, 031041 (2019).
//!
//! `cargo run --release --example free_energy` (`ANSATZ_SHORT=1`: a smaller bond).

use ansatz::autodiff::{Tape, Var};
use ansatz::linalg::Truncation;
use ansatz::{Error, Leg, Result, Role, Tensor};

/// Steps of renormalisation; each makes one site of two.
const STEPS: i32 = 20;

/// `T[u, l, d, r] = sqrt(c_u c_l c_d c_r) / 2` where `u + l + d + r` is even, `c = (2 cosh K, 2 sinh K)`.
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

/// One step: every other site is cut along one diagonal, the others along the other, and the four halves around a
/// plaquette are joined.
///
/// ```text
///    u               r
///     \             /
///     [a]----x----[b]
///      |           |
///      w           z
///      |           |
///     [d]----y----[c]
///     /             \
///    l               d
/// ```
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

/// `ln Z` a site.
fn ln_z<'t>(k: &Var<'t, f64>, bond: usize) -> Result<Var<'t, f64>> {
    let cut = Truncation::none().max_bond(bond).cutoff(1e-9);
    let mut t = site(k)?;
    let mut sum = k.scale(0.0)?;
    for step in 0..STEPS {
        let norm = t.norm()?;
        sum = sum.add(&norm.ln()?.scale(0.5_f64.powi(step))?)?;
        t = t.div(&norm)?;
        // Of each step only the tensor it starts from is kept.
        t = k.tape().checkpoint(&[&t], move |v| Ok(vec![renormalised(&v[0], &cut)?]))?.remove(0);
    }
    sum.add(&t.trace("u", "d")?.trace("l", "r")?.ln()?.scale(0.5_f64.powi(STEPS))?)
}

/// `-d ln Z / dK` a site of the infinite lattice (Onsager), with the elliptic integral by the arithmetic-geometric
/// mean.
fn onsager(k: f64) -> f64 {
    let (double, t) = (2.0 * k, (2.0 * k).tanh());
    let modulus = 2.0 * double.sinh() / double.cosh().powi(2);
    let (mut a, mut g) = (1.0_f64, ((1.0 - modulus) * (1.0 + modulus)).max(0.0).sqrt());
    while (a - g).abs() > 1e-15 {
        (a, g) = (0.5 * (a + g), (a * g).sqrt());
    }
    // K(m) = pi / 2a, so that the factor 2 / pi drops out.
    -(1.0 + (2.0 * t * t - 1.0) / a) / t
}

fn main() -> Result<()> {
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    let bond = if short { 6 } else { 16 };
    println!("Ising model on the square lattice, 2^{STEPS} sites, bond {bond}");
    println!("  K      ln Z / N          energy        exact        specific heat  exact");
    for coupling in [0.35, 0.4, 0.5] {
        let tape = Tape::new();
        let k = tape.variable(Tensor::scalar(coupling))?;
        let l = ln_z(&k, bond)?;
        let energy = -l.gradient(&[&k])?[0].to_scalar()?;
        let second = l.hessian_vector(&[&k], &[&Tensor::scalar(1.0)])?[0].to_scalar()?;
        let heat = coupling * coupling * second;
        let exact = onsager(coupling);
        let exact_heat = -coupling * coupling * (onsager(coupling + 1e-5) - onsager(coupling - 1e-5)) / 2e-5;
        println!(
            "  {coupling:.3}  {:.13}  {energy:.8}  {exact:.8}  {heat:.6}       {exact_heat:.6}",
            l.value().to_scalar()?
        );
        if (energy - exact).abs() > if short { 1e-2 } else { 1e-3 } {
            return Err(Error::Diverged { what: format!("the energy {energy} misses {exact}"), rate: 0.0 });
        }
    }
    Ok(())
}

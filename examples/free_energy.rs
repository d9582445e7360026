//! The free energy of the two-dimensional Ising model by the tensor renormalisation group, differentiated through all
//! its singular value decompositions: energy and specific heat as first and second derivative, beside Onsager's
//! solution.
//!
//! Levin and Nave, Phys. Rev. Lett. 99, 120601 (2007); Liao, Liu, Wang, Xiang, Phys. Rev. X 9, 031041 (2019).
//!
//! `cargo run --release --example free_energy` (`ANSATZ_SHORT=1`: a smaller bond).

use ansatz::autodiff::Tape;
use ansatz::lattice::{Ising, exact, trg};
use ansatz::linalg::Truncation;
use ansatz::{Error, Result, Tensor};

/// Steps of renormalisation; each makes one site of two.
const STEPS: usize = 20;

fn main() -> Result<()> {
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    let bond = if short { 6 } else { 16 };
    let cut = Truncation::none().max_bond(bond).cutoff(1e-9);
    println!("Ising model on the square lattice, 2^{STEPS} sites, bond {bond}");
    println!("  K      ln Z / N          energy        exact        specific heat  exact");
    for coupling in [0.35, 0.4, 0.5] {
        let tape = Tape::new();
        let k = tape.variable(Tensor::scalar(coupling))?;
        let ln_z = trg(&Ising::new(coupling)?.site_on(&k)?, STEPS, &cut)?.ln_z_per_site;
        let energy = -ln_z.gradient(&[&k])?[0].to_scalar()?;
        let second = ln_z.hessian_vector(&[&k], &[&Tensor::scalar(1.0)])?[0].to_scalar()?;
        let heat = coupling * coupling * second;
        let (known, known_heat) = (exact::onsager_energy(coupling)?, exact::onsager_heat(coupling)?);
        println!(
            "  {coupling:.3}  {:.13}  {energy:.8}  {known:.8}  {heat:.6}       {known_heat:.6}",
            ln_z.value().to_scalar()?
        );
        if (energy - known).abs() > if short { 1e-2 } else { 1e-3 } {
            return Err(Error::Diverged { what: format!("the energy {energy} misses {known}"), rate: 0.0 });
        }
    }
    Ok(())
}

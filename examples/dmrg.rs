//! Ground states of spin chains by DMRG, beside their exact energies.
//!
//! `cargo run --release --example dmrg` runs a few known chains (`ANSATZ_SHORT=1`: only the small ones);
//! `cargo run --release --example dmrg -- heisenberg 100 100 4` times one: model, sites, bond, sweeps.

use std::ops::ControlFlow;
use std::time::Instant;

use ansatz::chain::{Dmrg, Mpo, Mps, OpSum, Sweeps, dmrg, operator_as};
use ansatz::{Error, Result};

fn ising(sites: usize) -> Result<Mpo<f64>> {
    let mut sum = OpSum::new(&vec![2; sites]);
    for i in 0..sites {
        sum.add(-1.0, [("X", i)])?;
        if i + 1 < sites {
            sum.add(-1.0, [("Z", i), ("Z", i + 1)])?;
        }
    }
    sum.to_mpo()
}

fn heisenberg(sites: usize) -> Result<Mpo<f64>> {
    let mut sum = OpSum::new(&vec![2; sites]);
    for i in 1..sites {
        for s in ["Sx", "Sy", "Sz"] {
            sum.add(1.0, [(s, i - 1), (s, i)])?;
        }
    }
    sum.to_mpo()
}

/// Up, down, up, down, ...
fn neel(sites: usize) -> Result<Mps<f64>> {
    let site = |i: usize| if i.is_multiple_of(2) { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
    Mps::product(&(0..sites).map(site).collect::<Vec<_>>())
}

fn ground_state(hamiltonian: &Mpo<f64>, sweeps: &Sweeps) -> Result<Dmrg<f64>> {
    dmrg(hamiltonian, neel(hamiltonian.sites())?, sweeps, &mut |report| {
        let (bond, lost) = (report.max_bond, report.discarded_weight);
        println!("  sweep {}: energy {:.12}, bond {bond}, discarded weight {lost:.1e}", report.sweep, report.energy);
        ControlFlow::Continue(())
    })
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [model, numbers @ ..] = &arguments[..] {
        let number = |i: usize| numbers.get(i).and_then(|s: &String| s.parse().ok());
        let (Some(sites), Some(bond), Some(sweeps)) = (number(0), number(1), number(2)) else {
            eprintln!("usage: dmrg [ising|heisenberg SITES BOND SWEEPS]");
            std::process::exit(2);
        };
        let hamiltonian = if model == "ising" { ising(sites)? } else { heisenberg(sites)? };
        let start = Instant::now();
        let ground = ground_state(&hamiltonian, &Sweeps::new(sweeps, bond).cutoff(1e-10))?;
        println!("{model} N={sites} D={bond}: {:.2} s, energy {:.12}", start.elapsed().as_secs_f64(), ground.energy);
        return Ok(());
    }
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    type Known = (&'static str, fn(usize) -> Result<Mpo<f64>>, usize, f64);
    let mut known: Vec<Known> =
        vec![("Ising", ising, 10, -12.381_489_999_655), ("Heisenberg", heisenberg, 14, -6.026_724_661_862)];
    if !short {
        known.push(("Ising", ising, 100, -126.961_876_740));
    }
    for (name, model, sites, exact) in known {
        println!("{name} chain of {sites} sites");
        let hamiltonian = model(sites)?;
        let mut ground = ground_state(&hamiltonian, &Sweeps::new(10, 64).cutoff(1e-10).until(1e-10))?;
        println!(
            "  energy {:.9} (exact {exact:.9}), variance {:.1e}",
            ground.energy,
            hamiltonian.variance(&ground.state)?
        );
        let (z, middle) = (operator_as("Z", 2)?, sites / 2);
        let correlations = ground.state.correlations(&z, &z)?;
        println!("  <Z Z> of the two sites in the middle: {:.6}", correlations[[middle - 1, middle]]);
        println!("  entropy of the half: {:.6} nats", ground.state.entanglement_entropy(middle - 1)?);
        if (ground.energy - exact).abs() > 1e-8 {
            return Err(Error::Diverged { what: format!("the energy misses {exact} by more than 1e-8"), rate: 0.0 });
        }
    }
    Ok(())
}

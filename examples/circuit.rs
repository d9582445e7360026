//! A quantum circuit: drawn, run, read and written.

use ansatz::Seed;
use ansatz::circuit::{Circuit, Parameter, PauliSum, Simulator, Statevector};
use ansatz::report::circuit_text;

fn main() -> ansatz::Result<()> {
    // A ring of spins in a transverse field, one layer of QAOA.
    let sites = 6;
    let mut layer = Circuit::new(sites)?;
    for site in 0..sites {
        layer.h(site)?;
    }
    for site in 0..sites {
        layer.rzz(Parameter::symbol("gamma") * -2.0, site, (site + 1) % sites)?;
    }
    for site in 0..sites {
        layer.rx(Parameter::symbol("beta") * 2.0, site)?;
    }
    println!("{}", circuit_text(&layer, 100)?);

    // One layer makes 3/4 of the bonds of a ring join unlike spins (Farhi, Goldstone and Gutmann, arXiv:1411.4028).
    let angle = std::f64::consts::FRAC_PI_8;
    let circuit = layer.bind(&[("gamma", angle), ("beta", angle)])?;
    let mut unlike = PauliSum::default();
    for site in 0..sites {
        unlike = unlike + format!("0.5 - 0.5*Z{site} Z{}", (site + 1) % sites).parse()?;
    }
    let simulator = Statevector::<f64>::new();
    let share = simulator.expectation(&circuit, &unlike)? / sites as f64;
    println!("{share:.12} of the bonds join unlike spins");
    assert!((share - 0.75).abs() < 1e-12);

    let (counts, _) = simulator.counts(&circuit, 1000, Seed(1))?;
    let most = counts.iter().max_by_key(|(_, count)| **count);
    println!("most frequent of 1000 shots, qubit 0 leftmost: {most:?}");

    let text = circuit.to_qasm()?;
    println!("{}", text.lines().take(8).collect::<Vec<_>>().join("\n"));
    assert_eq!(Circuit::from_qasm(&text)?, circuit);
    Ok(())
}

//! The energy of a chain by hand: site tensors with named legs, contracted from one end to the other.
//!
//! `cargo run --example tensors`

use ansatz::chain::{Mpo, Mps, OpSum};
use ansatz::tensor::contract;
use ansatz::{Result, Seed, Tensor};

fn main() -> Result<()> {
    let sites = 8;
    let mut ising = OpSum::new(&vec![2; sites]);
    for i in 0..sites {
        ising.add(-1.0, [("X", i)])?;
        if i + 1 < sites {
            ising.add(-1.0, [("Z", i), ("Z", i + 1)])?;
        }
    }
    let hamiltonian: Mpo<f64> = ising.to_mpo()?;
    let psi = Mps::random(&vec![2; sites], 6, Seed(1))?;
    println!("{}\n{}", psi.tensor(3)?, hamiltonian.tensor(3)?);

    //   psi  ---[A]---        Legs of the same name are joined: `site3` of the state with the ingoing leg of the
    //            |            operator, `site3'` with that of the conjugate, whose legs all get a prime.
    //   H    ---[W]---
    //            |
    //   psi* ---[A]---
    let mut energy = Tensor::scalar(hamiltonian.factor().value());
    for site in 0..sites {
        let ket = psi.tensor(site)?;
        let mut bra = ket.conj();
        for leg in ket.legs() {
            bra = bra.rename(leg, format!("{}'", leg.name()))?;
        }
        for tensor in [ket, hamiltonian.tensor(site)?, bra] {
            energy = contract(&energy, &tensor)?;
        }
    }
    // The factor of the state is a logarithm, so that long chains do not overflow; here it is of order one.
    let energy = energy.to_scalar()? * psi.factor().value().powi(2);
    println!("by hand {energy:.12}, by the chain {:.12}", hamiltonian.expectation(&psi)?);
    assert!((energy - hamiltonian.expectation(&psi)?).abs() < 1e-10);
    Ok(())
}

//! A contraction from an einsum string in a dozen lines: six tensors, a hyperedge among them, an open leg.
//!
//! `cargo run --release --example einsum`.

use std::time::Duration;

use ansatz::network::{Equation, Network, Planner};
use ansatz::{Error, Result, Seed};

fn main() -> Result<()> {
    // `h` is on three tensors, and `o` stays open.
    let shapes = [vec![4, 6], vec![6, 8, 3], vec![8, 4, 3], vec![4, 5, 3], vec![5, 2], vec![4]];
    let equation = Equation::parse("ab,bch,cdh,deh,eo,a->o", &shapes)?;
    let plan = Planner::new().search(&equation, Duration::from_secs(1), Seed(1))?;
    println!("{plan}");
    let network = Network::<f64>::random(&equation, Seed(2))?;
    let result = network.contract(&plan)?.into_tensor()?;
    println!("result {result:?}");

    // The same, one sum after the other.
    let arrays: Vec<_> = network.tensors().map(|t| t.view_in_order(t.legs())).collect::<Result<_>>()?;
    for o in 0..2 {
        let mut sum = 0.0;
        for index in ndarray::indices((4, 6, 8, 4, 5, 3)) {
            let (a, b, c, d, e, h) = index;
            let (first, second) =
                (arrays[0][[a, b]] * arrays[1][[b, c, h]], arrays[2][[c, d, h]] * arrays[3][[d, e, h]]);
            sum += first * second * arrays[4][[e, o]] * arrays[5][[a]];
        }
        if (sum - result.get(&[("o", o)])?).abs() > 1e-10 * sum.abs().max(1.0) {
            return Err(Error::NotFinite {
                what: format!("element {o} is {sum} by the plain sum, so the contraction"),
            });
        }
    }
    println!("the plain sum over {} terms agrees", 4 * 6 * 8 * 4 * 5 * 3 * 2);
    Ok(())
}

//! The price of a gradient: 200 angles, by running a circuit backwards, in runs forwards.
//!
//! `cargo run --release --example circuit_gradient -- [QUBITS]` (`ANSATZ_SHORT=1`: 12 qubits, each timed once)

use std::time::Instant;

use ansatz::circuit::{Circuit, Parameter, PauliSum, Simulator, Statevector};

fn main() -> ansatz::Result<()> {
    let short = std::env::var_os("ANSATZ_SHORT").is_some();
    let given = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let (qubits, rounds) = (given.unwrap_or(if short { 12 } else { 16 }), if short { 1 } else { 7 });
    let mut circuit = Circuit::new(qubits)?;
    let mut names = Vec::new();
    'layers: loop {
        for turn in ["rx", "rz"] {
            for qubit in 0..qubits {
                if names.len() == 200 {
                    break 'layers;
                }
                names.push(format!("t{:03}", names.len()));
                circuit.apply(turn, &[Parameter::symbol(&names[names.len() - 1])], &[qubit])?;
            }
            for qubit in 1..qubits {
                circuit.cx(qubit - 1, qubit)?;
            }
        }
    }
    let values: Vec<(&str, f64)> =
        names.iter().enumerate().map(|(i, name)| (name.as_str(), (0.37 * i as f64).sin())).collect();
    let observable: PauliSum = (0..qubits).map(|q| format!("Z{q}")).collect::<Vec<_>>().join(" + ").parse()?;
    let simulator = Statevector::<f64>::new();
    let bound = circuit.bind(&values)?;
    let best = |work: &mut dyn FnMut() -> ansatz::Result<()>| -> ansatz::Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            work()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let forward = best(&mut || simulator.state(&bound).map(|_| ()))?;
    let mut derivatives = 0;
    let backward = best(&mut || {
        derivatives = simulator.gradient(&circuit, &values, &observable)?.derivatives.len();
        Ok(())
    })?;
    let value = simulator.expectation(&bound, &observable)?;
    println!("{qubits} qubits, {derivatives} derivatives of an expectation of {value:.6}");
    println!("forward {forward:.5} s, gradient {backward:.5} s, ratio {:.2}", backward / forward);
    Ok(())
}

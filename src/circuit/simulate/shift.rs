//! Gradients by shifts of parameters, for any simulator, and expectations from shots.

use std::f64::consts::PI;

use super::Simulator;
use super::adjoint::Gradient;
use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::instruction::Operation;
use crate::circuit::parameter::Parameter;
use crate::circuit::pauli::{Pauli, PauliSum};
use crate::error::{Error, Result};
use crate::random::Seed;

/// The derivatives of an expectation by the symbols of a circuit, by running it with shifted parameters.
///
/// For each parameter of a gate with `R` frequencies `w, 2 w, .. R w` the circuit is run `2 R` times (Wierichs et al.,
/// Quantum 6, 677, eq. 20); `expectation` runs it, exactly or from shots.
///
/// # Errors
/// [`Error::Circuit`] for a symbol without a value, and for a gate with symbols under controls that its row of the table does
/// not have, whose frequencies are not known; what `expectation` returns.
pub fn parameter_shift(
    circuit: &Circuit,
    values: &[(&str, f64)],
    mut expectation: impl FnMut(&Circuit) -> Result<f64>,
) -> Result<Gradient> {
    let (symbols, bound) = circuit.values(values)?;
    let pairs: Vec<(&str, f64)> = bound.iter().map(|(name, &value)| (name.as_str(), value)).collect();
    let plain = circuit.bind(&pairs)?;
    let value = expectation(&plain)?;
    let mut derivatives = vec![0.0; symbols.len()];
    for (number, instruction) in circuit.instructions().iter().enumerate() {
        let Operation::Gate { gate, .. } = &instruction.operation else { continue };
        for (place, parameter) in gate.parameters().iter().enumerate() {
            if parameter.value().is_some() {
                continue;
            }
            let Gate::Named { row, .. } = gate else {
                let what =
                    format!("instruction {number} ({}): its frequencies are not known; use the adjoint", gate.name());
                return Err(Error::Circuit { what });
            };
            let frequencies = row.frequencies[place];
            let (Some(w), r) = (frequencies.first().copied(), frequencies.len()) else { continue };
            let mut slope = 0.0;
            for mu in 1..=2 * r {
                let x = (2 * mu - 1) as f64 * PI / (2 * r) as f64;
                let sign = if mu % 2 == 1 { 1.0 } else { -1.0 };
                let shifted = plain.shifted(number, place, x / w);
                slope += sign * expectation(&shifted)? / (4.0 * r as f64 * (x / 2.0).sin().powi(2));
            }
            for (name, factor) in Parameter::terms(parameter) {
                if let Ok(i) = symbols.binary_search_by(|s| s.as_str().cmp(name)) {
                    derivatives[i] += factor * w * slope;
                }
            }
        }
    }
    Ok(Gradient { value, symbols, derivatives })
}

/// The expectation of an observable from `shots` shots for each of its terms, each measured in its own basis.
///
/// # Errors
/// As [`Simulator::sampler`]; [`Error::Circuit`] if the circuit measures; [`Error::Setting`] for no shots.
pub fn expectation_from_shots(
    simulator: &dyn Simulator,
    circuit: &Circuit,
    observable: &PauliSum,
    shots: usize,
    seed: Seed,
) -> Result<f64> {
    observable.check(circuit.num_qubits())?;
    if shots == 0 {
        return Err(Error::setting("shots", 0, "give at least one"));
    }
    if circuit.instructions().iter().any(|i| matches!(i.operation, Operation::Measure { .. })) {
        let what = "an expectation from shots measures by itself: leave out the measurements of the circuit";
        return Err(Error::Circuit { what: what.into() });
    }
    let mut total = 0.0;
    for (number, (string, factor)) in observable.terms().enumerate() {
        if string.is_empty() {
            total += factor;
            continue;
        }
        let mut turned = circuit.clone();
        for (&qubit, pauli) in string {
            match pauli {
                Pauli::X => drop(turned.h(qubit)?),
                Pauli::Y => drop(turned.apply("sdg", &[], &[qubit])?.h(qubit)?),
                Pauli::Z => {}
            }
        }
        let drawn = simulator.shots(&turned, shots, seed.derive("term", number as u64))?;
        let odd = |bits: &&[u8]| string.keys().filter(|&&q| bits[q] == 1).count() % 2 == 1;
        let minus = drawn.rows().filter(odd).count();
        total += factor * (1.0 - 2.0 * minus as f64 / shots as f64);
    }
    Ok(total)
}

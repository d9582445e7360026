//! Gradients of a statevector by running a circuit backwards.
//!
//! Jones and Gacon, arXiv:2009.02823, and Luo et al., Quantum 4, 341 (2020): beside the state `psi` there is only
//! `lambda = O psi`. Both go back gate by gate, and where a gate has parameters, `2 Re <lambda| K |psi>` with
//! `K = (dU/dtheta) U^dagger` is read off between the two, in the pass that undoes the gate on both.

use std::collections::BTreeMap;

use super::backward::Backward;
use super::program::Program;
use super::stage::{self, Layout};
use super::state::State;
use super::statevector::Statevector;
use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::Result;
use crate::parallel;
use crate::scalar::Real;

/// A value with its derivatives by the symbols of a circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// The value.
    pub value: f64,
    /// The symbols, in order of their names.
    pub symbols: Vec<String>,
    /// The derivative by each.
    pub derivatives: Vec<f64>,
}

/// By how much a parameter of a gate changes with each symbol.
pub(super) type Chain = Vec<(usize, f64)>;

/// A gate with the derivatives of its matrix by those of its parameters that have symbols.
pub(super) struct Turned {
    pub matrix: Matrix,
    pub derivatives: Vec<(Chain, Matrix)>,
}

/// The matrix of a gate with values in the place of symbols, over its targets, and its derivatives.
///
/// Elements are trigonometric polynomials of a parameter with frequencies up to 1 in steps of a half, of which four values
/// give the derivative exactly (Wierichs et al., Quantum 6, 677, eq. 20).
pub(super) fn turned(gate: &Gate, symbols: &[String], values: &BTreeMap<String, f64>) -> Result<Turned> {
    let bound = |shift: Option<(usize, f64)>| {
        let mut gate = gate.clone();
        gate.bind(values);
        if let Some((place, by)) = shift {
            gate.shift(place, by);
        }
        gate.target_matrix()
    };
    let mut derivatives = Vec::new();
    for (place, parameter) in gate.parameters().iter().enumerate() {
        let chain: Chain = parameter
            .terms()
            .filter_map(|(name, factor)| symbols.iter().position(|s| s == name).map(|i| (i, factor)))
            .collect();
        if chain.is_empty() {
            continue;
        }
        let mut sum: Option<Matrix> = None;
        for mu in 1..=4_u32 {
            let x = f64::from(2 * mu - 1) * std::f64::consts::PI / 4.0;
            // With t = theta / 2 the frequencies are 0, 1 and 2; the derivative by theta is half of that by t.
            let sign = if mu % 2 == 1 { 0.5 } else { -0.5 };
            let weight = sign / (8.0 * (x / 2.0).sin().powi(2));
            let term = bound(Some((place, 2.0 * x)))?.scaled(weight);
            sum = Some(match sum {
                Some(sum) => sum.plus(&term),
                None => term,
            });
        }
        if let Some(sum) = sum {
            derivatives.push((chain, sum));
        }
    }
    Ok(Turned { matrix: bound(None)?, derivatives })
}

impl<T: Real> Statevector<T> {
    /// The expectation of an observable at the end of a circuit with `values` for its symbols, and the derivatives by them,
    /// for about three runs of the circuit, whatever the number of symbols, and one state more.
    ///
    /// ```
    /// use ansatz::circuit::{Circuit, Parameter, Statevector};
    /// let mut circuit = Circuit::new(1)?;
    /// circuit.rx(Parameter::symbol("a"), 0)?;
    /// // <Z> = cos a
    /// let gradient = Statevector::<f64>::new().gradient(&circuit, &[("a", 0.3)], &"Z0".parse()?)?;
    /// assert!((gradient.value - 0.3f64.cos()).abs() < 1e-14 && (gradient.derivatives[0] + 0.3f64.sin()).abs() < 1e-14);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Statevector::state`]; [`crate::Error::Circuit`] for a symbol without a value or a value without a symbol, and for a
    /// gate with symbols on more than three qubits.
    pub fn gradient(&self, circuit: &Circuit, values: &[(&str, f64)], observable: &PauliSum) -> Result<Gradient> {
        observable.check(circuit.num_qubits())?;
        self.backward(circuit, values, |state| {
            let turned = state.times(observable);
            Ok((state.inner(&turned).re, turned))
        })
    }

    /// The derivatives of a function of the probabilities of all outcomes: `f` is given them, `[2^qubits]`, and returns its
    /// value and its derivative by each.
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient), and what `f` returns.
    pub fn gradient_of_probabilities(
        &self,
        circuit: &Circuit,
        values: &[(&str, f64)],
        f: impl FnOnce(&[f64]) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Gradient> {
        self.backward(circuit, values, |state| {
            let (value, by) = f(&state.probabilities())?;
            Ok((value, state.weighted(&by)?))
        })
    }

    /// `start` gives the value and `lambda`.
    fn backward(
        &self,
        circuit: &Circuit,
        values: &[(&str, f64)],
        start: impl FnOnce(&State<T>) -> Result<(f64, State<T>)>,
    ) -> Result<Gradient> {
        let qubits = circuit.num_qubits();
        State::<T>::check(qubits, 2)?;
        let (symbols, values) = circuit.values(values)?;
        let program = Program::new(circuit, |gates| {
            let mut backward = Backward::default();
            for placed in gates {
                backward.push(placed, &symbols, &values, qubits).map_err(|e| placed.at(e))?;
            }
            backward.finish()?;
            Ok(backward)
        })?;
        program.check_single()?;
        let Backward { forward, undo, reads, .. } = program.first;
        let mut psi = State::<T>::zero(qubits)?;
        psi.apply(&forward, &stage::plan(&forward, qubits));
        let (value, mut lambda) = start(&psi)?;
        let mut derivatives = vec![0.0; symbols.len()];
        for stage in stage::plan(&undo, qubits) {
            let layout = Layout::new(&stage, qubits);
            let blocks =
                layout.blocks(&mut psi.re, &mut psi.im).into_iter().zip(layout.blocks(&mut lambda.re, &mut lambda.im));
            let found = parallel::map(blocks.collect(), |((index, mut ket), (_, mut bra))| {
                let place = |position: usize| layout.bit_of[position].ok_or(index >> position & 1 == 1);
                let mut scratch = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
                layout.with(&mut ket, &mut scratch.0, |kr, ki| {
                    layout.with(&mut bra, &mut scratch.1, |br, bi| {
                        let mut found = Vec::new();
                        for &number in &stage.ops {
                            let states = ((&mut *kr, &mut *ki), (&mut *br, &mut *bi));
                            reads[number].undo(&undo[number], states, place, &mut found);
                        }
                        found
                    })
                })
            });
            for (symbol, derivative) in found.into_iter().flatten() {
                derivatives[symbol] += derivative;
            }
        }
        Ok(Gradient { value, symbols, derivatives })
    }
}

//! Gradients of a statevector by running a circuit backwards.
//!
//! Jones and Gacon, arXiv:2009.02823, and Luo et al., Quantum 4, 341 (2020): beside the state `psi` there is only
//! `lambda = O psi`. Both go back gate by gate, and where a gate has parameters, `2 Re <lambda| K |psi>` with
//! `K = (dU/dtheta) U^dagger` is read off between the two: from the transition matrix `sum conj(lambda_i) psi_j` of the qubits
//! of the gate, one for all its parameters.

use std::collections::BTreeMap;

use num_complex::Complex64;

use super::compile::{Form, Op};
use super::kernel::{Local, apply, transition};
use super::program::{Placed, Program};
use super::stage::{self, Layout};
use super::state::State;
use super::statevector::Statevector;
use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::{Error, Result};
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

/// What undoes gates, and what is read off before: `K` of each parameter.
#[derive(Default)]
struct Backward {
    forward: Vec<Op>,
    undo: Vec<Op>,
    reads: Vec<Vec<(Chain, Matrix)>>,
    waiting: BTreeMap<usize, (Matrix, Vec<(Chain, Matrix)>)>,
}

impl Backward {
    fn push(
        &mut self,
        placed: &Placed<'_>,
        symbols: &[String],
        values: &BTreeMap<String, f64>,
        qubits: usize,
    ) -> Result<()> {
        let positions: Vec<usize> = placed.qubits.iter().map(|&q| qubits - 1 - q).collect();
        let Turned { mut matrix, mut derivatives } = turned(placed.gate, symbols, values)?;
        let controls = placed.gate.controls();
        if let [position] = positions[..] {
            if !controls.is_empty() {
                // A phase under one control.
                derivatives.iter_mut().for_each(|(_, d)| *d = d.beside_zero(&controls));
                matrix = matrix.controlled(&controls);
            }
            let (before, mut all) = self.waiting.remove(&position).unwrap_or_else(|| (Matrix::identity(1), Vec::new()));
            for (_, derivative) in &mut all {
                *derivative = matrix.times(derivative)?;
            }
            for (chain, derivative) in derivatives {
                all.push((chain, derivative.times(&before)?));
            }
            self.waiting.insert(position, (matrix.times(&before)?, all));
            return Ok(());
        }
        for position in &positions {
            self.flush(*position)?;
        }
        if derivatives.is_empty() {
            let values = controls.iter().copied();
            let controls: Vec<_> = positions.iter().copied().zip(values).collect();
            let targets = positions[controls.len()..].to_vec();
            self.forward.push(Op::of(controls.clone(), targets.clone(), &matrix));
            self.undo.push(Op::of(controls, targets, &matrix.dagger()));
            self.reads.push(Vec::new());
            return Ok(());
        }
        if positions.is_empty() {
            // A phase of the whole state, on which no value depends.
            return Ok(());
        }
        if positions.len() > 3 {
            let what = format!("derivative of a gate on {} qubits: gates of up to 3 are taken", positions.len());
            return Err(Error::Circuit { what });
        }
        let whole = matrix.controlled(&controls);
        let derivatives = derivatives.into_iter().map(|(chain, d)| (chain, d.beside_zero(&controls))).collect();
        self.dense(positions, whole, derivatives)
    }

    fn flush(&mut self, position: usize) -> Result<()> {
        match self.waiting.remove(&position) {
            Some((matrix, derivatives)) => self.dense(vec![position], matrix, derivatives),
            None => Ok(()),
        }
    }

    fn dense(&mut self, targets: Vec<usize>, matrix: Matrix, derivatives: Vec<(Chain, Matrix)>) -> Result<()> {
        let dagger = matrix.dagger();
        let form = Form::Matrix(dagger.entries().to_vec());
        self.forward.push(Op::of(Vec::new(), targets.clone(), &matrix));
        // Never in diagonal form: what is read off needs the targets within the block.
        self.undo.push(Op { controls: Vec::new(), targets, form });
        let turn = |(chain, d): (Chain, Matrix)| Ok((chain, d.times(&dagger)?));
        self.reads.push(derivatives.into_iter().map(turn).collect::<Result<_>>()?);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let positions: Vec<usize> = self.waiting.keys().copied().collect();
        positions.into_iter().try_for_each(|position| self.flush(position))?;
        self.undo.reverse();
        self.reads.reverse();
        Ok(())
    }
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
    /// As [`Statevector::state`]; [`Error::Circuit`] for a symbol without a value or a value without a symbol, and for a
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
                let gates: Vec<Option<Local<T>>> =
                    stage.ops.iter().map(|&number| undo[number].localised::<T>(place)).collect();
                let mut scratch = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
                layout.with(&mut ket, &mut scratch.0, |kr, ki| {
                    layout.with(&mut bra, &mut scratch.1, |br, bi| {
                        let mut sums: Vec<(usize, Vec<Complex64>)> = Vec::new();
                        for (&number, gate) in stage.ops.iter().zip(&gates) {
                            if !reads[number].is_empty() {
                                let bits: Vec<usize> =
                                    undo[number].targets.iter().filter_map(|&p| layout.bit_of[p]).collect();
                                sums.push((number, transition((kr, ki), (br, bi), &bits)));
                            }
                            if let Some(gate) = gate {
                                apply(kr, ki, gate);
                                apply(br, bi, gate);
                            }
                        }
                        sums
                    })
                })
            });
            for (number, sums) in found.into_iter().flatten() {
                for (chain, k) in &reads[number] {
                    let trace: Complex64 = k.entries().iter().zip(&sums).map(|(k, m)| k * m).sum();
                    chain.iter().for_each(|&(symbol, factor)| derivatives[symbol] += 2.0 * factor * trace.re);
                }
            }
        }
        Ok(Gradient { value, symbols, derivatives })
    }
}

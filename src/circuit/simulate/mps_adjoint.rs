//! Gradients of a matrix product state by running a circuit backwards.
//!
//! As for statevectors, `psi` and `lambda = O psi` go back gate by gate, both as matrix product states, and `2 Re <lambda| K
//! |psi>` is read off where a gate has parameters. What lies left and right of a gate is kept from one to the next as far as
//! nothing there has changed.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};
use num_complex::{Complex, Complex64};

use super::adjoint::{Chain as Slopes, Gradient, Turned, turned};
use super::backward::{Moving, product, too_wide};
use super::fuse::Fused;
use super::mps::{Chain, MpsSimulator, mpo};
use super::program::{Placed, Program};
use crate::chain::Mps;
use crate::circuit::circuit::Circuit;
use crate::circuit::matrix::Matrix;
use crate::circuit::pauli::PauliSum;
use crate::error::Result;
use crate::linalg::{Op, matmul};
use crate::scalar::{LogScaled, Real, Scalar};

/// What undoes a gate, with `K = dU U^dagger` over its qubits of each derivative.
struct Undo {
    gate: Fused,
    by: Vec<(Slopes, Matrix)>,
}

/// Gates in order, those of one qubit merged.
#[derive(Default)]
struct Gates {
    undo: Vec<Undo>,
    waiting: BTreeMap<usize, Moving>,
}

impl Gates {
    fn push(&mut self, placed: &Placed<'_>, symbols: &[String], values: &BTreeMap<String, f64>) -> Result<()> {
        let Turned { matrix, derivatives } = turned(placed.gate, symbols, values)?;
        let (controls, qubits) = (placed.gate.controls(), placed.qubits.to_vec());
        if let [qubit] = qubits[..] {
            let by = derivatives.into_iter().map(|(chain, d)| (chain, d.beside_zero(&controls))).collect();
            let gate = (matrix.controlled(&controls), by);
            let merged = match self.waiting.remove(&qubit) {
                Some(before) => product(gate, &before)?,
                None => gate,
            };
            self.waiting.insert(qubit, merged);
            return Ok(());
        }
        qubits.iter().try_for_each(|&qubit| self.flush(qubit))?;
        if qubits.is_empty() {
            // A phase of the whole state, on which no value depends.
            return Ok(());
        }
        if qubits.len() > 3 {
            if !derivatives.is_empty() {
                return Err(too_wide(qubits.len()));
            }
            let gate = Fused::Controlled { controls, qubits, matrix: matrix.dagger() };
            self.undo.push(Undo { gate, by: Vec::new() });
            return Ok(());
        }
        let by = derivatives.into_iter().map(|(chain, d)| (chain, d.beside_zero(&controls))).collect();
        self.whole(qubits, (matrix.controlled(&controls), by))
    }

    fn flush(&mut self, qubit: usize) -> Result<()> {
        self.waiting.remove(&qubit).map_or(Ok(()), |gate| self.whole(vec![qubit], gate))
    }

    fn whole(&mut self, qubits: Vec<usize>, (matrix, by): Moving) -> Result<()> {
        let dagger = matrix.dagger();
        let turn = |(chain, d): (Slopes, Matrix)| Ok((chain, d.times(&dagger)?));
        let by = by.into_iter().map(turn).collect::<Result<_>>()?;
        self.undo.push(Undo { gate: Fused::Whole { qubits, matrix: dagger }, by });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Undo>> {
        let left: Vec<usize> = self.waiting.keys().copied().collect();
        left.into_iter().try_for_each(|qubit| self.flush(qubit))?;
        self.undo.reverse();
        Ok(self.undo)
    }
}

impl<T: Real> MpsSimulator<T>
where
    Complex<T>: Scalar<Real = T>,
{
    /// The expectation of an observable at the end of a circuit with `values` for its symbols, and the derivatives by them,
    /// for about three runs of the circuit and the products of bonds of the state and of `O` times the state. Exact as
    /// far as the state is: bonds that cut make it as wrong as the estimate of the fidelity says.
    ///
    /// ```
    /// use ansatz::circuit::{Circuit, MpsSimulator, Parameter};
    /// let mut circuit = Circuit::new(100)?;
    /// circuit.rx(Parameter::symbol("a"), 0)?;
    /// for q in 1..100 {
    ///     circuit.cx(q - 1, q)?;
    /// }
    /// // <Z99> = cos a
    /// let gradient = MpsSimulator::<f64>::new().gradient(&circuit, &[("a", 0.3)], &"Z99".parse()?)?;
    /// assert!((gradient.value - 0.3f64.cos()).abs() < 1e-12 && (gradient.derivatives[0] + 0.3f64.sin()).abs() < 1e-12);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`MpsSimulator::run`]; [`crate::Error::Circuit`] for a symbol without a value or a value without a symbol, and for a
    /// gate with symbols on more than three qubits.
    pub fn gradient(&self, circuit: &Circuit, values: &[(&str, f64)], observable: &PauliSum) -> Result<Gradient> {
        observable.check(circuit.num_qubits())?;
        let (symbols, bound) = circuit.values(values)?;
        let program = Program::new(circuit, |gates| {
            let mut all = Gates::default();
            for placed in gates {
                all.push(placed, &symbols, &bound).map_err(|e| placed.at(e))?;
            }
            all.finish()
        })?;
        program.check_single()?;
        let mut gradient = Gradient { value: 0.0, derivatives: vec![0.0; symbols.len()], symbols };
        if observable.terms().next().is_none() {
            return Ok(gradient);
        }
        let psi = self.run(&circuit.bind(values)?)?.state;
        let (lambda, _) = mpo::<Complex<T>>(observable, &psi.dims())?.apply(&psi, self.cuts())?;
        let value = psi.inner(&lambda)?;
        gradient.value = value.value().re().to_f64();
        let size = lambda.norm();
        if size.value().to_f64() == 0.0 {
            return Ok(gradient);
        }
        let mut pair = Pair::new(self.chain(psi), self.chain(lambda));
        for (number, undo) in program.first.iter().enumerate() {
            if !undo.by.is_empty() {
                let slopes = pair.slopes(undo.gate.qubits(), &undo.by)?;
                for ((chain, _), slope) in undo.by.iter().zip(slopes) {
                    chain.iter().for_each(|&(symbol, by)| gradient.derivatives[symbol] += 2.0 * by * slope);
                }
            }
            let next = program.first[number + 1..].iter().find(|u| u.gate.qubits().len() > 1);
            pair.undo(&undo.gate, next.and_then(|u| u.gate.qubits().iter().copied().min()))?;
        }
        Ok(gradient)
    }
}

/// Two states with what lies between them left and right of a site.
struct Pair<T: Real>
where
    Complex<T>: Scalar,
{
    ket: Chain<T>,
    bra: Chain<T>,
    /// `[bra, ket]` of all sites before `i`, up to and including number `left_known`.
    left: Vec<Array2<Complex<T>>>,
    left_known: usize,
    /// `[ket, bra]` of all sites from `i` on, from number `right_known` on.
    right: Vec<Array2<Complex<T>>>,
    right_known: usize,
}

impl<T: Real> Pair<T>
where
    Complex<T>: Scalar<Real = T>,
{
    fn new(ket: Chain<T>, bra: Chain<T>) -> Self {
        let sites = ket.state.sites();
        let ends = vec![Array2::eye(1); sites + 1];
        Pair { ket, bra, left: ends.clone(), left_known: 0, right: ends, right_known: sites }
    }

    fn undo(&mut self, gate: &Fused, next: Option<usize>) -> Result<()> {
        for chain in [&mut self.ket, &mut self.bra] {
            let before = chain.state.centre();
            chain.gate(gate, next)?;
            // Besides the sites of the gate those over which the centre has moved.
            let single = gate.qubits().len() == 1;
            let moved = [before, chain.state.centre()].into_iter().flatten().filter(|_| !single);
            for site in gate.qubits().iter().copied().chain(moved) {
                self.left_known = self.left_known.min(site);
                self.right_known = self.right_known.max(site + 1);
            }
        }
        Ok(())
    }

    fn reach(&mut self, first: usize, last: usize) {
        for site in self.left_known..first {
            let (a, b) = (&self.ket.state.tensors()[site], &self.bra.state.tensors()[site]);
            let ((ka, d, ra), (kb, _, rb)) = (a.dim(), b.dim());
            let (Some(a), Some(b)) = (flat(a, ka, d * ra), flat(b, kb * d, rb)) else { return };
            let half = matmul(&self.left[site].view(), Op::None, &a, Op::None);
            let half = half.into_shape_with_order((kb * d, ra)).unwrap_or_default();
            self.left[site + 1] = matmul(&b, Op::Adjoint, &half.view(), Op::None);
        }
        self.left_known = self.left_known.max(first);
        for site in (last + 1..self.right_known).rev() {
            let (a, b) = (&self.ket.state.tensors()[site], &self.bra.state.tensors()[site]);
            let ((ka, d, ra), (kb, _, rb)) = (a.dim(), b.dim());
            let (Some(a), Some(b)) = (flat(a, ka * d, ra), flat(b, kb, d * rb)) else { return };
            let half = matmul(&a, Op::None, &self.right[site + 1].view(), Op::None);
            let half = half.into_shape_with_order((ka, d * rb)).unwrap_or_default();
            self.right[site] = matmul(&half.view(), Op::None, &b, Op::Adjoint);
        }
        self.right_known = self.right_known.min(last + 1);
    }

    /// `Re <bra| K |ket>` for each `K`.
    fn slopes(&mut self, qubits: &[usize], by: &[(Slopes, Matrix)]) -> Result<Vec<f64>> {
        let mut order: Vec<usize> = (0..qubits.len()).collect();
        order.sort_by_key(|&i| qubits[i]);
        let sites: Vec<usize> = order.iter().map(|&i| qubits[i]).collect();
        let matrices: Vec<Matrix> = by.iter().map(|(_, k)| k.reordered(&order)).collect();
        let (Some(&first), Some(&last)) = (sites.first(), sites.last()) else { return Ok(vec![0.0; by.len()]) };
        self.reach(first, last);
        let dim = 1_usize << sites.len();
        let wanted: Vec<(usize, usize)> = (0..dim * dim)
            .map(|i| (i / dim, i % dim))
            .filter(|&(row, column)| matrices.iter().any(|k| k.get(row, column).norm() > f64::EPSILON))
            .collect();
        // By the outcomes so far of both: `[bra, ket]`.
        let mut parts = vec![((0, 0), self.left[first].clone())];
        for site in first..=last {
            let [kets, bras] = [&self.ket, &self.bra].map(|chain| halves(&chain.state, site));
            let step = |x: &Array2<Complex<T>>, row: usize, column: usize| {
                let half = matmul(&x.view(), Op::None, &kets[column].view(), Op::None);
                matmul(&bras[row].view(), Op::Adjoint, &half.view(), Op::None)
            };
            let Ok(number) = sites.binary_search(&site) else {
                parts.iter_mut().for_each(|(_, x)| *x = step(x, 0, 0) + step(x, 1, 1));
                continue;
            };
            let rest = sites.len() - 1 - number;
            let mut more = Vec::new();
            for ((row, column), x) in &parts {
                for (r, c) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let place = (2 * row + r, 2 * column + c);
                    if wanted.iter().any(|&(row, column)| (row >> rest, column >> rest) == place) {
                        more.push((place, step(x, r, c)));
                    }
                }
            }
            parts = more;
        }
        let factor = self.bra.state.factor().conj() * self.ket.state.factor();
        let mut slopes = vec![0.0; by.len()];
        for ((row, column), x) in parts {
            let sum: Complex<T> = x.iter().zip(self.right[last + 1].t()).map(|(&a, &b)| a * b).sum();
            let sum: Complex64 = (LogScaled::from(sum) * factor).value().to_c64();
            slopes.iter_mut().zip(&matrices).for_each(|(slope, k)| *slope += (k.get(row, column) * sum).re);
        }
        Ok(slopes)
    }
}

fn flat<T: Scalar>(tensor: &ndarray::Array3<T>, rows: usize, columns: usize) -> Option<ArrayView2<'_, T>> {
    ArrayView2::from_shape((rows, columns), tensor.as_slice()?).ok()
}

/// The matrices of both outcomes of a site.
fn halves<T: Scalar>(state: &Mps<T>, site: usize) -> [Array2<T>; 2] {
    [0, 1].map(|s| state.tensors()[site].index_axis(Axis(1), s).to_owned())
}

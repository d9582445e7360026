//! What undoes the gates of a circuit on two states, and what is read off between these for derivatives.

use std::collections::BTreeMap;

use num_complex::Complex64;

use super::adjoint::{Chain, Turned, turned};
use super::compile::{Form, Op, Single, restricted};
use super::kernel::apply;
use super::program::Placed;
use super::reversed::{Hermitian, Parts, transition, undo_diagonal, undo_one};
use crate::circuit::matrix::Matrix;
use crate::error::{Error, Result};
use crate::scalar::Real;

/// What is read off between the two states before a gate is undone, for the derivative by each of its parameters.
pub(super) enum Read {
    Nothing,
    /// `H` as its components, where the control has its value and where not; of one target.
    Single(Vec<(Chain, [Hermitian; 2])>),
    /// A diagonal `H`.
    Diagonal(Vec<(Chain, Vec<f64>)>),
    /// `K`, with the differences between rows and columns that occur.
    Dense {
        flips: Vec<usize>,
        by: Vec<(Chain, Matrix)>,
    },
}

/// A matrix with its derivatives.
pub(super) type Moving = (Matrix, Vec<(Chain, Matrix)>);

/// Gates, what undoes them, and what is read off before.
#[derive(Default)]
pub(super) struct Backward {
    pub forward: Vec<Op>,
    pub undo: Vec<Op>,
    pub reads: Vec<Read>,
    waiting: BTreeMap<usize, Moving>,
}

/// `U V` of two matrices with derivatives.
pub(super) fn product((u, by_u): Moving, (v, by_v): &Moving) -> Result<Moving> {
    let mut by = Vec::with_capacity(by_u.len() + by_v.len());
    for (chain, d) in by_v {
        by.push((chain.clone(), u.times(d)?));
    }
    for (chain, d) in by_u {
        by.push((chain, d.times(v)?));
    }
    Ok((u.times(v)?, by))
}

/// The components of `H = i dU U^dagger` along X, Y, `|0><0|` and `|1><1|`.
fn parts(derivative: &Matrix, matrix: &Matrix) -> Result<Hermitian> {
    let h = derivative.times(&matrix.dagger())?.entries().iter().map(|k| Complex64::i() * k).collect::<Vec<_>>();
    Ok([h[1].re, h[2].im, h[0].re, h[3].re])
}

impl Backward {
    /// Adds a gate, with derivatives by the symbols that its parameters have.
    pub(super) fn push(
        &mut self,
        placed: &Placed<'_>,
        symbols: &[String],
        values: &BTreeMap<String, f64>,
        qubits: usize,
    ) -> Result<()> {
        let positions: Vec<usize> = placed.qubits.iter().map(|&q| qubits - 1 - q).collect();
        let Turned { matrix, derivatives } = turned(placed.gate, symbols, values)?;
        let controls = placed.gate.controls();
        if let Some(single) = Single::of(&controls, &positions) {
            let by = derivatives.into_iter().map(|(chain, d)| (chain, single.matrix(&controls, &d, true))).collect();
            return self.single(single, (single.matrix(&controls, &matrix, false), by));
        }
        for position in &positions {
            self.flush(*position)?;
        }
        if positions.is_empty() {
            // A phase of the whole state, on which no value depends.
            return Ok(());
        }
        let on = positions.iter().copied().zip(controls.iter().copied()).collect::<Vec<_>>();
        let targets = positions[on.len()..].to_vec();
        if derivatives.is_empty() {
            self.forward.push(Op::of(on.clone(), targets.clone(), &matrix));
            self.undo.push(Op::of(on, targets, &matrix.dagger()));
            self.reads.push(Read::Nothing);
            return Ok(());
        }
        if positions.len() > 3 {
            return Err(too_wide(positions.len()));
        }
        let (whole, dagger) = (matrix.controlled(&controls), matrix.controlled(&controls).dagger());
        let turn = |(chain, d): (Chain, Matrix)| Ok((chain, d.beside_zero(&controls).times(&dagger)?));
        let by: Vec<(Chain, Matrix)> = derivatives.into_iter().map(turn).collect::<Result<_>>()?;
        self.forward.push(Op::of(Vec::new(), positions.clone(), &whole));
        if let (Some(_), Some(diagonals)) = (whole.as_diagonal(), diagonals(&by)) {
            self.undo.push(Op::of(Vec::new(), positions, &dagger));
            self.reads.push(Read::Diagonal(diagonals));
            return Ok(());
        }
        let dim = whole.dim();
        let occurs =
            |flip: &usize| by.iter().any(|(_, k)| (0..dim).any(|row| k.get(row, row ^ flip).norm() > f64::EPSILON));
        let flips = (0..dim).filter(occurs).collect();
        // Never in diagonal form: what is read off needs the targets within the block.
        self.undo.push(Op { controls: Vec::new(), targets: positions, form: Form::Matrix(dagger.entries().to_vec()) });
        self.reads.push(Read::Dense { flips, by });
        Ok(())
    }

    /// A gate of one position, with at most one control.
    fn single(&mut self, Single { control, target }: Single, gate: Moving) -> Result<()> {
        let before = self.waiting.remove(&target);
        let after = match &before {
            Some(before) => product(gate, before)?,
            None => gate,
        };
        let Some(control) = control else {
            self.waiting.insert(target, after);
            return Ok(());
        };
        self.flush(control.0)?;
        let still = before.is_none() && after.1.is_empty();
        let (off, by_off) = before.unwrap_or_else(|| (Matrix::identity(1), Vec::new()));
        let (on, by_on) = after;
        if still {
            self.forward.push(Op::of(vec![control], vec![target], &on));
            self.undo.push(Op::of(vec![control], vec![target], &on.dagger()));
            self.reads.push(Read::Nothing);
            return Ok(());
        }
        let mut by = Vec::with_capacity(by_on.len());
        // Those of what came before, first, are there with either value of the control.
        for (number, (chain, d)) in by_on.into_iter().enumerate() {
            let beside = by_off.get(number).map_or(Ok([0.0; 4]), |(_, d)| parts(d, &off))?;
            by.push((chain, [parts(&d, &on)?, beside]));
        }
        self.forward.push(Op::choice(control, target, &on, &off));
        self.undo.push(Op::choice(control, target, &on.dagger(), &off.dagger()));
        self.reads.push(self.read(by, control.1));
        Ok(())
    }

    fn flush(&mut self, position: usize) -> Result<()> {
        let Some((matrix, by)) = self.waiting.remove(&position) else { return Ok(()) };
        self.forward.push(Op::of(Vec::new(), vec![position], &matrix));
        self.undo.push(Op::of(Vec::new(), vec![position], &matrix.dagger()));
        let by = by.into_iter().map(|(chain, d)| Ok((chain, [parts(&d, &matrix)?, [0.0; 4]])));
        let by = by.collect::<Result<_>>()?;
        self.reads.push(self.read(by, true));
        Ok(())
    }

    /// What is read off for the last of the gates, of one target, with a control that has the value `on`.
    fn read(&self, by: Vec<(Chain, [Hermitian; 2])>, on: bool) -> Read {
        if by.is_empty() {
            return Read::Nothing;
        }
        let Some(Op { form: Form::Diagonal(factors), .. }) = self.undo.last() else { return Read::Single(by) };
        let diagonal = |(chain, [acting, beside]): (Chain, [Hermitian; 2])| {
            let [acting, beside] = [acting, beside].map(|h| [h[2], h[3]]);
            let all = if on { [beside, acting] } else { [acting, beside] }.concat();
            let own = if factors.len() == 2 { acting.to_vec() } else { all };
            (chain, own)
        };
        Read::Diagonal(by.into_iter().map(diagonal).collect())
    }

    /// Ends: what undoes comes in the order in which it is done.
    pub(super) fn finish(&mut self) -> Result<()> {
        let positions: Vec<usize> = self.waiting.keys().copied().collect();
        positions.into_iter().try_for_each(|position| self.flush(position))?;
        self.undo.reverse();
        self.reads.reverse();
        Ok(())
    }
}

/// That a gate with parameters acts on too many qubits.
pub(super) fn too_wide(qubits: usize) -> Error {
    Error::Circuit { what: format!("derivative of a gate on {qubits} qubits: gates of up to 3 are taken") }
}

/// The diagonals of `H = i K`, if all of these are diagonal.
fn diagonals(by: &[(Chain, Matrix)]) -> Option<Vec<(Chain, Vec<f64>)>> {
    let diagonal = |(chain, k): &(Chain, Matrix)| {
        let h: Vec<f64> = k.as_diagonal()?.iter().map(|k| -k.im).collect();
        Some((chain.clone(), h))
    };
    by.iter().map(diagonal).collect()
}

impl Read {
    /// Undoes `op` on a block of both states, and adds what is read off to the derivatives by symbols.
    pub(super) fn undo<T: Real>(
        &self,
        op: &Op,
        (ket, bra): (Parts<'_, T>, Parts<'_, T>),
        place: impl Fn(usize) -> Result<usize, bool> + Copy,
        found: &mut Vec<(usize, f64)>,
    ) {
        let mut add = |chain: &Chain, derivative: f64| {
            found.extend(chain.iter().map(|&(symbol, factor)| (symbol, 2.0 * factor * derivative)));
        };
        let gate = op.localised::<T>(place);
        match self {
            Read::Single(by) => {
                let Some(gate) = gate else { return };
                let mut sums = undo_one(ket, bra, &gate);
                // A block in which the control has the other value throughout.
                if op.controls.iter().any(|&(position, on)| place(position) == Err(!on)) {
                    sums.reverse();
                }
                for (chain, h) in by {
                    add(chain, h.iter().flatten().zip(sums.iter().flatten()).map(|(h, sum)| h * sum).sum());
                }
            }
            Read::Diagonal(by) => {
                let Form::Diagonal(factors) = &op.form else { return };
                let (bits, factors) = restricted(factors, &op.targets, place);
                let factors: Vec<(T, T)> = factors.iter().map(|z| (T::of(z.re), T::of(z.im))).collect();
                let sums = undo_diagonal(ket, bra, &bits, &factors);
                for (chain, h) in by {
                    let (_, h) = restricted(h, &op.targets, place);
                    add(chain, h.iter().zip(&sums).map(|(h, sum)| h * sum).sum());
                }
            }
            Read::Dense { flips, by } => {
                let bits: Vec<usize> = op.targets.iter().filter_map(|&position| place(position).ok()).collect();
                let sums = transition((&*ket.0, &*ket.1), (&*bra.0, &*bra.1), &bits, flips);
                for (chain, k) in by {
                    add(chain, k.entries().iter().zip(&sums).map(|(k, sum)| (k * sum).re).sum());
                }
                let Some(gate) = gate else { return };
                apply(ket.0, ket.1, &gate);
                apply(bra.0, bra.1, &gate);
            }
            Read::Nothing => {
                let Some(gate) = gate else { return };
                apply(ket.0, ket.1, &gate);
                apply(bra.0, bra.1, &gate);
            }
        }
    }
}

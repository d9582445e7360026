//! Gates to what is done with amplitudes: gates of one qubit merged, each in its cheapest form.

use num_complex::Complex64;

use super::kernel::{Action, Local, Pair};
use crate::circuit::gate::Gate;
use crate::circuit::matrix::Matrix;
use crate::error::Result;
use crate::scalar::Real;

/// A gate on positions: bits of the index of an amplitude, 0 least significant.
#[derive(Debug, Clone)]
pub(super) struct Op {
    /// Positions that have to have a value; none of them is a target.
    pub controls: Vec<(usize, bool)>,
    /// The first is the most significant of the matrix.
    pub targets: Vec<usize>,
    pub form: Form,
}

#[derive(Debug, Clone)]
pub(super) enum Form {
    Matrix(Vec<Complex64>),
    /// A matrix of one target that depends on the one control.
    Choice {
        on: Vec<Complex64>,
        off: Vec<Complex64>,
    },
    Flip,
    Swap,
    /// No controls: they are among the targets.
    Diagonal(Vec<Complex64>),
}

/// Controls that become targets of a diagonal gate, whose factors are then written out.
const MAX_DIAGONAL: usize = 5;

impl Op {
    /// Of a gate on positions, controls first.
    pub(super) fn new(gate: &Gate, positions: &[usize]) -> Result<Self> {
        let values = gate.controls();
        let matrix = gate.target_matrix()?;
        let (controls, targets) = positions.split_at(values.len().min(positions.len()));
        let controls = controls.iter().copied().zip(values).collect();
        Ok(Self::of(controls, targets.to_vec(), &matrix))
    }

    pub(super) fn of(mut controls: Vec<(usize, bool)>, mut targets: Vec<usize>, matrix: &Matrix) -> Self {
        if let Some(mut factors) = matrix.as_diagonal() {
            if controls.len() + targets.len() <= MAX_DIAGONAL {
                while let Some((position, on)) = controls.pop() {
                    let ones = vec![Complex64::ONE; factors.len()];
                    factors = if on { [ones, factors].concat() } else { [factors, ones].concat() };
                    targets.insert(0, position);
                }
                return Op { controls, targets, form: Form::Diagonal(factors) };
            }
            // A phase of the state under many controls: a phase of the last of them.
            if targets.is_empty()
                && let Some((position, on)) = controls.pop()
            {
                let pair = if on { [Complex64::ONE, factors[0]] } else { [factors[0], Complex64::ONE] };
                let form = Form::Matrix(Matrix::diagonal(&pair).entries().to_vec());
                return Op { controls, targets: vec![position], form };
            }
        }
        let (one, zero) = (Complex64::ONE, Complex64::ZERO);
        let form = if matrix.entries() == [zero, one, one, zero] {
            Form::Flip
        } else if matrix.qubits() == 2 && is_swap(matrix) {
            Form::Swap
        } else {
            Form::Matrix(matrix.entries().to_vec())
        };
        Op { controls, targets, form }
    }

    /// Matrices of one target, by whether a position has the value of a control.
    pub(super) fn choice(control: (usize, bool), target: usize, on: &Matrix, off: &Matrix) -> Self {
        let (controls, targets) = (vec![control], vec![target]);
        if let (Some(on_factors), Some(off_factors)) = (on.as_diagonal(), off.as_diagonal()) {
            let halves = if control.1 { [off_factors, on_factors] } else { [on_factors, off_factors] };
            let form = Form::Diagonal(halves.concat());
            return Op { controls: Vec::new(), targets: vec![control.0, target], form };
        }
        let form = Form::Choice { on: on.entries().to_vec(), off: off.entries().to_vec() };
        Op { controls, targets, form }
    }

    /// Positions that have to be in the block that is worked at.
    pub(super) fn needed(&self) -> &[usize] {
        if matches!(self.form, Form::Diagonal(_)) { &[] } else { &self.targets }
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.controls.iter().map(|&(position, _)| position).chain(self.targets.iter().copied())
    }

    /// As a gate on the bits of a block: `place` tells the bit of a position, or its value where the block does not hold it.
    /// Nothing if the block is left alone.
    pub(super) fn localised<T: Real>(&self, place: impl Fn(usize) -> Result<usize, bool>) -> Option<Local<T>> {
        let (mut mask, mut value, mut acts) = (0, 0, true);
        for &(position, on) in &self.controls {
            match place(position) {
                Ok(bit) => {
                    mask |= 1 << bit;
                    value |= usize::from(on) << bit;
                }
                Err(found) => acts &= found == on,
            }
        }
        if !acts && !matches!(self.form, Form::Choice { .. }) {
            return None;
        }
        let bit = |position: usize| place(position).unwrap_or(0);
        let narrow = |z: &Complex64| -> Pair<T> { (T::of(z.re), T::of(z.im)) };
        let four = |m: &[Complex64]| [narrow(&m[0]), narrow(&m[1]), narrow(&m[2]), narrow(&m[3])];
        let action = match &self.form {
            Form::Flip => Action::Flip { target: bit(self.targets[0]) },
            Form::Swap => Action::Swap { a: bit(self.targets[0]), b: bit(self.targets[1]) },
            Form::Matrix(m) if self.targets.len() == 1 => Action::One { target: bit(self.targets[0]), matrix: four(m) },
            Form::Choice { on, off } if mask == 0 => {
                Action::One { target: bit(self.targets[0]), matrix: four(if acts { on } else { off }) }
            }
            Form::Choice { on, off } => Action::Choice { target: bit(self.targets[0]), on: four(on), off: four(off) },
            Form::Matrix(m) => Action::Dense {
                targets: self.targets.iter().map(|&position| bit(position)).collect(),
                matrix: m.iter().map(narrow).collect(),
            },
            Form::Diagonal(factors) => {
                let (targets, factors) = restricted(factors, &self.targets, place);
                if factors.iter().all(|f| *f == Complex64::ONE) {
                    return None;
                }
                Action::Diagonal { targets, factors: factors.iter().map(narrow).collect() }
            }
        };
        Some(Local { mask, value, action })
    }
}

/// What a block needs of numbers by the bits of positions, the first most significant: `place` as in [`Op::localised`].
pub(super) fn restricted<X: Copy>(
    numbers: &[X],
    positions: &[usize],
    place: impl Fn(usize) -> Result<usize, bool>,
) -> (Vec<usize>, Vec<X>) {
    let (mut left, mut bits, mut part) = (numbers.to_vec(), Vec::new(), numbers.len());
    // From the most significant: a known value keeps one half of every part.
    for &position in positions {
        part /= 2;
        match place(position) {
            Ok(bit) => bits.push(bit),
            Err(value) => {
                let kept = left.chunks(part.max(1)).enumerate().filter(|(i, _)| (i % 2 == 1) == value);
                left = kept.flat_map(|(_, chunk)| chunk.iter().copied()).collect();
            }
        }
    }
    (bits, left)
}

fn is_swap(matrix: &Matrix) -> bool {
    let places = [0, 6, 9, 15];
    let expected = |i| if places.contains(&i) { Complex64::ONE } else { Complex64::ZERO };
    matrix.entries().iter().enumerate().all(|(i, z)| *z == expected(i))
}

/// A gate as a matrix of one position, which acts where another has a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single {
    pub control: Option<(usize, bool)>,
    pub target: usize,
}

impl Single {
    /// Of a gate on positions, controls first; `None` if it is no gate of one position with at most one control.
    pub(super) fn of(controls: &[bool], positions: &[usize]) -> Option<Self> {
        match (positions, controls) {
            (&[target], _) => Some(Single { control: None, target }),
            (&[control, target], &[on, ..]) => Some(Single { control: Some((control, on)), target }),
            _ => None,
        }
    }

    /// The matrix of the target, or a derivative of it: a phase under controls is turned into one.
    pub(super) fn matrix(&self, controls: &[bool], matrix: &Matrix, derivative: bool) -> Matrix {
        let own = &controls[usize::from(self.control.is_some()).min(controls.len())..];
        if derivative { matrix.beside_zero(own) } else { matrix.controlled(own) }
    }
}

/// Merges gates of one qubit while they meet no other gate there, and into the target of a controlled one.
#[derive(Debug, Default)]
pub(super) struct Merger {
    ops: Vec<Op>,
    waiting: std::collections::BTreeMap<usize, Matrix>,
}

impl Merger {
    pub(super) fn push(&mut self, gate: &Gate, positions: &[usize]) -> Result<()> {
        let controls = gate.controls();
        let Some(single) = Single::of(&controls, positions) else {
            positions.iter().for_each(|&position| self.flush(position));
            self.ops.push(Op::new(gate, positions)?);
            return Ok(());
        };
        let matrix = single.matrix(&controls, &gate.target_matrix()?, false);
        let before = self.waiting.remove(&single.target);
        let after = match &before {
            Some(before) => matrix.times(before)?,
            None => matrix,
        };
        let Some(control) = single.control else {
            self.waiting.insert(single.target, after);
            return Ok(());
        };
        self.flush(control.0);
        self.ops.push(match before {
            Some(before) => Op::choice(control, single.target, &after, &before),
            None => Op::new(gate, positions)?,
        });
        Ok(())
    }

    fn flush(&mut self, position: usize) {
        if let Some(matrix) = self.waiting.remove(&position) {
            self.ops.push(Op::of(Vec::new(), vec![position], &matrix));
        }
    }

    pub(super) fn finish(mut self) -> Vec<Op> {
        let left: Vec<usize> = self.waiting.keys().copied().collect();
        left.into_iter().for_each(|position| self.flush(position));
        self.ops
    }
}

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
        let (mut mask, mut value) = (0, 0);
        for &(position, on) in &self.controls {
            match place(position) {
                Ok(bit) => {
                    mask |= 1 << bit;
                    value |= usize::from(on) << bit;
                }
                Err(found) if found != on => return None,
                Err(_) => {}
            }
        }
        let bit = |position: usize| place(position).unwrap_or(0);
        let narrow = |z: &Complex64| -> Pair<T> { (T::of(z.re), T::of(z.im)) };
        let action = match &self.form {
            Form::Flip => Action::Flip { target: bit(self.targets[0]) },
            Form::Swap => Action::Swap { a: bit(self.targets[0]), b: bit(self.targets[1]) },
            Form::Matrix(m) if self.targets.len() == 1 => Action::One {
                target: bit(self.targets[0]),
                matrix: [narrow(&m[0]), narrow(&m[1]), narrow(&m[2]), narrow(&m[3])],
            },
            Form::Matrix(m) => Action::Dense {
                targets: self.targets.iter().map(|&position| bit(position)).collect(),
                matrix: m.iter().map(narrow).collect(),
            },
            Form::Diagonal(factors) => {
                let mut left: Vec<Complex64> = factors.clone();
                let mut targets = Vec::new();
                // Bit by bit from the most significant: a known value keeps one half of every part.
                let mut part = factors.len();
                for &position in &self.targets {
                    part /= 2;
                    match place(position) {
                        Ok(bit) => targets.push(bit),
                        Err(value) => {
                            left = left
                                .chunks(part.max(1))
                                .enumerate()
                                .filter(|(i, _)| (i % 2 == 1) == value)
                                .flat_map(|(_, chunk)| chunk.iter().copied())
                                .collect();
                        }
                    }
                }
                if left.iter().all(|f| *f == Complex64::ONE) {
                    return None;
                }
                Action::Diagonal { targets, factors: left.iter().map(narrow).collect() }
            }
        };
        Some(Local { mask, value, action })
    }
}

fn is_swap(matrix: &Matrix) -> bool {
    let places = [0, 6, 9, 15];
    let expected = |i| if places.contains(&i) { Complex64::ONE } else { Complex64::ZERO };
    matrix.entries().iter().enumerate().all(|(i, z)| *z == expected(i))
}

/// Merges gates that act on one qubit and nothing else while they meet no other gate there.
#[derive(Debug, Default)]
pub(super) struct Merger {
    ops: Vec<Op>,
    waiting: std::collections::BTreeMap<usize, Matrix>,
}

impl Merger {
    pub(super) fn push(&mut self, gate: &Gate, positions: &[usize]) -> Result<()> {
        if positions.len() == 1 {
            let matrix = gate.matrix()?;
            let merged = match self.waiting.remove(&positions[0]) {
                Some(before) => matrix.times(&before)?,
                None => matrix,
            };
            self.waiting.insert(positions[0], merged);
            return Ok(());
        }
        for position in positions {
            if let Some(matrix) = self.waiting.remove(position) {
                self.ops.push(Op::of(Vec::new(), vec![*position], &matrix));
            }
        }
        self.ops.push(Op::new(gate, positions)?);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<Op> {
        for (position, matrix) in std::mem::take(&mut self.waiting) {
            self.ops.push(Op::of(Vec::new(), vec![position], &matrix));
        }
        self.ops
    }
}

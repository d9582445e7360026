//! Gates of one qubit and CNOTs as they come, made fewer on the way.

use num_complex::Complex64;

use super::single::{IDENTITY, Single, euler, hadamard, rz, times};
use crate::circuit::circuit::Circuit;
use crate::circuit::parameter::Parameter;
use crate::error::Result;

/// How far from the identity, in any element, rounding carries a gate that is left out.
const ROUNDING: f64 = 1e-14;

#[derive(Debug, Clone)]
enum Made {
    Single { qubit: usize, matrix: Single },
    Cnot { control: usize, target: usize },
}

/// Collects gates: those of one qubit in a row become one, and two equal CNOTs with nothing in between none.
#[derive(Debug, Clone)]
pub(in crate::circuit) struct Builder {
    made: Vec<Option<Made>>,
    /// What each qubit has met, by number.
    history: Vec<Vec<usize>>,
    waiting: Vec<Single>,
    phase: f64,
}

impl Builder {
    pub(in crate::circuit) fn new(qubits: usize) -> Self {
        Builder { made: Vec::new(), history: vec![Vec::new(); qubits], waiting: vec![IDENTITY; qubits], phase: 0.0 }
    }

    /// Multiplies the whole by `exp(i angle)`.
    pub(super) fn phase(&mut self, angle: f64) {
        self.phase += angle;
    }

    pub(super) fn single(&mut self, qubit: usize, matrix: &Single) {
        self.waiting[qubit] = times(matrix, &self.waiting[qubit]);
    }

    pub(super) fn cnot(&mut self, control: usize, target: usize) {
        // A diagonal matrix passes the control of a CNOT, so it waits for what follows.
        let diagonal = |m: &Single| m[1].norm().max(m[2].norm()) < ROUNDING;
        if !diagonal(&self.waiting[control]) {
            self.flush(control);
        }
        self.flush(target);
        let latest = self.history[control].last().copied();
        let same = |made: &Option<Made>| matches!(made, Some(Made::Cnot { control: c, target: t }) if (*c, *t) == (control, target));
        if let Some(last) = latest.filter(|_| latest == self.history[target].last().copied())
            && same(&self.made[last])
        {
            self.made[last] = None;
            for qubit in [control, target] {
                self.history[qubit].pop();
                self.take_back(qubit);
            }
            return;
        }
        for qubit in [control, target] {
            self.history[qubit].push(self.made.len());
        }
        self.made.push(Some(Made::Cnot { control, target }));
    }

    /// A controlled Z, which is the same with its qubits exchanged.
    pub(super) fn cz(&mut self, control: usize, target: usize) {
        self.single(target, &hadamard());
        self.cnot(control, target);
        self.single(target, &hadamard());
    }

    /// Puts down what waits, less a phase of the whole.
    fn flush(&mut self, qubit: usize) {
        let mut matrix = std::mem::replace(&mut self.waiting[qubit], IDENTITY);
        let corner = matrix[0];
        let trivial = (matrix[3] - corner).norm().max(matrix[1].norm()).max(matrix[2].norm()) < ROUNDING;
        if trivial {
            self.phase += corner.arg();
            return;
        }
        let turn = if corner.norm() > ROUNDING { corner.arg() } else { 0.0 };
        matrix.iter_mut().for_each(|x| *x *= Complex64::cis(-turn));
        self.phase += turn;
        self.history[qubit].push(self.made.len());
        self.made.push(Some(Made::Single { qubit, matrix }));
    }

    /// A gate of one qubit that is the last on its qubit waits again: what stood between is gone.
    fn take_back(&mut self, qubit: usize) {
        let Some(&last) = self.history[qubit].last() else { return };
        if let Some(Made::Single { matrix, .. }) = self.made[last] {
            self.made[last] = None;
            self.history[qubit].pop();
            self.waiting[qubit] = times(&self.waiting[qubit], &matrix);
        }
    }

    /// The circuit, with its phase.
    pub(in crate::circuit) fn finish(mut self) -> Result<Circuit> {
        (0..self.waiting.len()).for_each(|qubit| self.flush(qubit));
        let mut circuit = Circuit::new(self.waiting.len())?;
        let mut phase = self.phase;
        for made in self.made.into_iter().flatten() {
            match made {
                Made::Cnot { control, target } => drop(circuit.cx(control, target)?),
                Made::Single { qubit, matrix } => {
                    let ([theta, phi, lambda], turn) = euler(&matrix);
                    phase += turn;
                    if theta.abs() < ROUNDING {
                        circuit.apply("u1", &[(phi + lambda).into()], &[qubit])?;
                    } else {
                        circuit.apply("u3", &[theta, phi, lambda].map(Parameter::from), &[qubit])?;
                    }
                }
            }
        }
        let phase = phase.rem_euclid(std::f64::consts::TAU);
        if phase.min(std::f64::consts::TAU - phase) > ROUNDING {
            circuit.apply("gphase", &[phase.into()], &[])?;
        }
        Ok(circuit)
    }

    /// Rotations about Z of `target`, by one of the angles for each value of `controls`, the first one most significant.
    pub(super) fn multiplexed_rz(&mut self, angles: &[f64], controls: &[usize], target: usize) {
        for (angle, control) in gray(angles) {
            self.single(target, &rz(angle));
            if let Some(control) = control {
                self.cnot(controls[control], target);
            }
        }
    }

    /// As [`multiplexed_rz`](Self::multiplexed_rz) about Y, but for a last controlled Z with the control whose number is
    /// returned, which is left to the caller.
    pub(super) fn multiplexed_ry(&mut self, angles: &[f64], controls: &[usize], target: usize) -> Option<usize> {
        let steps = gray(angles);
        let last = steps.last().and_then(|(_, control)| *control);
        for (number, &(angle, control)) in steps.iter().enumerate() {
            self.single(target, &super::single::ry(angle));
            if let Some(control) = control.filter(|_| number + 1 < steps.len()) {
                self.cz(controls[control], target);
            }
        }
        last
    }
}

/// Angles of rotations, each with the control of the gate after it that turns the rotations over: Gray code, Möttönen,
/// Vartiainen, Bergholm and Salomaa, PRL 93, 130502 (2004). No gates if all angles are zero.
fn gray(angles: &[f64]) -> Vec<(f64, Option<usize>)> {
    if angles.iter().all(|a| a.abs() < ROUNDING) {
        return Vec::new();
    }
    let bits = angles.len().ilog2() as usize;
    // The Walsh-Hadamard transform: element j is the mean over i of (-1)^(bits that i and j share) angle i.
    let mut mixed = angles.to_vec();
    for bit in 0..bits {
        for i in (0..mixed.len()).filter(|i| i >> bit & 1 == 0) {
            let (a, b) = (mixed[i], mixed[i | 1 << bit]);
            (mixed[i], mixed[i | 1 << bit]) = ((a + b) / 2.0, (a - b) / 2.0);
        }
    }
    let count = mixed.len();
    let step = |i: usize| {
        let code = i ^ (i >> 1);
        // The bit that changes to the next code; the last code goes back to the first.
        let changed = if i + 1 == count { bits.checked_sub(1) } else { Some((i + 1).trailing_zeros() as usize) };
        (mixed[code], changed.map(|bit| bits - 1 - bit))
    };
    (0..count).map(step).collect()
}

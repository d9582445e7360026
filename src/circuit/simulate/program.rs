//! A circuit made ready for a state: stretches of gates, and what is measured in between.

use super::compile::{Merger, Op};
use super::stage::{self, Stage};
use crate::circuit::circuit::{Circuit, Condition, Operation};
use crate::error::{Error, Result};

/// Gates with the passes they are done in.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub ops: Vec<Op>,
    pub stages: Vec<Stage>,
}

#[derive(Debug)]
pub(super) enum Step {
    Gates(Stretch),
    Measure { qubit: usize, bit: usize },
    Reset { qubit: usize },
}

/// What a circuit does, in an order that has as much as possible before the first measurement.
#[derive(Debug)]
pub(super) struct Program {
    /// Gates before anything else.
    pub first: Stretch,
    /// What follows, shot by shot; empty if the circuit only measures at its end.
    pub rest: Vec<(Option<Condition>, Step)>,
    /// The qubit that each classical bit tells at the end, where nothing follows; `None` stays 0.
    pub outcome: Vec<Option<usize>>,
    /// Whether the circuit measures at all.
    pub measures: bool,
}

impl Program {
    pub(super) fn new(circuit: &Circuit) -> Result<Self> {
        let qubits = circuit.num_qubits();
        let instructions = circuit.instructions();
        // Up to here nothing but gates, resets of untouched qubits, and measurements that end the way of their qubit.
        let last_use = last_uses(circuit);
        let mut untouched = vec![true; qubits];
        let (mut merger, mut rest) = (Merger::default(), Vec::new());
        let mut outcome = vec![None; circuit.num_bits()];
        let mut measures = false;
        let simple = instructions.iter().enumerate().all(|(number, instruction)| match &instruction.operation {
            _ if instruction.condition.is_some() => false,
            Operation::Measure { qubit, .. } => last_use[*qubit] <= number,
            Operation::Reset { qubit } => untouched[*qubit],
            Operation::Gate { qubits, .. } => {
                qubits.iter().for_each(|&q| untouched[q] = false);
                true
            }
            Operation::Barrier { .. } => true,
        });
        let position = |list: &[usize]| list.iter().map(|&q| qubits - 1 - q).collect::<Vec<_>>();
        let mut first = None;
        for (number, instruction) in instructions.iter().enumerate() {
            let at = |e: Error| match e {
                Error::Circuit { what } => {
                    let name = instruction.operation.name();
                    Error::Circuit { what: format!("instruction {number} ({name}): {what}") }
                }
                other => other,
            };
            let step = match &instruction.operation {
                Operation::Barrier { .. } => continue,
                Operation::Gate { gate, qubits } if instruction.condition.is_none() => {
                    merger.push(gate, &position(qubits)).map_err(at)?;
                    continue;
                }
                Operation::Gate { gate, qubits: on } => {
                    let ops = vec![Op::new(gate, &position(on)).map_err(at)?];
                    Step::Gates(Stretch { stages: stage::plan(&ops, qubits), ops })
                }
                Operation::Measure { qubit, bit } => {
                    measures = true;
                    if simple {
                        outcome[*bit] = Some(*qubit);
                        continue;
                    }
                    Step::Measure { qubit: *qubit, bit: *bit }
                }
                Operation::Reset { .. } if simple => continue,
                Operation::Reset { qubit } => Step::Reset { qubit: *qubit },
            };
            let before = stretch(std::mem::take(&mut merger), qubits);
            match first {
                None => first = Some(before),
                Some(_) if before.ops.is_empty() => {}
                Some(_) => rest.push((None, Step::Gates(before))),
            }
            rest.push((instruction.condition, step));
        }
        let last = stretch(merger, qubits);
        let first = match first {
            None => last,
            Some(first) => {
                if !last.ops.is_empty() {
                    rest.push((None, Step::Gates(last)));
                }
                first
            }
        };
        Ok(Program { first, rest, outcome, measures })
    }
}

fn stretch(merger: Merger, qubits: usize) -> Stretch {
    let ops = merger.finish();
    Stretch { stages: stage::plan(&ops, qubits), ops }
}

/// For each qubit the number of the last instruction that acts on it other than a measurement or a barrier.
fn last_uses(circuit: &Circuit) -> Vec<usize> {
    let mut last = vec![0; circuit.num_qubits()];
    for (number, instruction) in circuit.instructions().iter().enumerate() {
        if matches!(instruction.operation, Operation::Gate { .. } | Operation::Reset { .. }) {
            instruction.operation.qubits().iter().for_each(|&q| last[q] = number);
        }
    }
    last
}

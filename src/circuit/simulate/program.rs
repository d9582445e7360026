//! A circuit made ready for an engine: stretches of gates, and what happens by chance in between.

use std::sync::Arc;

use rand::RngExt;

use crate::circuit::channel::Channel;
use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::instruction::{Condition, Operation};
use crate::error::{Error, Result};
use crate::random::Stream;

/// A gate of a circuit, with the number of its instruction.
pub(super) struct Placed<'a> {
    pub number: usize,
    pub gate: &'a Gate,
    pub qubits: &'a [usize],
}

impl Placed<'_> {
    /// Says at which instruction an error happened.
    pub(super) fn at(&self, error: Error) -> Error {
        match error {
            Error::Circuit { what } => {
                Error::Circuit { what: format!("instruction {} ({}): {what}", self.number, self.gate.name()) }
            }
            other => other,
        }
    }
}

/// `G` is what an engine makes of gates in a row.
#[derive(Debug)]
pub(super) enum Step<G> {
    Gates(G),
    Measure { qubit: usize, bit: usize },
    Reset { qubit: usize },
    Channel { channel: Arc<Channel>, qubits: Vec<usize> },
    Misread { bit: usize, chances: [f64; 2] },
}

/// What a circuit does, in an order that has as much as possible before the first measurement.
#[derive(Debug)]
pub(super) struct Program<G> {
    /// Gates before anything else.
    pub first: G,
    /// What follows, shot by shot; empty if the circuit only measures at its end.
    pub rest: Vec<(Option<Condition>, Step<G>)>,
    /// The qubit that each classical bit tells at the end, where nothing follows; `None` stays 0.
    pub outcome: Vec<Option<usize>>,
    /// Errors of reading, where nothing follows.
    pub misread: Vec<(usize, [f64; 2])>,
    /// Whether the circuit measures at all.
    pub measures: bool,
    /// Qubits and classical bits of the circuit.
    pub qubits: usize,
    pub bits: usize,
}

impl<G> Program<G> {
    pub(super) fn new(circuit: &Circuit, make: impl Fn(&[Placed<'_>]) -> Result<G>) -> Result<Self> {
        let simple = is_simple(circuit);
        let (mut outcome, mut misread) = (vec![None; circuit.num_bits()], Vec::new());
        let (mut waiting, mut first, mut rest) = (Vec::new(), None, Vec::new());
        let mut measures = false;
        for (number, instruction) in circuit.instructions().iter().enumerate() {
            let step = match &instruction.operation {
                Operation::Barrier { .. } => continue,
                Operation::Gate { gate, qubits } => {
                    let placed = Placed { number, gate, qubits };
                    if instruction.condition.is_none() {
                        waiting.push(placed);
                        continue;
                    }
                    Step::Gates(make(&[placed])?)
                }
                Operation::Measure { qubit, bit } => {
                    measures = true;
                    if simple {
                        outcome[*bit] = Some(*qubit);
                        misread.retain(|(b, _)| b != bit);
                        continue;
                    }
                    Step::Measure { qubit: *qubit, bit: *bit }
                }
                Operation::Misread { bit, chances } => {
                    if simple {
                        misread.push((*bit, *chances));
                        continue;
                    }
                    Step::Misread { bit: *bit, chances: *chances }
                }
                Operation::Reset { .. } if simple => continue,
                Operation::Reset { qubit } => Step::Reset { qubit: *qubit },
                Operation::Channel { channel, qubits } => {
                    Step::Channel { channel: channel.clone(), qubits: qubits.clone() }
                }
            };
            let before = std::mem::take(&mut waiting);
            match first {
                None => first = Some(make(&before)?),
                Some(_) if before.is_empty() => {}
                Some(_) => rest.push((None, Step::Gates(make(&before)?))),
            }
            rest.push((instruction.condition, step));
        }
        let first = match first {
            None => make(&waiting)?,
            Some(first) => {
                if !waiting.is_empty() {
                    rest.push((None, Step::Gates(make(&waiting)?)));
                }
                first
            }
        };
        let (qubits, bits) = (circuit.num_qubits(), circuit.num_bits());
        Ok(Program { first, rest, outcome, misread, measures, qubits, bits })
    }

    /// That the circuit has a single final state.
    pub(super) fn check_single(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let what = "the circuit has noise, or measures, resets or has conditions before its end, so it has no single \
                    final state; draw shots";
        Err(Error::Circuit { what: what.into() })
    }

    /// A shot of a circuit in which nothing follows, from the values of its qubits: what is measured, with errors of reading,
    /// or all qubits if nothing is.
    pub(super) fn read_out(&self, value: impl Fn(usize) -> u8, bits: &mut [u8], stream: &mut Stream) {
        if !self.measures {
            bits.iter_mut().enumerate().for_each(|(qubit, bit)| *bit = value(qubit));
            return;
        }
        bits.iter_mut().zip(&self.outcome).for_each(|(bit, qubit)| *bit = qubit.map_or(0, &value));
        for (bit, chances) in &self.misread {
            misread(&mut bits[*bit], *chances, stream);
        }
    }

    /// Bits of a shot.
    pub(super) fn width(&self) -> usize {
        if self.measures { self.bits } else { self.qubits }
    }
}

/// Turns a bit over with the probability that it has for this value.
pub(super) fn misread(bit: &mut u8, chances: [f64; 2], stream: &mut Stream) {
    if stream.random::<f64>() < chances[usize::from(*bit & 1)] {
        *bit ^= 1;
    }
}

/// Whether there is nothing but gates, resets of untouched qubits, and measurements that end the way of their qubit.
pub(super) fn is_simple(circuit: &Circuit) -> bool {
    let last_use = last_uses(circuit);
    let mut untouched = vec![true; circuit.num_qubits()];
    circuit.instructions().iter().enumerate().all(|(number, instruction)| match &instruction.operation {
        _ if instruction.condition.is_some() => false,
        Operation::Measure { qubit, .. } => last_use[*qubit] <= number,
        Operation::Reset { qubit } => untouched[*qubit],
        Operation::Gate { qubits, .. } => {
            qubits.iter().for_each(|&q| untouched[q] = false);
            true
        }
        Operation::Channel { .. } => false,
        Operation::Barrier { .. } | Operation::Misread { .. } => true,
    })
}

/// For each qubit the number of the last instruction that acts on it other than a measurement or a barrier.
fn last_uses(circuit: &Circuit) -> Vec<usize> {
    let mut last = vec![0; circuit.num_qubits()];
    for (number, instruction) in circuit.instructions().iter().enumerate() {
        let acts = !matches!(instruction.operation, Operation::Measure { .. } | Operation::Barrier { .. });
        if acts {
            instruction.operation.qubits().iter().for_each(|&q| last[q] = number);
        }
    }
    last
}

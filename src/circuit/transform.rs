//! Circuits from circuits: composition, repetition, inverse, values for symbols; and what can be counted.

use std::collections::{BTreeMap, BTreeSet};

use super::circuit::{Circuit, MAX_INSTRUCTIONS};
use super::instruction::{Condition, Instruction, Operation};
use super::parameter::without_value;
use crate::error::{Error, Result};

impl Circuit {
    /// Adds the instructions of `other` on qubits and bits of this circuit: its qubit `i` is `qubits[i]` here.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the lists have other lengths than the other circuit has qubits and bits, or as
    /// [`Circuit::push`]; a condition on several bits needs them side by side here too.
    pub fn append_on(&mut self, other: &Circuit, qubits: &[usize], bits: &[usize]) -> Result<&mut Self> {
        if (qubits.len(), bits.len()) != (other.num_qubits(), other.num_bits()) {
            let (q, b) = (other.num_qubits(), other.num_bits());
            let what = format!("{} qubits and {} bits given for a circuit of {q} and {b}", qubits.len(), bits.len());
            return Err(Error::Circuit { what });
        }
        for instruction in &other.instructions {
            let operation = match &instruction.operation {
                Operation::Gate { gate, qubits: on } => {
                    Operation::Gate { gate: gate.clone(), qubits: on.iter().map(|&q| qubits[q]).collect() }
                }
                Operation::Measure { qubit, bit } => Operation::Measure { qubit: qubits[*qubit], bit: bits[*bit] },
                Operation::Reset { qubit } => Operation::Reset { qubit: qubits[*qubit] },
                Operation::Barrier { qubits: on } => {
                    Operation::Barrier { qubits: on.iter().map(|&q| qubits[q]).collect() }
                }
                Operation::Channel { channel, qubits: on } => {
                    let qubits = on.iter().map(|&q| qubits[q]).collect();
                    Operation::Channel { channel: channel.clone(), qubits }
                }
                Operation::Misread { bit, chances } => Operation::Misread { bit: bits[*bit], chances: *chances },
            };
            let condition = match instruction.condition {
                Some(c) => {
                    let there = &bits[c.start..c.start + c.size];
                    if there.windows(2).any(|pair| pair[1] != pair[0] + 1) {
                        let what = format!("condition on {} bits that are not side by side where they go", c.size);
                        return Err(Error::Circuit { what });
                    }
                    Some(Condition { start: there[0], ..c })
                }
                None => None,
            };
            self.push(Instruction { operation, condition })?;
        }
        Ok(self)
    }

    /// Adds the instructions of `other` on the first qubits and bits.
    ///
    /// # Errors
    /// As [`Circuit::append_on`].
    pub fn append(&mut self, other: &Circuit) -> Result<&mut Self> {
        let (qubits, bits): (Vec<_>, Vec<_>) = ((0..other.num_qubits()).collect(), (0..other.num_bits()).collect());
        self.append_on(other, &qubits, &bits)
    }

    /// The instructions `times` times over.
    ///
    /// # Errors
    /// [`Error::Circuit`] beyond [`MAX_INSTRUCTIONS`].
    pub fn repeated(&self, times: usize) -> Result<Self> {
        let mut circuit = self.emptied();
        if self.instructions.len().checked_mul(times).is_none_or(|n| n > MAX_INSTRUCTIONS) {
            let what = format!("{} instructions {times} times: at most {MAX_INSTRUCTIONS}", self.instructions.len());
            return Err(Error::Circuit { what });
        }
        (0..times).for_each(|_| circuit.instructions.extend_from_slice(&self.instructions));
        Ok(circuit)
    }

    /// The same registers, without instructions.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Circuit { qubits: self.qubits.clone(), bits: self.bits.clone(), instructions: Vec::new() }
    }

    /// What undoes the circuit.
    ///
    /// # Errors
    /// [`Error::Circuit`] at a measurement, a reset or a condition.
    pub fn inverse(&self) -> Result<Self> {
        let mut circuit = self.emptied();
        for (number, instruction) in self.instructions.iter().enumerate().rev() {
            let operation = match (&instruction.operation, instruction.condition) {
                (Operation::Gate { gate, qubits }, None) => {
                    Operation::Gate { gate: gate.inverse(), qubits: qubits.clone() }
                }
                (Operation::Barrier { qubits }, None) => Operation::Barrier { qubits: qubits.clone() },
                (other, _) => {
                    let what = format!("instruction {number} ({}) has no inverse", other.name());
                    return Err(Error::Circuit { what });
                }
            };
            circuit.instructions.push(Instruction { operation, condition: None });
        }
        Ok(circuit)
    }

    /// Symbols without a value, by name.
    #[must_use]
    pub fn symbols(&self) -> BTreeSet<String> {
        let gates = self.instructions.iter().filter_map(|i| match &i.operation {
            Operation::Gate { gate, .. } => Some(gate),
            _ => None,
        });
        gates.flat_map(|g| g.parameters()).flat_map(|p| p.terms().map(|(name, _)| name.to_owned())).collect()
    }

    /// The symbols in order of their names, and a value for each.
    pub(super) fn values(&self, values: &[(&str, f64)]) -> Result<(Vec<String>, BTreeMap<String, f64>)> {
        let symbols: Vec<String> = self.symbols().into_iter().collect();
        for (name, value) in values {
            if symbols.binary_search_by(|s| s.as_str().cmp(name)).is_err() {
                return Err(Error::Circuit { what: format!("no parameter {name} in the circuit") });
            }
            if !value.is_finite() {
                return Err(Error::NotFinite { what: format!("parameter {name}") });
            }
        }
        let values: BTreeMap<String, f64> = values.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        if let Some(name) = symbols.iter().find(|name| !values.contains_key(*name)) {
            return Err(without_value(name));
        }
        Ok((symbols, values))
    }

    /// With a number added to a parameter of one gate.
    pub(super) fn shifted(&self, instruction: usize, place: usize, by: f64) -> Self {
        let mut shifted = self.clone();
        if let Some(Instruction { operation: Operation::Gate { gate, .. }, .. }) =
            shifted.instructions.get_mut(instruction)
        {
            gate.shift(place, by);
        }
        shifted
    }

    /// With numbers in the place of symbols; those without a value stay.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a name that is no symbol of the circuit, [`Error::NotFinite`].
    pub fn bind(&self, values: &[(&str, f64)]) -> Result<Self> {
        let symbols = self.symbols();
        for (name, value) in values {
            if !symbols.contains(*name) {
                return Err(Error::Circuit { what: format!("no parameter {name} in the circuit") });
            }
            if !value.is_finite() {
                return Err(Error::NotFinite { what: format!("parameter {name}") });
            }
        }
        let values: BTreeMap<String, f64> = values.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let mut bound = self.clone();
        for instruction in &mut bound.instructions {
            if let Operation::Gate { gate, .. } = &mut instruction.operation {
                gate.bind(&values);
            }
        }
        Ok(bound)
    }

    /// Instructions that have to follow one another: the longest chain through qubits and classical bits, barriers not
    /// counted but kept to.
    #[must_use]
    pub fn depth(&self) -> usize {
        let (mut at, mut bits_at) = (vec![0_usize; self.num_qubits()], vec![0_usize; self.num_bits()]);
        for instruction in &self.instructions {
            let qubits = instruction.operation.qubits();
            let mut start = qubits.iter().map(|&q| at[q]).max().unwrap_or(0);
            if let Some(c) = instruction.condition {
                start = bits_at[c.start..c.start + c.size].iter().copied().fold(start, usize::max);
            }
            let silent = matches!(instruction.operation, Operation::Barrier { .. } | Operation::Channel { .. });
            let counts = !silent && !qubits.is_empty();
            if let Operation::Measure { bit, .. } = instruction.operation {
                start = start.max(bits_at[bit]);
                bits_at[bit] = start + 1;
            }
            qubits.iter().for_each(|&q| at[q] = start + usize::from(counts));
        }
        at.into_iter().max().unwrap_or(0)
    }

    /// How many instructions there are of each name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.instructions.iter().for_each(|i| *counts.entry(i.operation.name()).or_insert(0) += 1);
        counts
    }
}

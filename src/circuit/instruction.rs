//! What a circuit is made of: registers, operations, conditions.

use std::sync::Arc;

use super::channel::Channel;
use super::gate::Gate;

/// Qubits or classical bits with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The name.
    pub name: String,
    /// Number of its first qubit or bit in the circuit.
    pub start: usize,
    /// How many.
    pub size: usize,
}

/// Classical bits that have to hold a value; the first bit is the least significant, as in OpenQASM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The first bit.
    pub start: usize,
    /// How many bits.
    pub size: usize,
    /// The value.
    pub value: u64,
}

impl Condition {
    /// Whether `bits` of the circuit hold the value.
    #[must_use]
    pub fn holds(&self, bits: &[u8]) -> bool {
        let register = bits.iter().skip(self.start).take(self.size);
        register.enumerate().all(|(i, &bit)| {
            let expected = if i < 64 { self.value >> i & 1 } else { 0 };
            u64::from(bit) == expected
        }) && (self.size >= 64 || self.value >> self.size == 0)
    }
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A gate on qubits, controls first.
    Gate {
        /// The gate.
        gate: Gate,
        /// Its qubits.
        qubits: Vec<usize>,
    },
    /// Measures a qubit in the computational basis.
    Measure {
        /// The qubit.
        qubit: usize,
        /// Where the outcome goes.
        bit: usize,
    },
    /// Puts a qubit into 0.
    Reset {
        /// The qubit.
        qubit: usize,
    },
    /// Noise on qubits.
    Channel {
        /// The channel.
        channel: Arc<Channel>,
        /// Its qubits.
        qubits: Vec<usize>,
    },
    /// Turns a classical bit over with a probability that depends on it: an error of reading.
    Misread {
        /// The bit.
        bit: usize,
        /// The probability that a 0 becomes 1, and that a 1 becomes 0.
        chances: [f64; 2],
    },
    /// Nothing; gates are not drawn across it.
    Barrier {
        /// The qubits it spans.
        qubits: Vec<usize>,
    },
}

impl Operation {
    /// The qubits it touches.
    #[must_use]
    pub fn qubits(&self) -> &[usize] {
        match self {
            Operation::Gate { qubits, .. } | Operation::Barrier { qubits } | Operation::Channel { qubits, .. } => {
                qubits
            }
            Operation::Misread { .. } => &[],
            Operation::Measure { qubit, .. } | Operation::Reset { qubit } => std::slice::from_ref(qubit),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Operation::Gate { gate, .. } => gate.name(),
            Operation::Measure { .. } => "measure".into(),
            Operation::Reset { .. } => "reset".into(),
            Operation::Channel { channel, .. } => channel.name().to_owned(),
            Operation::Misread { .. } => "misread".into(),
            Operation::Barrier { .. } => "barrier".into(),
        }
    }
}

/// An operation, done always or where classical bits hold a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    /// What is done.
    pub operation: Operation,
    /// When; `None` is always.
    pub condition: Option<Condition>,
}

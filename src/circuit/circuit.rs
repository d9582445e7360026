//! A circuit as a value: instructions on named registers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::channel::Channel;
use super::gate::Gate;
use super::instruction::{Condition, Instruction, Operation, Register};
use super::matrix::Matrix;
use super::parameter::Parameter;
use crate::error::{Error, Result};

/// Qubits, or classical bits, that a circuit may have.
pub const MAX_QUBITS: usize = 100_000;
/// Instructions that a circuit may have, so that a short text cannot expand without bound.
pub const MAX_INSTRUCTIONS: usize = 2_000_000;

/// Registers, which are looked up one by one.
const MAX_REGISTERS: usize = 2000;

/// Instructions on qubits and classical bits, both in named registers.
///
/// ```
/// use ansatz::circuit::Circuit;
/// let mut ghz = Circuit::with_bits(3, 3)?;
/// ghz.h(0)?.cx(0, 1)?.cx(1, 2)?.measure(2, 2)?;
/// assert_eq!((ghz.depth(), ghz.counts()["cx"]), (4, 2));
/// assert!(ghz.cx(1, 1).unwrap_err().to_string().contains("qubit q[1] twice"));
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Circuit {
    pub(super) qubits: Vec<Register>,
    pub(super) bits: Vec<Register>,
    pub(super) instructions: Vec<Instruction>,
}

/// Methods that add one gate.
macro_rules! shortcuts {
    ($($name:ident($($angle:ident),*; $($qubit:ident),*) $doc:literal;)*) => {
        impl Circuit {$(
            #[doc = $doc]
            ///
            /// # Errors
            /// As [`Circuit::add`].
            pub fn $name(&mut self, $($angle: impl Into<Parameter>,)* $($qubit: usize),*) -> Result<&mut Self> {
                self.apply(stringify!($name), &[$($angle.into()),*], &[$($qubit),*])
            }
        )*}
    };
}

shortcuts! {
    x(; qubit) "Adds Pauli X."; y(; qubit) "Adds Pauli Y."; z(; qubit) "Adds Pauli Z."; h(; qubit) "Adds Hadamard.";
    s(; qubit) "Adds the square root of Z."; t(; qubit) "Adds the fourth root of Z.";
    rx(theta; qubit) "Adds `exp(-i theta X / 2)`."; ry(theta; qubit) "Adds `exp(-i theta Y / 2)`.";
    rz(theta; qubit) "Adds `exp(-i theta Z / 2)`."; p(lambda; qubit) "Adds the phase `exp(i lambda)` on 1.";
    cx(; control, target) "Adds controlled X."; cz(; control, target) "Adds controlled Z.";
    cp(lambda; control, target) "Adds a controlled phase."; swap(; a, b) "Adds the exchange of two qubits.";
    rzz(theta; a, b) "Adds `exp(-i theta ZZ / 2)`."; ccx(; a, b, target) "Adds X with two controls.";
}

impl Circuit {
    /// No instruction on `qubits` qubits, in a register `q`, without classical bits.
    ///
    /// # Errors
    /// As [`Circuit::add_qubits`].
    pub fn new(qubits: usize) -> Result<Self> {
        Self::with_bits(qubits, 0)
    }

    /// No instruction on qubits `q` and classical bits `c`.
    ///
    /// # Errors
    /// As [`Circuit::add_qubits`].
    pub fn with_bits(qubits: usize, bits: usize) -> Result<Self> {
        let mut circuit = Circuit::default();
        circuit.add_qubits("q", qubits)?;
        if bits > 0 {
            circuit.add_bits("c", bits)?;
        }
        Ok(circuit)
    }

    /// Adds a register of qubits.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the name is taken or the size is 0 or makes more than [`MAX_QUBITS`] in all.
    pub fn add_qubits(&mut self, name: &str, size: usize) -> Result<()> {
        self.check_register(name, size, self.num_qubits(), "qubits")?;
        self.qubits.push(Register { name: name.into(), start: self.num_qubits(), size });
        Ok(())
    }

    /// Adds a register of classical bits.
    ///
    /// # Errors
    /// As [`Circuit::add_qubits`].
    pub fn add_bits(&mut self, name: &str, size: usize) -> Result<()> {
        self.check_register(name, size, self.num_bits(), "classical bits")?;
        self.bits.push(Register { name: name.into(), start: self.num_bits(), size });
        Ok(())
    }

    fn check_register(&self, name: &str, size: usize, before: usize, what: &str) -> Result<()> {
        let fault = if self.qubits.iter().chain(&self.bits).any(|r| r.name == name) {
            format!("register {name} is declared twice")
        } else if size == 0 {
            format!("register {name} has no {what}; give it at least one")
        } else if size > MAX_QUBITS - before {
            format!("register {name} of {size} {what}: a circuit has at most {MAX_QUBITS}")
        } else if self.qubits.len() + self.bits.len() >= MAX_REGISTERS {
            format!("register {name}: a circuit has at most {MAX_REGISTERS} registers")
        } else {
            return Ok(());
        };
        Err(Error::Circuit { what: fault })
    }

    /// Registers of qubits, in order.
    #[must_use]
    pub fn qubit_registers(&self) -> &[Register] {
        &self.qubits
    }

    /// Registers of classical bits, in order.
    #[must_use]
    pub fn bit_registers(&self) -> &[Register] {
        &self.bits
    }

    /// The instructions, in order.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Qubits in all.
    #[must_use]
    pub fn num_qubits(&self) -> usize {
        self.qubits.last().map_or(0, |r| r.start + r.size)
    }

    /// Classical bits in all.
    #[must_use]
    pub fn num_bits(&self) -> usize {
        self.bits.last().map_or(0, |r| r.start + r.size)
    }

    /// `q[2]`, by the register that holds it.
    #[must_use]
    pub fn qubit_name(&self, qubit: usize) -> String {
        name_in(&self.qubits, qubit)
    }

    /// `c[2]`, by the register that holds it.
    #[must_use]
    pub fn bit_name(&self, bit: usize) -> String {
        name_in(&self.bits, bit)
    }

    /// Adds an instruction.
    ///
    /// # Errors
    /// [`Error::Circuit`] with the instruction's number from 0: a qubit or bit that is not there, a qubit named twice, a
    /// gate on the wrong number of qubits, more than [`MAX_INSTRUCTIONS`].
    pub fn push(&mut self, instruction: Instruction) -> Result<&mut Self> {
        self.check(&instruction).map_err(|what| Error::Circuit {
            what: format!("instruction {} ({}): {what}", self.instructions.len(), instruction.operation.name()),
        })?;
        self.instructions.push(instruction);
        Ok(self)
    }

    fn check(&self, instruction: &Instruction) -> Result<(), String> {
        if self.instructions.len() >= MAX_INSTRUCTIONS {
            return Err(format!("a circuit has at most {MAX_INSTRUCTIONS} instructions"));
        }
        let qubits = instruction.operation.qubits();
        if let Some(&qubit) = qubits.iter().find(|&&q| q >= self.num_qubits()) {
            return Err(format!("no qubit {qubit}, there are {}", self.num_qubits()));
        }
        // Sets only where a comparison of all pairs would be long.
        let twice = if qubits.len() <= 8 {
            qubits.iter().enumerate().find(|(i, q)| qubits[..*i].contains(q)).map(|(_, &q)| q)
        } else {
            let mut seen = BTreeSet::new();
            qubits.iter().copied().find(|&q| !seen.insert(q))
        };
        if let Some(qubit) = twice {
            return Err(format!("takes qubit {} twice; give each qubit once", self.qubit_name(qubit)));
        }
        match &instruction.operation {
            Operation::Gate { gate, qubits } if gate.qubits() != qubits.len() => {
                Err(format!("acts on {} qubits, {} are given", gate.qubits(), qubits.len()))
            }
            Operation::Channel { channel, qubits } if channel.qubits() != qubits.len() => {
                Err(format!("acts on {} qubits, {} are given", channel.qubits(), qubits.len()))
            }
            Operation::Measure { bit, .. } | Operation::Misread { bit, .. } if *bit >= self.num_bits() => {
                Err(format!("no classical bit {bit}, there are {}", self.num_bits()))
            }
            Operation::Misread { chances, .. } if chances.iter().any(|p| !(0.0..=1.0).contains(p)) => {
                Err(format!("probabilities {chances:?} of a wrong reading: give numbers from 0 to 1"))
            }
            _ => match instruction.condition {
                Some(c) if c.size == 0 || c.start.saturating_add(c.size) > self.num_bits() => Err(format!(
                    "condition on classical bits {} to {}, there are {}",
                    c.start,
                    c.start.saturating_add(c.size),
                    self.num_bits()
                )),
                _ => Ok(()),
            },
        }
    }

    /// Adds a gate.
    ///
    /// # Errors
    /// As [`Circuit::push`].
    pub fn add(&mut self, gate: Gate, qubits: &[usize]) -> Result<&mut Self> {
        self.push(Instruction { operation: Operation::Gate { gate, qubits: qubits.to_vec() }, condition: None })
    }

    /// Adds the gate of this name.
    ///
    /// # Errors
    /// As [`Gate::named`] and [`Circuit::push`].
    pub fn apply(&mut self, name: &str, parameters: &[Parameter], qubits: &[usize]) -> Result<&mut Self> {
        self.add(Gate::named(name, parameters)?, qubits)
    }

    /// Adds a unitary of one to three qubits.
    ///
    /// # Errors
    /// As [`Gate::unitary`] and [`Circuit::push`].
    pub fn unitary(&mut self, matrix: Matrix, qubits: &[usize]) -> Result<&mut Self> {
        self.add(Gate::unitary(matrix)?, qubits)
    }

    /// Adds a measurement.
    ///
    /// # Errors
    /// As [`Circuit::push`].
    pub fn measure(&mut self, qubit: usize, bit: usize) -> Result<&mut Self> {
        self.push(Instruction { operation: Operation::Measure { qubit, bit }, condition: None })
    }

    /// Adds a reset.
    ///
    /// # Errors
    /// As [`Circuit::push`].
    pub fn reset(&mut self, qubit: usize) -> Result<&mut Self> {
        self.push(Instruction { operation: Operation::Reset { qubit }, condition: None })
    }

    /// Adds a noise channel.
    ///
    /// # Errors
    /// As [`Circuit::push`].
    pub fn channel(&mut self, channel: &Arc<Channel>, qubits: &[usize]) -> Result<&mut Self> {
        let operation = Operation::Channel { channel: channel.clone(), qubits: qubits.to_vec() };
        self.push(Instruction { operation, condition: None })
    }

    /// Adds a barrier.
    ///
    /// # Errors
    /// As [`Circuit::push`].
    pub fn barrier(&mut self, qubits: &[usize]) -> Result<&mut Self> {
        self.push(Instruction { operation: Operation::Barrier { qubits: qubits.to_vec() }, condition: None })
    }

    /// Makes the last instruction depend on classical bits.
    ///
    /// # Errors
    /// [`Error::Circuit`] if there is none, or the bits are not there.
    pub fn only_if(&mut self, condition: Condition) -> Result<&mut Self> {
        let Some(last) = self.instructions.pop() else {
            return Err(Error::Circuit { what: "a condition, and no instruction before it".into() });
        };
        self.push(Instruction { condition: Some(condition), ..last })
    }
}

fn name_in(registers: &[Register], number: usize) -> String {
    let holds = |r: &&Register| (r.start..r.start + r.size).contains(&number);
    registers.iter().find(holds).map_or_else(|| number.to_string(), |r| format!("{}[{}]", r.name, number - r.start))
}

//! A circuit as a value: instructions on named registers.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::Gate;
use super::matrix::Matrix;
use super::parameter::Parameter;
use crate::error::{Error, Result};

/// Qubits, or classical bits, that a circuit may have.
pub const MAX_QUBITS: usize = 100_000;
/// Instructions that a circuit may have, so that a short text cannot expand without bound.
pub const MAX_INSTRUCTIONS: usize = 2_000_000;

/// Registers, which are looked up one by one.
const MAX_REGISTERS: usize = 2000;

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
            Operation::Gate { qubits, .. } | Operation::Barrier { qubits } => qubits,
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
    qubits: Vec<Register>,
    bits: Vec<Register>,
    instructions: Vec<Instruction>,
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
            Operation::Measure { bit, .. } if *bit >= self.num_bits() => {
                Err(format!("no classical bit {bit}, there are {}", self.num_bits()))
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
            let counts = !matches!(instruction.operation, Operation::Barrier { .. }) && !qubits.is_empty();
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

fn name_in(registers: &[Register], number: usize) -> String {
    let holds = |r: &&Register| (r.start..r.start + r.size).contains(&number);
    registers.iter().find(holds).map_or_else(|| number.to_string(), |r| format!("{}[{}]", r.name, number - r.start))
}

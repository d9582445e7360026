//! A circuit as OpenQASM 2.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::instruction::{Condition, Operation};
use crate::circuit::matrix::Matrix;
use crate::circuit::parameter::Parameter;
use crate::circuit::table::{GATES, GateRow};
use crate::error::{Error, Result};

impl Circuit {
    /// The circuit as OpenQASM 2, which reads back to an equal one.
    ///
    /// Gates that `qelib1.inc` lacks are defined in the text. A unitary of one qubit is written as `u3`, equal up to a phase,
    /// and a phase of the whole state is left out.
    ///
    /// # Errors
    /// [`Error::Circuit`] for what OpenQASM 2 cannot say: a symbol without a value, a unitary of two or three qubits, a
    /// control that no gate of the table has, a condition on a part of a register, an instruction without qubits.
    pub fn to_qasm(&self) -> Result<String> {
        let mut body = String::new();
        let mut defined = Vec::new();
        for register in self.qubit_registers() {
            let _ = writeln!(body, "qreg {}[{}];", register.name, register.size);
        }
        for register in self.bit_registers() {
            let _ = writeln!(body, "creg {}[{}];", register.name, register.size);
        }
        for (number, instruction) in self.instructions().iter().enumerate() {
            let fault = |what: String| {
                let name = instruction.operation.name();
                Error::Circuit { what: format!("instruction {number} ({name}): OpenQASM 2 cannot say {what}") }
            };
            let names = |qubits: &[usize]| qubits.iter().map(|&q| self.qubit_name(q)).collect::<Vec<_>>().join(",");
            let mut line = String::new();
            if let Some(condition) = instruction.condition {
                let name = self.whole_register(condition);
                let name = name.ok_or_else(|| fault("a condition on a part of a register".into()))?;
                let _ = write!(line, "if({name}=={}) ", condition.value);
            }
            match &instruction.operation {
                Operation::Gate { gate, qubits } => {
                    let (text, row) = gate_text(gate).map_err(fault)?;
                    let Some(text) = text else { continue };
                    if let Some(row) = row {
                        define(row, &mut defined);
                    }
                    let _ = write!(line, "{text} {};", names(qubits));
                }
                Operation::Measure { qubit, bit } => {
                    let _ = write!(line, "measure {} -> {};", self.qubit_name(*qubit), self.bit_name(*bit));
                }
                Operation::Reset { qubit } => {
                    let _ = write!(line, "reset {};", self.qubit_name(*qubit));
                }
                Operation::Channel { .. } | Operation::Misread { .. } => return Err(fault("noise".into())),
                Operation::Barrier { qubits } if qubits.is_empty() => continue,
                Operation::Barrier { qubits } => {
                    let _ = write!(line, "barrier {};", names(qubits));
                }
            }
            body.push_str(&line);
            body.push('\n');
        }
        let mut text = String::from("OPENQASM 2.0;\ninclude \"qelib1.inc\";\n");
        for row in defined {
            let parameters =
                if row.parameters.is_empty() { String::new() } else { format!("({})", row.parameters.join(",")) };
            let qubits = ["a", "b", "c", "d", "e"][..row.qubits].join(",");
            let _ = writeln!(text, "gate {}{parameters} {qubits} {{ {} }}", row.name, row.definition);
        }
        Ok(text + &body)
    }

    fn whole_register(&self, condition: Condition) -> Option<&str> {
        let whole = |r: &&crate::circuit::Register| (r.start, r.size) == (condition.start, condition.size);
        self.bit_registers().iter().find(whole).map(|r| r.name.as_str())
    }
}

/// Adds a row and those of which its definition is made, these first.
fn define(row: &'static GateRow, defined: &mut Vec<&'static GateRow>) {
    if row.qelib || defined.contains(&row) {
        return;
    }
    let words: BTreeSet<&str> =
        row.definition.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| w.len() > 1).collect();
    for inner in GATES.iter().filter(|inner| words.contains(inner.name)) {
        define(inner, defined);
    }
    defined.push(row);
}

/// Name and parameters, or nothing for what has no effect there, and the row.
fn gate_text(gate: &Gate) -> Result<(Option<String>, Option<&'static GateRow>), String> {
    match gate {
        Gate::Named { row, .. } if row.qubits == 0 => Ok((None, None)),
        Gate::Named { row, parameters } => {
            let numbers = parameters.iter().map(Parameter::number).collect::<Result<Vec<_>>>();
            let numbers = numbers.map_err(|e| format!("a symbol: {e}"))?;
            let list: Vec<String> = numbers.iter().map(|&x| Parameter::from(x).to_string()).collect();
            let arguments = if list.is_empty() { String::new() } else { format!("({})", list.join(",")) };
            Ok((Some(format!("{}{arguments}", row.name)), Some(row)))
        }
        Gate::Unitary(matrix) if matrix.qubits() == 1 => {
            let list = angles(matrix).map(|x| Parameter::from(x).to_string());
            Ok((Some(format!("u3({})", list.join(","))), None))
        }
        Gate::Unitary(matrix) => Err(format!("a unitary of {} qubits; make it of gates", matrix.qubits())),
        Gate::Controlled { .. } => Err("controls other than those of its gates; use gates of the table".into()),
    }
}

/// The angles of `u3` that gives a unitary of one qubit up to a phase.
fn angles(matrix: &Matrix) -> [f64; 3] {
    let (a, b, c, d) = (matrix.get(0, 0), matrix.get(0, 1), matrix.get(1, 0), matrix.get(1, 1));
    let theta = 2.0 * c.norm().atan2(a.norm());
    // The larger of the two elements fixes the phase.
    if a.norm() > c.norm() {
        let (phi, sum) = (if c.norm() > 1e-12 { (c / a).arg() } else { 0.0 }, (d / a).arg());
        [theta, phi, sum - phi]
    } else {
        let lambda = if a.norm() > 1e-12 { (-b / a).arg() } else { 0.0 };
        // Of c / -b = exp(i (phi - lambda)).
        [theta, (c / -b).arg() + lambda, lambda]
    }
}

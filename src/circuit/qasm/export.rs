//! A circuit as OpenQASM 2.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::circuit::circuit::Circuit;
use crate::circuit::gate::Gate;
use crate::circuit::instruction::{Condition, Operation};
use crate::circuit::parameter::Parameter;
use crate::circuit::synthesis::{elementary, euler};
use crate::circuit::table::{GATES, GateRow};
use crate::error::{Error, Result};

impl Circuit {
    /// The circuit as OpenQASM 2, which reads back to an equal one.
    ///
    /// Gates that `qelib1.inc` lacks are defined in the text. A unitary of one qubit is written as `u3`, one of more qubits, and
    /// gates under controls that no gate of the table has, as the gates of [`Circuit::elementary`]: equal up to a phase. A
    /// phase of the whole state is left out.
    ///
    /// # Errors
    /// [`Error::Circuit`] for what OpenQASM 2 cannot say: a symbol without a value, a gate under other controls than those of the
    /// table on more than eight qubits, a condition on a part of a register, noise.
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
                    let lines = gate_lines(gate, qubits, &mut defined, &names).map_err(fault)?;
                    let condition = std::mem::take(&mut line);
                    line = lines.iter().map(|text| format!("{condition}{text}")).collect::<Vec<_>>().join("\n");
                    if line.is_empty() {
                        continue;
                    }
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

/// A gate in lines without their condition; none for what has no effect there.
fn gate_lines(
    gate: &Gate,
    qubits: &[usize],
    defined: &mut Vec<&'static GateRow>,
    names: &dyn Fn(&[usize]) -> String,
) -> Result<Vec<String>, String> {
    match gate {
        Gate::Named { row, .. } if row.qubits == 0 => Ok(Vec::new()),
        Gate::Named { row, parameters } => {
            let numbers = parameters.iter().map(Parameter::number).collect::<Result<Vec<_>>>();
            let numbers = numbers.map_err(|e| format!("a symbol: {e}"))?;
            define(row, defined);
            Ok(vec![format!("{}{} {};", row.name, arguments(&numbers), names(qubits))])
        }
        Gate::Unitary(matrix) if matrix.qubits() == 1 => {
            Ok(vec![format!("u3{} {};", arguments(&euler(matrix.entries()).0), names(qubits))])
        }
        Gate::Unitary(_) | Gate::Controlled { .. } => {
            let parts = elementary(gate).map_err(|e| format!("this gate: {e}"))?.unwrap_or_default();
            let mut lines = Vec::new();
            for part in parts.instructions() {
                if let Operation::Gate { gate, qubits: on } = &part.operation {
                    let qubits: Vec<usize> = on.iter().map(|&q| qubits[q]).collect();
                    lines.extend(gate_lines(gate, &qubits, defined, names)?);
                }
            }
            Ok(lines)
        }
    }
}

fn arguments(numbers: &[f64]) -> String {
    let list: Vec<String> = numbers.iter().map(|&x| Parameter::from(x).to_string()).collect();
    if list.is_empty() { String::new() } else { format!("({})", list.join(",")) }
}

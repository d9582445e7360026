//! A gate: a row of the table with parameters, any small unitary, or a control of another gate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::matrix::Matrix;
use super::parameter::Parameter;
use super::table::{GateRow, Inverse, gate_named};
use crate::error::{Error, Result};

/// What acts on qubits.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// A row of [`super::GATES`].
    Named {
        /// The row.
        row: &'static GateRow,
        /// As many as the row has.
        parameters: Vec<Parameter>,
    },
    /// A unitary matrix.
    Unitary(Arc<Matrix>),
    /// Acts where every control qubit has its value; controls come before the qubits of the gate.
    Controlled {
        /// The value that each control has to have.
        controls: Vec<bool>,
        /// What is controlled.
        gate: Box<Gate>,
    },
}

/// Controls beyond which a gate is refused.
const MAX_CONTROLS: usize = 64;

impl Gate {
    /// The gate of this name.
    ///
    /// # Errors
    /// [`Error::Circuit`] if there is none, or it takes another number of parameters.
    pub fn named(name: &str, parameters: &[Parameter]) -> Result<Self> {
        let row = gate_named(name)
            .ok_or_else(|| Error::Circuit { what: format!("undefined gate '{}'", crate::error::quoted(name)) })?;
        if row.parameters.len() != parameters.len() {
            let (expected, found) = (row.parameters.len(), parameters.len());
            let what = format!("gate {name} takes {expected} parameters, {found} are given");
            return Err(Error::Circuit { what });
        }
        Ok(Gate::Named { row, parameters: parameters.to_vec() })
    }

    /// A unitary of one to three qubits.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the matrix is not unitary, and by how much, or is of no or more than three qubits.
    pub fn unitary(matrix: Matrix) -> Result<Self> {
        if !(1..=3).contains(&matrix.qubits()) {
            let what = format!("unitary of {} qubits: give 1 to 3", matrix.qubits());
            return Err(Error::Circuit { what });
        }
        matrix.check_unitary()?;
        Ok(Gate::Unitary(Arc::new(matrix)))
    }

    /// With more controls, before those it has.
    ///
    /// # Errors
    /// [`Error::Circuit`] beyond 64 controls.
    pub fn controlled(self, controls: &[bool]) -> Result<Self> {
        let (inner, gate) = match self {
            Gate::Controlled { controls, gate } => (controls, gate),
            other => (Vec::new(), Box::new(other)),
        };
        let controls = [controls, &inner].concat();
        if controls.len() > MAX_CONTROLS {
            let what = format!("gate with {} controls: at most {MAX_CONTROLS} are taken", controls.len());
            return Err(Error::Circuit { what });
        }
        Ok(if controls.is_empty() { *gate } else { Gate::Controlled { controls, gate } })
    }

    /// Qubits it acts on, controls included.
    #[must_use]
    pub fn qubits(&self) -> usize {
        match self {
            Gate::Named { row, .. } => row.qubits,
            Gate::Unitary(matrix) => matrix.qubits(),
            Gate::Controlled { controls, gate } => controls.len() + gate.qubits(),
        }
    }

    /// The values of all controls, those of the row included; the other qubits come after them.
    #[must_use]
    pub fn controls(&self) -> Vec<bool> {
        match self {
            Gate::Named { row, .. } => vec![true; row.controls],
            Gate::Unitary(_) => Vec::new(),
            Gate::Controlled { controls, gate } => [controls.clone(), gate.controls()].concat(),
        }
    }

    /// The matrix over the qubits that are not controls.
    ///
    /// # Errors
    /// [`Error::Circuit`] if a parameter has no value.
    pub fn target_matrix(&self) -> Result<Matrix> {
        match self {
            Gate::Named { row, parameters } => {
                let numbers = parameters.iter().map(Parameter::number).collect::<Result<Vec<_>>>()?;
                Ok(row.target_matrix(&numbers))
            }
            Gate::Unitary(matrix) => Ok(matrix.as_ref().clone()),
            Gate::Controlled { gate, .. } => gate.target_matrix(),
        }
    }

    /// The matrix over all qubits, controls first.
    ///
    /// # Errors
    /// As [`Gate::target_matrix`]; [`Error::Circuit`] beyond ten qubits.
    pub fn matrix(&self) -> Result<Matrix> {
        if self.qubits() > 10 {
            return Err(Error::Circuit { what: format!("matrix of {} qubits: at most 10", self.qubits()) });
        }
        Ok(self.target_matrix()?.controlled(&self.controls()))
    }

    /// What undoes it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Gate::Named { row, parameters } => match row.inverse {
                Inverse::Itself => self.clone(),
                Inverse::Gate(name, rules) => {
                    let of = |&(index, scale, offset): &(usize, f64, f64)| {
                        parameters.get(index).cloned().unwrap_or_default() * scale + offset
                    };
                    let parameters = rules.iter().map(of).collect();
                    Gate::Named { row: gate_named(name).unwrap_or(row), parameters }
                }
            },
            Gate::Unitary(matrix) => Gate::Unitary(Arc::new(matrix.dagger())),
            Gate::Controlled { controls, gate } => {
                Gate::Controlled { controls: controls.clone(), gate: Box::new(gate.inverse()) }
            }
        }
    }

    /// Its parameters.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        match self {
            Gate::Named { parameters, .. } => parameters,
            Gate::Unitary(_) => &[],
            Gate::Controlled { gate, .. } => gate.parameters(),
        }
    }

    pub(super) fn bind(&mut self, values: &BTreeMap<String, f64>) {
        match self {
            Gate::Named { parameters, .. } => parameters.iter_mut().for_each(|p| *p = p.bind(values)),
            Gate::Unitary(_) => {}
            Gate::Controlled { gate, .. } => gate.bind(values),
        }
    }

    /// Adds a number to a parameter.
    pub(super) fn shift(&mut self, place: usize, by: f64) {
        match self {
            Gate::Named { parameters, .. } => {
                if let Some(parameter) = parameters.get_mut(place) {
                    *parameter = parameter.clone() + by;
                }
            }
            Gate::Unitary(_) => {}
            Gate::Controlled { gate, .. } => gate.shift(place, by),
        }
    }

    /// The name without parameters: of the row, or `unitary`; controls that the row does not have are `c` and, where they
    /// act at 0, `n`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Gate::Named { row, .. } => row.name.to_owned(),
            Gate::Unitary(_) => "unitary".to_owned(),
            Gate::Controlled { controls, gate } => {
                let marks: String = controls.iter().map(|&on| if on { 'c' } else { 'n' }).collect();
                format!("{marks}-{}", gate.name())
            }
        }
    }

    /// The name of what acts on the targets: `x` for `cx`.
    #[must_use]
    pub fn target_name(&self) -> String {
        match self {
            Gate::Named { row, .. } => {
                let shown = match row.name {
                    "c3x" | "c4x" => "x",
                    "c3sqrtx" => "sx",
                    "c3sqrtxdg" => "sxdg",
                    name => name.get(row.controls..).unwrap_or(name),
                };
                shown.to_owned()
            }
            Gate::Unitary(_) => "unitary".to_owned(),
            Gate::Controlled { gate, .. } => gate.target_name(),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if !self.parameters().is_empty() {
            let list: Vec<String> = self.parameters().iter().map(Parameter::to_string).collect();
            write!(f, "({})", list.join(", "))?;
        }
        Ok(())
    }
}

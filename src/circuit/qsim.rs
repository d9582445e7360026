//! The text format of Google's qsim and of the circuits of their experiments: `time gate qubits parameters` in a line.

use super::circuit::Circuit;
use super::gate::Gate;
use super::parameter::Parameter;
use crate::error::{Error, Place, Result, quoted};

/// Names there and here, where they differ.
const NAMES: [(&str, &str); 9] = [
    ("id1", "id"),
    ("cnot", "cx"),
    ("is", "iswap"),
    ("fs", "fsim"),
    ("sw", "swap"),
    ("rxy", "r"),
    ("p", "gphase"),
    ("x_1_2", "x_1_2"),
    ("cp", "cp"),
];

/// Reads a circuit: the number of qubits, then a gate a line. Measured qubits (`m`) go into the classical bit of the same
/// number.
///
/// # Errors
/// [`Error::Format`] or [`Error::Circuit`] at a [`Place::Text`] that tells the line.
pub fn from_qsim(text: &str) -> Result<Circuit> {
    let lines = text.lines().enumerate().map(|(i, l)| (i + 1, l.trim()));
    let mut lines = lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let place = |line: usize| move |e: Error| e.at(Place::Text { line, column: 1 });
    let fault = |line: usize, what: String| Error::Format { what }.at(Place::Text { line, column: 1 });
    let Some((line, first)) = lines.next() else {
        return Err(Error::Empty { what: "circuit in qsim format".into() });
    };
    let qubits: usize =
        first.parse().map_err(|_| fault(line, format!("expected the number of qubits, found '{}'", quoted(first))))?;
    let measures = text.lines().any(|l| l.split_whitespace().nth(1) == Some("m"));
    let mut circuit = Circuit::with_bits(qubits, if measures { qubits } else { 0 }).map_err(place(line))?;
    for (line, text) in lines {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [_, name, rest @ ..] = words.as_slice() else {
            return Err(fault(line, format!("expected a time and a gate, found '{}'", quoted(text))));
        };
        let index = |word: &&str| {
            word.parse::<usize>().map_err(|_| fault(line, format!("'{}' is no number of a qubit", quoted(word))))
        };
        if *name == "m" {
            for qubit in rest.iter().map(index) {
                let qubit = qubit?;
                circuit.measure(qubit, qubit).map_err(place(line))?;
            }
            continue;
        }
        // `c 0 1 x 2`: controls, then a gate.
        let (name, controls, rest) = if *name == "c" {
            let split = rest.iter().position(|w| w.parse::<usize>().is_err());
            let split = split.ok_or_else(|| fault(line, "controls without a gate".into()))?;
            let controls = rest[..split].iter().map(index).collect::<Result<Vec<_>>>()?;
            (rest[split], controls, &rest[split + 1..])
        } else {
            (*name, Vec::new(), rest)
        };
        let ours = NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
        let row =
            super::table::gate_named(ours).ok_or_else(|| fault(line, format!("undefined gate '{}'", quoted(name))))?;
        let expected = row.qubits + row.parameters.len();
        if rest.len() != expected {
            let what = format!("gate {name} takes {expected} qubits and parameters, {} are given", rest.len());
            return Err(fault(line, what));
        }
        let on = rest[..row.qubits].iter().map(index).collect::<Result<Vec<_>>>()?;
        let mut parameters = Vec::new();
        for word in &rest[row.qubits..] {
            let value: f64 = word.parse().unwrap_or(f64::NAN);
            if !value.is_finite() {
                return Err(fault(line, format!("'{}' is no angle", quoted(word))));
            }
            parameters.push(Parameter::from(value));
        }
        // There, `rxy phi theta`: the axis comes first.
        if name == "rxy" {
            parameters.reverse();
        }
        let gate = Gate::Named { row, parameters };
        let gate = gate.controlled(&vec![true; controls.len()]).map_err(place(line))?;
        circuit.add(gate, &[controls, on].concat()).map_err(place(line))?;
    }
    Ok(circuit)
}

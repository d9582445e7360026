//! Calls of gates, and gates that a text defines.

use std::collections::HashMap;
use std::rc::Rc;

use super::Position;
use super::expression::Expression;
use super::lexer::{Cursor, Word};
use crate::circuit::circuit::MAX_INSTRUCTIONS;
use crate::circuit::gate::Gate;
use crate::circuit::parameter::Parameter;
use crate::circuit::table::{GATES, GateRow};
use crate::error::{Result, quoted};

/// Definitions within definitions.
const MAX_DEPTH: usize = 100;

/// What comes before a gate and an `@`.
#[derive(Debug, Clone)]
pub(super) enum Modifier {
    Inverse,
    Power(i64),
    Controls(Vec<bool>),
}

/// What a name of a gate stands for.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Row(&'static GateRow),
    Defined(Rc<Definition>),
}

impl Target {
    fn parameters(&self) -> usize {
        match self {
            Target::Row(row) => row.parameters.len(),
            Target::Defined(definition) => definition.parameters.len(),
        }
    }

    fn qubits(&self) -> usize {
        match self {
            Target::Row(row) => row.qubits,
            Target::Defined(definition) => definition.qubits,
        }
    }
}

/// A gate that the text defines.
#[derive(Debug)]
pub(super) struct Definition {
    pub parameters: Vec<String>,
    pub qubits: usize,
    pub body: Vec<(Call, Vec<usize>)>,
    pub opaque: bool,
    /// Gates when everything is expanded.
    pub size: usize,
    pub depth: usize,
}

impl Definition {
    /// # Errors
    /// The fault, if it is too deep.
    pub(super) fn new(
        parameters: Vec<String>,
        qubits: usize,
        body: Vec<(Call, Vec<usize>)>,
        opaque: bool,
    ) -> Result<Self, String> {
        // One for itself, so that empty definitions within each other do not expand without bound either.
        let (mut size, mut depth) = (1_usize, 0);
        for (call, _) in &body {
            size = size.saturating_add(call.size());
            if let Target::Defined(inner) = &call.target {
                depth = depth.max(inner.depth);
            }
        }
        if depth >= MAX_DEPTH {
            return Err(format!("gate definitions more than {MAX_DEPTH} deep"));
        }
        Ok(Definition { parameters, qubits, body, opaque, size, depth: depth + 1 })
    }
}

/// A gate as it is called, without its qubits.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub name: String,
    pub modifiers: Vec<Modifier>,
    pub target: Target,
    pub arguments: Vec<Expression>,
    pub at: Position,
}

/// Gates with numbers of qubits.
type Sequence = Vec<(Gate, Vec<usize>)>;

impl Call {
    /// Qubits it takes, controls included.
    pub(super) fn qubits(&self) -> usize {
        let controls = |m: &Modifier| if let Modifier::Controls(list) = m { list.len() } else { 0 };
        self.modifiers.iter().map(controls).sum::<usize>() + self.target.qubits()
    }

    /// Gates when everything is expanded.
    pub(super) fn size(&self) -> usize {
        let base = match &self.target {
            Target::Row(_) => 1,
            Target::Defined(definition) => definition.size,
        };
        self.modifiers.iter().fold(base, |size, modifier| match modifier {
            Modifier::Power(k) => size.saturating_mul(usize::try_from(k.unsigned_abs()).unwrap_or(usize::MAX).max(1)),
            _ => size,
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        let (expected, found) = (self.target.parameters(), self.arguments.len());
        if expected != found {
            let what = format!("gate {} takes {expected} parameters, {found} are given", self.name);
            return Err(self.at.error(what));
        }
        if let Target::Defined(definition) = &self.target
            && definition.opaque
        {
            return Err(self.at.error(format!("gate {} is opaque: nothing says what it does", self.name)));
        }
        Ok(())
    }

    /// The gates it makes on these qubits.
    pub(super) fn expand(&self, qubits: &[usize], names: &dyn Fn(&str) -> Option<Parameter>) -> Result<Sequence> {
        if self.size() > MAX_INSTRUCTIONS {
            let what = format!("gate {} expands to more than {MAX_INSTRUCTIONS} gates", self.name);
            return Err(self.at.error(what));
        }
        let values = self.arguments.iter().map(|a| a.value(names).map_err(|why| self.at.error(why)));
        let values = values.collect::<Result<Vec<_>>>()?;
        let mut first = qubits.len() - self.target.qubits();
        let mut sequence = match &self.target {
            Target::Row(row) => vec![(Gate::Named { row, parameters: values }, qubits[first..].to_vec())],
            Target::Defined(definition) => {
                let known: HashMap<&str, Parameter> =
                    definition.parameters.iter().map(String::as_str).zip(values).collect();
                let mut sequence = Vec::new();
                for (call, places) in &definition.body {
                    let on: Vec<usize> = places.iter().map(|&place| qubits[first + place]).collect();
                    sequence.extend(call.expand(&on, &|name| known.get(name).cloned())?);
                }
                sequence
            }
        };
        for modifier in self.modifiers.iter().rev() {
            match modifier {
                Modifier::Inverse => invert(&mut sequence),
                Modifier::Power(k) => {
                    if *k < 0 {
                        invert(&mut sequence);
                    }
                    let once = sequence;
                    sequence = Vec::new();
                    (0..k.unsigned_abs()).for_each(|_| sequence.extend_from_slice(&once));
                }
                Modifier::Controls(list) => {
                    first -= list.len();
                    let controls = &qubits[first..first + list.len()];
                    sequence = sequence
                        .into_iter()
                        .map(|(gate, on)| Ok((gate.controlled(list)?, [controls, &on].concat())))
                        .collect::<Result<_>>()
                        .map_err(|e| self.at.place(e))?;
                }
            }
        }
        Ok(sequence)
    }
}

fn invert(sequence: &mut Sequence) {
    sequence.reverse();
    sequence.iter_mut().for_each(|(gate, _)| *gate = gate.inverse());
}

/// A definition in a form in which two that differ by names of parameters and qubits are equal.
pub(super) fn canonical<'a>(
    body: impl Iterator<Item = &'a Word>,
    parameters: &[String],
    qubits: &[String],
) -> Vec<String> {
    let renamed = |word: &Word| match word {
        Word::Name(name) => {
            if let Some(place) = qubits.iter().position(|q| q == name) {
                format!("qubit {place}")
            } else if let Some(place) = parameters.iter().position(|p| p == name) {
                format!("parameter {place}")
            } else {
                name.clone()
            }
        }
        Word::Integer(value) => format!("{:?}", *value as f64),
        Word::Real(value) => format!("{value:?}"),
        other => other.shown(),
    };
    body.map(renamed).collect()
}

/// The row of this name, if the table defines it by the same words.
pub(super) fn same_as_row(name: &str, form: &[String], parameters: usize, qubits: usize) -> Option<&'static GateRow> {
    let row = GATES.iter().find(|row| row.name == name)?;
    if (row.parameters.len(), row.qubits) != (parameters, qubits) || row.definition.is_empty() {
        return None;
    }
    let names: Vec<String> = row.parameters.iter().map(|&p| p.to_owned()).collect();
    let places: Vec<String> = ["a", "b", "c", "d", "e"][..row.qubits].iter().map(|&q| q.to_owned()).collect();
    let cursor = Cursor::new(row.definition).ok()?;
    (canonical(cursor.words(), &names, &places) == form).then_some(row)
}

/// That a gate is not known, and what may help.
pub(super) fn undefined(name: &str, at: Position, library: bool) -> crate::error::Error {
    let known = !library && crate::circuit::table::gate_named(name).is_some();
    let hint = if known { "; include \"qelib1.inc\"" } else { "; a gate is defined before it is used" };
    at.error(format!("undefined gate '{}'{hint}", quoted(name)))
}

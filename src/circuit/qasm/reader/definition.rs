//! Definitions of gates.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{MAX_NAMES, Reader, names};
use crate::circuit::qasm::call::{Definition, Target, canonical, same_as_row};
use crate::circuit::qasm::expression::Expression;
use crate::circuit::qasm::lexer::Cursor;
use crate::circuit::table::gate_named;
use crate::error::{Result, quoted};

impl Reader<'_, '_> {
    pub(super) fn definition(&mut self, cursor: &mut Cursor) -> Result<()> {
        let opaque = cursor.is_name("opaque");
        cursor.take();
        let at = cursor.at();
        let name = cursor.name("the name of a gate")?;
        let mut parameters = Vec::new();
        if cursor.accept("(") && !cursor.accept(")") {
            parameters = names(cursor, "a parameter")?;
            cursor.expect(")")?;
        }
        let qubits = names(cursor, "a qubit")?;
        if parameters.len().max(qubits.len()) > MAX_NAMES {
            return Err(at.error(format!("gate {name} has more than {MAX_NAMES} parameters or qubits")));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = parameters.iter().chain(&qubits).find(|n| !seen.insert(n.as_str())) {
            return Err(at.error(format!("gate {name} has '{}' twice", quoted(twice))));
        }
        let mut body = Vec::new();
        let mut form = Vec::new();
        if opaque {
            cursor.expect(";")?;
        } else {
            cursor.expect("{")?;
            let start = cursor.next;
            while !cursor.is("}") {
                self.step(cursor.at())?;
                let barrier = cursor.is_name("barrier");
                let call = if barrier {
                    cursor.take();
                    None
                } else {
                    Some(self.call(cursor, Some(&name))?)
                };
                let places_at = cursor.at();
                let on = match &call {
                    Some(call) if call.qubits() == 0 => Vec::new(),
                    _ if cursor.is(";") => Vec::new(),
                    _ => names(cursor, "a qubit")?,
                };
                cursor.expect(";")?;
                let mut places = Vec::new();
                for qubit in &on {
                    let place = qubits.iter().position(|q| q == qubit);
                    let what = || format!("gate {name} has no qubit '{}'", quoted(qubit));
                    let place = place.ok_or_else(|| places_at.error(what()))?;
                    if !barrier && places.contains(&place) {
                        return Err(places_at.error(format!("a gate takes qubit '{}' twice", quoted(qubit))));
                    }
                    places.push(place);
                }
                // A barrier changes nothing, and the gate is expanded anyway.
                let Some(call) = call else { continue };
                if call.qubits() != places.len() {
                    let what =
                        format!("gate {} acts on {} qubits, {} are given", call.name, call.qubits(), places.len());
                    return Err(call.at.error(what));
                }
                for argument in &call.arguments {
                    // Names are checked where they stand, with any value.
                    let known = |n: &str| parameters.iter().any(|p| p == n) || self.constants.contains_key(n);
                    check_names(argument, &known).map_err(|why| call.at.error(why))?;
                }
                body.push((call, places));
            }
            if gate_named(&name).is_some() {
                form = canonical(cursor.since(start), &parameters, &qubits);
            }
            cursor.expect("}")?;
        }
        let target = match same_as_row(&name, &form, parameters.len(), qubits.len()) {
            Some(row) => Target::Row(row),
            None => {
                let definition = Definition::new(parameters, qubits.len(), body, opaque);
                Target::Defined(Rc::new(definition.map_err(|why| at.error(why))?))
            }
        };
        self.definitions.insert(name, target);
        Ok(())
    }
}

fn check_names(expression: &Expression, known: &dyn Fn(&str) -> bool) -> Result<(), String> {
    match expression {
        Expression::Number(_) => Ok(()),
        Expression::Name(name) => {
            let constant = matches!(name.as_str(), "pi" | "π" | "tau" | "τ" | "euler" | "ℇ");
            if constant || known(name) { Ok(()) } else { Err(format!("undefined parameter '{}'", quoted(name))) }
        }
        Expression::Negated(inner) | Expression::Call(_, inner) => check_names(inner, known),
        Expression::Binary(_, left, right) => check_names(left, known).and_then(|()| check_names(right, known)),
    }
}

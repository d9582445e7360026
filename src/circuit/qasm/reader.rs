//! Statements to a circuit.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::call::{Call, Definition, Modifier, Target, canonical, same_as_row, undefined};
use super::expression::Expression;
use super::lexer::{Cursor, Word};
use super::{Include, Position, QELIB1};
use crate::circuit::circuit::{Circuit, Condition, Instruction, MAX_INSTRUCTIONS, Operation};
use crate::circuit::parameter::Parameter;
use crate::circuit::table::gate_named;
use crate::error::{Error, Result, quoted};

/// Files, blocks and loops within each other.
const MAX_DEPTH: usize = 32;

/// Parameters, or qubits, of a gate that is defined.
const MAX_NAMES: usize = 1000;

/// Statements and instructions, loops written out: about as many again as a circuit may have.
const MAX_STEPS: usize = 2 * MAX_INSTRUCTIONS;

pub(super) fn read(text: &str, include: &mut Include<'_>) -> Result<Circuit> {
    let mut cursor = Cursor::new(text)?;
    let mut reader = Reader {
        circuit: Circuit::default(),
        definitions: HashMap::new(),
        constants: HashMap::new(),
        library: false,
        version: 2,
        steps: 0,
        depth: 0,
        condition: None,
        include,
    };
    reader.version(&mut cursor)?;
    while *cursor.peek() != Word::End {
        reader.statement(&mut cursor)?;
    }
    if reader.circuit.num_qubits() == 0 {
        return Err(cursor.at().error("the circuit has no qubits; declare a register"));
    }
    Ok(reader.circuit)
}

struct Reader<'a, 'b> {
    circuit: Circuit,
    definitions: HashMap<String, Target>,
    /// Constants, variables of loops, and inputs.
    constants: HashMap<String, Parameter>,
    library: bool,
    version: u64,
    steps: usize,
    depth: usize,
    condition: Option<Condition>,
    include: &'a mut Include<'b>,
}

/// Qubits or bits: a register or one of it.
struct Operand {
    start: usize,
    size: usize,
    whole: bool,
    at: Position,
}

impl Operand {
    fn get(&self, i: usize) -> usize {
        if self.whole { self.start + i } else { self.start }
    }
}

impl Reader<'_, '_> {
    fn version(&mut self, cursor: &mut Cursor) -> Result<()> {
        if !cursor.is_name("OPENQASM") {
            return Ok(());
        }
        cursor.take();
        let at = cursor.at();
        self.version = match cursor.take() {
            Word::Real(2.0) | Word::Integer(2) => 2,
            Word::Real(version) if (3.0..4.0).contains(&version) => 3,
            Word::Integer(3) => 3,
            other => return Err(at.error(format!("OPENQASM {}: versions 2.0 and 3 are read", other.shown()))),
        };
        cursor.expect(";")
    }

    fn step(&mut self, at: Position) -> Result<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(at.error(format!("more than {MAX_STEPS} statements, loops written out")));
        }
        Ok(())
    }

    fn deeper(&mut self, at: Position) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(at.error(format!("files, blocks or loops more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn statement(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.at();
        self.step(at)?;
        let name = match cursor.peek() {
            Word::Name(name) => name.clone(),
            Word::Symbol(";") => {
                cursor.take();
                return Ok(());
            }
            other => return Err(at.error(format!("expected a statement, found {}", other.shown()))),
        };
        let three = self.version == 3;
        match name.as_str() {
            "OPENQASM" => Err(at.error("the version stands in the first statement, once")),
            "include" => self.included(cursor),
            "qreg" | "creg" => self.register(cursor),
            "qubit" | "bit" if three => self.typed_register(cursor),
            "gate" | "opaque" => self.definition(cursor),
            "barrier" => self.barrier(cursor),
            "measure" => self.measure_to(cursor),
            "reset" => self.reset(cursor),
            "if" => self.conditional(cursor),
            "for" if three => self.repeated(cursor),
            "const" | "input" if three => self.constant(cursor),
            "def" | "while" | "let" | "cal" | "defcal" | "extern" | "output" | "box" | "delay" | "int" | "uint"
            | "float" | "angle" | "bool" | "complex" | "duration" | "stretch" | "return" | "switch" | "else"
                if three =>
            {
                Err(at.error(format!("'{name}' is a part of OpenQASM 3 that is not read here")))
            }
            _ if self.is_bits(&name) && matches!(cursor.second(), Word::Symbol("=" | "[")) => self.assigned(cursor),
            _ => self.gates(cursor),
        }
    }

    fn included(&mut self, cursor: &mut Cursor) -> Result<()> {
        cursor.take();
        let at = cursor.at();
        let name = match cursor.take() {
            Word::Text(name) => name,
            other => return Err(at.error(format!("expected the name of a file in quotes, found {}", other.shown()))),
        };
        cursor.expect(";")?;
        let text = match name.as_str() {
            "qelib1.inc" | "stdgates.inc" => {
                if self.library {
                    return Ok(());
                }
                self.library = true;
                QELIB1.to_owned()
            }
            _ => (self.include)(&name).map_err(|e| at.place(e))?,
        };
        self.deeper(at)?;
        // A file that includes itself twice would be read without bound.
        self.steps = self.steps.saturating_add(text.len() / 16);
        self.step(at)?;
        // Its errors have places in that file.
        let named = |e: Error| at.error(format!("in the included '{}': {e}", quoted(&name)));
        let mut inner = Cursor::new(&text).map_err(named)?;
        if inner.is_name("OPENQASM") {
            inner.take();
            inner.take();
            inner.expect(";").map_err(named)?;
        }
        while *inner.peek() != Word::End {
            self.statement(&mut inner).map_err(named)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn add_register(&mut self, quantum: bool, name: &str, size: usize, at: Position) -> Result<()> {
        if self.constants.contains_key(name) {
            return Err(at.error(format!("'{}' is declared twice", quoted(name))));
        }
        let added = if quantum { self.circuit.add_qubits(name, size) } else { self.circuit.add_bits(name, size) };
        added.map_err(|e| at.place(e))
    }

    fn register(&mut self, cursor: &mut Cursor) -> Result<()> {
        let quantum = cursor.is_name("qreg");
        cursor.take();
        let at = cursor.at();
        let name = cursor.name("the name of a register")?;
        cursor.expect("[")?;
        let size = self.integer(cursor)?;
        cursor.expect("]")?;
        cursor.expect(";")?;
        self.add_register(quantum, &name, size, at)
    }

    fn typed_register(&mut self, cursor: &mut Cursor) -> Result<()> {
        let quantum = cursor.is_name("qubit");
        cursor.take();
        let mut size = 1;
        if cursor.accept("[") {
            size = self.integer(cursor)?;
            cursor.expect("]")?;
        }
        let (at, start) = (cursor.at(), cursor.next);
        let name = cursor.name("the name of a register")?;
        self.add_register(quantum, &name, size, at)?;
        if !quantum && cursor.is("=") {
            cursor.next = start;
            return self.assigned(cursor);
        }
        cursor.expect(";")
    }

    /// A value that is known now.
    fn value(&self, cursor: &mut Cursor) -> Result<Parameter> {
        let at = cursor.at();
        let expression = Expression::read(cursor)?;
        expression.value(&|name| self.constants.get(name).cloned()).map_err(|why| at.error(why))
    }

    fn signed(&self, cursor: &mut Cursor) -> Result<i64> {
        let at = cursor.at();
        let value = self.value(cursor)?;
        match value.value() {
            Some(x) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(x as i64),
            _ => Err(at.error(format!("expected an integer, found {value}"))),
        }
    }

    fn integer(&self, cursor: &mut Cursor) -> Result<usize> {
        let at = cursor.at();
        let value = self.signed(cursor)?;
        usize::try_from(value).map_err(|_| at.error(format!("expected an integer from 0, found {value}")))
    }

    fn is_bits(&self, name: &str) -> bool {
        self.circuit.bit_registers().iter().any(|r| r.name == name)
    }

    fn operand(&self, cursor: &mut Cursor, quantum: bool) -> Result<Operand> {
        let at = cursor.at();
        let what = if quantum { "qubits" } else { "classical bits" };
        let name = cursor.name(&format!("{what} of a register"))?;
        let registers = if quantum { self.circuit.qubit_registers() } else { self.circuit.bit_registers() };
        let Some(register) = registers.iter().find(|r| r.name == name) else {
            return Err(at.error(format!("no register '{}' of {what}", quoted(&name))));
        };
        let (start, size) = (register.start, register.size);
        if !cursor.accept("[") {
            return Ok(Operand { start, size, whole: true, at });
        }
        let index = self.integer(cursor)?;
        cursor.expect("]")?;
        if index >= size {
            return Err(at.error(format!("{name}[{index}] is outside: {name} has {size} {what}")));
        }
        Ok(Operand { start: start + index, size: 1, whole: false, at })
    }

    fn operands(&self, cursor: &mut Cursor) -> Result<Vec<Operand>> {
        let mut list = vec![self.operand(cursor, true)?];
        while cursor.accept(",") {
            list.push(self.operand(cursor, true)?);
        }
        Ok(list)
    }

    fn add(&mut self, operation: Operation, at: Position) -> Result<()> {
        self.step(at)?;
        self.circuit.push(Instruction { operation, condition: self.condition }).map_err(|e| at.place(e))?;
        Ok(())
    }

    fn barrier(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.at();
        cursor.take();
        let list = if self.version == 3 && cursor.is(";") { Vec::new() } else { self.operands(cursor)? };
        cursor.expect(";")?;
        let mut qubits: Vec<usize> = list.iter().flat_map(|o| o.start..o.start + o.size).collect();
        if list.is_empty() {
            qubits = (0..self.circuit.num_qubits()).collect();
        }
        self.steps = self.steps.saturating_add(qubits.len());
        self.add(Operation::Barrier { qubits }, at)
    }

    fn reset(&mut self, cursor: &mut Cursor) -> Result<()> {
        cursor.take();
        let operand = self.operand(cursor, true)?;
        cursor.expect(";")?;
        (operand.start..operand.start + operand.size)
            .try_for_each(|qubit| self.add(Operation::Reset { qubit }, operand.at))
    }

    fn measure_to(&mut self, cursor: &mut Cursor) -> Result<()> {
        cursor.take();
        let qubits = self.operand(cursor, true)?;
        cursor.expect("->")?;
        let bits = self.operand(cursor, false)?;
        cursor.expect(";")?;
        self.measure(&qubits, &bits)
    }

    fn assigned(&mut self, cursor: &mut Cursor) -> Result<()> {
        let bits = self.operand(cursor, false)?;
        cursor.expect("=")?;
        let at = cursor.at();
        if !cursor.is_name("measure") {
            return Err(at.error(format!("expected 'measure', found {}", cursor.peek().shown())));
        }
        cursor.take();
        let qubits = self.operand(cursor, true)?;
        cursor.expect(";")?;
        self.measure(&qubits, &bits)
    }

    fn measure(&mut self, qubits: &Operand, bits: &Operand) -> Result<()> {
        if qubits.size != bits.size {
            let what = format!("{} qubits measured into {} classical bits", qubits.size, bits.size);
            return Err(qubits.at.error(what));
        }
        (0..qubits.size)
            .try_for_each(|i| self.add(Operation::Measure { qubit: qubits.start + i, bit: bits.start + i }, qubits.at))
    }

    fn conditional(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.at();
        cursor.take();
        if self.condition.is_some() {
            return Err(at.error("an if within an if is not read here"));
        }
        cursor.expect("(")?;
        let negated = self.version == 3 && cursor.accept("!");
        let bits = self.operand(cursor, false)?;
        let value = if cursor.accept("==") {
            let at = cursor.at();
            match cursor.take() {
                Word::Integer(value) => value,
                Word::Name(name) if self.version == 3 && name == "true" => 1,
                Word::Name(name) if self.version == 3 && name == "false" => 0,
                Word::Name(name) if self.constants.contains_key(&name) => {
                    cursor.next -= 1;
                    self.integer(cursor)? as u64
                }
                other => return Err(at.error(format!("expected an integer, found {}", other.shown()))),
            }
        } else if self.version == 3 && bits.size == 1 {
            1
        } else {
            return Err(cursor.at().error(format!("expected '==', found {}", cursor.peek().shown())));
        };
        if negated && bits.size > 1 {
            return Err(at.error("'!' before more than one bit"));
        }
        cursor.expect(")")?;
        let value = if negated { u64::from(value == 0) } else { value };
        self.condition = Some(Condition { start: bits.start, size: bits.size, value });
        let allowed = ["measure", "reset", "barrier", "for"];
        let done = match cursor.peek() {
            Word::Symbol("{") if self.version == 3 => self.block(cursor),
            Word::Name(name) if self.version == 2 && !allowed.contains(&name.as_str()) => self.gates(cursor),
            _ => self.statement(cursor),
        };
        self.condition = None;
        done?;
        if self.version == 3 && cursor.is_name("else") {
            return Err(cursor.at().error("'else' is not read here; write a second if"));
        }
        Ok(())
    }

    fn block(&mut self, cursor: &mut Cursor) -> Result<()> {
        self.deeper(cursor.at())?;
        cursor.expect("{")?;
        while !cursor.accept("}") {
            self.statement(cursor)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// `const int n = 4;`, `input float[64] theta;`
    fn constant(&mut self, cursor: &mut Cursor) -> Result<()> {
        let input = cursor.is_name("input");
        cursor.take();
        let at = cursor.at();
        let kind = cursor.name("a type")?;
        if !["int", "uint", "float", "angle"].contains(&kind.as_str()) {
            return Err(
                at.error(format!("a constant of type '{}': int, uint, float and angle are read", quoted(&kind)))
            );
        }
        if cursor.accept("[") {
            self.integer(cursor)?;
            cursor.expect("]")?;
        }
        let at = cursor.at();
        let name = cursor.name("a name")?;
        let taken = self.constants.contains_key(&name)
            || self.circuit.qubit_registers().iter().chain(self.circuit.bit_registers()).any(|r| r.name == name);
        if taken {
            return Err(at.error(format!("'{}' is declared twice", quoted(&name))));
        }
        let value = if input {
            Parameter::symbol(name.clone())
        } else {
            cursor.expect("=")?;
            self.value(cursor)?
        };
        cursor.expect(";")?;
        self.constants.insert(name, value);
        Ok(())
    }

    /// `for int i in [0:3] { .. }`, `for i in {1, 2} ..`
    fn repeated(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.at();
        cursor.take();
        if matches!(cursor.second(), Word::Name(_) | Word::Symbol("["))
            && !matches!(cursor.second(), Word::Name(n) if n == "in")
        {
            cursor.take();
            if cursor.accept("[") {
                self.integer(cursor)?;
                cursor.expect("]")?;
            }
        }
        let named_at = cursor.at();
        let name = cursor.name("a variable")?;
        if self.constants.contains_key(&name) {
            return Err(named_at.error(format!("'{}' is declared already", quoted(&name))));
        }
        if !cursor.is_name("in") {
            return Err(cursor.at().error(format!("expected 'in', found {}", cursor.peek().shown())));
        }
        cursor.take();
        let mut values = Vec::new();
        if cursor.accept("[") {
            let first = self.signed(cursor)?;
            cursor.expect(":")?;
            let (mut step, mut last) = (1, self.signed(cursor)?);
            if cursor.accept(":") {
                (step, last) = (last, self.signed(cursor)?);
            }
            cursor.expect("]")?;
            if step == 0 {
                return Err(at.error("a range with step 0"));
            }
            let count = (last - first)
                .checked_div(step)
                .map_or(0, |n| if (last - first).signum() * step.signum() < 0 { 0 } else { n + 1 });
            if count > MAX_STEPS as i64 {
                return Err(at.error(format!("a loop of {count} turns: at most {MAX_STEPS}")));
            }
            values.extend((0..count).map(|i| (first + i * step) as f64));
        } else {
            cursor.expect("{")?;
            loop {
                values.push(self.signed(cursor)? as f64);
                if !cursor.accept(",") {
                    break;
                }
            }
            cursor.expect("}")?;
        }
        self.deeper(at)?;
        let (start, mut end) = (cursor.next, None);
        for value in values {
            self.step(at)?;
            self.constants.insert(name.clone(), value.into());
            cursor.next = start;
            if cursor.is("{") {
                self.block(cursor)?
            } else {
                self.statement(cursor)?
            }
            end = Some(cursor.next);
        }
        self.constants.remove(&name);
        self.depth -= 1;
        if end.is_none() {
            skip(cursor)?;
        }
        Ok(())
    }

    /// A gate up to its qubits.
    fn call(&self, cursor: &mut Cursor) -> Result<Call> {
        let mut modifiers = Vec::new();
        let mut at = cursor.at();
        let mut name = cursor.name("a gate")?;
        while self.version == 3 && matches!(name.as_str(), "ctrl" | "negctrl" | "inv" | "pow") {
            let mut count = None;
            if cursor.accept("(") {
                count = Some(self.signed(cursor)?);
                cursor.expect(")")?;
            }
            cursor.expect("@")?;
            modifiers.push(match (name.as_str(), count) {
                ("inv", None) => Modifier::Inverse,
                ("pow", Some(k)) => Modifier::Power(k),
                ("ctrl" | "negctrl", count) => match count.unwrap_or(1) {
                    k @ 1..=64 => Modifier::Controls(vec![name == "ctrl"; k as usize]),
                    k => return Err(at.error(format!("{name}({k}): give 1 to 64"))),
                },
                _ => return Err(at.error(format!("'{name}' with a wrong argument"))),
            });
            if modifiers.len() > MAX_DEPTH {
                return Err(at.error(format!("more than {MAX_DEPTH} modifiers of one gate")));
            }
            at = cursor.at();
            name = cursor.name("a gate")?;
        }
        let built_in = matches!(name.as_str(), "U" | "CX") || (self.version == 3 && name == "gphase");
        let row = || (built_in || self.library).then(|| gate_named(&name)).flatten();
        let target = match self.definitions.get(&name) {
            Some(target) => target.clone(),
            None => Target::Row(row().ok_or_else(|| undefined(&name, at, self.library))?),
        };
        let mut arguments = Vec::new();
        if cursor.accept("(") && !cursor.accept(")") {
            loop {
                arguments.push(Expression::read(cursor)?);
                if !cursor.accept(",") {
                    break;
                }
            }
            cursor.expect(")")?;
        }
        let call = Call { name, modifiers, target, arguments, at };
        call.check()?;
        Ok(call)
    }

    fn gates(&mut self, cursor: &mut Cursor) -> Result<()> {
        let call = self.call(cursor)?;
        let operands = if call.qubits() == 0 && cursor.is(";") { Vec::new() } else { self.operands(cursor)? };
        cursor.expect(";")?;
        if operands.len() != call.qubits() {
            let what = format!("gate {} acts on {} qubits, {} are given", call.name, call.qubits(), operands.len());
            return Err(call.at.error(what));
        }
        let mut turns = None;
        for operand in operands.iter().filter(|o| o.whole) {
            if *turns.get_or_insert(operand.size) != operand.size {
                let what = format!("gate {} on registers of unlike sizes", call.name);
                return Err(operand.at.error(what));
            }
        }
        for turn in 0..turns.unwrap_or(1) {
            let qubits: Vec<usize> = operands.iter().map(|o| o.get(turn)).collect();
            let mut sorted = qubits.clone();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let what = format!("gate {} takes qubit {} twice", call.name, self.circuit.qubit_name(pair[0]));
                return Err(call.at.error(what));
            }
            let constants = &self.constants;
            let sequence = call.expand(&qubits, &|name| constants.get(name).cloned())?;
            self.steps = self.steps.saturating_add(call.size());
            self.step(call.at)?;
            for (gate, on) in sequence {
                let operation = Operation::Gate { gate, qubits: on };
                let condition = self.condition;
                self.circuit.push(Instruction { operation, condition }).map_err(|e| call.at.place(e))?;
            }
        }
        Ok(())
    }

    fn definition(&mut self, cursor: &mut Cursor) -> Result<()> {
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
                    Some(self.call(cursor)?)
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

fn names(cursor: &mut Cursor, what: &str) -> Result<Vec<String>> {
    let mut list = vec![cursor.name(what)?];
    while cursor.accept(",") {
        list.push(cursor.name(what)?);
    }
    Ok(list)
}

/// Passes a statement or a block without doing it.
fn skip(cursor: &mut Cursor) -> Result<()> {
    let mut depth = 0_usize;
    loop {
        let at = cursor.at();
        match cursor.take() {
            Word::Symbol("{") => depth += 1,
            Word::Symbol("}") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(());
                }
            }
            Word::Symbol(";") if depth == 0 => return Ok(()),
            Word::End => return Err(at.error("the loop has no end")),
            _ => {}
        }
    }
}

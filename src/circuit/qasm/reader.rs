//! Statements to a circuit.

mod definition;
mod flow;

use std::collections::HashMap;

use super::call::{Call, Modifier, Target, undefined};
use super::expression::Expression;
use super::lexer::{Cursor, Word};
use super::{Include, Position, QELIB1};
use crate::circuit::circuit::{Circuit, MAX_INSTRUCTIONS};
use crate::circuit::instruction::{Condition, Instruction, Operation};
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

    /// A gate up to its qubits, which may stand in the definition of another one.
    fn call(&self, cursor: &mut Cursor, within: Option<&str>) -> Result<Call> {
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
            None if within == Some(&name) && row().is_none() => {
                return Err(at.error(format!("gate '{}' takes itself in its own definition", quoted(&name))));
            }
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
        let call = self.call(cursor, None)?;
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
}

fn names(cursor: &mut Cursor, what: &str) -> Result<Vec<String>> {
    let mut list = vec![cursor.name(what)?];
    while cursor.accept(",") {
        list.push(cursor.name(what)?);
    }
    Ok(list)
}

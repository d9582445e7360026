//! Conditions, loops and constants.

use super::{MAX_STEPS, Reader};
use crate::circuit::instruction::Condition;
use crate::circuit::parameter::Parameter;
use crate::circuit::qasm::lexer::{Cursor, Word};
use crate::error::{Result, quoted};

impl Reader<'_, '_> {
    pub(super) fn conditional(&mut self, cursor: &mut Cursor) -> Result<()> {
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
    pub(super) fn constant(&mut self, cursor: &mut Cursor) -> Result<()> {
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
    pub(super) fn repeated(&mut self, cursor: &mut Cursor) -> Result<()> {
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

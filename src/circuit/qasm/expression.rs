//! Arithmetic of parameters.

use super::lexer::{Cursor, Word};
use crate::circuit::parameter::Parameter;
use crate::error::{Result, quoted};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

#[derive(Debug, Clone)]
pub(super) enum Expression {
    Number(f64),
    Name(String),
    Negated(Box<Expression>),
    Call(Function, Box<Expression>),
    Binary(Binary, Box<Expression>, Box<Expression>),
}

/// Brackets, signs and powers within each other, and parts in all: neither reading nor evaluation goes deeper.
const MAX_DEPTH: usize = 100;
const MAX_PARTS: usize = 1000;

type Function = fn(f64) -> f64;

const FUNCTIONS: [(&str, Function); 11] = [
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("log", f64::ln),
    ("sqrt", f64::sqrt),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("arctan", f64::atan),
];

impl Expression {
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self> {
        Reading { depth: 0, parts: 0 }.sum(cursor)
    }

    /// Its value where `names` gives those of the names in it; the fault otherwise.
    pub(super) fn value(&self, names: &dyn Fn(&str) -> Option<Parameter>) -> Result<Parameter, String> {
        let value = match self {
            Expression::Number(value) => Parameter::from(*value),
            Expression::Name(name) => match name.as_str() {
                "pi" | "π" => std::f64::consts::PI.into(),
                "tau" | "τ" => std::f64::consts::TAU.into(),
                "euler" | "ℇ" => std::f64::consts::E.into(),
                _ => names(name).ok_or_else(|| format!("undefined parameter '{}'", quoted(name)))?,
            },
            Expression::Negated(inner) => -inner.value(names)?,
            Expression::Call(function, inner) => {
                let inner = inner.value(names)?;
                let inner = inner.value().ok_or_else(|| not_affine(&inner))?;
                function(inner).into()
            }
            Expression::Binary(operation, left, right) => {
                let (left, right) = (left.value(names)?, right.value(names)?);
                match (operation, left.value(), right.value()) {
                    (Binary::Add, ..) => left + right,
                    (Binary::Subtract, ..) => left - right,
                    (Binary::Multiply, _, Some(factor)) => left * factor,
                    (Binary::Multiply, Some(factor), None) => right * factor,
                    (Binary::Divide, Some(left), Some(divisor)) => (left / divisor).into(),
                    (Binary::Divide, None, Some(divisor)) => left * (1.0 / divisor),
                    (Binary::Power, Some(base), Some(exponent)) => base.powf(exponent).into(),
                    _ => return Err(not_affine(if left.value().is_none() { &left } else { &right })),
                }
            }
        };
        let finite = value.constant().is_finite() && value.terms().all(|(_, factor)| factor.is_finite());
        if finite { Ok(value) } else { Err("the expression is not finite (a division by zero, or too large)".into()) }
    }
}

fn not_affine(parameter: &Parameter) -> String {
    format!("the expression is not affine in the symbols of {parameter}; bind them to numbers, or compute it before")
}

struct Reading {
    depth: usize,
    parts: usize,
}

impl Reading {
    fn part(&mut self, cursor: &Cursor) -> Result<()> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(cursor.at().error(format!("expression of more than {MAX_PARTS} parts")));
        }
        Ok(())
    }

    fn sum(&mut self, cursor: &mut Cursor) -> Result<Expression> {
        let mut left = self.product(cursor)?;
        loop {
            let operation = match cursor.peek() {
                Word::Symbol("+") => Binary::Add,
                Word::Symbol("-") => Binary::Subtract,
                _ => return Ok(left),
            };
            cursor.take();
            left = Expression::Binary(operation, Box::new(left), Box::new(self.product(cursor)?));
        }
    }

    fn product(&mut self, cursor: &mut Cursor) -> Result<Expression> {
        let mut left = self.signed(cursor)?;
        loop {
            let operation = match cursor.peek() {
                Word::Symbol("*") => Binary::Multiply,
                Word::Symbol("/") => Binary::Divide,
                _ => return Ok(left),
            };
            cursor.take();
            left = Expression::Binary(operation, Box::new(left), Box::new(self.signed(cursor)?));
        }
    }

    /// `-a^b` is `-(a^b)`, and `a^-b` is read too.
    fn signed(&mut self, cursor: &mut Cursor) -> Result<Expression> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(cursor.at().error(format!("expression nested more than {MAX_DEPTH} deep")));
        }
        let result = if cursor.accept("-") {
            Expression::Negated(Box::new(self.signed(cursor)?))
        } else if cursor.accept("+") {
            self.signed(cursor)?
        } else {
            let base = self.atom(cursor)?;
            if cursor.accept("^") || cursor.accept("**") {
                Expression::Binary(Binary::Power, Box::new(base), Box::new(self.signed(cursor)?))
            } else {
                base
            }
        };
        self.depth -= 1;
        Ok(result)
    }

    fn atom(&mut self, cursor: &mut Cursor) -> Result<Expression> {
        self.part(cursor)?;
        let at = cursor.at();
        match cursor.take() {
            Word::Integer(value) => Ok(Expression::Number(value as f64)),
            Word::Real(value) => Ok(Expression::Number(value)),
            Word::Name(name) if cursor.is("(") => {
                let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
                    return Err(at.error(format!("undefined function '{}'", quoted(&name))));
                };
                cursor.take();
                let inner = self.sum(cursor)?;
                cursor.expect(")")?;
                Ok(Expression::Call(*function, Box::new(inner)))
            }
            Word::Name(name) => Ok(Expression::Name(name)),
            Word::Symbol("(") => {
                let inner = self.sum(cursor)?;
                cursor.expect(")")?;
                Ok(inner)
            }
            other => Err(at.error(format!("expected a number, found {}", other.shown()))),
        }
    }
}

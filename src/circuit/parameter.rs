//! Parameters of gates: numbers, or affine expressions of named symbols.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use crate::error::{Error, Result};

/// `constant + sum of factor * symbol`, in radians where a gate takes an angle.
///
/// ```
/// use ansatz::circuit::Parameter;
/// let angle = Parameter::symbol("a") * 2.0 + 0.5;
/// assert_eq!(angle.to_string(), "2*a + 0.5");
/// assert_eq!(angle.value(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameter {
    terms: BTreeMap<String, f64>,
    constant: f64,
}

/// That a symbol stands where a number is needed.
pub(super) fn without_value(name: &str) -> Error {
    Error::Circuit { what: format!("parameter {name} has no value; give one (Circuit::bind, --bind {name}=0.5)") }
}

impl Parameter {
    /// A symbol, to be bound later ([`super::Circuit::bind`]).
    #[must_use]
    pub fn symbol(name: impl Into<String>) -> Self {
        Parameter { terms: BTreeMap::from([(name.into(), 1.0)]), constant: 0.0 }
    }

    /// The number, if there is no symbol in it.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// The symbols with their factors, by name.
    pub fn terms(&self) -> impl Iterator<Item = (&str, f64)> {
        self.terms.iter().map(|(name, &factor)| (name.as_str(), factor))
    }

    /// What is added to the symbols.
    #[must_use]
    pub fn constant(&self) -> f64 {
        self.constant
    }

    /// With numbers in the place of symbols; those that `values` does not know stay.
    #[must_use]
    pub fn bind(&self, values: &BTreeMap<String, f64>) -> Self {
        let mut bound = Parameter::from(self.constant);
        for (name, &factor) in &self.terms {
            match values.get(name) {
                Some(value) => bound.constant += factor * value,
                None => {
                    bound.terms.insert(name.clone(), factor);
                }
            }
        }
        bound
    }

    /// The number.
    ///
    /// # Errors
    /// [`Error::Circuit`] that names a symbol without a value, [`Error::NotFinite`].
    pub fn number(&self) -> Result<f64> {
        if let Some(name) = self.terms.keys().next() {
            return Err(without_value(name));
        }
        if !self.constant.is_finite() {
            return Err(Error::NotFinite { what: "parameter of a gate".into() });
        }
        Ok(self.constant)
    }
}

impl From<f64> for Parameter {
    fn from(constant: f64) -> Self {
        Parameter { terms: BTreeMap::new(), constant }
    }
}

impl Add for Parameter {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self.constant += other.constant;
        for (name, factor) in other.terms {
            let sum = self.terms.get(&name).copied().unwrap_or(0.0) + factor;
            if sum == 0.0 {
                self.terms.remove(&name);
            } else {
                self.terms.insert(name, sum);
            }
        }
        self
    }
}

impl Add<f64> for Parameter {
    type Output = Self;
    fn add(self, constant: f64) -> Self {
        Parameter { constant: self.constant + constant, ..self }
    }
}

impl Mul<f64> for Parameter {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        let terms = self.terms.into_iter().map(|(name, f)| (name, f * factor)).filter(|(_, f)| *f != 0.0).collect();
        Parameter { terms, constant: self.constant * factor }
    }
}

impl Neg for Parameter {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Sub for Parameter {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut sign = |f: &mut fmt::Formatter<'_>, negative: bool| -> fmt::Result {
            let text = match (first, negative) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            };
            first = false;
            f.write_str(text)
        };
        for (name, factor) in &self.terms {
            sign(f, *factor < 0.0)?;
            if factor.abs() == 1.0 { f.write_str(name)? } else { write!(f, "{}*{name}", real(factor.abs()))? }
        }
        if self.constant != 0.0 || self.terms.is_empty() {
            sign(f, self.constant < 0.0)?;
            f.write_str(&real(self.constant.abs()))?;
        }
        Ok(())
    }
}

/// A number that OpenQASM takes for a real one, without loss.
fn real(x: f64) -> String {
    let text = format!("{x:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text.strip_suffix(".0").map_or(text.clone(), str::to_owned),
    }
}

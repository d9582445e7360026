//! Observables: weighted sums of products of Pauli operators.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};
use std::str::FromStr;

use num_complex::Complex64;

use crate::error::{Error, Result, quoted};

/// A Pauli operator other than the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pauli {
    /// X
    X,
    /// Y
    Y,
    /// Z
    Z,
}

impl Pauli {
    /// Its letter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Pauli::X => "X",
            Pauli::Y => "Y",
            Pauli::Z => "Z",
        }
    }
}

/// A product of Pauli operators by qubit; qubits left out have the identity.
pub type PauliString = BTreeMap<usize, Pauli>;

/// `sum of factor * product`, Hermitian: the factors are real.
///
/// ```
/// use ansatz::circuit::PauliSum;
/// let energy: PauliSum = "1.5*Z0 Z1 - X3 + 2".parse()?;
/// assert_eq!(energy.to_string(), "2 + 1.5*Z0 Z1 - X3");
/// assert_eq!(energy.terms().count(), 3);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PauliSum {
    terms: BTreeMap<PauliString, f64>,
}

impl PauliSum {
    /// The terms with their factors.
    pub fn terms(&self) -> impl Iterator<Item = (&PauliString, f64)> {
        self.terms.iter().map(|(string, &factor)| (string, factor))
    }

    /// One product with a factor.
    #[must_use]
    pub fn term(factor: f64, string: PauliString) -> Self {
        let mut sum = PauliSum::default();
        sum.add_term(factor, string);
        sum
    }

    /// Adds one product with a factor.
    pub fn add_term(&mut self, factor: f64, string: PauliString) {
        let total = self.terms.get(&string).copied().unwrap_or(0.0) + factor;
        if total == 0.0 {
            self.terms.remove(&string);
        } else {
            self.terms.insert(string, total);
        }
    }

    /// Qubits it needs: one more than the largest number in it.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.terms.keys().filter_map(|s| s.keys().next_back()).max().map_or(0, |q| q.saturating_add(1))
    }

    /// That no qubit is beyond the state, and every factor is finite.
    pub(super) fn check(&self, qubits: usize) -> Result<()> {
        if self.qubits() > qubits {
            let what = format!("observable on qubit {}, the circuit has {qubits}", self.qubits() - 1);
            return Err(Error::Circuit { what });
        }
        if self.terms.values().any(|f| !f.is_finite()) {
            return Err(Error::NotFinite { what: "factor of an observable".into() });
        }
        Ok(())
    }

    /// The product of two sums, where it is Hermitian.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the two do not commute, so that the product is no observable.
    pub fn times(&self, other: &Self) -> Result<Self> {
        let mut product: BTreeMap<PauliString, Complex64> = BTreeMap::new();
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                let (phase, string) = multiply(left, right);
                *product.entry(string).or_default() += phase * (a * b);
            }
        }
        let mut sum = PauliSum::default();
        let scale = product.values().map(|z| z.norm()).fold(0.0, f64::max);
        for (string, factor) in product {
            if factor.im.abs() > 1e-12 * scale {
                let what = "product of two observables that do not commute, which is none".into();
                return Err(Error::Circuit { what });
            }
            sum.add_term(factor.re, string);
        }
        Ok(sum)
    }
}

/// The product of two strings, with its phase.
fn multiply(left: &PauliString, right: &PauliString) -> (Complex64, PauliString) {
    let (mut phase, mut string) = (Complex64::ONE, left.clone());
    for (&qubit, &b) in right {
        match string.remove(&qubit) {
            None => {
                string.insert(qubit, b);
            }
            Some(a) if a == b => {}
            Some(a) => {
                use Pauli::{X, Y, Z};
                let (c, sign) = match (a, b) {
                    (X, Y) => (Z, 1.0),
                    (Y, Z) => (X, 1.0),
                    (Z, X) => (Y, 1.0),
                    (Y, X) => (Z, -1.0),
                    (Z, Y) => (X, -1.0),
                    _ => (Y, -1.0),
                };
                phase *= Complex64::new(0.0, sign);
                string.insert(qubit, c);
            }
        }
    }
    (phase, string)
}

impl Add for PauliSum {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        other.terms.into_iter().for_each(|(string, factor)| self.add_term(factor, string));
        self
    }
}

impl Mul<f64> for PauliSum {
    type Output = Self;
    fn mul(mut self, factor: f64) -> Self {
        self.terms.values_mut().for_each(|f| *f *= factor);
        self.terms.retain(|_, f| *f != 0.0);
        self
    }
}

impl Neg for PauliSum {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Sub for PauliSum {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl fmt::Display for PauliSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        for (i, (string, factor)) in self.terms.iter().enumerate() {
            let sign = match (i, *factor < 0.0) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            };
            let words: Vec<String> = string.iter().map(|(q, p)| format!("{p:?}{q}")).collect();
            let (words, size) = (words.join(" "), factor.abs());
            match (words.is_empty(), size == 1.0) {
                (true, _) => write!(f, "{sign}{size}")?,
                (false, true) => write!(f, "{sign}{words}")?,
                (false, false) => write!(f, "{sign}{size}*{words}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for PauliSum {
    type Err = Error;

    /// Terms joined by `+` and `-`; in a term numbers and `X3`, `Y0`, `Z12`, `I` with blanks or `*` between them.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |at: usize, why: &str| Error::Format {
            what: format!("observable '{}', character {}: {why}", quoted(text), at + 1),
        };
        let chars: Vec<char> = text.chars().collect();
        let (mut sum, mut at) = (PauliSum::default(), 0);
        let blank = |at: &mut usize| {
            while chars.get(*at).is_some_and(|c| c.is_whitespace()) {
                *at += 1;
            }
        };
        blank(&mut at);
        if at == chars.len() {
            return Err(Error::Empty { what: "observable".into() });
        }
        let mut first = true;
        while at < chars.len() {
            let mut sign = 1.0;
            let mut signed = false;
            while let Some(c @ ('+' | '-')) = chars.get(at) {
                if *c == '-' {
                    sign = -sign;
                }
                signed = true;
                at += 1;
                blank(&mut at);
            }
            if !first && !signed {
                return Err(wrong(at, "expected + or - between terms"));
            }
            first = false;
            let (mut factor, mut string, mut phase, mut words) = (sign, PauliString::new(), Complex64::ONE, 0);
            loop {
                blank(&mut at);
                if words > 0 && chars.get(at) == Some(&'*') {
                    at += 1;
                    blank(&mut at);
                } else if matches!(chars.get(at), None | Some('+' | '-')) {
                    break;
                }
                let start = at;
                match chars.get(at) {
                    Some(c) if c.is_ascii_digit() || *c == '.' => {
                        while chars.get(at).is_some_and(|c| {
                            c.is_ascii_digit()
                                || matches!(c, '.' | 'e' | 'E')
                                || (matches!(c, '+' | '-') && matches!(chars[at - 1], 'e' | 'E'))
                        }) {
                            at += 1;
                        }
                        let number: String = chars[start..at].iter().collect();
                        let value: f64 = number.parse().map_err(|_| wrong(start, "no number"))?;
                        if !value.is_finite() {
                            return Err(wrong(start, "the number is too large"));
                        }
                        factor *= value;
                    }
                    Some(c @ ('X' | 'Y' | 'Z' | 'I')) => {
                        at += 1;
                        while chars.get(at).is_some_and(char::is_ascii_digit) {
                            at += 1;
                        }
                        let number: String = chars[start + 1..at].iter().collect();
                        let pauli = match c {
                            'X' => Some(Pauli::X),
                            'Y' => Some(Pauli::Y),
                            'Z' => Some(Pauli::Z),
                            _ => None,
                        };
                        if let Some(pauli) = pauli {
                            let qubit: usize =
                                number.parse().map_err(|_| wrong(start, "expected a qubit's number, as in Z0"))?;
                            let (turn, product) = multiply(&string, &PauliString::from([(qubit, pauli)]));
                            phase *= turn;
                            string = product;
                        }
                    }
                    _ => return Err(wrong(at, "expected a number, or X, Y, Z with the number of a qubit")),
                }
                words += 1;
            }
            if words == 0 {
                return Err(wrong(at, "expected a term"));
            }
            if phase.im != 0.0 {
                return Err(wrong(at - 1, "the term is not Hermitian: unlike operators on one qubit"));
            }
            sum.add_term(factor * phase.re, string);
        }
        Ok(sum)
    }
}

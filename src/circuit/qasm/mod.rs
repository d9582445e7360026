//! OpenQASM 2, and the common part of version 3: reading and writing.

mod call;
mod export;
mod expression;
mod lexer;
mod reader;

use super::circuit::Circuit;
use crate::error::{Error, Place, Result};

/// How the text of an included file is had, by the name in the `include`.
pub type Include<'a> = dyn FnMut(&str) -> Result<String> + 'a;

/// The part of `qelib1.inc` that the table of gates does not hold already; `include "qelib1.inc"` reads it.
pub const QELIB1: &str = include_str!("qelib1_rest.inc");

/// Bytes of text beyond which reading is refused.
const MAX_TEXT: usize = 64 << 20;

impl Circuit {
    /// Reads OpenQASM 2 or 3; `qelib1.inc` and `stdgates.inc` are built in, and no other file can be included.
    ///
    /// # Errors
    /// As [`Circuit::from_qasm_with`].
    pub fn from_qasm(text: &str) -> Result<Self> {
        Self::from_qasm_with(text, &mut |name| {
            let why = "only qelib1.inc and stdgates.inc are built in; read the circuit from a file beside it";
            Err(Error::Format { what: format!("cannot include '{}': {why}", crate::error::quoted(name)) })
        })
    }

    /// Reads OpenQASM; `include` gives the text of files other than `qelib1.inc` and `stdgates.inc`.
    ///
    /// Gate definitions are expanded, unless they say what a row of the table says. Of version 3: qubits, bits, gates with
    /// `ctrl`, `negctrl`, `inv` and integer `pow`, `gphase`, measurement, reset, barriers, `if` on a register or a bit, `for`
    /// over ranges and lists of constants, constants, and `input float` parameters, which become symbols.
    ///
    /// # Errors
    /// [`Error::Format`] at a [`Place::Text`] that tells line and column; what `include` returns.
    pub fn from_qasm_with(text: &str, include: &mut Include<'_>) -> Result<Self> {
        if text.len() > MAX_TEXT {
            return Err(Error::Format {
                what: format!("OpenQASM of {} bytes: at most {MAX_TEXT} are read", text.len()),
            });
        }
        reader::read(text, include)
    }
}

/// Where in a text, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    line: u32,
    column: u32,
}

impl Position {
    fn error(self, what: impl Into<String>) -> Error {
        self.place(Error::Format { what: what.into() })
    }

    fn place(self, error: Error) -> Error {
        error.at(Place::Text { line: self.line as usize, column: self.column as usize })
    }
}

//! One error type for the whole crate.

use std::fmt;
use std::path::PathBuf;

/// What every fallible function of the crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, with fields a program can match on.
///
/// The text of an error is one line that names the thing, the place, what was found and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// NaN or infinity where numbers were expected.
    #[error("{what}: not finite (NaN or infinity); lower the rate or rescale the input")]
    NotFinite {
        /// The tensor, matrix or file that holds the value.
        what: String,
    },
    /// Something that needs at least one element has none.
    #[error("{what} is empty; at least one element is needed")]
    Empty {
        /// The thing that is empty.
        what: String,
    },
    /// A shape that does not fit.
    #[error("{what}: found shape {found}, expected {expected}")]
    Shape {
        /// The thing whose shape is wrong.
        what: String,
        /// Its shape.
        found: String,
        /// The shape that would fit.
        expected: String,
    },
    /// Two legs that cannot be joined, or a leg that is not there.
    #[error("{what}")]
    Leg {
        /// Both legs, and why they do not fit.
        what: String,
    },
    /// A symbol outside the alphabet of its site.
    #[error(
        "symbol {found} at sample {sample}, site {site}: symbols here are below {dim}; binarise or recode the data"
    )]
    Symbol {
        /// Row of the batch, from 0.
        sample: usize,
        /// Column of the batch, from 0.
        site: usize,
        /// The symbol found.
        found: usize,
        /// The dimension of the site.
        dim: usize,
    },
    /// A setting that makes no sense.
    #[error("{name} is {found}: {expected}")]
    Setting {
        /// The option or field.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        expected: String,
    },
    /// A condition that has probability zero.
    #[error("the condition has probability zero: no configuration agrees with it from site {site} on")]
    Impossible {
        /// The first site at which no weight is left.
        site: usize,
    },
    /// A sample to which the model gives no amplitude, so that its likelihood has no gradient.
    #[error("sample {sample} has zero amplitude; start from a positive state or lower the rate")]
    ZeroAmplitude {
        /// Row of the batch, from 0.
        sample: usize,
    },
    /// Training left the region where the loss is finite, and smaller steps did not help.
    #[error("training diverged: {what}; the last good model is kept, lower the rate below {rate}")]
    Diverged {
        /// What was seen.
        what: String,
        /// The rate of the last attempt.
        rate: f64,
    },
    /// A factorisation that did not converge by any route.
    #[error("{routine} of a {rows} x {cols} matrix failed (code {code}) and so did every other route")]
    Factorisation {
        /// The routine that failed last.
        routine: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
        /// The code it returned.
        code: i64,
    },
    /// A computation that would need more memory than it may take.
    #[error("{what} needs {needed} bytes, the ceiling is {ceiling}; {way_out}")]
    Memory {
        /// The computation.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        ceiling: u64,
        /// What to change.
        way_out: String,
    },
    /// A size that a user chose and the system has no memory for.
    #[error("{what} needs {needed}, more memory than there is; {way_out}")]
    Room {
        /// What was to be made.
        what: String,
        /// How much it needs, in words.
        needed: String,
        /// What to change.
        way_out: String,
    },
    /// A tape used for what it cannot do: values of another tape, a loss that is not one number.
    #[error("{what}")]
    Tape {
        /// What was asked, and what to do in its place.
        what: String,
    },
    /// A factorisation that has no derivative for the loss at hand.
    #[error("{operation} (node {node}): {what}")]
    Gauge {
        /// The node of the tape.
        node: usize,
        /// The factorisation.
        operation: &'static str,
        /// On which choice the loss depends, and the way out.
        what: String,
    },
    /// Equal or vanishing values of a factorisation, where a derivative is a limit that cannot be written on a tape.
    #[error(
        "{operation} (node {node}): values {first} to {last} coincide or vanish, so the derivative is a limit, which \
         `gradient` and `hessian_vector` can take and a gradient on the tape cannot"
    )]
    Degenerate {
        /// The node of the tape.
        node: usize,
        /// The factorisation.
        operation: &'static str,
        /// The first of the values, from 0.
        first: usize,
        /// The last of the values.
        last: usize,
    },
    /// A circuit that makes no sense, or one that cannot be done in the way asked.
    #[error("{what}")]
    Circuit {
        /// The instruction or the register, what was found and what would do.
        what: String,
    },
    /// Text or bytes that are not of the expected format.
    #[error("{what}")]
    Format {
        /// Where, what was found, what was expected.
        what: String,
    },
    /// The operating system refused a file operation.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `write`, ...
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An error with the place at which it happened.
    #[error("{place}: {source}")]
    At {
        /// Where.
        place: Place,
        /// What.
        source: Box<Error>,
    },
}

impl Error {
    /// Adds the place at which the error happened.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Error::At { place, source: Box::new(self) }
    }

    /// The error without the places around it.
    #[must_use]
    pub fn root(&self) -> &Error {
        match self {
            Error::At { source, .. } => source.root(),
            other => other,
        }
    }

    /// A setting that makes no sense.
    pub(crate) fn setting(name: &'static str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Error::Setting { name, found: found.to_string(), expected: expected.into() }
    }

    /// A shape that does not fit.
    pub(crate) fn shape(what: impl Into<String>, found: impl fmt::Debug, expected: impl fmt::Debug) -> Self {
        Error::Shape { what: what.into(), found: format!("{found:?}"), expected: format!("{expected:?}") }
    }
}

/// Text out of a file, for an error: in one line and not too long.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(120).flat_map(char::escape_debug).collect();
    short.replace("\\\"", "\"").replace("\\'", "'")
}

/// Where an error happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The bond between sites `n` and `n + 1`.
    Bond(usize),
    /// A site, from 0.
    Site(usize),
    /// A row of a batch, from 0.
    Sample(usize),
    /// A file.
    File(PathBuf),
    /// A place in a text.
    Text {
        /// The line, from 1.
        line: usize,
        /// The character in it, from 1.
        column: usize,
    },
    /// A tensor by name.
    Tensor(String),
    /// One of several measurement records, by name.
    Record(String),
    /// A node of a tape.
    Node {
        /// Its number, from 0.
        node: usize,
        /// What it does.
        operation: &'static str,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Bond(bond) => write!(f, "bond {bond}"),
            Place::Site(site) => write!(f, "site {site}"),
            Place::Sample(sample) => write!(f, "sample {sample}"),
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Text { line, column } => write!(f, "line {line}, column {column}"),
            Place::Tensor(name) => write!(f, "tensor {name}"),
            Place::Record(name) => write!(f, "record {name}"),
            Place::Node { node, operation } => write!(f, "node {node} ({operation})"),
        }
    }
}

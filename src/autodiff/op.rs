//! The table of operations: what each is called, does, and keeps for its derivative.

use std::ops::Range;
use std::rc::Rc;

use super::decompose::{self, Spectrum};
use super::elementwise::Function;
use super::limit::Limit;
use super::segment::Segment;
use super::{reduce, solve};
use crate::error::Result;
use crate::linalg::Truncation;
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role, Tensor, contract_pairs};

/// What a node of a tape does.
///
/// A new operation is a variant here, a row in each of the functions below, and a rule in [`super::rules`].
#[derive(Clone)]
pub(super) enum Op<T: Scalar> {
    Variable,
    /// Legs in another order.
    Permute(Vec<String>),
    /// Pairs of old and new names, all changed at once.
    Rename(Vec<(String, String)>),
    WithRole(String, Role),
    Fuse {
        names: Vec<String>,
        new: String,
        role: Role,
    },
    Split {
        name: String,
        parts: Vec<Leg>,
    },
    Slice {
        name: String,
        range: Range<usize>,
    },
    Pad {
        name: String,
        start: usize,
        dim: usize,
    },
    Concat(String),
    Gather {
        name: String,
        symbols: Rc<[usize]>,
        batch: String,
    },
    Scatter {
        leg: Leg,
        symbols: Rc<[usize]>,
        batch: String,
        own: bool,
    },
    Expand(Vec<Leg>),
    SumOver(Vec<String>),
    Trace(String, String),
    Contract(Vec<(String, String)>),
    Add,
    Sub,
    Mul,
    Div,
    Scale(T),
    Function(Function),
    Conj,
    Real,
    LogSumExp(Vec<String>),
    Norm,
    /// Of a Hermitian matrix.
    Eigh {
        spectrum: Spectrum,
    },
    Svd {
        truncation: Truncation,
        spectrum: Spectrum,
    },
    /// Of a matrix with at least as many rows as columns.
    Qr,
    Solve,
    Expm,
    Segment(Rc<Segment<T>>),
}

/// Which values a rule needs.
pub(super) struct Keeps {
    pub(super) inputs: bool,
    pub(super) outputs: bool,
}

impl<T: Scalar> Op<T> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Op::Variable => "variable",
            Op::Permute(_) => "permute",
            Op::Rename(_) => "rename",
            Op::WithRole(..) => "with_role",
            Op::Fuse { .. } => "fuse",
            Op::Split { .. } => "split",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Concat(_) => "concat",
            Op::Gather { .. } => "gather",
            Op::Scatter { .. } => "scatter",
            Op::Expand(_) => "expand",
            Op::SumOver(_) => "sum_over",
            Op::Trace(..) => "trace",
            Op::Contract(_) => "contract",
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Div => "div",
            Op::Scale(_) => "scale",
            Op::Function(function) => function.name(),
            Op::Conj => "conj",
            Op::Real => "re",
            Op::LogSumExp(_) => "logsumexp",
            Op::Norm => "norm",
            Op::Eigh { .. } => "eigh",
            Op::Svd { .. } => "svd",
            Op::Qr => "qr",
            Op::Solve => "solve",
            Op::Expm => "expm",
            Op::Segment(_) => "checkpoint",
        }
    }

    pub(super) fn keeps(&self) -> Keeps {
        let (inputs, outputs) = match self {
            Op::Contract(_) | Op::Mul | Op::Expm | Op::Segment(_) => (true, false),
            Op::Variable | Op::Eigh { .. } | Op::Qr => (false, true),
            Op::Svd { .. } | Op::Div | Op::LogSumExp(_) | Op::Norm | Op::Solve => (true, true),
            Op::Function(function) => (function.keeps_input(), !function.keeps_input()),
            Op::Permute(_)
            | Op::Rename(_)
            | Op::WithRole(..)
            | Op::Fuse { .. }
            | Op::Split { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat(_)
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::Expand(_)
            | Op::SumOver(_)
            | Op::Trace(..)
            | Op::Add
            | Op::Sub
            | Op::Scale(_)
            | Op::Conj
            | Op::Real => (false, false),
        };
        Keeps { inputs, outputs }
    }

    /// Does the operation.
    pub(super) fn forward(&mut self, inputs: &[&Tensor<T>], limit: Option<&Limit>) -> Result<Vec<Tensor<T>>> {
        let one = match (&mut *self, inputs) {
            (Op::Permute(order), [a]) => a.permute(order)?,
            (Op::Rename(pairs), [a]) => renamed(a, pairs)?,
            (Op::WithRole(name, role), [a]) => a.with_role(&*name, *role)?,
            (Op::Fuse { names, new, role }, [a]) => a.fuse(names, &*new, *role)?,
            (Op::Split { name, parts }, [a]) => a.split(&*name, parts)?,
            (Op::Slice { name, range }, [a]) => a.slice(&*name, range.clone())?,
            (Op::Pad { name, start, dim }, [a]) => a.pad(&*name, *start, *dim)?,
            (Op::Concat(name), all) => Tensor::concat(all, &*name)?,
            (Op::Gather { name, symbols, batch }, [a]) => a.gather(&*name, symbols, &*batch)?,
            (Op::Scatter { leg, symbols, batch, own }, [a]) => a.scatter(leg, symbols, &*batch, *own)?,
            (Op::Expand(legs), [a]) => a.expand(legs)?,
            (Op::SumOver(names), [a]) => a.sum_over(names)?,
            (Op::Trace(first, second), [a]) => a.trace(&*first, &*second)?,
            (Op::Contract(pairs), [a, b]) => contract_pairs(a, b, pairs)?,
            (Op::Add, [a, b]) => a.zip_with(b, |x, y| x + y)?,
            (Op::Sub, [a, b]) => a.zip_with(b, |x, y| x - y)?,
            (Op::Mul, [a, b]) => a.zip_with(b, |x, y| x * y)?,
            (Op::Div, [a, b]) => reduce::sound("the quotient", b, a.zip_with(b, |x, y| x / y)?)?,
            (Op::Scale(factor), [a]) => a.scale(*factor),
            (Op::Function(function), [a]) => function.of(a)?,
            (Op::Conj, [a]) => a.conj(),
            (Op::Real, [a]) if T::IS_COMPLEX => a.map(|x| T::from_real(x.re())),
            (Op::Real, [a]) => (*a).clone(),
            (Op::LogSumExp(names), [a]) => reduce::logsumexp(a, names)?,
            (Op::Norm, [a]) => reduce::norm(a)?,
            (Op::Expm, [a]) => solve::expm(a)?,
            (Op::Solve, [a, b]) => solve::solve(a, b)?,
            (Op::Eigh { spectrum }, [a]) => return decompose::eigh(a, spectrum, limit),
            (Op::Svd { truncation, spectrum }, [a]) => return decompose::svd(a, truncation, spectrum, limit),
            (Op::Qr, [a]) => return decompose::qr(a),
            (Op::Segment(segment), all) => return segment.forward(all, limit),
            (op, _) => {
                let what = format!("{} of {} tensors", op.name(), inputs.len());
                return Err(crate::error::Error::Tape { what });
            }
        };
        Ok(vec![one])
    }
}

/// All names changed at once: by way of names that no leg has.
fn renamed<T: Scalar>(a: &Tensor<T>, pairs: &[(String, String)]) -> Result<Tensor<T>> {
    if let [(old, new)] = pairs {
        return a.rename(old, new);
    }
    let mut tensor = a.clone();
    for (i, (old, _)) in pairs.iter().enumerate() {
        tensor = tensor.rename(old, between(i))?;
    }
    for (i, (_, new)) in pairs.iter().enumerate() {
        tensor = tensor.rename(between(i), new)?;
    }
    Ok(tensor)
}

fn between(i: usize) -> String {
    format!("\u{2}{i}")
}

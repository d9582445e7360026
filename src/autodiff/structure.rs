//! Legs: joined, renamed, put together, taken apart.

use std::ops::Range;
use std::rc::Rc;

use super::op::Op;
use super::tape::Var;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role};

fn owned<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    names.iter().map(|name| name.as_ref().to_owned()).collect()
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The sum over all legs that two tensors share by name; shared legs of [`Role::Batch`] are kept.
    ///
    /// # Errors
    /// As [`contract`](crate::tensor::contract); [`Error::Tape`] for values of two tapes, here and in all that follows.
    pub fn contract(&self, other: &Self) -> Result<Self> {
        let shared = self.legs().iter().filter(|leg| leg.role() != Role::Batch && other.value.has_leg(leg));
        // A leg that is a batch on one side only is a mismatch, and has to be found as one.
        let unlike = self
            .legs()
            .iter()
            .filter(|leg| leg.role() == Role::Batch && other.value.leg(leg).is_ok_and(|found| found != *leg));
        let pairs: Vec<(&str, &str)> = shared.chain(unlike).map(|leg| (leg.name(), leg.name())).collect();
        self.contract_pairs(other, &pairs)
    }

    /// The sum over the named pairs of legs, the first of each on `self` and the second on `other`.
    ///
    /// # Errors
    /// As [`contract_pairs`](crate::tensor::contract_pairs).
    pub fn contract_pairs<S: AsRef<str>>(&self, other: &Self, pairs: &[(S, S)]) -> Result<Self> {
        let pairs = pairs.iter().map(|(a, b)| (a.as_ref().to_owned(), b.as_ref().to_owned())).collect();
        Var::one(Op::Contract(pairs), &[self, other])
    }

    /// The sum over the diagonal of two legs.
    ///
    /// # Errors
    /// As [`Tensor::trace`](crate::Tensor::trace).
    pub fn trace(&self, first: impl AsRef<str>, second: impl AsRef<str>) -> Result<Self> {
        Var::one(Op::Trace(first.as_ref().to_owned(), second.as_ref().to_owned()), &[self])
    }

    /// The legs in another order.
    ///
    /// # Errors
    /// As [`Tensor::permute`](crate::Tensor::permute).
    pub fn permute<S: AsRef<str>>(&self, order: &[S]) -> Result<Self> {
        Var::one(Op::Permute(owned(order)), &[self])
    }

    /// The same value at a place of its own on the tape.
    pub(super) fn alias(&self) -> Result<Self> {
        self.permute(self.legs())
    }

    /// Leg `old` called `new`.
    ///
    /// # Errors
    /// As [`Tensor::rename`](crate::Tensor::rename).
    pub fn rename(&self, old: impl AsRef<str>, new: impl AsRef<str>) -> Result<Self> {
        self.rename_all(&[(old, new)])
    }

    /// Several legs renamed at once; names may be exchanged.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is unknown or named twice, or a name would occur twice.
    pub fn rename_all(&self, pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<Self> {
        if pairs.is_empty() {
            return Ok(self.clone());
        }
        let pairs = pairs.iter().map(|(a, b)| (a.as_ref().to_owned(), b.as_ref().to_owned())).collect();
        Var::one(Op::Rename(pairs), &[self])
    }

    /// Another role for one leg.
    ///
    /// # Errors
    /// As [`Tensor::with_role`](crate::Tensor::with_role).
    pub fn with_role(&self, name: impl AsRef<str>, role: Role) -> Result<Self> {
        Var::one(Op::WithRole(name.as_ref().to_owned(), role), &[self])
    }

    /// Several legs as one, the last of `names` running fastest.
    ///
    /// # Errors
    /// As [`Tensor::fuse`](crate::Tensor::fuse).
    pub fn fuse<S: AsRef<str>>(&self, names: &[S], new: impl AsRef<str>, role: Role) -> Result<Self> {
        Var::one(Op::Fuse { names: owned(names), new: new.as_ref().to_owned(), role }, &[self])
    }

    /// One leg as several; none for a leg of dimension one removes it.
    ///
    /// # Errors
    /// As [`Tensor::split`](crate::Tensor::split).
    pub fn split(&self, name: impl AsRef<str>, parts: &[Leg]) -> Result<Self> {
        Var::one(Op::Split { name: name.as_ref().to_owned(), parts: parts.to_vec() }, &[self])
    }

    /// The values of a leg that lie in `range`.
    ///
    /// # Errors
    /// As [`Tensor::slice`](crate::Tensor::slice).
    pub fn slice(&self, name: impl AsRef<str>, range: Range<usize>) -> Result<Self> {
        Var::one(Op::Slice { name: name.as_ref().to_owned(), range }, &[self])
    }

    /// The slice at one value of a leg, which the result no longer has.
    ///
    /// # Errors
    /// As [`Tensor::select`](crate::Tensor::select).
    pub fn select(&self, name: impl AsRef<str>, index: usize) -> Result<Self> {
        self.slice(name.as_ref(), index..index.saturating_add(1))?.split(name, &[])
    }

    /// The tensor within zeros along a leg of `dim` values, from value `start` on.
    ///
    /// # Errors
    /// As [`Tensor::pad`](crate::Tensor::pad).
    pub fn pad(&self, name: impl AsRef<str>, start: usize, dim: usize) -> Result<Self> {
        Var::one(Op::Pad { name: name.as_ref().to_owned(), start, dim }, &[self])
    }

    /// The same elements for every value of new legs, which come first.
    ///
    /// # Errors
    /// As [`Tensor::expand`](crate::Tensor::expand).
    pub fn expand(&self, legs: &[Leg]) -> Result<Self> {
        Var::one(Op::Expand(legs.to_vec()), &[self])
    }

    /// Tensors put one after the other along a leg that all have.
    ///
    /// # Errors
    /// As [`Tensor::concat`](crate::Tensor::concat).
    pub fn concat(parts: &[&Self], name: impl AsRef<str>) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::Empty {
                what: format!("the list of tensors to be put together along '{}'", name.as_ref()),
            });
        }
        Var::one(Op::Concat(name.as_ref().to_owned()), parts)
    }

    /// Tensors of the same legs as the slices of one, along a new leg of the given role.
    ///
    /// # Errors
    /// As [`concat`](Self::concat); [`Error::Leg`] if there is a leg `name` already.
    pub fn stack(parts: &[&Self], name: impl AsRef<str>, role: Role) -> Result<Self> {
        let slices = parts.iter().map(|part| part.with_unit_leg(name.as_ref(), role)).collect::<Result<Vec<_>>>()?;
        Var::concat(&slices.iter().collect::<Vec<_>>(), name)
    }

    /// For each sample the slice at its symbol of leg `name`.
    ///
    /// # Errors
    /// As [`Tensor::gather`](crate::Tensor::gather).
    pub fn gather(&self, name: impl AsRef<str>, symbols: &[usize], batch: impl AsRef<str>) -> Result<Self> {
        let (name, batch) = (name.as_ref().to_owned(), batch.as_ref().to_owned());
        Var::one(Op::Gather { name, symbols: Rc::from(symbols), batch }, &[self])
    }

    /// Slices added at their symbols, the adjoint of [`gather`](Self::gather).
    pub(super) fn scatter(&self, leg: &Leg, symbols: &Rc<[usize]>, batch: &str, own: bool) -> Result<Self> {
        let (leg, symbols, batch) = (leg.clone(), symbols.clone(), batch.to_owned());
        Var::one(Op::Scatter { leg, symbols, batch, own }, &[self])
    }

    /// A leg of dimension one more, of the given role; it comes last.
    ///
    /// # Errors
    /// [`Error::Leg`] if there is a leg `name` already.
    pub fn with_unit_leg(&self, name: impl AsRef<str>, role: Role) -> Result<Self> {
        let none: [&str; 0] = [];
        self.fuse(&none, name, role)
    }
}

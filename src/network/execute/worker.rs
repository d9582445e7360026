//! A thread at the slices of a contraction.

use super::kernel::Memory;
use super::prepared::Prepared;
use super::sliced::Accumulator;
use crate::error::Result;
use crate::scalar::Scalar;

/// A thread at the slices.
pub(super) struct Worker<T> {
    pub work: Vec<T>,
    exponents: Vec<i64>,
    pub own: Accumulator<T>,
    slice: Vec<usize>,
    pub outcome: Result<()>,
}

impl<T: Scalar> Worker<T> {
    /// With the memory of a slice.
    pub fn new(prepared: &Prepared, work: Vec<T>, exponents: &[i64]) -> Result<Self> {
        let own = if prepared.group > 1 { prepared.part as usize } else { 0 };
        Ok(Worker {
            work,
            exponents: exponents.to_vec(),
            own: Accumulator::new(own)?,
            slice: vec![0; prepared.sliced.len()],
            outcome: Ok(()),
        })
    }

    /// The slices of one group.
    pub fn group(&mut self, prepared: &Prepared, group: u64, leaves: &[&[T]], kept: &[T]) -> Result<()> {
        let (open, inside) = (group / prepared.groups_inside(), group % prepared.groups_inside());
        let from = inside * prepared.group;
        let to = (from + prepared.group).min(prepared.inner);
        self.own.clear();
        for number in from..to {
            self.run(prepared, open * prepared.inner + number, leaves, kept)?;
            if prepared.group > 1 {
                let Worker { work, exponents, own, slice, .. } = self;
                let Some(output) = prepared.compiled.outputs.first() else { continue };
                own.add(output.source.within(leaves, kept, work, slice)?, exponents[output.value], 0);
            }
        }
        Ok(())
    }

    /// One slice by its number.
    fn run(&mut self, prepared: &Prepared, mut number: u64, leaves: &[&[T]], kept: &[T]) -> Result<()> {
        let compiled = &prepared.compiled;
        for (value, &dim) in self.slice.iter_mut().zip(&compiled.sliced).rev() {
            *value = (number % dim) as usize;
            number /= dim;
        }
        let Worker { work, exponents, slice, .. } = self;
        Memory { leaves, kept, work, slice, exponents }.slice(compiled)
    }

    /// The result of the last slice.
    pub fn result<'b>(&'b mut self, prepared: &Prepared, leaves: &[&'b [T]], kept: &'b [T]) -> Result<(&'b [T], i64)> {
        let Worker { work, exponents, slice, .. } = self;
        let Some(output) = prepared.compiled.outputs.first() else { return Ok((&[], 0)) };
        let exponent = exponents[output.value];
        Ok((output.source.within(leaves, kept, work, slice)?, exponent))
    }
}

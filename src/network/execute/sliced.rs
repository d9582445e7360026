//! The sum of the results of slices, and how far it has come.

use super::kernel;
use crate::error::{Error, Result};
use crate::memory::ask_for_large_pages;
use crate::scalar::Scalar;

/// A sum over slices that is being made: the slices are added in a fixed order, so what has been added is the first so
/// many of them. A value that can be stored (`io::save_sliced_sum`) and gone on with, to the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct SlicedSum<T: Scalar> {
    /// Of the plan, the tensors and the way they are contracted.
    pub(crate) fingerprint: u64,
    pub(crate) done: u64,
    pub(crate) slices: u64,
    pub(crate) total: Accumulator<T>,
    /// Done since the sum was begun or read from a file.
    pub(crate) multiplications: f64,
}

/// Elements times a power of two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accumulator<T> {
    pub elements: Vec<T>,
    /// `None` while nothing has been added.
    pub exponent: Option<i64>,
}

impl<T: Scalar> SlicedSum<T> {
    /// Slices that have been added.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Slices that there are.
    #[must_use]
    pub fn slices(&self) -> u64 {
        self.slices
    }

    /// Multiplications that were done for slices since the sum was begun or read from a file; what is the same in all
    /// slices is not counted.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.multiplications
    }

    /// Whether all have been added.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.slices
    }
}

impl<T: Scalar> Accumulator<T> {
    pub(super) fn new(len: usize) -> Result<Self> {
        Ok(Accumulator { elements: zeros(len)?, exponent: None })
    }

    pub(super) fn clear(&mut self) {
        self.elements.fill(T::zero());
        self.exponent = None;
    }

    /// Adds elements times `2^exponent` to those from `at` on.
    pub(super) fn add(&mut self, part: &[T], exponent: i64, at: usize) {
        let mut own = *self.exponent.get_or_insert(exponent);
        if exponent > own {
            let factor = power_of_two::<T>(own - exponent);
            self.elements.iter_mut().for_each(|x| *x *= factor);
            own = exponent;
            self.exponent = Some(own);
        }
        let factor = power_of_two::<T>(exponent - own);
        self.elements.iter_mut().skip(at).zip(part).for_each(|(x, &y)| *x += y * factor);
    }

    /// Brings the elements back into range; many slices may have been added up.
    pub(super) fn settle(&mut self) -> Result<()> {
        let power = kernel::rescale(&mut self.elements)
            .ok_or_else(|| Error::NotFinite { what: "the sum over slices of a contraction".into() })?;
        if let Some(exponent) = &mut self.exponent {
            *exponent += power;
        }
        Ok(())
    }
}

/// `2^exponent` for an exponent of at most zero; zero where that is below the range.
fn power_of_two<T: Scalar>(exponent: i64) -> T {
    T::from_f64((exponent.max(-2000) as f64).exp2())
}

/// Zeros, or an error where the system refuses the memory.
pub(super) fn zeros<T: Scalar>(len: usize) -> Result<Vec<T>> {
    let mut zeros = bytemuck::allocation::try_zeroed_vec(len).map_err(|()| Error::Memory {
        what: "the intermediates of a contraction".into(),
        needed: (len as u64).saturating_mul(T::KIND.bytes() as u64),
        ceiling: isize::MAX as u64,
        way_out: "the system refused them: slice more indices".into(),
    })?;
    ask_for_large_pages(&mut zeros);
    Ok(zeros)
}

//! The tensors of a network as a program reads them.

use super::kernel::{self, COMFORTABLE};
use super::sliced::zeros;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// Elements of tensors, in the orders that were compiled for, and powers of two by which they are to be multiplied.
pub(super) struct Leaves<'a, T> {
    plain: Vec<&'a [T]>,
    /// Those of which a copy was made: rescaled, or in another order.
    copies: Vec<(usize, Vec<T>)>,
    pub exponents: Vec<i64>,
    /// Elements of the copies.
    pub copied: u64,
}

impl<'a, T: Scalar> Leaves<'a, T> {
    /// The elements of all tensors. Copied are those whose elements are far from one, and those that do not lie in the
    /// order given, if one is; `room` is asked before a copy is made.
    ///
    /// # Errors
    /// [`Error::NotFinite`]; [`Error::Shape`] if there are not as many tensors, or one has other legs; those of `room`.
    pub fn load(
        tensors: impl IntoIterator<Item = &'a Tensor<T>>,
        orders: Option<&[Vec<Leg>]>,
        room: impl Fn(u64) -> Result<()>,
    ) -> Result<Self> {
        let mut found = Leaves { plain: Vec::new(), copies: Vec::new(), exponents: Vec::new(), copied: 0 };
        for (number, tensor) in tensors.into_iter().enumerate() {
            let memory = tensor.memory();
            let power = kernel::largest_power(memory)
                .ok_or_else(|| Error::NotFinite { what: format!("{tensor} within a contraction") })?;
            found.plain.push(memory);
            let far = power.abs() > COMFORTABLE;
            found.exponents.push(if far { i64::from(power) } else { 0 });
            let other = match orders {
                Some(orders) => reordered(number, tensor, orders.get(number))?,
                None => None,
            };
            if far || other.is_some() {
                found.copied = found.copied.saturating_add(memory.len() as u64);
                room(found.copied)?;
                let mut copy: Vec<T> = zeros(memory.len())?;
                match other {
                    Some(legs) => copy.iter_mut().zip(tensor.view_in_order(legs)?).for_each(|(x, &y)| *x = y),
                    None => copy.copy_from_slice(memory),
                }
                if far {
                    kernel::scale_down(&mut copy, power);
                }
                found.copies.push((number, copy));
            }
        }
        if let Some(orders) = orders.filter(|orders| orders.len() != found.plain.len()) {
            return Err(Error::shape("the tensors of a compiled contraction", found.plain.len(), orders.len()));
        }
        Ok(found)
    }

    pub fn slices(&'a self) -> Vec<&'a [T]> {
        let mut slices = self.plain.clone();
        self.copies.iter().for_each(|(leaf, copy)| slices[*leaf] = copy);
        slices
    }
}

/// The legs in the order asked for, if the tensor does not lie so in memory.
fn reordered<'a, T: Scalar>(
    number: usize,
    tensor: &Tensor<T>,
    order: Option<&'a Vec<Leg>>,
) -> Result<Option<&'a [Leg]>> {
    let same = |leg: &Leg, other: &Leg| leg.name() == other.name() && leg.dim() == other.dim();
    let order = order.map(Vec::as_slice).unwrap_or_default();
    let legs = tensor.legs();
    if legs.len() != order.len() || !legs.iter().all(|leg| order.iter().any(|other| same(leg, other))) {
        let expected: Vec<String> = order.iter().map(|leg| format!("{}: {}", leg.name(), leg.dim())).collect();
        return Err(Error::Shape {
            what: format!("tensor {number} of a compiled contraction"),
            found: tensor.to_string(),
            expected: format!("legs {}", expected.join(", ")),
        });
    }
    Ok(if tensor.memory_order().zip(order).all(|(leg, other)| leg.name() == other.name()) { None } else { Some(order) })
}

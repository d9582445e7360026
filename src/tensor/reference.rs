//! The slow, obvious contraction: a loop over all values of all indices, for tests to compare with.
//!
//! It reads elements one at a time by name and shares nothing else with the fast one.

use super::{Leg, Role, Tensor};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The sum over `pairs` (a leg of `a`, a leg of `b`); batch legs of the same name in no pair are kept. The legs of the
/// result are the kept ones, the others of `a` and the others of `b`.
///
/// # Errors
/// If a leg is unknown or the dimensions of a pair differ.
pub fn contract_pairs<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, pairs: &[(&str, &str)]) -> Result<Tensor<T>> {
    // Every index has one slot; legs of `b` that are joined with one of `a` use the slot of that one.
    let mut slots: Vec<Leg> = a.legs().to_vec();
    let a_slots: Vec<usize> = (0..slots.len()).collect();
    let mut b_slots = Vec::new();
    let (mut kept, mut summed) = (Vec::new(), Vec::new());
    for leg in b.legs() {
        let partner = pairs.iter().find(|pair| pair.1 == leg.name()).map(|pair| pair.0);
        let batch = a.legs().iter().any(|other| other == leg) && leg.role() == Role::Batch;
        let slot = match partner.or(batch.then_some(leg.name())) {
            None => {
                slots.push(leg.clone());
                slots.len() - 1
            }
            Some(name) => {
                if a.dim(name)? != leg.dim() {
                    return Err(Error::Leg { what: format!("{} and {leg} do not fit", a.leg(name)?) });
                }
                let slot = a.legs().iter().position(|other| other.name() == name).unwrap_or_default();
                if partner.is_some() {
                    summed.push(slot)
                } else {
                    kept.push(slot)
                }
                slot
            }
        };
        b_slots.push(slot);
    }
    // In the order of `a`, whatever the order of `b`.
    kept.sort_unstable();
    let free = (0..slots.len()).filter(|slot| !kept.contains(slot) && !summed.contains(slot));
    let out: Vec<usize> = kept.iter().copied().chain(free).collect();

    let element = |tensor: &Tensor<T>, of: &[usize], index: &[usize]| {
        let named: Vec<_> = tensor.legs().iter().zip(of).map(|(leg, &slot)| (leg.name(), index[slot])).collect();
        tensor.get(&named)
    };
    let legs: Vec<Leg> = out.iter().map(|&slot| slots[slot].clone()).collect();
    let mut data = vec![T::zero(); legs.iter().map(Leg::dim).product()];
    let mut index = vec![0; slots.len()];
    for mut count in 0..slots.iter().map(Leg::dim).product() {
        for (value, leg) in index.iter_mut().zip(&slots) {
            *value = count % leg.dim();
            count /= leg.dim();
        }
        let place = out.iter().fold(0, |place, &slot| place * slots[slot].dim() + index[slot]);
        data[place] += element(a, &a_slots, &index)? * element(b, &b_slots, &index)?;
    }
    Tensor::new(legs, data)
}

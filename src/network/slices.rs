//! Slices of a network: their order, and the sum of what is made in them.

use ndarray::{ArrayD, Axis};

use super::execute::{Contracted, Scaled, on_diagonal, same_contraction};
use super::network::Network;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role, Tensor};

impl<T: Scalar> Network<T> {
    /// Refuses a plan for another pattern or other dimensions.
    pub(super) fn fits(&self, plan: &Plan) -> Result<()> {
        let equation = self.equation()?;
        // A tensor of the plan may have an index twice, of which the network holds the diagonal.
        if equation == *plan.equation() || same_contraction(&equation, plan.equation()) {
            return Ok(());
        }
        Err(Error::Shape {
            what: "a plan for another network".into(),
            found: plan.equation().to_string(),
            expected: equation.to_string(),
        })
    }

    /// The open legs, each once.
    pub(super) fn open_once(&self) -> Vec<Leg> {
        let mut open: Vec<Leg> = Vec::new();
        for leg in self.open() {
            if open.iter().all(|other| other.name() != leg.name()) {
                open.push(leg.clone());
            }
        }
        open
    }

    /// Roles, order and repetitions of the open legs.
    pub(super) fn finish(&self, mut tensor: Tensor<T>, exponent: i64, open: &[Leg]) -> Result<Contracted<T>> {
        let ln_scale = exponent as f64 * std::f64::consts::LN_2 + self.ln_scale();
        for leg in open {
            tensor = tensor.with_role(leg, leg.role())?;
        }
        tensor = tensor.permute(open)?;
        if open.len() < self.open().len() {
            tensor = on_diagonal(&tensor, self.open())?;
        }
        Ok(Contracted { tensor, ln_scale })
    }
}

/// The sliced indices as legs.
pub(super) fn sliced_legs(plan: &Plan) -> Vec<Leg> {
    let (names, dims) = (plan.equation().names(), plan.equation().dims());
    let leg = |&i: &usize| Leg::bond(&names[i], usize::try_from(dims[i]).unwrap_or(usize::MAX));
    plan.sliced().iter().map(leg).collect()
}

/// Goes on to the next values of the sliced indices, the last running fastest; `false` after the last.
pub(super) fn next_slice(values: &mut [usize], sliced: &[Leg]) -> bool {
    for (value, leg) in values.iter_mut().zip(sliced).rev() {
        *value += 1;
        if *value < leg.dim() {
            return true;
        }
        *value = 0;
    }
    false
}

/// Whether an index of this name is sliced.
pub(super) fn plan_slices(plan: &Plan, name: &str) -> bool {
    plan.sliced().iter().any(|&i| plan.equation().names()[i] == name)
}

/// The sum of the results of all slices, or, for open indices, their collection.
pub(super) struct Sum<T: Scalar> {
    legs: Vec<Leg>,
    total: ArrayD<T>,
    exponent: i64,
    order: Vec<Leg>,
    /// For each sliced index its axis in the total, if it is open.
    axes: Vec<Option<usize>>,
    empty: bool,
}

impl<T: Scalar> Sum<T> {
    /// For results with the legs `open`, of which the sliced ones are left out in the parts.
    pub(super) fn new(open: &[Leg], sliced: &[Leg]) -> Result<Self> {
        let zeros = Tensor::<T>::zeros(open)?;
        let axes = sliced.iter().map(|leg| open.iter().position(|other| other.name() == leg.name())).collect();
        let order = open.iter().filter(|leg| sliced.iter().all(|other| other.name() != leg.name())).cloned().collect();
        let legs = open.iter().map(|leg| leg.with_role(Role::Bond)).collect();
        Ok(Sum { legs, total: zeros.into_array(open)?, exponent: 0, order, axes, empty: true })
    }

    pub(super) fn total(self) -> Result<Scaled<T>> {
        Ok(Scaled { tensor: Tensor::from_array(self.legs, self.total)?, exponent: self.exponent })
    }

    pub(super) fn add(&mut self, part: &Scaled<T>, values: &[usize]) -> Result<()> {
        // The exponent of zero means nothing, and must not push the others out of the range.
        if part.tensor.view_in_order(part.tensor.legs())?.iter().all(|&x| x == T::zero()) {
            return Ok(());
        }
        if self.empty {
            (self.exponent, self.empty) = (part.exponent, false);
        }
        if part.exponent > self.exponent {
            let factor = power_of_two::<T>(self.exponent - part.exponent);
            self.total.mapv_inplace(|x| x * factor);
            self.exponent = part.exponent;
        }
        let factor = power_of_two::<T>(part.exponent - self.exponent);
        let mut place = self.total.view_mut();
        // From the last axis on, so that the numbers of the others stay.
        let mut fixed: Vec<(usize, usize)> =
            self.axes.iter().zip(values).filter_map(|(axis, &value)| axis.map(|axis| (axis, value))).collect();
        fixed.sort_unstable_by(|a, b| b.cmp(a));
        for (axis, value) in fixed {
            place = place.index_axis_move(Axis(axis), value);
        }
        place.zip_mut_with(&part.tensor.view_in_order(&self.order)?, |x, &y| *x += y * factor);
        Ok(())
    }
}

/// `2^exponent` for an exponent of at most zero; zero where that is below the range.
fn power_of_two<T: Scalar>(exponent: i64) -> T {
    T::from_f64((exponent.max(-2000) as f64).exp2())
}

//! Contracting a network by a plan.

use ndarray::{ArrayD, Axis, IxDyn};

use super::network::Network;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Real, Scalar};
use crate::tensor::{Leg, Role, Tensor, contract};

/// Results whose largest element is within these powers of two are left as they are.
const COMFORTABLE: i32 = 24;

/// The result of a contraction: a tensor times a power of `e` that floating point need not hold.
#[derive(Debug, Clone)]
pub struct Contracted<T: Scalar> {
    pub(super) tensor: Tensor<T>,
    pub(super) ln_scale: f64,
}

impl<T: Scalar> Contracted<T> {
    /// The tensor without the factor.
    #[must_use]
    pub fn mantissa(&self) -> &Tensor<T> {
        &self.tensor
    }

    /// `ln` of the factor.
    #[must_use]
    pub fn ln_scale(&self) -> f64 {
        self.ln_scale
    }

    /// The number that a network without open legs is.
    ///
    /// # Errors
    /// [`Error::Leg`] if there are open legs.
    pub fn scalar(&self) -> Result<LogScaled<T>> {
        Ok(LogScaled::new(self.tensor.to_scalar()?, self.ln_scale))
    }

    /// The tensor times the factor; elements that do not fit into `T` are infinite or zero.
    ///
    /// # Errors
    /// Never for a result of a contraction.
    pub fn into_tensor(self) -> Result<Tensor<T>> {
        if self.ln_scale == 0.0 {
            return Ok(self.tensor);
        }
        Ok(self.tensor.map(|x| LogScaled::new(x, self.ln_scale).value()))
    }
}

/// A tensor times `2^exponent`.
pub(super) struct Scaled<T: Scalar> {
    pub tensor: Tensor<T>,
    pub exponent: i64,
}

impl<T: Scalar> Network<T> {
    /// The result of contracting all tensors as the plan says; its legs are the open ones, in order. An open leg that is
    /// listed twice has a prime on the name of its second occurrence.
    ///
    /// The exponent of every intermediate is kept apart, so a value far beyond the range of `T` comes out right. The
    /// calling thread does the steps one after the other, and slices in the order of their indices.
    ///
    /// # Errors
    /// [`Error::Shape`] if the plan is for another pattern or other dimensions, [`Error::NotFinite`] if a tensor holds
    /// NaN or infinity, [`Error::Memory`] if a result does not fit into memory.
    pub fn contract(&self, plan: &Plan) -> Result<Contracted<T>> {
        self.fits(plan)?;
        let (sliced, open) = (sliced_legs(plan), self.open_once());
        let steps = Steps::new(self, plan, &open)?;
        if sliced.is_empty() {
            let result = steps.run(&[])?;
            return self.finish(result.tensor, result.exponent, &open);
        }
        let mut sum = Sum::new(&open, &sliced)?;
        let mut values = vec![0; sliced.len()];
        loop {
            let fixed: Vec<(&str, usize)> = sliced.iter().map(Leg::name).zip(values.iter().copied()).collect();
            sum.add(&steps.run(&fixed)?, &values)?;
            if !next_slice(&mut values, &sliced) {
                let Scaled { tensor, exponent } = sum.total()?;
                return self.finish(tensor, exponent, &open);
            }
        }
    }

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

/// Whether two equations differ only in indices that a tensor has twice.
fn same_contraction(one: &super::Equation, two: &super::Equation) -> bool {
    let plain = |e: &super::Equation| {
        let named = |indices: &[usize], once: bool| {
            let mut names: Vec<(&str, u64)> = Vec::new();
            for &i in indices {
                let index = (e.names()[i].as_str(), e.dims()[i]);
                if !once || !names.contains(&index) {
                    names.push(index);
                }
            }
            names.into_iter().map(|(name, dim)| (name.to_owned(), dim)).collect::<Vec<_>>()
        };
        let inputs: Vec<_> = e.inputs().iter().map(|input| named(input, true)).collect();
        (inputs, named(e.output(), false))
    };
    plain(one) == plain(two)
}

/// The tensors of a network made ready, and how often each index occurs.
struct Steps<'a, T: Scalar> {
    plan: &'a Plan,
    leaves: Vec<Scaled<T>>,
    /// How many leaves have each index; one more for an index that stays open.
    holders: std::collections::HashMap<String, usize>,
}

impl<'a, T: Scalar> Steps<'a, T> {
    fn new(network: &Network<T>, plan: &'a Plan, open: &[Leg]) -> Result<Self> {
        let mut holders = std::collections::HashMap::new();
        let legs = network.tensors().flat_map(Tensor::legs).chain(open);
        legs.for_each(|leg| *holders.entry(leg.name().to_owned()).or_insert(0) += 1);
        let mut leaves = Vec::new();
        for tensor in network.tensors() {
            let mut ready = tensor.clone();
            for leg in tensor.legs() {
                if holders.get(leg.name()) == Some(&1) && !plan_slices(plan, leg.name()) {
                    ready = summed(&ready, leg)?;
                } else {
                    ready = ready.with_role(leg, Role::Bond)?;
                }
            }
            leaves.push(rescaled(ready, 0)?);
        }
        Ok(Steps { plan, leaves, holders })
    }

    /// All steps with some indices fixed.
    fn run(&self, fixed: &[(&str, usize)]) -> Result<Scaled<T>> {
        let tree = self.plan.tree();
        let leaf = |number: usize| -> Result<Scaled<T>> {
            let Scaled { tensor, exponent } = &self.leaves[number];
            let mut tensor = tensor.clone();
            for &(name, value) in fixed {
                if tensor.has_leg(name) {
                    tensor = tensor.select(name, value)?;
                }
            }
            Ok(Scaled { tensor, exponent: *exponent })
        };
        let mut left = self.holders.clone();
        let mut made: Vec<Option<Scaled<T>>> = Vec::with_capacity(tree.pairs().len());
        let take = |number: usize, made: &mut Vec<Option<Scaled<T>>>| match number.checked_sub(tree.leaves()) {
            None => leaf(number),
            Some(step) => made.get_mut(step).and_then(Option::take).ok_or_else(|| Error::Format {
                what: format!("the plan uses the result of step {step} when it is not there"),
            }),
        };
        if tree.pairs().is_empty() {
            return take(0, &mut made);
        }
        for &(a, b) in tree.pairs() {
            let (a, b) = (take(a, &mut made)?, take(b, &mut made)?);
            let result = join(&a.tensor, &b.tensor, |leg| {
                let count = left.entry(leg.name().to_owned()).or_insert(2);
                // Something else has it: it is kept, and one tensor less has it from now on.
                let keep = *count > 2;
                *count -= usize::from(keep);
                keep
            })?;
            let exponent = a.exponent + b.exponent;
            drop((a, b));
            made.push(Some(rescaled(result, exponent)?));
        }
        made.pop().flatten().ok_or_else(|| Error::Empty { what: "the order of the plan".into() })
    }
}

/// Two tensors contracted over the legs that both have, except for those that are to be kept. All roles are those of
/// bonds.
pub(super) fn join<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, mut keep: impl FnMut(&Leg) -> bool) -> Result<Tensor<T>> {
    let kept: Vec<&Leg> = a.legs().iter().filter(|leg| b.has_leg(leg) && keep(leg)).collect();
    if kept.is_empty() {
        return contract(a, b);
    }
    let (mut first, mut second) = (a.clone(), b.clone());
    for leg in &kept {
        first = first.with_role(leg, Role::Batch)?;
        second = second.with_role(leg, Role::Batch)?;
    }
    let mut result = contract(&first, &second)?;
    for leg in &kept {
        result = result.with_role(leg, Role::Bond)?;
    }
    Ok(result)
}

pub(super) fn plan_slices(plan: &Plan, name: &str) -> bool {
    plan.sliced().iter().any(|&i| plan.equation().names()[i] == name)
}

/// The sum over all values of one leg.
pub(super) fn summed<T: Scalar>(tensor: &Tensor<T>, leg: &Leg) -> Result<Tensor<T>> {
    let ones = Tensor::new([leg.with_role(Role::Bond)], vec![T::one(); leg.dim()])?;
    contract(&tensor.with_role(leg, Role::Bond)?, &ones)
}

/// The tensor with its largest element near one, unless it is near enough, and the power of two that was taken out.
pub(super) fn rescaled<T: Scalar>(tensor: Tensor<T>, exponent: i64) -> Result<Scaled<T>> {
    let view = tensor.view_in_order(tensor.legs())?;
    let mut largest = 0.0_f64;
    for x in &view {
        // The larger of both parts; `max` would pass over a NaN.
        let size = x.re().to_f64().abs().max(x.im().to_f64().abs());
        largest = largest.max(if x.is_finite() { size } else { f64::INFINITY });
    }
    if !largest.is_finite() {
        return Err(Error::NotFinite { what: format!("{tensor} within a contraction") });
    }
    let power = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
    if power.abs() <= COMFORTABLE {
        return Ok(Scaled { tensor, exponent });
    }
    // In two steps: the inverse of a power near the end of the range is none.
    let (half, rest) =
        (T::from_f64((f64::from(-power / 2)).exp2()), T::from_f64((f64::from(-power + power / 2)).exp2()));
    Ok(Scaled { tensor: tensor.map(|x| x * half * rest), exponent: exponent + i64::from(power) })
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

/// The legs of a result: a name that is there again has a prime, or several.
pub(super) fn primed(open: &[Leg]) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::with_capacity(open.len());
    for leg in open {
        let mut name = leg.name().to_owned();
        while legs.iter().any(|other| other.name() == name) {
            name.push('\'');
        }
        legs.push(leg.renamed(name));
    }
    legs
}

/// Spreads a tensor over the diagonal of legs that are listed more than once.
fn on_diagonal<T: Scalar>(tensor: &Tensor<T>, open: &[Leg]) -> Result<Tensor<T>> {
    let legs = primed(open);
    let place = |leg: &Leg| tensor.legs().iter().position(|other| other.name() == leg.name()).unwrap_or_default();
    let source: Vec<usize> = open.iter().map(place).collect();
    let mut out = Tensor::<T>::zeros(legs.clone())?.into_array(&legs)?;
    for (index, &value) in tensor.view_in_order(tensor.legs())?.indexed_iter() {
        let place: Vec<usize> = source.iter().map(|&axis| index[axis]).collect();
        if let Some(slot) = out.get_mut(IxDyn(&place)) {
            *slot = value;
        }
    }
    Tensor::from_array(legs, out)
}

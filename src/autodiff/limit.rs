//! Derivatives where eigenvalues or singular values coincide or vanish.
//!
//! The rules divide by differences of values. Where two coincide, a loss that does not depend on the choice of their
//! vectors has a cotangent whose element vanishes there: the quotient is 0/0, and its limit is not zero. (For `L = tr C
//! f(A)` it is `f'(w)` times an element of `C`.) The limit belongs to second derivatives of the loss, which the cotangents
//! do not have. So the computation is done again with the values moved apart by a small distance `d`, and again with `2 d`
//! and `4 d`, the vectors being what they were; there the rules hold as they stand, and
//!
//! ```text
//!   G = ( 8 G(d) - 6 G(2 d) + G(4 d) ) / 3   + O(d^3)
//! ```
//!
//! is the derivative at coinciding values (Richardson). On the way it shows whether there is one: what is divided by a
//! distance has to vanish with it, and with other vectors of the same values the gradient has to be the same. Where it is
//! not so, the loss depends on the choice, and the node is named.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::backward::{Pull, along};
use super::tape::{Slot, Tape, Var};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::tensor::Tensor;

/// How far apart values are moved on the copies of a tape on which a limit is taken.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    /// In units of the largest value.
    distance: f64,
    /// Whether other vectors are taken.
    turned: bool,
    seen: Rc<RefCell<Vec<Sight>>>,
}

/// What a rule divided by small distances.
#[derive(Debug, Clone)]
struct Sight {
    node: usize,
    operation: &'static str,
    size: f64,
    /// The size of the cotangents it is a part of.
    scale: f64,
}

impl Limit {
    fn new(distance: f64, turned: bool) -> Self {
        Limit { distance, turned, seen: Rc::default() }
    }

    /// Notes what a rule divides by distances that go to zero.
    pub(super) fn saw<T: Scalar>(&self, pull: &Pull<'_, '_, T>, size: f64, scale: f64) {
        let operation = pull.node.op.name();
        self.seen.borrow_mut().push(Sight { node: pull.index, operation, size, scale });
    }
}

fn precision<T: Scalar>(power: f64) -> f64 {
    <T::Real as num_traits::Float>::epsilon().to_f64().powf(power)
}

/// Values that differ by less than this share of the largest count as equal. Just above it a quotient has lost about six
/// digits of ten to rounding; small singular values that are well apart stay above it.
pub(super) fn threshold<T: Scalar>() -> f64 {
    precision::<T>(0.62)
}

/// Whether a number that should be zero is, in a tensor of the given size.
pub(super) fn negligible<T: Scalar>(x: f64, scale: f64) -> bool {
    x <= precision::<T>(0.4) * scale
}

/// The unit in which values are compared: the largest, or one if all are zero.
pub(super) fn unit<R: Real>(values: &[R]) -> f64 {
    let largest = values.iter().fold(0.0_f64, |m, x| m.max(Real::to_f64(*x).abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

/// Moves ascending values up until each is the distance above the one before it; with `positive` the first is so far
/// above zero.
pub(super) fn moved_apart<R: Real>(ascending: &mut [R], limit: Option<&Limit>, positive: bool) {
    let Some(limit) = limit else { return };
    let step = R::of(limit.distance * unit(ascending));
    let mut floor = positive.then_some(step);
    for x in ascending {
        if let Some(floor) = floor.filter(|floor| *x < *floor) {
            *x = floor;
        }
        floor = Some(*x + step);
    }
}

/// Vectors that would have done as well, where the limit asks for them: which one takes the place of each, and whether one
/// of the left ones is to change its sign.
///
/// Those of coinciding values are taken in the opposite order. Those of vanishing singular values are not tied to their
/// partners either.
pub(super) fn turned<R: Real>(values: &[R], limit: Option<&Limit>, positive: bool) -> Option<Vec<(usize, bool)>> {
    limit.filter(|limit| limit.turned)?;
    let wide: Vec<f64> = values.iter().map(|x| Real::to_f64(*x)).collect();
    let numbers = groups(&wide, threshold::<R>() * unit(values), positive);
    let place = |i: usize| {
        let first = numbers.iter().position(|number| *number == numbers[i]).unwrap_or(i);
        let last = numbers.iter().rposition(|number| *number == numbers[i]).unwrap_or(i);
        (first + last - i, positive && numbers[i] == 0)
    };
    Some((0..values.len()).map(place).collect())
}

/// Numbers the groups of values that lie together, by neighbours that differ by at most `gap`. With `positive`, group 0 is
/// that of values that vanish, which come last.
fn groups(values: &[f64], gap: f64, positive: bool) -> Vec<usize> {
    let mut group = 1;
    let mut numbers = Vec::with_capacity(values.len());
    for (i, x) in values.iter().enumerate() {
        if i > 0 && (x - values[i - 1]).abs() > gap {
            group += 1;
        }
        numbers.push(group);
    }
    if positive && values.last().is_some_and(|last| *last <= gap) {
        let last = group;
        numbers.iter_mut().filter(|number| **number == last).for_each(|number| *number = 0);
    }
    numbers
}

/// The groups of values that were moved apart, on a copy on which they were.
pub(super) fn moved_groups(values: &[f64], unit: f64, limit: &Limit, positive: bool) -> Vec<usize> {
    groups(values, 1.5 * limit.distance * unit, positive)
}

/// Refuses coinciding or vanishing values among the `active` ones, and such as coincide with one of these, on a tape that
/// is not a copy with values moved apart.
pub(super) fn coincidence<T: Scalar>(
    pull: &Pull<'_, '_, T>,
    values: &[f64],
    unit: f64,
    active: Range<usize>,
    positive: bool,
) -> Result<()> {
    if pull.tape.limit.is_some() {
        return Ok(());
    }
    let numbers = groups(values, threshold::<T>() * unit, positive);
    let members = |group: usize| numbers.iter().filter(move |number| **number == group).count();
    let first = active.into_iter().find(|&i| numbers[i] == 0 || members(numbers[i]) > 1);
    let Some(first) = first else { return Ok(()) };
    let last = numbers.iter().rposition(|number| *number == numbers[first]).unwrap_or(first);
    Err(Error::Degenerate { node: pull.index, operation: pull.node.op.name(), first, last })
}

/// The gradient as the limit of those with values moved apart, `at` being where values coincide first.
pub(super) fn gradient<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    at: &Error,
) -> Result<Vec<Tensor<T>>> {
    // Rounding leaves eps / d of a quotient, and the extrapolation d^3.
    extrapolated(tape, root, targets, at, [precision::<T>(0.38), precision::<T>(0.6)], |loss, wrt| loss.gradient(wrt))
}

/// The second derivative along directions, as [`gradient`]: rounding leaves eps / d^2.
pub(super) fn hessian_vector<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    directions: &[&Tensor<T>],
    at: &Error,
) -> Result<Vec<Tensor<T>>> {
    extrapolated(tape, root, targets, at, [precision::<T>(0.22), precision::<T>(0.4)], |loss, wrt| {
        along(loss, wrt, directions)
    })
}

fn extrapolated<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    at: &Error,
    [distance, tolerance]: [f64; 2],
    derivative: impl for<'a> Fn(&Var<'a, T>, &[&Var<'a, T>]) -> Result<Vec<Tensor<T>>>,
) -> Result<Vec<Tensor<T>>> {
    let with = |factor: f64, turned: bool| -> Result<(Vec<Tensor<T>>, Vec<Sight>)> {
        let limit = Limit::new(factor * distance, turned);
        let seen = limit.seen.clone();
        let (copy, values) = tape.replay(limit)?;
        let var = |slot: Slot| -> Result<Var<'_, T>> {
            let value = values.get(slot.node).and_then(|outputs| outputs.get(slot.output)).cloned();
            let value = value.ok_or_else(|| Error::Tape { what: "a copy of the tape lacks a value".into() })?;
            Ok(Var { tape: &copy, value, at: Some(slot) })
        };
        let root = root.ok_or_else(|| Error::Tape { what: "the limit of the derivatives of a constant".into() })?;
        let wrt = targets.iter().map(|slot| var(*slot)).collect::<Result<Vec<_>>>()?;
        let made = derivative(&var(root)?, &wrt.iter().collect::<Vec<_>>())?;
        Ok((made, seen.take()))
    };
    let (near, sights) = with(1.0, false)?;
    let (far, far_sights) = with(2.0, false)?;
    vanishes(&sights, &far_sights, tolerance)?;
    let (farthest, _) = with(4.0, false)?;
    let (other, _) = with(1.0, true)?;
    let off = |a: &[Tensor<T>], b: &[Tensor<T>]| -> Result<f64> {
        let parts = a.iter().zip(b).map(|(a, b)| Ok((2.0 * a.sub(b)?.norm().ln_abs()).exp()));
        Ok(parts.sum::<Result<f64>>()?.sqrt())
    };
    let size = near.iter().map(|g| (2.0 * g.norm().ln_abs()).exp()).sum::<f64>().sqrt();
    let difference = off(&near, &other)?;
    // A difference that is large only because the derivative is small goes with the distance.
    if difference > distance.sqrt() * size && 2.0 * difference - off(&far, &with(2.0, true)?.0)? > 0.5 * difference {
        return Err(depends(at));
    }
    let mut limits = Vec::with_capacity(near.len());
    for ((near, far), farthest) in near.iter().zip(&far).zip(&farthest) {
        let weighed = |g: &Tensor<T>, weight: f64| g.scale(T::from_f64(weight));
        limits.push(weighed(near, 8.0 / 3.0).add(&weighed(far, -2.0))?.add(&weighed(farthest, 1.0 / 3.0))?);
    }
    Ok(limits)
}

const WAY_OUT: &str = "make it a function of projectors on all of them, drop vanishing values by a cutoff, or add a \
                       perturbation that parts them";

/// The error for a loss that differs with the choice of vectors at the place of the given one.
fn depends(at: &Error) -> Error {
    match at.root() {
        Error::Degenerate { node, operation, first, last } => Error::Gauge {
            node: *node,
            operation,
            what: format!(
                "values {first} to {last} coincide or vanish, here or after it, and the derivative of the loss depends on the choice of their \
                 vectors; {WAY_OUT}"
            ),
        },
        other => Error::Tape { what: format!("the limit of derivatives: {other}") },
    }
}

/// Refuses what does not go to zero with the distance: from a distance and its double, the value at zero.
fn vanishes(near: &[Sight], far: &[Sight], tolerance: f64) -> Result<()> {
    let open = near.iter().zip(far).find(|(near, far)| {
        near.node == far.node && near.size > tolerance * near.scale && 2.0 * near.size - far.size > 0.1 * near.size
    });
    match open {
        None => Ok(()),
        Some((near, _)) => Err(Error::Gauge {
            node: near.node,
            operation: near.operation,
            what: format!(
                "values coincide or vanish, and the loss depends on the choice of their vectors ({:.1e} of a cotangent of size \
                 {:.1e}); {WAY_OUT}",
                near.size, near.scale
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_moved_apart_and_found_together_again() {
        let limit = Limit::new(0.125, false);
        let mut values = [0.0, 0.0, 1.0, 1.0, 4.0];
        moved_apart(&mut values, Some(&limit), true);
        assert_eq!(values, [0.5, 1.0, 1.5, 2.0, 4.0]);
        let mut zero = [0.0; 3];
        moved_apart(&mut zero, Some(&limit), false);
        assert_eq!(zero, [0.0, 0.125, 0.25]);
        let small = Limit::new(1e-3, false);
        let mut values = [-2.0, -2.0, 0.0, 1.0, 1.0];
        moved_apart(&mut values, Some(&small), false);
        assert_eq!(moved_groups(&values, 2.0, &small, false), [1, 1, 2, 3, 3]);
        assert_eq!(turned(&[3.0, 3.0, 1.0, 0.0], Some(&small), true), None);
        let other = turned(&[3.0, 3.0, 1.0, 0.0], Some(&Limit::new(1e-3, true)), true);
        assert_eq!(other, Some(vec![(1, false), (0, false), (2, false), (3, true)]));
        assert_eq!(groups(&[3.0, 1.0, 1.0, 0.0, 0.0], 1e-9, true), [1, 2, 2, 0, 0]);
    }
}

//! Derivatives where eigenvalues or singular values coincide or vanish.
//!
//! The rules divide by differences of values. Where two coincide, a loss that does not depend on the choice of their
//! vectors has a cotangent whose element vanishes there: the quotient is 0/0, and its limit is not zero. (For `L = tr C
//! f(A)` it is `f'(w)` times an element of `C`.) The limit belongs to second derivatives of the loss, which the
//! cotangents do not have. So the computation is done again with the values moved apart by a small distance `d`, and
//! again with `2 d` and `4 d`, the vectors being what they were; there the rules hold as they stand, and
//!
//! ```text
//!   G = ( 8 G(d) - 6 G(2 d) + G(4 d) ) / 3   + O(d^3)
//! ```
//!
//! is the derivative at coinciding values (Richardson). On the way it shows whether there is one: what is divided by a
//! distance has to vanish with it, and with other vectors of the same values the gradient has to be the same. Where it
//! is not so, the loss depends on the choice, and the node is named.

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
    /// The smallest of the distances for which this is done.
    unit_distance: f64,
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
    fn new(unit_distance: f64, factor: f64, turned: bool) -> Self {
        Limit { distance: factor * unit_distance, unit_distance, turned, seen: Rc::default() }
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

/// Whether a number that should be zero is, in a tensor of the given size.
pub(super) fn negligible<T: Scalar>(x: f64, scale: f64) -> bool {
    x <= precision::<T>(0.33) * scale
}

/// The unit in which values are compared: the largest, or one if all are zero.
fn unit<R: Real>(values: &[R]) -> f64 {
    let largest = values.iter().fold(0.0_f64, |m, x| m.max(Real::to_f64(*x).abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

/// The first of some numbers, none negative, that is zero beside the largest.
pub(super) fn vanishing<R: Real>(values: &[R]) -> Option<usize> {
    let zero = R::of(precision::<R>(0.75) * unit(values));
    values.iter().position(|x| *x <= zero)
}

/// Which values of a factorisation coincide.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Groups {
    /// The group of each value, neighbours being together. Group 0 is that of singular values that vanish.
    numbers: Vec<usize>,
    pub(super) unit: f64,
}

impl Groups {
    /// Of values in order. Neighbours count as equal if they differ by less than a small share of themselves, or by
    /// what rounding does to the largest: just above, a quotient has lost half of its digits or so to rounding, while
    /// small values that are well apart for their size stay apart. With `singular` a value can vanish, and the smallest
    /// come last.
    pub(super) fn of<R: Real>(values: &[R], singular: bool) -> Self {
        let unit = unit(values);
        let (share, rounding, zero) = (precision::<R>(0.62), precision::<R>(0.85) * unit, precision::<R>(0.75) * unit);
        let mut numbers = Vec::with_capacity(values.len());
        let (mut group, mut before) = (1, None);
        for x in values.iter().map(|x| Real::to_f64(*x)) {
            let apart = |before: f64| (x - before).abs() > (share * x.abs().max(before.abs())).max(rounding);
            if before.is_some_and(apart) {
                group += 1;
            }
            numbers.push(if singular && x <= zero { 0 } else { group });
            before = Some(x);
        }
        Groups { numbers, unit }
    }

    /// The group of value `i`.
    pub(super) fn at(&self, i: usize) -> usize {
        self.numbers.get(i).copied().unwrap_or(usize::MAX)
    }

    /// Whether singular value `i` vanishes.
    pub(super) fn vanishes(&self, i: usize) -> bool {
        self.at(i) == 0
    }

    /// Whether two values coincide.
    pub(super) fn together(&self, i: usize, j: usize) -> bool {
        self.at(i) == self.at(j)
    }

    /// The first and the last of the values that coincide with value `i`.
    fn ends(&self, i: usize) -> (usize, usize) {
        let first = self.numbers.iter().position(|number| *number == self.at(i)).unwrap_or(i);
        let last = self.numbers.iter().rposition(|number| *number == self.at(i)).unwrap_or(i);
        (first, last)
    }

    /// Moves values that coincide apart, and singular ones that vanish away from zero, the order being kept: ascending
    /// eigenvalues or descending singular values. The step is in proportion to the values, so that functions as the
    /// root stay smooth over it.
    pub(super) fn moved_apart<R: Real>(&self, values: &mut [R], limit: Option<&Limit>, singular: bool) {
        let Some(limit) = limit else { return };
        // Values that vanish stay below all others.
        let least =
            (0..values.len()).rfind(|&i| !self.vanishes(i)).map_or(self.unit, |i| Real::to_f64(values[i]).abs());
        let floor = self.unit.min(least / (100.0 * limit.unit_distance * values.len() as f64));
        for (i, x) in values.iter_mut().enumerate() {
            let (first, last) = self.ends(i);
            let zero = singular && self.vanishes(i);
            let steps = if singular { last - i + usize::from(zero) } else { i - first };
            let size = match Real::to_f64(*x).abs() {
                _ if zero => floor,
                // An eigenvalue that is zero is a value as others are.
                size if size <= precision::<R>(0.75) * self.unit => self.unit,
                size => size.max(1e-4 * self.unit),
            };
            *x += R::of(limit.distance * size * steps as f64);
        }
    }

    /// Vectors that would have done as well, where the limit asks for them: which one takes the place of each, and
    /// whether the left one is to change its sign.
    ///
    /// Those of coinciding values are taken in the opposite order. Those of vanishing singular values are not tied to
    /// their partners either.
    pub(super) fn turned(&self, limit: Option<&Limit>, singular: bool) -> Option<Vec<(usize, bool)>> {
        limit.filter(|limit| limit.turned)?;
        let place = |i: usize| {
            let (first, last) = self.ends(i);
            (first + last - i, singular && self.vanishes(i))
        };
        Some((0..self.numbers.len()).map(place).collect())
    }

    /// Refuses coinciding or vanishing values among the `active` ones, and such as coincide with one of these, on a
    /// tape that is not a copy with values moved apart.
    pub(super) fn refuse_coincidence<T: Scalar>(&self, pull: &Pull<'_, '_, T>, active: Range<usize>) -> Result<()> {
        if pull.tape.limit.is_some() {
            return Ok(());
        }
        for i in active {
            let (first, last) = self.ends(i);
            if first < last || self.vanishes(i) {
                return Err(Error::Degenerate { node: pull.index, operation: pull.node.op.name(), first, last });
            }
        }
        Ok(())
    }
}

/// The gradient as the limit of those with values moved apart, `at` being where values coincide first.
pub(super) fn gradient<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    at: &Error,
) -> Result<Vec<Tensor<T>>> {
    // Rounding leaves eps / d of a quotient, and the extrapolation d^3.
    extrapolated(tape, root, targets, at, [precision::<T>(0.38), precision::<T>(0.3)], |loss, wrt| loss.gradient(wrt))
}

/// The second derivative along directions, as [`gradient`]: rounding leaves eps / d^2.
pub(super) fn hessian_vector<T: Scalar>(
    tape: &Tape<T>,
    root: Option<Slot>,
    targets: &[Slot],
    directions: &[&Tensor<T>],
    at: &Error,
) -> Result<Vec<Tensor<T>>> {
    extrapolated(tape, root, targets, at, [precision::<T>(0.22), precision::<T>(0.2)], |loss, wrt| {
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
        let limit = Limit::new(distance, factor, turned);
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
                "values {first} to {last} coincide or vanish, here or after it, and the derivative of the loss \
                 depends on the choice of their vectors; {WAY_OUT}"
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
                "values coincide or vanish, and the loss depends on the choice of their vectors ({:.1e} of a \
                 cotangent of size {:.1e}); {WAY_OUT}",
                near.size, near.scale
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_moved_apart_in_their_groups() {
        let limit = |turned| Limit::new(2f64.powi(-13), 1024.0, turned);
        let values = [2.0, 2.0, 1.0, 0.0, 0.0];
        let groups = Groups::of(&values, true);
        assert_eq!(groups.numbers, [1, 1, 2, 0, 0]);
        let mut moved = values;
        groups.moved_apart(&mut moved, Some(&limit(false)), true);
        assert_eq!(moved, [2.25, 2.0, 1.0, 0.5, 0.25]);
        assert_eq!(groups.turned(Some(&limit(false)), true), None);
        let other = groups.turned(Some(&limit(true)), true);
        assert_eq!(other, Some(vec![(1, false), (0, false), (2, false), (4, true), (3, true)]));

        let mut eigenvalues = [-2.0, -2.0, 0.0, 4.0, 4.0];
        let groups = Groups::of(&eigenvalues, false);
        assert_eq!(groups.numbers, [1, 1, 2, 3, 3]);
        groups.moved_apart(&mut eigenvalues, Some(&limit(false)), false);
        assert_eq!(eigenvalues, [-2.0, -1.75, 0.0, 4.0, 4.5]);
        let mut zero = [0.0; 2];
        Groups::of(&zero, false).moved_apart(&mut zero, Some(&limit(false)), false);
        assert_eq!(zero, [0.0, 0.125]);
        // Small values that are apart for their size do not coincide.
        assert_eq!(Groups::of(&[1.0, 1.1e-9, 1.0e-9, 1e-15], true).numbers, [1, 2, 3, 0]);
    }
}

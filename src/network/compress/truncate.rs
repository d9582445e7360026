//! A bond truncated within what surrounds it.
//!
//! ```text
//!   ... = A = B = ...        A -> Q_a R_a     R_a R_b^T = U s V^H, cut to its leading part
//!                            B -> Q_b R_b     P_a = R_b^T V s^-1/2,   P_b = R_a^T U* s^-1/2
//! ```
//! `A P_a` and `B P_b` are the new tensors: `P_a P_b^T` is the projector for which the two tensors with what is folded
//! into `R_a` and `R_b` change least. Only the triangular factors are needed, so what surrounds the pair is not changed.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Gauge;
use super::sites::{Sites, balanced};
use crate::error::Result;
use crate::linalg::Truncation;
use crate::scalar::{Real, Scalar};
use crate::tensor::{Tensor, contract};

/// The two matrices to be put on a bond, the singular values, and the share of the squares that was dropped.
pub(super) struct Projectors<T: Scalar> {
    pub left: Tensor<T>,
    pub right: Tensor<T>,
    pub values: Vec<T::Real>,
    pub discarded_weight: f64,
}

/// From the factors `a` and `b`, with legs `x` and the bond; the new leg is called `new`.
pub(super) fn projectors<T: Scalar>(
    a: &Tensor<T>,
    b: &Tensor<T>,
    new: &str,
    truncation: &Truncation,
) -> Result<Projectors<T>> {
    let (a, b) = (a.rename("x", "a")?, b.rename("x", "b")?);
    let product = contract(&a, &b)?;
    // Values below rounding are noise, by whose inverse nothing may be multiplied.
    let dim = product.dim("a")?.max(product.dim("b")?) as f64;
    let rounding = dim * <T::Real as num_traits::Float>::epsilon().to_f64();
    let truncation = truncation.cutoff(truncation.relative_cutoff().max(rounding));
    let svd = product.svd(&["a"], new, &truncation)?;
    let inverse = |s: &T::Real| {
        let s = s.to_f64();
        T::Real::of(if s > 0.0 { s.powf(-0.5) } else { 0.0 })
    };
    let inverse: Vec<T::Real> = svd.s.iter().map(inverse).collect();
    Ok(Projectors {
        left: contract(&b, &svd.vt.conj())?.scale_along(new, &inverse)?,
        right: contract(&a, &svd.u.conj())?.scale_along(new, &inverse)?,
        values: svd.s,
        discarded_weight: svd.discarded_weight,
    })
}

/// The triangular factor of a tensor on one of its legs: legs `x` and `leg`, of norm near one.
pub(super) fn triangular<T: Scalar>(tensor: &Tensor<T>, leg: &str) -> Result<Tensor<T>> {
    let others: Vec<_> = tensor.legs().iter().filter(|other| other.name() != leg).cloned().collect();
    Ok(balanced(&tensor.triangle(&others, "x")?)?.0)
}

/// A tensor with the factor of a neighbour put on a leg.
fn folded<T: Scalar>(tensor: &Tensor<T>, leg: &str, factor: &Tensor<T>) -> Result<Tensor<T>> {
    contract(tensor, factor)?.rename("x", leg)
}

/// What is known of the surroundings of the tensors.
pub(super) struct Surroundings<T: Scalar> {
    gauge: Gauge,
    /// The factor that a tensor sends to a neighbour, with legs `x` and the bond.
    messages: BTreeMap<(usize, usize), Tensor<T>>,
}

impl<T: Scalar> Surroundings<T> {
    pub fn new(sites: &Sites<T>, gauge: Gauge) -> Result<Self> {
        let mut surroundings = Surroundings { gauge, messages: BTreeMap::new() };
        if let Gauge::Messages { rounds } = gauge {
            for _ in 0..rounds {
                let mut next = BTreeMap::new();
                for from in sites.alive() {
                    for to in sites.neighbours(from) {
                        next.insert((from, to), surroundings.sent(sites, from, to)?);
                    }
                }
                surroundings.messages = next;
            }
        }
        Ok(surroundings)
    }

    /// The factor of `from` on its bond to `to`, the messages of its other neighbours folded in.
    fn sent(&self, sites: &Sites<T>, from: usize, to: usize) -> Result<Tensor<T>> {
        let mut tensor = sites.tensor(from)?.clone();
        for other in sites.neighbours(from) {
            if let Some(message) = self.messages.get(&(other, from)).filter(|_| other != to) {
                tensor = folded(&tensor, sites.bond(from, other)?, message)?;
            }
        }
        triangular(&tensor, sites.bond(from, to)?)
    }

    /// The factor of `a` on its bond to `b`, and the other way round.
    fn factors(&self, sites: &Sites<T>, a: usize, b: usize) -> Result<[Tensor<T>; 2]> {
        let depth = match self.gauge {
            Gauge::None => 0,
            Gauge::Tree { depth } => depth,
            Gauge::Messages { .. } => return Ok([self.sent(sites, a, b)?, self.sent(sites, b, a)?]),
        };
        // Breadth first from the pair: in this order, every tensor with the one that found it.
        let mut found = vec![(a, b), (b, a)];
        let mut seen = BTreeSet::from([a, b]);
        let mut start = 0;
        for _ in 0..depth {
            let end = found.len();
            for place in start..end {
                let (from, _) = found[place];
                for other in sites.neighbours(from) {
                    if seen.insert(other) {
                        found.push((other, from));
                    }
                }
            }
            start = end;
        }
        // From the leaves inwards.
        let mut waiting: BTreeMap<usize, Tensor<T>> = BTreeMap::new();
        for &(number, towards) in found.iter().skip(2).rev() {
            let tensor = match waiting.remove(&number) {
                Some(tensor) => tensor,
                None => sites.tensor(number)?.clone(),
            };
            let leg = sites.bond(number, towards)?;
            let factor = triangular(&tensor, leg)?;
            let inner = match waiting.remove(&towards) {
                Some(tensor) => tensor,
                None => sites.tensor(towards)?.clone(),
            };
            waiting.insert(towards, folded(&inner, leg, &factor)?);
        }
        let mut last = |number: usize, other: usize| -> Result<Tensor<T>> {
            match waiting.remove(&number) {
                Some(tensor) => triangular(&tensor, sites.bond(number, other)?),
                None => triangular(sites.tensor(number)?, sites.bond(number, other)?),
            }
        };
        Ok([last(a, b)?, last(b, a)?])
    }

    /// Truncates the bond between two tensors; the share of the squares of singular values that was dropped.
    pub fn truncate(&mut self, sites: &mut Sites<T>, a: usize, b: usize, truncation: &Truncation) -> Result<f64> {
        let [left, right] = self.factors(sites, a, b)?;
        let name = sites.fresh();
        let made = projectors(&left, &right, &name, truncation)?;
        let mut weight = made.discarded_weight;
        if let Gauge::Messages { .. } = self.gauge {
            // By the messages, which may be far too sure of themselves, hardly anything is ever lost: what the pair
            // alone loses is measured.
            let pair =
                [triangular(sites.tensor(a)?, sites.bond(a, b)?)?, triangular(sites.tensor(b)?, sites.bond(a, b)?)?];
            weight = lost_by(&pair, &made)?;
        }
        sites.replace_bond(a, b, name.clone(), &made.left, &made.right)?;
        if let Gauge::Messages { .. } = self.gauge {
            // What both send is now diagonal: the root of the singular values.
            let weights = diagonal::<T>(&name, &made.values)?;
            self.messages.insert((a, b), weights.clone());
            self.messages.insert((b, a), weights);
        }
        Ok(weight)
    }

    /// Two tensors have become one; `fused` are the neighbours that had bonds to both.
    pub fn contracted(&mut self, sites: &Sites<T>, a: usize, b: usize, now: usize, fused: &[usize]) -> Result<()> {
        if !matches!(self.gauge, Gauge::Messages { .. }) {
            return Ok(());
        }
        let gone = |number: usize| number == a || number == b;
        let old = std::mem::take(&mut self.messages);
        for ((from, to), message) in old {
            match (gone(from), gone(to)) {
                (false, false) => {
                    self.messages.insert((from, to), message);
                }
                (false, true) if !fused.contains(&from) => {
                    self.messages.insert((from, now), message);
                }
                _ => {}
            }
        }
        for &other in fused {
            let message = self.sent(sites, other, now)?;
            self.messages.insert((other, now), message);
        }
        Ok(())
    }
}

/// The share of the squares of the product of two factors that changes when projectors are put between them.
fn lost_by<T: Scalar>([a, b]: &[Tensor<T>; 2], made: &Projectors<T>) -> Result<f64> {
    let (a, b) = (a.rename("x", "a")?, b.rename("x", "b")?);
    let before = contract(&a, &b)?;
    let after = contract(&contract(&a, &made.left)?, &contract(&b, &made.right)?)?;
    let (lost, all) = (after.sub(&before)?.norm(), before.norm());
    Ok(if all.is_zero() { 0.0 } else { (2.0 * (lost.ln_abs() - all.ln_abs())).exp().min(1.0) })
}

/// The matrix with the roots of `values`, relative to the largest, on its diagonal: legs `x` and `name`.
fn diagonal<T: Scalar>(name: &str, values: &[T::Real]) -> Result<Tensor<T>> {
    let largest = values.first().map_or(0.0, |s| s.to_f64());
    let legs = [crate::tensor::Leg::bond("x", values.len()), crate::tensor::Leg::bond(name, values.len())];
    let mut data = vec![T::zero(); values.len() * values.len()];
    for (place, s) in values.iter().enumerate() {
        let ratio = if largest > 0.0 { s.to_f64() / largest } else { 1.0 };
        if let Some(slot) = data.get_mut(place * (values.len() + 1)) {
            *slot = T::from_f64(ratio.sqrt());
        }
    }
    Tensor::new(legs, data)
}

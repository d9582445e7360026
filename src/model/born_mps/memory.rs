//! How much memory the environments of a sweep take, and which of them are kept.

use super::classes::Samples;
use crate::error::{Error, Result};
use crate::model::SweepSetup;
use crate::scalar::Scalar;

/// Copies of the tensors that a run holds: the one that is swept, the one made of it, and the current, the last good and
/// the best model.
const MODELS: usize = 5;

/// The smallest stride whose environments fit into the ceiling, and the bytes that samples, models and environments then
/// take.
///
/// Environments at multiples of the stride are kept; those between are made again, a stretch at a time, when the sweep
/// comes by. A stride of about `sqrt(sites)` needs the least memory and makes each environment twice.
pub(super) fn stride<T: Scalar>(
    parts: &[&Samples],
    dims: &[usize],
    bonds: &[usize],
    setup: &SweepSetup,
) -> Result<(usize, u64)> {
    let bounds = bond_bounds(parts, dims, bonds, setup);
    let fixed = samples_and_models::<T>(parts, dims, &bounds);
    let (left, right) = sizes::<T>(parts, &bounds);
    let Some(ceiling) = setup.memory else {
        return Ok((1, fixed + peak(&left, &right, 1)));
    };
    let mut least = u64::MAX;
    let largest = ((dims.len() as f64).sqrt().ceil() as usize).max(1);
    for stride in 1..=largest {
        let bytes = fixed + peak(&left, &right, stride);
        if bytes <= ceiling {
            return Ok((stride, bytes));
        }
        least = least.min(bytes);
    }
    Err(Error::Memory {
        what: "training (samples, models, environments)".into(),
        needed: least,
        ceiling,
        way_out: "raise the ceiling, or lower the bond dimension or the number of samples".into(),
    })
}

/// The largest bond dimension each bond can come to: bounded by the sites and by the distinct samples on either side.
fn bond_bounds(parts: &[&Samples], dims: &[usize], bonds: &[usize], setup: &SweepSetup) -> Vec<usize> {
    let sites = dims.len();
    let mut bounds = vec![1usize; sites + 1];
    for k in 1..sites {
        let prefixes: usize = parts.iter().map(|s| s.prefixes(k).len()).sum();
        let suffixes: usize = parts.iter().map(|s| s.suffixes(k).len()).sum();
        // Steps stay within the span of the samples and of the state they start from.
        let span = (prefixes.min(suffixes) + bonds[k]).max(setup.min_bond);
        bounds[k] = setup.max_bond.min(bounds[k - 1].saturating_mul(dims[k - 1])).min(span);
    }
    for k in (1..sites).rev() {
        bounds[k] = bounds[k].min(bounds[k + 1].saturating_mul(dims[k]));
    }
    bounds
}

/// Bytes that sweeps from `bonds` will probably take, which have these smallest and largest bonds.
///
/// The bonds are followed through the sweeps by what can become of their ranks: a gradient has as many independent rows as
/// there are distinct prefixes, symbol by symbol, and not more than the bond on that side. What the random start has
/// beyond that still counts in the first sweep, and is below any cutoff later.
pub(super) fn expected<T: Scalar>(
    parts: &[&Samples],
    dims: &[usize],
    (mut bonds, limits): (Vec<usize>, &[(usize, usize)]),
    stride: usize,
) -> u64 {
    // With constant limits bonds stay as they are after some sweeps.
    const SWEEPS: usize = 16;
    let sites = dims.len();
    let known = |level: &dyn Fn(&Samples) -> Vec<usize>, bond: usize| -> usize {
        let mut counts: Vec<usize> = Vec::new();
        for part in parts {
            let of_part = level(part);
            counts.resize(of_part.len().max(counts.len()), 0);
            counts.iter_mut().zip(of_part).for_each(|(sum, count)| *sum += count);
        }
        counts.into_iter().map(|count| count.min(bond)).sum()
    };
    let mut most = 0;
    for (sweep, &(least, limit)) in limits.iter().enumerate().take(SWEEPS.max(1)) {
        let (left, right) = ((1..sites - 1).rev(), 0..sites.saturating_sub(2));
        for k in left.chain(right) {
            let (outer_left, inner, outer_right) = (bonds[k], bonds[k + 1], bonds[k + 2]);
            let rows = known(&|s| s.prefixes(k + 1).counts(), outer_left);
            let columns = known(&|s| s.suffixes(k + 1).counts(), outer_right);
            let room = (outer_left * dims[k]).min(outer_right * dims[k + 1]);
            let rank = rows.min(columns) + if sweep == 0 { inner } else { 0 };
            bonds[k + 1] = rank.clamp(1, room).max(least.min(room)).min(limit);
        }
        let (left, right) = sizes::<T>(parts, &bonds);
        most = most.max(samples_and_models::<T>(parts, dims, &bonds) + peak(&left, &right, stride));
    }
    most
}

fn samples_and_models<T>(parts: &[&Samples], dims: &[usize], bonds: &[usize]) -> u64 {
    let elements: usize = dims.iter().enumerate().map(|(k, d)| bonds[k] * d * bonds[k + 1]).sum();
    parts.iter().map(|s| s.bytes()).sum::<u64>() + (MODELS * elements * size_of::<T>()) as u64
}

/// Bytes of the left and of the right environments at every cut.
fn sizes<T: Scalar>(parts: &[&Samples], bonds: &[usize]) -> (Vec<u64>, Vec<u64>) {
    let bytes = |classes: usize, k: usize| (classes * (bonds[k] * size_of::<T>() + size_of::<i32>())) as u64;
    let left = (0..bonds.len()).map(|k| parts.iter().map(|s| bytes(s.prefixes(k).len(), k)).sum()).collect();
    let right = (0..bonds.len()).map(|k| parts.iter().map(|s| bytes(s.suffixes(k).len(), k)).sum()).collect();
    (left, right)
}

/// The most that is held at any bond of a sweep.
fn peak(left: &[u64], right: &[u64], stride: usize) -> u64 {
    let sites = left.len() - 1;
    let mut most = 0;
    for k in 0..sites.saturating_sub(1) {
        // Kept ones on either side, the stretch made again on the side the sweep goes to, and the centre taken in.
        let kept_left: u64 = (0..=k).filter(|j| j % stride == 0 || *j == k).map(|j| left[j]).sum();
        let kept_right: u64 = (k + 1..=sites).filter(|j| j % stride == 0 || *j <= k + 2).map(|j| right[j]).sum();
        let stretch = if stride > 1 {
            let l: u64 = (k / stride * stride + 1..k).map(|j| left[j]).sum();
            let r: u64 = (k + 3..(k + 3).next_multiple_of(stride).min(sites)).map(|j| right[j]).sum();
            l.max(r)
        } else {
            0
        };
        most = most.max(kept_left + kept_right + stretch + left[k + 1]);
    }
    most
}

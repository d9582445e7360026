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
pub(super) fn stride<T: Scalar>(parts: &[&Samples], dims: &[usize], setup: &SweepSetup) -> Result<(usize, u64)> {
    let bounds = bond_bounds(parts, dims, setup.max_bond);
    let elements: usize = dims.iter().enumerate().map(|(k, d)| bounds[k] * d * bounds[k + 1]).sum();
    let fixed: u64 = parts.iter().map(|s| s.bytes()).sum::<u64>() + (MODELS * elements * size_of::<T>()) as u64;
    let (left, right) = sizes::<T>(parts, dims, setup.max_bond);
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
fn bond_bounds(parts: &[&Samples], dims: &[usize], max_bond: usize) -> Vec<usize> {
    let sites = dims.len();
    let mut bounds = vec![1usize; sites + 1];
    for k in 1..sites {
        // Steps stay within the span of the samples and of the initial state, whose bond is small.
        let prefixes: usize = parts.iter().map(|s| s.prefixes(k).len()).sum();
        let suffixes: usize = parts.iter().map(|s| s.suffixes(k).len()).sum();
        bounds[k] = max_bond.min(bounds[k - 1].saturating_mul(dims[k - 1])).min(prefixes.min(suffixes) + 2);
    }
    for k in (1..sites).rev() {
        bounds[k] = bounds[k].min(bounds[k + 1].saturating_mul(dims[k]));
    }
    bounds
}

/// Bytes of the left and of the right environments at every cut.
fn sizes<T: Scalar>(parts: &[&Samples], dims: &[usize], max_bond: usize) -> (Vec<u64>, Vec<u64>) {
    let bounds = bond_bounds(parts, dims, max_bond);
    let bytes = |classes: usize, k: usize| (classes * (bounds[k] * size_of::<T>() + size_of::<i32>())) as u64;
    let left = (0..=dims.len()).map(|k| parts.iter().map(|s| bytes(s.prefixes(k).len(), k)).sum()).collect();
    let right = (0..=dims.len()).map(|k| parts.iter().map(|s| bytes(s.suffixes(k).len(), k)).sum()).collect();
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

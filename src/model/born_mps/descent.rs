//! The step of a merged tensor down its gradient.

use ndarray::{Array2, Array4};

use super::environments::squares;
use crate::error::{Error, Result};
use crate::linalg::wide;
use crate::model::{Direction, Step};
use crate::parallel::map;
use crate::scalar::{Real, Scalar};

/// First and second moments of Adam at one bond.
pub(super) struct Moments<T>(Vec<T>, Vec<f64>);

/// Elements a task works on; fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 4096;
/// Elements below which one thread is faster.
const PARALLEL_FROM: usize = 1 << 13;

/// `M <- M + rate direction`, with `direction` made of `gradient - 2 M`, which is left in `gradient`. Returns `|M|`, to
/// be divided out.
pub(super) fn descend<T: Scalar>(
    merged: &mut Array2<T>,
    gradient: &mut Array4<T>,
    step: &Step,
    round: usize,
    adam: &mut Option<Moments<T>>,
) -> Result<f64> {
    let (Some(m), Some(g)) = (merged.as_slice_mut(), gradient.as_slice_mut()) else {
        return Err(Error::shape("the merged tensor, in elements", gradient.len(), merged.len()));
    };
    let norm = in_chunks(g, m, |g, m| {
        g.iter_mut().zip(m.iter()).for_each(|(g, &m)| *g -= m + m);
        Real::to_f64(squares(g))
    })
    .sqrt();
    let rate = match step.direction {
        Direction::Plain => step.rate,
        Direction::NormScaled => {
            let target = (g.len() as f64).powf(0.25);
            // At a stationary point there is no direction to scale up.
            if norm > 1e-12 * target { step.rate * target / norm } else { 0.0 }
        }
        Direction::Adam => {
            adam_direction(g, adam.get_or_insert_with(|| Moments(vec![T::zero(); g.len()], vec![0.0; g.len()])), round);
            step.rate
        }
    };
    let rate = T::Real::of(rate);
    let norm = in_chunks(m, g, |m, g| {
        m.iter_mut().zip(g.iter()).for_each(|(m, g)| *m += g.scale(rate));
        Real::to_f64(squares(m))
    })
    .sqrt();
    if norm > 0.0 && norm.is_finite() {
        Ok(norm)
    } else {
        Err(Error::NotFinite { what: "the merged tensor after the step".into() })
    }
}

/// Divides the norm out.
pub(super) fn divide<T: Scalar>(merged: &mut Array2<T>, norm: f64) {
    let factor = T::Real::of(1.0 / norm);
    merged.mapv_inplace(|x| x.scale(factor));
}

/// Replaces a gradient by Adam's direction for it.
fn adam_direction<T: Scalar>(gradient: &mut [T], Moments(first, second): &mut Moments<T>, round: usize) {
    let t = i32::try_from(round).unwrap_or(i32::MAX - 1) + 1;
    let (c1, c2) = (1.0 - 0.9_f64.powi(t), 1.0 - 0.999_f64.powi(t));
    for ((m, g), v) in first.iter_mut().zip(gradient).zip(second) {
        *m = m.scale(T::Real::of(0.9)) + g.scale(T::Real::of(0.1));
        *v = 0.999 * *v + 0.001 * Real::to_f64(g.abs_sq());
        *g = m.scale(T::Real::of(1.0 / c1 / ((*v / c2).sqrt() + 1e-8)));
    }
}

/// Works on both slices, a chunk at a time, and sums up what comes back, in order.
fn in_chunks<T: Scalar>(a: &mut [T], b: &[T], work: impl Fn(&mut [T], &[T]) -> f64 + Sync) -> f64 {
    let work = |(a, b): (&mut [T], &[T])| {
        wide(
            #[inline(always)]
            || work(a, b),
        )
    };
    if a.len() < PARALLEL_FROM {
        a.chunks_mut(CHUNK).zip(b.chunks(CHUNK)).map(work).sum()
    } else {
        map(a.chunks_mut(CHUNK).zip(b.chunks(CHUNK)).collect(), work).into_iter().sum()
    }
}

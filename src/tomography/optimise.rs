//! Minimising a function of many real numbers.

use std::collections::VecDeque;

use crate::error::{Error, Result};

/// When L-BFGS stops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lbfgs {
    pub iterations: usize,
    /// Pairs of steps and changes of the gradient that are kept.
    pub memory: usize,
    /// Stops where the function falls by less than this over ten iterations.
    pub fall: f64,
    /// Stops where the norm of the gradient is below this.
    pub gradient: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Limited-memory BFGS (Liu and Nocedal, Math. Program. 45, 503, 1989) with a search that halves and doubles steps until the weak
/// Wolfe conditions hold (Lewis and Overton, Math. Program. 141, 135, 2013).
///
/// `f` gives a value and its gradient; infinity and NaN are walls, which a step does not cross. `watch` is told of each iteration and
/// stops the search by `false`. Returns the value at the end.
pub(super) fn lbfgs(
    settings: &Lbfgs,
    x: &mut Vec<f64>,
    mut f: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
    mut watch: impl FnMut(usize, f64) -> bool,
) -> Result<f64> {
    let (mut value, mut gradient) = f(x)?;
    if !value.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
        return Err(Error::NotFinite { what: "the likelihood at the start of a fit".into() });
    }
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    let mut values = vec![value];
    for iteration in 0..settings.iterations {
        let size = dot(&gradient, &gradient).sqrt();
        if size <= settings.gradient {
            break;
        }
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(pairs.len());
        for (s, y, rho) in pairs.iter().rev() {
            let share = rho * dot(s, &direction);
            direction.iter_mut().zip(y).for_each(|(d, y)| *d -= share * y);
            shares.push(share);
        }
        let scale = pairs.back().map_or(0.1 / size.max(1e-3), |(_, y, rho)| 1.0 / (rho * dot(y, y)));
        direction.iter_mut().for_each(|d| *d *= scale);
        for ((s, y, rho), share) in pairs.iter().zip(shares.iter().rev()) {
            let back = rho * dot(y, &direction);
            direction.iter_mut().zip(s).for_each(|(d, s)| *d += (share - back) * s);
        }
        let slope = dot(&gradient, &direction);
        if !(slope < 0.0) {
            if pairs.is_empty() {
                break;
            }
            pairs.clear();
            continue;
        }
        let (mut low, mut high, mut step) = (0.0, f64::INFINITY, 1.0);
        let mut found = None;
        for _ in 0..40 {
            let trial: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let (v, g) = f(&trial)?;
            let fine = v.is_finite() && g.iter().all(|g| g.is_finite());
            if !fine || v > value + 1e-4 * step * slope {
                high = step;
            } else if dot(&g, &direction) < 0.9 * slope {
                low = step;
                found = Some((trial, v, g));
            } else {
                found = Some((trial, v, g));
                break;
            }
            step = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * step };
            if high - low < 1e-14 * high {
                break;
            }
        }
        let Some((next, v, g)) = found else {
            if pairs.is_empty() {
                break;
            }
            // An old curvature that no longer holds: once more along the gradient.
            pairs.clear();
            continue;
        };
        let s: Vec<f64> = next.iter().zip(x.iter()).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = g.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&s, &y);
        if curvature > 1e-14 * dot(&y, &y) {
            pairs.push_back((s, y, 1.0 / curvature));
            if pairs.len() > settings.memory {
                pairs.pop_front();
            }
        }
        (*x, value, gradient) = (next, v, g);
        values.push(value);
        if !watch(iteration, value) {
            break;
        }
        if values.len() > 10 && values[values.len() - 11] - value < settings.fall {
            break;
        }
    }
    Ok(value)
}

/// Adam (Kingma and Ba, 2015) on real numbers.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Adam {
    pub fn new(size: usize) -> Self {
        Adam { first: vec![0.0; size], second: vec![0.0; size], steps: 0 }
    }

    pub fn step(&mut self, x: &mut [f64], gradient: &[f64], rate: f64) {
        self.steps = self.steps.saturating_add(1);
        let (a, b) = (1.0 - 0.9f64.powi(self.steps), 1.0 - 0.999f64.powi(self.steps));
        for (((x, g), m), v) in x.iter_mut().zip(gradient).zip(&mut self.first).zip(&mut self.second) {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *x -= rate * (*m / a) / ((*v / b).sqrt() + 1e-10);
        }
    }
}

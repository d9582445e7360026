//! Dense fits, to eight qubits: linear inversion, its projection, maximum likelihood, hedged likelihood.

use std::collections::HashMap;

use ndarray::Array2;
use num_complex::Complex64;

use super::compiled::{Compiled, Numbering};
use super::density::{self, dense_dimension, dimension};
use super::optimise::{Lbfgs, lbfgs};
use super::products::Products;
use super::readout::Readout;
use super::shots::Shots;
use crate::error::{Error, Result};
use crate::linalg::{Op, eigh, matmul, solve};

/// Dimension beyond which dense fits are refused: eight qubits.
pub const DENSE_FIT_LIMIT: usize = 1 << 8;
/// Rows of all outcomes of all settings, for linear inversion.
const MOST_ROWS: usize = 1 << 23;

/// How a dense state is estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DenseMethod {
    /// Least squares on the frequencies of all outcomes, each setting weighted by its shots; of trace one, positive or not.
    LinearInversion,
    /// The density matrix nearest to the linear inversion (Guţă, Kahn, Kueng, Tropp, J. Phys. A 53, 204001, 2020).
    ProjectedLeastSquares,
    /// The maximum of the likelihood, by projected gradients with momentum (Shang, Zhang, Ng, PRA 95, 062336, 2017).
    MaximumLikelihood,
    /// The same maximum by the iteration `rho -> R rho R / tr` (Hradil; Řeháček et al., PRA 75, 042108, 2007).
    RRhoR,
    /// Maximum of `L det(rho)^beta`: never of less than full rank (Blume-Kohout, PRL 105, 200504, 2010, who takes 1/2).
    Hedged {
        /// The exponent.
        beta: f64,
    },
}

/// A dense estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseFit {
    /// Hermitian, of trace one.
    pub rho: Array2<Complex64>,
    /// Negative log-likelihood per shot, nats; infinite or NaN where an estimate that is not positive gives no likelihood.
    pub nll: f64,
    /// Bound on what `nll` could still fall, nats per shot: the largest eigenvalue of `R` less one. For likelihood methods.
    pub gap: f64,
    /// Iterations that it took.
    pub iterations: usize,
}

/// Records, ready for dense fits.
struct Problem {
    products: Products,
    weights: Vec<f64>,
    total: f64,
    dimension: usize,
}

impl Problem {
    fn new(shots: &Shots, readout: Option<&Readout>) -> Result<Self> {
        let dimension = dense_dimension(shots.dims())?;
        if dimension > DENSE_FIT_LIMIT {
            let expected = format!("at most {DENSE_FIT_LIMIT} (8 qubits) for a dense fit; fit a chain (mps or lpdo)");
            return Err(Error::setting("dimension", dimension, expected));
        }
        let data = Compiled::new(shots, readout)?;
        let products = Products::new(&data.dims, &data.index, &data.elements)?;
        Ok(Problem { products, weights: data.weights, total: data.total, dimension })
    }

    /// `-sum w ln p` of the state with these coordinates, and `p`.
    fn nll(&self, coordinates: &[f64]) -> (f64, Vec<f64>) {
        let p = self.products.expectations(coordinates);
        let value = if p.iter().any(|&p| !(p > 0.0)) {
            f64::INFINITY
        } else {
            -self.weights.iter().zip(&p).map(|(w, p)| w * p.ln()).sum::<f64>()
        };
        (value, p)
    }

    /// `R = sum of w E / p`, the derivative of the log-likelihood per shot.
    fn derivative(&self, p: &[f64]) -> Result<Array2<Complex64>> {
        let ratios: Vec<f64> = self.weights.iter().zip(p).map(|(w, p)| w / p).collect();
        self.products.matrix(&self.products.combination(&ratios))
    }

    fn finish(&self, rho: Array2<Complex64>, iterations: usize) -> Result<DenseFit> {
        let (nll, p) = self.nll(&self.products.coordinates(&rho));
        let gap = if nll.is_finite() {
            let values = eigh(&self.derivative(&p)?.view())?.values;
            (values.last().copied().unwrap_or(1.0) - 1.0).max(0.0)
        } else {
            f64::INFINITY
        };
        Ok(DenseFit { rho, nll, gap, iterations })
    }
}

/// Estimates the density matrix from a record.
///
/// # Errors
/// [`Error::Setting`] beyond eight qubits or for a `beta` that is not positive; [`Error::Format`] if linear inversion needs
/// settings that there are not; what an eigensolver can meet.
pub fn fit_dense(shots: &Shots, method: DenseMethod, readout: Option<&Readout>) -> Result<DenseFit> {
    let problem = Problem::new(shots, readout)?;
    match method {
        DenseMethod::LinearInversion => problem.finish(linear_inversion(shots, readout)?, 1),
        DenseMethod::ProjectedLeastSquares => {
            problem.finish(density::project(&linear_inversion(shots, readout)?.view())?, 1)
        }
        DenseMethod::MaximumLikelihood => accelerated(&problem),
        DenseMethod::RRhoR => r_rho_r(&problem, 20_000),
        DenseMethod::Hedged { beta } => hedged(&problem, beta),
    }
}

/// The gap at which a maximum of the likelihood counts as reached, nats per shot.
const GAP: f64 = 1e-8;

fn mixed(d: usize) -> Array2<Complex64> {
    Array2::eye(d).mapv(|x: Complex64| x / d as f64)
}

fn accelerated(problem: &Problem) -> Result<DenseFit> {
    let mut rho = mixed(problem.dimension);
    let mut ahead = rho.clone();
    let (mut value, _) = problem.nll(&problem.products.coordinates(&rho));
    let (mut theta, mut step) = (1.0f64, 1.0f64);
    let mut iterations = 0;
    while iterations < 5000 {
        iterations += 1;
        let (at, p) = problem.nll(&problem.products.coordinates(&ahead));
        if !at.is_finite() {
            // Momentum has left the region of positive probabilities.
            (ahead, theta) = (rho.clone(), 1.0);
            continue;
        }
        let r = problem.derivative(&p)?;
        let mut next;
        let mut reached;
        loop {
            next = density::project(&(&ahead + &r.mapv(|x| x * step)).view())?;
            let change = &next - &ahead;
            reached = problem.nll(&problem.products.coordinates(&next)).0;
            let linear: f64 = r.iter().zip(&change).map(|(a, b)| (a.conj() * b).re).sum();
            let square: f64 = change.iter().map(|x| x.norm_sqr()).sum();
            if reached <= at - linear + square / (2.0 * step) + 1e-15 || step < 1e-12 {
                break;
            }
            step *= 0.5;
        }
        if reached > value {
            if theta == 1.0 {
                break;
            }
            (ahead, theta) = (rho.clone(), 1.0);
            continue;
        }
        let grown = (1.0 + (1.0 + 4.0 * theta * theta).sqrt()) / 2.0;
        let push = (theta - 1.0) / grown;
        ahead = &next + &(&next - &rho).mapv(|x| x * push);
        let fall = value - reached;
        (rho, value, theta) = (next, reached, grown);
        step *= 1.1;
        if iterations % 10 == 0 || fall < 1e-12 {
            let (_, p) = problem.nll(&problem.products.coordinates(&rho));
            let top = eigh(&problem.derivative(&p)?.view())?.values.last().copied().unwrap_or(1.0);
            if top - 1.0 < GAP {
                break;
            }
        }
    }
    problem.finish(rho, iterations)
}

fn r_rho_r(problem: &Problem, most: usize) -> Result<DenseFit> {
    let mut rho = mixed(problem.dimension);
    let mut iterations = 0;
    while iterations < most {
        iterations += 1;
        let (_, p) = problem.nll(&problem.products.coordinates(&rho));
        let r = problem.derivative(&p)?;
        if iterations % 50 == 0 && eigh(&r.view())?.values.last().copied().unwrap_or(1.0) - 1.0 < GAP {
            break;
        }
        let left = matmul(&r.view(), Op::None, &rho.view(), Op::None);
        let next = matmul(&left.view(), Op::None, &r.view(), Op::None);
        let trace: f64 = next.diag().iter().map(|x| x.re).sum();
        rho = Array2::from_shape_fn(next.dim(), |(i, j)| (next[[i, j]] + next[[j, i]].conj()) / (2.0 * trace));
    }
    problem.finish(rho, iterations)
}

/// `rho = T T^H / tr`, minimised over `T`.
fn hedged(problem: &Problem, beta: f64) -> Result<DenseFit> {
    if !(beta > 0.0 && beta.is_finite()) {
        return Err(Error::setting("beta", beta, "give a positive exponent, as 0.5"));
    }
    let d = problem.dimension;
    let share = beta / problem.total;
    let unpack =
        |x: &[f64]| Array2::from_shape_fn((d, d), |(i, j)| Complex64::new(x[2 * (i * d + j)], x[2 * (i * d + j) + 1]));
    let mut x: Vec<f64> = mixed(d).mapv(|v| v * (d as f64).sqrt()).iter().flat_map(|v| [v.re, v.im]).collect();
    let objective = |x: &[f64]| -> Result<(f64, Vec<f64>)> {
        let t = unpack(x);
        let raw = matmul(&t.view(), Op::None, &t.view(), Op::Adjoint);
        let trace: f64 = raw.diag().iter().map(|v| v.re).sum();
        let (likelihood, p) = problem.nll(&problem.products.coordinates(&raw));
        let values = eigh(&raw.view())?.values;
        if !likelihood.is_finite() || values[0] <= 0.0 {
            return Ok((f64::INFINITY, vec![0.0; x.len()]));
        }
        let ln_det: f64 = values.iter().map(|v| v.ln()).sum();
        let value = likelihood + trace.ln() - share * (ln_det - d as f64 * trace.ln());
        let r = problem.derivative(&p)?;
        let inverse = solve(&t.view(), &Array2::eye(d).view())?;
        let slope = matmul(&r.view(), Op::None, &t.view(), Op::None);
        let factor = (1.0 + share * d as f64) / trace;
        let g =
            Array2::from_shape_fn((d, d), |(i, j)| t[[i, j]] * factor - slope[[i, j]] - inverse[[j, i]].conj() * share);
        Ok((value, g.iter().flat_map(|v| [2.0 * v.re, 2.0 * v.im]).collect()))
    };
    let settings = Lbfgs { iterations: 2000, memory: 20, fall: 1e-13, gradient: 1e-9 };
    let mut count = 0;
    lbfgs(&settings, &mut x, objective, |i, _| {
        count = i + 1;
        true
    })?;
    let t = unpack(&x);
    let raw = matmul(&t.view(), Op::None, &t.view(), Op::Adjoint);
    let trace: f64 = raw.diag().iter().map(|v| v.re).sum();
    problem.finish(raw.mapv(|v| v / trace), count)
}

/// All outcomes of all settings with their frequencies, weighted by the square root of the shots of the setting.
fn linear_inversion(shots: &Shots, readout: Option<&Readout>) -> Result<Array2<Complex64>> {
    let sites = shots.sites();
    let mut numbering = Numbering::new(shots, readout)?;
    let (mut index, mut target, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for rows in shots.by_setting() {
        let setting = shots.setting(rows[0]);
        let several: Vec<usize> =
            setting.iter().zip(shots.dims()).map(|(&m, &d)| shots.measurements()[m as usize].outcomes(d)).collect();
        let all = dimension(&several);
        if target.len().saturating_add(all) > MOST_ROWS {
            let expected = format!("at most {MOST_ROWS} outcomes of all settings; use maximum likelihood");
            return Err(Error::setting("outcomes for linear inversion", "too many", expected));
        }
        let seen: u64 = rows.iter().map(|&row| shots.counts()[row]).sum();
        let found: HashMap<&[u8], u64> = rows.iter().map(|&row| (shots.outcome(row), shots.counts()[row])).collect();
        let firsts =
            setting.iter().enumerate().map(|(site, &m)| numbering.first(site, m)).collect::<Result<Vec<u32>>>()?;
        let mut outcome = vec![0u8; sites];
        for code in 0..all {
            let mut rest = code;
            for site in (0..sites).rev() {
                outcome[site] = (rest % several[site]) as u8;
                rest /= several[site];
            }
            index.extend(firsts.iter().zip(&outcome).map(|(f, &o)| f + u32::from(o)));
            target.push(found.get(outcome.as_slice()).map_or(0.0, |&n| n as f64 / seen as f64));
            weights.push(seen as f64 / shots.total() as f64);
        }
    }
    let products = Products::new(shots.dims(), &index, &numbering.elements)?;
    // Conjugate gradients on the normal equations M^T W M x = M^T W f, from zero: of all solutions the shortest.
    let weigh = |v: &[f64]| -> Vec<f64> { v.iter().zip(&weights).map(|(v, w)| v * w).collect() };
    let mut residual = products.combination(&weigh(&target));
    let mut x = vec![0.0; residual.len()];
    let mut direction = residual.clone();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut size = dot(&residual, &residual);
    let start = size;
    for _ in 0..2 * x.len() + 50 {
        if size <= 1e-26 * start {
            break;
        }
        let image = products.combination(&weigh(&products.expectations(&direction)));
        let curvature = dot(&direction, &image);
        if !(curvature > 1e-14 * dot(&direction, &direction)) {
            break;
        }
        let step = size / curvature;
        x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
        residual.iter_mut().zip(&image).for_each(|(r, a)| *r -= step * a);
        let next = dot(&residual, &residual);
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + next / size * *d);
        size = next;
    }
    let rho = products.matrix(&x)?;
    let trace: f64 = rho.diag().iter().map(|v| v.re).sum();
    if !(trace > 1e-6) {
        return Err(Error::Format {
            what: "linear inversion: the settings do not fix the trace; measure more of them".into(),
        });
    }
    Ok(Array2::from_shape_fn(rho.dim(), |(i, j)| (rho[[i, j]] + rho[[j, i]].conj()) / (2.0 * trace)))
}

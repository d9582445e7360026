//! Covariance matrix adaptation.

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use super::Stop;
use super::minimise::{Ask, Minimum, Wanted, dot, moved};
use crate::error::{Error, Result};
use crate::linalg::{Op, eigh, matmul};
use crate::random::Seed;

/// Share of the first step size below which the steps are taken to have come to rest.
const AT_REST: f64 = 1e-12;
/// Difference of values below which generations are alike.
const ALIKE: f64 = 1e-14;
/// Ratio of the largest to the smallest variance beyond which the covariance is of no more use.
const CONDITION: f64 = 1e14;

/// The weights and rates of Hansen's tutorial (table 1), fixed by the number of dimensions and the population.
struct Rates {
    /// One for each of the population, best first; the worse half is negative.
    weights: Vec<f64>,
    /// How many of them are positive.
    parents: usize,
    /// Variance effective selection mass.
    mass: f64,
    /// Cumulation and damping of the step size.
    sigma: f64,
    damping: f64,
    /// Cumulation of the path, and learning rates of the two updates of the covariance.
    path: f64,
    one: f64,
    many: f64,
    /// Expected length of a standard normal vector.
    length: f64,
}

impl Rates {
    fn new(dims: usize, population: usize) -> Self {
        let n = dims as f64;
        let raw: Vec<f64> =
            (1..=population).map(|i| ((population as f64 + 1.0) / 2.0).ln() - (i as f64).ln()).collect();
        let parents = population / 2;
        let mass_of = |w: &[f64]| w.iter().sum::<f64>().powi(2) / dot(w, w).max(f64::MIN_POSITIVE);
        let (mass, negative_mass) = (mass_of(&raw[..parents]), mass_of(&raw[parents..]));
        let sigma = (mass + 2.0) / (n + mass + 5.0);
        let damping = 1.0 + 2.0 * (((mass - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + sigma;
        let path = (4.0 + mass / n) / (n + 4.0 + 2.0 * mass / n);
        let one = 2.0 / ((n + 1.3).powi(2) + mass);
        let many = (1.0 - one).min(2.0 * (0.25 + mass + 1.0 / mass - 2.0) / ((n + 2.0).powi(2) + mass));
        let limit =
            (1.0 + one / many).min(1.0 + 2.0 * negative_mass / (mass + 2.0)).min((1.0 - one - many) / (n * many));
        let positive: f64 = raw.iter().filter(|w| **w > 0.0).sum();
        let negative: f64 = -raw.iter().filter(|w| **w < 0.0).sum::<f64>();
        let weights = raw.iter().map(|&w| if w >= 0.0 { w / positive } else { w * limit / negative }).collect();
        let length = n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
        Rates { weights, parents, mass, sigma, damping, path, one, many, length }
    }
}

/// The covariance, and what its eigenvectors give.
struct Shape {
    covariance: Array2<f64>,
    vectors: Array2<f64>,
    /// Roots of the eigenvalues.
    deviations: Vec<f64>,
}

impl Shape {
    fn refresh(&mut self) -> Result<()> {
        let eigen = eigh(&self.covariance.view())?;
        self.deviations = eigen.values.iter().map(|v| v.max(f64::MIN_POSITIVE).sqrt()).collect();
        self.vectors = eigen.vectors;
        Ok(())
    }

    fn condition(&self) -> f64 {
        let (low, high) = (self.deviations.first(), self.deviations.last());
        low.zip(high).map_or(1.0, |(low, high)| (high / low).powi(2))
    }
}

/// Minimises by the values alone: Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772, with negative weights.
///
/// A step is a generation. It ends early once steps or values have come to rest.
pub(super) fn cma_es(
    start: &[f64],
    steps: usize,
    first: f64,
    population: Option<usize>,
    seed: Seed,
    ask: &mut Ask<'_>,
) -> Result<Minimum> {
    let n = start.len();
    let population = population.unwrap_or(4 + (3.0 * (n as f64).ln()).floor() as usize);
    let rates = Rates::new(n, population);
    let (mut mean, mut sigma) = (start.to_vec(), first);
    let mut shape = Shape { covariance: Array2::eye(n), vectors: Array2::eye(n), deviations: vec![1.0; n] };
    let (mut sigma_path, mut path) = (vec![0.0; n], vec![0.0; n]);
    // Eigenvectors now and then, so that they take no more time than the rest.
    let every = ((1.0 / (10.0 * n as f64 * (rates.one + rates.many))) as usize).max(1);
    let memory = 10 + (30.0 * n as f64 / population as f64).ceil() as usize;
    let mut recent: Vec<f64> = Vec::new();
    let mut best = (ask(start, Wanted::Value)?.0, start.to_vec());
    let (mut done, mut stop) = (0, Stop::ScheduleEnded);
    for generation in 0..steps {
        if generation % every == 0 {
            shape.refresh()?;
        }
        let mut stream = seed.stream("cma-es", generation as u64);
        let normal = Array2::<f64>::from_shape_simple_fn((population, n), || StandardNormal.sample(&mut stream));
        let scaled = Array2::from_shape_fn((population, n), |(k, i)| normal[[k, i]] * shape.deviations[i]);
        // Rows are steps in units of sigma.
        let drawn = matmul(&scaled.view(), Op::None, &shape.vectors.t(), Op::None);
        let mut order = Vec::with_capacity(population);
        for (k, step) in drawn.rows().into_iter().enumerate() {
            let point = moved(&mean, sigma, &step.to_vec());
            let value = ask(&point, Wanted::Value)?.0;
            if value < best.0 || !best.0.is_finite() && value.is_finite() {
                best = (value, point);
            }
            order.push((if value.is_finite() { value } else { f64::INFINITY }, k));
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        done = generation + 1;
        if order[0].0 == f64::INFINITY {
            return Err(Error::NotFinite {
                what: format!("all values of generation {generation} of what is minimised"),
            });
        }
        let mut step = vec![0.0; n];
        for (&weight, &(_, k)) in rates.weights.iter().zip(&order).take(rates.parents) {
            step.iter_mut().zip(drawn.row(k)).for_each(|(s, y)| *s += weight * y);
        }
        mean = moved(&mean, sigma, &step);
        // C^(-1/2) of the step is the step without the scaling.
        let along: Vec<f64> =
            (0..n).map(|i| dot(&shape.vectors.column(i).to_vec(), &step) / shape.deviations[i]).collect();
        let gain = (rates.sigma * (2.0 - rates.sigma) * rates.mass).sqrt();
        for (i, p) in sigma_path.iter_mut().enumerate() {
            let whitened: f64 = along.iter().zip(shape.vectors.row(i)).map(|(a, v)| a * v).sum();
            *p = (1.0 - rates.sigma) * *p + gain * whitened;
        }
        let length = dot(&sigma_path, &sigma_path).sqrt();
        sigma *= (rates.sigma / rates.damping * (length / rates.length - 1.0)).exp();
        // A path that is long because sigma is too small is not to stretch the covariance.
        let expected = (1.0 - (1.0 - rates.sigma).powf(2.0 * done as f64)).sqrt();
        let calm = length / expected < (1.4 + 2.0 / (n as f64 + 1.0)) * rates.length;
        let gain = if calm { (rates.path * (2.0 - rates.path) * rates.mass).sqrt() } else { 0.0 };
        path.iter_mut().zip(&step).for_each(|(p, s)| *p = (1.0 - rates.path) * *p + gain * s);
        update(&mut shape.covariance, &rates, &path, calm, &order, &drawn, &normal);
        recent.push(order[0].0);
        let spread = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            high - low
        };
        let largest = shape.covariance.diag().iter().fold(0.0_f64, |m, &v| m.max(v.abs())).sqrt();
        let alike = recent.len() >= memory
            && spread(&mut recent[recent.len() - memory..].iter().copied()) < ALIKE
            && spread(&mut order.iter().map(|o| o.0)) < ALIKE;
        let reach = sigma * largest.max(path.iter().fold(0.0_f64, |m, p| m.max(p.abs())));
        if alike || reach < AT_REST * first || shape.condition() > CONDITION {
            stop = Stop::Converged;
            break;
        }
    }
    // Where values are noisy the mean is better than the luckiest point.
    let value = ask(&mean, Wanted::Value)?.0;
    if value <= best.0 {
        best = (value, mean);
    }
    Ok(Minimum { point: best.1, value: best.0, steps: done, evaluations: 0, stop })
}

/// The covariance after a generation (eq. 47): towards the path and towards the steps that were good, away from the bad ones.
fn update(
    covariance: &mut Array2<f64>,
    rates: &Rates,
    path: &[f64],
    calm: bool,
    order: &[(f64, usize)],
    drawn: &Array2<f64>,
    normal: &Array2<f64>,
) {
    let n = path.len();
    let missing = if calm { 0.0 } else { rates.path * (2.0 - rates.path) };
    let sum: f64 = rates.weights.iter().sum();
    let keep = 1.0 + rates.one * missing - rates.one - rates.many * sum;
    let mut weighted = Array2::zeros((order.len(), n));
    for ((&weight, &(_, k)), mut row) in rates.weights.iter().zip(order).zip(weighted.rows_mut()) {
        // Bad steps count by their direction alone, so that the covariance stays positive.
        let weight = if weight >= 0.0 {
            weight
        } else {
            weight * n as f64 / normal.row(k).iter().map(|z| z * z).sum::<f64>().max(f64::MIN_POSITIVE)
        };
        row.assign(&drawn.row(k).mapv(|y| y * weight));
    }
    let ranked = drawn.select(ndarray::Axis(0), &order.iter().map(|o| o.1).collect::<Vec<_>>());
    let many = matmul(&weighted.t(), Op::None, &ranked.view(), Op::None);
    for ((i, j), c) in covariance.indexed_iter_mut() {
        *c = keep * *c + rates.one * path[i] * path[j] + rates.many * 0.5 * (many[[i, j]] + many[[j, i]]);
    }
}

//! Minimisers of functions of many real numbers.

use super::cma_es::cma_es;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::train::Stop;
use rand::RngExt;

/// How a function is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Minimiser {
    /// Limited-memory BFGS with a line search for the weak Wolfe conditions: for exact gradients.
    ///
    /// Nocedal, Math. Comp. 35, 773 (1980); the line search is that of Lewis and Overton, Math. Program. 141, 135 (2013).
    Lbfgs {
        /// Steps that are remembered.
        memory: usize,
    },
    /// Adam (Kingma and Ba, 2015) with decays 0.9 and 0.999: for noisy gradients.
    Adam {
        /// The rate.
        rate: f64,
    },
    /// Two values a step at points shifted at random: for noisy values without gradients.
    ///
    /// Spall, IEEE Trans. Automat. Control 37, 332 (1992), with the decays 0.602 and 0.101.
    Spsa {
        /// The first rate.
        rate: f64,
        /// The first shift.
        shift: f64,
    },
    /// Covariance matrix adaptation, from values alone, for rugged functions of up to some hundreds of numbers: a step is a
    /// generation, whose points are drawn from a normal distribution that learns from the better half of them.
    ///
    /// Hansen, arXiv:1604.00772.
    CmaEs {
        /// The first standard deviation of the points, about a third of how far the minimum may be.
        spread: f64,
        /// Points in a generation; `4 + 3 ln n` for `n` numbers unless given.
        population: Option<usize>,
    },
}

/// What a function is asked for: its value at a point, and its gradient where it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The value alone; the gradient may be empty.
    Value,
    /// Both.
    Gradient,
}

/// Where a minimisation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The best point seen.
    pub point: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Steps done.
    pub steps: usize,
    /// How often the function was asked.
    pub evaluations: usize,
    /// Why it ended.
    pub stop: Stop,
}

impl Minimiser {
    fn check(&self) -> Result<()> {
        let positive = |name, x: f64| match x > 0.0 && x.is_finite() {
            true => Ok(()),
            false => Err(Error::setting(name, x, "give a number above 0")),
        };
        match *self {
            Minimiser::Lbfgs { memory: 0 } => Err(Error::setting("memory", 0, "give at least 1")),
            Minimiser::Lbfgs { .. } => Ok(()),
            Minimiser::Adam { rate } => positive("rate", rate),
            Minimiser::Spsa { rate, shift } => positive("rate", rate).and(positive("shift", shift)),
            Minimiser::CmaEs { population: Some(points), .. } if points < 4 => {
                Err(Error::setting("population", points, "give at least 4"))
            }
            Minimiser::CmaEs { spread, .. } => positive("spread", spread),
        }
    }

    /// Minimises `f`, which gives value and gradient, from `start` in at most `steps` steps.
    ///
    /// L-BFGS ends early where no step makes the value smaller. CMA-ES where steps or values have come to rest. `seed` is for the random shifts
    /// of SPSA and the points of CMA-ES.
    ///
    /// ```
    /// use ansatz::Seed;
    /// use ansatz::train::Minimiser;
    /// // Rosenbrock's valley: the minimum is at (1, 1).
    /// let valley = |x: &[f64], _| {
    ///     let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
    ///     Ok((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * b * x[0], 200.0 * b]))
    /// };
    /// let minimum = Minimiser::Lbfgs { memory: 5 }.run(&[-1.2, 1.0], 200, Seed(1), valley)?;
    /// assert!(minimum.value < 1e-18);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for impossible settings, [`Error::Empty`] without numbers, [`Error::NotFinite`] if the value or
    /// the gradient at the start is not finite, and what `f` returns.
    pub fn run(
        &self,
        start: &[f64],
        steps: usize,
        seed: Seed,
        mut f: impl FnMut(&[f64], Wanted) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Minimum> {
        self.check()?;
        if start.is_empty() {
            return Err(Error::Empty { what: "point of a minimisation".into() });
        }
        let mut evaluations = 0;
        let mut ask = |x: &[f64], wanted: Wanted| {
            evaluations += 1;
            let (value, gradient) = f(x, wanted)?;
            if wanted == Wanted::Gradient && gradient.len() != x.len() {
                return Err(Error::shape("gradient", gradient.len(), x.len()));
            }
            Ok((value, gradient))
        };
        let mut minimum = match *self {
            Minimiser::Lbfgs { memory } => lbfgs(start, steps, memory, &mut ask)?,
            Minimiser::Adam { rate } => adam(start, steps, rate, &mut ask)?,
            Minimiser::Spsa { rate, shift } => spsa(start, steps, rate, shift, seed, &mut ask)?,
            Minimiser::CmaEs { spread, population } => cma_es(start, steps, spread, population, seed, &mut ask)?,
        };
        minimum.evaluations = evaluations;
        Ok(minimum)
    }
}

impl Minimiser {
    /// The best of several starts: each is minimised for `trial` steps, and the one of lowest value then for `steps` more.
    ///
    /// A single start goes on at once.
    ///
    /// ```
    /// use ansatz::Seed;
    /// use ansatz::train::Minimiser;
    /// // Two wells, of which the left one is deeper.
    /// let wells = |x: &[f64], _| {
    ///     let well = x[0] * x[0] - 1.0;
    ///     Ok((well * well + 0.3 * x[0], vec![4.0 * x[0] * well + 0.3]))
    /// };
    /// let minimum = Minimiser::Lbfgs { memory: 5 }.run_from(&[vec![2.0], vec![-2.0]], 5, 50, Seed(1), wells)?;
    /// assert!(minimum.point[0] < -1.0);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] without starts; as [`run`](Self::run).
    pub fn run_from(
        &self,
        starts: &[Vec<f64>],
        trial: usize,
        steps: usize,
        seed: Seed,
        mut f: impl FnMut(&[f64], Wanted) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Minimum> {
        if let [only] = starts {
            return self.run(only, steps, seed, f);
        }
        let (mut best, mut evaluations): (Option<Minimum>, usize) = (None, 0);
        for start in starts {
            let found = self.run(start, trial, seed, &mut f)?;
            evaluations += found.evaluations;
            if best.as_ref().is_none_or(|best| found.value < best.value) {
                best = Some(found);
            }
        }
        let Some(best) = best else { return Err(Error::Empty { what: "starts of a minimisation".into() }) };
        let mut minimum = self.run(&best.point, steps, seed, f)?;
        minimum.evaluations += evaluations;
        Ok(minimum)
    }
}

pub(super) type Ask<'a> = dyn FnMut(&[f64], Wanted) -> Result<(f64, Vec<f64>)> + 'a;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub(super) fn moved(x: &[f64], by: f64, along: &[f64]) -> Vec<f64> {
    x.iter().zip(along).map(|(x, d)| x + by * d).collect()
}

fn finite(value: f64, gradient: &[f64]) -> Result<()> {
    if value.is_finite() && gradient.iter().all(|g| g.is_finite()) {
        return Ok(());
    }
    Err(Error::NotFinite { what: "value or gradient of what is minimised".into() })
}

/// Trials of a line search.
const TRIALS: usize = 40;

fn lbfgs(start: &[f64], steps: usize, memory: usize, ask: &mut Ask<'_>) -> Result<Minimum> {
    let mut x = start.to_vec();
    let (mut value, mut gradient) = ask(&x, Wanted::Gradient)?;
    finite(value, &gradient)?;
    let mut pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    let mut done = 0;
    let mut stop = Stop::ScheduleEnded;
    'steps: while done < steps {
        // Two loops: the inverse Hessian that the pairs imply, times the gradient.
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(pairs.len());
        for (s, y, rho) in pairs.iter().rev() {
            let share = rho * dot(s, &direction);
            direction = moved(&direction, -share, y);
            shares.push(share);
        }
        let scale = match pairs.last() {
            Some((s, y, _)) => dot(s, y) / dot(y, y),
            None => 1.0 / dot(&gradient, &gradient).sqrt().max(f64::MIN_POSITIVE),
        };
        direction.iter_mut().for_each(|d| *d *= scale);
        for ((s, y, rho), share) in pairs.iter().zip(shares.iter().rev()) {
            let back = rho * dot(y, &direction);
            direction = moved(&direction, share - back, s);
        }
        let slope = dot(&gradient, &direction);
        if !(slope < 0.0) {
            if pairs.is_empty() {
                stop = Stop::Converged;
                break;
            }
            pairs.clear();
            continue;
        }
        let (mut low, mut high, mut t) = (0.0, f64::INFINITY, 1.0);
        let mut taken = None;
        for _ in 0..TRIALS {
            let trial = moved(&x, t, &direction);
            let (v, g) = ask(&trial, Wanted::Gradient)?;
            if !(v <= value + 1e-4 * t * slope) {
                high = t;
            } else {
                let enough = dot(&g, &direction) >= 0.9 * slope;
                taken = Some((trial, v, g));
                if enough {
                    break;
                }
                low = t;
            }
            t = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
        }
        let Some((next, v, g)) = taken.filter(|(_, v, g)| *v < value && finite(*v, g).is_ok()) else {
            if pairs.is_empty() {
                stop = Stop::Converged;
                break 'steps;
            }
            pairs.clear();
            continue;
        };
        let (s, y) = (moved(&next, -1.0, &x), moved(&g, -1.0, &gradient));
        let product = dot(&s, &y);
        if product > 1e-300 {
            if pairs.len() == memory {
                pairs.remove(0);
            }
            pairs.push((s, y, 1.0 / product));
        }
        (x, value, gradient) = (next, v, g);
        done += 1;
    }
    Ok(Minimum { point: x, value, steps: done, evaluations: 0, stop })
}

fn adam(start: &[f64], steps: usize, rate: f64, ask: &mut Ask<'_>) -> Result<Minimum> {
    let mut x = start.to_vec();
    let (mut mean, mut square) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let mut best = (f64::INFINITY, x.clone());
    for step in 1..=steps {
        let (value, gradient) = ask(&x, Wanted::Gradient)?;
        finite(value, &gradient)?;
        if value < best.0 {
            best = (value, x.clone());
        }
        let (first, second) = (1.0 - 0.9_f64.powf(step as f64), 1.0 - 0.999_f64.powf(step as f64));
        for (i, g) in gradient.iter().enumerate() {
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.999 * square[i] + 0.001 * g * g;
            x[i] -= rate * (mean[i] / first) / ((square[i] / second).sqrt() + 1e-8);
        }
    }
    let (value, _) = ask(&x, Wanted::Value)?;
    if value < best.0 {
        best = (value, x);
    }
    Ok(Minimum { point: best.1, value: best.0, steps, evaluations: 0, stop: Stop::ScheduleEnded })
}

fn spsa(start: &[f64], steps: usize, rate: f64, shift: f64, seed: Seed, ask: &mut Ask<'_>) -> Result<Minimum> {
    let mut x = start.to_vec();
    for step in 0..steps {
        let mut stream = seed.stream("spsa", step as u64);
        let signs: Vec<f64> = x.iter().map(|_| if stream.random() { 1.0 } else { -1.0 }).collect();
        let k = step as f64 + 1.0;
        let (a, c) = (rate / (k + 0.1 * steps as f64).powf(0.602), shift / k.powf(0.101));
        let (plus, _) = ask(&moved(&x, c, &signs), Wanted::Value)?;
        let (minus, _) = ask(&moved(&x, -c, &signs), Wanted::Value)?;
        finite(plus - minus, &[])?;
        x = moved(&x, -a * (plus - minus) / (2.0 * c), &signs);
    }
    let (value, _) = ask(&x, Wanted::Value)?;
    Ok(Minimum { point: x, value, steps, evaluations: 0, stop: Stop::ScheduleEnded })
}

//! Sweeps over the bonds of a Born machine: environments, the local step, and what moves them on.

use ndarray::{Array2, Array3, Array4, ArrayView2};

use super::classes::{Position, Samples};
use super::environments::{Environment, Side};
use super::split::{self, Split};
use super::step::Bond;
use crate::chain::Toward;
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, Truncation, gemm_parallel};
use crate::model::Batch;
use crate::random::{Seed, permutation};
use crate::scalar::{Real, Scalar};

/// How the gradient of a bond becomes a direction.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The gradient itself.
    Plain,
    /// The gradient scaled to a norm of (number of elements)^(1/4), so that a rate fits every bond dimension.
    NormScaled,
    /// Adam (Kingma and Ba, 2015) over the steps made at one bond: moments start anew at each visit, since the gauge of
    /// a bond does not outlive it.
    Adam,
}

/// How a merged tensor is parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Splitting {
    /// Full singular value decomposition at every step.
    Exact,
    /// Subspace iteration from the previous factors where the bond is full, the decomposition elsewhere.
    Warm,
}

/// What is done at a bond.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Length of a step along the direction.
    pub rate: f64,
    /// How the bond is cut afterwards.
    pub truncation: Truncation,
    /// How the direction is made.
    pub direction: Direction,
    /// Gradient steps before the bond is cut, each on the next mini-batch.
    pub steps: usize,
    /// How the merged tensor is parted.
    pub splitting: Splitting,
}

/// What became of a bond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The bond dimension after the cut.
    pub kept: usize,
    /// Share of the weight that was cut off.
    pub discarded_weight: f64,
    /// Mean negative log-likelihood of the first mini-batch, nats, before the step.
    pub nll: f64,
}

/// A part of the data with its environments.
struct Shard<T> {
    samples: Samples,
    /// Row of the whole batch for each row of this part.
    rows: Vec<usize>,
    position: Position,
    left: Vec<Option<Environment<T>>>,
    right: Vec<Option<Environment<T>>>,
}

/// The tensors of a chain on their way over the bonds, with the environments of all samples.
pub struct Sweeper<T> {
    tensors: Vec<Array3<T>>,
    centre: usize,
    shards: Vec<Shard<T>>,
    /// Only environments at multiples of the stride outlive the bond they were made for.
    stride: usize,
    next_shard: usize,
}

impl<T: Scalar> Shard<T> {
    fn left(&mut self, at: usize, tensors: &[Array3<T>]) -> Result<()> {
        let Some(from) = (0..=at).rev().find(|&j| self.left[j].is_some()) else { return Ok(()) };
        for j in from..at {
            let next =
                self.left[j].as_ref().map(|e| e.advance(self.samples.prefixes(j + 1), &tensors[j].view(), Side::Left));
            self.left[j + 1] = next;
        }
        Ok(())
    }

    fn right(&mut self, at: usize, tensors: &[Array3<T>]) -> Result<()> {
        let Some(from) = (at..self.right.len()).find(|&j| self.right[j].is_some()) else { return Ok(()) };
        for j in (at..from).rev() {
            let next = self.right[j + 1]
                .as_ref()
                .map(|e| e.advance(self.samples.suffixes(j), &tensors[j].view(), Side::Right));
            self.right[j] = next;
        }
        Ok(())
    }
}

impl<T: Scalar> Sweeper<T> {
    /// Starts from a chain that is canonical with a centre of norm one.
    ///
    /// The data are dealt into `shards` mini-batches by `seed`. Environments are kept at every `stride`-th site.
    pub fn new(
        tensors: Vec<Array3<T>>,
        centre: usize,
        batch: &Batch<u8>,
        shards: usize,
        stride: usize,
        seed: Seed,
    ) -> Result<Self> {
        let dims: Vec<usize> = tensors.iter().map(|a| a.dim().1).collect();
        batch.check(&dims)?;
        let sites = dims.len();
        let shards = shards.clamp(1, batch.samples());
        let order = if shards == 1 {
            (0..batch.samples()).collect()
        } else {
            permutation(batch.samples(), &mut seed.stream("mini-batches", 0))
        };
        let size = batch.samples().div_ceil(shards);
        let shards = order
            .chunks(size)
            .map(|rows| {
                let samples = Samples::new(&batch.select(rows)?, &dims);
                let position = Position::new(&samples);
                let mut left = vec![None; sites + 1];
                let mut right = vec![None; sites + 1];
                left[0] = Some(Environment::edge());
                right[sites] = Some(Environment::edge());
                Ok(Shard { samples, rows: rows.to_vec(), position, left, right })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Sweeper { tensors, centre, shards, stride: stride.max(1), next_shard: 0 })
    }

    pub fn tensors(&self) -> &[Array3<T>] {
        &self.tensors
    }

    pub fn centre(&self) -> usize {
        self.centre
    }

    pub fn next_shard(&self) -> usize {
        self.next_shard
    }

    /// Continues with the mini-batch another run would have come to.
    pub fn set_next_shard(&mut self, next: usize) {
        self.next_shard = next % self.shards.len();
    }

    /// Replaces the chain; every environment is made anew.
    pub fn reset(&mut self, tensors: Vec<Array3<T>>, centre: usize) {
        self.tensors = tensors;
        self.centre = centre;
        let sites = self.tensors.len();
        for shard in &mut self.shards {
            shard.left[1..].fill_with(|| None);
            shard.right[..sites].fill_with(|| None);
        }
    }

    pub fn into_tensors(self) -> (Vec<Array3<T>>, usize) {
        (self.tensors, self.centre)
    }

    /// One bond: gradient steps on the merged tensor, then the cut; the centre ends on the side of `toward`.
    pub fn update(&mut self, k: usize, toward: Toward, step: &Step) -> Result<Update> {
        self.update_inner(k, toward, step).map_err(|e| e.at(Place::Bond(k)))
    }

    fn update_inner(&mut self, k: usize, toward: Toward, step: &Step) -> Result<Update> {
        let (a, b) = (&self.tensors[k], &self.tensors[k + 1]);
        let ((dl, ds, inner), (_, dt, dr)) = (a.dim(), b.dim());
        let mut merged = Array2::zeros((dl * ds, dt * dr));
        gemm_parallel(T::one(), &rows(a, 2), Op::None, &rows(b, 1), Op::None, T::zero(), &mut merged.view_mut());
        let mut merged = fold(merged, (dl, ds, dt, dr));
        let mut adam = None;
        let mut first_nll = None;
        for round in 0..step.steps.max(1) {
            let count = self.shards.len();
            let shard = &mut self.shards[self.next_shard];
            self.next_shard = (self.next_shard + 1) % count;
            let (outer_l, outer_r) = match (round, toward) {
                (0, Toward::Right) => {
                    shard.left(k, &self.tensors)?;
                    shard.right(k + 1, &self.tensors)?;
                    let made =
                        shard.left[k].as_ref().map(|l| l.advance(shard.samples.prefixes(k + 1), &a.view(), Side::Left));
                    (made, None)
                }
                (0, Toward::Left) => {
                    shard.left(k + 1, &self.tensors)?;
                    shard.right(k + 2, &self.tensors)?;
                    let made = shard.right[k + 2]
                        .as_ref()
                        .map(|r| r.advance(shard.samples.suffixes(k + 1), &b.view(), Side::Right));
                    (None, made)
                }
                _ => {
                    shard.left(k, &self.tensors)?;
                    shard.right(k + 2, &self.tensors)?;
                    (None, None)
                }
            };
            let (Some(left), Some(right)) = (&shard.left[k], &shard.right[k + 2]) else {
                return Err(Error::Empty { what: "the environment".into() });
            };
            let bond = Bond { samples: &shard.samples, site: k, left, right };
            let position = &mut shard.position;
            let amplitudes = match (&outer_l, &outer_r) {
                (Some(l), _) => shard.right[k + 1].as_ref().map(|r| bond.amplitudes(l, r, position)),
                (_, Some(r)) => shard.left[k + 1].as_ref().map(|l| bond.amplitudes(l, r, position)),
                _ => None,
            };
            let amplitudes = amplitudes.unwrap_or_else(|| bond.amplitudes_of(&merged.view(), position));
            if let Some(bad) = amplitudes.bad {
                return Err(Error::ZeroAmplitude { sample: shard.rows[shard.samples.origin[bad]] });
            }
            first_nll.get_or_insert(amplitudes.nll);
            let mut gradient = Array4::zeros(merged.dim());
            bond.gradient(&amplitudes.factor, position, &mut gradient);
            descend(&mut merged, gradient, step, round, &mut adam)?;
        }
        let flat =
            merged.into_shape_with_order((dl * ds, dt * dr)).map_err(|e| Error::Format { what: e.to_string() })?;
        // Small decompositions cost less than what would replace them.
        let warm =
            step.splitting == Splitting::Warm && (dl * ds).min(dt * dr) >= WARM_FROM && inner < (dl * ds).min(dt * dr);
        let part = |m: &ArrayView2<T>, guess: &ArrayView2<T>| -> Result<Split<T>> {
            if warm && let Some(split) = split::warm(m, guess, &step.truncation, WARM_ROUNDS)? {
                return Ok(split);
            }
            split::exact(m, &step.truncation)
        };
        let Split { q, mut z, discarded_weight } = match toward {
            Toward::Right => part(&flat.view(), &rows(b, 1))?,
            Toward::Left => part(&flat.t(), &rows(a, 2).t())?,
        };
        let norm = split::sum_of_squares(&z.view()).sqrt();
        if !(norm > 0.0 && norm.is_finite()) {
            return Err(Error::NotFinite { what: "the merged tensor after the step".into() });
        }
        z.mapv_inplace(|x| x.scale(T::Real::of(1.0 / norm)));
        let kept = q.ncols();
        let (new_a, new_b) = match toward {
            Toward::Right => (q, z),
            Toward::Left => (z.reversed_axes(), q.reversed_axes()),
        };
        self.tensors[k] = site(new_a, (dl, ds, kept));
        self.tensors[k + 1] = site(new_b, (kept, dt, dr));
        self.centre = if toward == Toward::Right { k + 1 } else { k };
        for shard in &mut self.shards {
            match toward {
                Toward::Right => {
                    shard.left(k, &self.tensors)?;
                    shard.right[k + 1] = None;
                    shard.left[k + 1] = None;
                    shard.left(k + 1, &self.tensors)?;
                    if k % self.stride != 0 {
                        shard.left[k] = None;
                    }
                }
                Toward::Left => {
                    shard.right(k + 2, &self.tensors)?;
                    shard.left[k + 1] = None;
                    shard.right[k + 1] = None;
                    shard.right(k + 1, &self.tensors)?;
                    if (k + 2) % self.stride != 0 && k + 2 < self.tensors.len() {
                        shard.right[k + 2] = None;
                    }
                }
            }
        }
        Ok(Update { kept, discarded_weight, nll: first_nll.unwrap_or(f64::NAN) })
    }
}

const WARM_ROUNDS: usize = 1;
const WARM_FROM: usize = 24;

/// `M <- (M + rate direction) / |...|`, with `direction = gradient - 2 M`.
fn descend<T: Scalar>(
    merged: &mut Array4<T>,
    mut gradient: Array4<T>,
    step: &Step,
    round: usize,
    adam: &mut Option<(Array4<T>, Vec<f64>)>,
) -> Result<()> {
    gradient.zip_mut_with(merged, |g, &m| *g -= m + m);
    let squares = |x: &Array4<T>| -> f64 {
        x.as_slice()
            .unwrap_or(&[])
            .chunks(256)
            .map(|c| Real::to_f64(c.iter().map(|v| v.abs_sq()).sum::<T::Real>()))
            .sum()
    };
    match step.direction {
        Direction::Plain => merged.scaled_add(T::from_f64(step.rate), &gradient),
        Direction::NormScaled => {
            let norm = squares(&gradient).sqrt();
            let target = (gradient.len() as f64).powf(0.25);
            // At a stationary point there is no direction to scale up.
            let factor = if norm > 1e-12 * target { target / norm } else { 0.0 };
            merged.scaled_add(T::from_f64(step.rate * factor), &gradient);
        }
        Direction::Adam => {
            let (first, second) =
                adam.get_or_insert_with(|| (Array4::zeros(gradient.dim()), vec![0.0; gradient.len()]));
            let t = round as i32 + 1;
            let (c1, c2) = (1.0 - 0.9_f64.powi(t), 1.0 - 0.999_f64.powi(t));
            for (((m, g), v), x) in first.iter_mut().zip(&gradient).zip(second.iter_mut()).zip(merged.iter_mut()) {
                *m = m.scale(T::Real::of(0.9)) + g.scale(T::Real::of(0.1));
                *v = 0.999 * *v + 0.001 * Real::to_f64(g.abs_sq());
                *x += m.scale(T::Real::of(step.rate / c1 / ((*v / c2).sqrt() + 1e-8)));
            }
        }
    }
    let norm = squares(merged).sqrt();
    if !(norm > 0.0 && norm.is_finite()) {
        return Err(Error::NotFinite { what: "the merged tensor after the step".into() });
    }
    merged.mapv_inplace(|x| x.scale(T::Real::of(1.0 / norm)));
    Ok(())
}

/// A site tensor as a matrix whose rows are its first `legs` legs.
fn rows<T: Scalar>(tensor: &Array3<T>, legs: usize) -> ArrayView2<'_, T> {
    let (l, d, r) = tensor.dim();
    let shape = if legs == 1 { (l, d * r) } else { (l * d, r) };
    // Site tensors are in standard layout wherever they are made, so this reshape cannot fail.
    tensor
        .view()
        .into_shape_with_order(shape)
        .unwrap_or_else(|_| ArrayView2::from_shape((0, 0), &[]).unwrap_or_else(|_| unreachable!()))
}

fn fold<T: Scalar>(matrix: Array2<T>, shape: (usize, usize, usize, usize)) -> Array4<T> {
    matrix.into_shape_with_order(shape).unwrap_or_else(|_| Array4::zeros(shape))
}

fn site<T: Scalar>(matrix: Array2<T>, shape: (usize, usize, usize)) -> Array3<T> {
    let matrix = if matrix.is_standard_layout() { matrix } else { matrix.as_standard_layout().into_owned() };
    matrix.into_shape_with_order(shape).unwrap_or_else(|_| Array3::zeros(shape))
}

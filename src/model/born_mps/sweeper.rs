//! Sweeps over the bonds of a Born machine: environments, the local step, and what moves them on.

use ndarray::{Array2, Array3, Array4, ArrayView2};

use super::BornMps;
use super::classes::{Position, Samples};
use super::environments::{Environment, Side, squares};
use super::memory;
use super::split::{self, Split};
use super::step::{Amplitudes, Bond};
use crate::chain::{Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, gemm_parallel};
use crate::model::{Batch, BondSweeper, Direction, Splitting, Step, SweepSetup, Sweepable, Update};
use crate::random::permutation;
use crate::scalar::{Real, Scalar};

/// A part of the data with its environments.
struct Shard<T> {
    samples: Samples,
    /// Share of the whole batch.
    share: f64,
    /// Row of the whole batch for each row of this part.
    rows: Vec<usize>,
    position: Position,
    left: Vec<Option<Environment<T>>>,
    right: Vec<Option<Environment<T>>>,
    /// Memory of environments that are no longer needed, for the next ones.
    spare: Vec<Vec<T>>,
}

/// The tensors of a chain on their way over the bonds, with the environments of all samples.
pub struct Sweeper<T> {
    tensors: Vec<Array3<T>>,
    centre: usize,
    shards: Vec<Shard<T>>,
    /// Only environments at multiples of the stride outlive the bond they were made for.
    stride: usize,
    /// What the data and the environments take at the most.
    bytes: u64,
    next_shard: usize,
}

impl<T: Scalar> Shard<T> {
    /// Makes the left environments up to `at` from the nearest one that is kept.
    fn left(&mut self, at: usize, tensors: &[Array3<T>]) {
        let Some(from) = (0..=at).rev().find(|&j| self.left[j].is_some()) else { return };
        for j in from..at {
            let level = self.samples.prefixes(j + 1);
            let buffer = self.spare.pop().unwrap_or_default();
            self.left[j + 1] = self.left[j].as_ref().map(|e| e.advance(level, &tensors[j].view(), Side::Left, buffer));
        }
    }

    /// Makes the right environments down to `at` from the nearest one that is kept.
    fn right(&mut self, at: usize, tensors: &[Array3<T>]) {
        let Some(from) = (at..self.right.len()).find(|&j| self.right[j].is_some()) else { return };
        for j in (at..from).rev() {
            let level = self.samples.suffixes(j);
            let buffer = self.spare.pop().unwrap_or_default();
            let from = self.right[j + 1].as_ref();
            self.right[j] = from.map(|e| e.advance(level, &tensors[j].view(), Side::Right, buffer));
        }
    }

    /// The environment that takes in the centre, while that of the other site of bond `k` is at hand: it was made when
    /// the last sweep left that site.
    fn outer(&mut self, k: usize, toward: Toward, tensors: &[Array3<T>]) -> Outer<T> {
        match toward {
            Toward::Right => {
                self.left(k, tensors);
                // In this order: the outer one may be kept where the inner one is not.
                self.right(k + 2, tensors);
                self.right(k + 1, tensors);
                let (level, buffer) = (self.samples.prefixes(k + 1), self.spare.pop().unwrap_or_default());
                Outer::Left(self.left[k].as_ref().map(|l| l.advance(level, &tensors[k].view(), Side::Left, buffer)))
            }
            Toward::Left => {
                self.left(k, tensors);
                self.left(k + 1, tensors);
                self.right(k + 2, tensors);
                let (level, buffer) = (self.samples.suffixes(k + 1), self.spare.pop().unwrap_or_default());
                let from = self.right[k + 2].as_ref();
                Outer::Right(from.map(|r| r.advance(level, &tensors[k + 1].view(), Side::Right, buffer)))
            }
        }
    }

    fn amplitudes(&mut self, k: usize, outer: &Outer<T>) -> Option<Amplitudes<T>> {
        let (l, r) = match outer {
            Outer::Left(l) => (l.as_ref(), self.right[k + 1].as_ref()),
            Outer::Right(r) => (self.left[k + 1].as_ref(), r.as_ref()),
        };
        let bond = bond_of(&self.samples, k, &self.left, &self.right)?;
        Some(bond.amplitudes(l?, r?, &mut self.position))
    }

    /// Drops an environment and keeps its memory.
    fn recycle(&mut self, environment: Option<Environment<T>>) {
        if let Some(environment) = environment
            && self.spare.len() < SPARE
        {
            self.spare.push(environment.rows.into_raw_vec_and_offset().0);
        }
    }

    /// After the update of bond `k` with the centre moving to the right.
    fn passed_right(&mut self, k: usize, tensors: &[Array3<T>], stride: usize) {
        let stale = (self.right[k + 1].take(), self.left[k + 1].take());
        self.recycle(stale.0);
        self.recycle(stale.1);
        self.left(k + 1, tensors);
        if !k.is_multiple_of(stride) {
            let passed = self.left[k].take();
            self.recycle(passed);
        }
    }

    /// After the update of bond `k` with the centre moving to the left.
    fn passed_left(&mut self, k: usize, tensors: &[Array3<T>], stride: usize) {
        let stale = (self.right[k + 1].take(), self.left[k + 1].take());
        self.recycle(stale.0);
        self.recycle(stale.1);
        self.right(k + 1, tensors);
        if !(k + 2).is_multiple_of(stride) && k + 2 < tensors.len() {
            let passed = self.right[k + 2].take();
            self.recycle(passed);
        }
    }
}

/// Buffers a part of the data keeps at hand: those of the two sides of a bond, and one more.
const SPARE: usize = 3;

/// An environment that already holds a site of the bond.
enum Outer<T> {
    Left(Option<Environment<T>>),
    Right(Option<Environment<T>>),
}

fn bond_of<'a, T>(
    samples: &'a Samples,
    k: usize,
    left: &'a [Option<Environment<T>>],
    right: &'a [Option<Environment<T>>],
) -> Option<Bond<'a, T>> {
    Some(Bond { samples, site: k, left: left[k].as_ref()?, right: right[k + 2].as_ref()? })
}

impl<T: Scalar> Sweepable for BornMps<T> {
    type Sweeper = Sweeper<T>;

    fn sweeper(&self, data: &Batch<u8>, setup: &SweepSetup) -> Result<Sweeper<T>> {
        Sweeper::new(self, data, setup)
    }

    fn bond_dimensions(&self) -> Vec<usize> {
        self.state().bonds()
    }

    fn smoothed(&self, amount: f64) -> Result<Self> {
        BornMps::smoothed(self, amount)
    }
}

impl<T: Scalar> Sweeper<T> {
    fn new(model: &BornMps<T>, batch: &Batch<u8>, setup: &SweepSetup) -> Result<Self> {
        let dims = model.dims();
        batch.check(&dims)?;
        let sites = dims.len();
        if sites < 2 {
            return Err(Error::setting("sites", sites, "two-site sweeps need at least 2"));
        }
        let parts = setup.mini_batches.clamp(1, batch.samples());
        let order = if parts == 1 {
            (0..batch.samples()).collect()
        } else {
            permutation(batch.samples(), &mut setup.seed.stream("mini-batches", 0))
        };
        let shards = order
            .chunks(batch.samples().div_ceil(parts))
            .map(|rows| {
                let samples = Samples::new(&batch.select(rows)?, &dims);
                let position = Position::new(&samples);
                let mut left = vec![None; sites + 1];
                let mut right = vec![None; sites + 1];
                left[0] = Some(Environment::edge());
                right[sites] = Some(Environment::edge());
                let share = rows.len() as f64 / batch.samples() as f64;
                Ok(Shard { samples, share, rows: rows.to_vec(), position, left, right, spare: Vec::new() })
            })
            .collect::<Result<Vec<_>>>()?;
        let parts: Vec<&Samples> = shards.iter().map(|s| &s.samples).collect();
        let (stride, bytes) = memory::stride::<T>(&parts, &dims, setup)?;
        let mut sweeper = Sweeper { tensors: Vec::new(), centre: 0, shards, stride, bytes, next_shard: 0 };
        sweeper.reset(model)?;
        Ok(sweeper)
    }
}

impl<T: Scalar> BondSweeper for Sweeper<T> {
    type Model = BornMps<T>;

    fn begin(&mut self) -> Result<()> {
        let last = self.tensors.len() - 1;
        if self.centre + 1 < last {
            let mut state = self.model()?.into_state();
            state.move_centre(last)?;
            self.reset(&BornMps::new(state)?)?;
        }
        Ok(())
    }

    /// From the last bond to the second, and from the first to the last but one: each end bond once.
    fn plan(&self) -> Vec<(usize, Toward)> {
        let bonds = self.tensors.len() - 1;
        if bonds == 1 {
            return vec![(0, Toward::Left), (0, Toward::Right)];
        }
        let left = (1..bonds).rev().map(|k| (k, Toward::Left));
        left.chain((0..bonds - 1).map(|k| (k, Toward::Right))).collect()
    }

    fn update(&mut self, k: usize, toward: Toward, step: &Step) -> Result<Update> {
        if k + 1 >= self.tensors.len() {
            return Err(Error::setting(
                "bond",
                k,
                format!("there are {} bonds, counted from 0", self.tensors.len() - 1),
            ));
        }
        self.update_inner(k, toward, step).map_err(|e| e.at(Place::Bond(k)))
    }

    fn nll(&mut self) -> Result<f64> {
        // With the centre at either site of this bond, the norm is one.
        let k = self.centre.min(self.tensors.len() - 2);
        let mut total = 0.0;
        for shard in &mut self.shards {
            let outer = shard.outer(k, Toward::Right, &self.tensors);
            let amplitudes = shard.amplitudes(k, &outer).ok_or_else(no_environment)?;
            total += shard.share * amplitudes.nll;
        }
        if total.is_nan() { Err(Error::NotFinite { what: "the negative log-likelihood".into() }) } else { Ok(total) }
    }

    fn model(&self) -> Result<BornMps<T>> {
        BornMps::from_normalised(Mps::new(self.tensors.clone())?.assume_centre(self.centre)?)
    }

    fn reset(&mut self, model: &BornMps<T>) -> Result<()> {
        let sites = model.dims().len();
        if self.shards.iter().any(|s| s.left.len() != sites + 1) {
            return Err(Error::shape("the model, in sites", sites, self.shards[0].left.len() - 1));
        }
        self.centre = model.state().centre().unwrap_or(sites - 1);
        self.tensors = model.state().tensors().to_vec();
        for shard in &mut self.shards {
            shard.left[1..].fill_with(|| None);
            shard.right[..sites].fill_with(|| None);
        }
        Ok(())
    }

    fn next_batch(&self) -> usize {
        self.next_shard
    }

    fn set_next_batch(&mut self, next: usize) {
        self.next_shard = next % self.shards.len();
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn no_environment() -> Error {
    Error::Empty { what: "an environment that should have been made".into() }
}

impl<T: Scalar> Sweeper<T> {
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
            // The first step finds the amplitudes in the environments, later ones in the tensor that was changed.
            let amplitudes = if round == 0 {
                let outer = shard.outer(k, toward, &self.tensors);
                let amplitudes = shard.amplitudes(k, &outer);
                let (Outer::Left(used) | Outer::Right(used)) = outer;
                shard.recycle(used);
                amplitudes
            } else {
                shard.left(k, &self.tensors);
                shard.right(k + 2, &self.tensors);
                bond_of(&shard.samples, k, &shard.left, &shard.right)
                    .map(|bond| bond.amplitudes_of(&merged.view(), &mut shard.position))
            };
            let amplitudes = amplitudes.ok_or_else(no_environment)?;
            if let Some(bad) = amplitudes.bad {
                return Err(Error::ZeroAmplitude { sample: shard.rows[shard.samples.origin[bad]] });
            }
            first_nll.get_or_insert(amplitudes.nll);
            let mut gradient = Array4::zeros(merged.dim());
            let bond = bond_of(&shard.samples, k, &shard.left, &shard.right).ok_or_else(no_environment)?;
            bond.gradient(&amplitudes.factor, &mut shard.position, &mut gradient);
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
            // Parts of the data that no step has seen at this bond may have to catch up first.
            match toward {
                Toward::Right => {
                    shard.left(k, &self.tensors);
                    shard.passed_right(k, &self.tensors, self.stride);
                }
                Toward::Left => {
                    shard.right(k + 2, &self.tensors);
                    shard.passed_left(k, &self.tensors, self.stride);
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
    let total =
        |x: &Array4<T>| -> f64 { x.as_slice().unwrap_or(&[]).chunks(256).map(|c| Real::to_f64(squares(c))).sum() };
    match step.direction {
        Direction::Plain => merged.scaled_add(T::from_f64(step.rate), &gradient),
        Direction::NormScaled => {
            let norm = total(&gradient).sqrt();
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
    let norm = total(merged).sqrt();
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

//! Sweeps over the bonds of a Born machine: environments, the local step, and what moves them on.

use ndarray::{Array2, Array3, Array4, ArrayView2, ArrayView4};

use super::BornMps;
use super::classes::{Position, Samples};
use super::descent;
use super::environments::{Buffers, Environment, Side, shaped};
use super::memory;
use super::split::{self, Split};
use super::step::{Bond, Centre, Likelihood, Workspace};
use crate::chain::{Mps, Toward};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, gemm_parallel};
use crate::model::{Batch, BondSweeper, Splitting, Step, SweepSetup, Sweepable, Update};
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
    spare: Vec<Buffers<T>>,
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
    work: Workspace<T>,
    matrices: Matrices<T>,
}

impl<T: Scalar> Shard<T> {
    /// Makes the left environments up to `at` from the nearest one that is kept.
    fn left(&mut self, at: usize, tensors: &[Array3<T>]) {
        let Some(from) = (0..=at).rev().find(|&j| self.left[j].is_some()) else { return };
        for (j, tensor) in tensors.iter().enumerate().take(at).skip(from) {
            let level = self.samples.prefixes(j + 1);
            let buffer = self.spare.pop().unwrap_or_default();
            self.left[j + 1] = self.left[j].as_ref().map(|e| e.advance(level, &tensor.view(), Side::Left, buffer));
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

    /// Makes the environments that bond `k` needs with the centre at its left site ([`Toward::Right`]) or its right one.
    fn prepare(&mut self, k: usize, toward: Toward, tensors: &[Array3<T>]) {
        // In this order: the outer environment may be kept where the inner one is not.
        match toward {
            Toward::Right => {
                self.left(k, tensors);
                self.right(k + 2, tensors);
                self.right(k + 1, tensors);
            }
            Toward::Left => {
                self.left(k, tensors);
                self.left(k + 1, tensors);
                self.right(k + 2, tensors);
            }
        }
    }

    /// The likelihood at bond `k`, and the sums for its gradient if they are asked for.
    fn evaluate(
        &mut self,
        k: usize,
        centre: CentreAt<T>,
        tensors: &[Array3<T>],
        with_sums: bool,
        work: &mut Workspace<T>,
    ) -> Option<Likelihood> {
        let centre = match centre {
            CentreAt::Left => Centre::Left(&tensors[k], self.right[k + 1].as_ref()?),
            CentreAt::Right => Centre::Right(&tensors[k + 1], self.left[k + 1].as_ref()?),
            CentreAt::Both(merged) => Centre::Merged(merged),
        };
        let bond =
            Bond { samples: &self.samples, site: k, left: self.left[k].as_ref()?, right: self.right[k + 2].as_ref()? };
        let position = &mut self.position;
        Some(if with_sums { bond.sum_up(&centre, position, work) } else { bond.likelihood(&centre, position, work) })
    }

    /// The environments on both sides of bond `k`, where they have been made.
    fn bond(&self, k: usize) -> Option<Bond<'_, T>> {
        Some(Bond { samples: &self.samples, site: k, left: self.left[k].as_ref()?, right: self.right[k + 2].as_ref()? })
    }

    /// Drops an environment and keeps its memory.
    fn recycle(&mut self, environment: Option<Environment<T>>) {
        if let Some(environment) = environment
            && self.spare.len() < SPARE
        {
            self.spare.push(environment.into_buffers());
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

/// Where the centre is, seen from a bond.
enum CentreAt<'a, T> {
    Left,
    Right,
    /// In one tensor made of both sites.
    Both(ArrayView4<'a, T>),
}

/// Large matrices that every bond needs anew, in memory that stays.
#[derive(Default)]
struct Matrices<T> {
    merged: Vec<T>,
    gradient: Vec<T>,
}

impl<T: Scalar> Sweepable for BornMps<T> {
    type Sweeper = Sweeper<T>;

    fn sweeper(&self, data: &Batch<u8>, setup: &SweepSetup) -> Result<Sweeper<T>> {
        Sweeper::new(self, data, setup)
    }

    fn bond_dimensions(&self) -> Vec<usize> {
        self.state().bonds()
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
        let bonds: Vec<usize> = model.state().tensors().iter().map(|a| a.dim().0).chain([1]).collect();
        let (stride, bytes) = memory::stride::<T>(&parts, &dims, &bonds, setup)?;
        let mut sweeper = Sweeper {
            tensors: Vec::new(),
            centre: 0,
            shards,
            stride,
            bytes,
            next_shard: 0,
            work: Workspace::default(),
            matrices: Matrices::default(),
        };
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
            shard.prepare(k, Toward::Right, &self.tensors);
            let likelihood = shard.evaluate(k, CentreAt::Left, &self.tensors, false, &mut self.work);
            total += shard.share * likelihood.ok_or_else(no_environment)?.nll;
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

    fn expected_bytes(&self, limits: &[(usize, usize)]) -> u64 {
        let dims: Vec<usize> = self.tensors.iter().map(|a| a.dim().1).collect();
        let bonds = self.tensors.iter().map(|a| a.dim().0).chain([1]).collect();
        let parts: Vec<&Samples> = self.shards.iter().map(|s| &s.samples).collect();
        memory::expected::<T>(&parts, &dims, (bonds, limits), self.stride).min(self.bytes)
    }
}

fn no_environment() -> Error {
    Error::Empty { what: "an environment that should have been made".into() }
}

impl<T: Scalar> Sweeper<T> {
    fn update_inner(&mut self, k: usize, toward: Toward, step: &Step) -> Result<Update> {
        let (a, b) = (&self.tensors[k], &self.tensors[k + 1]);
        let ((dl, ds, inner), (_, dt, dr)) = (a.dim(), b.dim());
        let shape = (dl * ds, dt * dr);
        let mut merged = shaped(std::mem::take(&mut self.matrices.merged), shape);
        gemm_parallel(T::one(), &rows(a, 2), Op::None, &rows(b, 1), Op::None, T::zero(), &mut merged.view_mut());
        let mut gradient = fold(shaped(std::mem::take(&mut self.matrices.gradient), shape), (dl, ds, dt, dr));
        let mut adam = None;
        let mut first_nll = None;
        let mut norm = 1.0;
        for round in 0..step.steps.max(1) {
            let count = self.shards.len();
            let shard = &mut self.shards[self.next_shard];
            self.next_shard = (self.next_shard + 1) % count;
            shard.prepare(k, toward, &self.tensors);
            // The first step finds the amplitudes in the environments, later ones in the tensor that was changed.
            let centre = match toward {
                _ if round > 0 => {
                    descent::divide(&mut merged, norm);
                    let view = merged.view().into_shape_with_order((dl, ds, dt, dr));
                    CentreAt::Both(view.map_err(|e| Error::Format { what: e.to_string() })?)
                }
                Toward::Right => CentreAt::Left,
                Toward::Left => CentreAt::Right,
            };
            let likelihood =
                shard.evaluate(k, centre, &self.tensors, true, &mut self.work).ok_or_else(no_environment)?;
            if let Some(bad) = likelihood.bad {
                return Err(Error::ZeroAmplitude { sample: shard.rows[shard.samples.origin[bad]] });
            }
            first_nll.get_or_insert(likelihood.nll);
            let bond = shard.bond(k).ok_or_else(no_environment)?;
            bond.gradient(&self.work, &mut gradient);
            norm = descent::descend(&mut merged, &mut gradient, step, round, &mut adam)?;
        }
        self.matrices.gradient = gradient.into_raw_vec_and_offset().0;
        // Small decompositions cost less than what would replace them.
        let warm =
            step.splitting == Splitting::Warm && (dl * ds).min(dt * dr) >= WARM_FROM && inner < (dl * ds).min(dt * dr);
        let part = |m: &ArrayView2<T>, guess: &ArrayView2<T>| -> Result<Split<T>> {
            if warm && let Some(split) = split::warm(m, guess, norm * norm, &step.truncation)? {
                return Ok(split);
            }
            split::exact(&m.mapv(|x| x.scale(T::Real::of(1.0 / norm))).view(), &step.truncation)
        };
        let Split { q, mut z, discarded_weight } = match toward {
            Toward::Right => part(&merged.view(), &rows(b, 1))?,
            Toward::Left => part(&merged.t(), &rows(a, 2).t())?,
        };
        self.matrices.merged = merged.into_raw_vec_and_offset().0;
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

/// Merged tensors of a smaller side are decomposed in full.
const WARM_FROM: usize = 24;

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

//! Models that are improved one bond at a time.

use crate::chain::Toward;
use crate::error::Result;
use crate::linalg::Truncation;
use crate::model::{Batch, GenerativeModel, Smooth};
use crate::random::Seed;

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

/// How a sweeper is set up.
#[derive(Debug, Clone, Copy)]
pub struct SweepSetup {
    /// Parts the data are dealt into; each step sees one of them.
    pub mini_batches: usize,
    /// Decides who is dealt where.
    pub seed: Seed,
    /// The largest bond dimension the sweeps will come to.
    pub max_bond: usize,
    /// The smallest bond dimension they keep, at the most.
    pub min_bond: usize,
    /// Bytes that samples, models and environments may take; without it, all environments are kept.
    pub memory: Option<u64>,
}

/// A model that can be improved one bond at a time: chains, trees, purified states.
pub trait Sweepable: GenerativeModel<Value = u8> + Smooth + Clone + Send {
    /// What holds the environments while the bonds are passed.
    type Sweeper: BondSweeper<Model = Self>;

    /// Starts sweeping over `data`.
    ///
    /// # Errors
    /// If the data do not fit the model, or the memory ceiling is below what is needed at the least.
    fn sweeper(&self, data: &Batch<u8>, setup: &SweepSetup) -> Result<Self::Sweeper>;

    /// The dimension of each bond.
    fn bond_dimensions(&self) -> Vec<usize>;
}

/// A model on its way over the bonds.
pub trait BondSweeper {
    /// The model that is swept.
    type Model;

    /// Moves the centre to where [`plan`](Self::plan) starts, if it is elsewhere.
    ///
    /// # Errors
    /// If a tensor is not finite.
    fn begin(&mut self) -> Result<()>;

    /// The bonds of one sweep, in order, and where the centre goes at each.
    fn plan(&self) -> Vec<(usize, Toward)>;

    /// Gradient steps at one bond, and its cut.
    ///
    /// # Errors
    /// [`crate::Error::ZeroAmplitude`] if a sample has no amplitude, [`crate::Error::NotFinite`] if the step left the
    /// region of finite numbers; both with the bond.
    fn update(&mut self, bond: usize, toward: Toward, step: &Step) -> Result<Update>;

    /// Mean negative log-likelihood of all the data, nats a sample.
    ///
    /// # Errors
    /// If it is NaN.
    fn nll(&mut self) -> Result<f64>;

    /// The model as it stands.
    ///
    /// # Errors
    /// If its tensors are not finite.
    fn model(&self) -> Result<Self::Model>;

    /// Goes on from another state of the model.
    ///
    /// # Errors
    /// If the model has other sites.
    fn reset(&mut self, model: &Self::Model) -> Result<()>;

    /// The mini-batch that the next step will see.
    fn next_batch(&self) -> usize;

    /// Continues with this mini-batch.
    fn set_next_batch(&mut self, next: usize);

    /// Bytes held for the data and their environments, at the most.
    fn bytes(&self) -> u64;

    /// Bytes that sweeps with these smallest and largest bonds will probably take, from the model as it stands; not more
    /// than [`bytes`](Self::bytes).
    fn expected_bytes(&self, limits: &[(usize, usize)]) -> u64;
}

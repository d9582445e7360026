//! The traits that every model honours.

use crate::error::Result;
use crate::model::Batch;
use crate::random::Seed;

/// A normalised distribution over configurations. Implement `sites`, `log_prob` and `sample`; the rest follows.
pub trait GenerativeModel {
    /// One coordinate: `u8` for symbols, `f64` for a continuous field.
    type Value: Copy;

    /// Number of coordinates of a configuration.
    fn sites(&self) -> usize;

    /// `ln p(x)`, nats, for each row of `batch` `[samples, sites]`; impossible rows give `-inf`.
    ///
    /// # Errors
    /// If the batch does not fit the model, or a likelihood is NaN.
    fn log_prob(&self, batch: &Batch<Self::Value>) -> Result<Vec<f64>>;

    /// `count` independent configurations; row `i` depends on `seed` and `i` only, whatever the number of threads.
    ///
    /// # Errors
    /// If `count` is zero or the model has no weight.
    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<Self::Value>>;

    /// Samples with their log-probabilities, nats. Override where one pass gives both.
    ///
    /// # Errors
    /// As [`sample`](Self::sample) and [`log_prob`](Self::log_prob).
    fn sample_with_log_prob(&self, count: usize, seed: Seed) -> Result<(Batch<Self::Value>, Vec<f64>)> {
        let batch = self.sample(count, seed)?;
        let log_prob = self.log_prob(&batch)?;
        Ok((batch, log_prob))
    }

    /// Mean negative log-likelihood, nats a sample.
    ///
    /// # Errors
    /// As [`log_prob`](Self::log_prob).
    fn nll(&self, batch: &Batch<Self::Value>) -> Result<f64> {
        let log_prob = self.log_prob(batch)?;
        Ok(-log_prob.iter().sum::<f64>() / log_prob.len() as f64)
    }
}

/// Draws some sites exactly, the others being fixed.
pub trait Conditional: GenerativeModel {
    /// `count` completions of `evidence` (`None` where a site is free); given sites keep their values.
    ///
    /// # Errors
    /// [`crate::Error::Impossible`] if the evidence has probability zero.
    fn sample_given(&self, evidence: &[Option<Self::Value>], count: usize, seed: Seed) -> Result<Batch<Self::Value>>;

    /// `ln p(free sites | given sites)`, nats, of each row; `given[site]` says which sites are given.
    ///
    /// # Errors
    /// [`crate::Error::Impossible`] if the given part of a row has probability zero.
    fn conditional_log_prob(&self, batch: &Batch<Self::Value>, given: &[bool]) -> Result<Vec<f64>>;
}

/// Sums out sites exactly.
pub trait Marginal: GenerativeModel {
    /// `ln p(evidence)`, nats, the free sites (`None`) being summed out.
    ///
    /// # Errors
    /// If the evidence does not fit the model.
    fn log_marginal(&self, evidence: &[Option<Self::Value>]) -> Result<f64>;
}

/// Spreads a little weight over everything.
pub trait Smooth: Sized {
    /// The model with a little weight on everything, so that no sample is impossible; an `amount` of 0 changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] if `amount` is not in `[0, 1)`.
    fn smoothed(&self, amount: f64) -> Result<Self>;
}

//! Independent sites: the simplest model there is, to compare with.

use rand::RngExt;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::model::batch::check_count;
use crate::model::{Batch, GenerativeModel};
use crate::random::{Seed, Stream};

/// Every site has a distribution of its own: `ln p(v) = sum_k ln p_k(v_k)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Independent {
    /// `probabilities[site][symbol]`.
    probabilities: Vec<Vec<f64>>,
}

impl Independent {
    /// Frequencies of the symbols, each counted `pseudo_count` times more than it occurs.
    ///
    /// # Errors
    /// [`Error::Setting`] for a pseudo-count that is negative or not finite; as [`Batch::check`].
    pub fn fit(data: &Batch<u8>, dims: &[usize], pseudo_count: f64) -> Result<Self> {
        check(data, dims, pseudo_count)?;
        let counts = single_counts(data, dims);
        let probabilities = counts.iter().map(|c| smoothed(c, pseudo_count)).collect();
        Ok(Independent { probabilities })
    }

    /// `probabilities[site][symbol]`.
    #[must_use]
    pub fn probabilities(&self) -> &[Vec<f64>] {
        &self.probabilities
    }
}

pub(super) fn check(data: &Batch<u8>, dims: &[usize], pseudo_count: f64) -> Result<()> {
    if !(pseudo_count >= 0.0 && pseudo_count.is_finite()) {
        return Err(Error::setting("pseudo_count", pseudo_count, "give a finite number, at least 0"));
    }
    data.check(dims)
}

/// How often each symbol occurs at each site.
pub(super) fn single_counts(data: &Batch<u8>, dims: &[usize]) -> Vec<Vec<f64>> {
    let mut counts: Vec<Vec<f64>> = dims.iter().map(|&d| vec![0.0; d]).collect();
    for row in data.view().rows() {
        row.iter().zip(&mut counts).for_each(|(&v, c)| c[usize::from(v)] += 1.0);
    }
    counts
}

/// Counts as probabilities, each count raised by `pseudo_count`; uniform where nothing was counted.
pub(super) fn smoothed(counts: &[f64], pseudo_count: f64) -> Vec<f64> {
    let total: f64 = counts.iter().sum::<f64>() + pseudo_count * counts.len() as f64;
    let share = |c: &f64| if total > 0.0 { (c + pseudo_count) / total } else { 1.0 / counts.len() as f64 };
    counts.iter().map(share).collect()
}

/// The symbol that `stream` draws from these probabilities; never one of probability zero.
pub(super) fn draw(probabilities: &[f64], stream: &mut Stream) -> u8 {
    let mut u: f64 = stream.random();
    let mut last = 0;
    for (symbol, &p) in probabilities.iter().enumerate() {
        if p > 0.0 {
            last = symbol;
            if u < p {
                break;
            }
            u -= p;
        }
    }
    last as u8
}

impl GenerativeModel for Independent {
    type Value = u8;

    fn sites(&self) -> usize {
        self.probabilities.len()
    }

    fn log_prob(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        batch.check(&self.probabilities.iter().map(Vec::len).collect::<Vec<_>>())?;
        let ln: Vec<Vec<f64>> = self.probabilities.iter().map(|p| p.iter().map(|x| x.ln()).collect()).collect();
        Ok(batch.view().rows().into_iter().map(|r| r.iter().zip(&ln).map(|(&v, l)| l[usize::from(v)]).sum()).collect())
    }

    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<u8>> {
        check_count(count, self.sites())?;
        let rows: Vec<Vec<u8>> = (0..count as u64)
            .into_par_iter()
            .map(|i| {
                let mut stream = seed.stream("sample", i);
                self.probabilities.iter().map(|p| draw(p, &mut stream)).collect()
            })
            .collect();
        Batch::from_rows(&rows)
    }
}

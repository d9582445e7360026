//! The model: a normalised chain whose squared amplitudes are probabilities.

use ndarray::Array3;

use super::classes::Samples;
use super::environments::{Environment, Side};
use crate::chain::{Mps, check_entries};
use crate::error::{Error, Result};
use crate::model::Batch;
use crate::model::batch::check_count;
use crate::random::Seed;
use crate::scalar::{LogScaled, Real, Scalar};

/// A Born machine on a matrix product state: `p(v) = |psi(v)|^2`, the state being of norm one.
///
/// Han, Wang, Fan, Wang, Zhang, Phys. Rev. X 8, 031012 (2018). Sites may have any dimension, amplitudes may be real or
/// complex. Likelihoods are exact, samples independent, and any sites can be given or summed out.
///
/// ```
/// use ansatz::{Batch, BornMps, GenerativeModel, Seed};
/// let model = BornMps::<f64>::random(&[2; 6], 4, Seed(1))?;
/// let all = Batch::all(&[2; 6])?;
/// let total: f64 = model.log_prob(&all)?.iter().map(|l| l.exp()).sum();
/// assert!((total - 1.0).abs() < 1e-12);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BornMps<T: Scalar> {
    /// Canonical, norm one, factor one.
    state: Mps<T>,
}

/// Rows whose environments are held at the same time.
const ROWS: usize = 4096;

impl<T: Scalar> BornMps<T> {
    /// The Born machine of a state, which is normalised; a state without a centre gets one at its last site.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the state has no norm, [`Error::Shape`] if a site has more than 256 dimensions.
    pub fn new(mut state: Mps<T>) -> Result<Self> {
        check_alphabet(&state)?;
        let centre = state.centre().unwrap_or(state.sites() - 1);
        state.move_centre(centre)?;
        state.normalise()?;
        // The phase of a state is no part of its probabilities.
        let phase = LogScaled::from(state.factor().phase().conj());
        state.scale(phase);
        Ok(BornMps { state })
    }

    /// The Born machine of a state that is canonical and of norm one already, every bit of which is kept: what was saved
    /// in the middle of a run goes on exactly.
    ///
    /// # Errors
    /// [`Error::Setting`] if the state has no centre, or its norm is not one to about half the digits of `T`;
    /// [`Error::Shape`] if a site has more than 256 dimensions.
    pub fn from_normalised(state: Mps<T>) -> Result<Self> {
        check_alphabet(&state)?;
        let tolerance = Real::to_f64(<T::Real as num_traits::Float>::epsilon()).sqrt();
        let norm = state.norm().ln_abs();
        if state.centre().is_none() || state.factor() != LogScaled::one() || !(norm.abs() <= tolerance) {
            return Err(Error::setting("norm", norm.exp(), "a canonical state of norm 1 is needed; use BornMps::new"));
        }
        Ok(BornMps { state })
    }

    /// A chain of positive random entries, on which every configuration has some weight: a start for training.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0, [`Error::Setting`] for a bond of zero, [`Error::Room`] for
    /// one too large.
    pub fn random(dims: &[usize], bond: usize, seed: Seed) -> Result<Self> {
        if bond == 0 {
            return Err(Error::setting("bond", 0, "give at least 1"));
        }
        let last = dims.len().saturating_sub(1);
        let bonds = |site| (if site == 0 { 1 } else { bond }, if site == last { 1 } else { bond });
        check_entries::<T>(dims, bonds)?;
        let mut stream = seed.stream("initial state", 0);
        let tensors = dims
            .iter()
            .enumerate()
            .map(|(site, &d)| {
                let (l, r) = bonds(site);
                Array3::from_shape_simple_fn((l, d, r), || T::from_real(T::Real::uniform(&mut stream)))
            })
            .collect();
        Self::new(Mps::new(tensors)?)
    }

    /// The model after each symbol has been exchanged with amplitude `amount`: `(1 + amount X)` on every site, where `X`
    /// carries each symbol to the sum of all others, and normalised again.
    ///
    /// A model that never saw a symbol at some site gives it amplitude zero, and every new sample that has it is
    /// impossible. This spreads a little weight over all symbols, about `amount^2` a site, at the same bond dimension.
    ///
    /// # Errors
    /// [`Error::Setting`] if `amount` is not in `[0, 1)`.
    pub fn smoothed(&self, amount: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&amount) {
            return Err(Error::setting("smoothing", amount, "give an amplitude in [0, 1)"));
        }
        if amount == 0.0 {
            return Ok(self.clone());
        }
        let (to_all, rest) = (T::from_f64(amount), T::from_f64(1.0 - amount));
        let tensors = self.state.tensors().iter().map(|a| {
            let total = a.sum_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(1));
            a * rest + &(total * to_all)
        });
        let mut state = Mps::new(tensors.collect())?;
        state.move_centre(self.state.centre().unwrap_or(0))?;
        Self::new(state)
    }

    /// The same model with the canonical centre of its state at `site`.
    ///
    /// Drawing samples needs the centre at site 0, and moves it there, in a copy, each time it is elsewhere.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site.
    pub fn centred(mut self, site: usize) -> Result<Self> {
        if self.state.centre() != Some(site) {
            self.state.move_centre(site)?;
            self = Self::new(self.state)?;
        }
        Ok(self)
    }

    /// The state: canonical, of norm one.
    #[must_use]
    pub fn state(&self) -> &Mps<T> {
        &self.state
    }

    /// The state itself.
    #[must_use]
    pub fn into_state(self) -> Mps<T> {
        self.state
    }

    /// The dimension of each site.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        self.state.dims()
    }

    /// `ln |psi(v)|^2` of each row, environments being shared between rows that agree.
    pub(super) fn ln_weights(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        let dims = self.dims();
        batch.check(&dims)?;
        let mut result = vec![0.0; batch.samples()];
        let order: Vec<usize> = (0..batch.samples()).collect();
        for rows in order.chunks(ROWS) {
            let (samples, of_row) = Samples::with_rows(&batch.select(rows)?, &dims);
            let mut environment = Environment::edge();
            for (site, tensor) in self.state.tensors().iter().enumerate() {
                environment =
                    environment.advance(samples.prefixes(site + 1), &tensor.view(), Side::Left, Default::default());
            }
            let class = samples.full_classes();
            for (&row, &distinct) in rows.iter().zip(&of_row) {
                let c = class[distinct] as usize;
                let psi = environment.rows[[c, 0]];
                // Of the modulus, not its square, which may underflow.
                result[row] = 2.0 * (Real::to_f64(psi.abs()).ln() + environment.ln_scale(c));
            }
        }
        if let Some(sample) = result.iter().position(|l| l.is_nan()) {
            return Err(Error::NotFinite { what: format!("the log-probability of sample {sample}") });
        }
        Ok(result)
    }
}

/// That every symbol of a site is a byte.
fn check_alphabet<T: Scalar>(state: &Mps<T>) -> Result<()> {
    match state.dims().into_iter().enumerate().find(|&(_, d)| d > usize::from(u8::MAX) + 1) {
        Some((site, d)) => Err(Error::shape(format!("the symbols of site {site}"), d, "at most 256")),
        None => Ok(()),
    }
}

impl<T: Scalar> crate::model::GenerativeModel for BornMps<T> {
    type Value = u8;

    fn sites(&self) -> usize {
        self.state.sites()
    }

    fn log_prob(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        self.ln_weights(batch)
    }

    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<u8>> {
        Ok(self.sample_with_log_prob(count, seed)?.0)
    }

    fn sample_with_log_prob(&self, count: usize, seed: Seed) -> Result<(Batch<u8>, Vec<f64>)> {
        check_count(count, self.sites())?;
        self.draw(count, seed)
    }
}

impl<T: Scalar> crate::model::Smooth for BornMps<T> {
    fn smoothed(&self, amount: f64) -> Result<Self> {
        BornMps::smoothed(self, amount)
    }
}

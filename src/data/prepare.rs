//! From a table to symbols: binarisation, and parts for training and validation.

use rand::RngExt;

use super::table::{Format, Table, Values};
use crate::error::{Error, Result};
use crate::model::Batch;
use crate::random::{Seed, permutation};

/// How values become symbols.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binarise {
    /// Values are symbols, except that images in IDX files with grey levels become black and white at 128.
    Auto,
    /// Values are symbols.
    Never,
    /// One where a value is at least this, zero elsewhere.
    Threshold(f64),
    /// One with the probability that the value gives, as a share of the largest (255, or 1 if none is larger).
    Stochastic(Seed),
}

impl Table {
    /// The samples as symbols `[samples, sites]`, in C order of their shape.
    ///
    /// # Errors
    /// [`Error::Format`] with the first value that is no symbol, or not finite.
    pub fn batch(&self, binarise: Binarise) -> Result<Batch<u8>> {
        let grey = match &self.values {
            Values::Bytes(v) => v.iter().any(|&b| b > 1),
            Values::Reals(v) => v.iter().any(|&x| x > 1.0),
        };
        let binarise = match binarise {
            Binarise::Auto if self.format == Format::Idx && grey => Binarise::Threshold(128.0),
            Binarise::Auto => Binarise::Never,
            other => other,
        };
        if let Binarise::Threshold(t) = binarise
            && !t.is_finite()
        {
            return Err(Error::setting("threshold", t, "give a finite number"));
        }
        let top = if grey { 255.0 } else { 1.0 };
        let mut stream = match binarise {
            Binarise::Stochastic(seed) => Some(seed.stream("binarise", 0)),
            _ => None,
        };
        let count = self.samples * self.sites();
        let mut symbols = Vec::with_capacity(count);
        for i in 0..count {
            let value = match &self.values {
                Values::Bytes(v) => f64::from(v[i]),
                Values::Reals(v) => v[i],
            };
            let place = || format!("{}: row {}, column {}", self.name, i / self.sites() + 1, i % self.sites() + 1);
            if !value.is_finite() {
                return Err(Error::Format {
                    what: format!("{} is {value}: give finite numbers, or drop the row", place()),
                });
            }
            symbols.push(match (binarise, &mut stream) {
                (Binarise::Threshold(t), _) => u8::from(value >= t),
                (_, Some(stream)) => u8::from(stream.random::<f64>() * top < value),
                _ if value.fract() == 0.0 && (0.0..=255.0).contains(&value) => value as u8,
                _ => {
                    let what = format!(
                        "{}: {value} is no symbol (an integer from 0 to 255); binarise with a threshold",
                        place()
                    );
                    return Err(Error::Format { what });
                }
            });
        }
        let values = ndarray::Array2::from_shape_vec((self.samples, self.sites()), symbols)
            .map_err(|e| Error::Format { what: format!("{}: {e}", self.name) })?;
        Batch::new(values)
    }

    /// The number of symbols at every site of `batch`: that of the alphabet, or the largest symbol of the whole set
    /// plus one, and at least 2.
    #[must_use]
    pub fn dims(&self, batch: &Batch<u8>) -> Vec<usize> {
        let largest = batch.view().iter().copied().max().unwrap_or(0);
        let d = self.alphabet.as_ref().map_or(usize::from(largest) + 1, |a| a.chars().count());
        vec![d.max(2); batch.sites()]
    }
}

/// Parts a batch into a training and a held-out part, the latter `fraction` of the rows, drawn by `seed`.
///
/// # Errors
/// [`Error::Setting`] if `fraction` is not in `(0, 1)` or leaves one of the parts empty.
pub fn split(batch: &Batch<u8>, fraction: f64, seed: Seed) -> Result<(Batch<u8>, Batch<u8>)> {
    let held = (fraction * batch.samples() as f64).round();
    if !(fraction > 0.0 && fraction < 1.0) || held < 1.0 || held as usize >= batch.samples() {
        let expected =
            format!("give a share between 0 and 1 that leaves both parts of the {} samples filled", batch.samples());
        return Err(Error::setting("valid", fraction, expected));
    }
    let order = permutation(batch.samples(), &mut seed.stream("validation split", 0));
    let (valid, train) = order.split_at(held as usize);
    // In the order of the file, so that a part reads like the whole.
    let sorted = |part: &[usize]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        batch.select(&part)
    };
    Ok((sorted(train)?, sorted(valid)?))
}

//! Options about data that several commands share.

use std::path::Path;

use clap::Args;

use crate::data::{Binarise, Format, Table, read};
use crate::error::{Error, Place, Result};
use crate::io::Extra;
use crate::model::Batch;
use crate::random::Seed;
use crate::report::Tiles;

/// Where the samples come from and how they become symbols.
#[derive(Debug, Clone, Args)]
pub(super) struct Source {
    /// A data file (.npy, .npz, IDX, CSV, strings of bits, FASTA; .gz is undone), or `digits`, `digits:test`.
    #[arg(long, value_name = "FILE")]
    pub data: String,
    /// The format, whatever the name says: npy, idx, csv, bits or fasta.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// One where a value is at least this, zero elsewhere (grey IDX images: 128 unless stated).
    #[arg(long, value_name = "VALUE", conflicts_with_all = ["stochastic", "raw"], allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// Binarise at random, with the value as the probability; the number is the seed.
    #[arg(long, value_name = "SEED", conflicts_with = "raw")]
    pub stochastic: Option<u64>,
    /// Take values as symbols even in grey images.
    #[arg(long)]
    pub raw: bool,
    /// Use the first N samples only.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl Source {
    fn binarise(&self) -> Binarise {
        match (self.threshold, self.stochastic, self.raw) {
            (Some(t), _, _) => Binarise::Threshold(t),
            (_, Some(seed), _) => Binarise::Stochastic(Seed(seed)),
            (_, _, true) => Binarise::Never,
            _ => Binarise::Auto,
        }
    }

    /// The samples, and the table they came from.
    pub fn read(&self) -> Result<(Table, Batch<u8>)> {
        self.read_from(&self.data)
    }

    /// Another file with the same treatment.
    pub fn read_from(&self, path: &str) -> Result<(Table, Batch<u8>)> {
        let table = read(path, self.format)?;
        let mut batch = table.batch(self.binarise())?;
        if let Some(limit) = self.limit {
            if limit == 0 {
                return Err(Error::setting("limit", 0, "give at least 1"));
            }
            let first: Vec<usize> = (0..batch.samples().min(limit)).collect();
            batch = batch.select(&first)?;
        }
        Ok((table, batch))
    }

    /// The samples, fit for a model with so many symbols at each site.
    pub fn read_for(&self, dims: &[usize], model_path: &Path) -> Result<(Table, Batch<u8>)> {
        let (table, batch) = self.read()?;
        if batch.sites() != dims.len() {
            return Err(Error::Format {
                what: format!(
                    "{} has {} sites a sample, {} is a model of {}; use data of the kind it was trained on",
                    table.name(),
                    batch.sites(),
                    model_path.display(),
                    dims.len()
                ),
            });
        }
        batch.check(dims).map_err(|e| e.at(Place::File(table.name().into())))?;
        Ok((table, batch))
    }
}

/// How the samples of a model are drawn.
pub(super) fn tiles(extra: &Extra, dims: &[usize]) -> Result<Tiles> {
    let levels = dims.iter().copied().max().unwrap_or(2);
    match extra.shape.as_deref() {
        Some(&[height, width]) => Tiles::new((height, width), levels),
        _ => Tiles::of_sites(dims.len(), levels),
    }
}

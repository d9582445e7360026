//! The digits that come with the crate, so that demo and tests need no file.

use std::io::Read;

use ndarray::Array2;

use super::table::{Format, Table, Values};
use crate::error::{Error, Result};
use crate::model::Batch;

/// 2000 training and 1000 test images of MNIST, 28 x 28, black and white at 128; as many of each digit.
#[derive(Debug, Clone)]
pub struct Digits {
    /// `[2000, 784]`, from the training part of MNIST.
    pub train: Batch<u8>,
    /// `[1000, 784]`, from the test part.
    pub test: Batch<u8>,
    /// Which digit each training image shows.
    pub train_labels: Vec<u8>,
    /// Which digit each test image shows.
    pub test_labels: Vec<u8>,
}

/// Gzip of: 3000 labels, then 3000 images of 98 bytes, the first pixel in the highest bit. Attribution beside it.
static PACKED: &[u8] = include_bytes!("../../assets/digits.bin.gz");

const TRAIN: usize = 2000;
const TEST: usize = 1000;
const SIDE: usize = 28;
const SITES: usize = SIDE * SIDE;

/// The embedded digits.
///
/// # Errors
/// [`Error::Format`] if the embedded bytes are damaged.
pub fn digits() -> Result<Digits> {
    let damaged = || Error::Format { what: "the embedded digits are damaged; build the program again".into() };
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(PACKED).read_to_end(&mut bytes).map_err(|_| damaged())?;
    let all = TRAIN + TEST;
    if bytes.len() != all * (1 + SITES / 8) {
        return Err(damaged());
    }
    let (labels, images) = bytes.split_at(all);
    let part = |from: usize, count: usize| {
        let pixel = |i: usize, k: usize| images[(from + i) * (SITES / 8) + k / 8] >> (7 - k % 8) & 1;
        Batch::new(Array2::from_shape_fn((count, SITES), |(i, k)| pixel(i, k)))
    };
    Ok(Digits {
        train: part(0, TRAIN)?,
        test: part(TRAIN, TEST)?,
        train_labels: labels[..TRAIN].to_vec(),
        test_labels: labels[TRAIN..].to_vec(),
    })
}

/// The table of this name, if it is one of the embedded ones.
pub(super) fn table(name: &str) -> Result<Option<Table>> {
    let batch = match name {
        "digits" | "digits:train" => digits()?.train,
        "digits:test" => digits()?.test,
        _ => return Ok(None),
    };
    let samples = batch.samples();
    let values = Values::Bytes(batch.into_inner().into_raw_vec_and_offset().0);
    Table::new(name, Format::Bits, samples, vec![SIDE, SIDE], values).map(Some)
}

//! Configurations, many at a time.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::memory::check_room;

/// A non-empty table of configurations, `[samples, sites]`, in row-major order.
///
/// ```
/// use ansatz::Batch;
/// let all = Batch::all(&[2, 2]).unwrap();
/// assert_eq!(all.samples(), 4);
/// assert_eq!(all.row(2).to_vec(), [1, 0]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<V> {
    values: Array2<V>,
}

impl<V: Copy> Batch<V> {
    /// A batch from its table.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is no row or no column.
    pub fn new(values: Array2<V>) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::Empty { what: format!("a batch of shape {:?} (samples, sites)", values.shape()) });
        }
        let values = if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() };
        Ok(Batch { values })
    }

    /// A batch from rows.
    ///
    /// # Errors
    /// [`Error::Empty`] without rows or columns, [`Error::Shape`] if the rows differ in length.
    pub fn from_rows<R: AsRef<[V]>>(rows: &[R]) -> Result<Self> {
        let sites = rows.first().map_or(0, |r| r.as_ref().len());
        let mut flat = Vec::with_capacity(rows.len() * sites);
        for (i, row) in rows.iter().enumerate() {
            if row.as_ref().len() != sites {
                return Err(Error::shape(format!("row {i}"), row.as_ref().len(), sites));
            }
            flat.extend_from_slice(row.as_ref());
        }
        let values = Array2::from_shape_vec((rows.len(), sites), flat)
            .map_err(|e| Error::Format { what: format!("a batch: {e}") })?;
        Batch::new(values)
    }

    /// Number of configurations, at least 1.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.values.nrows()
    }

    /// Number of coordinates of each configuration, at least 1.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.values.ncols()
    }

    /// Configuration number `sample`.
    ///
    /// # Panics
    /// If `sample` is not below [`samples`](Self::samples).
    #[must_use]
    pub fn row(&self, sample: usize) -> ArrayView1<'_, V> {
        self.values.row(sample)
    }

    /// All values of one coordinate.
    ///
    /// # Panics
    /// If `site` is not below [`sites`](Self::sites).
    #[must_use]
    pub fn column(&self, site: usize) -> ArrayView1<'_, V> {
        self.values.column(site)
    }

    /// The table `[samples, sites]`.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, V> {
        self.values.view()
    }

    /// The table itself.
    #[must_use]
    pub fn into_inner(self) -> Array2<V> {
        self.values
    }

    /// The rows in `order`, which may repeat.
    ///
    /// # Errors
    /// [`Error::Empty`] if `order` is, [`Error::Shape`] if a number in it is no row.
    pub fn select(&self, order: &[usize]) -> Result<Self> {
        if let Some(&bad) = order.iter().find(|&&i| i >= self.samples()) {
            return Err(Error::shape("a selection of rows", bad, format!("below {}", self.samples())));
        }
        Batch::new(self.values.select(Axis(0), order))
    }
}

/// That `count` configurations can be drawn and held: not none, nor more than memory has room for.
pub(super) fn check_count(count: usize, sites: usize) -> Result<()> {
    if count == 0 {
        return Err(Error::setting("count", count, "draw at least one sample"));
    }
    // With the log-probability of each.
    let bytes = sites.checked_add(size_of::<f64>()).and_then(|row| row.checked_mul(count));
    check_room::<u8>(|| format!("a batch of {count} samples"), bytes, "draw fewer at a time")
}

/// That evidence has a symbol of each site or none, within the dimension of the site.
pub(super) fn check_evidence(evidence: &[Option<u8>], dims: &[usize]) -> Result<()> {
    if evidence.len() != dims.len() {
        return Err(Error::shape("the evidence, in sites", evidence.len(), dims.len()));
    }
    for (site, (symbol, &dim)) in evidence.iter().zip(dims).enumerate() {
        if let Some(found) = symbol.map(usize::from).filter(|found| *found >= dim) {
            return Err(Error::Symbol { sample: 0, site, found, dim });
        }
    }
    Ok(())
}

impl Batch<u8> {
    /// Every configuration of sites with these dimensions, the last site running fastest.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites or with a dimension 0, [`Error::Memory`] beyond 2^24 configurations.
    pub fn all(dims: &[usize]) -> Result<Self> {
        let mut count: u64 = 1;
        for &d in dims {
            count = count.saturating_mul(d as u64);
        }
        if count > 1 << 24 || dims.iter().any(|&d| d > 256) {
            return Err(Error::Memory {
                what: format!("every configuration of {} sites", dims.len()),
                needed: count.saturating_mul(dims.len() as u64),
                ceiling: (dims.len() as u64) << 24,
                way_out: "enumerate fewer sites".into(),
            });
        }
        let values = Array2::from_shape_fn((count as usize, dims.len()), |(row, site)| {
            let below: usize = dims[site + 1..].iter().product();
            ((row / below) % dims[site]) as u8
        });
        Batch::new(values)
    }

    /// Checks every symbol against the dimension of its site.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of sites, [`Error::Symbol`] for the first symbol out of range.
    pub fn check(&self, dims: &[usize]) -> Result<()> {
        if self.sites() != dims.len() {
            return Err(Error::shape("the data, in sites", self.sites(), dims.len()));
        }
        for (sample, row) in self.values.rows().into_iter().enumerate() {
            for (site, (&v, &dim)) in row.iter().zip(dims).enumerate() {
                if usize::from(v) >= dim {
                    return Err(Error::Symbol { sample, site, found: usize::from(v), dim });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_configurations_are_counted_like_digits() {
        let all = Batch::all(&[2, 3]).unwrap();
        let rows: Vec<Vec<u8>> = (0..6).map(|i| all.row(i).to_vec()).collect();
        assert_eq!(rows, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
        assert!(matches!(Batch::all(&[2; 40]), Err(Error::Memory { .. })));
    }

    #[test]
    fn a_symbol_out_of_range_is_named() {
        let batch = Batch::from_rows(&[[0u8, 1], [2, 0]]).unwrap();
        assert!(matches!(batch.check(&[2, 2]), Err(Error::Symbol { sample: 1, site: 0, found: 2, dim: 2 })));
        assert!(Batch::<u8>::from_rows::<[u8; 0]>(&[]).is_err());
    }
}

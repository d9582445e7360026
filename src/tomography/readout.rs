//! Errors of the detector: confusion matrices, and the elements that a detector with errors really measures.

use ndarray::Array2;
use num_complex::Complex64;

use super::measurement::Measurement;
use super::shots::Shots;
use crate::error::{Error, Result};

/// A confusion matrix for each site: `C[o', o]` is the probability that `o'` is read where `o` would be right; its columns sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    matrices: Vec<Array2<f64>>,
}

impl Readout {
    /// One matrix for each site.
    ///
    /// # Errors
    /// [`Error::Empty`] without a matrix, [`Error::Format`] if one is not square, has a negative entry, or a column that does
    /// not sum to 1.
    pub fn new(matrices: Vec<Array2<f64>>) -> Result<Self> {
        if matrices.is_empty() {
            return Err(Error::Empty { what: "the confusion matrices".into() });
        }
        for (site, m) in matrices.iter().enumerate() {
            let fault = |what: String| Error::Format { what: format!("the confusion matrix of site {site}: {what}") };
            if m.nrows() != m.ncols() || m.is_empty() {
                return Err(fault(format!("{} x {}, not square", m.nrows(), m.ncols())));
            }
            if m.iter().any(|x| !(*x >= 0.0 && *x <= 1.0 + 1e-9)) {
                return Err(fault("an entry is no probability".into()));
            }
            if let Some((o, sum)) =
                m.columns().into_iter().map(|c| c.sum()).enumerate().find(|(_, s)| (s - 1.0).abs() > 1e-6)
            {
                return Err(fault(format!(
                    "column {o} sums to {sum}, not 1; entry [read, true] is a probability of what is read"
                )));
            }
        }
        Ok(Readout { matrices })
    }

    /// The same errors at every one of `sites` qubits: a 0 is read as 1 with probability `zero_as_one`, a 1 as 0 with
    /// `one_as_zero`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless both are probabilities.
    pub fn uniform(sites: usize, zero_as_one: f64, one_as_zero: f64) -> Result<Self> {
        for p in [zero_as_one, one_as_zero] {
            if !(0.0..=1.0).contains(&p) {
                return Err(Error::setting("readout error", p, "give a probability"));
            }
        }
        let m = ndarray::array![[1.0 - zero_as_one, one_as_zero], [zero_as_one, 1.0 - one_as_zero]];
        Readout::new(vec![m; sites])
    }

    /// From calibration records: sites prepared in known levels and measured in Z. `prepared` has for each record the
    /// level of every site.
    ///
    /// `C[o', o]` is the share of shots that read `o'` among those in which the site was prepared in `o`; the maximum of the
    /// likelihood.
    ///
    /// # Errors
    /// [`Error::Shape`] if numbers of sites differ, [`Error::Format`] if a level of a site was never prepared or a
    /// site was measured in another basis than Z.
    pub fn calibrated(records: &[(Vec<u8>, &Shots)]) -> Result<Self> {
        let Some((_, first)) = records.first() else {
            return Err(Error::Empty { what: "the calibration records".into() });
        };
        let dims = first.dims().to_vec();
        let mut counts: Vec<Array2<f64>> = dims.iter().map(|&d| Array2::zeros((d, d))).collect();
        for (prepared, shots) in records {
            if shots.dims() != dims || prepared.len() != dims.len() {
                return Err(Error::shape("a calibration record, in sites", prepared.len(), dims.len()));
            }
            for row in 0..shots.rows() {
                for site in 0..dims.len() {
                    if shots.measurements()[shots.setting(row)[site] as usize] != Measurement::Z {
                        let what = format!(
                            "calibration: site {site} measured in another basis than Z; calibrate with levels in Z"
                        );
                        return Err(Error::Format { what });
                    }
                    let (read, right) = (usize::from(shots.outcome(row)[site]), usize::from(prepared[site]));
                    if right >= dims[site] {
                        return Err(Error::setting("prepared level", right, format!("site {site} has {}", dims[site])));
                    }
                    counts[site][[read, right]] += shots.counts()[row] as f64;
                }
            }
        }
        for (site, m) in counts.iter_mut().enumerate() {
            for (o, mut column) in m.columns_mut().into_iter().enumerate() {
                let total = column.sum();
                if total == 0.0 {
                    let what =
                        format!("calibration: level {o} of site {site} was never prepared; add a record with it");
                    return Err(Error::Format { what });
                }
                column.mapv_inplace(|x| x / total);
            }
        }
        Readout::new(counts)
    }

    /// The matrices, one a site.
    #[must_use]
    pub fn matrices(&self) -> &[Array2<f64>] {
        &self.matrices
    }

    pub(super) fn check_sites(&self, sites: usize) -> Result<()> {
        if self.matrices.len() == sites {
            return Ok(());
        }
        Err(Error::shape("the confusion matrices, in sites", self.matrices.len(), sites))
    }

    /// The matrix of a site for a measurement of so many outcomes; `None` for one that has a single outcome.
    pub(super) fn of(&self, site: usize, outcomes: usize) -> Result<Option<&Array2<f64>>> {
        let m = &self.matrices[site];
        if outcomes == 1 {
            return Ok(None);
        }
        if m.nrows() == outcomes {
            return Ok(Some(m));
        }
        let what = format!(
            "the confusion matrix of site {site}: it is for {} outcomes, a measurement there has {outcomes}",
            m.nrows()
        );
        Err(Error::Format { what })
    }

    /// What is really measured: `E'_o = sum over q of C[o, q] E_q`.
    pub(super) fn applied(&self, site: usize, effects: &[Array2<Complex64>]) -> Result<Vec<Array2<Complex64>>> {
        let Some(m) = self.of(site, effects.len())? else { return Ok(effects.to_vec()) };
        Ok((0..effects.len())
            .map(|o| {
                let mut sum = Array2::zeros(effects[0].dim());
                effects.iter().enumerate().for_each(|(q, e)| sum.scaled_add(Complex64::new(m[[o, q]], 0.0), e));
                sum
            })
            .collect())
    }
}

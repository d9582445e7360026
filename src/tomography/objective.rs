//! What a fit of a chain minimises.

use super::compiled::Compiled;
use super::dense::DENSE_FIT_LIMIT;
use super::density::dimension;
use super::few_sites::FewSites;
use super::likelihood::{Loss, Sites, loss, norm};
use super::preservation::Preservation;
use crate::error::{Error, Result};

/// The negative log-likelihood of all rows, by whichever way is faster, and what a process has to keep beside it.
pub(super) struct Objective<'a> {
    pub data: &'a Compiled,
    rows: Vec<u32>,
    few: Option<FewSites>,
    /// Weight of the deviation from a map that preserves the trace, and the levels of the inputs.
    pub preservation: Option<(f64, Preservation)>,
    /// Weight of `sum ln |A_j|^2 - ln tr rho`.
    pub shrink: f64,
}

impl<'a> Objective<'a> {
    /// For chains of this bond and purification; `hedge` is the exponent of the determinant.
    pub fn new(data: &'a Compiled, bond: usize, kraus: &[usize], hedge: f64) -> Result<Self> {
        let vectors = data.vectors.is_some() && kraus.iter().all(|&k| k == 1);
        let few = if hedge > 0.0 {
            let refused = |why: &str| Error::setting("hedge", hedge, why);
            if dimension(&data.dims) > DENSE_FIT_LIMIT {
                return Err(refused("a hedged likelihood is for eight qubits at the most; give 0"));
            }
            if kraus.iter().zip(&data.dims).any(|(k, d)| k < d) {
                return Err(refused(
                    "a hedged state has full rank: give a purification as large as the levels of a site, or 0",
                ));
            }
            FewSites::hedged(data, kraus, hedge / data.total)?
        } else {
            FewSites::new(data, kraus, bond, vectors)?
        };
        if few.is_none() && hedge > 0.0 {
            return Err(Error::setting(
                "hedge",
                hedge,
                "the purification is too large for a hedged likelihood; give a smaller one",
            ));
        }
        Ok(Objective { data, rows: (0..data.rows as u32).collect(), few, preservation: None, shrink: 0.0 })
    }

    pub fn at(&self, sites: &Sites) -> Result<Loss> {
        let mut l = match &self.few {
            Some(few) => few.loss(sites)?,
            None => loss(sites, self.data, &self.rows)?,
        };
        if self.shrink > 0.0 && l.value.is_finite() {
            let (ln, slope) = norm(sites);
            l.value -= self.shrink * ln;
            for ((a, g), s) in sites.tensors.iter().zip(&mut l.gradient).zip(&slope) {
                let size: f64 = a.iter().map(|x| x.norm_sqr()).sum();
                l.value += self.shrink * size.ln();
                ndarray::Zip::from(g).and(a).and(s).for_each(|g, a, s| *g += (a / size - s) * self.shrink);
            }
        }
        if let Some((weight, preservation)) = &self.preservation
            && l.value.is_finite()
        {
            let (excess, slope) = preservation.excess(sites)?;
            l.value += weight * excess;
            for (g, s) in l.gradient.iter_mut().zip(&slope) {
                g.zip_mut_with(s, |g, s| *g += s * *weight);
            }
        }
        Ok(l)
    }
}

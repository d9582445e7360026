//! What a fit of a chain minimises.

use super::compiled::Compiled;
use super::few_sites::FewSites;
use super::likelihood::{Loss, Sites, loss};
use super::preservation::Preservation;
use crate::error::Result;

/// The negative log-likelihood of all rows, by whichever way is faster, and what a process has to keep beside it.
pub(super) struct Objective<'a> {
    pub data: &'a Compiled,
    rows: Vec<u32>,
    few: Option<FewSites>,
    /// Weight of the deviation from a map that preserves the trace, and the levels of the inputs.
    pub preservation: Option<(f64, Preservation)>,
}

impl<'a> Objective<'a> {
    /// For chains of this bond and purification.
    pub fn new(data: &'a Compiled, bond: usize, kraus: &[usize]) -> Result<Self> {
        let vectors = data.vectors.is_some() && kraus.iter().all(|&k| k == 1);
        let few = FewSites::new(data, kraus, bond, vectors)?;
        Ok(Objective { data, rows: (0..data.rows as u32).collect(), few, preservation: None })
    }

    pub fn at(&self, sites: &Sites) -> Result<Loss> {
        let mut l = match &self.few {
            Some(few) => few.loss(sites)?,
            None => loss(sites, self.data, &self.rows)?,
        };
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

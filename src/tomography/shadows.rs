//! Classical shadows: observables straight from the records, without a state.

use ndarray::Array2;
use num_complex::Complex64;

use super::observables::number;
use super::shots::Shots;
use crate::circuit::{PauliString, PauliSum};
use crate::error::{Error, Result};

/// Shadows of shots of qubits whose measured directions, over all shots, are spread evenly: X, Y and Z equally often at every
/// site, random bases, SIC, Pauli-6.
///
/// An outcome with the normalised element `P = E/tr E` stands for `3 P - 1` at its site; the mean of the product over all sites is
/// `rho` (Huang, Kueng, Preskill, Nature Phys. 16, 1050, 2020).
#[derive(Debug, Clone)]
pub struct Shadows {
    sites: usize,
    /// Bloch vectors of the outcomes, `[shots, sites]`.
    directions: Vec<[f64; 3]>,
}

/// A mean of medians with the standard deviation of the plain mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShadowEstimate {
    /// Median of the means of groups.
    pub value: f64,
    /// Standard deviation of the mean over all shots.
    pub deviation: f64,
}

/// Shots that are unfolded.
const MOST_SHOTS: u64 = 1 << 24;
/// Deviation from evenness, as an entry of `3 <n n^T> - 1`, beyond which shadows would be wrong.
const UNEVEN: f64 = 0.3;
/// Groups whose median is taken.
const GROUPS: usize = 10;
/// Shots of a group all of whose pairs are looked at.
const MOST_OF_A_GROUP: usize = 4000;

impl Shadows {
    /// The shadows of a record, in the order of its rows.
    ///
    /// # Errors
    /// [`Error::Format`] if a site is no qubit, an element has not rank one, or the directions measured at a site are not spread
    /// evenly; [`Error::Setting`] for more than 2^24 shots.
    pub fn new(shots: &Shots) -> Result<Self> {
        let sites = shots.sites();
        let fault = |what: String| Error::Format { what: format!("classical shadows: {what}") };
        if shots.total() > MOST_SHOTS {
            return Err(Error::setting("shots for shadows", shots.total(), format!("at most {MOST_SHOTS}")));
        }
        if let Some(site) = shots.dims().iter().position(|&d| d != 2) {
            return Err(fault(format!("site {site} is no qubit; fit a state instead")));
        }
        let mut directions = Vec::new();
        // Of every site the mean of n n^T over what could have been seen in the settings that were chosen.
        let mut spread = vec![[[0.0f64; 3]; 3]; sites];
        let tables = shots.measurements().iter().map(|m| m.effects(2)).collect::<Result<Vec<_>>>()?;
        let bloch = |e: &Array2<Complex64>| -> [f64; 3] {
            let weight = e[[0, 0]].re + e[[1, 1]].re;
            [2.0 * e[[0, 1]].re / weight, 2.0 * e[[1, 0]].im / weight, (e[[0, 0]].re - e[[1, 1]].re) / weight]
        };
        for row in 0..shots.rows() {
            let mut line = Vec::with_capacity(sites);
            for (site, (&m, &o)) in shots.setting(row).iter().zip(shots.outcome(row)).enumerate() {
                let n = bloch(&tables[m as usize][usize::from(o)]);
                if (n.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() > 1e-6 {
                    let name = shots.measurements()[m as usize].token();
                    return Err(fault(format!(
                        "an element of '{name}' at site {site} has not rank one; fit a state instead"
                    )));
                }
                line.push(n);
                for e in &tables[m as usize] {
                    let (n, weight) = (bloch(e), (e[[0, 0]].re + e[[1, 1]].re) / 2.0);
                    let share = weight * shots.counts()[row] as f64 / shots.total() as f64;
                    (0..9).for_each(|i| spread[site][i / 3][i % 3] += share * n[i / 3] * n[i % 3]);
                }
            }
            (0..shots.counts()[row]).for_each(|_| directions.extend(&line));
        }
        for (site, s) in spread.iter().enumerate() {
            let off =
                (0..9).map(|i| (3.0 * s[i / 3][i % 3] - f64::from(u8::from(i / 3 == i % 3))).abs()).fold(0.0, f64::max);
            if off > UNEVEN {
                return Err(fault(format!(
                    "the directions measured at site {site} are not spread evenly; fit a state instead"
                )));
            }
        }
        Ok(Shadows { sites, directions })
    }

    /// Number of shots.
    #[must_use]
    pub fn shots(&self) -> usize {
        self.directions.len() / self.sites
    }

    /// The expectation of a product of Pauli operators, a letter of `IXYZ` a site: median of the means of `groups` groups of shots.
    ///
    /// # Errors
    /// [`Error::Setting`] for another number of letters, another letter, or not 1 to as many groups as there are shots.
    pub fn pauli(&self, letters: &str, groups: usize) -> Result<ShadowEstimate> {
        let axes = letters.chars().map(|c| match c {
            'I' => Ok(None),
            'X' => Ok(Some(0)),
            'Y' => Ok(Some(1)),
            'Z' => Ok(Some(2)),
            _ => Err(Error::setting("Pauli operator", letters, "give a letter of I, X, Y, Z a site")),
        });
        let axes = axes.collect::<Result<Vec<Option<usize>>>>()?;
        if axes.len() != self.sites {
            return Err(Error::setting(
                "Pauli operator",
                letters,
                format!("give a letter of I, X, Y, Z for each of {} sites", self.sites),
            ));
        }
        self.mean(|shot| along(shot, &axes), groups)
    }

    /// The expectation of a sum of products of Pauli operators, site 0 being qubit 0: median of the means of `groups` groups of shots.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sum has more qubits; [`Error::Setting`] as [`pauli`](Self::pauli).
    pub fn pauli_sum(&self, observable: &PauliSum, groups: usize) -> Result<ShadowEstimate> {
        if observable.qubits() > self.sites {
            let what = format!("the observable '{observable}', in qubits");
            return Err(Error::shape(what, observable.qubits(), self.sites));
        }
        let axes = |string: &PauliString| -> Vec<Option<usize>> {
            (0..self.sites).map(|site| string.get(&site).map(|&p| number(p))).collect()
        };
        let terms: Vec<(Vec<Option<usize>>, f64)> = observable.terms().map(|(s, factor)| (axes(s), factor)).collect();
        self.mean(|shot| terms.iter().map(|(axes, factor)| factor * along(shot, axes)).sum(), groups)
    }

    /// What [`quantities`](super::quantities) tells of a state and shadows tell as well, by the same names: `purity` and observables.
    ///
    /// # Errors
    /// As [`purity`](Self::purity) and [`pauli_sum`](Self::pauli_sum).
    pub fn quantities(&self, observables: &[PauliSum]) -> Result<Vec<(String, ShadowEstimate)>> {
        // All pairs within a group are looked at: groups of no more than so many shots.
        let groups = (self.shots() / MOST_OF_A_GROUP).max(GROUPS.min(self.shots() / 2));
        let mut list = Vec::new();
        // A single shot has no pair.
        if groups > 0 {
            list.push(("purity".to_owned(), self.purity(&vec![true; self.sites], groups)?));
        }
        for observable in observables {
            list.push((observable.to_string(), self.pauli_sum(observable, GROUPS.min(self.shots()))?));
        }
        Ok(list)
    }

    /// Median of the means over groups of shots.
    fn mean(&self, value: impl Fn(&[[f64; 3]]) -> f64, groups: usize) -> Result<ShadowEstimate> {
        let values: Vec<f64> = self.directions.chunks_exact(self.sites).map(value).collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n.max(2) - 1) as f64;
        let means = self
            .grouped(groups)?
            .into_iter()
            .map(|g| g.iter().map(|&i| values[i]).sum::<f64>() / g.len() as f64)
            .collect();
        Ok(ShadowEstimate { value: median(means), deviation: (variance / n as f64).sqrt() })
    }

    /// The purity `tr rho_A^2` of the sites for which `keep` is true: over the pairs of shots of each group, median over groups.
    ///
    /// # Errors
    /// [`Error::Setting`] if a group would have fewer than two shots, [`Error::Shape`] for another number of sites.
    pub fn purity(&self, keep: &[bool], groups: usize) -> Result<ShadowEstimate> {
        if keep.len() != self.sites {
            return Err(Error::shape("the sites to keep", keep.len(), self.sites));
        }
        let shot = |i: usize| &self.directions[i * self.sites..][..self.sites];
        // tr((3P - 1)(3Q - 1)) = (9 n.m + 1)/2.
        let pair = |i: usize, j: usize| -> f64 {
            let sites = shot(i).iter().zip(shot(j)).zip(keep).filter(|(_, k)| **k);
            sites.map(|((n, m), _)| (9.0 * (n[0] * m[0] + n[1] * m[1] + n[2] * m[2]) + 1.0) / 2.0).product()
        };
        let groups = self.grouped(groups)?;
        if groups.iter().any(|g| g.len() < 2) {
            return Err(Error::setting("groups", groups.len(), "at least two shots a group"));
        }
        let means: Vec<f64> = crate::parallel::map(groups, |g| {
            let mut sum = 0.0;
            for (at, &i) in g.iter().enumerate() {
                sum += g[at + 1..].iter().map(|&j| pair(i, j)).sum::<f64>();
            }
            sum / (g.len() * (g.len() - 1) / 2) as f64
        });
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n;
        let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Ok(ShadowEstimate { value: median(means), deviation: (variance / n).sqrt() })
    }

    /// Shots dealt out in turn: rows of one setting stand together, and every group is to have some of all.
    fn grouped(&self, groups: usize) -> Result<Vec<Vec<usize>>> {
        let n = self.shots();
        if !(1..=n).contains(&groups) {
            return Err(Error::setting("groups", groups, format!("give 1 to {n}, the shots")));
        }
        Ok((0..groups).map(|g| (g..n).step_by(groups).collect()).collect())
    }
}

/// `tr((3P - 1) sigma) = 3 n` at every site where there is an operator, multiplied.
fn along(shot: &[[f64; 3]], axes: &[Option<usize>]) -> f64 {
    axes.iter().zip(shot).filter_map(|(axis, n)| axis.map(|axis| 3.0 * n[axis])).product()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

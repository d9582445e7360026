//! Records as the numbers a fit works with.

use std::collections::HashMap;

use ndarray::Array2;
use num_complex::Complex64;

use super::measurement::root;
use super::readout::Readout;
use super::shots::Shots;
use crate::error::Result;

/// What was seen in each row: for every site the number of an element, rows weighted by their share of the shots.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub dims: Vec<usize>,
    pub rows: usize,
    /// Number of shots.
    pub total: f64,
    /// Shares of the shots, `[rows]`; they sum to 1.
    pub weights: Vec<f64>,
    /// Numbers of elements, `[rows, sites]`.
    pub index: Vec<u32>,
    pub elements: Vec<Array2<Complex64>>,
    /// `v` with `E = |v><v|` for every element, if all are of rank one.
    pub vectors: Option<Vec<Vec<Complex64>>>,
}

/// Numbers elements as they come.
pub(super) struct Numbering<'a> {
    shots: &'a Shots,
    readout: Option<&'a Readout>,
    numbers: HashMap<(usize, u32), u32>,
    pub elements: Vec<Array2<Complex64>>,
}

impl<'a> Numbering<'a> {
    pub fn new(shots: &'a Shots, readout: Option<&'a Readout>) -> Result<Self> {
        if let Some(readout) = readout {
            readout.check_sites(shots.sites())?;
        }
        Ok(Numbering { shots, readout, numbers: HashMap::new(), elements: Vec::new() })
    }

    /// The number of outcome 0 of a measurement at a site; the others follow it.
    pub fn first(&mut self, site: usize, measurement: u32) -> Result<u32> {
        let d = self.shots.dims()[site];
        // The same elements at all sites of the same levels, unless each has errors of its own.
        let place = if self.readout.is_some() { site } else { d };
        if let Some(&number) = self.numbers.get(&(place, measurement)) {
            return Ok(number);
        }
        let number = self.elements.len() as u32;
        let effects = self.shots.measurements()[measurement as usize].effects(d)?;
        match self.readout {
            Some(readout) => self.elements.extend(readout.applied(site, &effects)?),
            None => self.elements.extend(effects),
        }
        self.numbers.insert((place, measurement), number);
        Ok(number)
    }
}

impl Compiled {
    pub fn new(shots: &Shots, readout: Option<&Readout>) -> Result<Self> {
        let (rows, sites) = (shots.rows(), shots.sites());
        let mut numbering = Numbering::new(shots, readout)?;
        let mut index = Vec::with_capacity(rows * sites);
        for row in 0..rows {
            for (site, (&m, &o)) in shots.setting(row).iter().zip(shots.outcome(row)).enumerate() {
                index.push(numbering.first(site, m)? + u32::from(o));
            }
        }
        let elements = numbering.elements;
        let mut used = vec![false; elements.len()];
        index.iter().for_each(|&i| used[i as usize] = true);
        let vectors = elements
            .iter()
            .zip(&used)
            .map(|(e, &used)| if used { root(e) } else { Some(vec![Complex64::default(); e.nrows()]) })
            .collect::<Option<Vec<_>>>();
        let total = shots.total() as f64;
        let weights = shots.counts().iter().map(|&c| c as f64 / total).collect();
        Ok(Compiled { dims: shots.dims().to_vec(), rows, total, weights, index, elements, vectors })
    }

    pub fn sites(&self) -> usize {
        self.dims.len()
    }
}

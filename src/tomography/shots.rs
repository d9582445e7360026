//! Measurement records.

use std::collections::HashMap;

use ndarray::Array2;
use num_complex::Complex64;
use rand::RngExt;

use super::measurement::Measurement;
use crate::error::{Error, Result};
use crate::random::{Seed, permutation};

/// Shots beyond which counts are no longer exact in double precision.
const MOST: u64 = 1 << 53;
/// Sites of one record.
pub const MAX_SITES: usize = 1 << 16;

/// Measurement records: in each row a measurement and an outcome for every site, and how often that was seen.
///
/// Equal rows are one row with their counts added, in order of their first occurrence.
#[derive(Debug, Clone, PartialEq)]
pub struct Shots {
    dims: Vec<usize>,
    table: Vec<Measurement>,
    /// `[rows, sites]`, numbers into `table`.
    settings: Vec<u32>,
    /// `[rows, sites]`
    outcomes: Vec<u8>,
    counts: Vec<u64>,
}

/// Collects rows into [`Shots`].
#[derive(Debug, Clone)]
pub struct Collector {
    shots: Shots,
    names: HashMap<String, u32>,
    /// Outcomes of each measurement for each site dimension, looked up once.
    rows: HashMap<Box<[u8]>, u32>,
    key: Vec<u8>,
    total: u64,
}

impl Collector {
    /// For sites with these levels.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites, [`Error::Setting`] for a dimension 0 or beyond 256 or too many sites.
    pub fn new(dims: &[usize]) -> Result<Self> {
        if dims.is_empty() {
            return Err(Error::Empty { what: "a measurement record (no sites)".into() });
        }
        if dims.len() > MAX_SITES {
            return Err(Error::setting("sites of a record", dims.len(), format!("at most {MAX_SITES}")));
        }
        if let Some(d) = dims.iter().find(|d| !(1..=256).contains(*d)) {
            return Err(Error::setting("levels of a site", d, "give 1 to 256"));
        }
        let shots = Shots {
            dims: dims.to_vec(),
            table: Vec::new(),
            settings: Vec::new(),
            outcomes: Vec::new(),
            counts: Vec::new(),
        };
        Ok(Collector { shots, names: HashMap::new(), rows: HashMap::new(), key: Vec::new(), total: 0 })
    }

    /// The number of a measurement, for [`push`](Self::push).
    ///
    /// # Errors
    /// [`Error::Setting`] if another measurement has the same name.
    pub fn measurement(&mut self, measurement: &Measurement) -> Result<u32> {
        let token = measurement.token();
        if let Some(&number) = self.names.get(&token) {
            if self.shots.table[number as usize] != *measurement {
                return Err(Error::setting(
                    "name of a measurement",
                    token,
                    "another one has this name; give it another",
                ));
            }
            return Ok(number);
        }
        let number = u32::try_from(self.shots.table.len())
            .map_err(|_| Error::setting("number of measurements", self.shots.table.len(), "fewer than 2^32"))?;
        self.shots.table.push(measurement.clone());
        self.names.insert(token, number);
        Ok(number)
    }

    /// Adds a row: numbers of measurements, outcomes, and how often; a count of 0 adds nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of sites, [`Error::Setting`] for a measurement that there is not or does not fit
    /// the levels of its site, for an outcome that it does not have, and for more than 2^53 shots in all.
    pub fn push(&mut self, settings: &[u32], outcomes: &[u8], count: u64) -> Result<()> {
        let sites = self.shots.dims.len();
        if settings.len() != sites || outcomes.len() != sites {
            let found = format!("{} settings and {} outcomes", settings.len(), outcomes.len());
            return Err(Error::Shape { what: "a row of a record".into(), found, expected: format!("{sites} of each") });
        }
        for (site, (&m, &o)) in settings.iter().zip(outcomes).enumerate() {
            let Some(measurement) = self.shots.table.get(m as usize) else {
                return Err(Error::setting(
                    "number of a measurement",
                    m,
                    format!("there are {}", self.shots.table.len()),
                ));
            };
            let d = self.shots.dims[site];
            if let Some(levels) = measurement.levels()
                && levels != d
            {
                let expected = format!("measurement {measurement} at site {site} is for {levels}");
                return Err(Error::setting("levels of a site", d, expected));
            }
            let several = measurement.outcomes(d);
            if usize::from(o) >= several {
                let expected =
                    format!("measurement {measurement} at site {site} has {several} outcomes, counted from 0");
                return Err(Error::setting("outcome", o, expected));
            }
        }
        if count == 0 {
            return Ok(());
        }
        self.total = self.total.checked_add(count).filter(|&total| total <= MOST).ok_or_else(|| {
            Error::setting("number of shots", count, "2^53 in all at the most; scale the counts down")
        })?;
        self.key.clear();
        settings.iter().for_each(|m| self.key.extend(m.to_le_bytes()));
        self.key.extend(outcomes);
        if let Some(&row) = self.rows.get(self.key.as_slice()) {
            self.shots.counts[row as usize] += count;
            return Ok(());
        }
        let row = u32::try_from(self.shots.counts.len())
            .map_err(|_| Error::setting("number of different rows", self.shots.counts.len(), "fewer than 2^32"))?;
        self.rows.insert(self.key.as_slice().into(), row);
        self.shots.settings.extend(settings);
        self.shots.outcomes.extend(outcomes);
        self.shots.counts.push(count);
        Ok(())
    }

    /// The record.
    ///
    /// # Errors
    /// [`Error::Empty`] without a shot.
    pub fn finish(self) -> Result<Shots> {
        if self.shots.counts.is_empty() {
            return Err(Error::Empty { what: "a measurement record (no shots)".into() });
        }
        Ok(self.shots)
    }
}

impl Shots {
    /// A record from rows of measurements, outcomes and counts.
    ///
    /// ```
    /// use ansatz::tomography::{Measurement, Shots};
    /// let (x, z) = (Measurement::X, Measurement::Z);
    /// let rows = [(vec![z.clone(), z.clone()], vec![0, 0], 3), (vec![x.clone(), x], vec![1, 1], 1), (vec![z.clone(), z], vec![0, 0], 2)];
    /// let shots = Shots::new(&[2, 2], rows)?;
    /// assert_eq!((shots.rows(), shots.total()), (2, 6));
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Collector::new`], [`Collector::push`] and [`Collector::finish`].
    pub fn new(dims: &[usize], rows: impl IntoIterator<Item = (Vec<Measurement>, Vec<u8>, u64)>) -> Result<Self> {
        let mut collector = Collector::new(dims)?;
        for (measurements, outcomes, count) in rows {
            let settings = measurements.iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
            collector.push(&settings, &outcomes, count)?;
        }
        collector.finish()
    }

    /// Levels of each site.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of sites.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.dims.len()
    }

    /// Number of different rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.counts.len()
    }

    /// Number of shots.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All measurements that occur.
    #[must_use]
    pub fn measurements(&self) -> &[Measurement] {
        &self.table
    }

    /// How often each row was seen.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Numbers of the measurements of a row, one a site.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn setting(&self, row: usize) -> &[u32] {
        &self.settings[row * self.sites()..][..self.sites()]
    }

    /// Outcomes of a row, one a site.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn outcome(&self, row: usize) -> &[u8] {
        &self.outcomes[row * self.sites()..][..self.sites()]
    }

    /// The setting of a row as it is written: letters side by side, longer names parted by blanks.
    #[must_use]
    pub fn setting_text(&self, row: usize) -> String {
        let names: Vec<String> = self.setting(row).iter().map(|&m| self.table[m as usize].token()).collect();
        let short = names.iter().all(|n| n.chars().count() == 1);
        names.join(if short { "" } else { " " })
    }

    /// The outcome of a row as it is written: digits side by side, larger numbers parted by blanks.
    #[must_use]
    pub fn outcome_text(&self, row: usize) -> String {
        let short = self.outcome(row).iter().all(|&o| o < 10);
        let digits: Vec<String> = self.outcome(row).iter().map(u8::to_string).collect();
        digits.join(if short { "" } else { " " })
    }

    /// The rows of each setting, in order of first occurrence.
    #[must_use]
    pub fn by_setting(&self) -> Vec<Vec<usize>> {
        let mut numbers: HashMap<&[u32], usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for row in 0..self.rows() {
            let next = groups.len();
            let group = *numbers.entry(self.setting(row)).or_insert(next);
            if group == next {
                groups.push(Vec::new());
            }
            groups[group].push(row);
        }
        groups
    }

    /// The same rows with other counts; rows whose count is 0 are left out.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of counts, [`Error::Empty`] if all are 0.
    pub fn with_counts(&self, counts: &[u64]) -> Result<Self> {
        if counts.len() != self.rows() {
            return Err(Error::shape("counts", counts.len(), self.rows()));
        }
        let kept: Vec<usize> = (0..counts.len()).filter(|&row| counts[row] > 0).collect();
        if kept.is_empty() {
            return Err(Error::Empty { what: "a measurement record (no shots)".into() });
        }
        Ok(Shots {
            dims: self.dims.clone(),
            table: self.table.clone(),
            settings: kept.iter().flat_map(|&row| self.setting(row).iter().copied()).collect(),
            outcomes: kept.iter().flat_map(|&row| self.outcome(row).iter().copied()).collect(),
            counts: kept.iter().map(|&row| counts[row]).collect(),
        })
    }

    /// Parts the shots at random: about `fraction` of them, at least one, into the second record.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `fraction` is in `(0, 1)` and there are two shots or more.
    pub fn split(&self, fraction: f64, seed: Seed) -> Result<(Self, Self)> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::setting("held-out fraction", fraction, "give a number above 0 and below 1"));
        }
        let total = self.total();
        if total < 2 {
            return Err(Error::setting("number of shots", total, "at least 2 are needed to hold some out"));
        }
        let mut wanted = ((fraction * total as f64).round() as u64).clamp(1, total - 1);
        let (mut left, mut stream) = (total, seed.stream("hold out", 0));
        let mut held = vec![0u64; self.rows()];
        // Selection sampling: every set of `wanted` shots is equally likely.
        for (row, &count) in self.counts.iter().enumerate() {
            for _ in 0..count {
                if stream.random::<f64>() * (left as f64) < wanted as f64 {
                    held[row] += 1;
                    wanted -= 1;
                }
                left -= 1;
            }
        }
        let kept: Vec<u64> = self.counts.iter().zip(&held).map(|(c, h)| c - h).collect();
        Ok((self.with_counts(&kept)?, self.with_counts(&held)?))
    }

    /// Deals the shots out at random into `parts` of the same size, as far as they go; returns for each of the first `some` of them all
    /// other shots and its own.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `parts` is 2 or more and no more than there are shots.
    pub fn folds(&self, parts: usize, some: usize, seed: Seed) -> Result<Vec<(Self, Self)>> {
        if parts < 2 || parts as u64 > self.total() {
            let expected = format!("2 or more, and no more than the {} shots there are", self.total());
            return Err(Error::setting("parts of a record", parts, expected));
        }
        let rows: Vec<usize> =
            (0..self.rows()).flat_map(|row| std::iter::repeat_n(row, self.counts[row] as usize)).collect();
        let order = permutation(rows.len(), &mut seed.stream("folds", 0));
        let fold = |number: usize| {
            let mut held = vec![0u64; self.rows()];
            order.iter().skip(number).step_by(parts).for_each(|&shot| held[rows[shot]] += 1);
            let kept: Vec<u64> = self.counts.iter().zip(&held).map(|(c, h)| c - h).collect();
            Ok((self.with_counts(&kept)?, self.with_counts(&held)?))
        };
        (0..parts.min(some)).map(fold).collect()
    }

    /// As many shots drawn from these with replacement, within each setting: a sample of the bootstrap.
    ///
    /// # Errors
    /// None that can be provoked.
    pub fn resampled(&self, seed: Seed) -> Result<Self> {
        let mut counts = vec![0u64; self.rows()];
        let mut stream = seed.stream("resample", 0);
        for rows in self.by_setting() {
            let weights: Vec<f64> = rows.iter().map(|&row| self.counts[row] as f64).collect();
            let total: u64 = rows.iter().map(|&row| self.counts[row]).sum();
            for (row, n) in rows.iter().zip(super::simulate::multinomial(total, &weights, &mut stream)) {
                counts[*row] = n;
            }
        }
        self.with_counts(&counts)
    }

    /// Both records in one.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sites differ; as [`Collector::push`].
    pub fn joined(&self, other: &Self) -> Result<Self> {
        if self.dims != other.dims {
            return Err(Error::shape("two records: the levels of the sites", &other.dims, &self.dims));
        }
        let mut collector = Collector::new(&self.dims)?;
        for shots in [self, other] {
            let numbers = shots.table.iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
            for row in 0..shots.rows() {
                let settings: Vec<u32> = shots.setting(row).iter().map(|&m| numbers[m as usize]).collect();
                collector.push(&settings, shots.outcome(row), shots.counts[row])?;
            }
        }
        collector.finish()
    }

    /// For each site the number of independent operators among the elements measured there; `d^2` are needed to know the
    /// state of the site.
    ///
    /// # Errors
    /// What an eigensolver can meet.
    pub fn local_ranks(&self) -> Result<Vec<usize>> {
        let sites = self.sites();
        let mut ranks = Vec::with_capacity(sites);
        for site in 0..sites {
            let d = self.dims[site];
            let mut seen: Vec<u32> = Vec::new();
            let mut used = vec![false; self.table.len()];
            for row in 0..self.rows() {
                let m = self.settings[row * sites + site];
                if !used[m as usize] {
                    used[m as usize] = true;
                    seen.push(m);
                }
                // A handful of random ones span everything.
                if seen.len() > 4 * d * d {
                    break;
                }
            }
            let mut gram = Array2::<Complex64>::zeros((d * d, d * d));
            for &m in &seen {
                for e in self.table[m as usize].effects(d)? {
                    let flat: Vec<Complex64> = e.iter().copied().collect();
                    for (i, x) in flat.iter().enumerate() {
                        for (j, y) in flat.iter().enumerate() {
                            gram[[i, j]] += x * y.conj();
                        }
                    }
                }
            }
            let values = crate::linalg::eigh(&gram.view())?.values;
            let top = values.last().copied().unwrap_or(0.0);
            ranks.push(values.iter().filter(|&&v| v > 1e-9 * top).count());
        }
        Ok(ranks)
    }
}

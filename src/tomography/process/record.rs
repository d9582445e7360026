//! Records of a channel: what was put in, what was measured of what came out.

use std::collections::HashMap;

use ndarray::{Array2, Array3};
use num_complex::Complex64;

use super::super::compiled::Compiled;
use super::super::measurement::root;
use super::super::readout::Readout;
use super::super::shots::{Collector, Shots};
use super::super::simulate::{Chooser, Noise, Settings, choose, draw, roots};
use super::super::state::Lpdo;
use super::channel::Process;
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Seed;

type C = Complex64;

/// Records of a channel: [`Shots`] of twice the sites, inputs first, then outputs.
///
/// An input is written as a measurement and its outcome: what is put in is the state `E / tr E` of that element `E`. So `X` with outcome
/// 1 is the state (1, -1)/sqrt 2.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessShots {
    shots: Shots,
}

impl ProcessShots {
    /// From shots of twice the sites.
    ///
    /// # Errors
    /// [`Error::Format`] for an odd number of sites, or if an element that stands for an input is zero.
    pub fn new(shots: Shots) -> Result<Self> {
        if !shots.sites().is_multiple_of(2) {
            let what = format!(
                "a record of a channel has {} sites; give an even number, the inputs first, then as many outputs",
                shots.sites()
            );
            return Err(Error::Format { what });
        }
        let record = ProcessShots { shots };
        for row in 0..record.shots.rows() {
            for site in 0..record.sites() {
                record.input(row, site)?;
            }
        }
        Ok(record)
    }

    /// Number of sites of the channel.
    #[must_use]
    pub fn sites(&self) -> usize {
        self.shots.sites() / 2
    }

    /// Levels of each input.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.shots.dims()[..self.sites()]
    }

    /// Levels of each output.
    #[must_use]
    pub fn outputs(&self) -> &[usize] {
        &self.shots.dims()[self.sites()..]
    }

    /// The shots, inputs before outputs.
    #[must_use]
    pub fn shots(&self) -> &Shots {
        &self.shots
    }

    /// The state that was put in at a site, `[d, d]`.
    fn input(&self, row: usize, site: usize) -> Result<Array2<C>> {
        let measurement = &self.shots.measurements()[self.shots.setting(row)[site] as usize];
        let outcome = usize::from(self.shots.outcome(row)[site]);
        let e = measurement.effects(self.shots.dims()[site])?.swap_remove(outcome);
        let trace: f64 = e.diag().iter().map(|x| x.re).sum();
        if !(trace > 0.0) {
            let what = format!("input of site {site}: element {outcome} of measurement '{measurement}' is zero");
            return Err(Error::Format { what });
        }
        Ok(e.mapv(|x| x / trace))
    }

    /// For each site the number of independent states that were put in; `d^2` are needed to know what the channel does.
    ///
    /// # Errors
    /// What an eigensolver can meet.
    pub fn input_ranks(&self) -> Result<Vec<usize>> {
        let mut ranks = Vec::with_capacity(self.sites());
        for (site, &d) in self.inputs().iter().enumerate() {
            let mut seen: HashMap<(u32, u8), ()> = HashMap::new();
            let mut gram = Array2::<C>::zeros((d * d, d * d));
            for row in 0..self.shots.rows() {
                let key = (self.shots.setting(row)[site], self.shots.outcome(row)[site]);
                if seen.len() > 4 * d * d || seen.insert(key, ()).is_some() {
                    continue;
                }
                let flat: Vec<C> = self.input(row, site)?.iter().copied().collect();
                for (i, x) in flat.iter().enumerate() {
                    flat.iter().enumerate().for_each(|(j, y)| gram[[i, j]] += x * y.conj());
                }
            }
            let values = crate::linalg::eigh(&gram.view())?.values;
            let top = values.last().copied().unwrap_or(0.0);
            ranks.push(values.iter().filter(|&&v| v > 1e-9 * top).count());
        }
        Ok(ranks)
    }

    /// What a fit works with: at each site the element `rho^T (x) E`, so that `p = d tr(J ..)` of the Choi state `J`.
    pub(super) fn compiled(&self, readout: Option<&Readout>) -> Result<Compiled> {
        let (rows, sites) = (self.shots.rows(), self.sites());
        if let Some(readout) = readout {
            readout.check_sites(sites)?;
        }
        let mut numbers: HashMap<[u32; 5], u32> = HashMap::new();
        let mut elements: Vec<Array2<C>> = Vec::new();
        let mut index = Vec::with_capacity(rows * sites);
        for row in 0..rows {
            let (setting, outcome) = (self.shots.setting(row), self.shots.outcome(row));
            for site in 0..sites {
                let out = sites + site;
                // Sites that are alike share their elements, unless each has errors of its own.
                let place = if readout.is_some() { site } else { self.inputs()[site] * 257 + self.outputs()[site] };
                let key = [place as u32, setting[site], outcome[site].into(), setting[out], outcome[out].into()];
                let number = match numbers.get(&key) {
                    Some(&number) => number,
                    None => {
                        let mut effects =
                            self.shots.measurements()[setting[out] as usize].effects(self.outputs()[site])?;
                        if let Some(readout) = readout {
                            effects = readout.applied(site, &effects)?;
                        }
                        let (rho, e) = (self.input(row, site)?, &effects[usize::from(outcome[out])]);
                        let n = e.nrows();
                        let size = rho.nrows() * n;
                        elements.push(Array2::from_shape_fn((size, size), |(i, j)| {
                            rho[[j / n, i / n]] * e[[i % n, j % n]]
                        }));
                        let number = elements.len() as u32 - 1;
                        numbers.insert(key, number);
                        number
                    }
                };
                index.push(number);
            }
        }
        let vectors = elements.iter().map(root).collect::<Option<Vec<_>>>();
        let total = self.shots.total() as f64;
        let weights = self.shots.counts().iter().map(|&c| c as f64 / total).collect();
        let dims = self.inputs().iter().zip(self.outputs()).map(|(i, o)| i * o).collect();
        Ok(Compiled { dims, rows, total, weights, index, elements, vectors })
    }
}

/// A product of states, one a site.
fn product(states: &[Array2<C>]) -> Result<Lpdo> {
    let mut tensors = Vec::with_capacity(states.len());
    let dims: Vec<usize> = states.iter().map(Array2::nrows).collect();
    for rho in states {
        let columns = roots(rho)?;
        let k = columns.len();
        tensors.push(Array3::from_shape_fn((1, rho.nrows() * k, 1), |(_, sk, _)| columns[sk % k][sk / k]));
    }
    Lpdo::new(Mps::new(tensors)?, &dims)
}

/// Draws `count` shots behind a channel that preserves the trace; shot `i` depends on the seed and `i` only.
///
/// An input is what an outcome of `preparations` stands for, each with the weight of its element; the outcomes of X, Y and Z are six
/// states, equally likely. Settings in turn are gone through for one setting of the inputs after the other.
///
/// # Errors
/// As [`super::super::simulate()`].
pub fn simulate_process(
    process: &Process,
    preparations: &Settings,
    settings: &Settings,
    count: u64,
    noise: &Noise,
    seed: Seed,
) -> Result<ProcessShots> {
    noise.check(count, process.inputs().len())?;
    let outputs = process.outputs();
    let (before, after) = (Chooser::new(preparations, process.inputs())?, Chooser::new(settings, &outputs)?);
    let dims: Vec<usize> = process.inputs().iter().chain(&outputs).copied().collect();
    let shots: Vec<u64> = (0..count).collect();
    let drawn = parallel::map(shots.chunks(64).collect(), |shots: &[u64]| {
        let mut rows = Vec::with_capacity(shots.len());
        for &shot in shots {
            let mut stream = seed.stream("process shot", shot);
            let mut setting = before.of(shot / after.turns(), &mut stream);
            let mut states = Vec::with_capacity(setting.len());
            let mut outcome = Vec::with_capacity(2 * setting.len());
            for (m, &d) in setting.iter().zip(process.inputs()) {
                let effects = m.effects(d)?;
                let traces: Vec<f64> = effects.iter().map(|e| e.diag().iter().map(|x| x.re).sum()).collect();
                let o = choose(&traces, &mut stream);
                states.push(effects[o].mapv(|x| x / traces[o]));
                outcome.push(u8::try_from(o).map_err(|_| Error::setting("outcome", o, "at most 255"))?);
            }
            let measured = after.of(shot, &mut stream);
            let state = process.apply(&product(&states)?)?;
            outcome.extend(draw(&state, &measured, noise, &mut stream)?);
            setting.extend(measured);
            rows.push((setting, outcome));
        }
        Ok::<_, Error>(rows)
    });
    let mut collector = Collector::new(&dims)?;
    for rows in drawn {
        for (setting, outcome) in rows? {
            let numbers = setting.iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
            collector.push(&numbers, &outcome, 1)?;
        }
    }
    ProcessShots::new(collector.finish()?)
}

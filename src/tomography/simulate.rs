//! Records drawn from a state.

use ndarray::Array2;
use num_complex::Complex64;
use rand::RngExt;

use super::measurement::Measurement;
use super::readout::Readout;
use super::shots::{Collector, Shots};
use super::state::Lpdo;
use crate::error::{Error, Result};
use crate::linalg::eigh;
use crate::parallel;
use crate::random::{Seed, Stream};

/// Which measurements the shots of a simulation have.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// All `3^sites` products of X, Y and Z in turn.
    AllPaulis,
    /// Each site X, Y or Z at random in every shot.
    RandomPaulis,
    /// Each site a basis along a direction uniform on the sphere, in every shot.
    RandomBases,
    /// These in turn, one measurement a site.
    Given(Vec<Vec<Measurement>>),
}

/// What is wrong with the experiment that is simulated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Noise {
    /// Probability with which each site is replaced by the maximally mixed state before it is measured.
    pub depolarising: f64,
    /// Confusion of outcomes.
    pub readout: Option<Readout>,
}

/// Shots in a block, which is the unit of parallel work.
const BLOCK: usize = 256;
/// Settings of [`Settings::AllPaulis`] at the most.
const MOST_SETTINGS: usize = 1 << 24;

impl Noise {
    /// That it fits so many sites, and that there is a shot to draw.
    pub(super) fn check(&self, count: u64, sites: usize) -> Result<()> {
        if count == 0 {
            return Err(Error::setting("shots", 0, "give at least 1"));
        }
        if !(0.0..=1.0).contains(&self.depolarising) {
            return Err(Error::setting("depolarising", self.depolarising, "give a probability"));
        }
        self.readout.as_ref().map_or(Ok(()), |readout| readout.check_sites(sites))
    }
}

/// Which setting a shot has.
pub(super) struct Chooser<'a> {
    settings: &'a Settings,
    sites: usize,
    /// Settings that are gone through in turn.
    all: u64,
}

impl<'a> Chooser<'a> {
    pub fn new(settings: &'a Settings, dims: &[usize]) -> Result<Self> {
        let sites = dims.len();
        if !matches!(settings, Settings::Given(_)) && dims.iter().any(|&d| d != 2) {
            return Err(Error::setting("settings", "of qubits", "the state has other sites; give the measurements"));
        }
        let all = match settings {
            Settings::AllPaulis => {
                let n = u32::try_from(sites).ok().and_then(|n| 3usize.checked_pow(n)).filter(|&n| n <= MOST_SETTINGS);
                n.ok_or_else(|| Error::setting("settings", format!("all 3^{sites}"), "draw them at random"))?
            }
            Settings::Given(list) => {
                if list.is_empty() {
                    return Err(Error::Empty { what: "the list of settings".into() });
                }
                for setting in list {
                    if setting.len() != sites {
                        return Err(Error::shape("a setting, in sites", setting.len(), sites));
                    }
                    setting.iter().zip(dims).try_for_each(|(m, &d)| m.effects(d).map(drop))?;
                }
                list.len()
            }
            _ => 1,
        };
        Ok(Chooser { settings, sites, all: all as u64 })
    }

    /// After so many shots the settings begin anew.
    pub fn turns(&self) -> u64 {
        self.all
    }

    pub fn of(&self, shot: u64, stream: &mut Stream) -> Vec<Measurement> {
        let paulis = [Measurement::X, Measurement::Y, Measurement::Z];
        match self.settings {
            Settings::AllPaulis => {
                let mut code = (shot % self.all) as usize;
                let mut setting = vec![Measurement::X; self.sites];
                for m in setting.iter_mut().rev() {
                    *m = paulis[code % 3].clone();
                    code /= 3;
                }
                setting
            }
            Settings::RandomPaulis => (0..self.sites).map(|_| paulis[stream.random_range(0..3)].clone()).collect(),
            Settings::RandomBases => (0..self.sites)
                .map(|_| {
                    let cosine: f64 = 2.0 * stream.random::<f64>() - 1.0;
                    Measurement::Angles { theta: cosine.acos(), phi: std::f64::consts::TAU * stream.random::<f64>() }
                })
                .collect(),
            Settings::Given(list) => list[(shot % self.all) as usize].clone(),
        }
    }
}

/// Draws `count` shots; shot `i` depends on the seed and `i` only.
///
/// The purified chain is measured site by site, its purification legs too: their outcomes are forgotten, which leaves the
/// distribution of the mixed state.
///
/// # Errors
/// [`Error::Setting`] for no shots, a probability outside `[0, 1]`, too many settings, sites that are no qubits where
/// qubits are needed; [`Error::Shape`] if given measurements do not fit the sites.
pub fn simulate(state: &Lpdo, settings: &Settings, count: u64, noise: &Noise, seed: Seed) -> Result<Shots> {
    let dims = state.dims().to_vec();
    noise.check(count, dims.len())?;
    let chooser = Chooser::new(settings, &dims)?;
    let mut collector = Collector::new(&dims)?;
    let mut done = 0u64;
    while done < count {
        // Some blocks at a time, so that rows that are equal need no memory for long.
        let now = (count - done).min(64 * BLOCK as u64);
        let blocks: Vec<(u64, u64)> =
            (0..now).step_by(BLOCK).map(|b| (done + b, (done + b + BLOCK as u64).min(done + now))).collect();
        let drawn = parallel::map(blocks, |(from, to)| {
            let mut rows = Vec::with_capacity((to - from) as usize);
            for shot in from..to {
                let mut stream = seed.stream("tomography shot", shot);
                let setting = chooser.of(shot, &mut stream);
                let outcome = draw(state, &setting, noise, &mut stream)?;
                rows.push((setting, outcome));
            }
            Ok::<_, Error>(rows)
        });
        for rows in drawn {
            for (setting, outcome) in rows? {
                let numbers = setting.iter().map(|m| collector.measurement(m)).collect::<Result<Vec<u32>>>()?;
                collector.push(&numbers, &outcome, 1)?;
            }
        }
        done += now;
    }
    collector.finish()
}

/// One shot.
pub(super) fn draw(state: &Lpdo, setting: &[Measurement], noise: &Noise, stream: &mut Stream) -> Result<Vec<u8>> {
    let mut left = vec![Complex64::new(1.0, 0.0)];
    let mut outcomes = Vec::with_capacity(setting.len());
    for (site, measurement) in setting.iter().enumerate() {
        let a = &state.chain().tensors()[site];
        let (l, sk, r) = a.dim();
        let (d, k) = (state.dims()[site], state.purification()[site]);
        let entries = a.as_slice().unwrap_or_default();
        let mut t = vec![Complex64::default(); sk * r];
        for (x, block) in left.iter().zip(entries.chunks_exact(sk * r)).take(l) {
            t.iter_mut().zip(block).for_each(|(o, v)| *o += x * v);
        }
        let lost = noise.depolarising > 0.0 && stream.random::<f64>() < noise.depolarising;
        let effects = measurement.effects(d)?;
        let looked_at = if lost { Measurement::Z.effects(d)? } else { effects.clone() };
        // Amplitudes of every outcome, of every direction of its element and of the purification.
        let mut branches: Vec<(usize, Vec<Complex64>)> = Vec::new();
        for (o, e) in looked_at.iter().enumerate() {
            for v in roots(e)? {
                for q in 0..k {
                    let mut b = vec![Complex64::default(); r];
                    for (s, x) in v.iter().enumerate() {
                        let x = x.conj();
                        b.iter_mut().zip(&t[(s * k + q) * r..]).for_each(|(o, y)| *o += x * y);
                    }
                    branches.push((o, b));
                }
            }
        }
        let weights: Vec<f64> = branches.iter().map(|(_, b)| b.iter().map(|x| x.norm_sqr()).sum()).collect();
        let chosen = choose(&weights, stream);
        let (mut outcome, branch) = branches.swap_remove(chosen);
        let size = weights[chosen].sqrt();
        left = branch.into_iter().map(|x| x / size).collect();
        if lost {
            let traces: Vec<f64> = effects.iter().map(|e| e.diag().iter().map(|x| x.re).sum()).collect();
            outcome = choose(&traces, stream);
        }
        if let Some(readout) = &noise.readout
            && let Some(confusion) = readout.of(site, effects.len())?
        {
            outcome = choose(&confusion.column(outcome).to_vec(), stream);
        }
        outcomes.push(u8::try_from(outcome).map_err(|_| Error::setting("outcome", outcome, "at most 255"))?);
    }
    Ok(outcomes)
}

/// Vectors with `E = sum of |v><v|`.
pub(super) fn roots(e: &Array2<Complex64>) -> Result<Vec<Vec<Complex64>>> {
    if let Some(v) = super::measurement::root(e) {
        return Ok(vec![v]);
    }
    let f = eigh(&e.view())?;
    let columns = (0..e.nrows()).filter(|&i| f.values[i] > 1e-15);
    Ok(columns.map(|i| f.vectors.column(i).iter().map(|x| x * f.values[i].sqrt()).collect()).collect())
}

/// An index with probability in proportion to its weight; weights below zero count as zero.
pub(super) fn choose(weights: &[f64], stream: &mut Stream) -> usize {
    let total: f64 = weights.iter().map(|w| w.max(0.0)).sum();
    let mut point = stream.random::<f64>() * total;
    let mut last = 0;
    for (i, &w) in weights.iter().enumerate() {
        if w > 0.0 {
            last = i;
            if point < w {
                return i;
            }
            point -= w;
        }
    }
    last
}

/// Counts of `total` draws with the given weights.
pub(super) fn multinomial(total: u64, weights: &[f64], stream: &mut Stream) -> Vec<u64> {
    use rand_distr::{Binomial, Distribution};
    let mut left: f64 = weights.iter().map(|w| w.max(0.0)).sum();
    let mut rest = total;
    let mut counts = Vec::with_capacity(weights.len());
    for (i, &w) in weights.iter().enumerate() {
        let w = w.max(0.0);
        let share = if left > 0.0 { (w / left).min(1.0) } else { 0.0 };
        let n = if rest == 0 || share == 0.0 {
            0
        } else if share == 1.0 || i + 1 == weights.len() {
            rest
        } else {
            Binomial::new(rest, share).map_or(0, |b| b.sample(stream)).min(rest)
        };
        counts.push(n);
        rest -= n;
        left -= w;
    }
    // What rounding left over goes to the likeliest.
    if rest > 0
        && let Some(most) = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]))
    {
        counts[most] += rest;
    }
    counts
}

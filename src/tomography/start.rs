//! Where the fit of a chain begins.

use ndarray::Array2;
use num_complex::Complex64;

use super::chain_fit::{ChainSettings, minimise, sites_of};
use super::compiled::Compiled;
use super::likelihood::Sites;
use super::objective::Objective;
use super::state::Lpdo;
use super::sweep::{Improve, Rows, sweeps};
use crate::chain::Mps;
use crate::error::{Error, Result};
use crate::linalg::{Op, Truncation, eigh, matmul};
use crate::random::permutation;

type C = Complex64;

/// Iterations for the state of a single site.
const ITERATIONS: usize = 30;

/// Rows with which a start by growing records begins, and the factor by which they grow from sweep to sweep.
const FIRST_ROWS: usize = 80;
const GROWTH: f64 = 1.15;
/// The bond meanwhile, and the share of the largest Schmidt value up to which others are dropped.
const WIDE: usize = 6;
const WIDE_CUTOFF: f64 = 0.05;
/// Sites from which a start by growing records is made; below, others do as well.
const MANY_SITES: usize = 8;

/// Of some random starts the one whose loss is lowest after a few steps. The first of a pure state of many sites is
/// one by growing records ([`grown`]). Every third is scattered about the product of the states of
/// single sites, the others about equal amplitudes.
pub(super) fn best_start(objective: &Objective, settings: &ChainSettings) -> Result<Sites> {
    let data = objective.data;
    let mut best: Option<(f64, Sites)> = None;
    // Amplitudes of one sign, where nothing that was measured tells of phases: the sign can then not be learnt.
    let real = data.vectors.as_ref().is_some_and(|v| v.iter().flatten().all(|x| x.im == 0.0 && x.re >= 0.0));
    let pure = settings.purification == 1;
    let alone = (0..data.sites()).map(|site| root_of_site(data, site)).collect::<Result<Vec<_>>>()?;
    // Of few rows signs that nothing tells would be left to chance.
    let growing = pure && !real && data.vectors.is_some() && data.sites() >= MANY_SITES && data.rows > FIRST_ROWS;
    let starts = if growing { settings.starts.div_ceil(3) } else { settings.starts };
    for index in 0..starts as u64 {
        let seed = settings.seed.derive("start of tomography", index);
        let bond = if pure { settings.bond.min(2) } else { settings.bond };
        // Of a channel the inputs are chosen, and say nothing of its state.
        let near = index % 3 == 0 && objective.preservation.is_none();
        let noise = match (pure, near) {
            (true, true) => [0.1, 0.3][(index % 2) as usize],
            (true, false) => 0.4,
            (false, _) => 0.2,
        };
        let mut state = if near {
            Lpdo::scattered(&alone, bond, settings.purification, noise, seed)?
        } else {
            Lpdo::random(&data.dims, bond, settings.purification, noise, seed)?
        };
        if real && pure {
            let tensors = state.chain().tensors().iter().map(|a| a.mapv(|x| C::new(x.norm() + 0.05, 0.0)));
            state = Lpdo::new(Mps::new(tensors.collect())?, &data.dims)?;
        }
        if growing && index == 0 {
            state = grown(state, objective, settings)?;
        }
        let mut sites = sites_of(&state);
        if starts == 1 {
            return Ok(sites);
        }
        let value = if pure && data.vectors.is_some() {
            let truncation = Truncation::none().max_bond(settings.bond).cutoff(1e-4);
            let mut value = f64::INFINITY;
            let begin = Mps::new(sites.tensors.clone())?;
            let chain = sweeps(begin, &Rows::all(data), 1, Improve::Lbfgs(4), &truncation, &mut |v| {
                value = v;
                true
            })?;
            sites = sites_of(&Lpdo::pure(chain)?);
            value
        } else {
            minimise(&mut sites, objective, 10, settings.fall, &mut |_| true)?
        };
        if best.as_ref().is_none_or(|b| value < b.0) {
            best = Some((value, sites));
        }
    }
    best.map(|b| b.1).ok_or_else(|| Error::setting("starts", 0, "give at least 1"))
}

/// A pure state led to a record step by step: a sweep on a few rows, then on more and more of them, with a bond wider than wanted. Of few
/// rows every maximum is a good one, and the next ones do not move it far; from a random start all rows of twenty sites at once lead to
/// a poor maximum. The records grow as in Wang et al., arXiv:1712.03213.
fn grown(state: Lpdo, objective: &Objective, settings: &ChainSettings) -> Result<Lpdo> {
    let data = objective.data;
    let order = permutation(data.rows, &mut settings.seed.stream("growing record", 0));
    let mut chain = state.chain().clone();
    let wide = Truncation::none().max_bond(settings.bond.max(WIDE)).min_bond(2).cutoff(WIDE_CUTOFF);
    let mut count = FIRST_ROWS as f64;
    loop {
        let rows = Rows::some(data, &order[..(count as usize).min(data.rows)]);
        chain = sweeps(chain, &rows, 1, Improve::Fixed(2), &wide, &mut |_| true)?;
        if count >= data.rows as f64 {
            return Lpdo::pure(chain);
        }
        count *= GROWTH;
    }
}

/// `X` with `rho = X X^H`, columns by falling weight, of the state that explains what was seen at one site, all others forgotten: some
/// steps of `rho -> R rho R / tr`, `R = sum of w E / p`.
fn root_of_site(data: &Compiled, site: usize) -> Result<Array2<C>> {
    let d = data.dims[site];
    let mut weights = vec![0.0; data.elements.len()];
    for (numbers, w) in data.index.chunks_exact(data.sites()).zip(&data.weights) {
        weights[numbers[site] as usize] += w;
    }
    let seen: Vec<(f64, &Array2<C>)> = weights.into_iter().zip(&data.elements).filter(|(w, _)| *w > 0.0).collect();
    let mut rho = Array2::eye(d).mapv(|x: C| x / d as f64);
    for _ in 0..ITERATIONS {
        let mut r = Array2::<C>::zeros((d, d));
        for (w, e) in &seen {
            let p: f64 = e.iter().zip(rho.t()).map(|(x, y)| (x * y).re).sum();
            r.scaled_add(C::new(w / p.max(1e-12), 0.0), e);
        }
        let half = matmul(&r.view(), Op::None, &rho.view(), Op::None);
        let next = matmul(&half.view(), Op::None, &r.view(), Op::None);
        let trace: f64 = next.diag().iter().map(|x| x.re).sum();
        if !(trace > 0.0 && trace.is_finite()) {
            break;
        }
        rho = next.mapv(|x| x / trace);
    }
    let e = eigh(&rho.view())?;
    Ok(Array2::from_shape_fn((d, d), |(i, k)| e.vectors[[i, d - 1 - k]] * e.values[d - 1 - k].max(0.0).sqrt()))
}

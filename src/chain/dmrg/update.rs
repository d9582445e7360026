//! One step along the chain: solve locally, cut, move on.

use ndarray::Array3;

use super::lanczos::{Ritz, dot, lanczos};
use super::settings::Sweeps;
use super::split::{Split, expanded, plain};
use crate::chain::effective::Effective;
use crate::chain::environments::{Environment, Links, reversed};
use crate::chain::mps::{flat, left_matrix, right_matrix, site_tensor};
use crate::chain::projection::Projection;
use crate::chain::{Mpo, Mps, Toward};
use crate::error::Result;
use crate::linalg::{Op, matmul};
use crate::scalar::{LogScaled, Real, Scalar};

/// What a step found.
pub(super) struct Step {
    pub energy: f64,
    pub discarded_weight: f64,
    pub products: usize,
}

/// A step across a bond.
pub(super) type LocalUpdate<T> = fn(&mut Chain<'_, T>, usize, Toward, usize, &Sweeps) -> Result<Step>;

/// State, operator and the environments between them.
pub(super) struct Chain<'a, T: Scalar> {
    state: Mps<T>,
    links: Vec<Links<T>>,
    reversed: Vec<Links<T>>,
    /// What is left of each site, and right of it (seen from the right end); as far as the centre allows.
    lefts: Vec<Environment<T>>,
    rights: Vec<Environment<T>>,
    /// States to keep away from, of norm one, and what each costs.
    others: Vec<Projection<'a, T>>,
    penalty: f64,
}

impl<'a, T: Scalar> Chain<'a, T> {
    /// With a state whose centre is site 0.
    pub fn new(hamiltonian: &Mpo<T>, state: Mps<T>, others: &'a [Mps<T>], penalty: f64) -> Result<Self> {
        let mut links: Vec<Links<T>> = hamiltonian.tensors.iter().map(Links::new).collect();
        let factor = hamiltonian.factor.value();
        links[0].entries.iter_mut().for_each(|e| e.value *= factor);
        let reversed: Vec<_> = links.iter().map(Links::reversed).collect();
        let sites = state.sites();
        let identity = Mpo::identity(&state.dims())?;
        let mut chain = Chain {
            others: others.iter().map(|other| Projection::new(&identity, other, &state)).collect(),
            penalty,
            state,
            links,
            reversed,
            lefts: vec![Environment::end(); sites],
            rights: vec![Environment::end(); sites],
        };
        (1..sites).rev().for_each(|site| chain.advance(site, Toward::Left));
        Ok(chain)
    }

    pub fn sites(&self) -> usize {
        self.state.sites()
    }

    pub fn state(&self) -> &Mps<T> {
        &self.state
    }

    pub fn into_state(mut self) -> Result<Mps<T>> {
        self.state.move_centre(0)?;
        self.state.normalise()?;
        self.state.factor = LogScaled::one();
        Ok(self.state)
    }

    /// The environment beyond `site`, which is canonical, from the one before it.
    fn advance(&mut self, site: usize, toward: Toward) {
        let a = &self.state.tensors[site];
        match toward {
            Toward::Right => self.lefts[site + 1] = self.lefts[site].advance(a, &self.links[site], a, true),
            Toward::Left => {
                let a = reversed(a);
                self.rights[site - 1] = self.rights[site].advance(&a, &self.reversed[site], &a, true);
            }
        }
    }

    /// A chain of one site is a matrix.
    pub fn solve_last_site(&mut self, sweeps: &Sweeps) -> Result<Step> {
        let shape = self.state.tensors[0].dim();
        let effective = Effective::one_site(&self.lefts[0], &self.links[0], &self.rights[0]);
        let ritz = solve(effective, &[], flat(&self.state.tensors[0]).to_vec(), sweeps)?;
        self.state.tensors[0] = tensor(ritz.vector, shape);
        Ok(Step { energy: ritz.value, discarded_weight: 0.0, products: ritz.products })
    }

    /// Puts a split in place: the isometry on `site`, the carry on the next one.
    fn place(&mut self, site: usize, isometry: Array3<T>, next: usize, carry: Array3<T>, toward: Toward) {
        self.state.tensors[site] = isometry;
        self.state.tensors[next] = carry;
        // Only the direction matters: the norm that truncation has taken is given back.
        super::super::canonical::rescale(&mut self.state.tensors[next]);
        (self.state.left, self.state.right) = (next, next + 1);
        self.advance(site, toward);
        self.others.iter_mut().for_each(|other| other.advance(site, toward, &self.state.tensors[site]));
    }

    /// What the other states are on the two sites of `bond`, times the root of the penalty.
    fn penalties(&self, bond: usize) -> Vec<Vec<T>> {
        let local = |other: &Projection<T>| {
            let (vector, factor) = other.on_two_sites(bond);
            let weight = factor.value().scale(T::Real::of(self.penalty.sqrt()));
            vector.into_iter().map(|x| x * weight).collect()
        };
        self.others.iter().map(local).collect()
    }
}

/// The lowest eigenvector of `H + sum |p><p|`.
fn solve<T: Scalar>(
    mut effective: Effective<T>,
    penalties: &[Vec<T>],
    start: Vec<T>,
    sweeps: &Sweeps,
) -> Result<Ritz<T>> {
    let (vectors, reduce) = sweeps.krylov_limits();
    let floor = 4.0 * <T::Real as num_traits::Float>::epsilon().to_f64();
    let apply = |x: &[T], y: &mut [T]| {
        effective.apply(x, y);
        for p in penalties {
            let overlap = dot(p, x);
            y.iter_mut().zip(p).for_each(|(y, &p)| *y += overlap * p);
        }
    };
    lanczos(apply, start, (reduce, floor), vectors)
}

fn tensor<T: Scalar>(entries: Vec<T>, shape: (usize, usize, usize)) -> Array3<T> {
    Array3::from_shape_vec(shape, entries).unwrap_or_else(|_| unreachable!("{shape:?}"))
}

/// Solves for the two sites of `bond` and cuts between them.
pub(super) fn two_sites<T: Scalar>(
    chain: &mut Chain<T>,
    bond: usize,
    toward: Toward,
    sweep: usize,
    sweeps: &Sweeps,
) -> Result<Step> {
    let (first, second) = (&chain.state.tensors[bond], &chain.state.tensors[bond + 1]);
    let ((a, i, _), (_, j, c)) = (first.dim(), second.dim());
    let start = matmul(&left_matrix(first), Op::None, &right_matrix(second), Op::None);
    let (left, right) = (&chain.lefts[bond], &chain.rights[bond + 1]);
    let effective = Effective::two_sites(left, &chain.links[bond], &chain.links[bond + 1], right);
    let Ritz { value, vector, products } =
        solve(effective, &chain.penalties(bond), start.into_raw_vec_and_offset().0, sweeps)?;
    let (truncation, noise) = (sweeps.truncation_at(sweep), sweeps.noise_at(sweep));
    let discarded_weight;
    match toward {
        Toward::Right => {
            let theta = tensor(vector, (a, i, j * c));
            let split = if noise > 0.0 {
                expanded(&theta, left, &chain.links[bond], noise, &truncation)?
            } else {
                plain(&left_matrix(&theta), &truncation)?
            };
            let kept = split.isometry.ncols();
            discarded_weight = split.discarded_weight;
            let (u, carry) = (site_tensor(split.isometry, (a, i, kept)), site_tensor(split.carry, (kept, j, c)));
            chain.place(bond, u, bond + 1, carry, toward);
        }
        Toward::Left => {
            // Seen from the right end the near bond is c, the near site j.
            let theta = reversed(&tensor(vector, (a * i, j, c)));
            let split = if noise > 0.0 {
                expanded(&theta, right, &chain.reversed[bond + 1], noise, &truncation)?
            } else {
                plain(&left_matrix(&theta), &truncation)?
            };
            let Split { isometry, carry, discarded_weight: lost } = split;
            let kept = isometry.ncols();
            discarded_weight = lost;
            let v = reversed(&site_tensor(isometry, (c, j, kept)));
            let carry = site_tensor(carry.reversed_axes(), (a, i, kept));
            chain.place(bond + 1, v, bond, carry, toward);
        }
    }
    Ok(Step { energy: value, discarded_weight, products })
}

/// Solves for the site on the near side of `bond` and moves the centre across it, the bond enlarged by the noise.
pub(super) fn one_site<T: Scalar>(
    chain: &mut Chain<T>,
    bond: usize,
    toward: Toward,
    sweep: usize,
    sweeps: &Sweeps,
) -> Result<Step> {
    let (site, next) = if toward == Toward::Right { (bond, bond + 1) } else { (bond + 1, bond) };
    let shape = chain.state.tensors[site].dim();
    let (left, right) = (&chain.lefts[site], &chain.rights[site]);
    let effective = Effective::one_site(left, &chain.links[site], right);
    let start = flat(&chain.state.tensors[site]).to_vec();
    let Ritz { value, vector, products } = solve(effective, &[], start, sweeps)?;
    let theta = tensor(vector, shape);
    let (theta, near, links) = match toward {
        Toward::Right => (theta, left, &chain.links[site]),
        Toward::Left => (reversed(&theta), right, &chain.reversed[site]),
    };
    let (truncation, noise) = (sweeps.truncation_at(sweep), sweeps.noise_at(sweep));
    let split = if noise > 0.0 {
        expanded(&theta, near, links, noise, &truncation)?
    } else {
        plain(&left_matrix(&theta), &truncation)?
    };
    let (near, d, _) = theta.dim();
    let Split { isometry, carry, discarded_weight } = split;
    let kept = isometry.ncols();
    let isometry = site_tensor(isometry, (near, d, kept));
    let (l, dn, r) = chain.state.tensors[next].dim();
    match toward {
        Toward::Right => {
            let product = matmul(&carry.view(), Op::None, &right_matrix(&chain.state.tensors[next]), Op::None);
            chain.place(site, isometry, next, site_tensor(product, (kept, dn, r)), toward);
        }
        Toward::Left => {
            let product = matmul(&left_matrix(&chain.state.tensors[next]), Op::None, &carry.view(), Op::Transpose);
            chain.place(site, reversed(&isometry), next, site_tensor(product, (l, dn, kept)), toward);
        }
    }
    Ok(Step { energy: value, discarded_weight, products })
}

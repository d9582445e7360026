//! A state `O |ket>` seen in the local basis of another one, `bra`, site by site.

use ndarray::Array3;

use super::effective::Effective;
use super::environments::{Environment, Links, reversed};
use super::mps::{left_matrix, right_matrix};
use super::overlap::tame;
use super::{Mpo, Mps, Toward};
use crate::linalg::{Op, matmul};
use crate::scalar::{LogScaled, Scalar};

/// The environments `<bra| O |ket>` from both ends, with the logarithms of their scale.
pub(super) struct Projection<'a, T: Scalar> {
    ket: &'a Mps<T>,
    factor: LogScaled<T>,
    links: Vec<Links<T>>,
    reversed: Vec<Links<T>>,
    lefts: Vec<(Environment<T>, f64)>,
    rights: Vec<(Environment<T>, f64)>,
}

impl<'a, T: Scalar> Projection<'a, T> {
    /// Onto a bra with its centre at site 0.
    pub fn new(operator: &Mpo<T>, ket: &'a Mps<T>, bra: &Mps<T>) -> Self {
        let links: Vec<_> = operator.tensors.iter().map(Links::new).collect();
        let ends = vec![(Environment::end(), 0.0); ket.sites()];
        let mut projection = Projection {
            ket,
            factor: operator.factor * ket.factor,
            reversed: links.iter().map(Links::reversed).collect(),
            links,
            lefts: ends.clone(),
            rights: ends,
        };
        (1..ket.sites()).rev().for_each(|site| projection.advance(site, Toward::Left, &bra.tensors[site]));
        projection
    }

    /// Takes in the new tensor of the bra at `site`, which the centre has left in the direction `toward`.
    pub fn advance(&mut self, site: usize, toward: Toward, bra: &Array3<T>) {
        let ket = &self.ket.tensors[site];
        let step = |(near, ln): &(Environment<T>, f64), bra: &Array3<T>, links: &Links<T>, ket: &Array3<T>| {
            let mut next = near.advance(bra, links, ket, false);
            let ln = ln + tame(&mut next.entries);
            (next, ln)
        };
        match toward {
            Toward::Right => self.lefts[site + 1] = step(&self.lefts[site], bra, &self.links[site], ket),
            Toward::Left => {
                let (bra, ket) = (reversed(bra), reversed(ket));
                self.rights[site - 1] = step(&self.rights[site], &bra, &self.reversed[site], &ket);
            }
        }
    }

    /// `O |ket>` in the basis of the bra around the two sites of `bond`, `[left, site, site, right]`, and its factor.
    pub fn on_two_sites(&self, bond: usize) -> (Vec<T>, LogScaled<T>) {
        let (first, second) = (&self.ket.tensors[bond], &self.ket.tensors[bond + 1]);
        let ket = matmul(&left_matrix(first), Op::None, &right_matrix(second), Op::None);
        let ((left, ln_left), (right, ln_right)) = (&self.lefts[bond], &self.rights[bond + 1]);
        let mut effective = Effective::two_sites(left, &self.links[bond], &self.links[bond + 1], right);
        let mut theta = vec![T::zero(); effective.rows()];
        effective.apply(ket.as_slice().unwrap_or_default(), &mut theta);
        (theta, self.factor * LogScaled::exp(ln_left + ln_right))
    }
}

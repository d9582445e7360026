//! Chains as tensors with named legs, and back: for whatever contraction no method of a chain stands for.

use ndarray::{Array3, Array4};

use super::{Mpo, Mps};
use crate::error::{Error, Place, Result};
use crate::scalar::Scalar;
use crate::tensor::{Leg, Role, Tensor};

impl<T: Scalar> Mps<T> {
    /// The tensor of `site` with the legs `bond{site - 1}`, `site{site}` and `bond{site}`, such as `bond2`, `site3` and
    /// `bond3`; the first and the last site have no outer bond.
    ///
    /// [`contract`](crate::tensor::contract) joins neighbours by their bond. The [`factor`](Self::factor) of the state is
    /// in none of the tensors.
    ///
    /// ```
    /// use ansatz::{Seed, chain::Mps, tensor::contract};
    /// let psi = Mps::<f64>::random(&[2, 3], 2, Seed(1))?;
    /// let whole = contract(&psi.tensor(0)?, &psi.tensor(1)?)?;
    /// let amplitude = whole.get(&[("site0", 1), ("site1", 2)])? * psi.factor().value();
    /// assert!((amplitude - psi.amplitude(&[1u8, 2])?.value()).abs() < 1e-14);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site.
    pub fn tensor(&self, site: usize) -> Result<Tensor<T>> {
        self.check_site(site)?;
        let a = &self.tensors[site];
        let physical = [Leg::site(site_name(site), a.dim().1)];
        named(site, self.sites(), a, "bond", physical)
    }

    /// The state whose sites are these tensors, in order; nothing is assumed of the gauge.
    ///
    /// Each tensor has one leg of [`Role::Site`]. Neighbours share one leg of [`Role::Bond`], of any name, or none,
    /// which is a bond of dimension 1. Other bonds of dimension 1 are dropped.
    ///
    /// # Errors
    /// [`Error::Leg`], at the place of the site, if a tensor has another number of site legs, neighbours share two legs or
    /// one that is no bond, or a leg is shared with nobody; as [`new`](Self::new).
    pub fn from_tensors(tensors: &[Tensor<T>]) -> Result<Self> {
        let sites = arrays(tensors, |tensor| {
            let site: Vec<&Leg> = physical(tensor).collect();
            match site[..] {
                [site] => Ok(vec![site.name()]),
                _ => Err(Error::Leg {
                    what: format!("{tensor} has {} site legs where 1 is needed; fuse or with_role", site.len()),
                }),
            }
        })?;
        Mps::new(
            sites
                .into_iter()
                .map(|Site { left, dims, right, entries }| {
                    let shape = (left, dims.iter().product(), right);
                    Array3::from_shape_vec(shape, entries).map_err(|e| Error::shape("a site tensor", e, shape))
                })
                .collect::<Result<_>>()?,
        )
    }
}

impl<T: Scalar> Mpo<T> {
    /// The tensor of `site` with the legs `operator{site - 1}`, `site{site}'` (out), `site{site}` (in) and
    /// `operator{site}`; the first and the last site have no outer bond.
    ///
    /// Contracted with the tensor of the same site of an [`Mps`] it acts on it. The [`factor`](Self::factor) of the
    /// operator is in none of the tensors.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such site.
    pub fn tensor(&self, site: usize) -> Result<Tensor<T>> {
        let sites = self.sites();
        let Some(w) = self.tensors.get(site) else {
            return Err(Error::setting("site", site, format!("the operator has {sites} sites, counted from 0")));
        };
        let (l, o, i, r) = w.dim();
        let fused =
            w.clone().into_shape_with_order((l, o * i, r)).map_err(|e| Error::shape("an operator", e, w.dim()))?;
        let physical = [Leg::site(site_name(site) + "'", o), Leg::site(site_name(site), i)];
        named(site, sites, &fused, "operator", physical)
    }

    /// The operator whose sites are these tensors, in order.
    ///
    /// Each tensor has two legs of [`Role::Site`]: an ingoing one of any name, and an outgoing one of that name followed
    /// by `'`. For the other legs see [`Mps::from_tensors`].
    ///
    /// # Errors
    /// As [`Mps::from_tensors`].
    pub fn from_tensors(tensors: &[Tensor<T>]) -> Result<Self> {
        let sites = arrays(tensors, |tensor| {
            let legs: Vec<&str> = physical(tensor).map(Leg::name).collect();
            match legs[..] {
                [a, b] if a.strip_suffix('\'') == Some(b) => Ok(vec![a, b]),
                [a, b] if b.strip_suffix('\'') == Some(a) => Ok(vec![b, a]),
                _ => Err(Error::Leg {
                    what: format!("{tensor} needs two site legs called NAME (in) and NAME' (out); rename or with_role"),
                }),
            }
        })?;
        Mpo::new(
            sites
                .into_iter()
                .map(|Site { left, dims, right, entries }| {
                    let shape = (left, dims.first().copied().unwrap_or(1), dims.get(1).copied().unwrap_or(1), right);
                    Array4::from_shape_vec(shape, entries).map_err(|e| Error::shape("a site tensor", e, shape))
                })
                .collect::<Result<_>>()?,
        )
    }
}

fn site_name(site: usize) -> String {
    format!("site{site}")
}

/// The tensor `[left, physical legs, right]` of a chain with its legs named; an outer bond has no leg.
fn named<T: Scalar, const N: usize>(
    site: usize,
    sites: usize,
    a: &Array3<T>,
    bond: &str,
    physical: [Leg; N],
) -> Result<Tensor<T>> {
    let (left, _, right) = a.dim();
    let mut legs = Vec::with_capacity(N + 2);
    if let Some(before) = site.checked_sub(1) {
        legs.push(Leg::bond(format!("{bond}{before}"), left));
    }
    legs.extend(physical);
    if site + 1 < sites {
        legs.push(Leg::bond(format!("{bond}{site}"), right));
    }
    Tensor::new(legs, a.iter().copied().collect())
}

fn physical<T: Scalar>(tensor: &Tensor<T>) -> impl Iterator<Item = &Leg> {
    tensor.legs().iter().filter(|leg| leg.role() == Role::Site)
}

/// A site tensor `[left, dims, right]`.
struct Site<T> {
    left: usize,
    dims: Vec<usize>,
    right: usize,
    entries: Vec<T>,
}

/// The tensors of a chain; `physical` names the legs of a tensor that are no bonds, in order.
fn arrays<T: Scalar>(
    tensors: &[Tensor<T>],
    physical: impl Fn(&Tensor<T>) -> Result<Vec<&str>>,
) -> Result<Vec<Site<T>>> {
    let mut sites = Vec::with_capacity(tensors.len());
    let mut left: Option<&str> = None;
    for (k, tensor) in tensors.iter().enumerate() {
        let here = |e: Error| e.at(Place::Site(k));
        let right = tensors.get(k + 1).map_or(Ok(None), |next| shared(tensor, next)).map_err(here)?;
        let physical = physical(tensor).map_err(here)?;
        // In order: bonds of dimension 1 do not change it.
        let mut order: Vec<&str> = left.into_iter().chain(physical.iter().copied()).chain(right).collect();
        for leg in tensor.legs() {
            if order.contains(&leg.name()) {
                continue;
            }
            if leg.role() != Role::Bond || leg.dim() != 1 {
                let what = format!("{leg} of {tensor} is on no neighbour; contract it first");
                return Err(here(Error::Leg { what }));
            }
            order.insert(0, leg.name());
        }
        let dim = |leg: Option<&str>| leg.map_or(Ok(1), |leg| tensor.dim(leg));
        sites.push(Site {
            left: dim(left)?,
            right: dim(right)?,
            dims: physical.iter().map(|leg| tensor.dim(leg)).collect::<Result<_>>()?,
            entries: tensor.view_in_order(&order)?.iter().copied().collect(),
        });
        left = right;
    }
    Ok(sites)
}

/// The bond between neighbours, if they share a leg.
fn shared<'a, T: Scalar>(a: &'a Tensor<T>, b: &Tensor<T>) -> Result<Option<&'a str>> {
    let mut common = a.legs().iter().filter(|leg| b.has_leg(leg));
    let Some(bond) = common.next() else { return Ok(None) };
    if let Some(other) = common.next() {
        let what = format!("{bond} and {other} are both on {a} and the next, {b}; fuse them or rename one");
        return Err(Error::Leg { what });
    }
    let there = b.leg(bond)?;
    if (bond.role(), there.role()) != (Role::Bond, Role::Bond) || bond.dim() != there.dim() {
        let what = format!("{bond} and {there} of neighbours make no bond; both have to be bonds of one dimension");
        return Err(Error::Leg { what });
    }
    Ok(Some(bond.name()))
}

//! Drawing some sites, the others being given.
//!
//! Given sites are multiplied into their free neighbours; what remains is a chain of the free sites alone, whose squared
//! amplitudes are the joint probabilities. Made right-canonical and divided by its norm it is a Born machine of its own,
//! from which the sampler draws. Free sites after the last given one are right-canonical as they stand, so that nothing
//! but a vector is computed where the given sites come first: `O(D^2)` a given site, `O(d D^3)` a site elsewhere.

use ndarray::{Array2, Array3, ArrayView3, s};

use super::BornMps;
use super::evidence::{Factor, frobenius, reshape};
use super::sample::{Sampler, views};
use crate::error::{Error, Place, Result};
use crate::linalg::{Op, lq, matmul};
use crate::model::batch::{check_count, check_evidence};
use crate::model::{Batch, Conditional, GenerativeModel};
use crate::random::Seed;
use crate::scalar::{Real, Scalar};

/// A symbol of a smaller share of what the sites before it leave has an amplitude below rounding: no weight at all.
/// Rounding of a state that was made by factorisations is some tens of units in the last place, more with one backend
/// than with the other.
fn floor<T: Scalar>() -> f64 {
    (64.0 * Real::to_f64(<T::Real as num_traits::Float>::epsilon())).powi(2)
}

impl<T: Scalar> BornMps<T> {
    /// Checks evidence against the sites and their dimensions.
    pub(super) fn check_evidence(&self, evidence: &[Option<u8>]) -> Result<()> {
        check_evidence(evidence, &self.dims())
    }

    /// The first given site at which the share of the weight that is left falls to `floor` or below.
    fn impossible_site(&self, tensors: &[ArrayView3<T>], evidence: &[Option<u8>], floor: f64) -> Result<Option<usize>> {
        let mut factor = Factor::edge();
        let after_last = evidence.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for (site, (tensor, symbol)) in tensors.iter().zip(&evidence[..after_last]).enumerate() {
            let Some(symbol) = *symbol else {
                factor = factor.free(tensor)?;
                continue;
            };
            let next = factor.given(tensor, symbol);
            if !next.possible() || next.ln_weight() - factor.ln_weight() <= floor.ln() {
                return Ok(Some(site));
            }
            factor = next;
        }
        Ok(None)
    }
}

impl<T: Scalar> Conditional for BornMps<T> {
    /// `count` completions of `evidence` (`None` where a site is free); given sites keep their values.
    ///
    /// Any sites may be given. Row `i` depends on the model, the evidence, `seed` and `i` only.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Symbol`] if the evidence does not fit the model, [`Error::Setting`] for a `count` of
    /// zero, [`Error::Room`] for one too large, [`Error::Impossible`] if the evidence has probability zero, or at some site less of it than rounding lets
    /// one tell from zero (a share of `(8 epsilon)^2`: 3e-30 in double precision).
    fn sample_given(&self, evidence: &[Option<u8>], count: usize, seed: Seed) -> Result<Batch<u8>> {
        self.check_evidence(evidence)?;
        check_count(count, self.sites())?;
        let state = self.right_canonical()?;
        let tensors = views(state.tensors());
        if let Some(site) = self.impossible_site(&tensors, evidence, floor::<T>())? {
            return Err(Error::Impossible { site });
        }
        let (changed, from) = project(&tensors, evidence)?;
        let mut free = views(&changed);
        free.extend(tensors[from..].iter().cloned());
        let nothing = free.is_empty();
        let drawn = if nothing { Array2::zeros((count, 0)) } else { Sampler::new(free).draw(count, seed)?.0 };
        let mut rows = Array2::zeros((count, evidence.len()));
        let mut columns = drawn.columns().into_iter();
        for (mut to, symbol) in rows.columns_mut().into_iter().zip(evidence) {
            match symbol {
                Some(symbol) => to.fill(*symbol),
                None => columns.next().iter().for_each(|from| to.assign(from)),
            }
        }
        Batch::new(rows)
    }

    /// `ln p(free sites | given sites)`, nats, of each row: the joint over the marginal.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Symbol`] if the rows or `given` do not fit the model, [`Error::Impossible`], at the
    /// place of the row, if its given part has probability zero.
    fn conditional_log_prob(&self, batch: &Batch<u8>, given: &[bool]) -> Result<Vec<f64>> {
        let marginal = self.ln_marginals(batch, given)?;
        if let Some(sample) = marginal.iter().position(|l| *l == f64::NEG_INFINITY) {
            let state = self.right_canonical()?;
            let tensors = views(state.tensors());
            let evidence: Vec<Option<u8>> =
                batch.row(sample).iter().zip(given).map(|(&symbol, &given)| given.then_some(symbol)).collect();
            let last = given.iter().rposition(|g| *g).unwrap_or_default();
            let site = self.impossible_site(&tensors, &evidence, 0.0)?.unwrap_or(last);
            return Err(Error::Impossible { site }.at(Place::Sample(sample)));
        }
        Ok(self
            .log_prob(batch)?
            .into_iter()
            .zip(marginal)
            .map(|(joint, marginal)| (joint - marginal).min(0.0))
            .collect())
    }
}

/// The chain of the free sites up to the last given one, right-canonical and of norm one, and the site from which on the
/// tensors of the model continue it.
fn project<T: Scalar>(tensors: &[ArrayView3<T>], evidence: &[Option<u8>]) -> Result<(Vec<Array3<T>>, usize)> {
    let chosen = |site: usize, symbol: u8| tensors[site].slice(s![.., usize::from(symbol), ..]);
    let lead = evidence.iter().take_while(|e| e.is_some()).count();
    // Given sites before the first free one: a vector, which goes into that.
    let mut before = Array2::ones((1, 1));
    for (site, symbol) in evidence[..lead].iter().enumerate() {
        before = unit(matmul(&before.view(), Op::None, &chosen(site, symbol.unwrap_or_default()), Op::None));
    }
    let Some(last) = evidence.iter().rposition(Option::is_some) else { return Ok((Vec::new(), 0)) };
    let from = last.max(lead) + 1;
    if lead == evidence.len() {
        // Nothing is free: the empty product of norm one.
        return Ok((Vec::new(), lead));
    }
    // From the right: given sites gather into a matrix, which goes into the free site before them; that is parted into
    // an isometry and a rest, which goes on.
    let mut changed = Vec::new();
    let mut after: Option<Array2<T>> = None;
    for site in (lead..from).rev() {
        if let Some(symbol) = evidence[site] {
            let matrix = chosen(site, symbol);
            after = Some(match after {
                Some(after) => unit(matmul(&matrix, Op::None, &after.view(), Op::None)),
                None => matrix.to_owned(),
            });
            continue;
        }
        let (l, d, r) = tensors[site].dim();
        let mut rows = match &after {
            Some(after) => matmul(&reshape(&tensors[site], (l * d, r)), Op::None, &after.view(), Op::None),
            None => reshape(&tensors[site], (l * d, r)).to_owned(),
        };
        let width = rows.ncols();
        rows = fold(rows, (l, d * width))?;
        if site == lead {
            let first = unit(matmul(&before.view(), Op::None, &rows.view(), Op::None));
            changed.push(site_tensor(first, (1, d, width))?);
            break;
        }
        let (rest, isometry) = lq(&rows.view())?;
        let height = isometry.nrows();
        changed.push(site_tensor(isometry, (height, d, width))?);
        after = Some(unit(rest));
    }
    changed.reverse();
    Ok((changed, from))
}

/// Divided by its norm; the factor is the same for all that is drawn.
fn unit<T: Scalar>(mut m: Array2<T>) -> Array2<T> {
    let norm = frobenius(&m.view());
    if norm > 0.0 {
        m.mapv_inplace(|x| x.scale(T::Real::of(1.0 / norm)));
    }
    m
}

fn fold<T: Scalar>(m: Array2<T>, shape: (usize, usize)) -> Result<Array2<T>> {
    m.into_shape_with_order(shape).map_err(|e| Error::shape("a site of the conditional chain", e, shape))
}

fn site_tensor<T: Scalar>(m: Array2<T>, shape: (usize, usize, usize)) -> Result<Array3<T>> {
    let m = if m.is_standard_layout() { m } else { m.as_standard_layout().into_owned() };
    m.into_shape_with_order(shape).map_err(|e| Error::shape("a site of the conditional chain", e, shape))
}

//! What a renormalisation is done to, written once for plain tensors and for values on a tape.

use std::cell::Cell;
use std::rc::Rc;

use super::blocks::{Spectrum, block_svd};
use super::hotrg::merged;
use super::trg::rotated;
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::scalar::{LogScaled, Real, Scalar};
use crate::tensor::{Tensor, contract};

mod sealed {
    pub trait Sealed {}
    impl<T: crate::Scalar> Sealed for crate::Tensor<T> {}
    impl<T: crate::Scalar> Sealed for crate::autodiff::Var<'_, T> {}
}

/// Tensors that can be renormalised: [`Tensor`], and [`Var`] where derivatives are wanted.
///
/// The methods are the few operations that [`trg`](super::trg) and [`hotrg`](super::hotrg) are made of.
pub trait Flow: Clone + sealed::Sealed {
    /// The numbers it is made of.
    type Number: Scalar;
    /// A logarithm: `f64`, or a number on the tape.
    type Log: Clone;

    /// The elements.
    fn tensor(&self) -> &Tensor<Self::Number>;
    /// Contraction over all legs of the same name.
    ///
    /// # Errors
    /// [`Error::Leg`] if legs of the same name do not fit.
    fn joined(&self, other: &Self) -> Result<Self>;
    /// Other names for some legs, all at once.
    ///
    /// # Errors
    /// [`Error::Leg`] if a leg is not there or two would have the same name.
    fn renamed(&self, pairs: &[(&str, &str)]) -> Result<Self>;
    /// The sum over the diagonal of two legs.
    ///
    /// # Errors
    /// [`Error::Leg`] if they differ in dimension.
    fn traced(&self, first: &str, second: &str) -> Result<Self>;
    /// The complex conjugate.
    ///
    /// # Errors
    /// None that a finite tensor has.
    fn conjugate(&self) -> Result<Self>;
    /// `U sqrt(s)`, `sqrt(s) V^H` and the discarded weight.
    ///
    /// # Errors
    /// As [`Tensor::svd`].
    fn halves(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, Self, f64)>;
    /// Of a Gram tensor `M M^H`, from the legs that are not `left` to those that are: the left singular vectors of `M`,
    /// cut by its singular values, and the discarded weight.
    ///
    /// # Errors
    /// As [`Tensor::svd`].
    fn leading(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, f64)>;
    /// The tensor divided by its norm, and the logarithm of that.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the norm is zero or not finite.
    fn normalised(&self) -> Result<(Self, Self::Log)>;
    /// `ln |x|` of a tensor without legs (on a tape `ln x`, so there it has to be positive or complex).
    ///
    /// # Errors
    /// [`Error::NotFinite`] for zero.
    fn log(&self) -> Result<Self::Log>;
    /// `sum of weight * logarithm`.
    ///
    /// # Errors
    /// [`Error::Empty`] for no terms.
    fn weighted(terms: &[(f64, Self::Log)]) -> Result<Self::Log>;
    /// One step, of which a tape keeps the start alone.
    ///
    /// # Errors
    /// Those of the step.
    #[doc(hidden)]
    fn advance(&self, step: Step) -> Result<(Self, f64)>;
}

/// One step of a renormalisation: two sites become one.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Step(pub(super) Kind, pub(super) Truncation);

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Levin and Nave's: the lattice turns by 45 degrees.
    Rotate,
    /// Xie's: along one of so many axes.
    Merge { axis: usize, axes: usize },
}

impl Step {
    fn take<A: Flow>(&self, t: &A) -> Result<(A, f64)> {
        match self.0 {
            Kind::Rotate => rotated(t, &self.1),
            Kind::Merge { axis, axes } => merged(t, axis, axes, &self.1),
        }
    }
}

/// A site tensor with legs `u, l, d, r` (and `f, b` in three dimensions), times `exp(ln_scale)`.
#[derive(Debug, Clone)]
pub struct Site<A: Flow> {
    /// The tensor.
    pub tensor: A,
    /// `ln` of a factor in front of it.
    pub ln_scale: A::Log,
}

/// What came of a renormalisation.
#[derive(Debug, Clone)]
pub struct Renormalised<A: Flow> {
    /// `ln |Z| / N`, nats.
    pub ln_z_per_site: A::Log,
    /// `log2 N`, `N` the number of sites that the last tensor stands for.
    pub log2_sites: usize,
    /// Sign or phase of the trace of the last tensor, which is that of `Z`.
    pub phase: A::Number,
    /// The last tensor, of norm one.
    pub tensor: A,
    /// The discarded weight of each step, the larger one where two cuts are made.
    pub discarded: Vec<f64>,
}

impl<A: Flow> Renormalised<A> {
    /// `N`, the number of sites.
    #[must_use]
    pub fn sites(&self) -> f64 {
        (self.log2_sites as f64).exp2()
    }

    /// `ln |Z|` of all sites, nats.
    ///
    /// # Errors
    /// None that a finite result has.
    pub fn ln_z(&self) -> Result<A::Log> {
        A::weighted(&[(self.sites(), self.ln_z_per_site.clone())])
    }

    /// An estimate of the error of `ln Z / N`: the discarded weights of the steps, each by its share of the sites. An
    /// order of magnitude, not a bound.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.discarded.iter().enumerate().map(|(step, weight)| weight * (-(step as f64 + 1.0)).exp2()).sum()
    }
}

/// Takes `steps` one after the other and closes the last tensor on itself.
pub(super) fn run<A: Flow>(
    site: &Site<A>,
    steps: &[Kind],
    pairs: &[(&str, &str)],
    cut: &Truncation,
) -> Result<Renormalised<A>> {
    cut.validate()?;
    let mut t = site.tensor.clone();
    let mut terms = vec![(1.0, site.ln_scale.clone())];
    let mut discarded = Vec::with_capacity(steps.len());
    let mut share = 1.0;
    for &kind in steps {
        let (unit, ln) = t.normalised()?;
        terms.push((share, ln));
        let (next, weight) = unit.advance(Step(kind, *cut))?;
        discarded.push(weight);
        t = next;
        share *= 0.5;
    }
    let (unit, ln) = t.normalised()?;
    terms.push((share, ln));
    let mut closed = unit.clone();
    for (first, second) in pairs {
        closed = closed.traced(first, second)?;
    }
    let trace = closed.tensor().to_scalar()?;
    terms.push((share, closed.log()?));
    Ok(Renormalised {
        ln_z_per_site: A::weighted(&terms)?,
        log2_sites: steps.len(),
        phase: LogScaled::from(trace).phase(),
        tensor: unit,
        discarded,
    })
}

/// The share of the largest value of a Gram tensor below which vectors are dropped on a tape: about where singular
/// values count as vanishing there, well above rounding and of no weight.
const GRAM_CUTOFF: f64 = 1e-11;

/// What stands where the norm of a tensor is zero or infinite.
fn no_norm<T: Scalar>(t: &Tensor<T>) -> Error {
    Error::NotFinite { what: format!("ln of the norm of {t}, which is zero or infinite: it is") }
}

impl<T: Scalar> Flow for Tensor<T> {
    type Number = T;
    type Log = f64;

    fn tensor(&self) -> &Tensor<T> {
        self
    }

    fn joined(&self, other: &Self) -> Result<Self> {
        contract(self, other)
    }

    fn renamed(&self, pairs: &[(&str, &str)]) -> Result<Self> {
        let mut t = self.clone();
        for (number, (old, _)) in pairs.iter().enumerate() {
            t = t.rename(old, format!("\u{5}{number}"))?;
        }
        for (number, (_, new)) in pairs.iter().enumerate() {
            t = t.rename(format!("\u{5}{number}"), new)?;
        }
        Ok(t)
    }

    fn traced(&self, first: &str, second: &str) -> Result<Self> {
        self.trace(first, second)
    }

    fn conjugate(&self) -> Result<Self> {
        Ok(if T::IS_COMPLEX { self.conj() } else { self.clone() })
    }

    fn halves(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, Self, f64)> {
        let f = block_svd(self, left, bond, cut, Spectrum::Values)?;
        let roots: Vec<T::Real> = f.s.iter().map(|&s| T::Real::of(Real::to_f64(s).sqrt())).collect();
        Ok((f.u.scale_along(bond, &roots)?, f.vt.scale_along(bond, &roots)?, f.discarded_weight))
    }

    fn leading(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, f64)> {
        let f = block_svd(self, left, bond, cut, Spectrum::Roots)?;
        Ok((f.u, f.discarded_weight))
    }

    fn normalised(&self) -> Result<(Self, f64)> {
        let norm = self.norm();
        if norm.is_zero() || !norm.ln_abs().is_finite() {
            return Err(no_norm(self));
        }
        let factor = T::Real::of((-norm.ln_abs()).exp());
        Ok((self.map(|x| x.scale(factor)), norm.ln_abs()))
    }

    fn log(&self) -> Result<f64> {
        let ln = LogScaled::from(self.to_scalar()?).ln_abs();
        if ln.is_finite() { Ok(ln) } else { Err(no_norm(self)) }
    }

    fn weighted(terms: &[(f64, f64)]) -> Result<f64> {
        Ok(terms.iter().map(|(weight, ln)| weight * ln).sum())
    }

    fn advance(&self, step: Step) -> Result<(Self, f64)> {
        step.take(self)
    }
}

impl<'t, T: Scalar> Flow for Var<'t, T> {
    type Number = T;
    type Log = Var<'t, T>;

    fn tensor(&self) -> &Tensor<T> {
        self.value()
    }

    fn joined(&self, other: &Self) -> Result<Self> {
        self.contract(other)
    }

    fn renamed(&self, pairs: &[(&str, &str)]) -> Result<Self> {
        self.rename_all(pairs)
    }

    fn traced(&self, first: &str, second: &str) -> Result<Self> {
        self.trace(first, second)
    }

    fn conjugate(&self) -> Result<Self> {
        self.conj()
    }

    fn halves(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, Self, f64)> {
        let f = self.svd(left, bond, cut)?;
        let root = f.s.sqrt()?;
        Ok((f.u.mul(&root)?, f.vt.mul(&root)?, f.discarded_weight))
    }

    fn leading(&self, left: &[&str], bond: &str, cut: &Truncation) -> Result<(Self, f64)> {
        // How many are kept is decided by the roots, which the rule of the factorisation does not know.
        let plain = block_svd(self.value(), left, bond, cut, Spectrum::Roots)?;
        // Values of a Gram tensor that are near its rounding have no vectors of their own, and no derivative.
        let f = self.svd(left, bond, &Truncation::none().max_bond(plain.s.len()).cutoff(GRAM_CUTOFF))?;
        Ok((f.u, plain.discarded_weight))
    }

    fn normalised(&self) -> Result<(Self, Self)> {
        if self.value().norm().is_zero() {
            return Err(no_norm(self.value()));
        }
        let norm = self.norm()?;
        Ok((self.div(&norm)?, norm.ln()?))
    }

    fn log(&self) -> Result<Self> {
        self.ln()
    }

    fn weighted(terms: &[(f64, Self)]) -> Result<Self> {
        let mut sum: Option<Self> = None;
        for (weight, ln) in terms {
            let term = ln.scale(T::from_f64(*weight))?;
            sum = Some(match sum {
                Some(sum) => sum.add(&term)?,
                None => term,
            });
        }
        sum.ok_or_else(|| Error::Empty { what: "a sum of logarithms".into() })
    }

    fn advance(&self, step: Step) -> Result<(Self, f64)> {
        let weight = Rc::new(Cell::new(0.0));
        let told = Rc::clone(&weight);
        let mut made = self.tape().checkpoint(&[self], move |inputs| {
            let start = inputs.first().ok_or_else(|| Error::Empty { what: "the inputs of a step".into() })?;
            let (next, weight) = step.take(start)?;
            told.set(weight);
            Ok(vec![next])
        })?;
        let next = made.pop().ok_or_else(|| Error::Empty { what: "the result of a step".into() })?;
        Ok((next, weight.get()))
    }
}

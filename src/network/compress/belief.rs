//! Belief propagation: messages on the bonds, and the value of a network as if it were a tree.
//!
//! ```text
//!      m_c                             A message is what a tensor and the messages of its other
//!        \                             neighbours leave on a bond:  m_(a->b) = A m_c m_d.
//!         A --  =  m_(a->b) --         Of a state, A and its conjugate together: messages are
//!        /                             positive matrices.
//!      m_d
//! ```

use std::collections::BTreeMap;

use super::sites::Sites;
use super::truncate::projectors;
use crate::error::{Error, Result};
use crate::linalg::Truncation;
use crate::network::Network;
use crate::scalar::{LogScaled, Real, Scalar};
use crate::tensor::{Leg, Tensor, contract};

/// Settings of belief propagation: all messages are sent at once, again and again, until they stay.
#[derive(Debug, Clone, PartialEq)]
pub struct BeliefPropagation {
    tolerance: f64,
    iterations: usize,
    damping: f64,
}

impl BeliefPropagation {
    /// Until no message, a vector of norm one, changes by more than `tolerance`, or `iterations` are done.
    #[must_use]
    pub fn new(tolerance: f64, iterations: usize) -> Self {
        BeliefPropagation { tolerance, iterations, damping: 0.0 }
    }

    /// Each new message is mixed with this share of the old one.
    #[must_use]
    pub fn damping(mut self, damping: f64) -> Self {
        self.damping = damping;
        self
    }

    fn check(&self) -> Result<()> {
        if !(self.tolerance >= 0.0) {
            return Err(Error::setting("tolerance", self.tolerance, "give a number, at least 0"));
        }
        if !(0.0..1.0).contains(&self.damping) {
            return Err(Error::setting("damping", self.damping, "give a share in [0, 1)"));
        }
        Ok(())
    }
}

/// What belief propagation has found.
#[derive(Debug, Clone)]
pub struct Belief<T: Scalar> {
    /// The Bethe value: `prod_a z_a / prod_(ab) z_ab`, where `z_a` is a tensor with all messages to it and `z_ab` the
    /// product of the two messages of a bond. Of a network without open legs its value, of one with open legs the square
    /// of its norm; exact on trees.
    pub value: LogScaled<T>,
    /// How often the messages were sent.
    pub iterations: usize,
    /// The largest change of a message in the last iteration.
    pub change: f64,
    /// Whether that is within the tolerance.
    pub converged: bool,
}

/// A network of open legs in the gauge in which the messages of both directions of a bond are the same diagonal matrix.
#[derive(Debug, Clone)]
pub struct Gauged<T: Scalar> {
    /// The same state; each of the two tensors at a bond holds the root of its weights. Parallel bonds have become one,
    /// and all bonds have new names.
    pub network: Network<T>,
    /// For each bond the numbers of its tensors, its name and its weights, largest first, with squares that sum to one:
    /// on a tree the Schmidt values of the cut.
    pub weights: Vec<(usize, usize, String, Vec<f64>)>,
    /// How the messages came out.
    pub belief: Belief<T>,
}

impl<T: Scalar> Network<T> {
    /// Belief propagation on the bonds of the network; where it has open legs, on those of its norm.
    ///
    /// A network that is a tree has its messages after as many iterations as it is wide. On one with loops the messages
    /// may converge or not: [`Belief::converged`] tells, and damping helps where they swing. A hyperedge is led through
    /// its tensors as a path.
    ///
    /// ```
    /// use ansatz::{Seed, network::{BeliefPropagation, Equation, Network}};
    /// let star = Equation::parse("abc,a,b,c->", &[&[2, 2, 2][..], &[2], &[2], &[2]])?;
    /// let belief = Network::<f64>::random(&star, Seed(1))?.belief_propagation(&BeliefPropagation::new(1e-12, 10))?;
    /// assert!(belief.converged && belief.iterations <= 3);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for a damping or tolerance that makes no sense, [`Error::NotFinite`] if a tensor is not finite
    /// or the two messages of a bond are orthogonal.
    pub fn belief_propagation(&self, settings: &BeliefPropagation) -> Result<Belief<T>> {
        let sites = Sites::new(self)?;
        let mut passing = Passing::new(&sites, !self.open().is_empty())?;
        passing.run(settings, self.ln_scale())
    }

    /// The state in the gauge of Vidal, by belief propagation: on a tree the canonical form, on other graphs the fixed
    /// point of a simple update.
    ///
    /// # Errors
    /// As [`belief_propagation`](Self::belief_propagation); [`Error::Leg`] if the network has no open legs.
    pub fn vidal_gauge(&self, settings: &BeliefPropagation) -> Result<Gauged<T>> {
        if self.open().is_empty() {
            return Err(Error::Leg { what: "a network without open legs is no state: it has no Vidal gauge".into() });
        }
        let mut sites = Sites::new(self)?;
        let mut passing = Passing::new(&sites, true)?;
        let belief = passing.run(settings, self.ln_scale())?;
        let messages = passing.messages;
        let mut weights = Vec::new();
        for (&(a, b), message) in messages.iter().filter(|((a, b), _)| a < b) {
            let Some(back) = messages.get(&(b, a)) else { continue };
            let leg = sites.bond(a, b)?.to_owned();
            let name = sites.fresh();
            let made = projectors(&root(message, &leg)?, &root(back, &leg)?, &name, &Truncation::none())?;
            sites.replace_bond(a, b, name.clone(), &made.left, &made.right)?;
            let values: Vec<f64> = made.values.iter().map(|s| s.to_f64()).collect();
            let norm = values.iter().map(|s| s * s).sum::<f64>().sqrt();
            weights.push((a, b, name, values.iter().map(|s| s / norm).collect()));
        }
        let network = sites.into_network(self)?;
        Ok(Gauged { network, weights, belief })
    }
}

/// The factor `R`, with legs `x` and `leg`, of a positive matrix `M = R^T R*`.
fn root<T: Scalar>(message: &Tensor<T>, leg: &str) -> Result<Tensor<T>> {
    let eigh = message.eigh(&[leg], &[starred(leg).as_str()], "x")?;
    let roots: Vec<T::Real> = eigh.values.iter().map(|&w| T::Real::of(w.to_f64().max(0.0).sqrt())).collect();
    eigh.vectors.scale_along("x", &roots)
}

fn starred(leg: &str) -> String {
    format!("{leg}*")
}

struct Passing<'a, T: Scalar> {
    sites: &'a Sites<T>,
    /// Whether the network stands for its norm.
    double: bool,
    messages: BTreeMap<(usize, usize), Tensor<T>>,
}

impl<'a, T: Scalar> Passing<'a, T> {
    fn new(sites: &'a Sites<T>, double: bool) -> Result<Self> {
        let mut messages = BTreeMap::new();
        for from in sites.alive() {
            for to in sites.neighbours(from) {
                let (leg, dim) = (sites.bond(from, to)?, sites.bond_dim(from, to)?);
                let even = T::from_f64((dim as f64).sqrt().recip());
                let start = if double {
                    let mut data = vec![T::zero(); dim * dim];
                    data.iter_mut().step_by(dim + 1).for_each(|x| *x = even);
                    Tensor::new([Leg::bond(leg, dim), Leg::bond(starred(leg), dim)], data)?
                } else {
                    Tensor::new([Leg::bond(leg, dim)], vec![even; dim])?
                };
                messages.insert((from, to), start);
            }
        }
        Ok(Passing { sites, double, messages })
    }

    fn run(&mut self, settings: &BeliefPropagation, ln_scale: f64) -> Result<Belief<T>> {
        settings.check()?;
        let (mut iterations, mut change) = (0, f64::INFINITY);
        if self.messages.is_empty() {
            change = 0.0;
        }
        while iterations < settings.iterations && change > settings.tolerance {
            change = self.send(settings.damping)?;
            iterations += 1;
        }
        let scale = (self.sites.ln_scale + ln_scale) * if self.double { 2.0 } else { 1.0 };
        let value = self.value()? * LogScaled::exp(scale);
        Ok(Belief { value, iterations, change, converged: change <= settings.tolerance })
    }

    /// A tensor with the messages of all its neighbours but one; of a state, its conjugate beside it.
    fn gathered(&self, number: usize, except: Option<usize>) -> Result<Tensor<T>> {
        let plain = self.sites.tensor(number)?;
        let mut tensor = plain.clone();
        let mut conj = plain.conj();
        for other in self.sites.neighbours(number) {
            let leg = self.sites.bond(number, other)?;
            if self.double {
                conj = conj.rename(leg, starred(leg))?;
            }
            if Some(other) != except
                && let Some(message) = self.messages.get(&(other, number))
            {
                tensor = contract(&tensor, message)?;
            }
        }
        if self.double { contract(&tensor, &conj) } else { Ok(tensor) }
    }

    /// All messages once more; the largest change.
    fn send(&mut self, damping: f64) -> Result<f64> {
        let mut next = BTreeMap::new();
        let mut change = 0.0_f64;
        for (&(from, to), old) in &self.messages {
            let made = self.gathered(from, Some(to))?;
            let norm = made.norm();
            if norm.is_zero() {
                next.insert((from, to), old.clone());
                continue;
            }
            let mut new = made.map(|x| x.scale(T::Real::of((-norm.ln_abs()).exp())));
            // A factor of modulus one means nothing: it is chosen so that the message turns as little as it can.
            let mut overlap = num_complex::Complex64::new(0.0, 0.0);
            let (view, before) = (new.view_in_order(old.legs())?, old.view_in_order(old.legs())?);
            for (x, y) in view.iter().zip(&before) {
                overlap += x.to_c64().conj() * y.to_c64();
            }
            if overlap.norm() > 0.0 {
                let turn = overlap / overlap.norm();
                let turn = T::from_parts(turn.re, turn.im);
                new = new.map(|x| x * turn);
            }
            if damping > 0.0 {
                let (keep, mix) = (T::Real::of(damping), T::Real::of(1.0 - damping));
                let mixed = new.map(|x| x.scale(mix)).add(&old.permute(new.legs())?.map(|x| x.scale(keep)))?;
                let norm = mixed.norm().ln_abs();
                new = mixed.map(|x| x.scale(T::Real::of((-norm).exp())));
            }
            change = change.max(new.sub(old)?.norm().value().to_f64());
            next.insert((from, to), new);
        }
        self.messages = next;
        Ok(change)
    }

    fn value(&self) -> Result<LogScaled<T>> {
        let mut value = LogScaled::one();
        for number in self.sites.alive() {
            value = value * LogScaled::from(self.gathered(number, None)?.to_scalar()?);
        }
        for (&(a, b), message) in self.messages.iter().filter(|((a, b), _)| a < b) {
            let Some(back) = self.messages.get(&(b, a)) else { continue };
            let both = LogScaled::from(contract(message, back)?.to_scalar()?);
            if both.is_zero() {
                if value.is_zero() {
                    return Ok(value);
                }
                return Err(Error::NotFinite {
                    what: format!("the Bethe value: the messages between tensors {a} and {b} are orthogonal"),
                });
            }
            value = value / both;
        }
        Ok(value)
    }
}

//! The derivatives of a contraction by all its tensors, in one pass back over the plan.

use super::execute::{Budget, CompiledGradient, Contracted};
use super::network::Network;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::scalar::{LogScaled, Scalar};
use crate::tensor::Tensor;

/// How a pass back over a plan is done: what may be kept for it.
///
/// The pass goes through the steps of the plan from the last to the first. At a step `C = A B` the cotangent of `A` is
/// that of `C` contracted with `B`, so that each step is done three times in all, once forward and twice back. It needs
/// the intermediates of the pass forward. What is beyond the limit is dropped and computed again, from the point in the
/// middle of the steps in question, in the middle of what is left of them, and so on: with `n` intermediates of which
/// `m` fit, about `log2(n / m) / 2` more passes forward.
#[derive(Debug, Clone, Default)]
pub struct Backward {
    keep: Option<u64>,
    budget: Budget,
}

/// The value of a network without open legs and its derivatives.
#[derive(Debug, Clone)]
pub struct Gradient<T: Scalar> {
    pub(super) value: LogScaled<T>,
    pub(super) derivatives: Vec<Contracted<T>>,
    pub(super) multiplications: f64,
}

impl<T: Scalar> Gradient<T> {
    /// The value `Z`.
    #[must_use]
    pub fn value(&self) -> LogScaled<T> {
        self.value
    }

    /// `dZ/dA` for each tensor `A`, with its legs, in order, and a power of `e` apart. `Z` is a product of all tensors,
    /// so a complex `Z` is holomorphic in each: these are its complex derivatives, nothing is conjugated, and
    /// `dZ = sum (dZ/dA) dA`.
    #[must_use]
    pub fn derivatives(&self) -> &[Contracted<T>] {
        &self.derivatives
    }

    /// The gradient of `ln |Z|` by each tensor: `(dZ/dA) / Z` where numbers are real, and `conj((dZ/dA) / Z) / 2 =
    /// d ln |Z| / d conj(A)` where they are complex, the convention of [`autodiff`](crate::autodiff). It is of the
    /// order of one over `A`, however large or small `Z` is.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if `Z` is zero, or if a gradient does not fit into `T`.
    pub fn ln_abs(&self) -> Result<Vec<Tensor<T>>> {
        if self.value.is_zero() {
            return Err(Error::NotFinite { what: "the logarithm of a network whose value is zero".into() });
        }
        let half = if T::IS_COMPLEX { 0.5 } else { 1.0 };
        let mut gradients = Vec::with_capacity(self.derivatives.len());
        for derivative in &self.derivatives {
            let factor = LogScaled::new(T::from_f64(half), derivative.ln_scale) / self.value;
            let scaled = Contracted { tensor: derivative.tensor.clone(), ln_scale: factor.ln_abs() };
            let phase = factor.phase();
            let gradient = scaled.into_tensor()?.map(|x| (x * phase).conj());
            if !gradient.is_finite() {
                return Err(Error::NotFinite { what: format!("the gradient of ln |Z| by {gradient}") });
            }
            gradients.push(gradient);
        }
        Ok(gradients)
    }

    /// Multiplications that were done, forward, back and again.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.multiplications
    }
}

impl<T: Scalar> Network<T> {
    /// The value of a network without open legs, and its derivatives by all tensors in one pass back over the plan, for
    /// about three times the multiplications of [`contract`](Self::contract). [`Backward`] has the pass with a limit to
    /// its memory, and for networks with open legs.
    ///
    /// Of a tensor that was given with an index twice, the network holds the diagonal, and the derivative is by that.
    ///
    /// ```
    /// use ansatz::network::{Network, Planner};
    /// use ansatz::{Leg, Seed, Tensor};
    /// // Z = sum_ij a_i b_ij c_j, so that dZ/db_ij = a_i c_j and d ln Z / db_ij = a_i c_j / Z.
    /// let a = Tensor::new([Leg::bond("i", 2)], vec![1.0, 2.0])?;
    /// let b = Tensor::new([Leg::bond("i", 2), Leg::bond("j", 2)], vec![1.0, 2.0, 3.0, 4.0])?;
    /// let c = Tensor::new([Leg::bond("j", 2)], vec![5.0, 1.0])?;
    /// let network = Network::from_tensors(vec![a, b, c])?;
    /// let plan = Planner::new().search(&network.equation()?, std::time::Duration::from_secs(1), Seed(1))?;
    /// let gradient = network.gradient(&plan)?;
    /// let by_b = gradient.derivatives()[1].clone().into_tensor()?;
    /// assert_eq!(by_b.get(&[("i", 1), ("j", 0)])?, 10.0);
    /// let by_b = &gradient.ln_abs()?[1];
    /// assert!((by_b.get(&[("i", 1), ("j", 0)])? - 10.0_f64 / 45.0).abs() < 1e-15);
    /// # Ok::<(), ansatz::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`contract`](Self::contract); [`Error::Leg`] if there are open legs.
    pub fn gradient(&self, plan: &Plan) -> Result<Gradient<T>> {
        Backward::new().gradient(self, plan)
    }
}

impl Backward {
    /// All intermediates are kept.
    #[must_use]
    pub fn new() -> Self {
        Backward::default()
    }

    /// At most so many bytes of intermediates of the pass forward are kept for the pass back, where the plan allows: one
    /// intermediate for each halving of the steps is always kept.
    #[must_use]
    pub fn keep_bytes(mut self, bytes: u64) -> Self {
        self.keep = Some(bytes);
        self
    }

    /// Takes no more memory than that: for intermediates, cotangents, copies and the derivatives themselves. As many
    /// intermediates are kept as fit.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The steps of both passes, with places in memory, for tensors like those of `network`: a value to be run for any
    /// number of tensors of the same shapes.
    ///
    /// # Errors
    /// [`Error::Shape`] if the plan is for another network; [`Error::Memory`] if it does not fit into the budget however
    /// little is kept.
    pub fn compile<T: Scalar>(&self, network: &Network<T>, plan: &Plan) -> Result<CompiledGradient<T>> {
        let bytes = T::KIND.bytes() as u64;
        let most = self.keep.map_or(u64::MAX, |keep| keep / bytes);
        let whole = CompiledGradient::new(network, plan, self.budget, most)?;
        if whole.check(0).is_ok() {
            return Ok(whole);
        }
        let mut keep = most.min(self.budget.limit().unwrap_or(u64::MAX) / bytes);
        loop {
            let less = CompiledGradient::new(network, plan, self.budget, keep)?;
            match less.check(0) {
                Ok(_) => return Ok(less),
                Err(error) if keep == 0 => return Err(error),
                Err(_) => keep /= 2,
            }
        }
    }

    /// As [`Network::gradient`].
    ///
    /// # Errors
    /// As [`Network::gradient`] and [`compile`](Self::compile).
    pub fn gradient<T: Scalar>(&self, network: &Network<T>, plan: &Plan) -> Result<Gradient<T>> {
        self.compile(network, plan)?.gradient(network)
    }

    /// The result `V` of a network, and the gradients of a real loss by all its tensors, given the gradient `cotangent`
    /// of the loss by `V`: from `dL/d conj(V)` to `dL/d conj(A)`, or from `dL/dV` to `dL/dA` where numbers are real.
    ///
    /// The cotangent has the legs of the result, in any order, a leg that is open twice with a prime.
    ///
    /// # Errors
    /// As [`Network::contract`] and [`compile`](Self::compile); [`Error::Leg`] if the cotangent has other legs than the
    /// result; [`Error::NotFinite`] if it is not finite.
    pub fn pullback<T: Scalar>(
        &self,
        network: &Network<T>,
        plan: &Plan,
        cotangent: &Tensor<T>,
    ) -> Result<(Contracted<T>, Vec<Contracted<T>>)> {
        self.compile(network, plan)?.pullback(network, cotangent)
    }
}

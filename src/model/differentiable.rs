//! Models whose loss has a gradient with respect to all their parameters at once.

use ndarray::ArrayD;

use crate::error::Result;
use crate::model::{Batch, GenerativeModel, Smooth};
use crate::scalar::Scalar;

/// A model with parameters, and a gradient with respect to all of them.
///
/// The parameters are arrays apart from the model: a model is normalised and may be kept in a gauge, while an optimiser
/// needs entries that stay where they are from step to step. `self` says what the arrays mean, not what is in them.
pub trait Differentiable: GenerativeModel<Value = u8> + Smooth + Clone + Send {
    /// The number type of the parameters.
    type Number: Scalar;

    /// Parameters that make this model, a list of arrays whose shapes are the model's own affair.
    fn parameters(&self) -> Vec<ArrayD<Self::Number>>;

    /// Mean negative log-likelihood of `batch`, nats a sample, under the model that `parameters` make, and its
    /// derivatives, shaped like the parameters.
    ///
    /// `G = dL/dA` where the numbers are real, `G = dL/d conj(A)` where they are complex: a small change `dA` changes the
    /// loss by `sum G dA`, or by `2 Re sum conj(G) dA`.
    ///
    /// # Errors
    /// [`crate::Error::ZeroAmplitude`] if a sample is impossible, [`crate::Error::NotFinite`] if the loss or the gradient
    /// is, [`crate::Error::Shape`] or [`crate::Error::Symbol`] if parameters or data do not fit.
    fn nll_and_gradient(
        &self,
        parameters: &[ArrayD<Self::Number>],
        batch: &Batch<u8>,
    ) -> Result<(f64, Vec<ArrayD<Self::Number>>)>;

    /// Brings parameters to a good size without changing the model they make.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] if they have none.
    fn rescale(&self, _parameters: &mut [ArrayD<Self::Number>]) -> Result<()> {
        Ok(())
    }

    /// The model that `parameters` make.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if they do not fit, [`crate::Error::NotFinite`] if they make none.
    fn with_parameters(&self, parameters: &[ArrayD<Self::Number>]) -> Result<Self>;

    /// The dimension of each bond, for reports; a model without bonds has none.
    fn bonds(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Bytes that a gradient over `samples` samples takes at the most, the gradient itself included.
    fn gradient_bytes(&self, parameters: &[ArrayD<Self::Number>], samples: usize) -> u64;
}

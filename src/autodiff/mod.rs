//! Reverse-mode differentiation of what tensors make.
//!
//! A [`Tape`] notes down what is done to the [`Var`]s on it. A number computed from them, a loss, then gives its
//! derivatives with respect to any of them in one pass from the end to the beginning:
//!
//! ```
//! use ansatz::autodiff::Tape;
//! use ansatz::{Leg, Tensor};
//! let tape = Tape::new();
//! let a = tape.variable(Tensor::new([Leg::bond("i", 2)], vec![1.0, 2.0])?)?;
//! let loss = a.mul(&a)?.sum()?.ln()?;                       // ln(a_0^2 + a_1^2)
//! let gradient = loss.gradient(&[&a])?;                     // 2 a / (a_0^2 + a_1^2)
//! assert!((gradient[0].get(&[("i", 1)])? - 0.8_f64).abs() < 1e-15);
//! # Ok::<(), ansatz::Error>(())
//! ```
//!
//! # Convention
//! The gradient of a real loss `L` with respect to `A` is `dL/dA` where numbers are real, and `dL/d conj(A) =
//! (dL/d Re A + i dL/d Im A) / 2` where they are complex: a small change `dA` changes the loss by `sum G dA`, or by
//! `2 Re sum conj(G) dA`. A complex loss counts with its real part. Eigenvalues, singular values and norms are real
//! numbers in tensors of the type `T`.
//!
//! # Higher derivatives
//! The rules are made of the tape's own operations. [`Var::gradient`] runs them on plain tensors and leaves nothing on
//! the tape; [`Var::gradient_on_tape`] notes them down, so that a gradient can be differentiated again;
//! [`Var::hessian_vector`] is the second derivative along a direction.
//!
//! # Equal and vanishing values
//! The vectors of equal eigenvalues or singular values are arbitrary up to a rotation among them, and those of
//! vanishing singular values even more. A loss that does not depend on that choice has a derivative nevertheless, and
//! gets it: the limit of the derivatives with the values moved apart. One that does is refused, with the node named
//! ([`Error::Gauge`](crate::Error::Gauge)). `docs/autodiff.md` has the equations.
//!
//! # Memory
//! [`Tape::checkpoint`] keeps what goes into a stretch of the computation, and computes it again in the reverse pass.

mod backward;
mod decompose;
mod elementwise;
mod limit;
mod matrix;
mod op;
mod reduce;
mod rules;
mod segment;
mod solve;
mod spectral;
mod structure;
mod tape;

pub use decompose::{VarEigh, VarSvd};
pub use tape::{Tape, Var};

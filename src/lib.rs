//! Generative modelling with tensor networks.
//!
//! - To fit a Born machine: [`BornMps`], [`Run`] of [`TwoSite`] sweeps or [`AdamRun`](train::AdamRun), and the traits
//!   [`GenerativeModel`], [`Conditional`] and [`Marginal`] for what comes after.
//! - For states and operators on a chain: [`chain`]; for tensors with named legs: [`Tensor`].
//! - For derivatives of what tensors make, factorisations included: [`autodiff`].
//! - For networks of any shape, contraction orders and exact contraction: [`network`].
//! - For partition functions of lattice models: [`lattice`].
//! - For quantum circuits, OpenQASM and their simulation: [`circuit`].
//! - For files: [`data`] reads data sets, [`io`] models and checkpoints.
//!
//! ```
//! use ansatz::{Batch, BornMps, GenerativeModel, Run, Seed, TwoSite};
//!
//! // Two bits that always agree, and one that is free: four samples, so the loss cannot be below ln 4.
//! let data = Batch::from_rows(&[[0u8, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])?;
//! let mut run = Run::new(BornMps::<f64>::random(&[2; 3], 2, Seed(1))?, TwoSite::new(60, 4))?;
//! run.fit(&data, None, &mut (), &mut ())?;
//! assert!((run.best.nll(&data)? - 4f64.ln()).abs() < 1e-3);
//! # Ok::<(), ansatz::Error>(())
//! ```
//!
//! Likelihoods and entropies are in nats. The same seed gives the same bits for any number of threads.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]
// `!(x > 0.0)` is meant where NaN has to be refused as well.
#![allow(clippy::neg_cmp_op_on_partial_ord)]
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

#[cfg(not(any(feature = "openblas", feature = "faer")))]
compile_error!(
    "ansatz needs a linear-algebra backend: build with the default features (OpenBLAS), or with \
     `--no-default-features --features faer` (pure Rust)"
);

pub mod autodiff;
pub mod chain;
pub mod circuit;
// Without unit tests of its own, and the dearest module to compile: it makes everything for four kinds of numbers.
#[cfg(not(test))]
pub mod cli;
pub mod data;
pub mod error;
pub mod io;
pub mod lattice;
pub mod linalg;
mod memory;
pub mod model;
pub mod network;
mod parallel;
pub mod random;
pub mod report;
pub mod scalar;
pub mod tensor;
pub mod tomography;
pub mod train;

pub use error::{Error, Place, Result};
pub use model::born_mps::BornMps;
pub use model::{Batch, Conditional, GenerativeModel, Marginal};
pub use random::Seed;
pub use scalar::{Kind, LogScaled, Real, Scalar};
pub use tensor::{Leg, Role, Tensor};
pub use train::{Run, TwoSite};

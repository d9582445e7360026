#![doc = "Generative modelling with tensor networks."]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

#[cfg(not(any(feature = "openblas", feature = "faer")))]
compile_error!(
    "ansatz needs a linear-algebra backend: build with the default features (OpenBLAS), or with \
     `--no-default-features --features faer` (pure Rust)"
);

pub mod chain;
pub mod cli;
pub mod data;
pub mod error;
pub mod io;
pub mod linalg;
pub mod model;
pub mod random;
pub mod report;
pub mod scalar;
pub mod tensor;
pub mod train;

pub use error::{Error, Place, Result};
pub use model::born_mps::BornMps;
pub use model::{Batch, Conditional, GenerativeModel, Marginal};
pub use random::Seed;
pub use scalar::{Kind, LogScaled, Real, Scalar};
pub use tensor::{Leg, Role, Tensor};
pub use train::{Run, TwoSite};

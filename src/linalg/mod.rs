//! Dense linear algebra: the only floor that knows LAPACK or faer exist.
//!
//! Two backends stand behind it, chosen when the crate is built: `openblas` (LAPACK and BLAS) and `faer` (pure Rust).
//! Every factorisation refuses empty and non-finite input before the backend sees it, because LAPACK does not: `gesdd`
//! may run for ever on an infinity and return numbers for a NaN.
//!
//! Kernels are single-threaded, so that the same input gives the same bits for any number of threads; parallel work is
//! spread over independent matrices by the floors above, or by [`gemm_parallel`] for a product that is large and alone.

mod check;
mod eigh;
mod functions;
mod gemm;
mod qr;
mod scattered;
mod svd;
mod tile;
mod truncation;
mod unitary;
mod wide;

#[cfg_attr(feature = "openblas", path = "openblas.rs")]
#[cfg_attr(not(feature = "openblas"), path = "faer.rs")]
mod backend;

pub use check::{backend_name, fitting_kernels, kernels_are_old, self_check};
pub use eigh::{Eigh, eigh};
pub use functions::{cholesky, expm, lstsq, polar, solve, solve_right_adjoint};
pub use gemm::{Op, gemm, gemm_parallel, gram, matmul};
pub use qr::{lq, qr, triangle};
pub(crate) use scattered::{LONGEST, Run, Scattered, largest_bits, multiply_scattered};
pub use svd::{Svd, TruncatedSvd, singular_values, svd, truncated_svd};
pub use truncation::{Cut, Truncation};
pub use unitary::{CosineSine, CosineSineColumns, completed, cosine_sine, cosine_sine_columns, eig_unitary};
pub use wide::{fetch, wide};

//! Reading data sets and arrays.
//!
//! A file's format is found from its name and its first bytes, or given; gzip is undone on the way. Every reader works
//! on bytes in memory, checks every bound, and allocates no more than those bytes can fill.

mod amplitudes;
mod arrays;
mod digits;
mod fasta;
mod idx;
mod npy;
mod prepare;
mod shots;
mod table;
mod text;
mod zip;

pub use amplitudes::{DenseState, dense_state_from_bytes, read_dense_state, read_real_matrices};
pub use arrays::NumberedArrays;
pub(crate) use arrays::{in_order, wider};
pub use digits::{Digits, digits};
pub use prepare::{Binarise, split};
pub use shots::{Records, SHOTS_VERSION, process_shots_from_bytes, read_process_shots, read_shots, shots_from_bytes};
pub use table::{Format, Table, parse_bytes, read};

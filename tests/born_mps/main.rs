//! The matrix-product-state Born machine: distribution, gradients, training, files.

mod checkpoints;
mod distribution;
mod gradient;
mod model_files;
mod one_site;
mod patterns;
mod training;

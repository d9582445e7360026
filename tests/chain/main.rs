//! Matrix product states and operators against dense vectors and matrices.

mod apply;
mod common;
mod compress;
mod dmrg;
mod operators;
mod states;
mod tensors;

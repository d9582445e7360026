//! The matrix-product-state Born machine.

mod block;
mod born;
mod classes;
mod conditional;
mod descent;
mod environments;
mod evidence;
mod gradient;
mod marginal;
mod memory;
mod sample;
mod split;
mod step;
mod sweeper;

pub use born::BornMps;
pub use sweeper::Sweeper;

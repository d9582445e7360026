//! The matrix-product-state Born machine.

mod born;
mod classes;
mod environments;
mod memory;
mod split;
mod step;
mod sweeper;

pub use born::BornMps;
pub use sweeper::Sweeper;

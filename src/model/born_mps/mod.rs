//! The matrix-product-state Born machine.

mod born;
mod classes;
mod environments;
mod split;
mod step;
mod sweeper;

pub use born::BornMps;
#[doc(hidden)]
pub use sweeper::Sweeper;
pub use sweeper::{Direction, Splitting, Step, Update};

//! The matrix-product-state Born machine.

mod classes;
mod environments;
mod split;
mod step;
mod sweeper;

pub use sweeper::{Direction, Splitting, Step, Toward, Update};
#[doc(hidden)]
pub use sweeper::Sweeper;

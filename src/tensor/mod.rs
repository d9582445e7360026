//! Dense tensors whose indices have names.
//!
//! A [`Tensor`] owns its elements and a list of [`Leg`]s. Legs are addressed by name, so no function here takes or
//! returns the number of an axis, and the order in which a tensor stores its legs changes no result. Two tensors are
//! joined along the legs they share:
//!
//! ```
//! use ansatz::tensor::{Leg, Tensor, contract};
//! // A matrix product: sum over j of a[i, j] b[j, k].
//! let a = Tensor::new([Leg::site("i", 2), Leg::bond("j", 2)], vec![1.0, 2.0, 3.0, 4.0])?;
//! let b = Tensor::new([Leg::bond("j", 2), Leg::site("k", 1)], vec![10.0, 100.0])?;
//! let c = contract(&a, &b)?;
//! assert_eq!(c.get(&[("i", 1), ("k", 0)])?, 3.0 * 10.0 + 4.0 * 100.0);
//! # Ok::<(), ansatz::Error>(())
//! ```
//!
//! A tensor has at least one element: a leg of dimension zero is refused where a tensor is made. Permuting, renaming
//! and cloning copy no element; they are shared, and copied when a tensor that shares them has to change them.

mod arithmetic;
mod contract;
mod elementwise;
mod factorise;
pub(crate) mod functions;
mod layout;
mod leg;
mod loops;
mod permute;
#[doc(hidden)]
pub mod reference;
mod reshape;
mod slice;
#[allow(clippy::module_inception)]
mod tensor;

pub use contract::{contract, contract_pairs};
pub use factorise::{TensorEigh, TensorSvd};
pub(crate) use layout::Step;
pub use leg::{Leg, Role};
pub(crate) use permute::permuted;
pub use tensor::Tensor;

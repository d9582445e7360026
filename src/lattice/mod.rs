//! Lattice models and their renormalisation: partition functions of classical spins, coverings, and any array of site
//! tensors.
//!
//! A model gives a [`Site`], a tensor `T[u, l, d, r]` whose copies, joined to their neighbours, have `Z` as their value.
//! [`trg`] and [`hotrg`] make one site of two over and over, on plain tensors or on a tape; [`Grid`] holds an array of
//! any site tensors, contracted exactly as a [`Network`](crate::network::Network) or row by row as a matrix product
//! state ([`Grid::contract_boundary`]); [`exact`] has what is known in closed form, and [`SpinLayers`] contracts Ising
//! spins layer by layer without truncation.
//!
//! ```
//! use ansatz::lattice::{Ising, exact, trg};
//! use ansatz::linalg::Truncation;
//! let site = Ising::new(exact::CRITICAL_COUPLING)?.site::<f64>()?;
//! let z = trg(&site, 20, &Truncation::none().max_bond(8).cutoff(1e-9))?;
//! assert!((z.ln_z_per_site - 0.9296953983416103).abs() < 7e-5);
//! # Ok::<(), ansatz::Error>(())
//! ```
//!
//! `ln Z` is in nats; energies are in units of the coupling. Formulas, costs and which method when: `docs/lattice.md`.

mod blocks;
mod boundary;
pub mod exact;
mod flow;
mod grid;
mod hotrg;
mod site;
mod spread;
mod transfer;
mod trg;

pub use boundary::BoundaryContraction;
pub use flow::{Flow, Renormalised, Site};
pub use grid::{Boundary, Grid};
pub use hotrg::{hotrg, hotrg_schedule};
pub use site::{Ising, dimers, from_bonds, potts, triangular};
pub use transfer::SpinLayers;
pub use trg::trg;

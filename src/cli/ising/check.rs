//! What cannot be done is refused before anything is.

use super::{Edge, Ising, Lattice, Method};
use crate::error::{Error, Result};

impl Ising {
    /// What cannot be done is refused before anything is.
    pub(super) fn check(&self) -> Result<()> {
        let renormalised = matches!(self.method, Method::Trg | Method::Hotrg);
        let refused = |expected: &str| Err(Error::setting("method", self.method.name(), expected));
        if self.lattice == Lattice::Triangular && self.field != 0.0 {
            return Err(Error::setting("field", self.field, "on the triangular lattice there is none, give 0"));
        }
        if self.lattice == Lattice::Cubic && matches!(self.method, Method::Trg | Method::Boundary) {
            return refused("it is for two dimensions: give hotrg or exact for the cubic lattice");
        }
        if renormalised && self.boundary == Edge::Open {
            return refused("it is for periodic lattices: give boundary or exact for an open one");
        }
        match self.size.0 {
            Some(side) if renormalised && !side.is_power_of_two() => {
                return Err(Error::setting(
                    "size",
                    side,
                    "trg and hotrg need a power of two: give one, or --method boundary or exact",
                ));
            }
            None if self.method == Method::Boundary => {
                return Err(Error::setting(
                    "size",
                    "infinite",
                    "boundary needs a finite size: give one, or --method trg or hotrg",
                ));
            }
            None if self.boundary == Edge::Open => {
                return Err(Error::setting("boundary", "open", "an infinite lattice has none: give --size N"));
            }
            None if self.method == Method::Exact && (self.lattice != Lattice::Square || self.field != 0.0) => {
                return Err(Error::setting(
                    "size",
                    "infinite",
                    "only the square lattice without a field is solved exactly: give --method hotrg, or a finite size",
                ));
            }
            Some(side) if self.method == Method::Boundary && side > 4096 => {
                return Err(Error::setting(
                    "size",
                    side,
                    "boundary takes at most 4096: give that, or --method trg or hotrg",
                ));
            }
            _ => {}
        }
        let chi = self.chi as f64;
        let threads = rayon::current_num_threads() as u64;
        let (what, needed) = match (self.method, self.size.0) {
            // Tensor, its gradients and what a step makes on the tape.
            (Method::Trg, _) => (format!("trg with chi {}", self.chi), 8.0 * 40.0 * chi.powi(4)),
            (Method::Hotrg, _) => {
                let power = if self.lattice == Lattice::Cubic { 8 } else { 5 };
                (format!("hotrg with chi {}", self.chi), 8.0 * 20.0 * chi.powi(power))
            }
            (Method::Boundary, Some(side)) => {
                let (bond, leg) = match (self.lattice, self.boundary) {
                    (Lattice::Square, Edge::Open) => (2.0, 2.0),
                    (Lattice::Square, _) => (4.0, 4.0),
                    (_, Edge::Open) => (2.0, 4.0),
                    (_, _) => (4.0, 16.0),
                };
                let bond: f64 = bond;
                let largest = (0.5 * side as f64 * f64::ln(leg)).min(700.0).exp().min(chi);
                (format!("boundary with chi {}", self.chi), 8.0 * 3.0 * side as f64 * leg * (bond * largest).powi(2))
            }
            (Method::Exact, Some(side)) if self.lattice != Lattice::Triangular => {
                let spins = (side as f64).powi(self.dimensions() as i32 - 1);
                let each = if self.boundary == Edge::Open { 24.0 } else { 25.0 + 16.0 * threads as f64 };
                (format!("exact contraction with {spins} spins a layer"), each * spins.exp2())
            }
            _ => return Ok(()),
        };
        if needed > self.bytes.0 as f64 {
            let way_out = if self.method == Method::Exact {
                "allow more with --bytes, or give --method trg, hotrg or boundary"
            } else {
                "allow more with --bytes, or lower --chi"
            };
            let needed = if needed < 1.8e19 { needed as u64 } else { u64::MAX };
            return Err(Error::Memory { what, needed, ceiling: self.bytes.0, way_out: way_out.into() });
        }
        Ok(())
    }
}

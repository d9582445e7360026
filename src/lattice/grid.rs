//! Rectangular arrays of site tensors.

use super::flow::Site;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::scalar::Scalar;
use crate::tensor::{Leg, Tensor};

/// How the two ends of a direction are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// They are not.
    Open,
    /// The last site is a neighbour of the first.
    Periodic,
}

/// An array of site tensors `[u, l, d, r]`, which may differ from place to place: a finite lattice, a disordered model,
/// or the norm of a two-dimensional tensor network state.
///
/// ```
/// use ansatz::lattice::{Boundary, Grid, dimers};
/// use ansatz::linalg::Truncation;
/// // A chessboard has 12988816 coverings by dominoes.
/// let board = Grid::<f64>::filled(8, 8, Boundary::Open, Boundary::Open, |_, _, present| dimers(present))?;
/// let z = board.contract_boundary(&Truncation::none().max_bond(16))?.z;
/// assert!((z.value() - 12988816.0).abs() < 1e-4);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Grid<T: Scalar> {
    pub(super) sites: Vec<Vec<Tensor<T>>>,
    pub(super) horizontal: Boundary,
    pub(super) vertical: Boundary,
    pub(super) ln_scale: f64,
}

impl<T: Scalar> Grid<T> {
    /// From tensors `[row][column]`, times `exp(ln_scale)`. Outer legs of an open direction have dimension 1.
    ///
    /// # Errors
    /// [`Error::Empty`] without sites, [`Error::Shape`] if rows differ in length, [`Error::Leg`] if a site lacks a leg,
    /// has another, or neighbours do not fit, [`Error::NotFinite`] for NaN or infinity.
    pub fn new(sites: Vec<Vec<Tensor<T>>>, horizontal: Boundary, vertical: Boundary, ln_scale: f64) -> Result<Self> {
        let columns = sites.first().map_or(0, Vec::len);
        if columns == 0 {
            return Err(Error::Empty { what: "a lattice of site tensors".into() });
        }
        if let Some(row) = sites.iter().find(|row| row.len() != columns) {
            return Err(Error::shape("a row of site tensors", row.len(), columns));
        }
        if !ln_scale.is_finite() {
            return Err(Error::NotFinite { what: "the scale of a lattice".into() });
        }
        let rows = sites.len();
        for (y, row) in sites.iter().enumerate() {
            for (x, t) in row.iter().enumerate() {
                if !t.is_finite() {
                    return Err(Error::NotFinite { what: format!("the site tensor of row {y}, column {x}") });
                }
                if t.legs().len() != 4 {
                    return Err(Error::Leg { what: format!("site ({y}, {x}), {t}, has other legs than u, l, d, r") });
                }
                let pairs = [
                    ("r", "l", y, x + 1, x + 1 == columns && horizontal == Boundary::Open),
                    ("d", "u", y + 1, x, y + 1 == rows && vertical == Boundary::Open),
                ];
                for (here, there, ny, nx, edge) in pairs {
                    let next = &sites[ny % rows][nx % columns];
                    let (one, two) = (t.leg(here)?.dim(), next.leg(there)?.dim());
                    let fits = if edge { one == 1 && two == 1 } else { one == two };
                    if !fits {
                        let wanted = if edge { "both have to be 1 at an open edge" } else { "they have to be equal" };
                        let (ny, nx) = (ny % rows, nx % columns);
                        let what = format!(
                            "leg '{here}' of site ({y}, {x}) has dimension {one}, '{there}' of site ({ny}, {nx}) {two}: {wanted}"
                        );
                        return Err(Error::Leg { what });
                    }
                }
            }
        }
        Ok(Grid { sites, horizontal, vertical, ln_scale })
    }

    /// From a function of row, column, and which of the legs `u, l, d, r` lead to a neighbour.
    ///
    /// # Errors
    /// Those of the function and of [`new`](Self::new).
    pub fn filled(
        rows: usize,
        columns: usize,
        horizontal: Boundary,
        vertical: Boundary,
        mut site: impl FnMut(usize, usize, [bool; 4]) -> Result<Site<Tensor<T>>>,
    ) -> Result<Self> {
        let mut ln_scale = 0.0;
        let (across, along) = (horizontal == Boundary::Periodic, vertical == Boundary::Periodic);
        let mut sites = Vec::with_capacity(rows);
        for y in 0..rows {
            let mut row = Vec::with_capacity(columns);
            for x in 0..columns {
                let present = [along || y > 0, across || x > 0, along || y + 1 < rows, across || x + 1 < columns];
                let Site { tensor, ln_scale: ln } = site(y, x, present)?;
                ln_scale += ln;
                row.push(tensor);
            }
            sites.push(row);
        }
        Grid::new(sites, horizontal, vertical, ln_scale)
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.sites.len()
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.sites.first().map_or(0, Vec::len)
    }

    /// `ln` of a factor in front of everything.
    #[must_use]
    pub fn ln_scale(&self) -> f64 {
        self.ln_scale
    }

    /// The same tensors as a network, for exact contraction in any order; its value times `exp(`[`ln_scale`](Self::ln_scale)`)`
    /// is `Z`. The bond to the right of site `(y, x)` is called `h y x`, the one below it `v y x`.
    ///
    /// # Errors
    /// None for a grid that was built.
    pub fn network(&self) -> Result<Network<T>> {
        let (rows, columns) = (self.rows(), self.columns());
        let mut tensors = Vec::with_capacity(rows * columns);
        for (y, row) in self.sites.iter().enumerate() {
            for (x, t) in row.iter().enumerate() {
                let (above, before) = ((y + rows - 1) % rows, (x + columns - 1) % columns);
                let mut t = t.clone();
                for (first, second, alone, open, old, new) in [
                    (
                        "l",
                        "r",
                        columns == 1,
                        self.horizontal == Boundary::Open,
                        format!("h {y} {before}"),
                        format!("h {y} {x}"),
                    ),
                    (
                        "u",
                        "d",
                        rows == 1,
                        self.vertical == Boundary::Open,
                        format!("v {above} {x}"),
                        format!("v {y} {x}"),
                    ),
                ] {
                    let last = if first == "l" { x + 1 == columns } else { y + 1 == rows };
                    let start = if first == "l" { x == 0 } else { y == 0 };
                    if alone && !open {
                        t = t.trace(first, second)?;
                        continue;
                    }
                    t = if open && start { t.select(first, 0)? } else { t.rename(first, old)? };
                    t = if open && last { t.select(second, 0)? } else { t.rename(second, new)? };
                }
                tensors.push(t);
            }
        }
        Network::with_open::<&str>(tensors, &[])
    }

    /// The elements of a site, `[u, l, d, r]`.
    pub(super) fn array(&self, y: usize, x: usize) -> Result<ndarray::Array4<T>> {
        let array = self.sites[y][x].clone().into_array(&["u", "l", "d", "r"])?;
        array.into_dimensionality().map_err(|_| {
            Error::shape("a site tensor", self.sites[y][x].legs().iter().map(Leg::dim).collect::<Vec<_>>(), "four legs")
        })
    }
}

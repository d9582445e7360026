//! The tensor renormalisation group.

use super::flow::{Flow, Kind, Renormalised, Site, run};
use crate::error::{Error, Result};
use crate::linalg::Truncation;

/// More steps stand for more sites than a floating-point number can count.
pub(super) const MAX_STEPS: usize = 1000;

/// The tensor renormalisation group of a uniform square lattice: `steps` steps, each of which makes one site of two.
///
/// Every other site is cut along one diagonal, the others along the other, by singular value decompositions, and the
/// four halves around a plaquette are joined; the lattice turns by 45 degrees.
///
/// ```text
///    u               r
///     \             /
///     [a]----x----[b]
///      |           |
///      w           z
///      |           |
///     [d]----y----[c]
///     /             \
///    l               d
/// ```
/// After an even number of steps the last tensor, closed on itself, is the torus of `2^(steps/2)` sites a side; many
/// steps give the infinite lattice. A step costs `chi^6`, `chi` the bond, for decompositions and product alike. (Levin
/// and Nave, Phys. Rev. Lett. 99, 120601, 2007.)
///
/// On a tape ([`Site`] of [`Var`](crate::autodiff::Var)) only the tensor that each step starts from is kept. A relative
/// cutoff of about 1e-9 belongs into `cut` there: the root of a vanishing singular value has no derivative.
///
/// # Errors
/// [`Error::Setting`] for more than 1000 steps or impossible settings, [`Error::Leg`] unless the site has the legs `u`,
/// `l`, `d` and `r`, with those that meet of equal dimension, [`Error::NotFinite`] if the tensor, or `Z`, is zero.
pub fn trg<A: Flow>(site: &Site<A>, steps: usize, cut: &Truncation) -> Result<Renormalised<A>> {
    if steps > MAX_STEPS {
        return Err(Error::setting("steps", steps, format!("give at most {MAX_STEPS}")));
    }
    check_legs(site, 2)?;
    run(site, &vec![Kind::Rotate; steps], &AXES[..2], cut)
}

/// The legs at the two ends of each axis.
pub(super) const AXES: [(&str, &str); 3] = [("u", "d"), ("l", "r"), ("f", "b")];

/// That a site has the legs of so many axes and no others, and that its copies fit.
pub(super) fn check_legs<A: Flow>(site: &Site<A>, axes: usize) -> Result<()> {
    let t = site.tensor.tensor();
    for (first, second) in &AXES[..axes] {
        if t.leg(first)?.dim() != t.leg(second)?.dim() {
            return Err(Error::Leg {
                what: format!("legs '{first}' and '{second}' of {t} differ, so copies do not fit"),
            });
        }
    }
    if t.legs().len() != 2 * axes {
        return Err(Error::Leg { what: format!("{t} has more legs than the {} of a site", 2 * axes) });
    }
    Ok(())
}

/// One step.
pub(super) fn rotated<A: Flow>(t: &A, cut: &Truncation) -> Result<(A, f64)> {
    let (a, c, one) = t.halves(&["r", "d"], "k", cut)?;
    let (b, d, two) = t.halves(&["l", "d"], "k", cut)?;
    let a = a.renamed(&[("r", "x"), ("d", "w"), ("k", "u")])?;
    let b = b.renamed(&[("l", "x"), ("d", "z"), ("k", "r")])?;
    let c = c.renamed(&[("l", "y"), ("u", "z"), ("k", "d")])?;
    let d = d.renamed(&[("r", "y"), ("u", "w"), ("k", "l")])?;
    Ok((a.joined(&b)?.joined(&c.joined(&d)?)?, one.max(two)))
}

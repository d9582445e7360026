//! Renormalisation by higher-order singular value decompositions, in two and three dimensions.

use super::flow::{Flow, Kind, Renormalised, Site, run};
use super::trg::{AXES, MAX_STEPS, check_legs};
use crate::error::{Error, Result};
use crate::linalg::Truncation;

/// Renormalisation by higher-order singular value decompositions (HOTRG) of a uniform lattice.
///
/// Each entry of `schedule` is an axis along which two sites become one: 0 for `u, d`, 1 for `l, r`, 2 for `f, b` of a
/// cubic lattice, which a site with six legs is. The legs across are joined in pairs and cut by the singular vectors of
/// the pair of tensors, of its left or its right side, whichever loses less:
///
/// ```text
///                u
///             l--T--r
///      k --U*<   c   >U-- k'        M M^H = U s^2 U^H  over (l, l2), or over (r, r2)
///             l2-T--r2
///                d
/// ```
/// The result, closed on itself, is the torus with `2^n` sites along an axis that occurs `n` times. A step costs `chi^7`
/// in two dimensions, `chi^11` in three. (Xie, Chen, Qin, Zhu, Yang, Xiang, Phys. Rev. B 86, 045139, 2012.)
///
/// # Errors
/// [`Error::Setting`] for more than 1000 steps, an axis that is not there, or impossible settings; otherwise as
/// [`trg`](super::trg).
pub fn hotrg<A: Flow>(site: &Site<A>, schedule: &[usize], cut: &Truncation) -> Result<Renormalised<A>> {
    let axes = if site.tensor.tensor().legs().len() == 6 { 3 } else { 2 };
    check_legs(site, axes)?;
    if schedule.len() > MAX_STEPS {
        return Err(Error::setting("steps", schedule.len(), format!("give at most {MAX_STEPS}")));
    }
    if let Some(axis) = schedule.iter().find(|&&axis| axis >= axes) {
        return Err(Error::setting("axis", axis, format!("the site has {axes} axes, counted from 0")));
    }
    let steps: Vec<Kind> = schedule.iter().map(|&axis| Kind::Merge { axis, axes }).collect();
    run(site, &steps, &AXES[..axes], cut)
}

/// The axes in turn, until along axis `i` there are `2^log2[i]` sites.
///
/// ```
/// assert_eq!(ansatz::lattice::hotrg_schedule(&[2, 3]), [0, 1, 0, 1, 1]);
/// ```
#[must_use]
pub fn hotrg_schedule(log2: &[usize]) -> Vec<usize> {
    let rounds = log2.iter().copied().max().unwrap_or(0);
    (0..rounds).flat_map(|round| (0..log2.len()).filter(move |&axis| round < log2[axis])).collect()
}

/// One step along `axis`.
pub(super) fn merged<A: Flow>(t: &A, axis: usize, axes: usize, cut: &Truncation) -> Result<(A, f64)> {
    let (first, second) = AXES[axis];
    let across: Vec<(&str, &str)> = (0..axes).filter(|&a| a != axis).map(|a| AXES[a]).collect();
    let lower_name = |name: &str| format!("{name}2");
    // The copies of the second site, with the legs across renamed.
    let names: Vec<(String, String)> =
        across.iter().flat_map(|&(m, p)| [m, p]).map(|name| (name.to_owned(), lower_name(name))).collect();
    let mut pairs: Vec<(&str, &str)> = names.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    pairs.push((first, "c"));
    let upper = t.renamed(&[(second, "c")])?;
    let lower = t.renamed(&pairs)?;
    let (upper_star, lower_star) = (upper.conjugate()?, lower.conjugate()?);

    // The Gram tensor of the pair, over the legs `name` of both.
    let vectors = |name: &str| -> Result<(A, f64)> {
        let below = lower_name(name);
        let (star, below_star) = (format!("{name}'"), format!("{below}'"));
        let a = upper.joined(&upper_star.renamed(&[(name, &star), ("c", "c'")])?)?;
        let b = lower.joined(&lower_star.renamed(&[(&below, &below_star), ("c", "c'")])?)?;
        a.joined(&b)?.leading(&[name, &below], "k", cut)
    };
    let mut worst = 0.0_f64;
    let mut isometries = Vec::with_capacity(across.len());
    for &(m, p) in &across {
        let ((left, lost_left), (right, lost_right)) = (vectors(m)?, vectors(p)?);
        let (m2, p2) = (lower_name(m), lower_name(p));
        let (km, kp) = (format!("k{m}"), format!("k{p}"));
        // A bond is cut by U U^H: U stands at its right-hand leg of one site, conj U at the left-hand leg of the next.
        let (at_m, at_p, lost) = if lost_left <= lost_right {
            (left.conjugate()?, left.renamed(&[(m, p), (m2.as_str(), p2.as_str())])?, lost_left)
        } else {
            (right.renamed(&[(p, m), (p2.as_str(), m2.as_str())])?, right.conjugate()?, lost_right)
        };
        isometries.push((at_m.renamed(&[("k", &km)])?, at_p.renamed(&[("k", &kp)])?));
        worst = worst.max(lost);
    }
    let mut pair = upper;
    for (at_m, _) in &isometries {
        pair = pair.joined(at_m)?;
    }
    pair = pair.joined(&lower)?;
    for (_, at_p) in &isometries {
        pair = pair.joined(at_p)?;
    }
    let made: Vec<(String, &str)> =
        across.iter().flat_map(|&(m, p)| [m, p]).map(|name| (format!("k{name}"), name)).collect();
    let made: Vec<(&str, &str)> = made.iter().map(|(old, new)| (old.as_str(), *new)).collect();
    Ok((pair.renamed(&made)?, worst))
}

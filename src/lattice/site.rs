//! Models as values, and the site tensors they give.

use ndarray::{Array2, Array4};

use super::flow::Site;
use crate::autodiff::{Tape, Var};
use crate::error::{Error, Result};
use crate::linalg::{TruncatedSvd, Truncation, truncated_svd};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Leg, Role, Tensor};

/// Below this coupling the weight of a bond is not split evenly between its ends: the root has no derivative at zero.
const WEAK: f64 = 0.05;

/// The Ising model, `p(s) = exp(beta (sum_<ij> s_i s_j + h sum_i s_i)) / Z`, spins +1 and -1, on the square or the cubic
/// lattice. Of negative `beta` it is the antiferromagnet (in the opposite field).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ising {
    beta: f64,
    field: f64,
}

impl Ising {
    /// Without a field.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `beta` is finite and below 1e15 in size.
    pub fn new(beta: f64) -> Result<Self> {
        if !(beta.abs() <= 1e15) {
            return Err(Error::setting("beta", beta, "give a finite inverse temperature, of at most 1e15"));
        }
        Ok(Ising { beta, field: 0.0 })
    }

    /// In the field `h`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `h` is finite and below 1e15 in size.
    pub fn field(self, h: f64) -> Result<Self> {
        if !(h.abs() <= 1e15) {
            return Err(Error::setting("field", h, "give a finite field, of at most 1e15"));
        }
        Ok(Ising { field: h, ..self })
    }

    /// The site tensor of the square lattice, `[u, l, d, r]` with bonds of dimension 2.
    ///
    /// # Errors
    /// None for a model that was built.
    pub fn site<T: Scalar>(&self) -> Result<Site<Tensor<T>>> {
        self.plain(&["u", "l", "d", "r"])
    }

    /// The site tensor of the cubic lattice, `[u, l, d, r, f, b]`.
    ///
    /// # Errors
    /// None for a model that was built.
    pub fn cubic_site<T: Scalar>(&self) -> Result<Site<Tensor<T>>> {
        self.plain(&["u", "l", "d", "r", "f", "b"])
    }

    /// The site tensor of the square lattice where some bonds are missing, as at the edge of an open lattice: those legs
    /// have dimension 1. `present` is in the order `u, l, d, r`.
    ///
    /// # Errors
    /// None for a model that was built.
    pub fn edge_site<T: Scalar>(&self, present: [bool; 4]) -> Result<Site<Tensor<T>>> {
        let names = ["u", "l", "d", "r"];
        let there: Vec<&str> =
            names.into_iter().zip(present).filter(|(_, there)| *there).map(|(name, _)| name).collect();
        let mut site = self.plain::<T>(&there)?;
        let missing: Vec<Leg> =
            names.into_iter().zip(present).filter(|(_, there)| !there).map(|(name, _)| Leg::bond(name, 1)).collect();
        site.tensor = site.tensor.expand(&missing)?.permute(&names)?;
        Ok(site)
    }

    fn plain<T: Scalar>(&self, names: &[&str]) -> Result<Site<Tensor<T>>> {
        // In double precision, whatever the type.
        let tape = Tape::<f64>::new();
        let beta = tape.constant(Tensor::scalar(self.beta))?;
        let on_tape = self.on_tape(&beta, names)?;
        let dims: Vec<Leg> = on_tape.tensor.legs().to_vec();
        let order: Vec<&str> = dims.iter().map(Leg::name).collect();
        let array = on_tape.tensor.value().clone().into_array(&order)?;
        let ln_scale = on_tape.ln_scale.value().to_scalar()?;
        Ok(Site { tensor: Tensor::from_array(dims.clone(), array.mapv(T::from_f64))?, ln_scale })
    }

    /// The site tensor of the square lattice as a function of `beta` on a tape; the field of the model is kept, the
    /// `beta` of the model is not used.
    ///
    /// The derivative of `ln Z` by `beta` is minus the energy, of bonds and field.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if `beta` is.
    pub fn site_on<'t, T: Scalar>(&self, beta: &Var<'t, T>) -> Result<Site<Var<'t, T>>> {
        self.on_tape(beta, &["u", "l", "d", "r"])
    }

    /// The site tensor of the cubic lattice as a function of `beta` on a tape.
    ///
    /// # Errors
    /// As [`site_on`](Self::site_on).
    pub fn cubic_site_on<'t, T: Scalar>(&self, beta: &Var<'t, T>) -> Result<Site<Var<'t, T>>> {
        self.on_tape(beta, &["u", "l", "d", "r", "f", "b"])
    }

    /// `T = (1 + e^(-2|H|)) [even + tanh(H) odd] prod c`, from `exp(K s s') = e^|K| (a + b s s')` with
    /// `a = (1 + e^(-2|K|)) / 2`, `b = a tanh K`: the factors `(a, b)` of each bond are divided among its ends, what grows
    /// with `K` and `H` goes into the scale.
    fn on_tape<'t, T: Scalar>(&self, beta: &Var<'t, T>, names: &[&str]) -> Result<Site<Var<'t, T>>> {
        let number = |x: f64| T::from_f64(x);
        let tape = beta.tape();
        let one = tape.constant(Tensor::scalar(T::one()))?;
        let size = |x: &Var<'t, T>| -> Result<Var<'t, T>> {
            x.scale(number(if Real::to_f64(x.value().to_scalar()?.re()) < 0.0 { -1.0 } else { 1.0 }))
        };
        let decay = |x: &Var<'t, T>| one.add(&x.scale(number(-2.0))?.exp()?);
        let k = size(beta)?;
        let coupling = Real::to_f64(beta.value().to_scalar()?.re());
        let even = decay(&k)?.scale(number(0.5))?;
        let odd = even.mul(&k.tanh()?)?;
        let sign = if coupling < 0.0 { -1.0 } else { 1.0 };
        let (at_first, at_second) = if coupling.abs() < WEAK {
            ([one.clone(), one.clone()], [even, odd.scale(number(sign))?])
        } else {
            let (even, odd) = (even.sqrt()?, odd.sqrt()?);
            ([even.clone(), odd.clone()], [even, odd.scale(number(sign))?])
        };
        let legs: Vec<Leg> = names.iter().map(|name| Leg::bond(name, 2)).collect();
        let parity = |wanted: u32| {
            let ones =
                (0..1_u32 << names.len()).map(|i| if i.count_ones() % 2 == wanted { T::one() } else { T::zero() });
            Tensor::new(legs.clone(), ones.collect())
        };
        let mut t = tape.constant(parity(0)?)?;
        let ends = names.len() as f64 / 2.0;
        let mut ln_scale = k.scale(number(ends))?;
        if self.field == 0.0 {
            t = t.scale(number(2.0))?;
        } else {
            let field = beta.scale(number(self.field))?;
            let strength = size(&field)?;
            let odd = tape.constant(parity(1)?)?.mul(&field.tanh()?)?;
            t = t.add(&odd)?.mul(&decay(&strength)?)?;
            ln_scale = ln_scale.add(&strength)?;
        }
        for name in names {
            let ends = if ["u", "l", "f"].contains(name) { &at_first } else { &at_second };
            t = t.mul(&Var::stack(&[&ends[0], &ends[1]], name, Role::Bond)?)?;
        }
        Ok(Site { tensor: t, ln_scale })
    }
}

/// A site tensor `[u, l, d, r]` of spins with `q` values, from the weights of its bonds: `horizontal[[left, right]]` and
/// `vertical[[upper, lower]]`, `[q, q]` each, and the weight of each value at a site.
///
/// `T[u, l, d, r] = sum_s w_s Y_v[u, s] Y_h[l, s] X_v[s, d] X_h[s, r]` with `W = X Y`, `X = U sqrt(S)`, `Y = sqrt(S) V^H`.
///
/// # Errors
/// [`Error::Shape`] unless both matrices are `[q, q]`, `q` the number of weights; as [`truncated_svd`].
pub fn from_bonds<T: Scalar>(horizontal: &Array2<T>, vertical: &Array2<T>, weights: &[T]) -> Result<Site<Tensor<T>>> {
    let q = weights.len();
    for (name, bond) in [("horizontal", horizontal), ("vertical", vertical)] {
        if bond.dim() != (q, q) {
            return Err(Error::shape(format!("the {name} weights of a bond"), bond.dim(), (q, q)));
        }
    }
    let parts = |w: &Array2<T>| -> Result<(Array2<T>, Array2<T>)> {
        let TruncatedSvd { mut u, s, mut vt, .. } = truncated_svd(&w.view(), &Truncation::none().cutoff(1e-15))?;
        let root = |s: &T::Real| T::Real::of(Real::to_f64(*s).sqrt());
        u.columns_mut().into_iter().zip(&s).for_each(|(mut c, s)| c.mapv_inplace(|x| x.scale(root(s))));
        vt.rows_mut().into_iter().zip(&s).for_each(|(mut r, s)| r.mapv_inplace(|x| x.scale(root(s))));
        Ok((u, vt))
    };
    let ((xh, yh), (xv, yv)) = (parts(horizontal)?, parts(vertical)?);
    let (h, v) = (xh.ncols(), xv.ncols());
    let t = Array4::from_shape_fn((v, h, v, h), |(u, l, d, r)| {
        (0..q).map(|s| weights[s] * yv[[u, s]] * yh[[l, s]] * xv[[s, d]] * xh[[s, r]]).sum::<T>()
    });
    Ok(Site { tensor: Tensor::from_array(legs([v, h, v, h]), t)?, ln_scale: 0.0 })
}

fn legs(dims: [usize; 4]) -> Vec<Leg> {
    ["u", "l", "d", "r"].into_iter().zip(dims).map(|(name, dim)| Leg::bond(name, dim)).collect()
}

/// The site tensor of the Potts model with `q` states, weight `exp(beta)` for a bond whose ends agree and 1 otherwise.
///
/// # Errors
/// [`Error::Setting`] unless `q` is 1 to 64 and `beta` finite.
pub fn potts<T: Scalar>(q: usize, beta: f64) -> Result<Site<Tensor<T>>> {
    if !(1..=64).contains(&q) {
        return Err(Error::setting("q", q, "give 1 to 64 states"));
    }
    let scale = Ising::new(beta)?.beta.max(0.0);
    let (same, other) = (T::from_f64((beta - scale).exp()), T::from_f64((-scale).exp()));
    let bond = Array2::from_shape_fn((q, q), |(a, b)| if a == b { same } else { other });
    let site = from_bonds(&bond, &bond, &vec![T::one(); q])?;
    Ok(Site { ln_scale: 2.0 * scale, ..site })
}

/// The site tensor of coverings by dimers: 1 where exactly one of the four legs holds one, so that `Z` counts them.
/// Legs that are not `present` (in the order `u, l, d, r`) have dimension 1.
///
/// # Errors
/// None.
pub fn dimers<T: Scalar>(present: [bool; 4]) -> Result<Site<Tensor<T>>> {
    let dims = present.map(|there| if there { 2 } else { 1 });
    let [u, l, d, r] = dims;
    let t = Array4::from_shape_fn((u, l, d, r), |(u, l, d, r)| if u + l + d + r == 1 { T::one() } else { T::zero() });
    Ok(Site { tensor: Tensor::from_array(legs(dims), t)?, ln_scale: 0.0 })
}

/// The site tensor of Ising spins on the triangular lattice, `exp(beta s s')` for each of the three bonds a site
/// has towards its neighbours on the left, above, and above on the left; negative `beta` is the antiferromagnet.
///
/// `l` and `r` carry the spin on their left (dimension 2), `u` and `d` the spin above and its left neighbour (dimension
/// 4, the spin above counting first). Bonds that are not `present` (`u, l, d, r`) have dimension 1 and weight 1, and with
/// either of `u` and `l` the one between falls away.
///
/// # Errors
/// [`Error::Setting`] unless `beta` is finite.
pub fn triangular<T: Scalar>(beta: f64, present: [bool; 4]) -> Result<Site<Tensor<T>>> {
    let k = Ising::new(beta)?.beta;
    let [up, left, down, right] = present;
    let size = |there: bool, dim: usize| if there { dim } else { 1 };
    let dims = [size(up, 4), size(left, 2), size(down, 4), size(right, 2)];
    let spin = |i: usize| if i == 0 { 1.0 } else { -1.0 };
    let bonds = f64::from(u8::from(up)) + f64::from(u8::from(left)) + f64::from(u8::from(up && left));
    let t = Array4::from_shape_fn((dims[0], dims[1], dims[2], dims[3]), |(u, l, d, r)| {
        let sum: f64 = (0..2)
            .map(|s| {
                // At the left edge there is no spin to the left, and the leg below says 0 for it.
                let below = s * 2 + if left { l } else { 0 };
                if (down && d != below) || (right && r != s) {
                    return 0.0;
                }
                // Nor is there one above on the left.
                if up && !left && u % 2 != 0 {
                    return 0.0;
                }
                let mut energy = 0.0;
                if up {
                    energy += spin(s) * spin(u / 2);
                }
                if left {
                    energy += spin(s) * spin(l);
                }
                if up && left {
                    energy += spin(s) * spin(u % 2);
                }
                (k * energy - k.abs() * bonds).exp()
            })
            .sum();
        T::from_f64(sum)
    });
    Ok(Site { tensor: Tensor::from_array(legs(dims), t)?, ln_scale: k.abs() * bonds })
}

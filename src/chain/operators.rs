//! Operators of one site by name.

use ndarray::Array2;
use num_complex::Complex64;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// One row of the table: names, whether only dimension 2 has it, its matrix element `<out|O|in>`, what it is.
struct Row {
    names: &'static [&'static str],
    only_qubits: bool,
    element: fn(usize, usize, usize) -> Complex64,
    doc: &'static str,
}

/// Spin `S = (d - 1) / 2`; symbol 0 is the state of largest `m`, symbol `k` has `m = S - k`.
const TABLE: &[Row] = &[
    Row { names: &["I", "Id"], only_qubits: false, element: |_, o, i| real(f64::from(o == i)), doc: "identity" },
    Row { names: &["X"], only_qubits: true, element: |_, o, i| real(f64::from(o != i)), doc: "Pauli x" },
    Row { names: &["Y"], only_qubits: true, element: |d, o, i| spin_y(d, o, i) * 2.0, doc: "Pauli y" },
    Row { names: &["Z"], only_qubits: true, element: |d, o, i| real(2.0 * spin_z(d, o, i)), doc: "Pauli z" },
    Row {
        names: &["Sx"],
        only_qubits: false,
        element: |d, o, i| real((raise(d, o, i) + raise(d, i, o)) / 2.0),
        doc: "spin x",
    },
    Row { names: &["Sy"], only_qubits: false, element: spin_y, doc: "spin y" },
    Row { names: &["Sz"], only_qubits: false, element: |d, o, i| real(spin_z(d, o, i)), doc: "spin z" },
    Row { names: &["S+", "Sp"], only_qubits: false, element: |d, o, i| real(raise(d, o, i)), doc: "spin raising" },
    Row { names: &["S-", "Sm"], only_qubits: false, element: |d, o, i| real(raise(d, i, o)), doc: "spin lowering" },
    Row {
        names: &["N"],
        only_qubits: false,
        element: |_, o, i| real(if o == i { i as f64 } else { 0.0 }),
        doc: "number: the symbol itself",
    },
    Row {
        names: &["A"],
        only_qubits: false,
        element: |_, o, i| real(lower(o, i)),
        doc: "annihilation, <n-1|A|n> = sqrt n",
    },
    Row {
        names: &["Adag"],
        only_qubits: false,
        element: |_, o, i| real(lower(i, o)),
        doc: "creation, the adjoint of A",
    },
];

fn real(x: f64) -> Complex64 {
    Complex64::new(x, 0.0)
}

fn spin_z(d: usize, out: usize, input: usize) -> f64 {
    if out == input { (d as f64 - 1.0) / 2.0 - input as f64 } else { 0.0 }
}

/// `<out|S+|in> = sqrt(S(S + 1) - m(m + 1))`, one symbol down.
fn raise(d: usize, out: usize, input: usize) -> f64 {
    let (s, m) = ((d as f64 - 1.0) / 2.0, spin_z(d, input, input));
    if out + 1 == input { (s * (s + 1.0) - m * (m + 1.0)).sqrt() } else { 0.0 }
}

fn spin_y(d: usize, out: usize, input: usize) -> Complex64 {
    Complex64::new(0.0, (raise(d, input, out) - raise(d, out, input)) / 2.0)
}

fn lower(out: usize, input: usize) -> f64 {
    if out + 1 == input { (input as f64).sqrt() } else { 0.0 }
}

/// The operator called `name` on a site of dimension `dim`, `[out, in]`, in double precision.
///
/// Pauli matrices `X Y Z` (dimension 2); spin operators `Sx Sy Sz S+ S-` of spin `(dim - 1) / 2`, symbol 0 being "up";
/// `N` (the symbol as a number), `A` and `Adag` (bosons, cut off at `dim`), `I`.
///
/// # Errors
/// [`Error::Setting`] for a name that is not in the table, or one that this dimension does not have.
pub fn operator(name: &str, dim: usize) -> Result<Array2<Complex64>> {
    let Some(row) = TABLE.iter().find(|row| row.names.contains(&name)) else {
        let known: Vec<_> = TABLE.iter().map(|row| format!("{} ({})", row.names.join(" or "), row.doc)).collect();
        return Err(Error::setting("operator", name, format!("give one of {}", known.join(", "))));
    };
    if row.only_qubits && dim != 2 {
        return Err(Error::setting("operator", name, format!("only sites of dimension 2 have it, this one has {dim}")));
    }
    Ok(Array2::from_shape_fn((dim, dim), |(o, i)| (row.element)(dim, o, i)))
}

/// The same operator in the precision of `T`.
///
/// # Errors
/// As [`operator`]; [`Error::Setting`] if it has an imaginary part and `T` is real.
pub fn operator_as<T: Scalar>(name: &str, dim: usize) -> Result<Array2<T>> {
    let wide = operator(name, dim)?;
    if !T::IS_COMPLEX && wide.iter().any(|x| x.im != 0.0) {
        return Err(Error::setting("operator", name, "it is not real; use Complex32 or Complex64"));
    }
    Ok(wide.mapv(|x| T::from_parts(x.re, x.im)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_operators_obey_their_algebra_in_every_dimension() {
        for d in 2..6 {
            let get = |name| operator(name, d).unwrap();
            let (x, y, z) = (get("Sx"), get("Sy"), get("Sz"));
            let i = Complex64::new(0.0, 1.0);
            let near = |a: &Array2<Complex64>, b: &Array2<Complex64>| (a - b).iter().all(|e| e.norm() < 1e-13);
            assert!(near(&(x.dot(&y) - y.dot(&x)), &z.mapv(|e| e * i)));
            assert!(near(&(&x + &y.mapv(|e| e * i)), &get("S+")));
            let s = (d as f64 - 1.0) / 2.0;
            let casimir = x.dot(&x) + y.dot(&y) + z.dot(&z);
            assert!(near(&casimir, &get("I").mapv(|e| e * (s * (s + 1.0)))));
            assert!(near(&get("Adag").dot(&get("A")), &get("N")));
        }
        assert_eq!(operator("Y", 2).unwrap()[[0, 1]], Complex64::new(0.0, -1.0));
        assert!(operator("X", 3).is_err() && operator("Q", 2).is_err() && operator_as::<f32>("Y", 2).is_err());
    }
}

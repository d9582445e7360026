//! Factorisations of unitary matrices.

use ndarray::{Array2, ArrayView2, concatenate, s};
use num_complex::Complex;

use super::{Op, eigh, matmul, qr, svd};
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};

/// `U = diag(L0, L1) [[C, -S], [S, C]] diag(R0, R1)` with `C = diag(cos theta)` and `S = diag(sin theta)`.
#[derive(Debug, Clone)]
pub struct CosineSine<T: Scalar> {
    /// `L0` and `L1`, `[n / 2, n / 2]` each, unitary.
    pub left: [Array2<T>; 2],
    /// The angles, radians, in `[0, pi / 2]`.
    pub theta: Vec<f64>,
    /// `R0` and `R1`, `[n / 2, n / 2]` each, unitary.
    pub right: [Array2<T>; 2],
}

/// Columns from orthonormal ones to an orthonormal basis: `[m, n]` to `[m, m]`, the first `n` as they are.
///
/// # Errors
/// As [`qr`].
pub fn completed<T: Scalar>(columns: &ArrayView2<T>) -> Result<Array2<T>> {
    let (m, n) = columns.dim();
    if n >= m {
        return Ok(columns.to_owned());
    }
    // A wide matrix of full rank has a square first factor, whose leading columns span the given ones.
    let wide = concatenate![ndarray::Axis(1), columns.view(), Array2::eye(m)];
    let mut basis = qr(&wide.view())?.0;
    basis.slice_mut(s![.., ..n]).assign(columns);
    Ok(basis)
}

/// The cosine-sine decomposition of a unitary matrix with an even number of rows, in equal blocks.
///
/// By the SVD of the first block; where sines are small, which that SVD does not resolve, by the SVD of what is below it
/// (Van Loan, Numer. Math. 46, 479 (1985)).
///
/// # Errors
/// [`Error::Shape`] unless the matrix is square with an even number of rows; as [`svd`].
pub fn cosine_sine<T: Scalar>(u: &ArrayView2<T>) -> Result<CosineSine<T>> {
    let (n, columns) = u.dim();
    if n != columns || n % 2 != 0 {
        return Err(Error::shape("cosine-sine decomposition", (n, columns), "a square with an even number of rows"));
    }
    let m = n / 2;
    let (left, theta, first) = cosine_sine_columns(&u.slice(s![.., ..m]))?;
    let upper = matmul(&left[0].view(), Op::Adjoint, &u.slice(s![..m, m..]), Op::None);
    let lower = matmul(&left[1].view(), Op::Adjoint, &u.slice(s![m.., m..]), Op::None);
    let mut second = lower;
    for ((mut row, above), theta) in second.rows_mut().into_iter().zip(upper.rows()).zip(&theta) {
        let (sin, cos) = (T::Real::of(theta.sin()), T::Real::of(theta.cos()));
        row.zip_mut_with(&above, |d, &b| *d = d.scale(cos) - b.scale(sin));
    }
    Ok(CosineSine { left, theta, right: [first, second] })
}

/// The left factors, the angles and the right factor.
pub type CosineSineColumns<T> = ([Array2<T>; 2], Vec<f64>, Array2<T>);

/// As [`cosine_sine`] for the first half of the columns, `[2 m, m]` and orthonormal: `L0`, `L1`, the angles and `R0`.
///
/// # Errors
/// As [`cosine_sine`].
pub fn cosine_sine_columns<T: Scalar>(u: &ArrayView2<T>) -> Result<CosineSineColumns<T>> {
    let (n, m) = u.dim();
    if n != 2 * m {
        return Err(Error::shape("cosine-sine decomposition: orthonormal columns", (n, m), (2 * m, m)));
    }
    let top = svd(&u.slice(s![..m, ..]))?;
    let (mut l0, mut right) = (top.u, top.vt);
    let below = matmul(&u.slice(s![m.., ..]), Op::None, &right.view(), Op::Adjoint);
    let k = top.s.iter().take_while(|c| c.to_f64() > std::f64::consts::FRAC_1_SQRT_2).count();
    let mut theta: Vec<f64> = vec![0.0; m];
    let mut l1 = Array2::eye(m);
    if k < m {
        // Large sines: orthogonal columns, whose lengths are the sines.
        let (mut q, r) = qr(&below.slice(s![.., k..]))?;
        for (i, mut column) in q.columns_mut().into_iter().enumerate() {
            let turn = phase(r[[i, i]]);
            column.mapv_inplace(|x| x * turn);
            theta[k + i] = r[[i, i]].abs().to_f64().atan2(top.s[k + i].to_f64());
        }
        // The basis has these columns first; they are the last ones.
        let basis = completed(&q.view())?;
        l1.slice_mut(s![.., ..k]).assign(&basis.slice(s![.., m - k..]));
        l1.slice_mut(s![.., k..]).assign(&basis.slice(s![.., ..m - k]));
    }
    if k > 0 {
        // Small sines, within the space that is left.
        let rest = matmul(&l1.slice(s![.., ..k]), Op::Adjoint, &below.slice(s![.., ..k]), Op::None);
        let small = svd(&rest.view())?;
        let turned = matmul(&l1.slice(s![.., ..k]), Op::None, &small.u.view(), Op::None);
        l1.slice_mut(s![.., ..k]).assign(&turned);
        let turned = matmul(&small.vt.view(), Op::None, &right.slice(s![..k, ..]), Op::None);
        right.slice_mut(s![..k, ..]).assign(&turned);
        // The cosines beside them: large, so their columns stay orthogonal to rounding.
        let mut cosines = small.vt.t().mapv(T::conj);
        cosines.rows_mut().into_iter().zip(&top.s).for_each(|(mut row, &c)| row.mapv_inplace(|x| x.scale(c)));
        let (q, r) = qr(&cosines.view())?;
        let mut turned = matmul(&l0.slice(s![.., ..k]), Op::None, &q.view(), Op::None);
        for (i, mut column) in turned.columns_mut().into_iter().enumerate() {
            let turn = phase(r[[i, i]]);
            column.mapv_inplace(|x| x * turn);
            theta[i] = small.s[i].to_f64().atan2(r[[i, i]].abs().to_f64());
        }
        l0.slice_mut(s![.., ..k]).assign(&turned);
    }
    Ok(([l0, l1], theta, right))
}

fn phase<T: Scalar>(x: T) -> T {
    let size = x.abs();
    if size > T::Real::of(0.0) { x.scale(T::Real::of(1.0) / size) } else { T::one() }
}

/// Rounds of correcting eigenvectors.
const ROUNDS: usize = 6;

/// Angles and eigenvectors of a unitary matrix: `U = V diag(exp(i angle)) V^H`, `angle` radians in `(-pi, pi]`, `V` `[n, n]`
/// unitary.
///
/// Hermitian and anti-Hermitian part commute, so the eigenvectors of a combination of them are those of both. Where two
/// eigenvalues of the combination happen to lie close, the vectors are put right by perturbation theory.
///
/// # Errors
/// [`Error::Shape`] unless the matrix is square, [`Error::Factorisation`] if it is not unitary; as [`eigh`].
pub fn eig_unitary<R: Real>(u: &ArrayView2<Complex<R>>) -> Result<(Vec<f64>, Array2<Complex<R>>)>
where
    Complex<R>: Scalar<Real = R>,
{
    let (n, columns) = u.dim();
    if n != columns {
        return Err(Error::shape("eigenvalues of a unitary matrix", (n, columns), (n, n)));
    }
    let tolerance = 32.0 * (n as f64).sqrt() * <R as num_traits::Float>::epsilon().to_f64();
    let mut best: Option<(f64, Array2<Complex<R>>)> = None;
    // Directions that are no simple fractions of a turn, because the angles of circuits are.
    for direction in [0.637_f64, 1.931, 2.741, 0.211] {
        let turn = Complex::<R>::from_parts(direction.cos() / 2.0, -direction.sin() / 2.0);
        let half = u.mapv(|x| x * turn);
        let part = &half + &half.t().mapv(Scalar::conj);
        let mut vectors = eigh(&part.view())?.vectors;
        for _ in 0..ROUNDS {
            let right = matmul(u, Op::None, &vectors.view(), Op::None);
            let inside = matmul(&vectors.view(), Op::Adjoint, &right.view(), Op::None);
            let off = |(i, j): (usize, usize)| if i == j { 0.0 } else { Scalar::abs(inside[[i, j]]).to_f64() };
            let error = inside.indexed_iter().map(|(at, _)| off(at)).fold(0.0, f64::max);
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, vectors.clone()));
            }
            if error <= tolerance {
                break;
            }
            let step = Array2::from_shape_fn((n, n), |(i, j)| {
                let gap = inside[[j, j]] - inside[[i, i]];
                // Of eigenvalues as close as that the vectors may be any.
                let far = i != j && Scalar::abs(gap).to_f64() > 4.0 * off((i, j));
                if far { inside[[i, j]] / gap } else { Complex::<R>::from_f64(f64::from(u8::from(i == j))) }
            });
            vectors = qr(&matmul(&vectors.view(), Op::None, &step.view(), Op::None).view())?.0;
        }
        if best.as_ref().is_some_and(|(error, _)| *error <= tolerance) {
            break;
        }
    }
    let failed = || Error::Factorisation { routine: "eig_unitary", rows: n, cols: n, code: 0 };
    let (error, vectors) = best.ok_or_else(failed)?;
    if !(error <= 1e3 * tolerance) {
        return Err(failed());
    }
    let right = matmul(u, Op::None, &vectors.view(), Op::None);
    let value = |k: usize| {
        let sum: Complex<R> = vectors.column(k).iter().zip(right.column(k)).map(|(v, w)| Scalar::conj(*v) * *w).sum();
        sum.im.to_f64().atan2(sum.re.to_f64())
    };
    Ok(((0..n).map(value).collect(), vectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use num_complex::Complex64;

    fn random(n: usize, seed: u64) -> Array2<Complex64> {
        let mut stream = Seed(seed).stream("unitary", 0);
        qr(&Array2::from_shape_simple_fn((n, n), || Complex64::normal(&mut stream)).view()).unwrap().0
    }

    fn distance<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> f64 {
        a.iter().zip(b).map(|(x, y)| (*x - *y).abs().to_f64()).fold(0.0, f64::max)
    }

    fn product<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> Array2<T> {
        matmul(&a.view(), Op::None, &b.view(), Op::None)
    }

    fn check_cosine_sine<T: Scalar>(u: &Array2<T>, tolerance: f64, what: &str) {
        let m = u.nrows() / 2;
        let f = cosine_sine(&u.view()).unwrap();
        let block = |place: (usize, usize)| {
            let middle = Array2::from_diag(&ndarray::Array1::from_iter(f.theta.iter().map(|t| {
                T::from_f64(match place {
                    (0, 1) => -t.sin(),
                    (1, 0) => t.sin(),
                    _ => t.cos(),
                })
            })));
            product(&product(&f.left[place.0], &middle), &f.right[place.1])
        };
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let expected = u.slice(s![i * m..(i + 1) * m, j * m..(j + 1) * m]).to_owned();
            let error = distance(&block((i, j)), &expected);
            assert!(error < tolerance, "{what}: block {i} {j} differs by {error:.1e}");
        }
        for part in f.left.iter().chain(&f.right) {
            let gram = matmul(&part.view(), Op::Adjoint, &part.view(), Op::None);
            assert!(distance(&gram, &Array2::eye(m)) < tolerance, "{what}");
        }
    }

    #[test]
    fn cosines_and_sines_of_any_size_give_the_matrix_back() {
        for n in [2, 4, 8, 32] {
            check_cosine_sine(&random(n, n as u64), 1e-13, "random");
            check_cosine_sine(&random(n, 1).mapv(|x| Complex::new(x.re as f32, x.im as f32)), 1e-5, "single");
            check_cosine_sine(&Array2::<f64>::eye(n), 1e-14, "identity");
            check_cosine_sine(&Array2::<f64>::eye(n).slice(s![..;-1, ..]).to_owned(), 1e-14, "exchange");
        }
        // Sines, and cosines, from large ones to such that a single SVD does not resolve, some of them equal.
        for small in [1e-3, 1e-5, 1e-8, 1e-9, 1e-12, 0.0] {
            let theta = [0.3, 1.2, small, small, 2.0 * small, 1.5 * small, std::f64::consts::FRAC_PI_2 - small, 1e-8];
            let m = theta.len();
            let mut middle = Array2::<Complex64>::zeros((2 * m, 2 * m));
            for (i, t) in theta.iter().enumerate() {
                (middle[[i, i]], middle[[m + i, m + i]]) = (t.cos().into(), t.cos().into());
                (middle[[i, m + i]], middle[[m + i, i]]) = ((-t.sin()).into(), t.sin().into());
            }
            let sides = |seed: u64| {
                let mut whole = Array2::<Complex64>::zeros((2 * m, 2 * m));
                whole.slice_mut(s![..m, ..m]).assign(&random(m, seed));
                whole.slice_mut(s![m.., m..]).assign(&random(m, seed + 1));
                whole
            };
            let u = product(&product(&sides(3), &middle), &sides(5));
            check_cosine_sine(&u, 1e-13, &format!("{small:e}"));
        }
        assert!(cosine_sine(&Array2::<f64>::eye(3).view()).is_err());
    }

    #[test]
    fn eigenvectors_of_a_unitary_matrix_give_it_back() {
        let pi = std::f64::consts::PI;
        // Mirror images about the direction of the combination, multiples of an eighth turn, equal and nearly equal angles.
        let sets: [&[f64]; 6] = [
            &[0.637 + 0.4, 0.637 - 0.4, 0.637 + 0.4 + 1e-9, 2.0],
            &[0.0, pi / 4.0, pi / 2.0, pi, -pi / 4.0, -pi / 2.0, 3.0 * pi / 4.0, 0.0],
            &[1.0; 4],
            &[1.0, 1.0 + 1e-7, 1.0 + 1e-10, 1.0 - 1e-13, -2.0],
            &[0.637, 0.637 + 1e-8, 0.637 - 1e-8, 0.637 + 1e-6],
            &[0.637 + 0.4, 0.637 - 0.4 + 1e-8, 1.931 + 0.1, 1.931 - 0.1 + 1e-6],
        ];
        for (number, angles) in sets.iter().enumerate() {
            let v = random(angles.len(), 7 + number as u64);
            let diagonal = Array2::from_diag(&ndarray::Array1::from_iter(angles.iter().map(|&a| Complex64::cis(a))));
            let u = matmul(&product(&v, &diagonal).view(), Op::None, &v.view(), Op::Adjoint);
            let (found, vectors) = eig_unitary(&u.view()).unwrap();
            let diagonal = Array2::from_diag(&ndarray::Array1::from_iter(found.iter().map(|&a| Complex64::cis(a))));
            let back = matmul(&product(&vectors, &diagonal).view(), Op::None, &vectors.view(), Op::Adjoint);
            let error = distance(&back, &u);
            assert!(error < 1e-13, "set {number}: {error:.1e}");
        }
        let u = random(64, 2);
        let (angles, vectors) = eig_unitary(&u.view()).unwrap();
        let diagonal = Array2::from_diag(&ndarray::Array1::from_iter(angles.iter().map(|&a| Complex64::cis(a))));
        let back = matmul(&product(&vectors, &diagonal).view(), Op::None, &vectors.view(), Op::Adjoint);
        assert!(distance(&back, &u) < 1e-12);
        let nilpotent = Array2::from_shape_fn((2, 2), |(i, j)| Complex64::from(f64::from(u8::from(i < j))));
        assert!(eig_unitary(&nilpotent.view()).is_err());
    }
}

use super::*;
use crate::Seed;
use crate::linalg::{Op, matmul};
use num_complex::Complex64;

fn normal(rows: usize, columns: usize, seed: u64) -> Array2<Complex64> {
    let mut stream = Seed(seed).stream("matrix", 0);
    Array2::from_shape_simple_fn((rows, columns), || Complex64::normal(&mut stream))
}

/// Kraus operators of a random channel: blocks of an isometry.
fn channel(d: usize, count: usize, seed: u64) -> Vec<Array2<Complex64>> {
    let isometry = crate::linalg::qr(&normal(d * count, d, seed).view()).unwrap().0;
    (0..count).map(|i| isometry.slice(ndarray::s![i * d..(i + 1) * d, ..]).to_owned()).collect()
}

fn unitary(d: usize, seed: u64) -> Array2<Complex64> {
    crate::linalg::qr(&normal(d, d, seed).view()).unwrap().0
}

/// An operator on sites in a row as one on the whole.
fn whole(dims: &[usize], first: usize, operator: &Array2<Complex64>) -> Array2<Complex64> {
    let before: usize = dims[..first].iter().product();
    let after = dims.iter().product::<usize>() / before / operator.nrows();
    let kron = |a: &Array2<Complex64>, b: &Array2<Complex64>| {
        let (m, n) = (b.nrows(), b.ncols());
        Array2::from_shape_fn((a.nrows() * m, a.ncols() * n), |(i, j)| a[[i / m, j / n]] * b[[i % m, j % n]])
    };
    kron(&kron(&Array2::eye(before), operator), &Array2::eye(after))
}

fn conjugated(operators: &[Array2<Complex64>], rho: &Array2<Complex64>) -> Array2<Complex64> {
    let mut sum = Array2::zeros(rho.dim());
    for k in operators {
        let half = matmul(&k.view(), Op::None, &rho.view(), Op::None);
        sum = sum + matmul(&half.view(), Op::None, &k.view(), Op::Adjoint);
    }
    sum
}

#[test]
fn channels_and_gates_agree_with_the_density_matrix() {
    let dims = [2, 3, 2];
    let vectors: Vec<Vec<Complex64>> = dims.iter().map(|&d| unitary(d, d as u64).column(0).to_vec()).collect();
    let mut rho = Purified::product(&vectors).unwrap();
    let mut expected = rho.to_dense().unwrap();
    let none = Truncation::none().cutoff(1e-14);
    for round in 0..3_u64 {
        let bond = round as usize % 2;
        let pair = dims[bond] * dims[bond + 1];
        let gate = unitary(pair, 20 + round);
        rho.apply_pair(bond, &gate, &none, Toward::Right).unwrap();
        expected = conjugated(&[whole(&dims, bond, &gate)], &expected);
        let site = (2 * round as usize + 1) % 3;
        let noise = channel(dims[site], 3, 30 + round);
        rho.apply_channel(site, &noise, &none).unwrap();
        expected = conjugated(&noise.iter().map(|k| whole(&dims, site, k)).collect::<Vec<_>>(), &expected);
        let noise = channel(pair, 2, 40 + round);
        rho.apply_to_pair(bond, &noise, &none, Toward::Left).unwrap();
        rho.cut_leg(bond, &none).unwrap();
        expected = conjugated(&noise.iter().map(|k| whole(&dims, bond, k)).collect::<Vec<_>>(), &expected);
        let single = unitary(dims[site], 50 + round);
        rho.apply_unitary(site, &single).unwrap();
        expected = conjugated(&[whole(&dims, site, &single)], &expected);
    }
    let found = rho.to_dense().unwrap();
    let error = found.iter().zip(&expected).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
    assert!(error < 1e-12, "{error:.1e}");
    let square = matmul(&expected.view(), Op::None, &expected.view(), Op::None).diag().sum().re;
    assert!((rho.purity() - square).abs() < 1e-12, "{} {square}", rho.purity());
    let (x, y) = (unitary(2, 1), unitary(2, 2));
    let (x, y) = (&x + &x.t().mapv(|z| z.conj()), &y + &y.t().mapv(|z| z.conj()));
    let product = matmul(&whole(&dims, 0, &x).view(), Op::None, &whole(&dims, 2, &y).view(), Op::None);
    let value = matmul(&product.view(), Op::None, &expected.view(), Op::None).diag().sum().re;
    assert!((rho.expectation(&[(0, x), (2, y)]).unwrap() - value).abs() < 1e-12);
    let marginal = rho.marginal(&[0, 2]).unwrap();
    for (index, p) in marginal.iter().enumerate() {
        let place = |i: usize| 2 * (i / 6) + i % 2 == index;
        let sum: f64 = (0..12).filter(|&i| place(i)).map(|i| expected[[i, i]].re).sum();
        assert!((p - sum).abs() < 1e-12);
    }
}

#[test]
fn what_is_cut_is_told() {
    let mut rho = Purified::<f64>::product(&[vec![1.0, 0.0], vec![0.6, 0.8]]).unwrap();
    let p = 0.1_f64;
    let flip = [Array2::eye(2) * (1.0 - p).sqrt(), ndarray::arr2(&[[0.0, 1.0], [1.0, 0.0]]) * p.sqrt()];
    // The two branches of site 0 are orthogonal, so the smaller one is what a single leg drops.
    let dropped = rho.apply_channel(0, &flip, &Truncation::none().max_bond(1)).unwrap();
    assert!((dropped - p).abs() < 1e-14 && rho.kraus() == [1, 1]);
    assert!(rho.apply_channel(0, &[], &Truncation::none()).is_err());
    assert!(rho.apply_channel(2, &flip, &Truncation::none()).is_err());
    assert!(rho.apply_channel(1, &[Array2::eye(3)], &Truncation::none()).is_err());
}

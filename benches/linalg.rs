//! The products and factorisations that everything else consists of, on square matrices.
//!
//! `cargo bench --bench linalg`; `--no-default-features --features faer` for the other backend.

use ansatz::linalg::{Op, Truncation, eigh, matmul, qr, svd, truncated_svd};
use ansatz::{Scalar, Seed};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ndarray::Array2;
use num_complex::Complex64;

fn factorisations<T: Scalar>(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("linalg, {}", T::KIND));
    group.sample_size(20);
    for n in [16, 64, 128] {
        let mut stream = Seed(1).stream("bench", n as u64);
        let a = Array2::from_shape_simple_fn((n, n), || T::normal(&mut stream));
        let hermitian = &a + &a.t().mapv(T::conj);
        let (a, hermitian) = (a.view(), hermitian.view());
        let half = Truncation::none().max_bond(n / 2);
        let mut time = |name: &str, work: &dyn Fn()| {
            group.bench_function(BenchmarkId::new(name, n), |bench| bench.iter(work));
        };
        time("matmul", &|| drop(matmul(&a, Op::None, &a, Op::None)));
        time("qr", &|| drop(qr(&a).unwrap()));
        time("svd", &|| drop(svd(&a).unwrap()));
        time("svd to half the rank", &|| drop(truncated_svd(&a, &half).unwrap()));
        time("eigh", &|| drop(eigh(&hermitian).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, factorisations::<f64>, factorisations::<f32>, factorisations::<Complex64>);
criterion_main!(benches);

//! Time of an overlap a site, for small bonds (aim: below a microsecond up to bond 8) and larger ones.
//!
//! `cargo bench --bench overlap`; divide by the 100 sites.

use ansatz::chain::Mps;
use ansatz::{Scalar, Seed};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use num_complex::Complex64;

fn overlaps<T: Scalar>(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("overlap of 100 sites, {}", T::KIND));
    for bond in [1, 2, 4, 8, 16, 32, 64] {
        let a = Mps::<T>::random(&[2; 100], bond, Seed(1)).unwrap();
        let b = Mps::<T>::random(&[2; 100], bond, Seed(2)).unwrap();
        group
            .bench_with_input(BenchmarkId::from_parameter(bond), &bond, |bench, _| bench.iter(|| a.inner(&b).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, overlaps::<f64>, overlaps::<f32>, overlaps::<Complex64>);
criterion_main!(benches);

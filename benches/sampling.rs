//! Perfect samples of a model of 784 sites and bond 64, free and with the first half given.
//!
//! `cargo bench --bench sampling`; the throughput is in samples.

use ansatz::chain::Mps;
use ansatz::{BornMps, Conditional, GenerativeModel, Scalar, Seed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SITES: usize = 784;
const BOND: usize = 64;
const COUNT: usize = 1000;

fn sampling<T: Scalar>(c: &mut Criterion) {
    // A state without structure: no two rows of a block stay together for long.
    let model = BornMps::new(Mps::<T>::random(&[2; SITES], BOND, Seed(1)).unwrap()).unwrap();
    let mut group = c.benchmark_group(format!("{SITES} sites, bond {BOND}, {}", T::KIND));
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("sample", |bench| bench.iter(|| model.sample(COUNT, Seed(2)).unwrap()));
    let row = model.sample(1, Seed(3)).unwrap();
    let upper: Vec<Option<u8>> = row.row(0).iter().enumerate().map(|(k, &v)| (k < SITES / 2).then_some(v)).collect();
    group.bench_function("complete the second half", |bench| {
        bench.iter(|| model.sample_given(&upper, COUNT, Seed(2)).unwrap());
    });
    let drawn = model.sample(COUNT, Seed(4)).unwrap();
    group.bench_function("score", |bench| bench.iter(|| model.log_prob(&drawn).unwrap()));
    group.finish();
}

criterion_group!(benches, sampling::<f64>, sampling::<f32>);
criterion_main!(benches);

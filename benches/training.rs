//! One sweep over embedded digits, and one gradient of all sites.
//!
//! `cargo bench --bench training`. The bonds are grown to their size beforehand, so that what is timed is what most of a
//! run consists of.

use ansatz::data::digits;
use ansatz::linalg::Truncation;
use ansatz::model::{BondSweeper, Direction, Splitting, Step, SweepSetup, Sweepable};
use ansatz::{Batch, BornMps, Run, Scalar, Seed, TwoSite};
use criterion::{Criterion, criterion_group, criterion_main};

const BOND: usize = 16;

fn images(count: usize) -> Batch<u8> {
    digits().unwrap().train.select(&(0..count).collect::<Vec<_>>()).unwrap()
}

fn trained<T: Scalar>(data: &Batch<u8>) -> BornMps<T> {
    let start = BornMps::random(&vec![2; data.sites()], 4, Seed(1)).unwrap();
    let mut run = Run::new(start, TwoSite::new(3, BOND)).unwrap();
    run.fit(data, None, &mut (), &mut ()).unwrap();
    run.best
}

fn training<T: Scalar>(c: &mut Criterion) {
    let data = images(200);
    let model = trained::<T>(&data);
    let mut group = c.benchmark_group(format!("200 digits, bond {BOND}, {}", T::KIND));
    group.sample_size(10);
    let setup = SweepSetup { mini_batches: 1, seed: Seed(1), max_bond: BOND, min_bond: 1, memory: None };
    let mut sweeper = model.sweeper(&data, &setup).unwrap();
    let step = Step {
        rate: 5e-3,
        truncation: Truncation::none().max_bond(BOND).cutoff(1e-7),
        direction: Direction::NormScaled,
        steps: 1,
        splitting: Splitting::Warm,
    };
    group.bench_function("sweep", |bench| {
        bench.iter(|| {
            sweeper.begin().unwrap();
            for (bond, toward) in sweeper.plan() {
                sweeper.update(bond, toward, &step).unwrap();
            }
        });
    });
    group.bench_function("gradient of all sites", |bench| bench.iter(|| model.gradient(&data).unwrap()));
    group.finish();
}

criterion_group!(benches, training::<f64>, training::<f32>);
criterion_main!(benches);

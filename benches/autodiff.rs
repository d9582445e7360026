//! What the tape costs beside the arithmetic: a dense layer against its bare matrix products, and one node.
//!
//! `cargo bench --bench autodiff`: `layer/N` is one pass forward and backward through `sum tanh(x W + b)` in single
//! precision, with `x` of shape `[N, 256]` and `W` of shape `[256, 512]`, gradients by `x`, `W` and `b`; `products/N`
//! the three matrix products within it and nothing else. `nodes` is a chain of 1000 operations on two numbers.

use std::hint::black_box;
use std::time::Duration;

use ansatz::autodiff::Tape;
use ansatz::linalg::{Op, gemm_parallel};
use ansatz::{Leg, Seed, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

const INPUTS: usize = 256;
const OUTPUTS: usize = 512;

fn random(legs: &[Leg], seed: u64) -> Tensor<f32> {
    Tensor::<f32>::random(legs, Seed(seed)).unwrap().scale(0.05)
}

fn layer(x: &Tensor<f32>, w: &Tensor<f32>, b: &Tensor<f32>) -> Vec<Tensor<f32>> {
    let tape = Tape::new();
    let [x, w, b] = [x, w, b].map(|t| tape.variable(t.clone()).unwrap());
    let y = x.contract(&w).unwrap().add(&b).unwrap().tanh().unwrap();
    y.sum().unwrap().gradient(&[&x, &w, &b]).unwrap()
}

fn products(x: &Array2<f32>, w: &Array2<f32>) -> [Array2<f32>; 3] {
    let product = |a: &Array2<f32>, op_a, b: &Array2<f32>, op_b, shape| {
        let mut c = Array2::zeros(shape);
        gemm_parallel(1.0, &a.view(), op_a, &b.view(), op_b, 0.0, &mut c.view_mut());
        c
    };
    let y = product(x, Op::None, w, Op::None, (x.nrows(), OUTPUTS));
    let gx = product(&y, Op::None, w, Op::Transpose, x.dim());
    let gw = product(x, Op::Transpose, &y, Op::None, w.dim());
    [y, gx, gw]
}

fn dense_layer(c: &mut Criterion) {
    let mut group = c.benchmark_group("autodiff");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    let w = random(&[Leg::bond("i", INPUTS), Leg::bond("o", OUTPUTS)], 1);
    let b = random(&[Leg::bond("o", OUTPUTS)], 2);
    let matrix = |t: &Tensor<f32>| t.clone().into_array(t.legs()).unwrap().into_dimensionality().unwrap();
    for samples in [128, 1024] {
        let x = random(&[Leg::batch("n", samples), Leg::bond("i", INPUTS)], 3);
        group.throughput(Throughput::Elements((3 * samples * INPUTS * OUTPUTS) as u64));
        group.bench_function(BenchmarkId::new("layer", samples), |bench| bench.iter(|| layer(black_box(&x), &w, &b)));
        let (x, w): (Array2<f32>, Array2<f32>) = (matrix(&x), matrix(&w));
        group.bench_function(BenchmarkId::new("products", samples), |bench| bench.iter(|| products(black_box(&x), &w)));
    }
    group.finish();
}

fn nodes(c: &mut Criterion) {
    let mut group = c.benchmark_group("autodiff");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    let small = Tensor::new([Leg::bond("i", 2)], vec![0.5_f64, 1.0]).unwrap();
    group.throughput(Throughput::Elements(1000));
    let chain = |backward: bool| {
        let tape = Tape::new();
        let x = tape.variable(small.clone()).unwrap();
        let mut y = x.clone();
        for _ in 0..500 {
            y = y.tanh().unwrap().add(&x).unwrap();
        }
        if backward { y.sum().unwrap().gradient(&[&x]).unwrap() } else { vec![y.value().clone()] }
    };
    group.bench_function("nodes/forward", |bench| bench.iter(|| chain(false)));
    group.bench_function("nodes/forward and backward", |bench| bench.iter(|| chain(true)));
    group.finish();
}

criterion_group!(benches, dense_layer, nodes);
criterion_main!(benches);

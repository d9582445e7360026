//! A contraction takes no more memory than its budget, and as much as its plan says: counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ansatz::linalg::{Op, matmul};
use ansatz::network::{Backward, Budget, Contraction, ContractionTree, Equation, Network, Plan, Planner, SlicedSum};
use ansatz::{Error, Kind, Scalar, Seed};
use ndarray::Array2;
use num_complex::Complex64;
use rand::RngExt;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Tests of one process share the counter.
static ALONE: Mutex<()> = Mutex::new(());

fn grown(by: usize) {
    let now = NOW.fetch_add(by, Ordering::SeqCst) + by;
    PEAK.fetch_max(now, Ordering::SeqCst);
}

// SAFETY: every call is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() {
            grown(size - layout.size());
        } else {
            NOW.fetch_sub(layout.size() - size, Ordering::SeqCst);
        }
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that `work` takes at the most, beside those that were there before.
fn measured<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let result = work();
    (result, (PEAK.load(Ordering::SeqCst) - before) as u64)
}

/// A random network of `count` tensors with bonds between neighbours on a ring and some chords, a hyperedge and an open
/// index.
fn random(count: usize, index: u64) -> Equation {
    let mut stream = Seed(31).stream("budget", index);
    let mut inputs: Vec<Vec<String>> = vec![Vec::new(); count];
    let mut dims = std::collections::HashMap::new();
    let mut join = |name: String, on: &[usize], dim: u64| {
        dims.insert(name.clone(), dim);
        on.iter().for_each(|&t| {
            if !inputs[t].contains(&name) {
                inputs[t].push(name.clone())
            }
        });
    };
    for t in 0..count {
        join(format!("r{t}"), &[t, (t + 1) % count], stream.random_range(4..9));
        join(format!("c{t}"), &[t, stream.random_range(0..count)], stream.random_range(3..6));
    }
    join("h".into(), &[0, count / 3, 2 * count / 3], 4);
    join("o".into(), &[1], 5);
    Equation::from_names(&inputs, &["o".to_owned()], &dims).unwrap()
}

/// What is not counted: the description of the steps.
fn beside(plan: &Plan) -> u64 {
    16_384 + 4096 * plan.tree().leaves() as u64
}

fn plan(planner: Planner, equation: &Equation) -> Plan {
    planner.rounds(1).search(equation, Duration::from_secs(60), Seed(1)).unwrap()
}

fn pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    // What the linear algebra keeps for each thread that has called it: with faer twice the cache that the processor has.
    pool.broadcast(|_| {
        let factor = Array2::<f64>::ones((200, 200));
        let _ = matmul(&factor.view(), Op::None, &factor.view(), Op::None);
    });
    pool.install(work)
}

fn keeps_within<T: Scalar>(indices: std::ops::Range<u64>) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut sliced = 0;
    for index in indices {
        let equation = random(10, index);
        let network = Network::<T>::random(&equation, Seed(index)).unwrap();
        let free = plan(Planner::new(), &equation);
        // The linear algebra and the pool have what they keep.
        let whole = network.contract(&free).unwrap().into_tensor().unwrap();
        let peak = free.peak_bytes(T::KIND);
        for share in [1.0, 0.3, 0.05] {
            let bytes = (peak as f64 * share) as u64;
            let Ok(plan) =
                Planner::new().max_bytes(bytes, T::KIND).rounds(1).search(&equation, Duration::from_secs(60), Seed(1))
            else {
                continue;
            };
            sliced += u64::from(plan.slices() > 1);
            for threads in [1, 2] {
                let contraction = Contraction::new(&plan).budget(Budget::bytes(bytes));
                let (result, found) = pool(threads, || measured(|| contraction.run(&network)));
                let result = result.unwrap().into_tensor().unwrap();
                let error = (result.sub(&whole).unwrap().norm() / whole.norm()).value();
                assert!(T::Real::from_f64(1e-3) > error, "{index}: {error:?}");
                let most = bytes + beside(&plan) + if threads > 1 { 65_536 } else { 0 };
                assert!(found <= most, "{index}: {found} of {bytes} bytes, {threads} threads, {plan}");
            }
            let tight = Contraction::new(&plan).budget(Budget::bytes(64)).run(&network);
            assert!(matches!(tight.unwrap_err(), Error::Memory { .. }));
        }
    }
    assert!(sliced > 1, "{sliced} plans were sliced");
}

#[test]
fn no_contraction_takes_more_than_its_budget() {
    keeps_within::<f64>(0..4);
    keeps_within::<f32>(6..9);
}

#[test]
fn a_plan_says_what_is_taken() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut sized = 0;
    let cases = ["abx,bcx,cdx,dax->x", "ab,bc,cd,de->ae", "axb,bc,cxd,da->", "ab,cb,cd,ad->bd"];
    for einsum in cases {
        let shapes: Vec<Vec<usize>> = einsum
            .split("->")
            .next()
            .unwrap()
            .split(',')
            .map(|term| term.chars().map(|c| if c == 'x' { 3 } else { 190 }).collect())
            .collect();
        let equation = Equation::parse(einsum, &shapes).unwrap();
        let network = Network::<f64>::random(&equation, Seed(1)).unwrap();
        for order in [vec![(0, 1), (4, 2), (5, 3)], vec![(1, 2), (0, 4), (3, 5)]] {
            let tree = ContractionTree::new(4, order).unwrap();
            for sliced in [vec![], vec![equation.names().iter().position(|name| name == "d").unwrap()]] {
                let plan = Plan::new(&equation, &tree, &sliced).unwrap();
                network.contract(&plan).unwrap();
                let (result, found) = pool(1, || measured(|| network.contract(&plan)));
                assert!(result.is_ok());
                let said = plan.peak_bytes(Kind::F64);
                let near = found + said / 10 >= said && found <= said + said / 10 + beside(&plan);
                sized += usize::from(said > 1 << 18);
                assert!(near, "{einsum}: {found} bytes, {said} said, {plan}");
            }
        }
    }
    assert!(sized >= 8, "{sized} of a size");
}

#[test]
fn a_plan_that_does_not_fit_says_how_many_slices_would() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let equation = random(10, 3);
    let free = plan(Planner::new(), &equation);
    let bytes = free.peak_bytes(Kind::C64) / 20;
    let network = Network::<Complex64>::random(&equation, Seed(1)).unwrap();
    let message = Contraction::new(&free).budget(Budget::bytes(bytes)).run(&network).unwrap_err().to_string();
    let slices: u64 = message.split(" slices would do").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(slices > 1 && message.lines().count() == 1, "{message}");
    let whole = network.contract(&free).unwrap().into_tensor().unwrap();
    let within = network.contract_within(Budget::bytes(bytes), Duration::from_secs(1), Seed(1)).unwrap();
    let error = (within.into_tensor().unwrap().sub(&whole).unwrap().norm() / whole.norm()).value();
    assert!(error < 1e-10, "{error}");
}

#[test]
fn no_gradient_takes_more_than_its_budget() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut kept_less = 0;
    // A vector with five indices, to which matrices are applied one after the other, and another one: small tensors, large
    // intermediates that need each other down to the first.
    for (index, dim, steps) in [(0, 4, 24), (1, 5, 15)] {
        let mut names: Vec<String> = (0..5).map(|site| format!("{site}:")).collect();
        let mut inputs = vec![names.clone()];
        for step in 0..steps {
            let after = format!("{}:{step}", step % 5);
            inputs.push(vec![names[step % 5].clone(), after.clone()]);
            names[step % 5] = after;
        }
        inputs.push(names);
        let dims = inputs.iter().flatten().map(|name| (name.clone(), dim)).collect();
        let equation = Equation::from_names(&inputs, &[] as &[String], &dims).unwrap();
        let network = Network::<f64>::random(&equation, Seed(index)).unwrap();
        let count = inputs.len();
        let pairs = (0..count - 1).map(|k| if k == 0 { (0, 1) } else { (count - 1 + k, k + 1) }).collect();
        let free = Plan::new(&equation, &ContractionTree::new(count, pairs).unwrap(), &[]).unwrap();
        let sliced = Plan::new(&equation, free.tree(), &[0]).unwrap();
        for plan in [free, sliced] {
            let whole = Backward::new().compile(&network, &plan).unwrap();
            let expected = network.gradient(&plan).unwrap();
            for share in [1.0, 0.8, 0.6, 0.4] {
                let bytes = (whole.peak_bytes() as f64 * share) as u64;
                let backward = Backward::new().budget(Budget::bytes(bytes));
                let Ok(compiled) = backward.compile(&network, &plan) else { continue };
                kept_less += usize::from(compiled.multiplications() > whole.multiplications());
                for threads in [1, 2] {
                    let (result, found) = pool(threads, || measured(|| backward.gradient(&network, &plan)));
                    for (a, b) in result.unwrap().derivatives().iter().zip(expected.derivatives()) {
                        let (a, b) = (a.clone().into_tensor().unwrap(), b.clone().into_tensor().unwrap());
                        assert!((a.sub(&b).unwrap().norm() / b.norm()).value() < 1e-12);
                    }
                    // The steps of both passes, described while they are laid out and again when they are.
                    let most = bytes + 4 * beside(&plan) + if threads > 1 { 65_536 } else { 0 };
                    assert!(found <= most, "{index}: {found} of {bytes} bytes, {threads} threads, {plan}");
                }
            }
            let tight = Backward::new().budget(Budget::bytes(1000)).gradient(&network, &plan).unwrap_err();
            assert!(matches!(&tight, Error::Memory { .. }) && tight.to_string().contains("the gradient by this plan"));
        }
    }
    assert!(kept_less > 1, "{kept_less} made intermediates again");
}

fn bits(sum: &SlicedSum<f32>) -> String {
    format!("{sum:?}")
}

#[test]
fn a_sum_that_was_broken_off_ends_in_the_same_bits_for_any_number_of_threads() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let equation = random(9, 5);
    let network = Network::<f32>::random(&equation, Seed(2)).unwrap();
    let plan = plan(Planner::new().max_log2_size(6.0), &equation);
    assert!(plan.slices() > 8);
    let contraction = Contraction::new(&plan);
    let go_on = &mut |_: &SlicedSum<f32>| Ok(ControlFlow::Continue(()));
    let whole = pool(1, || {
        let mut sum = contraction.start(&network).unwrap();
        contraction.advance(&network, &mut sum, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        assert!(sum.is_complete());
        sum
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sum");
    let (parts, count) = pool(2, || {
        let mut sum = contraction.start(&network).unwrap();
        let mut count = 0;
        while !sum.is_complete() {
            let before = sum.done();
            contraction.advance(&network, &mut sum, &mut |_| Ok(ControlFlow::Break(()))).unwrap();
            assert!(sum.done() > before);
            ansatz::io::save_sliced_sum(&file, &sum).unwrap();
            let multiplications = sum.multiplications();
            sum = ansatz::io::load_sliced_sum(&file).unwrap();
            assert!(multiplications > 0.0 && sum.multiplications() == 0.0);
            count += 1;
        }
        (sum, count)
    });
    assert!(count > 1, "{count} pieces");
    let result = |sum: SlicedSum<f32>| contraction.finish(&network, sum).unwrap().into_tensor().unwrap();
    // All but the count of multiplications, which begins anew with each file.
    let text = |sum: &SlicedSum<f32>| bits(sum).split("multiplications").next().unwrap().to_owned();
    assert_eq!(text(&whole), text(&parts));
    assert_eq!(result(whole), result(parts.clone()));
    // Of other tensors, or another plan: refused.
    let other = Network::<f32>::random(&equation, Seed(3)).unwrap();
    let mut sum = parts;
    let outcome = contraction.advance(&other, &mut sum, go_on);
    assert!(outcome.unwrap_err().to_string().contains("begin again"));
    // A damaged file is told by name.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    let message = ansatz::io::sliced_sum_from_bytes::<f32>(&bytes, "x").unwrap_err().to_string();
    assert!(message.starts_with("x: ") && message.contains("cut short"), "{message}");
    let kind = ansatz::io::load_sliced_sum::<f64>(&file).unwrap_err().to_string();
    assert!(kind.contains("--scalar f32"), "{kind}");
}

//! Plans: their cost is what a count with lists of names says, searches find what is known to be best, and a seed fixes
//! what they find.

use std::time::Duration;

use crate::common::{counted, pattern};
use ansatz::network::{ContractionTree, Equation, Objective, Plan, Planner};
use ansatz::{Error, Kind, Seed};

const LONG: Duration = Duration::from_secs(600);

/// All orders of the living tensors.
fn all_orders(leaves: usize, tell: &mut impl FnMut(&[(usize, usize)])) {
    fn go(alive: &[usize], next: usize, pairs: &mut Vec<(usize, usize)>, tell: &mut impl FnMut(&[(usize, usize)])) {
        if alive.len() == 1 {
            return tell(pairs);
        }
        for i in 0..alive.len() {
            for j in i + 1..alive.len() {
                let mut rest: Vec<usize> = alive.iter().copied().filter(|&x| x != alive[i] && x != alive[j]).collect();
                rest.push(next);
                pairs.push((alive[i], alive[j]));
                go(&rest, next + 1, pairs, tell);
                pairs.pop();
            }
        }
    }
    go(&(0..leaves).collect::<Vec<_>>(), leaves, &mut Vec::new(), tell);
}

/// A square lattice of tensors with bonds of dimension `dim`.
fn lattice(rows: usize, cols: usize, dim: usize) -> Equation {
    let name = |r: usize, c: usize, right: bool| format!("{r},{c},{right}");
    let mut inputs = Vec::new();
    for r in 0..rows {
        for c in 0..cols {
            let mut legs = Vec::new();
            if c + 1 < cols {
                legs.push(name(r, c, true));
            }
            if c > 0 {
                legs.push(name(r, c - 1, true));
            }
            if r + 1 < rows {
                legs.push(name(r, c, false));
            }
            if r > 0 {
                legs.push(name(r - 1, c, false));
            }
            inputs.push(legs);
        }
    }
    let dims = inputs.iter().flatten().map(|leg| (leg.clone(), dim as u64)).collect();
    Equation::from_names(&inputs, &[], &dims).unwrap()
}

#[test]
fn costs_are_those_of_a_count_by_names() {
    for index in 0..400 {
        let equation = pattern(7, 1000 + index);
        for limit in [None, Some(0.5)] {
            let output: f64 = {
                let mut open = equation.output().to_vec();
                open.sort_unstable();
                open.dedup();
                open.iter().map(|&i| (equation.dims()[i] as f64).log2()).sum()
            };
            let planner = match limit {
                None => Planner::new(),
                Some(limit) => Planner::new().max_log2_size(output.max(limit)),
            };
            let plan = planner.rounds(1).search(&equation, LONG, Seed(index)).unwrap();
            let (flops, largest) = counted(&equation, plan.tree(), plan.sliced());
            if equation.tensors() > 1 {
                let cost = plan.cost();
                assert!((cost.log2_flops - flops.log2()).abs() < 1e-9, "{equation} {plan} {}", flops.log2());
                assert!((cost.log2_size - largest.log2()).abs() < 1e-9, "{equation} {plan} {}", largest.log2());
                assert!(limit.is_none() || cost.log2_size <= output.max(0.5) + 1e-9);
            }
        }
    }
}

#[test]
fn few_tensors_are_put_in_the_best_of_all_orders() {
    let mut compared = 0;
    for index in 0..120 {
        let equation = pattern(6, 2000 + index);
        let n = equation.tensors();
        if n < 3 {
            continue;
        }
        let mut best = (f64::INFINITY, f64::INFINITY);
        all_orders(n, &mut |pairs| {
            let (flops, largest) = counted(&equation, &ContractionTree::new(n, pairs.to_vec()).unwrap(), &[]);
            best = (best.0.min(flops), best.1.min(largest));
        });
        let found = Planner::new().search(&equation, LONG, Seed(1)).unwrap();
        assert!((found.cost().log2_flops - best.0.log2()).abs() < 1e-9, "{equation}: {found}, best {}", best.0.log2());
        compared += 1;
    }
    assert!(compared > 60);
}

#[test]
fn a_lattice_is_contracted_along_its_short_side() {
    // A strip of width w and bond 2 has intermediates of at least 2^w elements, up to a few.
    let found = Planner::new().rounds(1).search(&lattice(5, 30, 2), LONG, Seed(1)).unwrap();
    assert!(found.cost().log2_size <= 6.0, "{found}");
}

#[test]
fn disconnected_and_trivial_networks_have_plans() {
    let shapes: [&[usize]; 8] = [&[2, 3], &[3, 4], &[4, 2], &[2, 2], &[2, 5], &[], &[3], &[2]];
    let parts = Equation::parse("ab,bc,cd,ef,fg,,x,y->ay", &shapes).unwrap();
    let found = Planner::new().search(&parts, LONG, Seed(1)).unwrap();
    assert_eq!(found.tree().leaves(), 8);
    let one = Equation::parse("abb->a", &[&[2, 3, 3]]).unwrap();
    let plan = Planner::new().search(&one, LONG, Seed(1)).unwrap();
    assert!(plan.tree().pairs().is_empty() && plan.cost().log2_flops == f64::NEG_INFINITY);
    assert_eq!(Plan::from_json(plan.to_json().to_string()).unwrap().tree(), plan.tree());
    // Many scalars and vectors that share nothing.
    let many = Equation::from_names(&vec![vec!["a"]; 40], &[], &[("a".to_owned(), 3)].into()).unwrap();
    assert_eq!(Planner::new().search(&many, LONG, Seed(1)).unwrap().tree().leaves(), 40);
}

#[test]
fn a_seed_fixes_the_plan() {
    let equation = lattice(6, 7, 3);
    let search = |seed| Planner::new().patience(f64::INFINITY).rounds(1).search(&equation, LONG, Seed(seed)).unwrap();
    let first = search(3);
    assert_eq!(first, search(3));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    assert_eq!(first, pool.install(|| search(3)));
}

#[test]
fn each_objective_is_lowest_where_it_is_asked_for() {
    let equation = lattice(5, 6, 4);
    let planner = Planner::new().patience(f64::INFINITY).rounds(2);
    let search = |objective| planner.clone().objective(objective).search(&equation, LONG, Seed(1)).unwrap();
    let combined = Objective::Combined { factor: 64.0 };
    let plans: Vec<Plan> =
        [Objective::Flops, Objective::Write, Objective::Size, Objective::Peak, combined].map(search).into();
    let value = |plan: &Plan, which: usize| match which {
        0 => plan.cost().log2_flops,
        1 => plan.cost().log2_write,
        2 => plan.cost().log2_size,
        3 => plan.cost().log2_peak,
        _ => (plan.cost().log2_flops.exp2() + 64.0 * plan.cost().log2_write.exp2()).log2(),
    };
    for which in 0..5 {
        for plan in &plans {
            assert!(value(&plans[which], which) <= value(plan, which) + 0.05, "{which}: {}\n{plan}", plans[which]);
        }
    }
}

#[test]
fn slicing_keeps_within_the_memory_and_says_what_it_costs() {
    let equation = lattice(7, 8, 2);
    let free = Planner::new().rounds(1).search(&equation, LONG, Seed(1)).unwrap();
    for limit in [6.0, 4.0, 2.0] {
        let plan = Planner::new().max_log2_size(limit).rounds(1).search(&equation, LONG, Seed(1)).unwrap();
        assert!(plan.cost().log2_size <= limit && plan.slices() > 1, "{plan}");
        assert!(plan.cost().log2_flops >= free.cost().log2_flops - 1e-9);
        assert_eq!(plan.cost().log2_slices, (plan.slices() as f64).log2());
    }
    let bytes = 40 * 8;
    let plan = Planner::new().max_bytes(bytes, Kind::F64).rounds(1).search(&equation, LONG, Seed(1)).unwrap();
    assert!(plan.peak_bytes(Kind::F64) <= bytes && plan.peak_bytes(Kind::F32) * 2 == plan.peak_bytes(Kind::F64));
    // The result alone is larger.
    let open = Equation::parse("ab,bc->ac", &[&[100, 2], &[2, 100]]).unwrap();
    let outcome = Planner::new().max_bytes(1000, Kind::F64).rounds(1).search(&open, LONG, Seed(1));
    assert!(matches!(outcome, Err(Error::Memory { .. })), "{outcome:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let chain = Equation::parse("ab,bc,cd->ad", &[&[2, 2]; 3]).unwrap();
    let tree = ContractionTree::new(3, vec![(0, 1), (3, 2)]).unwrap();
    assert!(matches!(
        Plan::new(&chain, &ContractionTree::new(2, vec![(0, 1)]).unwrap(), &[]),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(Plan::new(&chain, &tree, &[9]), Err(Error::Setting { .. })));
    assert!(matches!(Plan::new(&chain, &tree, &[1, 1]), Err(Error::Setting { .. })));
    let good = Plan::new(&chain, &tree, &[1]).unwrap().to_json();
    let broken = |key: &str, value: serde_json::Value| {
        let mut json = good.clone();
        json[key] = value;
        Plan::from_json(json.to_string()).unwrap_err().to_string()
    };
    assert!(broken("format", 7.into()).contains("format 7"));
    assert!(broken("path", serde_json::json!([[0, 1], [1, 2]])).contains("was taken before"));
    assert!(broken("path", serde_json::json!([[0, 1], [4, 2]])).contains("not there yet"));
    assert!(broken("sliced", serde_json::json!(["q"])).contains("'q'"));
    assert!(Plan::from_json("{}").unwrap_err().to_string().contains("no JSON of a contraction plan"));
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        let planner = Planner::new().objective(Objective::Combined { factor });
        assert!(matches!(planner.search(&chain, LONG, Seed(1)), Err(Error::Setting { .. })));
    }
    assert!(Planner::new().max_log2_size(f64::NAN).search(&chain, LONG, Seed(1)).is_err());
    assert!(Planner::new().max_log2_size(-3.0).search(&chain, LONG, Seed(1)).is_err());
    assert!(Planner::new().search(&chain, Duration::MAX, Seed(1)).is_ok());
    assert!(Planner::new().search(&chain, Duration::ZERO, Seed(1)).is_ok());
    assert!(Planner::new().search(&lattice(6, 6, 2), Duration::ZERO, Seed(1)).is_ok());
}

#[test]
fn the_best_of_all_orders_is_that_of_an_enumeration() {
    let mut compared = 0;
    for index in 0..150 {
        let equation = pattern(6, 3000 + index);
        let n = equation.tensors();
        if n < 3 {
            continue;
        }
        // The smallest size with the fewest multiplications that it allows, the fewest at all, and the lowest peak.
        let (mut flops, mut size, mut peak) = (f64::INFINITY, (f64::INFINITY, f64::INFINITY), f64::INFINITY);
        all_orders(n, &mut |pairs| {
            let tree = ContractionTree::new(n, pairs.to_vec()).unwrap();
            let (work, largest) = counted(&equation, &tree, &[]);
            flops = flops.min(work.log2());
            if (largest.log2(), work.log2()) < size {
                size = (largest.log2(), work.log2());
            }
            if n <= 5 {
                peak = peak.min(Plan::new(&equation, &tree, &[]).unwrap().cost().log2_peak);
            }
        });
        let optimal = |objective| *Planner::new().objective(objective).optimal(&equation).unwrap().cost();
        let found = optimal(Objective::Flops).log2_flops;
        assert!((found - flops).abs() < 1e-9, "{equation}: {found}, best {flops}");
        let found = optimal(Objective::Size);
        assert!((found.log2_size - size.0).abs() < 1e-9, "{equation}: {found:?}, best {size:?}");
        assert!((found.log2_flops - size.1).abs() < 1e-9, "{equation}: {found:?}, best {size:?}");
        if n <= 5 {
            let found = optimal(Objective::Peak).log2_peak;
            assert!((found - peak).abs() < 1e-9, "{equation}: {found}, best {peak}");
        }
        compared += 1;
    }
    assert!(compared > 80);
}

#[test]
fn the_best_order_of_long_networks_is_known() {
    // A ring of n matrices of dimension d: n - 2 products and a trace; a ladder of bond 2.
    let ring = |n: usize| {
        let inputs: Vec<Vec<String>> = (0..n).map(|k| vec![k.to_string(), ((k + 1) % n).to_string()]).collect();
        let dims = (0..n).map(|k| (k.to_string(), 4)).collect();
        Equation::from_names(&inputs, &[], &dims).unwrap()
    };
    let found = Planner::new().optimal(&ring(30)).unwrap().cost().log2_flops;
    assert!((found - (28.0 * 64.0 + 16f64).log2()).abs() < 1e-9, "{found}");
    let chain = Equation::from_names(
        &(0..40).map(|k| vec![k.to_string(), (k + 1).to_string()]).collect::<Vec<_>>(),
        &[],
        &(0..41).map(|k| (k.to_string(), 2 + k % 5)).collect(),
    )
    .unwrap();
    // The two ends are summed before anything else; what is left is vectors times matrices, or the other way round.
    let found = Planner::new().optimal(&chain).unwrap();
    assert!(found.cost().log2_size <= 36f64.log2());
    for equation in [lattice(2, 15, 2), lattice(3, 8, 2)] {
        let optimal = Planner::new().optimal(&equation).unwrap();
        let searched = Planner::new().patience(f64::INFINITY).rounds(2).search(&equation, LONG, Seed(1)).unwrap();
        assert!(optimal.cost().log2_flops <= searched.cost().log2_flops + 1e-9, "{optimal} {searched}");
    }
    assert!(matches!(Planner::new().optimal(&lattice(9, 9, 2)), Err(Error::Room { .. })));
    assert!(matches!(Planner::new().max_log2_size(3.0).optimal(&chain), Err(Error::Setting { .. })));
}

#[test]
fn steps_of_the_search_never_make_a_plan_worse() {
    let equation = lattice(6, 7, 3);
    let planner = Planner::new().rounds(3);
    let greedy = planner.greedy(&equation).unwrap();
    let flops = |plan: &Plan| plan.cost().log2_flops;
    for start in [
        greedy,
        planner.random_greedy(&equation, Seed(2)).unwrap(),
        planner.partition(&equation, Seed(2)).unwrap(),
        Plan::new(&equation, &ContractionTree::from_path(42, &vec![vec![0, 1]; 41]).unwrap(), &[3, 5]).unwrap(),
    ] {
        let annealed = planner.anneal(&start, 1.0, 50, Seed(1)).unwrap();
        let narrow = planner.reconfigure(&annealed, 8).unwrap();
        let refined = planner.refine(&start, LONG, Seed(1)).unwrap();
        assert!(flops(&annealed) <= flops(&start) && flops(&narrow) <= flops(&annealed) + 1e-9);
        assert!(flops(&refined) <= flops(&start) + 1e-9 && refined.sliced() == start.sliced());
        assert_eq!(refined, planner.refine(&start, LONG, Seed(1)).unwrap());
        assert!(planner.reconfigure(&start, 2).is_err() && planner.anneal(&start, 0.0, 1, Seed(1)).is_err());
    }
    assert!(matches!(Objective::measured(), Objective::Combined { factor } if factor >= 1.0));
}

#[test]
fn the_overhead_of_slices_is_that_against_the_same_order() {
    let equation = lattice(5, 5, 2);
    let plan = Planner::new().max_log2_size(3.0).rounds(1).search(&equation, LONG, Seed(1)).unwrap();
    let whole = Plan::new(&equation, plan.tree(), &[]).unwrap();
    assert!((plan.log2_overhead() - (plan.cost().log2_flops - whole.cost().log2_flops)).abs() < 1e-9);
    assert!(plan.log2_overhead() > 0.0 && whole.log2_overhead() == 0.0);
}

#[test]
fn large_networks_are_planned_in_time_or_refused() {
    // A tree of 3000 tensors: joints of three, and ends.
    let inputs: Vec<Vec<String>> = (0..3000_usize)
        .map(|t| {
            let below = [2 * t + 1, 2 * t + 2].into_iter().filter(|&child| child < 3000).map(|child| child.to_string());
            (t > 0).then(|| t.to_string()).into_iter().chain(below).collect()
        })
        .collect();
    let dims = (1..3000).map(|t| (t.to_string(), 2)).collect();
    let tree = Equation::from_names(&inputs, &[], &dims).unwrap();
    let found = Planner::new().search(&tree, Duration::from_secs(1), Seed(1)).unwrap();
    assert!(found.cost().log2_size <= 2.0, "{found}");
    let many: Vec<Vec<String>> = (0..100_000).map(|t| vec![t.to_string(), (t + 1).to_string()]).collect();
    let dims = (0..=100_000).map(|t| (t.to_string(), 2)).collect();
    let chain = Equation::from_names(&many, &[], &dims).unwrap();
    assert!(matches!(Planner::new().search(&chain, LONG, Seed(1)), Err(Error::Room { .. })));
    // One tensor with very many indices, all of them open and twice.
    let names: Vec<String> = (0..100_000).map(|i| i.to_string()).collect();
    let dims = names.iter().map(|name| (name.clone(), 1)).collect();
    let twice = [&names[..], &names[..]].concat();
    let wide = Equation::from_names(std::slice::from_ref(&names), &twice, &dims).unwrap();
    let plan = Planner::new().search(&wide, LONG, Seed(1)).unwrap();
    assert_eq!(Plan::from_json(plan.to_json().to_string()).unwrap(), plan);
}

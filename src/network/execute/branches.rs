//! Steps of a program that may be done at once: subtrees that depend on nothing but leaves.

use super::program::Program;

/// Subtrees are taken apart down to this part of all work.
const PARTS: f64 = 32.0;
/// A subtree with less than this part of all work is left to the trunk.
const CRUMB: f64 = 1.0 / 128.0;
/// Work from which threads are worth their cost.
const LEAST: f64 = (1 << 19) as f64;
/// What a step costs beside its multiplications, as so many of them.
const STEP: f64 = 1000.0;
/// Multiplications from which a step is spread over threads by itself.
const SPREAD: f64 = (1 << 20) as f64;
/// The threads for which branches are chosen, whatever there are: results and memory are to be the same.
const THREADS: f64 = 4.0;

/// Subtrees of an unsliced program with a single result, heaviest first: for each its steps in order, the last of which
/// makes its result. None if it is not a tree, or if little can be done at once.
///
/// From the root on, the heaviest subtree is taken apart, its last step being left to the trunk, and of all the sets of
/// subtrees met the one is taken for which a model of the time is least: steps of the trunk come one after the other, the
/// heavy ones of them each spread over threads.
pub(super) fn branches(program: &Program, flops: &[f64]) -> Vec<Vec<usize>> {
    let (leaves, count) = (program.leaves, program.steps.len());
    let last = program.values.len().wrapping_sub(1);
    if count < 4 || program.outputs != [last] {
        return Vec::new();
    }
    let mut readers = vec![0_usize; program.values.len()];
    let mut weight = vec![0.0_f64; program.values.len()];
    for (step, pair) in program.steps.iter().enumerate() {
        let (a, b) = (pair.left.value, pair.right.value);
        readers[a] += 1;
        readers[b] += 1;
        weight[leaves + step] = weight[a] + weight[b] + flops[step] + STEP;
    }
    let all = weight[last];
    if readers[leaves..last].iter().any(|&n| n != 1) || all.is_nan() || all < LEAST {
        return Vec::new();
    }
    let alone = |step: usize| {
        let own = flops[step] + STEP;
        if own >= SPREAD { own / THREADS } else { own }
    };
    let in_turn: f64 = (0..count).map(alone).sum();
    let heavier = |a: &usize, b: &usize| weight[*b].total_cmp(&weight[*a]).then(a.cmp(b));
    let mut frontier = vec![last];
    // The time of what is not in the frontier, and the best frontier so far with the time of the whole.
    let mut trunk = 0.0;
    let mut best = (in_turn, Vec::new());
    while let Some(&node) = frontier.first().filter(|&&node| weight[node] * PARTS > all) {
        frontier.remove(0);
        let pair = &program.steps[node - leaves];
        trunk += alone(node - leaves);
        frontier.extend([pair.left.value, pair.right.value].into_iter().filter(|&value| value >= leaves));
        frontier.sort_by(heavier);
        let of_weight: Vec<usize> = frontier.iter().copied().filter(|&node| weight[node] > CRUMB * all).collect();
        let sum = |nodes: &[usize]| nodes.iter().map(|&node| weight[node]).sum::<f64>();
        let crumbs = sum(&frontier) - sum(&of_weight);
        let heaviest = of_weight.first().map_or(0.0, |&node| weight[node]);
        let time = trunk + crumbs + heaviest.max(sum(&of_weight) / THREADS);
        if of_weight.len() > 1 && time < best.0 {
            best = (time, of_weight);
        }
    }
    if best.0 > 0.8 * in_turn {
        return Vec::new();
    }
    let steps_of = |root: usize| {
        let (mut steps, mut stack) = (Vec::new(), vec![root]);
        while let Some(node) = stack.pop() {
            if node >= leaves {
                steps.push(node - leaves);
                let pair = &program.steps[node - leaves];
                stack.extend([pair.left.value, pair.right.value]);
            }
        }
        steps.sort_unstable();
        steps
    };
    best.1.into_iter().map(steps_of).collect()
}

#[cfg(test)]
mod tests {
    use crate::Seed;
    use crate::network::execute::program::Program;
    use crate::scalar::Scalar;
    use rand::RngExt;

    /// A chain of matrices multiplied in pairs, and pairs of pairs: `levels` levels.
    fn pairs_of_pairs(levels: u32, dim: u64) -> Program {
        let count = 1_usize << levels;
        let leaves = (0..count).map(|i| vec![i, i + 1]).collect();
        let mut program = Program::new(&vec![dim; count + 1], leaves).unwrap();
        let mut level: Vec<(usize, usize, usize)> = (0..count).map(|i| (i, i, i + 1)).collect();
        while level.len() > 1 {
            let next = level.chunks(2).map(|two| {
                let (a, b) = (two[0], two[1]);
                (program.push(a.0, b.0, vec![a.1, b.2]).unwrap(), a.1, b.2)
            });
            level = next.collect();
        }
        program.output(level[0].0).unwrap();
        program
    }

    #[test]
    fn what_is_done_at_once_has_the_bits_of_one_after_the_other() {
        for (levels, dim) in [(5, 40), (7, 16), (4, 64)] {
            let program = pairs_of_pairs(levels, dim);
            let together = program.compile(&[], false, true);
            let serial = program.compile(&[], false, false);
            assert!(together.branches.len() > 3 && serial.branches.is_empty(), "{levels} {dim}");
            assert!(together.work <= serial.work + (serial.work / 8).max(1 << 17));
            let mut stream = Seed(3).stream("branches", dim);
            let elements: Vec<Vec<f64>> =
                (0..1 << levels).map(|_| (0..dim * dim).map(|_| f64::normal(&mut stream)).collect()).collect();
            let leaves: Vec<&[f64]> = elements.iter().map(Vec::as_slice).collect();
            let exponents: Vec<i64> = (0..leaves.len()).map(|_| stream.random_range(-2000..2000)).collect();
            let run = |compiled: &super::super::actions::Compiled| {
                compiled.run(&leaves, &exponents, &[], &mut Vec::new()).unwrap()
            };
            assert_eq!(run(&together), run(&serial));
            let (one, two) =
                (rayon::ThreadPoolBuilder::new().num_threads(1), rayon::ThreadPoolBuilder::new().num_threads(3));
            let pools = [one.build().unwrap(), two.build().unwrap()];
            assert!(pools.iter().all(|pool| pool.install(|| run(&together)) == run(&serial)));
        }
    }

    #[test]
    fn a_chain_of_steps_and_small_programs_have_no_branches() {
        let mut program = Program::new(&[30; 41], (0..40).map(|i| vec![i, i + 1]).collect()).unwrap();
        let mut last = 0;
        for i in 1..40 {
            last = program.push(last, i, vec![0, i + 1]).unwrap();
        }
        program.output(last).unwrap();
        assert!(program.compile(&[], false, true).branches.is_empty());
        assert!(pairs_of_pairs(3, 2).compile(&[], false, true).branches.is_empty());
    }
}

//! Lifetimes and places of the blocks of a program.

use super::actions::{Action, Branch, Compiled, Gather, Home, Output, Product, Source};
use super::arena::{Block, assign};
use super::branches::branches;
use super::layout::{Draft, Layout, Spot};
use crate::linalg::Run;

/// More elements by this part may be taken to do branches at once.
const BRANCH_SHARE: u64 = 8;
/// Elements that are few, whatever share of the whole they are.
const FEW: u64 = 1 << 17;

/// Where everything is: for every block its place, and the sizes of the stretches of memory.
struct Places {
    of: Vec<u64>,
    kept: u64,
    making: u64,
    work: u64,
    /// For each branch the elements of its stretch.
    branches: Vec<u64>,
}

/// When a block holds something: the first and the last action of its list that touches it.
#[derive(Debug, Clone, Copy)]
struct Life {
    birth: usize,
    death: usize,
    /// Made once and read in every slice.
    kept: bool,
}

/// The part of a program to which an action belongs.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// What is done once for all slices.
    Once,
    /// A branch, with the block of its result.
    Branch {
        root: Option<usize>,
    },
    Trunk,
}

impl Draft {
    fn blocks(&self) -> impl Iterator<Item = usize> {
        let (one, two, to) = match self {
            Draft::Gather { from, to, .. } => (from.block, None, *to),
            Draft::Product { left, right, to, .. } => (left.block, right.block, *to),
        };
        one.into_iter().chain(two).chain([to])
    }
}

impl Layout<'_> {
    pub fn finish(mut self, sliced: &[usize], at_once: bool) -> Compiled {
        let plain = self.places(&[]);
        let at_once = at_once && sliced.is_empty();
        let found = if at_once { branches(self.program, &self.flops) } else { Vec::new() };
        let mut chosen = (plain, Vec::new());
        if !found.is_empty() {
            // The steps of a branch one after the other, and then all others; the sort keeps their order.
            let serial = self.body.clone();
            self.body.sort_by_key(|&(_, step)| branch_of(&found, step));
            let together = self.places(&found);
            let most = chosen.0.work.saturating_add((chosen.0.work / BRANCH_SHARE).max(FEW));
            if together.work <= most { chosen = (together, found) } else { self.body = serial }
        }
        self.put(sliced, &chosen.0, &chosen.1)
    }

    fn lives(&self) -> Vec<Life> {
        let mut lives = vec![Life { birth: usize::MAX, death: 0, kept: false }; self.rooms.len()];
        let mut touch = |draft: &Draft, at: usize, once: bool| {
            for block in draft.blocks() {
                let life = &mut lives[block];
                if self.rooms[block].once && !once {
                    life.kept = true;
                } else {
                    (life.birth, life.death) = (life.birth.min(at), life.death.max(at));
                }
            }
        };
        self.before.iter().enumerate().for_each(|(at, draft)| touch(draft, at, true));
        self.body.iter().enumerate().for_each(|(at, (draft, _))| touch(draft, at, false));
        for &value in &self.program.outputs {
            if let Some(block) = self.laid[value].block {
                let life = &mut lives[block];
                if self.rooms[block].once { life.kept = true } else { life.death = self.body.len() }
            }
        }
        lives
    }

    /// Places for all blocks, those of a branch in a stretch of its own with its result in front.
    fn places(&self, branches: &[Vec<usize>]) -> Places {
        let lives = self.lives();
        let mut of = vec![0_u64; self.rooms.len()];
        // What is kept comes first, one block after the other.
        let mut kept = 0_u64;
        for block in (0..of.len()).filter(|&b| lives[b].kept) {
            of[block] = kept;
            kept = kept.saturating_add(self.rooms[block].len);
        }
        let mut place = |members: &[usize], fixed: &[(usize, u64)]| {
            let blocks: Vec<Block> = members
                .iter()
                .map(|&b| Block { len: self.rooms[b].len, birth: lives[b].birth, death: lives[b].death })
                .collect();
            let inside = |b: usize| members.iter().position(|&member| member == b);
            let fixed: Vec<(usize, u64)> =
                fixed.iter().filter_map(|&(b, at)| inside(b).map(|member| (member, at))).collect();
            let (found, end) = assign(&blocks, &fixed);
            members.iter().zip(found).for_each(|(&b, at)| of[b] = at);
            end
        };
        let free = |once: bool| -> Vec<usize> {
            (0..self.rooms.len()).filter(|&b| self.rooms[b].once == once && !lives[b].kept).collect()
        };
        let temporary = place(&free(true), &[]);
        // The blocks of every branch, and those that its steps leave to others.
        let mut owner = vec![None; self.rooms.len()];
        for (draft, step) in &self.body {
            let number = branch_of(branches, *step);
            if number < branches.len() {
                draft.blocks().for_each(|block| owner[block] = Some(number));
            }
        }
        let mut roots = Vec::with_capacity(branches.len());
        let (mut stretches, mut from) = (Vec::with_capacity(branches.len()), 0_u64);
        for (number, steps) in branches.iter().enumerate() {
            let root = steps.last().and_then(|&step| self.laid[self.program.leaves + step].block);
            let members: Vec<usize> = free(false).into_iter().filter(|&b| owner[b] == Some(number)).collect();
            let len = place(&members, &root.map(|root| (root, 0)).into_iter().collect::<Vec<_>>());
            roots.extend(root.map(|root| (root, from)));
            from = from.saturating_add(len);
            stretches.push(len);
        }
        let trunk: Vec<usize> = free(false)
            .into_iter()
            .filter(|&b| owner[b].is_none() || roots.iter().any(|&(root, _)| root == b))
            .collect();
        let single = match self.program.outputs[..] {
            [value] if branches.is_empty() => self.laid[value].block.map(|block| (block, 0)),
            _ => None,
        };
        let fixed: Vec<(usize, u64)> = roots.iter().copied().chain(single).collect();
        let work = place(&trunk, &fixed).max(from);
        Places { of, kept, making: kept.saturating_add(temporary), work, branches: stretches }
    }

    fn put(self, sliced: &[usize], places: &Places, branches: &[Vec<usize>]) -> Compiled {
        let lives = self.lives();
        let fits = self.fits && places.making < isize::MAX as u64 && places.work < isize::MAX as u64;
        let home = |block: usize, part: Part| match (part, lives[block].kept) {
            // While what is kept is made, all lies in one stretch, what is kept in front.
            (Part::Once, false) => Home::Work(number(places.kept.saturating_add(places.of[block]))),
            (Part::Trunk, true) => Home::Kept(number(places.of[block])),
            // The places of a branch count from where its stretch begins, which is where its result is.
            (Part::Branch { root }, _) if root == Some(block) => Home::Work(0),
            _ => Home::Work(number(places.of[block])),
        };
        let source = |spot: &Spot, part: Part| Source {
            home: spot.block.map_or(Home::Leaf(spot.leaf), |block| home(block, part)),
            len: number(spot.len),
            shifts: spot.shifts.clone(),
        };
        let action = |draft: &Draft, part: Part| match draft {
            Draft::Gather { from, to, loops, sums, len } => Action::Gather(Gather {
                from: source(from, part),
                to: home(*to, part),
                len: number(*len),
                loops: loops.clone(),
                sums: sums.clone(),
            }),
            Draft::Product { left, right, to, product } => Action::Product(Product {
                left: source(left, part),
                right: source(right, part),
                to: home(*to, part),
                ..(**product).clone()
            }),
        };
        let outputs = self.program.outputs.iter().map(|&value| {
            let laid = &self.laid[value];
            let spot = Spot {
                block: laid.block,
                leaf: value.min(self.program.leaves),
                len: laid.len,
                shifts: laid.shifts.clone(),
            };
            let listed = self.program.values[value].iter();
            let axis = |&i: &usize| laid.axes.iter().find(|axis| axis.index == i);
            let loops = listed.filter_map(axis).map(|axis| Run { len: self.len_of(axis.index), stride: axis.stride });
            Output {
                value,
                source: source(&spot, Part::Trunk),
                order: laid.axes.iter().map(|axis| axis.index).collect(),
                loops: loops.collect(),
            }
        });
        let outputs = outputs.collect();
        let of = |place: usize, part: Part| {
            let own = self.body.iter().filter(|(_, step)| branch_of(branches, *step) == place);
            own.map(|(draft, _)| action(draft, part)).collect::<Vec<_>>()
        };
        let branch = |(place, steps): (usize, &Vec<usize>)| {
            let value = self.program.leaves + steps.last().copied().unwrap_or_default();
            let part = Part::Branch { root: self.laid[value].block };
            Branch { actions: of(place, part), len: number(places.branches[place]), value }
        };
        Compiled {
            values: self.program.values.len(),
            leaves: self.program.leaves,
            before: self.before.iter().map(|draft| action(draft, Part::Once)).collect(),
            branches: branches.iter().enumerate().map(branch).collect(),
            body: of(branches.len(), Part::Trunk),
            outputs,
            kept: places.kept,
            making: places.making,
            work: places.work,
            flops: self.flops.iter().sum(),
            sliced: sliced.iter().map(|&i| self.program.dims[i]).collect(),
            fits,
        }
    }
}

fn number(x: u64) -> usize {
    usize::try_from(x).unwrap_or(usize::MAX)
}

/// The branch of a step; their number for a step of the trunk.
fn branch_of(branches: &[Vec<usize>], step: usize) -> usize {
    branches.iter().position(|steps| steps.binary_search(&step).is_ok()).unwrap_or(branches.len())
}

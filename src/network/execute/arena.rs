//! Places in one stretch of memory for blocks that live at different times.

/// A block: its size, and the first and last action at which it holds something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub len: u64,
    pub birth: usize,
    pub death: usize,
}

/// The place of every block, and the length of the whole. Blocks that are alive at the same time do not overlap; those
/// that are `fixed` are where that says.
///
/// The largest is placed first, each at the lowest place that is free while it lives.
pub(super) fn assign(blocks: &[Block], fixed: &[(usize, u64)]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..blocks.len()).filter(|&b| blocks[b].len > 0).collect();
    let given = |b: usize| fixed.iter().find(|&&(block, _)| block == b).map(|&(_, at)| at);
    order.sort_by_key(|&b| (given(b).is_none(), std::cmp::Reverse(blocks[b].len), b));
    let mut places = vec![0_u64; blocks.len()];
    fixed.iter().for_each(|&(b, at)| places[b] = at);
    // In the order of their places.
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut end = 0_u64;
    for b in order {
        let block = blocks[b];
        let mut at = given(b).unwrap_or(0);
        for &other in placed.iter().filter(|_| given(b).is_none()) {
            let taken = blocks[other];
            if taken.death < block.birth || block.death < taken.birth {
                continue;
            }
            if places[other] >= at.saturating_add(block.len) {
                break;
            }
            at = at.max(places[other].saturating_add(taken.len));
        }
        places[b] = at;
        end = end.max(at.saturating_add(block.len));
        let spot = placed.partition_point(|&other| places[other] <= at);
        placed.insert(spot, b);
    }
    (places, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use rand::RngExt;

    #[test]
    fn blocks_alive_together_do_not_overlap_and_little_is_lost() {
        for index in 0..50 {
            let mut stream = Seed(5).stream("arena", index);
            let blocks: Vec<Block> = (0..60)
                .map(|birth| Block {
                    len: stream.random_range(0..100),
                    birth,
                    death: birth + stream.random_range(0..9),
                })
                .collect();
            let (places, end) = assign(&blocks, &[(59, 7)]);
            assert_eq!(places[59], 7);
            let overlap = |a: usize, b: usize| {
                let (x, y) = (blocks[a], blocks[b]);
                let together = x.birth <= y.death && y.birth <= x.death;
                together && places[a] < places[b] + y.len && places[b] < places[a] + x.len && x.len * y.len > 0
            };
            assert!((0..60).all(|a| (0..a).all(|b| !overlap(a, b))));
            let alive = |t: usize| blocks.iter().filter(|b| b.birth <= t && t <= b.death).map(|b| b.len).sum::<u64>();
            let least = (0..70).map(alive).max().unwrap();
            assert!(end >= least && end <= least + least / 2, "{end} {least}");
        }
    }
}

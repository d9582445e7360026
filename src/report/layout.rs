//! Where the nodes of a graph are drawn.

/// Positions in the plane for nodes joined by `edges`, neighbours about one apart; the same graph gives the same picture.
///
/// The two slowest modes of the graph Laplacian unfold it, forces relax it: all nodes repel each other with `1 / d`,
/// neighbours attract each other with `d^2` (T. Fruchterman, E. Reingold, Softw. Pract. Exper. 21, 1129, 1991).
pub(super) fn placed(nodes: usize, edges: &[(usize, usize)]) -> Vec<(f64, f64)> {
    if nodes < 2 {
        return vec![(0.0, 0.0); nodes];
    }
    let size = (nodes as f64).sqrt();
    let mut modes: Vec<Vec<f64>> = Vec::new();
    for mode in 0..2 {
        let found = slow_mode(nodes, edges, &modes, mode);
        modes.push(found);
    }
    let mut at: Vec<(f64, f64)> = (0..nodes)
        // The spiral parts nodes that the modes leave at one place.
        .map(|i| {
            let angle = 2.4 * i as f64;
            let small = 0.05 * (i as f64 / nodes as f64).sqrt();
            let (x, y) = (modes[0][i] + small * angle.cos() / size, modes[1][i] + small * angle.sin() / size);
            (x * size * size, y * size * size)
        })
        .collect();
    let rounds = (300_000_000 / (nodes * nodes)).clamp(4, 300);
    for round in 0..rounds {
        let most = 0.3 * size * (1.0 - round as f64 / rounds as f64) + 0.02;
        let mut force = vec![(0.0, 0.0); nodes];
        for i in 0..nodes {
            for j in 0..i {
                let (dx, dy) = (at[i].0 - at[j].0, at[i].1 - at[j].1);
                let strength = 1.0 / (dx * dx + dy * dy).max(1e-4);
                force[i] = (force[i].0 + dx * strength, force[i].1 + dy * strength);
                force[j] = (force[j].0 - dx * strength, force[j].1 - dy * strength);
            }
        }
        for &(a, b) in edges {
            let (dx, dy) = (at[a].0 - at[b].0, at[a].1 - at[b].1);
            let distance = dx.hypot(dy);
            force[a] = (force[a].0 - dx * distance, force[a].1 - dy * distance);
            force[b] = (force[b].0 + dx * distance, force[b].1 + dy * distance);
        }
        for (place, force) in at.iter_mut().zip(force) {
            // Parts that nothing joins are held together.
            let (fx, fy) = (force.0 - 0.05 * place.0, force.1 - 0.05 * place.1);
            let length = fx.hypot(fy).max(1e-12);
            let step = (0.1 * length).min(most) / length;
            *place = (place.0 + step * fx, place.1 + step * fy);
        }
    }
    at
}

/// A vector of length one in which neighbours differ little, orthogonal to the constant one and those in `before`.
fn slow_mode(nodes: usize, edges: &[(usize, usize)], before: &[Vec<f64>], mode: usize) -> Vec<f64> {
    let mut degree = vec![0.0_f64; nodes];
    for &(a, b) in edges {
        degree[a] += 1.0;
        degree[b] += 1.0;
    }
    let shift = 2.0 * degree.iter().copied().fold(1.0, f64::max);
    let mut v: Vec<f64> = (0..nodes).map(|i| ((mode + 1) as f64 * 3.1 * i as f64 / nodes as f64).cos()).collect();
    for _ in 0..(20_000_000 / (nodes + edges.len())).clamp(50, 2000) {
        let mut next: Vec<f64> = v.iter().zip(&degree).map(|(x, d)| (shift - d) * x).collect();
        for &(a, b) in edges {
            next[a] += v[b];
            next[b] += v[a];
        }
        let mean = next.iter().sum::<f64>() / nodes as f64;
        next.iter_mut().for_each(|x| *x -= mean);
        for other in before {
            let overlap: f64 = next.iter().zip(other).map(|(x, y)| x * y).sum();
            next.iter_mut().zip(other).for_each(|(x, y)| *x -= overlap * y);
        }
        let norm = next.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
        v = next.into_iter().map(|x| x / norm).collect();
    }
    v
}

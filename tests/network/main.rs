//! Networks: contraction, exact and approximate, simplification and plans, against sums over all values of all indices.

mod common;
mod compressed;
mod contract;
mod plans;
mod simplify;

//! Any bytes as a data file whose format has to be found: an error or a table, never a panic.
#![no_main]

use ansatz::Seed;
use ansatz::data::{Binarise, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = parse_bytes("fuzz", bytes, None) {
        for way in [Binarise::Never, Binarise::Threshold(0.5), Binarise::Stochastic(Seed(1))] {
            let _ = table.batch(way).map(|batch| table.dims(&batch));
        }
    }
});

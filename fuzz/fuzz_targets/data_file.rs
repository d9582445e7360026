//! Any bytes as a data file of each format: an error or a table, never a panic.
#![no_main]

use ansatz::data::{Format, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let formats = [Format::Npy, Format::Idx, Format::Csv, Format::Bits, Format::Fasta].map(Some);
    for format in formats.into_iter().chain([None]) {
        let _ = parse_bytes("fuzz", bytes, format);
    }
});

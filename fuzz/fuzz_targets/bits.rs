//! Any bytes as strings of zeros and ones: an error or a table, never a panic.
#![no_main]

use ansatz::data::{Binarise, Format, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = parse_bytes("fuzz", bytes, Some(Format::Bits)) {
        let _ = table.batch(Binarise::Auto);
    }
});

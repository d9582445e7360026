//! Any bytes as .npy: an error or a table, never a panic.
#![no_main]

use ansatz::data::{Binarise, Format, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // An archive is another target.
    if bytes.starts_with(b"PK") {
        return;
    }
    if let Ok(table) = parse_bytes("fuzz", bytes, Some(Format::Npy)) {
        let _ = table.batch(Binarise::Auto);
    }
});

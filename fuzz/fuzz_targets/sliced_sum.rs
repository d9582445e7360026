//! Any bytes as a sum over slices: an error or a sum, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ansatz::io::sliced_sum_from_bytes::<f32>(bytes, "fuzz");
});

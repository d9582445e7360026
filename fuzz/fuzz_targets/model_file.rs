//! Any bytes as a model file and as a checkpoint: an error or a model, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ansatz::io::model_from_bytes(bytes, "fuzz");
    let _ = ansatz::io::checkpoint_from_bytes(bytes, "fuzz");
    let _ = ansatz::io::adam_checkpoint_from_bytes(bytes, "fuzz");
});

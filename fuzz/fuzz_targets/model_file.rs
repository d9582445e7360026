//! Any bytes as a model file: an error or a model that can be used, never a panic.
#![no_main]

use ansatz::{GenerativeModel, Seed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((model, _)) = ansatz::io::model_from_bytes(bytes, "fuzz") {
        if let Ok(batch) = model.sample(2, Seed(1)) {
            let _ = model.log_prob(&batch);
        }
    }
});

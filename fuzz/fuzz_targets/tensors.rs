//! Any bytes as tensors of a network: an error or arrays of the shapes asked for, never a panic.
#![no_main]

use ansatz::io::tensor_data_from_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let shapes = [vec![2, 2], vec![2]];
    if let Ok(data) = tensor_data_from_bytes(bytes.to_vec(), "fuzz") {
        let _ = data.kind(&shapes);
        if let Ok(arrays) = data.arrays::<f64>(&shapes) {
            assert!(arrays.iter().zip(&shapes).all(|(array, shape)| array.shape() == shape));
        }
    }
});

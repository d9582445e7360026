//! Model files and checkpoints: safetensors with a versioned header (`docs/format.md`).
//!
//! Reading trusts nothing: lengths are checked against the bytes that are there, shapes against each other, every number
//! for being finite, and nothing in a file is ever run.

mod adam_checkpoint;
mod any;
mod arrays;
mod atomic;
mod checkpoint;
pub(crate) mod circuit;
mod extra;
mod header;
mod lpdo;
mod model;
mod network;
mod shots;
mod sliced_sum;
mod tensor_file;
mod tensors;

pub use adam_checkpoint::{adam_checkpoint_from_bytes, load_adam_checkpoint, save_adam_checkpoint};
pub use any::{AnyAdamRun, AnyBornMps, AnyRun};
pub use arrays::{text, write_npy_reals, write_npy_symbols, write_symbols};
pub use atomic::write_atomically;
pub use checkpoint::{CheckpointKeeper, checkpoint_from_bytes, load_checkpoint, save_checkpoint};
pub use circuit::{load_circuit, load_noise};
pub use extra::Extra;
pub use lpdo::{load_lpdo, load_process, save_lpdo, save_process};
pub use model::{load_model, model_from_bytes, save_model};
pub use network::{load_equation, load_plan};
pub use shots::{write_process_shots, write_shots};
pub use sliced_sum::{load_sliced_sum, save_sliced_sum, sliced_sum_from_bytes};
pub use tensors::{TensorData, load_tensor_data, tensor_data_from_bytes};

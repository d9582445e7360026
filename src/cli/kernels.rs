//! The kernels of OpenBLAS.

use std::env;

use crate::linalg;

/// What OpenBLAS reads when it is loaded.
const VARIABLE: &str = "OPENBLAS_CORETYPE";
/// How many choices this program has made for it.
const TRIED: &str = "ANSATZ_KERNELS_TRIED";

/// Starts the program anew, with kernels that fit the processor, where OpenBLAS fell back on old ones; returns where there
/// is nothing to gain. A choice of the user's stays, and one that computes wrong results is not kept.
pub(super) fn choose() {
    let tried: Option<usize> = env::var(TRIED).ok().map(|tried| tried.parse().unwrap_or(usize::MAX));
    let again = match tried {
        None => env::var_os(VARIABLE).is_none() && linalg::kernels_are_old(),
        Some(_) => linalg::self_check().is_err(),
    };
    if !again {
        return;
    }
    let tried = tried.unwrap_or(0);
    let fitting = linalg::fitting_kernels();
    if tried <= fitting.len() {
        start_again(fitting.get(tried).copied(), tried + 1);
    }
}

/// Does not return, unless it cannot be done.
#[cfg(unix)]
fn start_again(kernels: Option<&str>, tried: usize) {
    use std::os::unix::process::CommandExt;
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(TRIED, tried.to_string());
    match kernels {
        Some(kernels) => command.env(VARIABLE, kernels),
        None => command.env_remove(VARIABLE),
    };
    let error = command.exec();
    tracing::debug!("not started with other kernels: {error}");
}

#[cfg(not(unix))]
fn start_again(_: Option<&str>, _: usize) {}

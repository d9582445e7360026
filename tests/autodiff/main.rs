//! The tape: derivatives of every operation, real and complex, against differences and closed forms.

mod common;
mod factorisations;
mod gradients;
mod renormalisation;
mod tape;

//! Circuits: every row of the gate table passes the same facts; what is simulated is compared with matrices embedded element
//! by element; engines agree with each other, with closed forms and with enumeration; OpenQASM reads back; errors are one
//! line with a place.

mod common;
mod engines;
mod gradients;
mod noise;
mod prepare;
mod program;
mod qasm;
mod synthesis;
mod training;
mod values;

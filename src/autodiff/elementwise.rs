//! Element by element.
//!
//! Of two tensors the one that has fewer legs is repeated along the legs it lacks, as a bias over a batch or singular
//! values over a matrix.

use super::op::Op;
use super::tape::Var;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::tensor::{Tensor, functions};

/// A function of every element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Exp,
    Ln,
    Sqrt,
    Recip,
    Tanh,
    Sigmoid,
    Softplus,
    Relu,
}

impl Function {
    pub(super) fn name(self) -> &'static str {
        match self {
            Function::Exp => "exp",
            Function::Ln => "ln",
            Function::Sqrt => "sqrt",
            Function::Recip => "recip",
            Function::Tanh => "tanh",
            Function::Sigmoid => "sigmoid",
            Function::Softplus => "softplus",
            Function::Relu => "relu",
        }
    }

    /// Whether the derivative is written with the argument; with the value otherwise.
    pub(super) fn keeps_input(self) -> bool {
        matches!(self, Function::Ln | Function::Softplus | Function::Relu)
    }

    pub(super) fn of<T: Scalar>(self, a: &Tensor<T>) -> Result<Tensor<T>> {
        let value = match self {
            Function::Exp => a.map_single(functions::exp_single, functions::exp)?,
            Function::Ln => a.map(functions::ln),
            Function::Sqrt => a.map(functions::sqrt),
            Function::Recip => a.map(|x| T::one() / x),
            Function::Tanh => a.map_single(functions::tanh_single, functions::tanh)?,
            Function::Sigmoid => a.map_single(functions::sigmoid_single, functions::sigmoid)?,
            Function::Softplus => a.map(functions::softplus),
            Function::Relu if T::IS_COMPLEX => {
                return Err(Error::Tape { what: format!("relu of complex numbers, {a}: take the real part first") });
            }
            Function::Relu => a.map(|x| if x.re() > T::Real::of(0.0) { x } else { T::zero() }),
        };
        if value.is_finite() { Ok(value) } else { Err(Error::NotFinite { what: format!("{} of {a}", self.name()) }) }
    }
}

/// The cotangent of the argument, `g conj(f'(x))`.
pub(super) fn rule<'t, T: Scalar>(
    function: Function,
    g: &Var<'t, T>,
    input: impl FnOnce() -> Result<Var<'t, T>>,
    output: impl FnOnce() -> Result<Var<'t, T>>,
) -> Result<Var<'t, T>> {
    let one = |v: &Var<'t, T>| v.tape.fixed(Tensor::scalar(T::one()));
    match function {
        Function::Exp => joined(g, output()?, |g, y| g * y.conj(), |y| g.mul(&y.conj()?)),
        Function::Ln => joined(g, input()?, |g, x| g / x.conj(), |x| g.div(&x.conj()?)),
        Function::Sqrt => {
            let half = |g: T, y: T| g / (y + y).conj();
            joined(g, output()?, half, |y| g.div(&y.scale(T::from_f64(2.0))?.conj()?))
        }
        Function::Recip => joined(g, output()?, |g, y| -g * (y * y).conj(), |y| g.mul(&y.mul(y)?.neg()?.conj()?)),
        Function::Tanh => {
            let slope = |g: T, y: T| g * (T::one() - y * y).conj();
            joined(g, output()?, slope, |y| g.mul(&one(y).sub(&y.mul(y)?)?.conj()?))
        }
        Function::Sigmoid => {
            let slope = |g: T, y: T| g * (y * (T::one() - y)).conj();
            joined(g, output()?, slope, |y| g.mul(&y.mul(&one(y).sub(y)?)?.conj()?))
        }
        Function::Softplus => g.mul(&input()?.sigmoid()?.conj()?),
        // At zero, where there is no derivative, it is taken from the left.
        Function::Relu => {
            let step = |x: T| if x.re() > T::Real::of(0.0) { T::one() } else { T::zero() };
            g.mul(&g.tape.fixed(input()?.value.map(step)))
        }
    }
}

/// `f` of the elements of `g` and `v`: in one loop where nothing is noted down, by the tape's own operations where it is.
fn joined<'t, T: Scalar>(
    g: &Var<'t, T>,
    v: Var<'t, T>,
    f: impl Fn(T, T) -> T + Sync,
    noted: impl FnOnce(&Var<'t, T>) -> Result<Var<'t, T>>,
) -> Result<Var<'t, T>> {
    if g.at.is_some() || v.at.is_some() {
        return noted(&v);
    }
    let slope = g.value.zip_with(&v.value, f)?;
    if slope.is_finite() {
        Ok(g.tape.fixed(slope))
    } else {
        Err(Error::NotFinite { what: format!("the derivative at {}", v.value) })
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The sum, element by element.
    ///
    /// # Errors
    /// As [`Tensor::zip_with`]: every leg of one has to be a leg of the other.
    pub fn add(&self, other: &Self) -> Result<Self> {
        Var::one(Op::Add, &[self, other])
    }

    /// The difference, element by element.
    ///
    /// # Errors
    /// As [`Tensor::zip_with`].
    pub fn sub(&self, other: &Self) -> Result<Self> {
        Var::one(Op::Sub, &[self, other])
    }

    /// The product, element by element.
    ///
    /// # Errors
    /// As [`Tensor::zip_with`].
    pub fn mul(&self, other: &Self) -> Result<Self> {
        Var::one(Op::Mul, &[self, other])
    }

    /// The quotient, element by element.
    ///
    /// # Errors
    /// As [`Tensor::zip_with`]; [`Error::NotFinite`] if a quotient is not finite.
    pub fn div(&self, other: &Self) -> Result<Self> {
        Var::one(Op::Div, &[self, other])
    }

    /// Every element times `factor`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the factor is NaN or infinite.
    pub fn scale(&self, factor: T) -> Result<Self> {
        if !factor.is_finite() {
            return Err(Error::NotFinite { what: format!("the factor of {}", self.value) });
        }
        Var::one(Op::Scale(factor), &[self])
    }

    /// Every element with the other sign.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn neg(&self) -> Result<Self> {
        self.scale(-T::one())
    }

    /// `exp(x)`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if it overflows.
    pub fn exp(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Exp), &[self])
    }

    /// `ln(x)`, the principal branch.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for zero, and for a negative real number.
    pub fn ln(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Ln), &[self])
    }

    /// `sqrt(x)`, the principal branch.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a negative real number; the derivative at zero is an error as well.
    pub fn sqrt(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Sqrt), &[self])
    }

    /// `1 / x`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for zero.
    pub fn recip(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Recip), &[self])
    }

    /// `tanh(x)`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] at a pole of the complex function.
    pub fn tanh(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Tanh), &[self])
    }

    /// `1 / (1 + exp(-x))`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] at a pole of the complex function.
    pub fn sigmoid(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Sigmoid), &[self])
    }

    /// `ln(1 + exp(x))`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] at a branch point of the complex function.
    pub fn softplus(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Softplus), &[self])
    }

    /// `max(x, 0)` of real numbers.
    ///
    /// # Errors
    /// [`Error::Tape`] for complex numbers, which have no order.
    pub fn relu(&self) -> Result<Self> {
        Var::one(Op::Function(Function::Relu), &[self])
    }

    /// Complex conjugate.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn conj(&self) -> Result<Self> {
        if T::IS_COMPLEX { Var::one(Op::Conj, &[self]) } else { Ok(self.clone()) }
    }

    /// Real part, in a tensor of the same type.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn re(&self) -> Result<Self> {
        if T::IS_COMPLEX { Var::one(Op::Real, &[self]) } else { Ok(self.clone()) }
    }

    /// Imaginary part, in a tensor of the same type.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn im(&self) -> Result<Self> {
        self.scale(T::from_parts(0.0, -1.0))?.re()
    }

    /// `|x|^2`, in a tensor of the same type.
    ///
    /// # Errors
    /// None that a finite tensor has.
    pub fn abs_sq(&self) -> Result<Self> {
        self.mul(&self.conj()?)?.re()
    }
}

//! Models and runs whose number type is known only when the file is read.

use std::path::Path;

use num_complex::{Complex32, Complex64};

use super::Extra;
use crate::error::Result;
use crate::model::born_mps::BornMps;
use crate::model::{Batch, Conditional, GenerativeModel, Marginal};
use crate::random::Seed;
use crate::scalar::Kind;
use crate::train::{AdamRun, Run};

/// The same expression for each number type of an [`AnyBornMps`](crate::io::AnyBornMps), an
/// [`AnyRun`](crate::io::AnyRun) or an [`AnyAdamRun`](crate::io::AnyAdamRun).
///
/// ```
/// use ansatz::io::AnyBornMps;
/// use ansatz::{BornMps, Seed, for_kind};
/// let model = AnyBornMps::from(BornMps::<f32>::random(&[2; 5], 3, Seed(1))?);
/// let bond = for_kind!(AnyBornMps, &model, m => m.state().max_bond());
/// assert_eq!(bond, 3);
/// # Ok::<(), ansatz::Error>(())
/// ```
#[macro_export]
macro_rules! for_kind {
    ($any:ident, $value:expr, $inner:pat => $body:expr) => {
        match $value {
            $any::F32($inner) => $body,
            $any::F64($inner) => $body,
            $any::C32($inner) => $body,
            $any::C64($inner) => $body,
        }
    };
}

macro_rules! any {
    ($(#[$doc:meta])* $name:ident, $inner:ident < $($model:ident)? >) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub enum $name {
            /// Of `f32`.
            F32(any!(@ $inner, $($model)?, f32)),
            /// Of `f64`.
            F64(any!(@ $inner, $($model)?, f64)),
            /// Of `Complex<f32>`.
            C32(any!(@ $inner, $($model)?, Complex32)),
            /// Of `Complex<f64>`.
            C64(any!(@ $inner, $($model)?, Complex64)),
        }
        any!(@from $name, F32, any!(@ $inner, $($model)?, f32));
        any!(@from $name, F64, any!(@ $inner, $($model)?, f64));
        any!(@from $name, C32, any!(@ $inner, $($model)?, Complex32));
        any!(@from $name, C64, any!(@ $inner, $($model)?, Complex64));

        impl $name {
            /// The number type.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $name::F32(_) => Kind::F32,
                    $name::F64(_) => Kind::F64,
                    $name::C32(_) => Kind::C32,
                    $name::C64(_) => Kind::C64,
                }
            }
        }
    };
    (@ $inner:ident, , $t:ty) => { $inner<$t> };
    (@ $inner:ident, $model:ident, $t:ty) => { $inner<$model<$t>> };
    (@from $name:ident, $kind:ident, $t:ty) => {
        impl From<$t> for $name {
            fn from(inner: $t) -> Self {
                $name::$kind(inner)
            }
        }
    };
}

any! {
    /// A matrix-product Born machine of any number type; what it can do with each, [`for_kind!`](crate::for_kind) does.
    #[derive(PartialEq)]
    AnyBornMps, BornMps<>
}
any! {
    /// A run that trains a matrix-product Born machine of any number type.
    AnyRun, Run<BornMps>
}
any! {
    /// A run of Adam that trains a matrix-product Born machine of any number type.
    AnyAdamRun, AdamRun<BornMps>
}

impl AnyBornMps {
    /// The dimension of each site.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        for_kind!(AnyBornMps, self, m => m.dims())
    }

    /// The dimension of each bond, one less than there are sites.
    #[must_use]
    pub fn bonds(&self) -> Vec<usize> {
        for_kind!(AnyBornMps, self, m => m.state().bonds())
    }

    /// Number of entries of all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        for_kind!(AnyBornMps, self, m => m.state().parameters())
    }

    /// As [`save_model`](super::save_model).
    ///
    /// # Errors
    /// As [`save_model`](super::save_model).
    pub fn save(&self, path: &Path, extra: &Extra) -> Result<()> {
        for_kind!(AnyBornMps, self, m => super::save_model(path, m, extra))
    }
}

impl Conditional for AnyBornMps {
    fn sample_given(&self, evidence: &[Option<u8>], count: usize, seed: Seed) -> Result<Batch<u8>> {
        for_kind!(AnyBornMps, self, m => m.sample_given(evidence, count, seed))
    }

    fn conditional_log_prob(&self, batch: &Batch<u8>, given: &[bool]) -> Result<Vec<f64>> {
        for_kind!(AnyBornMps, self, m => m.conditional_log_prob(batch, given))
    }
}

impl Marginal for AnyBornMps {
    fn log_marginal(&self, evidence: &[Option<u8>]) -> Result<f64> {
        for_kind!(AnyBornMps, self, m => m.log_marginal(evidence))
    }
}

impl GenerativeModel for AnyBornMps {
    type Value = u8;

    fn sites(&self) -> usize {
        for_kind!(AnyBornMps, self, m => m.sites())
    }

    fn log_prob(&self, batch: &Batch<u8>) -> Result<Vec<f64>> {
        for_kind!(AnyBornMps, self, m => m.log_prob(batch))
    }

    fn sample(&self, count: usize, seed: Seed) -> Result<Batch<u8>> {
        for_kind!(AnyBornMps, self, m => m.sample(count, seed))
    }

    fn sample_with_log_prob(&self, count: usize, seed: Seed) -> Result<(Batch<u8>, Vec<f64>)> {
        for_kind!(AnyBornMps, self, m => m.sample_with_log_prob(count, seed))
    }
}

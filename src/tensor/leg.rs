//! Legs: what an index is called, how far it runs and what it stands for.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// What a leg stands for. Only legs of the same role are joined; [`Leg::with_role`] and
/// [`Tensor::with_role`](super::Tensor::with_role) are the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A physical index: the symbol of a site.
    Site,
    /// An internal index between two tensors of a state or network.
    Bond,
    /// An index of an environment that is summed over in a density matrix (Kraus or purification index).
    Purification,
    /// An index over independent copies, such as samples: contraction keeps it instead of summing over it.
    Batch,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Site => "site",
            Role::Bond => "bond",
            Role::Purification => "purification",
            Role::Batch => "batch",
        })
    }
}

/// Longest name that is kept in place.
const SHORT: usize = 22;

/// A name that is cheap to copy: short ones need neither memory nor a counter that threads would fight over.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Arc<str>),
}

impl Name {
    fn new(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(name.as_bytes());
                Name::Short { len, bytes }
            }
            _ => Name::Long(name.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => &bytes[..usize::from(*len)],
            Name::Long(name) => name.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            // The bytes are those of a `str`, so the default is never taken.
            Name::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Name::Long(name) => name,
        }
    }
}

/// One index of a tensor: its name, its dimension and its [`Role`].
///
/// The name is the identity: a tensor has each name once, and two tensors are joined where their names agree.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Leg {
    name: Name,
    dim: usize,
    role: Role,
}

impl Leg {
    /// A leg with `dim` values. The dimension is checked when the leg becomes part of a tensor.
    #[must_use]
    pub fn new(name: impl AsRef<str>, dim: usize, role: Role) -> Self {
        Leg { name: Name::new(name.as_ref()), dim, role }
    }

    /// A physical leg.
    #[must_use]
    pub fn site(name: impl AsRef<str>, dim: usize) -> Self {
        Leg::new(name, dim, Role::Site)
    }

    /// A leg between tensors.
    #[must_use]
    pub fn bond(name: impl AsRef<str>, dim: usize) -> Self {
        Leg::new(name, dim, Role::Bond)
    }

    /// A leg of an environment.
    #[must_use]
    pub fn purification(name: impl AsRef<str>, dim: usize) -> Self {
        Leg::new(name, dim, Role::Purification)
    }

    /// A leg over independent copies.
    #[must_use]
    pub fn batch(name: impl AsRef<str>, dim: usize) -> Self {
        Leg::new(name, dim, Role::Batch)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// How many values the index takes.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What it stands for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The same leg under another name.
    #[must_use]
    pub fn renamed(&self, name: impl AsRef<str>) -> Self {
        Leg { name: Name::new(name.as_ref()), ..self.clone() }
    }

    /// The same leg in another role.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        Leg { role, ..self.clone() }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_bytes() == name.as_bytes()
    }

    pub(super) fn same_name(&self, other: &Leg) -> bool {
        self.name == other.name
    }

    /// Why two legs cannot be summed over together, if they cannot.
    pub(super) fn mismatch(&self, other: &Leg) -> Option<String> {
        if self.dim != other.dim {
            return Some(format!("cannot join {self} with {other}: the dimensions differ"));
        }
        (self.role != other.role).then(|| {
            format!("cannot join {self} with {other}: the roles differ; with_role makes them alike if that is meant")
        })
    }
}

impl AsRef<str> for Leg {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg '{}' ({}, dimension {})", self.name(), self.role, self.dim)
    }
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.name(), self.role, self.dim)
    }
}

/// Refuses two legs of the same name, and legs without values.
pub(super) fn check(legs: &[Leg]) -> Result<()> {
    for (i, leg) in legs.iter().enumerate() {
        if leg.dim == 0 {
            return Err(Error::Empty { what: leg.to_string() });
        }
        if let Some(other) = legs[..i].iter().find(|other| other.same_name(leg)) {
            return Err(Error::Leg {
                what: format!("{other} and {leg} on one tensor have the same name; rename one of them"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_are_kept() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 300] {
            let name = "é".repeat(len / 2) + &"x".repeat(len % 2);
            let leg = Leg::bond(&name, 3);
            assert_eq!((leg.name(), leg.dim(), leg.role()), (name.as_str(), 3, Role::Bond));
            assert!(leg.is(&name) && !leg.is(&format!("{name}y")) && leg.same_name(&Leg::site(&name, 1)));
        }
        assert!(!Leg::site("ab", 2).same_name(&Leg::site("ab\0", 2)));
    }

    #[test]
    fn a_refusal_names_both_legs() {
        assert_eq!(
            Leg::bond("l", 2).mismatch(&Leg::bond("r", 3)).unwrap(),
            "cannot join leg 'l' (bond, dimension 2) with leg 'r' (bond, dimension 3): the dimensions differ"
        );
        let roles = Leg::bond("l", 2).mismatch(&Leg::site("s", 2)).unwrap();
        assert!(roles.contains("leg 'l' (bond, dimension 2) with leg 's' (site, dimension 2): the roles differ"));
        assert_eq!(Leg::bond("l", 2).mismatch(&Leg::bond("r", 2)), None);
        assert!(check(&[Leg::site("a", 2), Leg::bond("a", 3)]).is_err());
        assert!(matches!(check(&[Leg::site("a", 0)]), Err(Error::Empty { .. })));
    }
}

//! A setting that changes from sweep to sweep.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// One entry for each sweep; the last one repeats.
///
/// Written as a JSON array; an empty one is refused when read.
///
/// ```
/// use ansatz::train::Schedule;
/// let bonds = Schedule::new(10, [20, 100]);
/// assert_eq!([bonds.at(0), bonds.at(1), bonds.at(2), bonds.at(9)], [&10, &20, &100, &100]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule<T> {
    // Apart, so that an empty schedule cannot be written and `at` has always something to return.
    first: T,
    then: Vec<T>,
}

impl<T> Schedule<T> {
    /// `first` in the first sweep, then the entries of `then`.
    pub fn new(first: T, then: impl IntoIterator<Item = T>) -> Self {
        Schedule { first, then: then.into_iter().collect() }
    }

    /// The same value in every sweep.
    pub fn constant(value: T) -> Self {
        Schedule { first: value, then: Vec::new() }
    }

    /// One entry for each element of `entries`.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is none.
    pub fn from_entries(entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut entries = entries.into_iter();
        let first = entries.next().ok_or_else(|| Error::Empty { what: "a schedule".into() })?;
        Ok(Schedule::new(first, entries))
    }

    /// The entry of sweep `sweep`, counted from 0.
    #[must_use]
    pub fn at(&self, sweep: usize) -> &T {
        match sweep.checked_sub(1) {
            None => &self.first,
            Some(later) => self.then.get(later).or(self.then.last()).unwrap_or(&self.first),
        }
    }

    /// Every entry once, in order.
    pub fn entries(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.then)
    }
}

impl<T> From<T> for Schedule<T> {
    fn from(value: T) -> Self {
        Schedule::constant(value)
    }
}

impl<T: Serialize> Serialize for Schedule<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Schedule<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Schedule::from_entries(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_repeats() {
        let schedule = Schedule::new(1, [2, 3]);
        let seen: Vec<i32> = (0..5).map(|sweep| *schedule.at(sweep)).collect();
        assert_eq!(seen, [1, 2, 3, 3, 3]);
        assert_eq!(*schedule.at(usize::MAX), 3);
        assert_eq!(*Schedule::from(0.5).at(7), 0.5);
    }

    #[test]
    fn json_keeps_a_schedule_and_refuses_an_empty_one() {
        let schedule = Schedule::new(0.1, [0.05, 0.01]);
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(text, "[0.1,0.05,0.01]");
        assert_eq!(serde_json::from_str::<Schedule<f64>>(&text).unwrap(), schedule);
        assert!(serde_json::from_str::<Schedule<f64>>("[]").is_err());
        assert!(matches!(Schedule::<u8>::from_entries([]), Err(Error::Empty { .. })));
    }
}

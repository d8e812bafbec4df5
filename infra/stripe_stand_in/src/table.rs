//! Objects by id, in the order in which they were made.

use std::collections::HashMap;
use std::ops::Range;

/// Something that has one of Stripe's ids and a time.
pub(crate) trait Record {
    fn id(&self) -> &str;
    /// Seconds since 1970.
    fn created(&self) -> i64;
}

/// All objects of one type. A row's time is never before that of the row in front of it.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<T>,
    positions: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), positions: HashMap::new() }
    }
}

impl<T: Record> Table<T> {
    pub(crate) fn insert(&mut self, row: T) {
        self.positions.insert(row.id().to_owned(), self.rows.len());
        self.rows.push(row);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(*self.positions.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(*self.positions.get(id)?)
    }

    /// Where the row stands among all of them, oldest first.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// How many rows were made before this time.
    pub(crate) fn count_before(&self, time: i64) -> usize {
        self.rows.partition_point(|row| row.created() < time)
    }

    /// The rows at these positions, oldest first.
    pub(crate) fn between(&self, positions: Range<usize>) -> &[T] {
        self.rows.get(positions).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter().rev()
    }
}

//! Objects by id, in the order in which they were made.

use std::collections::HashMap;

/// Something that has one of Stripe's ids and a time.
pub(crate) trait Record {
    fn id(&self) -> &str;
    /// Seconds since 1970.
    fn created(&self) -> i64;
}

/// All objects of one type.
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

    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter().rev()
    }
}

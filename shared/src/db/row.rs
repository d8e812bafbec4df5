//! Reading a row without panicking: a column that is missing or of another type is an error like any other.

use std::error::Error as _;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::{Error, without_values};

/// Columns by name.
pub(super) trait Columns {
    /// The value of a column.
    fn column<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T, Error>;
}

impl Columns for Row {
    fn column<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T, Error> {
        self.try_get(name).map_err(|error| Error::Database(format!("column {name}: {}", reason(&error))))
    }
}

/// What is wrong with a column, without what is in it.
fn reason(error: &tokio_postgres::Error) -> String {
    let document = error.source().and_then(|source| source.downcast_ref());
    document.map_or_else(|| error.to_string(), without_values)
}

/// A text column as one of our types.
pub(super) fn parsed<T>(row: &Row, name: &str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
    let text: &str = row.column(name)?;
    parse(text).ok_or_else(|| Error::Database(format!("unknown {name} {text}")))
}

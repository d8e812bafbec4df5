//! Reading a row without panicking: a column that is missing or of another type is an error like any other.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::Error;

/// Columns by name.
pub(super) trait Columns {
    /// The value of a column.
    fn column<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T, Error>;
}

impl Columns for Row {
    fn column<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T, Error> {
        self.try_get(name).map_err(|error| Error::Database(format!("column {name}: {error}")))
    }
}

/// A text column as one of our types.
pub(super) fn parsed<T>(row: &Row, name: &str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
    let text: &str = row.column(name)?;
    parse(text).ok_or_else(|| Error::Database(format!("unknown {name} {text}")))
}

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

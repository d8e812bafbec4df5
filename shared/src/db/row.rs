//! Reading a row without panicking: a column that is missing or of another type is an error like any other.

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
fn reason(error: &dyn std::error::Error) -> String {
    let document = error.source().and_then(|source| source.downcast_ref());
    document.map_or_else(|| error.to_string(), without_values)
}

/// A text column as one of our types.
pub(super) fn parsed<T>(row: &Row, name: &str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
    let text: &str = row.column(name)?;
    parse(text).ok_or_else(|| Error::Database(format!("unknown {name} {text}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::reason;

    /// As the driver says that it could not read a document.
    #[derive(Debug, thiserror::Error)]
    #[error("error deserializing column 3: {0}")]
    struct Unread(#[source] serde_json::Error);

    #[test]
    fn what_is_in_a_document_that_cannot_be_read_is_not_told() {
        let error = serde_json::from_value::<Vec<u8>>(json!("Ada Lovelace")).unwrap_err();
        assert_eq!(reason(&Unread(error)), "expected a sequence");
        assert_eq!(reason(&std::fmt::Error), std::fmt::Error.to_string());
    }
}

//! From SQLSTATE to [`Error`], in one place. Messages keep the code and PostgreSQL's sentence, never its detail, which
//! quotes values.

use std::error::Error as _;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::WrongType;

use crate::error::{Code, Error, Refusal};

/// What a failed statement means for the caller.
pub(super) fn from_postgres(error: &tokio_postgres::Error) -> Error {
    let Some(database) = error.as_db_error() else {
        let is_ours = error.source().is_some_and(|source| source.is::<WrongType>());
        let message = error.to_string();
        return if is_ours { Error::Database(message) } else { Error::DatabaseUnavailable(message) };
    };
    let message = format!("{}: {}", database.code().code(), database.message());
    if is_passing(database.code()) { Error::DatabaseUnavailable(message) } else { Error::Database(message) }
}

/// Whether the same statement may succeed a moment later: locks, timeouts, restarts, too many connections, a
/// password that is being changed. See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn is_passing(state: &SqlState) -> bool {
    let class = state.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "28" | "53" | "57" | "58")
        // After a failover the old primary is read-only for a moment.
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
        || [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE]
            .contains(&state)
        // PgBouncer reports its own troubles, such as a server that is away, under this code.
        || *state == SqlState::PROTOCOL_VIOLATION
}

/// An outcome that is none of the operation's own answers: a refusal by its name, or an impossibility.
pub(super) fn from_outcome(outcome: &str) -> Error {
    refusal_with(outcome, None).map_or_else(|error| error, Error::from)
}

/// The same, with what the operation knows about it.
///
/// # Errors
/// [`Error::Database`] for an outcome that is no refusal.
pub(super) fn refusal_with(outcome: &str, details: Option<serde_json::Value>) -> Result<Refusal, Error> {
    let code =
        Code::from_outcome(outcome).ok_or_else(|| Error::Database(format!("unknown outcome {outcome}")))?;
    let mut refusal = Refusal::of(code);
    if let Some(serde_json::Value::Object(details)) = details {
        refusal.details = details;
    }
    Ok(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_troubles_are_told_from_impossible_ones() {
        for code in [
            "55P03", "57014", "40P01", "40001", "08006", "53300", "57P01", "57P03", "28P01", "08P01", "25006",
        ] {
            assert!(is_passing(&SqlState::from_code(code)), "{code}");
        }
        for code in ["KL001", "KL002", "23505", "42883", "42501", "22P02", "P0002"] {
            assert!(!is_passing(&SqlState::from_code(code)), "{code}");
        }
    }

    #[test]
    fn an_outcome_that_is_no_code_is_an_impossibility() {
        assert!(
            matches!(from_outcome("hold_expired"), Error::Refused(refusal) if refusal.code == Code::HoldExpired)
        );
        assert!(matches!(from_outcome("surprise"), Error::Database(_)));
    }
}

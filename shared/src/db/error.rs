//! From SQLSTATE to [`Error`], in one place. Messages keep the code and PostgreSQL's sentence, never its detail, which
//! quotes values.

use tokio_postgres::error::SqlState;

use crate::error::{Code, Error, Refusal};

/// What a failed statement means for the caller.
pub(super) fn from_postgres(error: &tokio_postgres::Error) -> Error {
    let Some(database) = error.as_db_error() else {
        return Error::DatabaseUnavailable(error.to_string());
    };
    let message = format!("{}: {}", database.code().code(), database.message());
    if is_passing(database.code()) { Error::DatabaseUnavailable(message) } else { Error::Database(message) }
}

/// Whether the same statement may succeed a moment later: locks, timeouts, restarts, too many connections, a
/// password that is being changed. See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn is_passing(state: &SqlState) -> bool {
    let class = state.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "28" | "53" | "57" | "58")
        || [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE]
            .contains(&state)
        // PgBouncer reports its own troubles, such as a server that is away, under this code.
        || *state == SqlState::PROTOCOL_VIOLATION
}

/// An outcome that is none of the operation's own answers: a refusal by its name, or an impossibility.
pub(super) fn from_outcome(outcome: &str) -> Error {
    match Code::from_outcome(outcome) {
        Some(code) => Refusal::new(code, detail(code)).into(),
        None => Error::Database(format!("unknown outcome {outcome}")),
    }
}

/// The sentence for a person that goes with a refusal of the database.
pub(super) fn detail(code: Code) -> &'static str {
    match code {
        Code::ProviderNotFound => "There is no such provider.",
        Code::GearNotFound => "The provider has no such gear, or does not rent it out any more.",
        Code::ReservationNotFound => "There is no such reservation.",
        Code::Forbidden => "Only staff of the provider may do this.",
        Code::LeadTimeTooShort => "The period starts too soon, or in the past.",
        Code::BeyondHorizon => "The period starts later than the provider takes reservations for.",
        Code::DurationTooShort => "The period is shorter than the provider allows.",
        Code::DurationTooLong => "The period is longer than the provider allows.",
        Code::TooManyOpenHolds => "There are as many open holds as the provider allows one customer.",
        Code::InsufficientAvailability => "Some of the gear is not available over the whole period.",
        Code::IdempotencyKeyReused => "This idempotency key was used with another request.",
        Code::RequestInFlight => "The same request is being worked on.",
        Code::AlreadyPaid => "The reservation is paid or authorised already.",
        Code::NothingToPay => "The reservation costs nothing.",
        Code::PaymentStarting => "This payment is being started by another request.",
        Code::PaymentRequired => "The payment has not been made yet.",
        Code::PaymentIntentMismatch => "The payment intent is not the one of this reservation.",
        Code::CaptureInProgress => "The payment is being captured.",
        Code::CancelledConflict => {
            "The payment came after the hold had lapsed and the gear was gone; it is refunded."
        }
        Code::ReservationOver => "The reservation is over.",
        Code::HoldExpired => "The hold has lapsed.",
        _ => "The request was refused.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_troubles_are_told_from_impossible_ones() {
        for code in ["55P03", "57014", "40P01", "40001", "08006", "53300", "57P01", "57P03", "28P01", "08P01"]
        {
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

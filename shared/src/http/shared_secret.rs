//! Endpoints for machines and operators, opened by a secret that both sides know: scheduled ones by
//! `Authorization: Bearer $CRON_SECRET`, those of operators by `Authorization: Bearer $ADMIN_TOKEN` or `x-admin-token`.
//! Never in a query, which ends up in logs. No secret configured: closed.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::tokens::{bearer, unauthenticated};
use crate::error::Error;

/// The header that operators may use where `Authorization` is taken.
pub(crate) const ADMIN_HEADER: &str = "x-admin-token";

/// Lets a schedule in.
pub(crate) fn verify_cron(secrets: &[SecretString], authorization: Option<&str>) -> Result<(), Error> {
    if secrets.is_empty() {
        tracing::warn!(reason = "CRON_SECRET is not set", "cron.closed");
    }
    verify(secrets, bearer(authorization), "The schedule's secret is required.")
}

/// Lets an operator in.
pub(crate) fn verify_admin(
    secrets: &[SecretString],
    authorization: Option<&str>,
    admin_header: Option<&str>,
) -> Result<(), Error> {
    if secrets.is_empty() {
        tracing::warn!(reason = "ADMIN_TOKEN is not set", "ops.closed");
    }
    verify(secrets, admin_header.or_else(|| bearer(authorization)), "The operators' token is required.")
}

/// Compares with every live secret, in a time that does not depend on where they differ.
fn verify(secrets: &[SecretString], given: Option<&str>, refusal: &'static str) -> Result<(), Error> {
    let given = given.unwrap_or_default().as_bytes();
    let matches = (secrets.iter())
        .map(|secret| secret.expose_secret().as_bytes().ct_eq(given))
        .fold(subtle::Choice::from(0), |any, one| any | one);
    if bool::from(matches) { Ok(()) } else { Err(unauthenticated(refusal)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<SecretString> {
        vec!["current".into(), "previous".into()]
    }

    #[test]
    fn the_current_and_the_previous_secret_open() {
        for header in ["Bearer current", "bearer previous"] {
            assert!(verify_cron(&secrets(), Some(header)).is_ok());
            assert!(verify_admin(&secrets(), Some(header), None).is_ok());
        }
        assert!(verify_admin(&secrets(), None, Some("current")).is_ok());
        assert!(verify_admin(&secrets(), Some("Bearer a users token"), Some("previous")).is_ok());
    }

    #[test]
    fn anything_else_stays_outside() {
        for header in
            [None, Some(""), Some("current"), Some("Bearer "), Some("Bearer curren"), Some("Basic current")]
        {
            assert!(verify_cron(&secrets(), header).is_err(), "{header:?}");
            assert!(verify_admin(&secrets(), header, None).is_err(), "{header:?}");
        }
        for header in ["", "curren", "current ", "Bearer current"] {
            assert!(verify_admin(&secrets(), None, Some(header)).is_err(), "{header:?}");
            assert!(verify_admin(&secrets(), Some("Bearer current"), Some(header)).is_err(), "{header:?}");
        }
    }

    #[test]
    fn no_secret_means_closed() {
        for header in [Some("Bearer "), None] {
            assert!(verify_cron(&[], header).is_err());
            assert!(verify_admin(&[], header, None).is_err());
        }
        assert!(verify_admin(&[], None, Some("")).is_err());
    }
}

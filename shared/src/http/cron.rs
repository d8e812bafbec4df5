//! Scheduled endpoints over HTTP: `Authorization: Bearer $CRON_SECRET`. No secret configured: closed.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::tokens::{bearer, unauthenticated};
use crate::error::Error;

/// Compares with every live secret, in a time that does not depend on where they differ.
pub(crate) fn verify(secrets: &[SecretString], authorization: Option<&str>) -> Result<(), Error> {
    if secrets.is_empty() {
        tracing::warn!(reason = "CRON_SECRET is not set", "cron.closed");
    }
    let given = bearer(authorization).unwrap_or_default().as_bytes();
    let matches = (secrets.iter())
        .map(|secret| secret.expose_secret().as_bytes().ct_eq(given))
        .fold(subtle::Choice::from(0), |any, one| any | one);
    if bool::from(matches) { Ok(()) } else { Err(unauthenticated("The schedule's secret is required.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<SecretString> {
        vec!["current".into(), "previous".into()]
    }

    #[test]
    fn the_current_and_the_previous_secret_open() {
        assert!(verify(&secrets(), Some("Bearer current")).is_ok());
        assert!(verify(&secrets(), Some("bearer previous")).is_ok());
    }

    #[test]
    fn anything_else_stays_outside() {
        for header in
            [None, Some(""), Some("current"), Some("Bearer "), Some("Bearer curren"), Some("Basic current")]
        {
            assert!(verify(&secrets(), header).is_err(), "{header:?}");
        }
    }

    #[test]
    fn no_secret_means_closed() {
        assert!(verify(&[], Some("Bearer ")).is_err());
        assert!(verify(&[], None).is_err());
    }
}

//! Endpoints for machines and operators, opened by a secret that both sides know: scheduled ones by
//! `Authorization: Bearer $CRON_SECRET`, those of operators by `Authorization: Bearer $ADMIN_TOKEN` or `x-admin-token`.
//! Never in a query, which ends up in logs. No secret configured: closed.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::tokens::{bearer, unauthenticated};
use crate::config::Secret;
use crate::error::Error;

/// The header that operators may use where `Authorization` is taken.
pub(crate) const ADMIN_HEADER: &str = "x-admin-token";

/// Lets a schedule in.
pub(crate) async fn verify_cron(
    secrets: &Secret<Vec<SecretString>>,
    authorization: Option<&str>,
) -> Result<(), Error> {
    if secrets.current().is_empty() {
        tracing::warn!(reason = "CRON_SECRET is not set", "cron.closed");
    }
    verify(secrets, bearer(authorization), "The schedule's secret is required.").await
}

/// Lets an operator in.
pub(crate) async fn verify_admin(
    secrets: &Secret<Vec<SecretString>>,
    authorization: Option<&str>,
    admin_header: Option<&str>,
) -> Result<(), Error> {
    if secrets.current().is_empty() {
        tracing::warn!(reason = "ADMIN_TOKEN is not set", "ops.closed");
    }
    verify(secrets, admin_header.or_else(|| bearer(authorization)), "The operators' token is required.").await
}

async fn verify(
    secrets: &Secret<Vec<SecretString>>,
    given: Option<&str>,
    refusal: &'static str,
) -> Result<(), Error> {
    let given = given.filter(|given| !given.is_empty()).ok_or_else(|| unauthenticated(refusal))?;
    let compare = async |secrets: Arc<Vec<SecretString>>| {
        if matches(&secrets, given.as_bytes()) { Ok(()) } else { Err(unauthenticated(refusal)) }
    };
    secrets.try_with(compare, |_| true).await
}

/// Compares with every live secret, in a time that does not depend on where they differ.
fn matches(secrets: &[SecretString], given: &[u8]) -> bool {
    let matches = (secrets.iter())
        .map(|secret| secret.expose_secret().as_bytes().ct_eq(given))
        .fold(subtle::Choice::from(0), |any, one| any | one);
    bool::from(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secret<Vec<SecretString>> {
        Vec::from(["current".into(), "previous".into()]).into()
    }

    #[tokio::test]
    async fn the_current_and_the_previous_secret_open() {
        for header in ["Bearer current", "bearer previous"] {
            assert!(verify_cron(&secrets(), Some(header)).await.is_ok());
            assert!(verify_admin(&secrets(), Some(header), None).await.is_ok());
        }
        assert!(verify_admin(&secrets(), None, Some("current")).await.is_ok());
        assert!(verify_admin(&secrets(), Some("Bearer a users token"), Some("previous")).await.is_ok());
    }

    #[tokio::test]
    async fn anything_else_stays_outside() {
        for header in
            [None, Some(""), Some("current"), Some("Bearer "), Some("Bearer curren"), Some("Basic current")]
        {
            assert!(verify_cron(&secrets(), header).await.is_err(), "{header:?}");
            assert!(verify_admin(&secrets(), header, None).await.is_err(), "{header:?}");
        }
        for header in ["", "curren", "current ", "Bearer current"] {
            assert!(verify_admin(&secrets(), None, Some(header)).await.is_err(), "{header:?}");
            assert!(
                verify_admin(&secrets(), Some("Bearer current"), Some(header)).await.is_err(),
                "{header:?}"
            );
        }
    }

    #[tokio::test]
    async fn no_secret_means_closed() {
        for header in [Some("Bearer "), None] {
            assert!(verify_cron(&Vec::new().into(), header).await.is_err());
            assert!(verify_admin(&Vec::new().into(), header, None).await.is_err());
        }
        assert!(verify_admin(&Vec::new().into(), None, Some("")).await.is_err());
    }
}

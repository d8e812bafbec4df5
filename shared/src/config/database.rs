//! How the database is reached.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::SslMode;

use super::reader::Reader;
use super::secret::Secret;

/// How the database is reached.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: of the login role that may execute the operations and nothing else.
    pub url: Secret<tokio_postgres::Config>,
    /// `DATABASE_CA_FILE`: PEM file of the authority that signs the server's certificate.
    pub ca_file: Option<PathBuf>,
    /// For connecting, TLS and logging in together.
    pub connect_timeout: Duration,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn database(reader: &mut Reader<'_>) -> Option<DatabaseConfig> {
    let url = reader.secret("DATABASE_URL", true, parse);
    let ca_file = reader.text("DATABASE_CA_FILE").map(PathBuf::from);
    Some(DatabaseConfig { url: url?, ca_file, connect_timeout: CONNECT_TIMEOUT })
}

/// What the driver is told.
fn parse(url: &str) -> Result<tokio_postgres::Config, String> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err("must start with postgres:// or postgresql://".to_owned());
    }
    let (url, tls_required) = understood_by_driver(url);
    let mut postgres: tokio_postgres::Config =
        url.parse().map_err(|_| "is not an address that the driver understands".to_owned())?;
    if tls_required {
        postgres.ssl_mode(SslMode::Require);
    }
    postgres.application_name("kitloop").connect_timeout(CONNECT_TIMEOUT);
    Ok(postgres)
}

/// The URL without the parameters that the driver does not know or a transaction pooler refuses, and whether TLS is a
/// must: always, unless the URL says `sslmode=disable` or names a Unix socket. Certificates are verified in every mode.
fn understood_by_driver(url: &str) -> (String, bool) {
    const KNOWN: [&str; 6] = ["host", "port", "user", "password", "dbname", "channel_binding"];
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let parameters = || query.split('&').filter_map(|pair| pair.split_once('='));
    let kept: Vec<String> = parameters()
        .filter(|(name, _)| KNOWN.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let is_socket = parameters()
        .any(|(name, value)| name == "host" && (value.starts_with('/') || value.starts_with("%2F")));
    let is_disabled = parameters().any(|pair| pair == ("sslmode", "disable"));
    let mode = if is_disabled { "disable" } else { "prefer" };
    let separator = if kept.is_empty() { "" } else { "&" };
    (format!("{base}?{}{separator}sslmode={mode}", kept.join("&")), !is_disabled && !is_socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_the_driver_does_not_know_are_left_out() {
        let (url, tls) = understood_by_driver(
            "postgresql://u:p@h:6543/d?sslmode=verify-full&pgbouncer=true&options=-c%20x%3D1",
        );
        assert_eq!(url, "postgresql://u:p@h:6543/d?sslmode=prefer");
        assert!(tls);
        assert!(url.parse::<tokio_postgres::Config>().is_ok());
    }

    #[test]
    fn tls_is_off_only_when_the_url_says_so() {
        assert!(understood_by_driver("postgres://u@h/d").1);
        assert!(understood_by_driver("postgres://u@h/d?sslmode=prefer").1);
        assert!(!understood_by_driver("postgres://u@h/d?sslmode=disable").1);
        assert!(!understood_by_driver("postgres:///d?host=/run/postgresql").1);
    }
}

//! Verifies Supabase Auth tokens. Key and algorithm are chosen by our configuration, never by the token alone:
//! an HS256 token is checked with our shared secrets and nothing else, an RS256 or ES256 one with the issuer's
//! published key of that kind and nothing else.

mod jwks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};

use self::jwks::Jwks;
use super::caller::{Caller, Claims};
use crate::config::{Secret, TokenConfig};
use crate::error::{Code, Error, Refusal};
use crate::network::Network;

/// How far the issuer's clock and ours may differ, in seconds.
const LEEWAY_SECONDS: u64 = 10;
const REQUIRED_CLAIMS: [&str; 4] = ["exp", "aud", "iss", "sub"];

/// Turns an `Authorization` header into a [`Caller`].
pub struct TokenVerifier {
    keys: Option<Keys>,
}

struct Keys {
    /// The live HS256 secrets, the current one first.
    secrets: Secret<Vec<SecretString>>,
    jwks: Option<Jwks>,
    issuer: String,
    audience: String,
}

impl TokenVerifier {
    /// A verifier that refuses everybody where `config` is none.
    #[must_use]
    pub fn new(config: Option<&TokenConfig>, network: &Network) -> Self {
        let keys = config.map(|config| Keys {
            secrets: config.secrets.clone(),
            jwks: config.jwks_url.as_ref().map(|url| Jwks::new(url.clone(), network.clone())),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        });
        Self { keys }
    }

    /// Fetches the published keys, where there are any, so that the first caller does not wait for them.
    pub async fn warm(&self) {
        if let Some(jwks) = self.keys.as_ref().and_then(|keys| keys.jwks.as_ref()) {
            jwks.warm().await;
        }
    }

    /// The caller whose bearer token stands in the `Authorization` header.
    ///
    /// # Errors
    /// `unauthenticated` without a token that holds; [`Error::TokenKeysUnavailable`] if that cannot be told.
    pub async fn verify(&self, authorization: Option<&str>) -> Result<Caller, Error> {
        let token = bearer(authorization).ok_or_else(|| unauthenticated("A bearer token is required."))?;
        let keys = self.keys.as_ref().ok_or_else(|| {
            tracing::error!("token.verifier_not_configured");
            unauthenticated("Tokens are not accepted here.")
        })?;
        keys.verify(token).await.inspect_err(|error| tracing::debug!(%error, "token.refused"))
    }
}

impl Keys {
    async fn verify(&self, token: &str) -> Result<Caller, Error> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid_token())?;
        let claims = match header.alg {
            Algorithm::HS256 => {
                let check = async |secrets: Arc<Vec<SecretString>>| self.verify_with(&secrets, token);
                self.secrets.try_with(check, |error| *error == ErrorKind::InvalidSignature).await.ok()
            }
            Algorithm::RS256 | Algorithm::ES256 => {
                let jwks = self.jwks.as_ref().ok_or_else(invalid_token)?;
                let kid = header.kid.ok_or_else(invalid_token)?;
                let key = jwks.find(&kid).await?.ok_or_else(invalid_token)?;
                self.decode(token, &key.decoding_key, key.algorithm).ok()
            }
            _ => None,
        };
        claims.ok_or_else(invalid_token)?.into_caller().map_err(unauthenticated)
    }

    /// Tries each secret until one made the signature.
    fn verify_with(&self, secrets: &[SecretString], token: &str) -> Result<Claims, ErrorKind> {
        for secret in secrets {
            let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
            match self.decode(token, &key, Algorithm::HS256) {
                Err(ErrorKind::InvalidSignature) => {}
                verdict => return verdict,
            }
        }
        Err(ErrorKind::InvalidSignature)
    }

    fn decode(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, ErrorKind> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&REQUIRED_CLAIMS);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let token = jsonwebtoken::decode(token, key, &validation).map_err(|error| error.into_kind())?;
        Ok(token.claims)
    }
}

/// The credentials of `Authorization: Bearer …` (RFC 6750 §2.1; the scheme's case does not matter).
pub(super) fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn invalid_token() -> Error {
    unauthenticated("The token is invalid or has expired.")
}

pub(super) fn unauthenticated(detail: &str) -> Error {
    Refusal::new(Code::Unauthenticated, detail).into()
}

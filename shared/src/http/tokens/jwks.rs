//! The issuer's published keys (RFC 7517), fetched when needed and kept for a while.

use std::collections::HashMap;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::Error;
use crate::network::Network;

/// Keys older than this are fetched again.
const FRESH_FOR: Duration = Duration::from_secs(600);
/// An unknown `kid` fetches at most this often, so that made-up ones cannot flood the issuer.
const UNKNOWN_KID_INTERVAL: Duration = Duration::from_secs(30);
/// After a failed fetch the next one waits this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// A key and the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) decoding_key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

pub(super) struct Jwks {
    url: String,
    network: Network,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, Key>,
    fetched_at: Option<Instant>,
    attempted_at: Option<Instant>,
}

impl Jwks {
    pub(super) fn new(url: String, network: Network) -> Self {
        Self { url, network, cache: Mutex::default() }
    }

    pub(super) async fn warm(&self) {
        self.refresh(&mut *self.cache.lock().await, Instant::now()).await;
    }

    /// The key with this id; `None` if the issuer has no such key.
    ///
    /// # Errors
    /// [`Error::TokenKeysUnavailable`] if that cannot be told, because the issuer was never reached.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<Key>, Error> {
        let mut cache = self.cache.lock().await;
        let now = Instant::now();
        if cache.should_fetch(kid, now) {
            self.refresh(&mut cache, now).await;
        }
        // Keys that could not be renewed go on being good: the issuer being away must not lock everybody out.
        match cache.keys.get(kid) {
            Some(key) => Ok(Some(key.clone())),
            None if cache.fetched_at.is_some() => Ok(None),
            None => Err(Error::TokenKeysUnavailable("never fetched".to_owned())),
        }
    }

    async fn refresh(&self, cache: &mut Cache, now: Instant) {
        cache.attempted_at = Some(now);
        match self.fetch().await {
            Ok(set) => {
                cache.keys = set.keys.iter().filter_map(usable).collect();
                cache.fetched_at = Some(now);
            }
            Err(error) => tracing::warn!(error, "token.keys_not_fetched"),
        }
    }

    async fn fetch(&self) -> Result<JwkSet, String> {
        let request = self.network.client()?.get(&self.url).timeout(FETCH_TIMEOUT);
        let response = request.send().await.map_err(|error| error.to_string())?;
        let response = response.error_for_status().map_err(|error| error.to_string())?;
        response.json().await.map_err(|error| error.to_string())
    }
}

impl Cache {
    fn should_fetch(&self, kid: &str, now: Instant) -> bool {
        let age =
            |instant: Option<Instant>| instant.map_or(Duration::MAX, |instant| now.duration_since(instant));
        let fresh = age(self.fetched_at) < FRESH_FOR;
        match (fresh, self.keys.contains_key(kid)) {
            (true, true) => false,
            (true, false) => age(self.attempted_at) >= UNKNOWN_KID_INTERVAL,
            (false, _) => age(self.attempted_at) >= RETRY_INTERVAL,
        }
    }
}

/// RS256 and ES256 keys that have an id. A shared secret in a published set is no secret and is passed over.
fn usable(jwk: &Jwk) -> Option<(String, Key)> {
    let kid = jwk.common.key_id.clone()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return None,
    };
    let stated = jwk.common.key_algorithm;
    if !matches!(
        (stated, algorithm),
        (None, _)
            | (Some(KeyAlgorithm::RS256), Algorithm::RS256)
            | (Some(KeyAlgorithm::ES256), Algorithm::ES256)
    ) {
        return None;
    }
    let decoding_key = DecodingKey::from_jwk(jwk).ok()?;
    Some((kid, Key { decoding_key, algorithm }))
}

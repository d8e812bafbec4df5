use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::http::testing::{CURRENT, ISSUER, USER, claims, now, signed};

const PREVIOUS: &str = "the-previous-secret-long-enough-as-well";

/// The usual claims, some of them changed; null removes one.
fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn verifier(secrets: &[&str], jwks_url: Option<String>) -> TokenVerifier {
    let config = TokenConfig {
        secrets: secrets.iter().map(|secret| (*secret).into()).collect::<Vec<_>>().into(),
        jwks_url,
        issuer: ISSUER.to_owned(),
        audience: "authenticated".to_owned(),
    };
    TokenVerifier::new(Some(&config), &Network::default())
}

async fn verify(authorization: &str) -> Result<Caller, Error> {
    verifier(&[CURRENT, PREVIOUS], None).verify(Some(authorization)).await
}

fn is_unauthenticated(result: &Result<Caller, Error>) -> bool {
    matches!(result, Err(Error::Refused(refusal)) if refusal.code == Code::Unauthenticated)
}

#[tokio::test]
async fn a_token_that_holds_says_who_calls() {
    let caller = verify(&signed(&claims(), CURRENT)).await.unwrap();
    assert_eq!(
        caller,
        Caller {
            user_id: USER,
            email: Some("ema@example.com".into()),
            name: Some("Ema Malá".into()),
            phone: None,
            is_admin: false
        }
    );
    assert_eq!(caller.key(), format!("user:{USER}"));
}

#[tokio::test]
async fn the_previous_secret_still_holds_and_a_third_does_not() {
    assert!(verify(&signed(&claims(), PREVIOUS)).await.is_ok());
    assert!(is_unauthenticated(&verify(&signed(&claims(), "somebody else's secret")).await));
}

#[tokio::test]
async fn a_token_must_say_who_for_whom_by_whom_and_until_when() {
    let past = now() - 60;
    for change in [
        json!({"exp": null}),
        json!({"exp": past}),
        json!({"nbf": now() + 60}),
        json!({"aud": null}),
        json!({"aud": "somebody-else"}),
        json!({"iss": null}),
        json!({"iss": "https://evil.example"}),
        json!({"sub": null}),
        json!({"sub": "not-a-uuid"}),
        json!({"role": "anon"}),
        json!({"role": "service_role"}),
        json!({"role": ["authenticated"]}),
    ] {
        let result = verify(&signed(&claims_with(&change), CURRENT)).await;
        assert!(is_unauthenticated(&result), "{change}: {result:?}");
    }
}

#[tokio::test]
async fn only_app_metadata_makes_an_admin() {
    for (change, is_admin) in [
        (json!({"app_metadata": {"role": "admin"}}), true),
        (json!({"app_metadata": {"role": "Admin"}}), false),
        (json!({"app_metadata": {"role": ["admin"]}}), false),
        (json!({"app_metadata": "admin"}), false),
        (json!({"user_metadata": {"role": "admin"}}), false),
        (json!({"is_admin": true}), false),
    ] {
        let caller = verify(&signed(&claims_with(&change), CURRENT)).await.unwrap();
        assert_eq!(caller.is_admin, is_admin, "{change}");
    }
}

#[tokio::test]
async fn no_token_and_no_real_token_are_refused() {
    let anonymous = verifier(&[CURRENT], None).verify(None).await;
    assert!(is_unauthenticated(&anonymous));
    let token = signed(&claims(), CURRENT);
    let basic = token.replace("Bearer", "Basic");
    let cut = token.rsplit_once('.').unwrap().0.to_owned();
    for header in ["", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer a", basic.as_str(), cut.as_str()] {
        assert!(is_unauthenticated(&verify(header).await), "{header}");
    }
}

#[tokio::test]
async fn the_algorithm_none_is_no_algorithm() {
    let token = signed(&claims(), CURRENT);
    let payload = token.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"} and {"alg":"None"}, in base64url.
    for header in ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0"] {
        for signature in ["", "AA"] {
            assert!(is_unauthenticated(&verify(&format!("Bearer {header}.{payload}.{signature}")).await));
        }
    }
}

#[tokio::test]
async fn nobody_is_let_in_where_tokens_are_not_configured() {
    let verifier = TokenVerifier::new(None, &Network::default());
    assert!(is_unauthenticated(&verifier.verify(Some(&signed(&claims(), CURRENT))).await));
}

/// A key pair of the issuer: what signs, and its published half.
struct Published {
    signing: EncodingKey,
    algorithm: Algorithm,
    jwk: Jwk,
}

impl Published {
    fn ec(kid: &str) -> Self {
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
        let pem = key.private_key_to_pem_pkcs8().unwrap();
        Self::new(kid, EncodingKey::from_ec_pem(&pem).unwrap(), Algorithm::ES256)
    }

    fn rsa(kid: &str) -> Self {
        let pem = openssl::rsa::Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
        Self::new(kid, EncodingKey::from_rsa_pem(&pem).unwrap(), Algorithm::RS256)
    }

    fn new(kid: &str, signing: EncodingKey, algorithm: Algorithm) -> Self {
        let mut jwk = Jwk::from_encoding_key(&signing, algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        Self { signing, algorithm, jwk }
    }

    fn sign(&self, kid: &str) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(self.algorithm) };
        format!("Bearer {}", jsonwebtoken::encode(&header, &claims(), &self.signing).unwrap())
    }
}

/// Publishes `keys` on a port of its own and counts how often they are fetched.
async fn publish(keys: &[&Published]) -> (String, Arc<AtomicUsize>) {
    let body = json!({"keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>()}).to_string();
    let response =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let fetches = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&fetches);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(response.as_bytes()).await;
        }
    });
    (url, fetches)
}

#[tokio::test]
async fn published_keys_of_both_kinds_verify_and_are_fetched_once() {
    let (ec, rsa) = (Published::ec("ec-1"), Published::rsa("rsa-1"));
    let (url, fetches) = publish(&[&ec, &rsa]).await;
    let verifier = verifier(&[], Some(url));
    for _ in 0..2 {
        assert_eq!(verifier.verify(Some(&ec.sign("ec-1"))).await.unwrap().user_id, USER);
        assert_eq!(verifier.verify(Some(&rsa.sign("rsa-1"))).await.unwrap().user_id, USER);
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn unknown_keys_are_refused_and_do_not_flood_the_issuer() {
    let known = Published::ec("ec-1");
    let (url, fetches) = publish(&[&known]).await;
    let verifier = verifier(&[], Some(url));
    for kid in ["made-up-1", "made-up-2", "made-up-3"] {
        assert!(is_unauthenticated(&verifier.verify(Some(&known.sign(kid))).await));
    }
    assert!(is_unauthenticated(&verifier.verify(Some(&Published::ec("ec-1").sign("ec-1"))).await));
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_key_serves_its_own_algorithm_alone() {
    let (ec, rsa) = (Published::ec("ec-1"), Published::rsa("rsa-1"));
    let (url, _) = publish(&[&ec, &rsa]).await;
    let verifier = verifier(&[], Some(url));
    assert!(is_unauthenticated(&verifier.verify(Some(&ec.sign("rsa-1"))).await));
    // The classic confusion: a token signed by HMAC with the published key as its secret.
    let published = serde_json::to_string(&rsa.jwk).unwrap();
    assert!(is_unauthenticated(&verifier.verify(Some(&signed(&claims(), &published))).await));
}

#[tokio::test]
async fn a_published_shared_secret_is_no_key() {
    let secret = EncodingKey::from_secret(CURRENT.as_bytes());
    let published = Published::new("hmac-1", secret, Algorithm::HS256);
    let (url, _) = publish(&[&published]).await;
    let verifier = verifier(&[], Some(url));
    assert!(is_unauthenticated(&verifier.verify(Some(&published.sign("hmac-1"))).await));
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_our_fault_not_the_callers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/jwks", listener.local_addr().unwrap());
    drop(listener);
    let key = Published::ec("ec-1");
    let result = verifier(&[], Some(closed)).verify(Some(&key.sign("ec-1"))).await;
    assert!(matches!(result, Err(Error::TokenKeysUnavailable(_))), "{result:?}");
}

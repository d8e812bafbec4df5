//! Callers and events, for tests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who issues the tokens.
pub(crate) const ISSUER: &str = "http://127.0.0.1/auth/v1";
/// The current secret.
pub(crate) const CURRENT: &str = "the-current-secret-long-enough-to-sign";
/// Who the usual token is of.
pub(crate) const USER: Uuid = Uuid::from_u128(0x018f_3b1e_0000_7000_8000_0000_0000_0001);

/// In seconds since 1970.
pub(crate) fn now() -> i64 {
    crate::clock::now().as_second()
}

/// The usual claims.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "authenticated", "sub": USER, "exp": now() + 3600, "iat": now(),
        "role": "authenticated", "email": "ema@example.com", "phone": "",
        "app_metadata": {}, "user_metadata": {"full_name": "Ema Malá"},
    })
}

/// An `Authorization` header with these claims, signed with HS256.
pub(crate) fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap())
}

/// An event of payload format 2.0.
pub(crate) fn event(method: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/reserve_gear", "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example", "domainPrefix": "api",
            "http": {
                "method": method, "path": "/reserve_gear", "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "test",
            },
            "requestId": "id", "routeKey": "$default", "stage": "$default",
            "time": "21/Nov/2026:05:00:00 +0000", "timeEpoch": 0,
        },
        "body": body, "isBase64Encoded": false,
    })
}

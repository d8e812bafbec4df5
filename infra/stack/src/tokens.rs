//! Tokens as Supabase Auth would issue them to the seeded users.

use anyhow::Result;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use uuid::Uuid;

/// The `iss` of local tokens.
pub(crate) const ISSUER: &str = "http://127.0.0.1/auth/v1";

const LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// An HS256 token of this user that lasts a day.
pub(crate) fn token(secret: &str, user: Uuid, email: &str) -> Result<String> {
    let issued_at = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": ISSUER,
        "aud": "authenticated",
        "role": "authenticated",
        "sub": user,
        "email": email,
        "app_metadata": {},
        "iat": issued_at,
        "exp": issued_at + LIFETIME_SECONDS,
    });
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
}

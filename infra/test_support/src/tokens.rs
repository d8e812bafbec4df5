//! Tokens as Supabase Auth issues them, and as attackers would like to.

use anyhow::Result;
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The secret that test applications verify with.
pub const JWT_SECRET: &str = "test-secret-that-is-long-enough-for-hs256";
/// The issuer that they expect.
pub const ISSUER: &str = "http://127.0.0.1/auth/v1";

/// A token to be made; its claims may be changed first.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it will say.
    pub claims: Value,
    /// What it will be signed with.
    pub secret: String,
}

impl Token {
    /// A good token of a user, for an hour.
    #[must_use]
    pub fn of(user_id: Uuid) -> Self {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": ISSUER, "aud": "authenticated", "role": "authenticated", "sub": user_id,
            "email": format!("{}@example.com", user_id.simple()), "app_metadata": {}, "iat": now, "exp": now + 3600,
        });
        Self { claims, secret: JWT_SECRET.to_owned() }
    }

    /// With another value of a claim; null takes it away.
    #[must_use]
    pub fn with(mut self, claim: &str, value: Value) -> Self {
        if let Some(claims) = self.claims.as_object_mut() {
            match value {
                Value::Null => drop(claims.remove(claim)),
                value => drop(claims.insert(claim.to_owned(), value)),
            }
        }
        self
    }

    /// Signed with another secret.
    #[must_use]
    pub fn signed_with(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// The token itself.
    ///
    /// # Errors
    /// Never, for claims that are an object.
    pub fn encode(&self) -> Result<String> {
        Ok(encode(&Header::default(), &self.claims, &EncodingKey::from_secret(self.secret.as_bytes()))?)
    }
}

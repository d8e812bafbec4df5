//! Passwords and secrets that live as long as the run.

/// A random secret of 192 bits, in hexadecimal: safe in URLs and configuration files without escaping.
pub(crate) fn random_secret() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}

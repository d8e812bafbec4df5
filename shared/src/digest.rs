//! SHA-256, for what must be compared or told apart without being kept.

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes` as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A short stand-in for a caller, an address or a key, for logs and guard items, which hold no plain personal data.
///
/// 128 bits of SHA-256: equal inputs can be correlated, and no two different ones meet by chance.
#[must_use]
pub fn pseudonym(text: &str) -> String {
    let mut digest = sha256_hex(text.as_bytes());
    digest.truncate(32);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_and_does_not_show_its_input() {
        let pseudonym = pseudonym("user:42");
        assert_eq!(pseudonym, super::pseudonym("user:42"));
        assert_eq!(pseudonym.len(), 32);
        assert!(!pseudonym.contains("user"));
    }

    #[test]
    fn sha256_is_the_standard_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

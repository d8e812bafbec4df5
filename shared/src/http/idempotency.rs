//! Idempotency keys: 1 to 255 visible ASCII characters, in the body or in the header `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header).

use serde_json::Value;

/// The header that may bring the key.
pub(super) const HEADER: &str = "idempotency-key";
/// The member that may bring the key.
pub(super) const FIELD: &str = "idempotency_key";

/// The key that the request brought, in either place or the same in both.
pub(super) fn key(header: Option<&str>, field: Option<&Value>) -> Result<Option<String>, &'static str> {
    let field = match field {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.as_str()),
        Some(_) => return Err("must be a text"),
    };
    let key = match (header, field) {
        (Some(header), Some(field)) if header != field => {
            return Err("differs from the header Idempotency-Key");
        }
        (header, field) => header.or(field),
    };
    match key {
        Some(key) if !is_valid(key) => Err("must be 1 to 255 visible ASCII characters"),
        key => Ok(key.map(str::to_owned)),
    }
}

fn is_valid(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_comes_from_either_place_or_the_same_from_both() {
        let field = Value::from("k");
        assert_eq!(key(Some("k"), None), Ok(Some("k".to_owned())));
        assert_eq!(key(None, Some(&field)), Ok(Some("k".to_owned())));
        assert_eq!(key(Some("k"), Some(&field)), Ok(Some("k".to_owned())));
        assert_eq!(key(None, Some(&Value::Null)), Ok(None));
    }

    #[test]
    fn two_different_keys_are_refused() {
        assert!(key(Some("a"), Some(&Value::from("b"))).is_err());
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        assert!(key(Some(&"k".repeat(255)), None).is_ok());
        let too_long = "k".repeat(256);
        for bad in ["", "a b", "ä", "a\u{0}", too_long.as_str()] {
            assert!(key(Some(bad), None).is_err(), "{bad:?}");
        }
        assert!(key(None, Some(&Value::from(7))).is_err());
    }
}

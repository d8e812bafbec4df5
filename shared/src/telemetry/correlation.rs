//! The id that ties together everything said about one request.

use uuid::Uuid;

/// The header that brings the id in and takes it back.
pub const HEADER: &str = "x-correlation-id";

/// An id of `[A-Za-z0-9._-]{1,64}`: safe in a header, a log line and a database column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId(String);

impl CorrelationId {
    /// The client's id if it is sane, a new one otherwise.
    #[must_use]
    pub fn from_header(value: Option<&str>) -> Self {
        value.filter(|value| is_sane(value)).map_or_else(Self::generate, |value| Self(value.to_owned()))
    }

    /// A new id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_sane(value: &str) -> bool {
    (1..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken() {
        let longest = "x".repeat(64);
        for id in ["a", "req-1.2_3", longest.as_str()] {
            assert_eq!(CorrelationId::from_header(Some(id)).as_str(), id);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let too_long = "x".repeat(65);
        for id in ["", "a b", "a\nlevel: INFO", "ä", "{}", too_long.as_str()] {
            let made = CorrelationId::from_header(Some(id));
            assert_ne!(made.as_str(), id);
            assert!(is_sane(made.as_str()));
        }
        assert!(is_sane(CorrelationId::from_header(None).as_str()));
    }
}
